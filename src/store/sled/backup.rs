//! A copy of every row, taken while the store goes on. The thread that owns the store is visited in short turns: rows in
//! the order of their keys first, then again those that were written meanwhile, until nothing is left that changed. The
//! last visit ends with a copy of one moment, that of its end.
//!
//! What follows from other rows is left out, but for the marks of what is live, and made anew when it is restored. Keys
//! are not in the store, so they are not in its copy.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::index;
use super::keys::{self, Row};
use super::offline::Trouble;
use super::open::{Disk, OpenError};
use super::record;
use crate::store::StoreError;
use crate::verification::values::Timestamp;

/// What a copy begins with; then the id of the master key and the time as 8 bytes.
pub const MAGIC: &[u8; 16] = b"twotick copy 1\n\0";
/// Rows of one visit: about a millisecond of the thread. Tests have few rows and want many visits.
const ROWS_A_VISIT: usize = if cfg!(test) { 32 } else { 256 };
/// Bytes of one visit.
const BYTES_A_VISIT: usize = 256 * 1024;
/// Changed rows that are copied in one visit; so many are left at most for the last.
const CHANGES_A_VISIT: usize = if cfg!(test) { 16 } else { 512 };
/// More than these change only if nobody comes for them any more.
const MOST_CHANGES: usize = 2_000_000;
/// In place of a value's length: the row is gone.
const GONE: u32 = u32::MAX;
/// In place of a key's length: the end, and the hash of all before it.
const END: u32 = u32::MAX;
/// No row is longer; what says so is damaged.
const LONGEST: u32 = 64 * 1024;

/// A copy that is being taken, as the store keeps it between visits.
#[derive(Default)]
pub struct Copying {
    /// The last key that was copied; empty before the first.
    at: Vec<u8>,
    /// Whether every row was copied once.
    is_round: bool,
    changed: BTreeSet<Vec<u8>>,
}

impl Copying {
    /// A row is written or removed. False: nobody comes for this copy any more.
    pub fn note(&mut self, key: &[u8]) -> bool {
        if self.is_round || key <= &*self.at {
            self.changed.insert(key.to_vec());
        }
        self.changed.len() <= MOST_CHANGES
    }
}

/// What one visit brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub bytes: Vec<u8>,
    pub rows: u64,
    /// Whether it was the last.
    pub is_whole: bool,
}

impl Disk {
    /// A row is written or removed by the batch that is handed over next.
    pub fn changes(&self, key: &[u8]) {
        let mut copying = self.copying.borrow_mut();
        if copying.as_mut().is_some_and(|copying| !copying.note(key)) {
            *copying = None;
        }
    }

    /// Begins a copy. One that was begun before is given up.
    pub fn begin_copy(&self) {
        *self.copying.borrow_mut() = Some(Copying::default());
    }

    /// Whether a copy is under way, which ends when this is closed.
    pub fn is_being_copied(&self) -> bool {
        self.copying.borrow().is_some()
    }

    /// The next part of the copy that was begun. `None`: it was given up.
    pub fn copy_some(&self) -> Result<Option<Copied>, StoreError> {
        let mut copying = self.copying.borrow_mut();
        let Some(under_way) = copying.as_mut() else { return Ok(None) };
        let copied = visit(self, under_way)?;
        if copied.is_whole {
            *copying = None;
        }
        Ok(Some(copied))
    }
}

/// One visit to the store.
pub fn visit(disk: &Disk, copying: &mut Copying) -> Result<Copied, StoreError> {
    let mut copied = Copied::default();
    if !copying.is_round {
        let from = [&copying.at[..], &[0]].concat();
        for row in disk.range(from, vec![0xff]).take(ROWS_A_VISIT) {
            let (key, value) = row?;
            copying.at = key.to_vec();
            copied.put(&key, Some(&value));
            if copied.bytes.len() >= BYTES_A_VISIT {
                return Ok(copied);
            }
        }
        // Rows that are left out have no bytes, so only a look says whether there are more.
        let after = [&copying.at[..], &[0]].concat();
        copying.is_round = disk.range(after, vec![0xff]).next().is_none();
        return Ok(copied);
    }
    for _ in 0..CHANGES_A_VISIT {
        let Some(key) = copying.changed.pop_first() else { break };
        copied.put(&key, disk.get(&key)?.as_deref());
    }
    copied.is_whole = copying.changed.is_empty();
    Ok(copied)
}

