//! The dump format: a whole store as lines of JSON that name no backend. `backup` and `export` write it, compressed or
//! plain; `restore` and `import` read it; it is the way from one backend to another.
//!
//! Each line carries its number and a checksum, the last one the number of lines and a hash of all of them. What is
//! sealed stays sealed, and a dump holds no key.
//!
//! A dump of a running server is of the moment at which it ends. Items come in order first, then again those that
//! changed meanwhile: a later line replaces an earlier one of the same item, and `gone` removes it.

mod meter;
mod reader;
mod settle;
mod writer;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::audit::{AuditLink, Head};
use super::engine::Parked;
use super::{Alert, Idempotency, Inbound, LogPosition};
use crate::verification::values::{Sealed, Timestamp, VerificationId};
use crate::verification::{Event, Fact, Policy, PolicyHash};

pub use meter::{Metered, NotWhole, span_thousandths};
pub use reader::{Checked, DumpFile, Unreadable};
pub use settle::{Settled, Unsettled, settle};
pub use writer::Writer;

/// Version of the lines. Only this one is read.
pub const VERSION: u32 = 2;

/// Content of one line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first line.
    Twotick(Heading),
    /// Comes before the first verification that needs it.
    Policy(Box<Policy>),
    /// All events of one verification.
    Verification {
        id: VerificationId,
        commits: Vec<Commit>,
    },
    Inbound(Box<Inbound>),
    Alert(Box<Alert>),
    Idempotency(Idempotency),
    Parked(Box<Parked>),
    Audit {
        seq: u64,
        link: AuditLink,
    },
    /// An item of an earlier line was removed.
    Gone(Item),
    /// The record of the audit log that the oldest one left follows.
    AuditAnchor(Head),
    /// The newest record of the audit log.
    AuditHead(Head),
    /// The dump was given up; the text says why.
    Aborted(String),
    /// The last line.
    End(Ending),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    pub version: u32,
    /// Different for each dump, so that an import that stopped resumes with the same one only.
    pub name: String,
    /// The id of the master key that sealed what is in it.
    pub key_id: [u8; 4],
    /// Start of the dump.
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Number of lines before this one.
    pub lines: u64,
    /// Hash of all bytes before this line, in hexadecimal.
    pub sha256: String,
    pub counts: Counts,
}

/// Number of items in a dump, each counted once however many lines it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub verifications: u64,
    pub inbound: u64,
    pub audit: u64,
}

/// Facts of one moment.
#[derive(Serialize, Deserialize)]
pub struct Commit {
    pub at: Timestamp,
    pub facts: Vec<Fact>,
}

/// Identity of an item of a dump. Its order is the order of a dump.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    Policy(PolicyHash),
    Verification(VerificationId),
    Inbound(LogPosition),
    Alert(LogPosition),
    Idempotency([u8; 16]),
    Parked(Box<ParkedName>),
    /// A record of the audit log, by its number.
    Audit(u64),
}

/// Identity of a parked report: the same report twice has the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ParkedName {
    pub channel: String,
    pub provider_ref: String,
    pub status: String,
}

/// Progress of a dump or an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpProgress {
    pub verifications: u64,
    /// 0 to 1,000.
    pub thousandths: u16,
}

/// What an import made of a dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    pub verifications: u64,
    pub inbound: u64,
    pub audit: u64,
    /// Verifications that were pending and past their expiry.
    pub expired: u64,
    /// Verifications that were pending before their expiry.
    pub canceled: u64,
}

impl Line {
    pub fn verification(id: VerificationId, events: Vec<Event>) -> Self {
        let mut commits: Vec<Commit> = Vec::new();
        for Event { at, fact } in events {
            match commits.last_mut().filter(|last| last.at == at) {
                Some(last) => last.facts.push(fact),
                None => commits.push(Commit { at, facts: vec![fact] }),
            }
        }
        Self::Verification { id, commits }
    }

    /// The sealed person of a verification's line.
    pub fn person(&self) -> Option<(VerificationId, &Sealed)> {
        let Self::Verification { id, commits } = self else { return None };
        match commits.first()?.facts.first()? {
            Fact::Requested { request, .. } => Some((*id, &request.person)),
            _other => None,
        }
    }
}

/// The events of a verification's line.
pub fn events(commits: Vec<Commit>) -> Vec<Event> {
    let of_one = |Commit { at, facts }| facts.into_iter().map(move |fact| Event { at, fact });
    commits.into_iter().flat_map(of_one).collect()
}

/// Checksum of line `number`.
fn checksum(number: u64, line: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_be_bytes());
    hasher.update(line);
    hasher.finalize()
}

fn hexadecimal(hash: &Sha256) -> String {
    hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
