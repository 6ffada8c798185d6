//! Clients that poll in a closed loop under half of the maximum webhook load.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use twotick::verification::values::VerificationId;

use crate::Outcome;
use crate::ceiling::Ceiling;
use crate::load::{self, Pace};
use crate::orders;
use crate::providers::Providers;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::stock::Stock;

const MESSAGES: usize = 120_000;
/// Verifications that are polled, and do not change meanwhile.
const ASKED_FOR: usize = 10_000;
/// Webhooks per trial for finding the maximum rate.
const TRIAL: usize = 30_000;
const CONNECTIONS: usize = 128;
const WINDOWS: usize = 3;
const WINDOW: Duration = Duration::from_secs(4);

pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let folder = folder.join("polls");
    let mut stock = Stock::make(&folder, MESSAGES)?;
    let asked_for: Vec<_> = stock.part(ASKED_FOR).into_iter().map(|message| message.verification()).collect();
    let server = Server::start(&folder, Providers::start()?.addr)?;
    let ceiling = Ceiling::start()?;
    let polls = polls(&server, &asked_for)?;
    let trial = stock.webhooks(TRIAL)?;
    let half = load::run(server.addr, CONNECTIONS, Pace::Closed, &trial, |_, _| {})?.rate() / 2.0;
    let mut ratios = Vec::new();
    let mut rates = Vec::new();
    for _ in 0..WINDOWS {
        let of_ceiling =
            || load::run_for(ceiling.addr, CONNECTIONS, WINDOW / 2, &trial).map(|run| run.rate());
        let before = of_ceiling()?;
        let webhooks = stock.webhooks((half * WINDOW.as_secs_f64()) as usize)?;
        let addr = server.addr;
        let beside = thread::spawn(move || {
            load::run(addr, CONNECTIONS, Pace::a_second(half), &webhooks, |_, _| {})
                .map(|run| run.wait_ms(0.99))
        });
        let asked = load::run_for(server.addr, CONNECTIONS, WINDOW, &polls)?;
        let webhooks_p99 = beside.join().map_err(|_| "the webhooks' thread panicked")??;
        let ceiling_rate = (before + of_ceiling()?) / 2.0;
        println!(
            "  {:.0} polls/s of {ceiling_rate:.0}/s, p99 {:.1} ms, beside {half:.0} webhooks/s, p99 {webhooks_p99:.1} ms",
            asked.rate(),
            asked.wait_ms(0.99)
        );
        ratios.push(asked.rate() / ceiling_rate);
        rates.push(asked.rate());
    }
    report.note("polls (GET, 304) beside half of the most webhooks", median(&mut rates), "/s");
    let name = "polls (GET, 304) beside half of the most webhooks, ratio to the ceiling's rate alone";
    report.figure(name, median(&mut ratios), "", Goal::AtLeast(0.6));
    Ok(())
}

/// One poll per verification, with its current version.
fn polls(server: &Server, asked_for: &[VerificationId]) -> Outcome<Vec<Vec<u8>>> {
    let unknown: Vec<_> = asked_for.iter().map(|&id| orders::poll(id, "\"0\"", 0)).collect();
    let mut polls = vec![Vec::new(); asked_for.len()];
    load::run(server.addr, 8, Pace::Closed, &unknown, |index, body| {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let version = format!("\"{}\"", json["version"]);
        polls[index] = orders::poll(asked_for[index], &version, 0);
    })?;
    Ok(polls)
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
