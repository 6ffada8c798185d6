//! A proxy in front of the providers' stand-ins that injects faults: lost requests and answers; late, oversized and
//! garbage answers; redirects; rate limits. The fault follows from the seed, the message and the number of its
//! requests, and is recorded.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use twotick::clock::Stopwatch;

/// Longer than any time-out of the channels under test.
const TOO_LONG: Duration = Duration::from_secs(4);
/// Pieces of a slow answer that arrives in time.
const PIECES: usize = 6;
const BETWEEN_PIECES: Duration = Duration::from_millis(80);
const HUGE: usize = 100_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    None,
    Slow,
    /// The request arrives, the answer is too late.
    TooSlow,
    /// The request is lost without an answer.
    Silent,
    /// The connection is reset before the request arrives.
    ResetBefore,
    /// The request arrives, the connection is reset in the middle of the answer.
    ResetMidAnswer,
    ServerError,
    Html,
    Huge,
    HugeHead,
    Redirect,
    Garbage,
    /// 429 with `Retry-After`, with or without a provider's error body.
    TooMany,
}

pub const FAULTS: [Fault; 12] = [
    Fault::Slow,
    Fault::TooSlow,
    Fault::Silent,
    Fault::ResetBefore,
    Fault::ResetMidAnswer,
    Fault::ServerError,
    Fault::Html,
    Fault::Huge,
    Fault::HugeHead,
    Fault::Redirect,
    Fault::Garbage,
    Fault::TooMany,
];
/// One in this many requests has no fault.
const PEACE: u64 = 3;

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Met {
    /// Our message id.
    pub reference: String,
    pub fault: Fault,
    /// Whether it was forwarded to the provider.
    pub passed_on: bool,
    pub at: Duration,
    /// Start of an answer with `Retry-After`, and its delay.
    pub retry_after: Option<(Duration, Duration)>,
}

#[derive(Clone)]
pub struct Chaos {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    seed: u64,
    upstream: SocketAddr,
    watch: Stopwatch,
    met: Mutex<Vec<Met>>,
    /// Target of redirects; no request should ever arrive.
    trap: SocketAddr,
    trapped: AtomicU64,
}

impl Chaos {
    pub async fn start(seed: u64, upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            seed,
            upstream,
            watch: Stopwatch::start(),
            met: Mutex::default(),
            trap: trap.local_addr().unwrap(),
            trapped: AtomicU64::new(0),
        });
        let trapping = Arc::clone(&shared);
        tokio::spawn(async move {
            while trap.accept().await.is_ok() {
                trapping.trapped.fetch_add(1, Ordering::Relaxed);
            }
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // Errors of injected faults are expected.
                tokio::spawn(async move { drop(shared.serve(client).await) });
            }
        });
        Self { addr, shared }
    }

    pub fn met(&self) -> Vec<Met> {
        self.shared.met.lock().unwrap().clone()
    }

    /// Number of redirects that were followed.
    pub fn trapped(&self) -> u64 {
        self.shared.trapped.load(Ordering::Relaxed)
    }
}

