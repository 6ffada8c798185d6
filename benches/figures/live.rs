//! A million live verifications: memory per verification, and the lateness of fallbacks under half of the maximum
//! webhook load.

use std::collections::HashMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use twotick::clock::Stopwatch;
use twotick::verification::values::{Timestamp, VerificationId};

use crate::Outcome;
use crate::fill::{Filled, Plan};
use crate::load::{self, Pace, Run};
use crate::machine;
use crate::orders::{self, Created};
use crate::polls::median;
use crate::providers::{Provider, Providers};
use crate::report::{Goal, Report};
use crate::server::{DELIVER_WITHIN, Server};
use crate::stock::Stock;

const LIVE: usize = 1_000_000;
/// Verifications that fall back during the run.
const PENDING: usize = 10_000;
/// Spreads 10,000 creates over the deadline of 30 s, so that all are pending before the first falls back.
const APART: Duration = Duration::from_micros(2_900);
const CONNECTIONS: usize = 32;
const TRIALS: usize = 3;
/// Webhooks per trial for finding the maximum rate.
const TRIAL: usize = 20_000;
/// After the last deadline, enough for every SMS to arrive.
const LATEST: Duration = Duration::from_secs(20);
/// The duration of the webhook load: from the first create until after the last fallback.
const MEANWHILE: Duration = Duration::from_secs(62);
const SETTLED_AFTER: Duration = Duration::from_secs(5);

pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let live = report.share_of(LIVE);
    let providers = Providers::start()?;
    let empty = Server::start(&folder.join("empty"), providers.addr)?;
    thread::sleep(SETTLED_AFTER);
    let before = machine::resident_mib(empty.pid());
    drop(empty);
    let folder = folder.join("live");
    let mut stock = Stock::of(Filled::make(&folder, Plan { finished: 0, live })?.close()?);
    let server = Server::start(&folder, providers.addr)?;
    thread::sleep(SETTLED_AFTER);
    let resident = machine::resident_mib(server.pid());
    let each = (resident - before) * 1024.0 * 1024.0 / live as f64;
    report.note(&format!("resident with {live} live"), resident, "MiB");
    report.figure(&format!("memory of a live verification, {live} live"), each, "B", Goal::AtMost(700.0));
    let mut rates = Vec::new();
    for _ in 0..TRIALS {
        let trial = stock.webhooks(report.share_of(TRIAL))?;
        rates.push(load::run(server.addr, 128, Pace::Closed, &trial, |_, _| {})?.rate());
    }
    let half = median(&mut rates) / 2.0;
    report.note(&format!("durable webhooks at 128 connections, {live} live"), half * 2.0, "/s");
    let webhooks = ((half * MEANWHILE.as_secs_f64()) as usize).min(stock.left());
    let webhooks = stock.webhooks(webhooks)?;
    let addr = server.addr;
    let beside = thread::spawn(move || load::run(addr, 128, Pace::a_second(half), &webhooks, |_, _| {}));
    let (late, creates) = lateness(&server, &providers)?;
    let beside = beside.join().map_err(|_| "the webhooks' thread panicked")??;
    let name = format!("fallbacks at the carrier's door, {live} live, {half:.0} webhooks/s");
    let at = |quantile| late.value_at_quantile(quantile) as f64 / 1e3;
    report.note(&format!("{name}, late p50"), at(0.5), "ms");
    report.figure(&format!("{name}, late p99"), at(0.99), "ms", Goal::AtMost(10.0));
    report.figure(&format!("{name}, late at most"), late.max() as f64 / 1e3, "ms", Goal::AtMost(100.0));
    report.note("webhooks meanwhile, p99", beside.wait_ms(0.99), "ms");
    report.note("creates meanwhile, p99", creates.wait_ms(0.99), "ms");
    let name = "creates meanwhile, at most: those that come while sled is opened anew wait for it";
    report.figure(name, creates.wait_ms(1.0), "ms", Goal::AtMost(1_000.0));
    let curves = [("fallbacks, after their deadline", &late), ("webhooks meanwhile", &beside.waits)];
    report.curves("live", &format!("{live} live, webhooks at half of the most"), &curves)?;
    let pauses = server.reopenings_ms()?;
    report.note(
        "times that sled was opened anew meanwhile, so that its log stays short",
        pauses.len() as f64,
        "",
    );
    if let Some(&longest) = pauses.iter().max() {
        report.note("the longest time that took, beside the turns", longest as f64, "ms");
    }
    let metrics = server.metrics()?;
    for bound in ["0.005", "0.01", "0.1"] {
        let share = within(&metrics, bound).ok_or("twotick_deadline_lateness_seconds is missing")?;
        let name = format!("fallbacks durable within {bound} s (twotick_deadline_lateness_seconds)");
        report.note(&name, share * 100.0, "%");
    }
    Ok(())
}

/// The lateness of fallbacks in microseconds, rounded to milliseconds. A fallback counts when its SMS reaches the
/// carrier; then it is durable, including the intent to send.
fn lateness(server: &Server, providers: &Providers) -> Outcome<(Histogram<u64>, Run)> {
    let requests: Vec<_> = (0..PENDING).map(|index| orders::create(index, "fallback")).collect();
    let mut due: HashMap<VerificationId, Timestamp> = HashMap::with_capacity(PENDING);
    let creates = load::run(server.addr, CONNECTIONS, Pace::Every(APART), &requests, |_, body| {
        if let Some(Created { message, fallback_at: Some(at) }) = Created::read(body) {
            due.insert(message.verification(), at);
        }
    })?;
    if due.len() != PENDING {
        return Err("not all verifications were created".into());
    }
    let watch = Stopwatch::start();
    while providers.count(Provider::Carrier) < PENDING {
        if watch.elapsed() > DELIVER_WITHIN + LATEST {
            return Err("a fallback is missing".into());
        }
        thread::sleep(Duration::from_millis(200));
    }
    let mut late = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
    for taken in providers.take() {
        if let (Provider::Carrier, Some(due)) = (taken.by, due.get(&taken.message.verification())) {
            late.saturating_record(u64::try_from(taken.at.since(*due).as_micros())?);
        }
    }
    Ok((late, creates))
}

/// The share of deadlines that were durable within `bound` seconds.
fn within(metrics: &str, bound: &str) -> Option<f64> {
    let value = |label: &str| -> Option<f64> {
        let line = metrics
            .lines()
            .find(|line| line.starts_with(&format!("twotick_deadline_lateness_seconds{label}")))?;
        line.rsplit_once(' ')?.1.parse().ok()
    };
    Some(value(&format!("_bucket{{le=\"{bound}\"}}"))? / value("_count")?)
}
