//! How late fallbacks are, with 10,000 verifications pending.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use twotick::clock::Stopwatch;
use twotick::verification::values::{Timestamp, VerificationId};

use crate::Outcome;
use crate::load::{self, Pace};
use crate::orders::{self, Created};
use crate::providers::{Provider, Providers};
use crate::report::{Goal, Report};
use crate::server::{DELIVER_WITHIN, Server};

const PENDING: usize = 10_000;
/// As evenly as 10,000 with a deadline of 30 s come, and all are pending before the first falls back.
const APART: Duration = Duration::from_micros(2_900);
const CONNECTIONS: usize = 32;
/// After the last deadline every SMS has long arrived.
const LATEST: Duration = Duration::from_secs(10);

/// A fallback has happened when its SMS reaches the carrier: by then it is durable, and so is the intent to send.
pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let providers = Providers::start()?;
    let server = Server::start(&folder.join("deadlines"), providers.addr)?;
    let requests: Vec<_> = (0..PENDING).map(|index| orders::create(index, "fallback")).collect();
    let mut due: HashMap<VerificationId, Timestamp> = HashMap::with_capacity(PENDING);
    load::run(server.addr, CONNECTIONS, Pace::Every(APART), &requests, |_, body| {
        if let Some(Created { message, fallback_at: Some(at) }) = Created::read(body) {
            due.insert(message.verification(), at);
        }
    })?;
    if due.len() != PENDING || providers.count(Provider::Carrier) > 0 {
        return Err("not all verifications were pending before the first fell back".into());
    }
    let watch = Stopwatch::start();
    while providers.count(Provider::Carrier) < PENDING {
        if watch.elapsed() > DELIVER_WITHIN + LATEST {
            return Err("a fallback is missing".into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut late = Histogram::<u64>::new_with_bounds(1, 60_000, 3)?;
    for (message, taken) in providers.take() {
        if let (Provider::Carrier, Some(due)) = (taken.by, due.get(&message.verification())) {
            late.saturating_record(u64::try_from(taken.at.since(*due).as_millis())?);
        }
    }
    let at = |quantile| late.value_at_quantile(quantile) as f64;
    report.note("fallback lateness to the carrier's door, 10,000 pending, p50", at(0.5), "ms");
    report.figure("fallback lateness to the carrier's door, p99", at(0.99), "ms", Goal::AtMost(10.0));
    report.figure(
        "fallback lateness to the carrier's door, maximum",
        late.max() as f64,
        "ms",
        Goal::AtMost(100.0),
    );
    let metrics = server.metrics()?;
    for bound in ["0.005", "0.01", "0.1"] {
        let share = within(&metrics, bound).ok_or("twotick_deadline_lateness_seconds is missing")?;
        report.note(
            &format!("fallbacks durable within {bound} s (twotick_deadline_lateness_seconds)"),
            share * 100.0,
            "%",
        );
    }
    Ok(())
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
