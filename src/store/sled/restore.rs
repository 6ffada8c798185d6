//! A backup becomes a store, and a store or a backup is examined.

use std::io::{self, Read};
use std::path::Path;

use super::backup::Rows;
use super::commits;
use super::import::{self, Imported, Note};
use super::index;
use super::journal;
use super::keys::{self, Row};
use super::offline::{Chain, Trouble, follow_all, reindex_of};
use super::open::{Disk, OpenError};
use super::record;
use super::scratch::Scratch;
use crate::store::{Inbound, StoreError};
use crate::verification::values::{Sealed, Timestamp, VerificationId};
use crate::verification::{Event, Fact};

/// Rows that are made durable at once.
const ROWS_AT_ONCE: usize = if cfg!(test) { 20 } else { 1_000 };

/// What was looked at, and was as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// When a backup was begun; `None` of a store.
    pub at: Option<Timestamp>,
    pub rows: u64,
    pub verifications: u64,
    pub audit: u64,
}

/// Reads a backup into the store in `path`, which is made; or goes on with that. `open` opens the backup from its
/// beginning, unpacked. What was pending is over, as after an import.
///
/// # Errors
/// Where the backup is not whole, or was made under another master key, or the store holds something else.
pub fn restore<R: Read>(
    path: &Path,
    key_id: [u8; 4],
    open: impl Fn() -> io::Result<R>,
    now: Timestamp,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Imported, OpenError> {
    let unreadable = |error: io::Error| OpenError::Input {
        reason: format!("the backup cannot be read: {error}; nothing was restored"),
    };
    let (mut whole, mut count) = (Rows::open(open().map_err(unreadable)?).map_err(unreadable)?, 0);
    while whole.next().map_err(unreadable)?.is_some() {
        count += 1;
    }
    if whole.key_id != key_id {
        return Err(OpenError::Input {
            reason: "the backup was made under another master key: set [keys] master to that one".to_owned(),
        });
    }
    let name = whole.name.unwrap_or_default();
    let rows = Rows::open(open().map_err(unreadable)?).map_err(unreadable)?;
    let disk = Disk::open_for_import(path, key_id)?;
    disk.guarded(|| {
        let note = import::begin(&disk, &name)?;
        if note.whole {
            return Ok(note.done);
        }
        put_all(&disk, rows, note, &mut |done| progress(done, count))?;
        let done = import::finish(&disk, now)?;
        reindex_of(&disk, &mut |_| {})?;
        import::end(&disk, done)?;
        Ok(done)
    })
}

fn put_all<R: Read>(
    disk: &Disk,
    mut rows: Rows<R>,
    mut note: Note,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Trouble> {
    let (mut batch, mut waiting, mut number) = (::sled::Batch::default(), 0, 0);
    let unreadable = |error: io::Error| Trouble::Input(format!("the backup cannot be read: {error}"));
    loop {
        let row = rows.next().map_err(unreadable)?;
        let is_last = row.is_none();
        if let Some((key, value)) = row {
            number += 1;
            if number <= note.lines {
                continue;
            }
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
            waiting += 1;
        }
        if waiting >= ROWS_AT_ONCE || is_last {
            note.lines = number;
            let row = record::encode(&keys::IMPORT, &note)?;
            batch.insert(&keys::IMPORT, row);
            disk.write(std::mem::take(&mut batch), waiting + 1)?;
            waiting = 0;
            progress(number);
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Shows `visit` each verification that a backup holds, with what was sealed of its person; perhaps more than once. None of
/// one that was made under another master key.
pub fn people_of_backup(
    from: impl Read,
    key_id: [u8; 4],
    visit: &mut dyn FnMut(VerificationId, &Sealed),
) -> io::Result<()> {
    let mut rows = Rows::open(from)?;
    if rows.key_id != key_id {
        return Ok(());
    }
    let mut first_of = |events: &[Event]| {
        if let Some(Fact::Requested { request, .. }) = events.first().map(|event| &event.fact) {
            visit(request.id, &request.person);
        }
    };
    while let Some((key, value)) = rows.next()? {
        let Some(value) = value else { continue };
        if key.first() == Some(&(Row::Events as u8)) {
            first_of(&record::decode_events(&key, &value).map_err(io::Error::other)?);
        } else if key.first() == Some(&(Row::Journal as u8)) {
            for entry in journal::read(&key, &value).map_err(io::Error::other)? {
                if let journal::Entry::Added { first: 1, commits, .. } = entry {
                    first_of(&commits::read(commits).map_err(io::Error::other)?);
                }
            }
        }
    }
    Ok(())
}

/// Checks a backup: that nothing is missing, and every row as it was written.
pub fn verify_backup(from: impl Read) -> io::Result<Verified> {
    let mut rows = Rows::open(from)?;
    let mut verified = Verified { at: Some(rows.at), ..Verified::default() };
    while let Some((key, _)) = rows.next()? {
        verified.rows += 1;
        verified.audit += u64::from(key.first() == Some(&(Row::Audit as u8)));
    }
    Ok(verified)
}

/// Checks a store that no server uses: every row as it was written, what follows from others equal to what follows,
/// and the audit log whole. The first thing that is wrong is the error. The store is left as it is.
pub fn verify(path: &Path, key_id: [u8; 4], progress: &mut dyn FnMut(u64)) -> Result<Verified, OpenError> {
    let scratch = Scratch::of(path)?;
    let disk = Disk::open_existing(scratch.path(), key_id).map_err(|error| scratch.told(error))?;
    verify_disk(&disk, progress).map_err(|error| scratch.told(error))
}

fn verify_disk(disk: &Disk, progress: &mut dyn FnMut(u64)) -> Result<Verified, OpenError> {
    disk.guarded(|| {
        disk.gather_all()?;
        let mut verified = Verified::default();
        let mut derived: u64 = 0;
        for row in disk.range(Vec::new(), vec![0xff]) {
            let (key, value) = row?;
            if !value.is_empty() {
                record::verify(&key, &value)?;
            }
            verified.rows += 1;
            derived += u64::from(index::DERIVED.iter().any(|&kind| key.first() == Some(&(kind as u8))));
        }
        let following = follow(disk, &mut verified, progress)?;
        if following != derived {
            let reason =
                format!("{derived} rows should follow from others, but {following} do; `twotick reindex`");
            return Err(Trouble::Input(reason));
        }
        match follow_all(disk)? {
            Chain::Whole { records, .. } => verified.audit = records,
            Chain::Broken { seq, reason } => {
                return Err(Trouble::Input(format!("the audit log is broken at number {seq}: {reason}")));
            }
        }
        Ok(verified)
    })
}

/// How many rows follow from others; each is there, and says what it should.
fn follow(disk: &Disk, verified: &mut Verified, progress: &mut dyn FnMut(u64)) -> Result<u64, Trouble> {
    let policies = disk.policies()?;
    let (mut following, mut next) = (0, disk.first_after(None)?);
    while let Some(id) = next {
        let snapshot = disk.snapshot(id, u32::MAX, &policies)?.ok_or_else(|| nothing_of(id))?;
        let mut rows = index::rows_of(&snapshot, &disk.events(id)?)?;
        // A name that was told twice follows twice, and stands once.
        rows.sort();
        rows.dedup_by(|one, other| one.0 == other.0);
        for (key, row) in rows {
            is_as_it_follows(disk, &key, &row)?;
            following += 1;
        }
        verified.verifications += 1;
        if verified.verifications.is_multiple_of(256) {
            progress(verified.verifications);
        }
        next = disk.first_after(Some(id))?;
    }
    for row in disk.scan(&[Row::Inbound as u8]) {
        let (key, row) = row?;
        let position = keys::trailing_id(&key).ok_or_else(|| record::damaged(&key, "it names no message"))?;
        let message: Inbound = record::decode(&key, &row)?;
        for (key, row) in index::inbound_of(position, &message)? {
            is_as_it_follows(disk, &key, &row)?;
            following += 1;
        }
    }
    Ok(following)
}

fn is_as_it_follows(disk: &Disk, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
    match disk.get(key)? {
        Some(there) if index::says_the_same(key, &there, row)? => Ok(()),
        Some(_) => {
            Err(record::damaged(key, "it does not say what follows from the events; `twotick reindex`"))
        }
        None => Err(record::damaged(key, "it follows from the events and is missing; `twotick reindex`")),
    }
}

fn nothing_of(id: VerificationId) -> StoreError {
    record::damaged(&keys::events_of(id), "it has events that make no verification")
}
