//! What is done to a store that no server uses: making its derived rows anew, and checking its audit log.

use std::path::Path;

use super::chain;
use super::index::{self, Entry};
use super::keys::{self, Row};
use super::open::{Disk, OpenError, WriteError};
use super::record;
use super::scratch::Scratch;
use crate::store::{ChainHash, Inbound, Policies, StoreError, dump};
use crate::verification::values::VerificationId;

/// Rows that are made durable at once: few enough for a turn of the disk, many enough not to wait for it often. Tests
/// have few rows and want many batches.
const ROWS_AT_ONCE: usize = if cfg!(test) { 50 } else { 1_000 };

/// How far [`reindex`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Old rows that are gone.
    Clearing {
        rows: u64,
    },
    /// Verifications that are found again, and how much of the time that the store covers that is.
    Verifications {
        done: u64,
        thousandths: u16,
    },
    Inbound {
        done: u64,
    },
}

/// What [`reindex`] went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reindexed {
    pub verifications: u64,
    pub inbound: u64,
}

/// What [`verify_audit`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Every record follows the one before it. Who could rewrite the whole store could make such a log too; only
    /// `last`, noted elsewhere, would tell.
    Whole { records: u64, last: ChainHash },
    /// The first record that does not stand as it was written, from 1.
    Broken { seq: u64, reason: String },
}

/// Makes every row anew that follows from others, from events and inbound messages, in bounded batches. Events, inbound
/// messages, alerts and the audit log are not touched. One that is interrupted is noticed by the next opening, and
/// finished by calling this again.
///
/// # Errors
/// Where the store is in use, cannot be opened, or a record from which others follow cannot be read.
pub fn reindex(
    path: &Path,
    key_id: [u8; 4],
    progress: &mut dyn FnMut(Progress),
) -> Result<Reindexed, OpenError> {
    let disk = Disk::open_existing(path, key_id)?;
    disk.guarded(|| reindex_of(&disk, progress))
}

/// The same of a store that is open.
pub fn reindex_of(disk: &Disk, progress: &mut dyn FnMut(Progress)) -> Result<Reindexed, Trouble> {
    Rebuild { disk, batch: ::sled::Batch::default(), rows: 0, progress }.run()
}

/// Checks every link of the audit log and names the first that is broken. The store is left as it is.
pub fn verify_audit(path: &Path, key_id: [u8; 4]) -> Result<Chain, OpenError> {
    let scratch = Scratch::of(path)?;
    let disk = Disk::open_existing(scratch.path(), key_id).map_err(|error| scratch.told(error))?;
    disk.guarded(|| Ok(follow_all(&disk)?)).map_err(|error| scratch.told(error))
}

pub fn follow_all(disk: &Disk) -> Result<Chain, StoreError> {
    let mut head = match disk.audit_anchor() {
        Ok(anchor) => anchor,
        Err(error) => return Ok(Chain::Broken { seq: 1, reason: error.to_string() }),
    };
    for row in disk.scan(&[Row::Audit as u8]) {
        let (key, value) = row?;
        match chain::follow(head, &key, &value) {
            Ok(next) => head = next,
            Err(reason) => return Ok(Chain::Broken { seq: head.seq + 1, reason }),
        }
    }
    let noted = match disk.audit_head() {
        Ok(noted) => noted,
        Err(error) => return Ok(Chain::Broken { seq: head.seq, reason: error.to_string() }),
    };
    Ok(if noted == head {
        Chain::Whole { records: head.seq, last: head.hash }
    } else if noted.seq > head.seq {
        let reason = format!("it is missing, and so is all up to number {}", noted.seq);
        Chain::Broken { seq: head.seq + 1, reason }
    } else if noted.seq < head.seq {
        let reason = format!("it was not written by twotick, whose last is number {}", noted.seq);
        Chain::Broken { seq: noted.seq + 1, reason }
    } else {
        Chain::Broken { seq: head.seq, reason: "its hash is not the one that was noted for it".to_owned() }
    })
}

/// Why one did not come to its end.
pub enum Trouble {
    Unreadable(StoreError),
    Unwritable(WriteError),
    /// What is written elsewhere than into the store.
    Output(std::io::Error),
    /// What is read from elsewhere is not what it should be.
    Input(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Unreadable(error)
    }
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Self {
        Self::Unwritable(error)
    }
}

