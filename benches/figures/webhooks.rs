//! Webhooks a second, each durable before its answer, against the ceiling.

use std::path::Path;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use twotick::clock::Stopwatch;
use twotick::verification::values::MessageId;

use crate::ceiling::Ceiling;
use crate::load::{self, Pace, Run};
use crate::machine::{self, Usage};
use crate::orders::{self, Created, Status};
use crate::providers::{Provider, Providers};
use crate::report::Report;
use crate::server::{NUMBERS, Server};
use crate::single::millis;
use crate::{Outcome, disk};

/// Three statuses each, all of which the run consumes.
const MESSAGES: usize = 90_000;
/// A window of each level for every status: half of the messages with 32 connections, half with 128.
const LEVELS: [(usize, f64); 2] = [(32, 0.20), (128, 0.30)];
/// Once before and once after the durable ones.
const CEILING_REQUESTS: usize = 100_000;
const STALE_REQUESTS: usize = 20_000;
const CREATING_CONNECTIONS: usize = 64;
/// A message's next status comes at least 7/8 of all messages after its last.
const BLOCKS: usize = 8;

pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let providers = Providers::start()?;
    let server = Server::start(&folder.join("webhooks"), providers.addr)?;
    let mut messages = accepted_messages(&server, &providers, report)?;
    let ceiling = Ceiling::start()?;
    let mut rng = StdRng::seed_from_u64(2);
    messages.shuffle(&mut rng);
    let mut windows: [Vec<Window>; LEVELS.len()] = Default::default();
    for status in Status::ALL {
        let halves = messages.chunks(MESSAGES / LEVELS.len());
        for ((windows, (connections, _)), half) in windows.iter_mut().zip(LEVELS).zip(halves) {
            windows.push(Window::measure(folder, &server, &ceiling, connections, half, status)?);
        }
        mix(&mut messages, &mut rng);
    }
    for (mut windows, (connections, goal)) in windows.into_iter().zip(LEVELS) {
        report.webhooks(connections, goal, &mut windows);
    }
    let stale = requests(&messages[..STALE_REQUESTS], Status::Delivered);
    let run = load::run(server.addr, 128, Pace::Closed, &stale, |_, _| {})?;
    report.note("webhooks a second at 128 connections, stale ones", run.rate(), "/s");
    require_all_applied(&server)
}

/// The server, with the ceiling right before and right after it, since the machine's pace drifts.
pub struct Window {
    /// Requests a second.
    pub ceiling: f64,
    pub durable: Run,
    pub d_ms: f64,
    /// What the server used of the processors for one webhook, in microseconds.
    pub cost_us: f64,
    /// Processors that others kept busy meanwhile.
    pub others: f64,
}

impl Window {
    fn measure(
        folder: &Path,
        server: &Server,
        ceiling: &Ceiling,
        connections: usize,
        messages: &[Numbered],
        status: Status,
    ) -> Outcome<Self> {
        let requests = requests(messages, status);
        let again: Vec<_> = requests.iter().cycle().take(CEILING_REQUESTS).cloned().collect();
        let d_ms = millis(disk::probe(folder)?);
        let usage = Usage::start(&[server.pid(), ceiling.pid()]);
        let of_ceiling = || load::run(ceiling.addr, connections, Pace::Closed, &again, |_, _| {});
        let ceiling_before = of_ceiling()?;
        let before = machine::busy_seconds(server.pid());
        let durable = load::run(server.addr, connections, Pace::Closed, &requests, |_, _| {})?;
        let cost_us = (machine::busy_seconds(server.pid()) - before) * 1e6 / requests.len() as f64;
        let ceiling_after = of_ceiling()?;
        let ceiling = 2.0 * again.len() as f64 / (ceiling_before.took + ceiling_after.took).as_secs_f64();
        Ok(Self { ceiling, durable, d_ms, cost_us, others: usage.others() })
    }

    pub fn ratio(&self) -> f64 {
        self.durable.rate() / self.ceiling
    }
}

/// A message, with the number that sent it.
type Numbered = (usize, MessageId);

/// Made through the API, and sent.
fn accepted_messages(server: &Server, providers: &Providers, report: &mut Report) -> Outcome<Vec<Numbered>> {
    let creates: Vec<_> =
        (0..MESSAGES).map(|index| orders::create(index, &format!("meta{}", index % NUMBERS))).collect();
    let mut messages = Vec::with_capacity(MESSAGES);
    let watch = Stopwatch::start();
    load::run(server.addr, CREATING_CONNECTIONS, Pace::Closed, &creates, |index, body| {
        messages.extend(Created::read(body).map(|created| (index % NUMBERS, created.message)));
    })?;
    let name = "messages made through the API, sent and accepted by Meta's stand-in, a second";
    while metric(server, "twotick_sends_total")? < MESSAGES as f64 {
        std::thread::sleep(Duration::from_millis(100));
    }
    report.note(name, MESSAGES as f64 / watch.elapsed().as_secs_f64(), "/s");
    if messages.len() != MESSAGES || providers.count(Provider::Meta) != MESSAGES {
        return Err("not every message was made".into());
    }
    Ok(messages)
}

fn requests(messages: &[Numbered], status: Status) -> Vec<Vec<u8>> {
    let one = |&(number, message): &Numbered| orders::webhook(&format!("meta{number}"), message, status);
    messages.iter().map(one).collect()
}

/// Another order for the next status, in which no message comes soon after its last.
fn mix(messages: &mut [Numbered], rng: &mut StdRng) {
    messages.chunks_mut(MESSAGES / BLOCKS).for_each(|block| block.shuffle(rng));
}

/// A status that was not new for its message would make the figure worthless.
fn require_all_applied(server: &Server) -> Outcome<()> {
    let applied = metric(server, "standing=\"applied\"")?;
    let expected = (MESSAGES * Status::ALL.len()) as f64;
    if applied != expected {
        return Err(format!("{applied} statuses were new for their messages, not {expected}").into());
    }
    Ok(())
}

/// The sum of all metrics whose line contains `part`.
fn metric(server: &Server, part: &str) -> Outcome<f64> {
    let metrics = server.metrics()?;
    let lines = metrics.lines().filter(|line| !line.starts_with('#') && line.contains(part));
    Ok(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
}
