//! Load over HTTP/1.1, cheap enough not to be what is measured: requests are bytes made beforehand, and one thread
//! drives all connections.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};
use twotick::clock::Stopwatch;

use crate::line::Line;

/// An answer to nothing in so long ends the run: something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a request goes out.
#[derive(Clone, Copy)]
pub enum Pace {
    /// As soon as a connection is free.
    Closed,
    /// One in each of these intervals, whether or not earlier ones were answered in time. What a request waits is
    /// counted from when it should have gone out, so that a server cannot hide a pause by holding up its callers.
    Every(Duration),
    /// So long after the answer to the one before, on a server that has come to rest. Counted from when it goes out.
    Rested(Duration),
}

impl Pace {
    /// So many a second.
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
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.waits.len() as f64 / self.took.as_secs_f64()
    }

    pub fn wait_ms(&self, quantile: f64) -> f64 {
        self.waits.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// What a source wants of a connection that is free.
pub enum Next<'a> {
    /// To send this, which the source calls so, and to count what it waits from then.
    Send { tag: usize, request: &'a [u8], counted_from: Duration },
    /// To be asked again then, or after an answer, whichever is first.
    At(Duration),
    /// Nothing more.
    Over,
}

/// Where requests come from. Times are since the run began.
pub trait Source {
    fn next(&mut self, now: Duration) -> Next<'_>;
    fn answered(&mut self, tag: usize, body: &[u8], now: Duration);
}

/// Sends all `requests`, and hands the body of each answer to `answered`. Anything but a 2xx or a 304 is an error: a
/// figure with failures in it is none.
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

/// Sends the same `requests` again and again for so long, each as soon as a connection is free.
pub fn run_for(to: SocketAddr, connections: usize, time: Duration, requests: &[Vec<u8>]) -> io::Result<Run> {
    run_from(to, connections, Cycle { requests, next: 0, time })
}

/// Sends what the source gives until it is over.
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
    /// Lines that wait for their time to send. In turn, so that none is idle for so long that the server drops it.
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

    /// How long to wait until there may be something to send.
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
        // At once, so that the next request is on its way before other answers are looked at.
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
