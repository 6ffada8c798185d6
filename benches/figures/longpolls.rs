//! A hundred thousand clients in long polls: the memory per poll and the latency of a notification.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use twotick::clock::Stopwatch;

use crate::Outcome;
use crate::load::{self, Pace};
use crate::machine;
use crate::orders::{self, Status};
use crate::providers::Providers;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::stock::Stock;

const WAITING: usize = 100_000;
/// The maximum duration of a poll.
const WAIT_SECONDS: usize = 60;
/// Connections per source address; Linux offers 28,000 ports.
const AN_ADDRESS: usize = 20_000;
/// Waiting polls that receive a notification.
const WOKEN: usize = 4_000;
const WOKEN_A_SECOND: f64 = 500.0;
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// For all other files of the two processes.
const OTHER_FILES: u64 = 2_000;

pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let waiting = report.share_of(WAITING).min(usize::try_from(allowed_files()? - OTHER_FILES)?);
    let folder = folder.join("longpolls");
    let messages = Stock::make(&folder, waiting)?.part(waiting);
    let server = Server::start(&folder, Providers::start()?.addr)?;
    let mut version = String::new();
    let first = orders::poll(messages[0].verification(), "\"0\"", 0);
    load::run(server.addr, 1, Pace::Closed, &[first], |_, body| {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        version = format!("\"{}\"", json["version"]);
    })?;
    thread::sleep(SETTLED_AFTER);
    let before = machine::resident_mib(server.pid());
    let watch = Stopwatch::start();
    let mut waiters = Waiters::new()?;
    for (place, message) in messages.iter().enumerate() {
        waiters.add(server.addr, place, &orders::poll(message.verification(), &version, WAIT_SECONDS))?;
    }
    report.note("long polls, until all of them wait", watch.elapsed().as_secs_f64(), "s");
    thread::sleep(SETTLED_AFTER);
    let each = (machine::resident_mib(server.pid()) - before) * 1024.0 / waiting as f64;
    report.figure(
        &format!("memory of a long poll, {waiting} waiting"),
        each,
        "KiB",
        Goal::AtMost(12_000.0 / 1_024.0),
    );
    let woken = report.share_of(WOKEN).min(waiting);
    let webhooks: Vec<_> = messages[..woken]
        .iter()
        .map(|&message| orders::webhook("meta0", &[(message, Status::Sent)]))
        .collect();
    let heard = waiters.wake(server.addr, &webhooks)?;
    let at = |quantile| heard.value_at_quantile(quantile) as f64 / 1e3;
    let name = format!("long polls, from the webhook's departure to the news, {waiting} waiting");
    report.note(&format!("{name}, p50"), at(0.5), "ms");
    report.figure(&format!("{name}, p99"), at(0.99), "ms", Goal::AtMost(50.0));
    report.curves("longpolls", &format!("{waiting} long polls waiting"), &[("until the news", &heard)])
}

/// The maximum number of open files for this process and its children.
fn allowed_files() -> io::Result<u64> {
    let most = Rlimit { current: Some(WAITING as u64 * 2), maximum: Some(WAITING as u64 * 2) };
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if maximum.is_some_and(|maximum| maximum < WAITING as u64 * 2)
        && setrlimit(Resource::Nofile, most).is_ok()
    {
        return Ok(WAITING as u64 * 2);
    }
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum.unwrap_or(WAITING as u64 * 2))
}

struct Waiters {
    poll: Poll,
    streams: Vec<TcpStream>,
}

impl Waiters {
    fn new() -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, streams: Vec::new() })
    }

    fn add(&mut self, to: SocketAddr, place: usize, request: &[u8]) -> io::Result<()> {
        let last = u8::try_from(2 + place / AN_ADDRESS).map_err(io::Error::other)?;
        let from = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0);
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &from)?;
        rustix::net::connect(&socket, &to)?;
        let mut stream = std::net::TcpStream::from(socket);
        stream.write_all(request)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(place), Interest::READABLE)?;
        self.streams.push(stream);
        Ok(())
    }

    /// Sends webhooks at a fixed rate for the polls in order. Returns the latency of notifications in microseconds.
    fn wake(&mut self, to: SocketAddr, webhooks: &[Vec<u8>]) -> Outcome<Histogram<u64>> {
        let mut heard = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
        let interval = Duration::from_secs_f64(1.0 / WOKEN_A_SECOND);
        let watch = Stopwatch::start();
        let telling = webhooks.to_vec();
        let telling = thread::spawn(move || {
            load::run(to, 32, Pace::Every(interval), &telling, |_, _| {}).map(|run| run.wait_ms(0.99))
        });
        let mut events = Events::with_capacity(1_024);
        let mut buffer = [0; 16 * 1024];
        while heard.len() < webhooks.len() as u64 {
            self.poll.poll(&mut events, Some(Duration::from_secs(10)))?;
            if events.is_empty() {
                return Err("news did not come".into());
            }
            for event in &events {
                let place = event.token().0;
                if !self.has_answer(place, &mut buffer)? || place >= webhooks.len() {
                    continue;
                }
                let waited = watch.elapsed().saturating_sub(interval * u32::try_from(place)?);
                heard.saturating_record(u64::try_from(waited.as_micros())?);
            }
        }
        println!(
            "  the webhooks were answered within {:.1} ms (p99)",
            telling.join().map_err(|_| "a thread panicked")??
        );
        Ok(heard)
    }

    /// Reads what is available of a response, which arrives in one piece.
    fn has_answer(&mut self, place: usize, buffer: &mut [u8]) -> io::Result<bool> {
        let mut read = 0;
        loop {
            match self.streams[place].read(&mut buffer[read..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(some) => read += some,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if !buffer[..read].starts_with(b"HTTP/1.1 200") && read > 0 {
            let text = String::from_utf8_lossy(&buffer[..read.min(200)]).into_owned();
            return Err(io::Error::other(format!("no news: {text}")));
        }
        Ok(read > 0)
    }
}
