//! Alternatives that a developer would write in a day, under the same load: Express with SQLite, and FastAPI with PostgreSQL,
//! each durable before the response. Their dependencies come from npm, PyPI and the system's packages.

mod express;
mod fastapi;

use std::path::Path;

use crate::Outcome;
use crate::load::{self, Pace};
use crate::polls::median;
use crate::providers::Providers;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::stock::Stock;

const MESSAGES: usize = 90_000;
const CONNECTIONS: usize = 128;
/// Requests per window of twotick.
const REQUESTS: usize = 30_000;
/// Requests per window of the others, which take about as long.
const THEIR_REQUESTS: usize = 8_000;
const WINDOWS: usize = 3;
const TIMES: f64 = 10.0;

/// A server that listens on an address until it is dropped.
trait Handler {
    fn addr(&self) -> std::net::SocketAddr;
}

/// A running server, or the reason why it is not available here.
type Started = Result<Box<dyn Handler>, String>;

pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let folder = folder.join("day");
    let mut stock = Stock::make(&folder, MESSAGES)?;
    let server = Server::start(&folder, Providers::start()?.addr)?;
    let mut ours = |windows: usize| -> Outcome<(Vec<f64>, Vec<Vec<u8>>)> {
        let (mut rates, mut requests) = (Vec::new(), Vec::new());
        for _ in 0..windows {
            requests = stock.webhooks(REQUESTS)?;
            rates.push(load::run(server.addr, CONNECTIONS, Pace::Closed, &requests, |_, _| {})?.rate());
        }
        Ok((rates, requests))
    };
    type Start = fn(&Path) -> Started;
    let handlers: [(&str, Start); 3] = [
        ("Express + SQLite (WAL, synchronous=FULL), one process", |folder| express::start(folder, 1)),
        ("Express + SQLite (WAL, synchronous=FULL), two processes", |folder| express::start(folder, 2)),
        ("FastAPI + PostgreSQL (synchronous_commit=on), two processes", |folder| fastapi::start(folder, 2)),
    ];
    for (name, start) in handlers {
        let (mut our_rates, requests) = ours(WINDOWS)?;
        let handler = match start(&folder) {
            Ok(handler) => handler,
            Err(why) => {
                report.not_run(&format!("durable webhooks at 128 connections, against {name}"), &why);
                continue;
            }
        };
        let mut rates = Vec::new();
        for requests in requests.chunks(THEIR_REQUESTS).take(WINDOWS) {
            rates.push(load::run(handler.addr(), CONNECTIONS, Pace::Closed, requests, |_, _| {})?.rate());
        }
        let (ours, theirs) = (median(&mut our_rates), median(&mut rates));
        report.note(&format!("{name}: durable webhooks at 128 connections"), theirs, "/s");
        report.note("twotick right before", ours, "/s");
        let name = format!("durable webhooks at 128 connections, times {name}");
        report.figure(&name, ours / theirs, "", Goal::AtLeast(TIMES));
    }
    Ok(())
}
