//! Attackers against the real binary: heads and bodies sent byte by byte, unfinished bodies, responses that nobody
//! reads, ten thousand silent connections, endless heads, deeply nested JSON, contradicting body lengths. Honest
//! clients continue meanwhile. Every attack ends with an error or a close in time, uses bounded memory, and leaves a
//! ready server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use twotick::channel::signature::sign;
use twotick::clock::Stopwatch;

use crate::checker::{Acked, Answers, Asked, Created, Moment, violations};
use crate::connections::still_connected;
use crate::nonsense::nonsense;
use crate::privilege::alone;
use crate::proof::{figure, long_seconds, seed};
use crate::server::{ServerSetup, created, forget_peak, home, memory_now, peak_memory, report};
use crate::slowhttptest;
use crate::world::{APP_SECRET, Home, Providers, REPORT_SECRET, Server};

/// A head and a body have 10 s each; the rest is for a machine under load.
pub const LIMIT: Duration = Duration::from_secs(24);
/// The limit for what is refused immediately.
const AT_ONCE: Duration = Duration::from_secs(12);
const HONEST_A_SECOND: u64 = 60;
const QUIET: Duration = Duration::from_secs(3);
const MIB: usize = 1024 * 1024;
/// Connections per attack, and of the attack by number.
const MANY: usize = 500;
const IDLE: usize = 10_000;
/// Bodies of 3 MiB without their last byte: 900 MiB if all of them were kept.
const UNFINISHED: usize = 300;

/// The additional memory that an attack may cause, in MiB.
mod bounds {
    /// The server's first requests, and the store's memory of them.
    pub const QUIET: u64 = 48;
    /// Eleven hundred slow connections, 250 unread responses, and the waiting honest clients.
    pub const SLOW: u64 = 96;
    /// The 64 MiB that all large bodies may use together, twice that while they grow, and the buffers of 300 busy
    /// connections.
    pub const UNFINISHED: u64 = 320;
    /// Two buffers of 8 KiB for each of 10,000 connections, most of which are never touched.
    pub const IDLE: u64 = 200;
    /// Heads of up to 128 KiB and bodies of up to 3 MiB, about fifty at once.
    pub const NONSENSE: u64 = 128;
}

/// The end of an attack's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A response with this status, then a close.
    Answered(u16),
    Closed,
    /// Still open at the limit.
    Open,
}

#[derive(Default)]
struct Tally {
    connections: usize,
    refused: usize,
    closed: usize,
    slowest: Duration,
    /// Connections that were neither refused nor closed.
    borne: BTreeMap<String, usize>,
}

