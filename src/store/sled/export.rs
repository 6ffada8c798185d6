//! The whole store as lines of JSON, for a store of another version or another kind. Each line carries its checksum,
//! the last one the number of lines and a hash of all of them. What is sealed stays sealed, and no key stands in it.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::chain::Head;
use super::keys::{self, Row};
use super::offline::{Trouble, span_thousandths};
use super::open::{Disk, OpenError};
use super::record;
use crate::store::parked::Parked;
use crate::store::{Alert, Idempotency, Inbound, StoreError};
use crate::verification::values::{Timestamp, VerificationId};
use crate::verification::{Event, Fact, Policy};

/// What this version writes, and the newest that it reads.
pub const EXPORT_VERSION: u32 = 1;

/// What one line says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first.
    Twotick(Heading),
    Policy(Box<Policy>),
    /// Everything that happened to one verification.
    Verification {
        id: VerificationId,
        commits: Vec<Commit>,
    },
    Inbound(Box<Inbound>),
    Alert(Alert),
    Idempotency(Idempotency),
    Parked(Box<Parked>),
    /// What the oldest record of the audit log follows.
    AuditAnchor(Head),
    /// A record of the audit log as it was written, because its hash is over its bytes.
    Audit {
        seq: u64,
        link: Box<RawValue>,
    },
    AuditHead(Head),
    /// The last.
    End(Ending),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    pub version: u32,
    /// Names this export, so that an import that stopped goes on with the same one.
    pub name: String,
    /// Names the master key that sealed what is in it.
    pub key_id: [u8; 4],
    pub at: Timestamp,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Before this one.
    pub lines: u64,
    /// Of all bytes before this line, in hexadecimal.
    pub sha256: String,
}

/// Facts of one moment.
#[derive(Serialize, Deserialize)]
pub struct Commit {
    pub at: Timestamp,
    pub facts: Vec<Fact>,
}

/// How a line is written: what it says, and the CRC-32 of that text in hexadecimal.
#[derive(Serialize, Deserialize)]
pub struct Framed<'a> {
    pub sum: String,
    #[serde(borrow)]
    pub line: &'a RawValue,
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    pub verifications: u64,
    pub inbound: u64,
    pub audit: u64,
    pub lines: u64,
}

/// How far an export or an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    pub verifications: u64,
    pub thousandths: u16,
}

/// Writes everything to `out`. `name` must differ between exports.
///
/// # Errors
/// Where the store is in use, cannot be opened, or a record cannot be read; or `out` takes no more.
pub fn export(
    path: &Path,
    key_id: [u8; 4],
    name: &str,
    at: Timestamp,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(Way),
) -> Result<Exported, OpenError> {
    let disk = Disk::open_existing(path, key_id)?;
    let heading = Heading { version: EXPORT_VERSION, name: name.to_owned(), key_id, at };
    disk.guarded(|| {
        let mut export =
            Export { disk: &disk, out, hash: Sha256::new(), done: Exported::default(), progress };
        export.run(heading)?;
        Ok(export.done)
    })
}

/// Events of one verification by the moment at which they happened.
pub fn commits(events: Vec<Event>) -> Vec<Commit> {
    let mut commits: Vec<Commit> = Vec::new();
    for Event { at, fact } in events {
        match commits.last_mut().filter(|last| last.at == at) {
            Some(last) => last.facts.push(fact),
            None => commits.push(Commit { at, facts: vec![fact] }),
        }
    }
    commits
}

/// A line without its end.
pub fn framed(line: &Line) -> Result<String, StoreError> {
    let unwritable = |error: serde_json::Error| record::damaged(b"", &error.to_string());
    let line = serde_json::value::to_raw_value(line).map_err(unwritable)?;
    let sum = sum(line.get());
    serde_json::to_string(&Framed { sum, line: &line }).map_err(unwritable)
}

pub fn sum(line: &str) -> String {
    format!("{:08x}", crc32fast::hash(line.as_bytes()))
}

struct Export<'a> {
    disk: &'a Disk,
    out: &'a mut dyn Write,
    hash: Sha256,
    done: Exported,
    progress: &'a mut dyn FnMut(Way),
}

impl Export<'_> {
    fn run(&mut self, heading: Heading) -> Result<(), Trouble> {
        self.disk.gather_all()?;
        self.line(&Line::Twotick(heading))?;
        for policy in self.disk.policies()?.into_values() {
            self.line(&Line::Policy(Box::new((*policy).clone())))?;
        }
        self.verifications()?;
        self.rows(Row::Inbound, |key, row| Ok(Line::Inbound(record::decode(key, row)?)))?;
        self.rows(Row::Alert, |key, row| Ok(Line::Alert(record::decode(key, row)?)))?;
        self.rows(Row::Idempotency, |key, row| Ok(Line::Idempotency(record::decode(key, row)?)))?;
        self.rows(Row::Parked, |key, row| Ok(Line::Parked(record::decode(key, row)?)))?;
        self.line(&Line::AuditAnchor(self.disk.audit_anchor()?))?;
        self.rows(Row::Audit, |key, row| {
            let seq = keys::audit_seq(key).ok_or_else(|| record::damaged(key, "it has no number"))?;
            Ok(Line::Audit { seq, link: record::decode(key, row)? })
        })?;
        self.line(&Line::AuditHead(self.disk.audit_head()?))?;
        let sha256 = record::hex(&self.hash.clone().finalize());
        self.line(&Line::End(Ending { lines: self.done.lines, sha256 }))?;
        self.out.flush().map_err(unwritable)?;
        Ok(())
    }

    fn verifications(&mut self) -> Result<(), Trouble> {
        let (mut next, newest) = (self.disk.first_after(None)?, self.disk.newest()?);
        let oldest = next;
        while let Some(id) = next {
            let commits = commits(self.disk.events(id)?);
            self.line(&Line::Verification { id, commits })?;
            self.done.verifications += 1;
            if self.done.verifications.is_multiple_of(256) {
                let thousandths = span_thousandths(oldest, id, newest);
                (self.progress)(Way { verifications: self.done.verifications, thousandths });
            }
            next = self.disk.first_after(Some(id))?;
        }
        (self.progress)(Way { verifications: self.done.verifications, thousandths: 1_000 });
        Ok(())
    }

    fn rows(&mut self, kind: Row, line: fn(&[u8], &[u8]) -> Result<Line, StoreError>) -> Result<(), Trouble> {
        for row in self.disk.scan(&[kind as u8]) {
            let (key, row) = row?;
            self.line(&line(&key, &row)?)?;
            match kind {
                Row::Inbound => self.done.inbound += 1,
                Row::Audit => self.done.audit += 1,
                _other => {}
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &Line) -> Result<(), Trouble> {
        let mut text = framed(line)?;
        text.push('\n');
        self.hash.update(&text);
        self.done.lines += 1;
        self.out.write_all(text.as_bytes()).map_err(unwritable)
    }
}

fn unwritable(error: io::Error) -> Trouble {
    Trouble::Output(error)
}
