//! An HTTP/1.1 load generator, cheap enough not to distort the measurement: requests are prepared in advance, and one
//! thread drives all connections.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};
use twotick::clock::Stopwatch;

use crate::line::Line;

/// The run fails after this time without any response.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pacing of requests.
#[derive(Clone, Copy)]
pub enum Pace {
    /// Closed loop: as soon as a connection is free.
    Closed,
    /// Open loop: one per interval, regardless of earlier responses. Latency counts from the scheduled time, so that a
    /// pause of the server is not hidden by delayed requests.
    Every(Duration),
    /// After a pause following the previous response, on an idle server. Latency counts from the actual sending.
    Rested(Duration),
}

impl Pace {
    /// Open loop at `rate` requests per second.
    pub fn a_second(rate: f64) -> Self {
        Self::Every(Duration::from_secs_f64(1.0 / rate))
    }
}

pub struct Run {
    pub took: Duration,
    /// In microseconds.
    pub waits: Histogram<u64>,
}

impl Run {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.waits.len() as f64 / self.took.as_secs_f64()
    }

    pub fn wait_ms(&self, quantile: f64) -> f64 {
        self.waits.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// The source's instruction for a free connection.
pub enum Next<'a> {
    /// Send this request, identified by `tag`, and count its latency from then.
    Send { tag: usize, request: &'a [u8], counted_from: Duration },
    /// Ask again at this time or after the next response, whichever is first.
    At(Duration),
    /// Stop.
    Over,
}

/// A source of requests. Times are relative to the start of the run.
pub trait Source {
    fn next(&mut self, now: Duration) -> Next<'_>;
    fn answered(&mut self, tag: usize, body: &[u8], now: Duration);
}

/// Sends all `requests` and passes the body of each response to `answered`. Any status but 2xx and 304 fails the run,
/// because a figure with failures is void.
pub fn run(
    to: SocketAddr,
    connections: usize,
    pace: Pace,
    requests: &[Vec<u8>],
    answered: impl FnMut(usize, &[u8]),
) -> io::Result<Run> {
    let list = List { requests, next: 0, pace, last_answer: Duration::ZERO, answered };
    run_from(to, connections.min(requests.len()), list)
}

/// Repeats the same `requests` for `time`, each as soon as a connection is free.
pub fn run_for(to: SocketAddr, connections: usize, time: Duration, requests: &[Vec<u8>]) -> io::Result<Run> {
    run_from(to, connections, Cycle { requests, next: 0, time })
}

/// Sends requests until the source stops.
pub fn run_from(to: SocketAddr, connections: usize, source: impl Source) -> io::Result<Run> {
    let poll = Poll::new()?;
    let lines = (0..connections).map(|index| Line::connect(to, &poll, Token(index)));
    let lines = lines.collect::<io::Result<Vec<_>>>()?;
    let waits = Histogram::new_with_bounds(1, 60_000_000, 3).map_err(io::Error::other)?;
    let (idle, watch) = ((0..lines.len()).collect(), Stopwatch::start());
    Load { poll, lines, idle, source, over: false, watch, waits }.run()
}

struct Load<S> {
    poll: Poll,
    lines: Vec<Line>,
    /// Connections waiting for their time to send. Used in turn, so that the server closes none as idle.
    idle: VecDeque<usize>,
    source: S,
    over: bool,
    watch: Stopwatch,
    waits: Histogram<u64>,
}

impl<S: Source> Load<S> {
    fn run(mut self) -> io::Result<Run> {
        let mut events = Events::with_capacity(self.lines.len());
        let mut quiet = Stopwatch::start();
        let mut sleep = self.send_what_is_due()?;
        while !self.over || self.idle.len() < self.lines.len() {
            self.poll.poll(&mut events, Some(sleep))?;
            for event in &events {
                self.serve(event.token().0)?;
                quiet = Stopwatch::start();
            }
            if quiet.elapsed() > PATIENCE {
                return Err(io::Error::new(ErrorKind::TimedOut, "the server stopped answering"));
            }
            sleep = self.send_what_is_due()?;
        }
        Ok(Run { took: self.watch.elapsed(), waits: self.waits })
    }

    /// Sends what is due. Returns the time until the next request may be due.
    fn send_what_is_due(&mut self) -> io::Result<Duration> {
        while let (Some(&index), false) = (self.idle.front(), self.over) {
            let now = self.watch.elapsed();
            match self.source.next(now) {
                Next::Send { tag, request, counted_from } => {
                    self.idle.pop_front();
                    self.lines[index].begin(tag, request, counted_from);
                    self.lines[index].write()?;
                }
                Next::At(later) => return Ok(later.saturating_sub(now)),
                Next::Over => self.over = true,
            }
        }
        Ok(PATIENCE)
    }

    fn serve(&mut self, index: usize) -> io::Result<()> {
        let line = &mut self.lines[index];
        line.write()?;
        let Some(body) = line.read()? else { return Ok(()) };
        let now = self.watch.elapsed();
        let waited = now.saturating_sub(line.counted_from);
        self.waits.saturating_record(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX));
        self.source.answered(line.tag, line.answer(body), now);
        line.forget_answer();
        self.idle.push_back(index);
        // Sent immediately, before other responses are processed.
        self.send_what_is_due().map(drop)
    }
}

struct List<'a, F> {
    requests: &'a [Vec<u8>],
    next: usize,
    pace: Pace,
    last_answer: Duration,
    answered: F,
}

impl<F: FnMut(usize, &[u8])> Source for List<'_, F> {
    fn next(&mut self, now: Duration) -> Next<'_> {
        let Some(request) = self.requests.get(self.next) else { return Next::Over };
        let due = match self.pace {
            Pace::Closed => now,
            Pace::Every(interval) => interval.mul_f64(self.next as f64),
            Pace::Rested(pause) => self.last_answer + pause,
        };
        if due > now {
            return Next::At(due);
        }
        let counted_from = match self.pace {
            Pace::Closed | Pace::Rested(_) => now,
            Pace::Every(_) => due,
        };
        self.next += 1;
        Next::Send { tag: self.next - 1, request, counted_from }
    }

    fn answered(&mut self, tag: usize, body: &[u8], now: Duration) {
        self.last_answer = now;
        (self.answered)(tag, body);
    }
}

struct Cycle<'a> {
    requests: &'a [Vec<u8>],
    next: usize,
    time: Duration,
}

impl Source for Cycle<'_> {
    fn next(&mut self, now: Duration) -> Next<'_> {
        if now >= self.time {
            return Next::Over;
        }
        self.next = (self.next + 1) % self.requests.len();
        Next::Send { tag: self.next, request: &self.requests[self.next], counted_from: now }
    }

    fn answered(&mut self, _: usize, _: &[u8], _: Duration) {}
}
