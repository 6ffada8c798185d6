//! Checks a store that no server uses.

use std::path::Path;

use super::error::{OpenError, Trouble};
use super::index;
use super::keys::{self, Row};
use super::offline::{Chain, follow_all};
use super::open::{Folder, guarded};
use super::record;
use super::scratch::Scratch;
use super::table::Table;
use crate::store::{Inbound, StoreError};
use crate::verification::values::VerificationId;

/// What was checked, and was whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub rows: u64,
    pub verifications: u64,
    pub audit: u64,
}

/// Checks a store that no server uses: every row as it was written, what follows from others equal to what follows,
/// and the audit log whole. The first thing that is wrong is the error. The store is left as it is.
pub fn verify(path: &Path, key_id: [u8; 4], progress: &mut dyn FnMut(u64)) -> Result<Verified, OpenError> {
    let scratch = Scratch::of(path)?;
    let saved = Folder::open_existing(scratch.path(), key_id).and_then(Folder::saved);
    let (table, _held) = saved.map_err(|error| scratch.told(error))?;
    verify_table(&table, path, progress)
}

fn verify_table(table: &Table, path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Verified, OpenError> {
    guarded(path, || {
        let mut verified = Verified::default();
        let mut derived: u64 = 0;
        for row in table.range(&[], &[0xff])? {
            let (key, value) = row?;
            if !value.is_empty() {
                record::verify(&key, &value)?;
            }
            verified.rows += 1;
            derived += u64::from(index::DERIVED.iter().any(|&kind| key.first() == Some(&(kind as u8))));
        }
        let following = follow(table, &mut verified, progress)?;
        if following != derived {
            let reason =
                format!("{derived} rows should follow from others, but {following} do; `twotick reindex`");
            return Err(Trouble::Input(reason));
        }
        match follow_all(table)? {
            Chain::Whole { records, .. } => verified.audit = records,
            Chain::Broken { seq, reason } => {
                return Err(Trouble::Input(format!("the audit log is broken at number {seq}: {reason}")));
            }
        }
        Ok(verified)
    })
}

/// How many rows follow from others; each is there, and says what it should.
fn follow(table: &Table, verified: &mut Verified, progress: &mut dyn FnMut(u64)) -> Result<u64, Trouble> {
    let policies = table.policies()?;
    let (mut following, mut next) = (0, table.first_after(None)?);
    while let Some(id) = next {
        let snapshot = table.snapshot(id, u32::MAX, &policies)?.ok_or_else(|| nothing_of(id))?;
        let mut rows = index::rows_of(&snapshot, &table.events(id)?)?;
        // A name that was told twice follows twice, and stands once.
        rows.sort();
        rows.dedup_by(|one, other| one.0 == other.0);
        for (key, row) in rows {
            is_as_it_follows(table, &key, &row)?;
            following += 1;
        }
        verified.verifications += 1;
        if verified.verifications.is_multiple_of(256) {
            progress(verified.verifications);
        }
        next = table.first_after(Some(id))?;
    }
    for row in table.scan(&[Row::Inbound as u8])? {
        let (key, row) = row?;
        let position = keys::trailing_id(&key).ok_or_else(|| record::damaged(&key, "it names no message"))?;
        let message: Inbound = record::decode(&key, &row)?;
        for (key, row) in index::inbound_of(position, &message)? {
            is_as_it_follows(table, &key, &row)?;
            following += 1;
        }
    }
    Ok(following)
}

fn is_as_it_follows(table: &Table, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
    match table.get(key)? {
        Some(there) if there == row => Ok(()),
        Some(_) => {
            Err(record::damaged(key, "it does not say what follows from the events; `twotick reindex`"))
        }
        None => Err(record::damaged(key, "it follows from the events and is missing; `twotick reindex`")),
    }
}

fn nothing_of(id: VerificationId) -> StoreError {
    record::damaged(&keys::events_of(id), "it has events that make no verification")
}
