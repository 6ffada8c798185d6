//! Load over HTTP/1.1, cheap enough not to be what is measured: requests are bytes made beforehand, and one thread
//! drives all connections.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use twotick::clock::Stopwatch;

/// An answer to nothing in so long ends the run: something hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer of the API has about 1.5 KiB.
const ANSWER_BYTES: usize = 16 * 1024;

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

/// Sends all `requests`, and hands the body of each answer to `answered`. Anything but a 2xx is an error: a figure
/// with failures in it is none.
pub fn run(
    to: SocketAddr,
    connections: usize,
    pace: Pace,
    requests: &[Vec<u8>],
    answered: impl FnMut(usize, &[u8]),
) -> io::Result<Run> {
    let poll = Poll::new()?;
    let lines = (0..connections.min(requests.len())).map(|index| Line::connect(to, &poll, Token(index)));
    let lines = lines.collect::<io::Result<_>>()?;
    let waits = Histogram::new_with_bounds(1, 60_000_000, 3).map_err(io::Error::other)?;
    let watch = Stopwatch::start();
    let (idle, last_answer) = (VecDeque::new(), Duration::ZERO);
    Load { poll, lines, idle, requests, next: 0, pace, watch, last_answer, waits, answered }.run()
}

struct Load<'a, F> {
    poll: Poll,
    lines: Vec<Line>,
    /// Lines that wait for their time to send. In turn, so that none is idle for so long that the server drops it.
    idle: VecDeque<usize>,
    requests: &'a [Vec<u8>],
    next: usize,
    pace: Pace,
    watch: Stopwatch,
    /// When the last answer came.
    last_answer: Duration,
    waits: Histogram<u64>,
    answered: F,
}

impl<F: FnMut(usize, &[u8])> Load<'_, F> {
    fn run(mut self) -> io::Result<Run> {
        self.idle = (0..self.lines.len()).collect();
        self.send_what_is_due()?;
        let mut events = Events::with_capacity(self.lines.len());
        let mut quiet = Stopwatch::start();
        while self.waits.len() < self.requests.len() as u64 {
            self.poll.poll(&mut events, Some(self.until_next()))?;
            for event in &events {
                self.serve(event.token().0)?;
                quiet = Stopwatch::start();
            }
            if quiet.elapsed() > PATIENCE {
                return Err(io::Error::new(ErrorKind::TimedOut, "the server stopped answering"));
            }
            self.send_what_is_due()?;
        }
        Ok(Run { took: self.watch.elapsed(), waits: self.waits })
    }

    fn until_next(&self) -> Duration {
        if self.idle.is_empty() || self.next == self.requests.len() {
            return PATIENCE;
        }
        self.due().saturating_sub(self.watch.elapsed())
    }

    /// When the next request should go out.
    fn due(&self) -> Duration {
        match self.pace {
            Pace::Closed => Duration::ZERO,
            Pace::Every(interval) => interval * u32::try_from(self.next).unwrap_or(u32::MAX),
            Pace::Rested(pause) => self.last_answer + pause,
        }
    }

    fn send_what_is_due(&mut self) -> io::Result<()> {
        while self.next < self.requests.len() {
            let (due, now) = (self.due(), self.watch.elapsed());
            if due > now {
                break;
            }
            let Some(line) = self.idle.pop_front() else { break };
            let counted_from = match self.pace {
                Pace::Closed | Pace::Rested(_) => now,
                Pace::Every(_) => due,
            };
            self.lines[line].begin(self.next, counted_from);
            self.next += 1;
            self.lines[line].write(self.requests)?;
        }
        Ok(())
    }

    fn serve(&mut self, index: usize) -> io::Result<()> {
        let line = &mut self.lines[index];
        line.write(self.requests)?;
        let Some(body) = line.read()? else { return Ok(()) };
        let (request, waited) = (line.request, self.watch.elapsed().saturating_sub(line.counted_from));
        self.waits.saturating_record(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX));
        (self.answered)(request, &self.lines[index].answer[body]);
        self.lines[index].filled = 0;
        self.last_answer = self.watch.elapsed();
        self.idle.push_back(index);
        // At once, so that the next request is on its way before other answers are looked at.
        self.send_what_is_due()
    }
}

/// One connection, with the request that it carries.
struct Line {
    stream: TcpStream,
    request: usize,
    counted_from: Duration,
    /// Bytes of the request that have gone out; all of them while it waits for its answer.
    sent: usize,
    busy: Busy,
    answer: Vec<u8>,
    filled: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Busy {
    No,
    Sending,
    Waiting,
}

impl Line {
    fn connect(to: SocketAddr, poll: &Poll, token: Token) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let answer = vec![0; ANSWER_BYTES];
        Ok(Self {
            stream,
            request: 0,
            counted_from: Duration::ZERO,
            sent: 0,
            busy: Busy::No,
            answer,
            filled: 0,
        })
    }

    fn begin(&mut self, request: usize, counted_from: Duration) {
        (self.request, self.counted_from, self.sent, self.busy) = (request, counted_from, 0, Busy::Sending);
    }

    fn write(&mut self, requests: &[Vec<u8>]) -> io::Result<()> {
        while self.busy == Busy::Sending {
            let request = &requests[self.request];
            match self.stream.write(&request[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.sent == request.len() {
                self.busy = Busy::Waiting;
            }
        }
        Ok(())
    }

    /// Where in `answer` the body stands, once all of it is there.
    fn read(&mut self) -> io::Result<Option<std::ops::Range<usize>>> {
        while self.busy == Busy::Waiting {
            match self.stream.read(&mut self.answer[self.filled..]) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server hung up")),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
            if let Some(body) = body(&self.answer[..self.filled])? {
                self.busy = Busy::No;
                return Ok(Some(body));
            }
        }
        Ok(None)
    }
}

fn body(answer: &[u8]) -> io::Result<Option<std::ops::Range<usize>>> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    if answer.get(9) != Some(&b'2') {
        return Err(io::Error::other(format!("refused: {}", String::from_utf8_lossy(answer))));
    }
    let lines = answer[..head].split(|&byte| byte == b'\n');
    let mut length = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(b"content-length:".len())?;
        let value = std::str::from_utf8(value).ok()?.trim();
        name.eq_ignore_ascii_case(b"content-length:").then(|| value.parse::<usize>().ok())?
    });
    let (from, length) = (head + 4, length.next().unwrap_or(0));
    Ok((answer.len() >= from + length).then(|| from..from + length))
}
