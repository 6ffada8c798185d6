//! Webhooks per second, each durable before its response, relative to the ceiling; also in batches, and their latency
//! at half of the maximum rate.

use std::path::Path;

use crate::ceiling::Ceiling;
use crate::load::{self, Pace, Run};
use crate::machine::{self, Usage};
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::single::millis;
use crate::stock::Stock;
use crate::{Outcome, disk, providers};

const MESSAGES: usize = 150_000;
/// Connections, and the required ratio to the ceiling's rate.
const LEVELS: [(usize, f64); 2] = [(32, 0.30), (128, 0.40)];
const WINDOWS: usize = 3;
/// Requests per window.
const REQUESTS: usize = 40_000;
/// Requests per window, half of them before and half after the durable ones.
const CEILING_REQUESTS: usize = 100_000;
const STALE_REQUESTS: usize = 20_000;
const BATCHES: usize = 1_000;
const BATCH: usize = 100;
const PACED_SECONDS: f64 = 12.0;

pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let folder = folder.join("webhooks");
    let mut stock = Stock::make(&folder, MESSAGES)?;
    let server = Server::start(&folder, providers::Providers::start()?.addr)?;
    let ceiling = Ceiling::start()?;
    let mut windows: [Vec<Window>; LEVELS.len()] = Default::default();
    let mut again = Vec::new();
    for _ in 0..WINDOWS {
        for (windows, (connections, _)) in windows.iter_mut().zip(LEVELS) {
            let requests = stock.webhooks(REQUESTS)?;
            windows.push(Window::measure(&folder, &server, &ceiling, connections, &requests)?);
            again = requests;
        }
    }
    let curves: Vec<_> = windows.iter().map(|windows| all_waits(windows)).collect();
    let mut most = 0.0;
    for (windows, (connections, goal)) in windows.iter_mut().zip(LEVELS) {
        most = tell(report, connections, goal, windows);
    }
    paced(&server, &mut stock, most, report, &curves)?;
    batches(&server, &mut stock, most, report)?;
    let stale = load::run(server.addr, 128, Pace::Closed, &again[..STALE_REQUESTS], |_, _| {})?;
    report.note("webhooks a second at 128 connections, stale ones", stale.rate(), "/s");
    require_all_applied(&server, &stock)
}

/// The server, with the ceiling measured right before and after, because the machine's speed drifts.
struct Window {
    /// Requests per second.
    ceiling: f64,
    durable: Run,
    d_ms: f64,
    /// Processor time of the server and the ceiling per webhook, in microseconds.
    cost_us: f64,
    ceiling_cost_us: f64,
    /// The average number of processors kept busy by others.
    others: f64,
}

impl Window {
    fn measure(
        folder: &Path,
        server: &Server,
        ceiling: &Ceiling,
        connections: usize,
        requests: &[Vec<u8>],
    ) -> Outcome<Self> {
        let again: Vec<_> = requests.iter().cycle().take(CEILING_REQUESTS / 2).cloned().collect();
        let d_before = disk::probe(folder)?;
        let usage = Usage::start(&[server.pid(), ceiling.pid()]);
        let of_ceiling = || load::run(ceiling.addr, connections, Pace::Closed, &again, |_, _| {});
        let (busy, ceiling_busy) =
            (machine::busy_seconds(server.pid()), machine::busy_seconds(ceiling.pid()));
        let ceiling_before = of_ceiling()?;
        let durable = load::run(server.addr, connections, Pace::Closed, requests, |_, _| {})?;
        let cost_us = (machine::busy_seconds(server.pid()) - busy) * 1e6 / requests.len() as f64;
        let ceiling_after = of_ceiling()?;
        let ceiling_busy = machine::busy_seconds(ceiling.pid()) - ceiling_busy;
        let both = 2.0 * again.len() as f64;
        Ok(Self {
            ceiling: both / (ceiling_before.took + ceiling_after.took).as_secs_f64(),
            durable,
            others: usage.others(),
            d_ms: millis((d_before + disk::probe(folder)?) / 2),
            cost_us,
            ceiling_cost_us: ceiling_busy * 1e6 / both,
        })
    }

    fn ratio(&self) -> f64 {
        self.durable.rate() / self.ceiling
    }
}

fn all_waits(windows: &[Window]) -> hdrhistogram::Histogram<u64> {
    let mut all = windows[0].durable.waits.clone();
    for window in &windows[1..] {
        all += &window.durable.waits;
    }
    all
}

