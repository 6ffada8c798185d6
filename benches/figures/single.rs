//! An idle server: its memory and processor usage, and the latency of a single create.

use std::path::Path;
use std::time::Duration;

use twotick::clock::Stopwatch;

use crate::load::{self, Pace};
use crate::providers::Providers;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::{Outcome, disk, machine, orders};

/// Enough for the startup work to finish.
const SETTLED_AFTER: Duration = Duration::from_secs(4);
/// Long enough for the resolution of processor times: a tick is a thirtieth of a per cent.
const WATCHED_FOR: Duration = Duration::from_secs(30);
const CREATES: usize = 400;
/// The pause after each response, so that every create finds the server idle; otherwise it would also wait for the
/// record of the previous send.
const APART: Duration = Duration::from_millis(10);

pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let idle = Server::start_default(&folder.join("idle"))?;
    std::thread::sleep(SETTLED_AFTER);
    let (watch, busy) = (Stopwatch::start(), machine::busy_seconds(idle.pid()));
    std::thread::sleep(WATCHED_FOR);
    let share = (machine::busy_seconds(idle.pid()) - busy) / watch.elapsed().as_secs_f64();
    let resident = machine::resident_mib(idle.pid());
    let name = "idle server with the default configuration";
    report.figure(&format!("{name}, resident"), resident, "MiB", Goal::AtMost(30.0 * 1e6 / 1_048_576.0));
    report.figure(&format!("{name}, share of a core"), share * 100.0, "%", Goal::AtMost(0.3));
    drop(idle);

    let providers = Providers::start()?;
    let server = Server::start(&folder.join("single"), providers.addr)?;
    let requests: Vec<_> = (0..CREATES).map(|index| orders::create(index, "meta0")).collect();
    let before = disk::probe(folder)?;
    let run = load::run(server.addr, 1, Pace::Rested(APART), &requests, |_, _| {})?;
    let d = millis((before + disk::probe(folder)?) / 2);
    report.note("D, the median of fdatasync after appending 4 KiB", d, "ms");
    report.figure("single create, median", run.wait_ms(0.5), "ms", Goal::AtMost(2.0 * d + 1.0));
    report.note("single create, p99", run.wait_ms(0.99), "ms");
    Ok(())
}

pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