impl Tally {
    fn count(&mut self, end: End, took: Duration, what: &str) {
        self.connections += 1;
        self.slowest = self.slowest.max(took);
        match end {
            End::Answered(400..=599) => self.refused += 1,
            End::Closed => self.closed += 1,
            End::Answered(_) | End::Open => *self.borne.entry(format!("{what}: {end:?}")).or_default() += 1,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_end_cost_little_and_leave_honest_callers_alone() {
    let _alone = alone().await;
    allow_many_files();
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let providers = Providers::start().await;
    let setup = ServerSetup {
        providers: providers.addr,
        deliver_within: "20s",
        code_ttl: "10m",
        more: String::new(),
    };
    let home = home(folder.path(), &setup);
    let server = home.start().await;
    let mut siege = Siege { home, providers, server, seed, answers: Arc::default(), numbers: Arc::default() };
    let rounds = long_seconds().unwrap_or(0) / 90 + 1;
    for _ in 0..rounds {
        siege.quiet().await;
        siege.slow().await;
        siege.unfinished().await;
        siege.idle().await;
        siege.nonsense().await;
        siege.quiet().await;
    }
    siege.leave_well().await;
}

struct Siege {
    home: Home,
    providers: Providers,
    server: Server,
    seed: u64,
    answers: Arc<Mutex<Answers>>,
    numbers: Arc<AtomicUsize>,
}

impl Siege {
    async fn quiet(&mut self) {
        self.under("quiet", bounds::QUIET, async {
            tokio::time::sleep(QUIET).await;
            Tally::default()
        })
        .await;
    }

    /// Slow heads and bodies, and unread responses: ours and slowhttptest's.
    async fn slow(&mut self) {
        let addr = self.home.addr;
        self.under("slow", bounds::SLOW, async move {
            let head = b"POST /webhooks/whatsapp HTTP/1.1\r\nhost: twotick\r\n";
            let body =
                b"POST /webhooks/whatsapp HTTP/1.1\r\nhost: twotick\r\ncontent-length: 100000\r\n\r\n{";
            let chunked =
                b"POST /webhooks/whatsapp HTTP/1.1\r\nhost: twotick\r\ntransfer-encoding: chunked\r\n\r\n";
            let mut attacking = JoinSet::new();
            for n in 0..MANY {
                let (name, begin, piece): (_, &[u8], &[u8]) = match n % 5 {
                    0 => ("slow head", head, b"x-a: b\r\n"),
                    1 => ("slow body", body, b" "),
                    2 => ("slow chunks", chunked, b"1\r\na\r\n"),
                    3 => ("half a head", head, b""),
                    _ => ("half a body in chunks", chunked, b""),
                };
                attacking.spawn(drip(addr, name, begin, piece));
            }
            attacking.spawn(never_read(addr, MANY / 10));
            let (mut tally, ended) = tokio::join!(all(attacking, "slow"), slowhttptest::attack(addr));
            ended.into_iter().for_each(|(end, took, name)| tally.count(end, took, name));
            tally
        })
        .await;
    }

    /// The largest permitted bodies, without their last byte.
    async fn unfinished(&mut self) {
        let addr = self.home.addr;
        self.under("unfinished", bounds::UNFINISHED, async move {
            let mut attacking = JoinSet::new();
            for _ in 0..UNFINISHED {
                attacking.spawn(unfinished(addr));
            }
            all(attacking, "unfinished").await
        })
        .await;
    }

    async fn idle(&mut self) {
        let addr = self.home.addr;
        self.under("idle", bounds::IDLE, async move {
            let mut attacking = JoinSet::new();
            for n in 0..IDLE {
                // At the speed at which the listener accepts.
                if n % 500 == 0 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                attacking.spawn(say_nothing(addr));
            }
            all(attacking, "idle").await
        })
        .await;
    }

    /// Requests that are refused immediately.
    async fn nonsense(&mut self) {
        let addr = self.home.addr;
        self.under("nonsense", bounds::NONSENSE, async move {
            let mut attacking = JoinSet::new();
            for (name, bytes) in nonsense() {
                attacking.spawn(say(addr, name, bytes));
            }
            attacking.spawn(endless(addr, "an endless head", b"GET / HTTP/1.1\r\nx-a: ", b'a'));
            attacking.spawn(endless(addr, "endless headers", b"GET / HTTP/1.1\r\n", b'\n'));
            for _ in 0..8 {
                attacking.spawn(endless_chunks(addr));
            }
            all(attacking, "nonsense").await
        })
        .await;
        self.deep_but_signed().await;
        self.chunks_are_taken().await;
    }

    /// Signed by the provider, so it is accepted and stored for the operator.
    async fn deep_but_signed(&self) {
        let deep = ["[".repeat(MIB), "{\"entry\":".repeat(MIB / 9)];
        for body in deep {
            let signature = sign(&APP_SECRET.into(), body.as_bytes());
            let request = self.home.client.post(self.home.url("/webhooks/whatsapp"));
            let answer = request.header("x-hub-signature-256", signature).body(body).send().await.unwrap();
            assert_eq!(answer.status(), 200);
        }
    }

    /// Honest clients may send chunked bodies, and the connection stays usable.
    async fn chunks_are_taken(&self) {
        let body = json!({ "reference": "msg_06hzjqd1nbrm4q9a5c2kt7x80h", "status": "sent" }).to_string();
        let signature = sign(&REPORT_SECRET.into(), body.as_bytes());
        let (half, rest) = body.split_at(20);
        let once = format!(
            "POST /webhooks/sms HTTP/1.1\r\nhost: twotick\r\nx-signature-256: {signature}\r\n\
             transfer-encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
            half.len(),
            rest.len(),
        );
        let last = "GET /healthz HTTP/1.1\r\nhost: twotick\r\nconnection: close\r\n\r\n";
        let mut stream = TcpStream::connect(self.home.addr).await.unwrap();
        stream.write_all(format!("{once}{once}{last}").as_bytes()).await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    }

    /// Runs honest clients beside an attack and evaluates both.
    async fn under(&mut self, name: &str, bound: u64, attack: impl Future<Output = Tally>) {
        forget_peak(&self.server);
        let before = memory_now(&self.server);
        let go_on = Arc::new(AtomicBool::new(true));
        let repeated = Arc::<AtomicUsize>::default();
        let honest = tokio::spawn(self.honest(&repeated).run(Arc::clone(&go_on)));
        let took = Stopwatch::start();
        let tally = attack.await;
        go_on.store(false, Ordering::Relaxed);
        let waits = honest.await.unwrap();
        let peak = peak_memory(&self.server);
        let ms = |waits: &Histogram<u64>, quantile: f64| {
            format!("{:.1}", waits.value_at_quantile(quantile) as f64 / 1e3)
        };
        figure(
            &format!("attack_{name}"),
            &[
                ("seed", self.seed.to_string()),
                ("connections", tally.connections.to_string()),
                ("refused", tally.refused.to_string()),
                ("closed", tally.closed.to_string()),
                ("slowest_end_ms", tally.slowest.as_millis().to_string()),
                ("honest", (waits.kept.len() + waits.fresh.len()).to_string()),
                ("asked_again", repeated.load(Ordering::Relaxed).to_string()),
                ("kept_p50_ms", ms(&waits.kept, 0.5)),
                ("kept_p99_ms", ms(&waits.kept, 0.99)),
                ("fresh_p50_ms", ms(&waits.fresh, 0.5)),
                ("fresh_p99_ms", ms(&waits.fresh, 0.99)),
                ("memory_before_mib", before.to_string()),
                ("memory_peak_mib", peak.to_string()),
                ("seconds", took.elapsed().as_secs().to_string()),
            ],
        );
        assert!(tally.borne.is_empty(), "{name}: {:?}", tally.borne);
        assert!(peak <= before + bound, "{name}: {peak} MiB at the peak, {before} MiB before");
        self.is_ready().await;
    }

    fn honest(&self, repeated: &Arc<AtomicUsize>) -> Honest {
        Honest {
            home: self.home.clone(),
            providers: self.providers.clone(),
            answers: Arc::clone(&self.answers),
            numbers: Arc::clone(&self.numbers),
            repeated: Arc::clone(repeated),
        }
    }

    async fn is_ready(&self) {
        let answer = self.home.client.get(self.home.url("/readyz")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "the server is not ready after the attack");
    }

    async fn leave_well(&mut self) {
        assert!(self.server.child.try_wait().unwrap().is_none(), "the server ended");
        let answers = self.answers.lock().unwrap().clone();
        assert!(
            answers.created.len() > 50 && answers.acked.len() > 50,
            "there was too little to tell anything"
        );
        let wrong = violations(&answers, &self.providers.requests(), &self.home.everything().await);
        assert!(wrong.is_empty(), "{} violations: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    }
}

/// An honest client: creates, reports and reads at a fixed rate, regardless of earlier responses.
struct Honest {
    home: Home,
    providers: Providers,
    answers: Arc<Mutex<Answers>>,
    numbers: Arc<AtomicUsize>,
    /// The number of failed requests on new connections.
    repeated: Arc<AtomicUsize>,
}

/// In microseconds from the scheduled time of the request.
struct Waits {
    /// On kept connections.
    kept: Histogram<u64>,
    /// On new connections.
    fresh: Histogram<u64>,
}

impl Honest {
    async fn run(self, go_on: Arc<AtomicBool>) -> Waits {
        let new = || Histogram::new_with_bounds(1, 60_000_000, 3).unwrap();
        let waits = Arc::new(Mutex::new(Waits { kept: new(), fresh: new() }));
        let me = Arc::new(self);
        let interval = Duration::from_micros(1_000_000 / HONEST_A_SECOND);
        let (running, mut asking, mut n) = (Stopwatch::start(), JoinSet::new(), 0_u32);
        while go_on.load(Ordering::Relaxed) {
            tokio::time::sleep((interval * n).saturating_sub(running.elapsed())).await;
            let due = interval * n;
            let (me, waits) = (Arc::clone(&me), Arc::clone(&waits));
            asking.spawn(async move {
                let is_fresh = me.ask(n).await;
                let wait = u64::try_from((running.elapsed() - due).as_micros()).unwrap();
                let mut waits = waits.lock().unwrap();
                let waits = if is_fresh { &mut waits.fresh } else { &mut waits.kept };
                waits.saturating_record(wait);
            });
            n += 1;
        }
        while let Some(asked) = asking.join_next().await {
            asked.unwrap();
        }
        Arc::into_inner(waits).unwrap().into_inner().unwrap()
    }

    /// Returns `true` if it needed a new connection.
    async fn ask(&self, n: u32) -> bool {
        match n % 3 {
            0 => self.create().await,
            1 => self.report().await,
            _ => {
                while !self.is_ready().await {
                    self.repeated.fetch_add(1, Ordering::Relaxed);
                }
                return true;
            }
        }
        false
    }

    /// Uses a new connection. Returns `false` if the request failed.
    async fn is_ready(&self) -> bool {
        let request = b"GET /readyz HTTP/1.1\r\nhost: twotick\r\nconnection: close\r\n\r\n";
        let Ok(mut stream) = TcpStream::connect(self.home.addr).await else { return false };
        let mut answer = String::new();
        let asked = stream.write_all(request).await.is_ok();
        asked
            && stream.read_to_string(&mut answer).await.is_ok()
            && End::of(answer.as_bytes()) == End::Answered(200)
    }

    async fn create(&self) {
        let n = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (to, client_ref) = (format!("+491522{n:07}"), format!("ref-{n}"));
        let body = json!({ "to": to, "client_ref": client_ref });
        let asked = Asked { client_ref: client_ref.clone(), at: Moment::now() };
        self.answers.lock().unwrap().asked.push(asked);
        let created = created(&self.home, &body, &client_ref).await;
        let (id, version) =
            (created["id"].as_str().unwrap().to_owned(), created["version"].as_u64().unwrap());
        let created = Created { id, client_ref, to, version, at: Moment::now() };
        self.answers.lock().unwrap().created.push(created);
    }

    async fn report(&self) {
        let newest = self.providers.requests().into_iter().rfind(|seen| seen.channel == "whatsapp");
        let Some(seen) = newest else { return };
        assert_eq!(report(&self.home, &seen, "delivered").await, 200);
        let (reference, status) = (seen.reference, "delivered".to_owned());
        let acked = Acked { reference, status, named_ours: true, at: Moment::now() };
        self.answers.lock().unwrap().acked.push(acked);
    }
}

/// The end of a connection, its duration, and its name.
pub type Ended = (End, Duration, &'static str);

async fn all(mut attacking: JoinSet<Ended>, what: &str) -> Tally {
    let mut tally = Tally::default();
    while let Some(ended) = attacking.join_next().await {
        let (end, took, name) = ended.unwrap();
        tally.count(end, took, if name.is_empty() { what } else { name });
    }
    tally
}

/// Waits until the peer closes.
async fn end_of(stream: &mut TcpStream, limit: Duration) -> End {
    let mut answer = Vec::new();
    match tokio::time::timeout(limit, stream.read_to_end(&mut answer)).await {
        Ok(_) => End::of(&answer),
        Err(_) => End::Open,
    }
}

impl End {
    fn of(answer: &[u8]) -> Self {
        let status = answer.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
        let status = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        status.map_or(Self::Closed, Self::Answered)
    }
}

/// Sends a few bytes every half second.
async fn drip(addr: SocketAddr, name: &'static str, begin: &'static [u8], piece: &'static [u8]) -> Ended {
    let Ok(mut stream) = TcpStream::connect(addr).await else { return (End::Closed, Duration::ZERO, name) };
    let took = Stopwatch::start();
    let (mut reader, mut writer) = stream.split();
    let dripping = async {
        let _ = writer.write_all(begin).await;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            // Fails once the peer has closed, which the reader notices.
            let _ = writer.write_all(piece).await;
        }
    };
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(LIMIT, reader.read_to_end(&mut answer));
    let end = tokio::select! {
        read = reading => if read.is_ok() { End::of(&answer) } else { End::Open },
        () = dripping => End::Open,
    };
    (end, took.elapsed(), name)
}

/// Requests large responses without reading them. The kernel closes these connections without notice, so the list of
/// connections is checked.
async fn never_read(addr: SocketAddr, connections: usize) -> Ended {
    let took = Stopwatch::start();
    let ask = b"GET /openapi.json HTTP/1.1\r\nhost: twotick\r\n\r\n".repeat(64);
    let mut streams = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // Sent immediately, regardless of the responses.
        let _ = tokio::time::timeout(AT_ONCE, stream.write_all(&ask)).await;
        streams.push(stream);
    }
    let ports: Vec<_> = streams.iter().map(|stream| stream.local_addr().unwrap().port()).collect();
    while took.elapsed() < LIMIT {
        // Rarely, because the list is expensive for the kernel.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let ports = ports.clone();
        let left = tokio::task::spawn_blocking(move || still_connected(addr.port(), &ports)).await.unwrap();
        if left == 0 {
            return (End::Closed, took.elapsed(), "who does not read");
        }
    }
    (End::Open, took.elapsed(), "who does not read")
}

async fn unfinished(addr: SocketAddr) -> Ended {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let took = Stopwatch::start();
    let head = format!(
        "POST /webhooks/whatsapp HTTP/1.1\r\nhost: twotick\r\nx-hub-signature-256: sha256={}\r\n\
         content-length: {}\r\n\r\n",
        "0".repeat(64),
        3 * MIB,
    );
    let (mut reader, mut writer) = stream.split();
    let writing = async {
        let _ = writer.write_all(head.as_bytes()).await;
        let _ = writer.write_all(&vec![b' '; 3 * MIB - 1]).await;
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(LIMIT, reader.read_to_end(&mut answer));
    let end = tokio::select! {
        read = reading => if read.is_ok() { End::of(&answer) } else { End::Open },
        () = writing => End::Open,
    };
    (end, took.elapsed(), "")
}

async fn say_nothing(addr: SocketAddr) -> Ended {
    // Beyond the listener's backlog, connections are not even established.
    let connecting = tokio::time::timeout(LIMIT, TcpStream::connect(addr)).await;
    let Ok(Ok(mut stream)) = connecting else { return (End::Closed, Duration::ZERO, "") };
    let took = Stopwatch::start();
    let end = end_of(&mut stream, LIMIT * 2).await;
    (end, took.elapsed(), "")
}

async fn say(addr: SocketAddr, name: &'static str, bytes: Vec<u8>) -> Ended {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let took = Stopwatch::start();
    let (mut reader, mut writer) = stream.split();
    let writing = async {
        let _ = writer.write_all(&bytes).await;
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(AT_ONCE, reader.read_to_end(&mut answer));
    let end = tokio::select! {
        read = reading => if read.is_ok() { End::of(&answer) } else { End::Open },
        () = writing => End::Open,
    };
    let text = String::from_utf8_lossy(&answer);
    assert!(!text.contains(" 200 OK"), "{name}: something in it was answered: {text}");
    (end, took.elapsed(), name)
}

/// Sends until it is refused.
async fn endless(addr: SocketAddr, name: &'static str, begin: &'static [u8], letter: u8) -> Ended {
    let block = if letter == b'\n' { b"x-a: b\r\n".repeat(8 * 1024) } else { vec![letter; 64 * 1024] };
    pour(addr, name, begin, block).await
}

async fn endless_chunks(addr: SocketAddr) -> Ended {
    let begin = b"POST /webhooks/whatsapp HTTP/1.1\r\nhost: twotick\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut block = b"10000\r\n".to_vec();
    block.extend_from_slice(&[b'a'; 64 * 1024]);
    block.extend_from_slice(b"\r\n");
    pour(addr, "endless chunks", begin, block).await
}

async fn pour(addr: SocketAddr, name: &'static str, begin: &'static [u8], block: Vec<u8>) -> Ended {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let took = Stopwatch::start();
    let (mut reader, mut writer) = stream.split();
    let pouring = async {
        let _ = writer.write_all(begin).await;
        while writer.write_all(&block).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(AT_ONCE, reader.read_to_end(&mut answer));
    let end = tokio::select! {
        read = reading => if read.is_ok() { End::of(&answer) } else { End::Open },
        () = pouring => End::Open,
    };
    (end, took.elapsed(), name)
}

/// Ten thousand connections with both ends in one process.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(allowed > IDLE as u64 + 2_000, "only {allowed} files may be open: raise `ulimit -Hn`");
}