impl Copied {
    fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let follows = index::DERIVED.iter().any(|&kind| key.first() == Some(&(kind as u8)));
        let is_own = [&keys::BATCHES[..], &keys::IMPORT, &keys::INDEX].contains(&key);
        if is_own || (follows && key.first() != Some(&(Row::Live as u8))) {
            return;
        }
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(LONGEST);
        self.bytes.extend_from_slice(&length(key).to_be_bytes());
        self.bytes.extend_from_slice(&value.map_or(GONE, length).to_be_bytes());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.rows += 1;
    }
}

/// What stands before the first row.
pub fn head(key_id: [u8; 4], at: Timestamp) -> Vec<u8> {
    [&MAGIC[..], &key_id, &at.as_millis().to_be_bytes()].concat()
}

/// Adds up what was written, for the end.
#[derive(Clone, Default)]
pub struct Sum(Sha256);

impl Sum {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// What stands behind the last row.
    pub fn end(self) -> Vec<u8> {
        [&END.to_be_bytes()[..], &self.0.finalize()].concat()
    }
}

/// Copies a store that no server uses. How many bytes.
pub fn copy(
    path: &Path,
    key_id: [u8; 4],
    at: Timestamp,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, OpenError> {
    let disk = Disk::open_existing(path, key_id)?;
    disk.guarded(|| {
        let (mut copying, mut sum, mut bytes) = (Copying::default(), Sum::default(), 0);
        let mut put = |bytes: &[u8]| {
            sum.add(bytes);
            out.write_all(bytes).map_err(Trouble::Output)
        };
        put(&head(key_id, at))?;
        loop {
            let copied = visit(&disk, &mut copying)?;
            put(&copied.bytes)?;
            bytes += copied.bytes.len() as u64;
            progress(bytes);
            if copied.is_whole {
                break;
            }
        }
        out.write_all(&sum.end()).and_then(|()| out.flush()).map_err(Trouble::Output)?;
        Ok(bytes)
    })
}

/// Reads a copy row by row. What it yields is checked; that nothing is missing only its end tells.
pub struct Rows<R> {
    from: R,
    sum: Sum,
    pub key_id: [u8; 4],
    pub at: Timestamp,
    /// The hash of the copy, in hexadecimal, once its end was read.
    pub name: Option<String>,
}

/// A row, or that it is gone.
pub type CopiedRow = (Vec<u8>, Option<Vec<u8>>);

impl<R: Read> Rows<R> {
    pub fn open(mut from: R) -> io::Result<Self> {
        let mut sum = Sum::default();
        let magic: [u8; 16] = take(&mut from, &mut sum)?;
        if magic != *MAGIC {
            return Err(io::Error::other("it is no backup of twotick, or one of a newer version"));
        }
        let key_id = take(&mut from, &mut sum)?;
        let at = Timestamp::from_millis(i64::from_be_bytes(take(&mut from, &mut sum)?));
        Ok(Self { from, sum, key_id, at, name: None })
    }

    /// `None` behind the last one, when nothing is missing.
    pub fn next(&mut self) -> io::Result<Option<CopiedRow>> {
        let before = self.sum.clone();
        let key_length = u32::from_be_bytes(take(&mut self.from, &mut self.sum)?);
        if key_length == END {
            let expected = before.end();
            let hash: [u8; 32] = take(&mut self.from, &mut self.sum)?;
            if expected[4..] != hash || self.from.read(&mut [0])? != 0 {
                return Err(io::Error::other("something of it is missing or was changed"));
            }
            self.name = Some(record::hex(&hash));
            return Ok(None);
        }
        let value_length = u32::from_be_bytes(take(&mut self.from, &mut self.sum)?);
        let key = self.bytes(key_length)?;
        let value = if value_length == GONE { None } else { Some(self.bytes(value_length)?) };
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            record::verify(&key, value).map_err(io::Error::other)?;
        }
        Ok(Some((key, value)))
    }

    fn bytes(&mut self, length: u32) -> io::Result<Vec<u8>> {
        if length > LONGEST {
            return Err(io::Error::other("it is damaged"));
        }
        let mut bytes = vec![0; length as usize];
        self.from.read_exact(&mut bytes)?;
        self.sum.add(&bytes);
        Ok(bytes)
    }
}

fn take<const N: usize>(from: &mut impl Read, sum: &mut Sum) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    sum.add(&bytes);
    Ok(bytes)
}
