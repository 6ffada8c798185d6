//! Reads a dump: first all of it, to check it, and then again line by line.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{Ending, Heading, Line, VERSION, checksum, hexadecimal};
use crate::verification::Fact;

/// Longer than any line: a verification of 200 events, all with the longest titles.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;
const CUT: &str = "its end is missing: the dump was cut short";

/// A file that holds a dump.
pub struct DumpFile<'a, R> {
    /// For error messages.
    pub name: &'a Path,
    /// Opens it at its beginning, uncompressed.
    pub open: &'a (dyn Fn() -> io::Result<R> + Sync),
}

/// A dump in which every line was checked.
#[derive(Debug)]
pub struct Checked {
    pub heading: Heading,
    pub ending: Ending,
}

impl Checked {
    /// Number of lines, the last one included.
    pub fn lines(&self) -> u64 {
        self.ending.lines + 1
    }
}

/// Why a dump cannot be read. Quotes nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("{} cannot be read: {source}", name.display())]
    File { name: PathBuf, source: io::Error },
    #[error("{}, line {number}: {reason}", name.display())]
    Line { name: PathBuf, number: u64, reason: String },
}

/// One line as it stands in a file.
#[derive(Deserialize)]
struct Framed<'a> {
    n: u64,
    sum: &'a str,
    #[serde(borrow)]
    line: &'a RawValue,
}

impl<R: Read> DumpFile<'_, R> {
    /// Checks everything that can be checked without a store, and shows each line to `visit`.
    ///
    /// # Errors
    /// With the number of the first line that was changed, cut, doubled, moved or removed; or where the file cannot be
    /// read.
    pub fn check(&self, visit: &mut dyn FnMut(&Line)) -> Result<Checked, Unreadable> {
        let (mut heading, mut ending, mut hash) = (None, None, Sha256::new());
        let mut policies = BTreeSet::new();
        let mut lines = self.lines()?;
        while let Some(text) = lines.next_text()? {
            let wrong = |reason: &str| Err(self.wrong(lines.number, reason));
            let line = parse(&text, lines.number).map_err(|reason| self.wrong(lines.number, &reason))?;
            match &line {
                _ if ending.is_some() => return wrong("the dump ended before it"),
                Line::Twotick(found) if lines.number == 1 && found.version == VERSION => {
                    heading = Some(found.clone());
                }
                Line::Twotick(Heading { version, .. }) if lines.number == 1 => {
                    return wrong(&format!("the dump has version {version}, this twotick reads {VERSION}"));
                }
                _ if heading.is_none() => return wrong("a dump of twotick begins otherwise"),
                Line::Twotick(_) => return wrong("another dump begins"),
                Line::Aborted(reason) => return wrong(&format!("the dump was given up: {reason}")),
                Line::End(end) if end.lines + 1 != lines.number || end.sha256 != hexadecimal(&hash) => {
                    return wrong("lines before it were changed or are missing");
                }
                Line::End(end) => ending = Some(end.clone()),
                Line::Policy(policy) => drop(policies.insert(policy.hash())),
                Line::Verification { id, commits } => match commits.first().and_then(|one| one.facts.first())
                {
                    Some(Fact::Requested { request, .. }) if request.id != *id => {
                        return wrong("the request is of another verification");
                    }
                    Some(Fact::Requested { request, .. }) if !policies.contains(&request.policy) => {
                        return wrong("the policy of the verification is missing");
                    }
                    Some(Fact::Requested { .. }) => {}
                    Some(_) | None => return wrong("the verification does not begin with a request"),
                },
                Line::Inbound(_)
                | Line::Alert(_)
                | Line::Idempotency(_)
                | Line::Parked(_)
                | Line::Audit { .. }
                | Line::Gone(_)
                | Line::AuditAnchor(_)
                | Line::AuditHead(_) => {}
            }
            visit(&line);
            hash.update(&text);
        }
        match (heading, ending) {
            (Some(heading), Some(ending)) => Ok(Checked { heading, ending }),
            (Some(_), None) => Err(self.wrong(lines.number + 1, "it is missing: the dump was cut short")),
            (None, _) => Err(self.wrong(1, "a dump of twotick begins otherwise")),
        }
    }

    /// Shows `visit` each line with its number. It must have been checked before.
    ///
    /// # Errors
    /// Those of `visit`; or where the file cannot be read or was changed since it was checked.
    pub fn read<E: From<Unreadable>>(
        &self,
        visit: &mut dyn FnMut(u64, Line) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut lines = self.lines()?;
        while let Some(text) = lines.next_text()? {
            let line = parse(&text, lines.number).map_err(|reason| self.wrong(lines.number, &reason))?;
            visit(lines.number, line)?;
        }
        Ok(())
    }

    fn lines(&self) -> Result<Lines<'_, R>, Unreadable> {
        let reader = BufReader::new((self.open)().map_err(|source| self.unreadable(source))?);
        Ok(Lines { reader, name: self.name, number: 0 })
    }
}

impl<R> DumpFile<'_, R> {
    fn wrong(&self, number: u64, reason: &str) -> Unreadable {
        Unreadable::Line { name: self.name.to_owned(), number, reason: reason.to_owned() }
    }

    fn unreadable(&self, source: io::Error) -> Unreadable {
        Unreadable::File { name: self.name.to_owned(), source }
    }
}

/// The content of line `number`, or what is wrong with it.
pub(super) fn parse(text: &[u8], number: u64) -> Result<Line, String> {
    // Only the kind of the error: its text could quote personal data.
    let unclear = |error: serde_json::Error| format!("it cannot be read ({:?})", error.classify());
    if !text.ends_with(b"\n") {
        return Err(CUT.to_owned());
    }
    let framed: Framed<'_> = serde_json::from_slice(text).map_err(unclear)?;
    if framed.sum != format!("{:08x}", checksum(framed.n, framed.line.get().as_bytes())) {
        return Err("its checksum is wrong".to_owned());
    }
    if framed.n != number {
        return Err(format!(
            "line {} of the dump stands here: a line is missing, doubled or moved",
            framed.n
        ));
    }
    serde_json::from_str(framed.line.get()).map_err(unclear)
}

struct Lines<'a, R> {
    reader: BufReader<R>,
    name: &'a Path,
    /// Number of the line that was read last, from 1.
    number: u64,
}

impl<R: Read> Lines<'_, R> {
    /// The next line with its line feed.
    fn next_text(&mut self) -> Result<Option<Vec<u8>>, Unreadable> {
        let mut text = Vec::new();
        let read = io::Read::take(&mut self.reader, LONGEST_LINE).read_until(b'\n', &mut text);
        match read {
            Ok(0) => Ok(None),
            Ok(_) => {
                self.number += 1;
                Ok(Some(text))
            }
            Err(source) => {
                let reason = match source.kind() {
                    io::ErrorKind::UnexpectedEof => CUT.to_owned(),
                    _other => format!("it cannot be read: {source}"),
                };
                Err(Unreadable::Line { name: self.name.to_owned(), number: self.number + 1, reason })
            }
        }
    }
}