impl Shared {
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        loop {
            let request = read_message(&mut client).await?;
            let text = String::from_utf8_lossy(&request);
            let Some(reference) = reference_in(&text) else {
                // Not a send: a request for templates.
                let answer = self.pass_on(&request).await?;
                client.write_all(&answer).await?;
                continue;
            };
            let is_meta = text.starts_with("POST /v");
            let mut chance = self.chance(&reference);
            let fault = match below(&mut chance, PEACE) {
                0 => Fault::None,
                _ => FAULTS[below(&mut chance, FAULTS.len() as u64) as usize],
            };
            let passed_on = match fault {
                Fault::None | Fault::Slow | Fault::TooSlow | Fault::ResetMidAnswer => true,
                // A provider that fails like this may or may not have processed the request.
                Fault::ServerError | Fault::Html | Fault::Huge | Fault::HugeHead | Fault::Garbage => {
                    below(&mut chance, 2) == 0
                }
                Fault::Silent | Fault::ResetBefore | Fault::Redirect | Fault::TooMany => false,
            };
            let at = self.watch.elapsed();
            let place = {
                let mut met = self.met.lock().unwrap();
                met.push(Met { reference, fault, passed_on, at, retry_after: None });
                met.len() - 1
            };
            let answer = if passed_on { self.pass_on(&request).await? } else { Vec::new() };
            if !self.misbehave(&mut client, fault, place, &answer, &mut chance, is_meta).await? {
                return Ok(());
            }
        }
    }

    /// `false` if the connection must be closed.
    async fn misbehave(
        &self,
        client: &mut TcpStream,
        fault: Fault,
        place: usize,
        answer: &[u8],
        chance: &mut u64,
        is_meta: bool,
    ) -> io::Result<bool> {
        match fault {
            Fault::None => {
                client.write_all(answer).await?;
                return Ok(true);
            }
            Fault::Slow => {
                for piece in answer.chunks(answer.len().div_ceil(PIECES).max(1)) {
                    client.write_all(piece).await?;
                    tokio::time::sleep(BETWEEN_PIECES).await;
                }
                return Ok(true);
            }
            Fault::TooSlow => {
                tokio::time::sleep(TOO_LONG).await;
                client.write_all(answer).await?;
            }
            Fault::Silent => tokio::time::sleep(TOO_LONG).await,
            Fault::ResetBefore => client.set_zero_linger()?,
            Fault::ResetMidAnswer => {
                client.write_all(&answer[..answer.len() * 2 / 3]).await?;
                client.flush().await?;
                tokio::time::sleep(BETWEEN_PIECES).await;
                client.set_zero_linger()?;
            }
            Fault::ServerError => {
                let status = [500, 502, 504][below(chance, 3) as usize];
                client.write_all(&page(status, "text/html", "", "<h1>It did not go well</h1>")).await?;
            }
            Fault::Html => {
                client
                    .write_all(&page(200, "text/html", "", "<html>Please sign in to the hotspot</html>"))
                    .await?;
            }
            Fault::Huge => {
                let head = if below(chance, 2) == 0 {
                    client.write_all(page_head(200, HUGE, "").as_bytes()).await?;
                    "{\"a\":\""
                } else {
                    // Without a length: the body ends with the connection.
                    client.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n").await?;
                    "{\"messages\":[{\"id\":\""
                };
                client.write_all(head.as_bytes()).await?;
                flood(client).await?;
            }
            Fault::HugeHead => {
                client.write_all(b"HTTP/1.1 200 OK\r\nx-endless: ").await?;
                flood(client).await?;
            }
            Fault::Redirect => {
                let status = [301, 302, 307, 308][below(chance, 4) as usize];
                let location = format!("location: http://{}/\r\n", self.trap);
                client.write_all(&page(status, "text/html", &location, "moved")).await?;
            }
            Fault::Garbage => {
                let bytes: Vec<u8> = (0..512).map(|_| below(chance, 256) as u8).collect();
                client.write_all(&bytes).await?;
            }
            Fault::TooMany => {
                let seconds = [1, 1, 2, 60][below(chance, 4) as usize];
                let wish = format!("retry-after: {seconds}\r\n");
                let own = r#"{"error":{"message":"(#130429) Rate limit hit","type":"OAuthException","code":130429}}"#;
                let body = if is_meta && below(chance, 2) == 0 { own } else { "slow down" };
                let now = self.watch.elapsed();
                self.met.lock().unwrap()[place].retry_after = Some((now, Duration::from_secs(seconds)));
                client.write_all(&page(429, "application/json", &wish, body)).await?;
            }
        }
        Ok(false)
    }

    /// Random number for this attempt at this message, independent of the order of requests.
    fn chance(&self, reference: &str) -> u64 {
        let met = self.met.lock().unwrap();
        let before = met.iter().filter(|met| met.reference == reference).count() as u64;
        // Message ids are random: the seed depends on their order of appearance.
        let mut known = BTreeMap::new();
        for met in met.iter() {
            let next = known.len() as u64;
            known.entry(met.reference.as_str()).or_insert(next);
        }
        let number = known.get(reference).copied().unwrap_or(known.len() as u64);
        self.seed ^ (number << 20) ^ (before << 52)
    }

    async fn pass_on(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut provider = TcpStream::connect(self.upstream).await?;
        provider.write_all(request).await?;
        read_message(&mut provider).await
    }
}

/// Sends as much as the other side accepts.
async fn flood(client: &mut TcpStream) -> io::Result<()> {
    let block = vec![b'a'; 64 * 1024];
    for _ in 0..HUGE / block.len() {
        client.write_all(&block).await?;
    }
    Ok(())
}

/// Reads a complete request or answer with a `Content-Length`, or without a body.
async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        if stream.read_buf(&mut message).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = message.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&message[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let whole = head + 4 + length.unwrap_or(0);
        while message.len() < whole {
            if stream.read_buf(&mut message).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        return Ok(message);
    }
}

fn reference_in(request: &str) -> Option<String> {
    let (_, after) = request.split_once("\"msg_")?;
    Some(format!("msg_{}", after.split('"').next()?))
}

fn page_head(status: u16, length: usize, more: &str) -> String {
    format!("HTTP/1.1 {status} As it is\r\ncontent-length: {length}\r\n{more}\r\n")
}

fn page(status: u16, kind: &str, more: &str, body: &str) -> Vec<u8> {
    let more = format!("content-type: {kind}\r\n{more}connection: close\r\n");
    format!("{}{body}", page_head(status, body.len(), &more)).into_bytes()
}

/// SplitMix64.
fn below(state: &mut u64, limit: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % limit
}

/// Behaviour of an `https` listener.
pub enum Greeting {
    /// Presents this certificate, and forwards.
    Certificate(Arc<rustls::ServerConfig>),
    /// Accepts the connection and sends nothing.
    Silence,
    /// Answers in plain HTTP.
    Plain,
    /// Closes the connection on the first data.
    HangUp,
}

/// A listener in front of `upstream`. The provider's journal has all requests that got through.
pub async fn secure(greeting: Greeting, upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let greeting = Arc::new(greeting);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let greeting = Arc::clone(&greeting);
            tokio::spawn(async move { drop(greet(&greeting, client, upstream).await) });
        }
    });
    addr
}

async fn greet(greeting: &Greeting, mut client: TcpStream, upstream: SocketAddr) -> io::Result<()> {
    match greeting {
        Greeting::Certificate(config) => {
            let mut client = TlsAcceptor::from(Arc::clone(config)).accept(client).await?;
            let mut provider = TcpStream::connect(upstream).await?;
            copy_bidirectional(&mut client, &mut provider).await?;
        }
        Greeting::Silence => tokio::time::sleep(TOO_LONG).await,
        Greeting::Plain => {
            client.write_all(&page(200, "application/json", "", "{\"id\":\"c-1\"}")).await?;
            tokio::time::sleep(BETWEEN_PIECES).await;
        }
        Greeting::HangUp => drop(client.read_u8().await?),
    }
    Ok(())
}
