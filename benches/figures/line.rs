//! One connection of the load generator, with its current request.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Poll, Token};

/// Responses of the API have about 1.5 KiB.
const ANSWER_BYTES: usize = 16 * 1024;

/// One connection, with its current request.
pub struct Line {
    stream: TcpStream,
    /// The source's identifier of the request.
    pub tag: usize,
    pub counted_from: Duration,
    request: Vec<u8>,
    /// Bytes sent; all of them while it waits for the response.
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
    pub fn connect(to: SocketAddr, poll: &Poll, token: Token) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            tag: 0,
            counted_from: Duration::ZERO,
            request: Vec::new(),
            sent: 0,
            busy: Busy::No,
            answer: vec![0; ANSWER_BYTES],
            filled: 0,
        })
    }

    pub fn begin(&mut self, tag: usize, request: &[u8], counted_from: Duration) {
        (self.tag, self.counted_from, self.sent, self.busy) = (tag, counted_from, 0, Busy::Sending);
        self.request.clear();
        self.request.extend_from_slice(request);
    }

    pub fn write(&mut self) -> io::Result<()> {
        while self.busy == Busy::Sending {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if self.sent == self.request.len() {
                self.busy = Busy::Waiting;
            }
        }
        Ok(())
    }

    /// Reads from the connection. Returns the range of the body in [`Line::answer`] once it is complete.
    pub fn read(&mut self) -> io::Result<Option<Range<usize>>> {
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

    pub fn answer(&self, part: Range<usize>) -> &[u8] {
        &self.answer[part]
    }

    /// Prepares for the next request.
    pub fn forget_answer(&mut self) {
        self.filled = 0;
    }
}

/// The range of the body in a complete response. Fails for any status but 2xx and 304.
pub fn body(answer: &[u8]) -> io::Result<Option<Range<usize>>> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let status = answer.get(9..12).unwrap_or_default();
    if status == b"304" {
        return Ok(Some(head + 4..head + 4));
    }
    if status.first() != Some(&b'2') {
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
