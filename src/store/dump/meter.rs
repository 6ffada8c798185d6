//! Follows the lines of a dump on their way to a file.

use std::io::{self, Write};

use super::reader::parse;
use super::{Counts, DumpProgress, Line};
use crate::verification::values::{Timestamp, VerificationId};

/// How a frame goes on in the line of a verification; its id follows.
const VERIFICATION: &str = "\"line\":{\"verification\":{\"id\":\"";
/// The first and the last line are shorter, and so is the place of a verification's id.
const BEGINNING: usize = 1_024;
/// Verifications between two reports of progress.
const STEP: u64 = 256;

/// Passes a dump on, reports its progress, and finds out whether it is whole.
pub struct Metered<'a> {
    out: &'a mut (dyn Write + Send),
    progress: &'a mut (dyn FnMut(DumpProgress) + Send),
    /// The beginning of the line that is being written.
    line: Vec<u8>,
    lines: u64,
    verifications: u64,
    began: Option<Timestamp>,
    /// Creation of the first verification, which is the oldest.
    oldest: Option<Timestamp>,
    end: Option<Result<Counts, String>>,
}

/// Why a dump that was written is not whole.
#[derive(Debug, thiserror::Error)]
pub enum NotWhole {
    #[error("the server gave the dump up: {0}")]
    Aborted(String),
    #[error("the dump was cut short after {lines} lines")]
    Cut { lines: u64 },
}

impl<'a> Metered<'a> {
    pub fn new(out: &'a mut (dyn Write + Send), progress: &'a mut (dyn FnMut(DumpProgress) + Send)) -> Self {
        let (began, oldest, end) = (None, None, None);
        Self { out, progress, line: Vec::new(), lines: 0, verifications: 0, began, oldest, end }
    }

    /// Counts of the dump, if it has come to its end.
    ///
    /// # Errors
    /// Where its last line is missing.
    pub fn finish(self) -> Result<Counts, NotWhole> {
        match self.end {
            Some(Ok(counts)) if self.line.is_empty() => Ok(counts),
            Some(Err(reason)) => Err(NotWhole::Aborted(reason)),
            Some(Ok(_)) | None => Err(NotWhole::Cut { lines: self.lines }),
        }
    }

    fn follow(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = BEGINNING.saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.lines += 1;
                self.look_at_line();
                self.line.clear();
            }
        }
    }

    fn look_at_line(&mut self) {
        if let Some(id) = verification(&self.line) {
            self.count(id);
        } else if self.line.ends_with(b"\n")
            && let Ok(line) = parse(&self.line, self.lines)
        {
            match line {
                Line::Twotick(heading) => self.began = Some(heading.at),
                Line::Aborted(reason) => self.end = Some(Err(reason)),
                Line::End(end) => {
                    self.end = Some(Ok(end.counts));
                    self.verifications = end.counts.verifications;
                    (self.progress)(DumpProgress { verifications: self.verifications, thousandths: 1_000 });
                }
                _other => {}
            }
        }
    }

    fn count(&mut self, id: VerificationId) {
        self.verifications += 1;
        let oldest = *self.oldest.get_or_insert(id.created_at());
        if self.verifications.is_multiple_of(STEP)
            && let Some(began) = self.began
        {
            let thousandths = span_thousandths(oldest, id.created_at(), began);
            (self.progress)(DumpProgress { verifications: self.verifications, thousandths });
        }
    }
}

impl Write for Metered<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.follow(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The id, if it is a line of a verification.
fn verification(line: &[u8]) -> Option<VerificationId> {
    let line = line.utf8_chunks().next()?.valid();
    let (_, rest) = line.split_once(VERIFICATION)?;
    rest.split('"').next()?.parse().ok()
}

/// How much of the time between `oldest` and `newest` has passed at `here`, in thousandths.
pub fn span_thousandths(oldest: Timestamp, here: Timestamp, newest: Timestamp) -> u16 {
    let since = |at: Timestamp| at.since(oldest).as_millis();
    u16::try_from((since(here) * 1_000 / since(newest).max(1)).min(1_000)).unwrap_or(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dump::{Heading, VERSION, Writer};
    use crate::verification::values::Bucket;

    const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    /// A dump of verifications, one a second.
    fn lines(verifications: u64) -> (Writer, Vec<u8>) {
        let at = START + std::time::Duration::from_secs(verifications);
        let mut writer = Writer::default();
        let heading = Heading { version: VERSION, name: "a".to_owned(), key_id: [0; 4], at };
        let mut lines = writer.begin(heading);
        for second in 0..verifications {
            let created = START + std::time::Duration::from_secs(second);
            let id = VerificationId::new(created, Bucket::new(7), second);
            writer.write(&Line::verification(id, Vec::new()), &mut lines).unwrap();
        }
        (writer, lines)
    }

    /// What is found out where `lines` are written in pieces of so many bytes, and the reports of progress.
    fn metered(lines: &[u8], bytes: usize) -> (Result<Counts, NotWhole>, Vec<DumpProgress>) {
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        let mut progress = |at| seen.push(at);
        let mut metered = Metered::new(&mut out, &mut progress);
        lines.chunks(bytes).for_each(|piece| metered.write_all(piece).unwrap());
        let found = metered.finish();
        assert_eq!(out, lines, "everything is passed on");
        (found, seen)
    }

    #[test]
    fn progress_is_the_share_of_time_and_a_dump_is_whole_only_with_its_last_line() {
        let (mut writer, mut lines) = lines(1_024);
        let counts = Counts { verifications: 1_024, inbound: 3, audit: 2 };
        let without_end = lines.clone();
        writer.end(counts, &mut lines).unwrap();
        for bytes in [1, 7, 4_096, lines.len()] {
            let (found, seen) = metered(&lines, bytes);
            assert_eq!(found.unwrap(), counts);
            let thousandths: Vec<_> = seen.iter().map(|at| at.thousandths).collect();
            assert_eq!(thousandths, [249, 499, 749, 999, 1_000]);
        }
        for cut in [without_end.len(), lines.len() - 1, 100, 0] {
            let (found, _) = metered(&lines[..cut], 64);
            assert!(matches!(found, Err(NotWhole::Cut { .. })), "cut at {cut}: {found:?}");
        }
    }

    #[test]
    fn a_dump_that_was_given_up_says_why() {
        let (mut writer, mut lines) = lines(3);
        lines.extend(writer.abort("the disk is full"));
        let (found, _) = metered(&lines, 10);
        assert_eq!(found.unwrap_err().to_string(), "the server gave the dump up: the disk is full");
    }
}
