//! A proxy before the stand-ins of the providers that does to each request what networks and providers do: it
//! loses the request or the answer, answers too late, too much or nonsense, sends away, asks to come again later.
//! What happens to a request follows from the seed, its message and how often it came, and is written down.
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
/// Pieces of an answer that comes slowly, but in time.
const PIECES: usize = 6;
const BETWEEN_PIECES: Duration = Duration::from_millis(80);
const HUGE: usize = 100_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    None,
    Slow,
    /// The request arrives, the answer comes too late.
    TooSlow,
    /// The request is swallowed.
    Silent,
    /// The connection is reset and the request is lost.
    ResetBefore,
    /// The request arrives, the connection is reset in the middle of the answer.
    ResetMidAnswer,
    ServerError,
    Html,
    Huge,
    HugeHead,
    Redirect,
    Garbage,
    /// 429 with `Retry-After`, in a provider's own words or bare.
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
/// Of so many requests one is left in peace.
const PEACE: u64 = 3;

/// One request that came here.
#[derive(Clone, Debug)]
pub struct Met {
    /// Our id of the message.
    pub reference: String,
    pub fault: Fault,
    /// Whether the provider behind saw it.
    pub passed_on: bool,
    pub at: Duration,
    /// When the answer that asks for a wait began to leave, and the wait.
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
    /// Where redirects lead; nobody should ever come.
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
                // Whoever breaks off here was meant to.
                tokio::spawn(async move { drop(shared.serve(client).await) });
            }
        });
        Self { addr, shared }
    }

    pub fn met(&self) -> Vec<Met> {
        self.shared.met.lock().unwrap().clone()
    }

    /// How often a redirect was followed.
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
                // No send: the templates that are asked for.
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
                // A provider that fails like this may have done what it was asked, or not.
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

    /// `false` where the connection is not used any more.
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
                    // No length: the body ends where the connection does.
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

    /// Of this attempt at this message, whatever came in between.
    fn chance(&self, reference: &str) -> u64 {
        let met = self.met.lock().unwrap();
        let before = met.iter().filter(|met| met.reference == reference).count() as u64;
        // Message ids are random: what counts for the seed is how many there were.
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

/// As much as the other side takes.
async fn flood(client: &mut TcpStream) -> io::Result<()> {
    let block = vec![b'a'; 64 * 1024];
    for _ in 0..HUGE / block.len() {
        client.write_all(&block).await?;
    }
    Ok(())
}

/// A whole request or answer with a `Content-Length`, or with no body.
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

/// How a listener for `https` greets.
pub enum Greeting {
    /// With this certificate, and what is said then is passed on.
    Certificate(Arc<rustls::ServerConfig>),
    /// Takes the connection and says nothing.
    Silence,
    /// In plain HTTP.
    Plain,
    /// Hangs up when it is spoken to.
    HangUp,
}

/// A listener before `upstream`. Everything that got through is in the journal of the provider behind.
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