/// Reports the medians over the windows of one level. Returns the durable rate.
fn tell(report: &mut Report, connections: usize, goal: f64, windows: &mut [Window]) -> f64 {
    for window in &*windows {
        println!(
            "  {connections} connections: {:.0}/s of {:.0}/s, D {:.3} ms, others kept {:.2} processors busy",
            window.durable.rate(),
            window.ceiling,
            window.d_ms,
            window.others
        );
    }
    let mut median = |of: fn(&Window) -> f64| {
        windows.sort_by(|a, b| of(a).total_cmp(&of(b)));
        of(&windows[windows.len() / 2])
    };
    let rate = median(|window| window.durable.rate());
    let name = |what: &str| format!("durable webhooks at {connections} connections, {what}");
    let notes = [
        ("a second", rate, "/s"),
        ("the ceiling", median(|window| window.ceiling), "/s"),
        ("the server's processor time for one", median(|window| window.cost_us), "µs"),
        ("the ceiling's", median(|window| window.ceiling_cost_us), "µs"),
        ("p50", median(|window| window.durable.wait_ms(0.5)), "ms"),
        ("p99", median(|window| window.durable.wait_ms(0.99)), "ms"),
        ("D meanwhile", median(|window| window.d_ms), "ms"),
        ("processors that others kept busy", median(|window| window.others), ""),
    ];
    let ratio = median(Window::ratio);
    let p50 = median(|window| window.durable.wait_ms(0.5) / window.d_ms);
    let p99 = median(|window| window.durable.wait_ms(0.99) / window.d_ms);
    notes.into_iter().for_each(|(what, value, unit)| report.note(&name(what), value, unit));
    report.figure(&name("ratio to the ceiling"), ratio, "", Goal::AtLeast(goal));
    match connections {
        32 => report.figure(&name("median answer"), p50, "D", Goal::AtMost(6.0)),
        _ => report.figure(&name("p99"), p99, "D", Goal::AtMost(40.0)),
    }
    rate
}

/// Open loop: a fixed arrival rate, independent of the server.
fn paced(
    server: &Server,
    stock: &mut Stock,
    most: f64,
    report: &mut Report,
    closed: &[hdrhistogram::Histogram<u64>],
) -> Outcome<()> {
    let rate = most / 2.0;
    let count = (rate * PACED_SECONDS) as usize;
    let requests = stock.webhooks(count.min(stock.left() - BATCHES * BATCH))?;
    let run = load::run(server.addr, 128, Pace::a_second(rate), &requests, |_, _| {})?;
    let name = |what: &str| format!("webhooks at half of the most, open loop, {what}");
    report.note(&name("a second"), rate, "/s");
    report.figure(&name("p50"), run.wait_ms(0.5), "ms", Goal::AtMost(10.0));
    report.figure(&name("p99"), run.wait_ms(0.99), "ms", Goal::AtMost(30.0));
    report.figure(&name("p99.9"), run.wait_ms(0.999), "ms", Goal::AtMost(250.0));
    let curves = [
        ("open loop, half of the most", &run.waits),
        ("closed loop, 32 connections", &closed[0]),
        ("closed loop, 128 connections", &closed[1]),
    ];
    report.curves("webhooks", "What a webhook waits until it is durable and answered", &curves)
}

fn batches(server: &Server, stock: &mut Stock, most: f64, report: &mut Report) -> Outcome<()> {
    let requests = stock.batches(BATCHES, BATCH)?;
    let run = load::run(server.addr, 32, Pace::Closed, &requests, |_, _| {})?;
    let statuses = run.rate() * BATCH as f64;
    let goal = Goal::AtLeast((most * 1.2).min(35_000.0));
    report.figure("durable statuses in webhooks of 100, 32 connections", statuses, "/s", goal);
    report.note("webhooks of 100 statuses, p99", run.wait_ms(0.99), "ms");
    Ok(())
}

/// Fails unless every status was new for its message; otherwise the figure would be void.
fn require_all_applied(server: &Server, stock: &Stock) -> Outcome<()> {
    let (applied, expected) = (server.metric("standing=\"applied\"")?, stock.all_told as f64);
    if applied != expected {
        return Err(format!("{applied} statuses were new for their messages, not {expected}").into());
    }
    Ok(())
}