struct Rebuild<'a> {
    disk: &'a Disk,
    batch: ::sled::Batch,
    rows: usize,
    progress: &'a mut dyn FnMut(Progress),
}

impl Rebuild<'_> {
    fn run(mut self) -> Result<Reindexed, Trouble> {
        // From here until the end the store is not opened for anything else.
        self.remove(&keys::INDEX);
        self.write()?;
        self.disk.gather_all()?;
        self.clear()?;
        let policies = self.disk.policies()?;
        let verifications = self.verifications(&policies)?;
        let inbound = self.inbound()?;
        let row = record::encode(&keys::INDEX, &index::INDEX_VERSION)?;
        self.insert((keys::INDEX.to_vec(), row));
        self.write()?;
        Ok(Reindexed { verifications, inbound })
    }

    fn clear(&mut self) -> Result<(), Trouble> {
        let mut rows = 0;
        for kind in index::DERIVED {
            let mut from = vec![kind as u8];
            loop {
                let some = self.disk.range(from.clone(), vec![kind as u8 + 1]).take(ROWS_AT_ONCE);
                let old: Vec<_> = some.map(|row| Ok(row?.0)).collect::<Result<_, StoreError>>()?;
                let Some(last) = old.last() else { break };
                from = [last, &[0][..]].concat();
                old.iter().for_each(|key| self.remove(key));
                self.write()?;
                rows += old.len() as u64;
                (self.progress)(Progress::Clearing { rows });
            }
        }
        Ok(())
    }

    fn verifications(&mut self, policies: &Policies) -> Result<u64, Trouble> {
        let mut next = self.disk.first_after(None)?;
        let newest = self.disk.newest()?;
        let oldest = next;
        let mut done = 0;
        while let Some(id) = next {
            let snapshot = self.disk.snapshot(id, u32::MAX, policies)?.ok_or_else(|| {
                record::damaged(&keys::events_of(id), "it has events that make no verification")
            })?;
            for row in index::rows_of(&snapshot, &self.disk.events(id)?)? {
                self.insert(row);
            }
            done += 1;
            if self.rows >= ROWS_AT_ONCE {
                self.write()?;
                let thousandths = span_thousandths(oldest, id, newest);
                (self.progress)(Progress::Verifications { done, thousandths });
            }
            next = self.disk.first_after(Some(id))?;
        }
        self.write()?;
        (self.progress)(Progress::Verifications { done, thousandths: 1_000 });
        Ok(done)
    }

    fn inbound(&mut self) -> Result<u64, Trouble> {
        let (mut done, mut from) = (0, vec![Row::Inbound as u8]);
        loop {
            let some = self.disk.range(from.clone(), vec![Row::Inbound as u8 + 1]).take(ROWS_AT_ONCE);
            let messages: Vec<_> = some.collect::<Result<_, _>>()?;
            let Some((last, _)) = messages.last() else { break };
            from = [last, &[0][..]].concat();
            for (key, row) in &messages {
                let position =
                    keys::trailing_id(key).ok_or_else(|| record::damaged(key, "it names no message"))?;
                let message: Inbound = record::decode(key, row)?;
                for entry in index::inbound_of(position, &message)? {
                    self.insert(entry);
                }
            }
            self.write()?;
            done += messages.len() as u64;
            (self.progress)(Progress::Inbound { done });
        }
        Ok(done)
    }

    fn insert(&mut self, (key, row): Entry) {
        self.batch.insert(key, row);
        self.rows += 1;
    }

    fn remove(&mut self, key: &[u8]) {
        self.batch.remove(key);
        self.rows += 1;
    }

    fn write(&mut self) -> Result<(), WriteError> {
        let (batch, rows) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.rows));
        if rows == 0 { Ok(()) } else { self.disk.write(batch, rows) }
    }
}

/// How much of the time from the oldest verification to the newest has passed at this one.
fn span_thousandths(
    oldest: Option<VerificationId>,
    here: VerificationId,
    newest: Option<VerificationId>,
) -> u16 {
    let Some((oldest, newest)) = oldest.zip(newest) else { return 1_000 };
    dump::span_thousandths(oldest.created_at(), here.created_at(), newest.created_at())
}
