//! Work on a store that no server uses: rebuilding the search indexes, and checking the audit log.

use std::path::Path;

use super::error::{OpenError, Trouble, WriteError};
use super::index::{self, Entry};
use super::keys::{self, Row};
use super::open::{Folder, guarded};
use super::record;
use super::scratch::Scratch;
use super::table::{Rows, Table};
use crate::store::{ChainHash, Inbound, Policies, StoreError, dump};
use crate::verification::values::VerificationId;

/// Rows that are made durable at once: few enough for a turn of the disk, many enough not to wait for it often.
const ROWS_AT_ONCE: usize = 256;

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

/// Rebuilds every row that follows from others, from events and inbound messages, in bounded batches. Events, inbound
/// messages, alerts and the audit log are not touched. If it is interrupted, the next opening notices, and calling it
/// again finishes it.
///
/// # Errors
/// Where the store is in use, cannot be opened, or a record from which others follow cannot be read.
pub fn reindex(
    path: &Path,
    key_id: [u8; 4],
    progress: &mut dyn FnMut(Progress),
) -> Result<Reindexed, OpenError> {
    let (mut table, held) = Folder::open_existing(path, key_id)?.saved()?;
    guarded(&held.path, || reindex_of(&mut table, progress))
}

/// The same for an open table.
pub fn reindex_of(table: &mut Table, progress: &mut dyn FnMut(Progress)) -> Result<Reindexed, Trouble> {
    Rebuild { table, rows: Rows::default(), progress }.run()
}

/// Checks every link of the audit log and names the first that is broken. The store is left as it is.
pub fn verify_audit(path: &Path, key_id: [u8; 4]) -> Result<Chain, OpenError> {
    let scratch = Scratch::of(path)?;
    let folder = Folder::open_existing(scratch.path(), key_id).map_err(|error| scratch.told(error))?;
    guarded(path, || Ok(follow_all(&folder.replayed.table)?)).map_err(|error| scratch.told(error))
}

/// Checks every link of the audit log of a table.
pub fn follow_all(table: &Table) -> Result<Chain, StoreError> {
    let mut head = match table.audit_anchor().map_err(StoreError::from) {
        Ok(anchor) => anchor,
        Err(error) => return Ok(Chain::Broken { seq: 1, reason: error.to_string() }),
    };
    for row in table.scan(&[Row::Audit as u8])? {
        let (key, value) = row?;
        let link = Table::audit_link(&key, &value).map_err(|error| error.to_string());
        match link.and_then(|(seq, link)| link.follow(head, seq)) {
            Ok(next) => head = next,
            Err(reason) => return Ok(Chain::Broken { seq: head.seq + 1, reason }),
        }
    }
    let noted = match table.audit_head().map_err(StoreError::from) {
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

struct Rebuild<'a> {
    table: &'a mut Table,
    rows: Rows,
    progress: &'a mut dyn FnMut(Progress),
}

impl Rebuild<'_> {
    fn run(mut self) -> Result<Reindexed, Trouble> {
        // From here until the end the store is not opened for anything else.
        self.rows.remove(&keys::INDEX);
        self.write()?;
        self.clear()?;
        let policies = self.table.policies().map_err(StoreError::from)?;
        let verifications = self.verifications(&policies)?;
        let inbound = self.inbound()?;
        self.rows.insert(&keys::INDEX, &record::encode(&keys::INDEX, &index::INDEX_VERSION)?);
        self.write()?;
        Ok(Reindexed { verifications, inbound })
    }

    fn clear(&mut self) -> Result<(), Trouble> {
        let mut count = 0;
        for kind in index::DERIVED {
            let mut from = vec![kind as u8];
            loop {
                let old = self.some(&from, kind)?;
                let Some((last, _)) = old.last() else { break };
                from = [last, &[0][..]].concat();
                old.iter().for_each(|(key, _)| self.rows.remove(key));
                self.write()?;
                count += old.len() as u64;
                (self.progress)(Progress::Clearing { rows: count });
            }
        }
        Ok(())
    }

    fn verifications(&mut self, policies: &Policies) -> Result<u64, Trouble> {
        let mut next = self.table.first_after(None).map_err(StoreError::from)?;
        let newest = self.table.newest().map_err(StoreError::from)?;
        let oldest = next;
        let mut done = 0;
        while let Some(id) = next {
            let snapshot = self.table.snapshot(id, u32::MAX, policies).map_err(StoreError::from)?;
            let snapshot = snapshot.ok_or_else(|| {
                record::damaged(&keys::events_of(id), "it has events that make no verification")
            })?;
            let events = self.table.events(id).map_err(StoreError::from)?;
            for entry in index::rows_of(&snapshot, &events)? {
                self.insert(entry);
            }
            done += 1;
            if self.rows.len() >= ROWS_AT_ONCE {
                self.write()?;
                let thousandths = span_thousandths(oldest, id, newest);
                (self.progress)(Progress::Verifications { done, thousandths });
            }
            next = self.table.first_after(Some(id)).map_err(StoreError::from)?;
        }
        self.write()?;
        (self.progress)(Progress::Verifications { done, thousandths: 1_000 });
        Ok(done)
    }

    fn inbound(&mut self) -> Result<u64, Trouble> {
        let (mut done, mut from) = (0, vec![Row::Inbound as u8]);
        loop {
            let messages = self.some(&from, Row::Inbound)?;
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

    /// Some rows of a kind from a key on.
    fn some(&self, from: &[u8], kind: Row) -> Result<Vec<super::table::Entry>, StoreError> {
        self.table.range(from, &[kind as u8 + 1])?.take(ROWS_AT_ONCE).collect()
    }

    fn insert(&mut self, (key, row): Entry) {
        self.rows.insert(&key, &row);
    }

    fn write(&mut self) -> Result<(), WriteError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() { Ok(()) } else { self.table.write(rows) }
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
