//! A million stored verifications: disk usage per verification, the memory of an idle server, and the start time after
//! a kill.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::fill::{Filled, Plan};
use crate::providers::Providers;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::{Outcome, disk, machine};

const FINISHED: usize = 1_000_000;
const LIVE: usize = 100_000;
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// A single process writes everything and is then killed, so the start has to replay the whole log.
pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let (finished, live) = (report.share_of(FINISHED), report.share_of(LIVE));
    let folder = folder.join("stored");
    let filled = Filled::make(&folder, Plan { finished, live })?;
    let (events, bytes) = (filled.events, filled.bytes / finished as f64);
    report.note("events of a finished verification, one fallback in ten", events, "");
    report.figure("bytes on disk for a finished verification", bytes, "B", Goal::AtMost(4_096.0));
    filled.kill()?;
    let providers = Providers::start()?;
    let cold = disk::forget(&folder)?;
    let server = Server::start(&folder, providers.addr)?;
    let name = format!("ready after SIGKILL, {finished} stored and {live} live, {cold}");
    report.figure(&name, server.ready_after.as_secs_f64(), "s", Goal::AtMost(5.0));
    thread::sleep(SETTLED_AFTER);
    let resident = machine::resident_mib(server.pid());
    let name = format!("resident, idle, {finished} stored and {live} live");
    report.figure(&name, resident, "MiB", Goal::AtMost(300.0 * 1e6 / 1_048_576.0));
    server.kill()?;
    disk::forget(&folder)?;
    let server = Server::start(&folder, providers.addr)?;
    report.note("ready after another SIGKILL", server.ready_after.as_secs_f64(), "s");
    drop(server);
    fs::remove_dir_all(folder)?;
    Ok(())
}
