//! Writes lines of a dump.

use std::io::Write;

use sha2::{Digest, Sha256};

use super::{Counts, Ending, Heading, Line, checksum, hexadecimal};

/// Frames lines and adds up what the last one says about them.
#[derive(Default)]
pub struct Writer {
    hash: Sha256,
    lines: u64,
}

impl Writer {
    /// The first line.
    pub fn begin(&mut self, heading: Heading) -> Vec<u8> {
        self.written(&Line::Twotick(heading))
    }

    /// The last line of a dump that was given up.
    pub fn abort(&mut self, reason: &str) -> Vec<u8> {
        self.written(&Line::Aborted(reason.to_owned()))
    }

    fn written(&mut self, line: &Line) -> Vec<u8> {
        let mut out = Vec::new();
        // Numbers and texts have a form in JSON.
        let _ = self.write(line, &mut out);
        out
    }

    /// Appends `line` to `out`, with its number, its checksum and a line feed.
    ///
    /// # Errors
    /// Where the line has no form in JSON.
    pub fn write(&mut self, line: &Line, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let (start, number) = (out.len(), self.lines + 1);
        let content = serde_json::to_vec(line)?;
        let sum = checksum(number, &content);
        // A vector takes every byte.
        let _ = write!(out, "{{\"n\":{number},\"sum\":\"{sum:08x}\",\"line\":");
        out.extend_from_slice(&content);
        out.extend_from_slice(b"}\n");
        self.hash.update(&out[start..]);
        self.lines = number;
        Ok(())
    }

    /// Appends the last line.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn end(&mut self, counts: Counts, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let sha256 = hexadecimal(&self.hash);
        let end = Line::End(Ending { lines: self.lines, sha256, counts });
        self.write(&end, out)
    }
}
