//! Opening a data folder: one process at a time, this format, this key, and nothing durable missing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{OpenError, Trouble, WriteError};
use super::index::INDEX_VERSION;
use super::keys;
use super::lock::{self, lock};
use super::log::Log;
use super::memory::Memory;
use super::record::{self, damaged};
use super::replay::{Replayed, replay};
use super::sync::marked;
use super::table::{Disk, Rows, Table};
use super::{Limits, dump};
use crate::failpoint;
use crate::store::StoreError;
use crate::verification::values::Runner;

/// The layout of rows and log that this version reads and writes.
pub const STORE_FORMAT: u32 = 3;

/// A data folder that is open, with everything durable in it.
pub struct Folder {
    pub path: PathBuf,
    pub replayed: Replayed,
    /// Keeps others out of the folder.
    pub lock: Arc<File>,
    pub limits: Limits,
}

impl Folder {
    /// For a server: made if it is missing.
    pub fn open(path: &Path, key_id: [u8; 4], limits: Limits) -> Result<Self, OpenError> {
        Self::open_unindexed(path, key_id, limits)?.for_serving()
    }

    /// Again, by the holder of the lock. Also where room is short by now, because an open store can be read.
    pub fn open_again(
        path: &Path,
        key_id: [u8; 4],
        limits: Limits,
        lock: Arc<File>,
    ) -> Result<Self, OpenError> {
        Self::open_locked(path, key_id, limits, lock)?.for_serving()
    }

    /// For work on a store that no server uses; its derived rows may be incomplete.
    pub fn open_existing(path: &Path, key_id: [u8; 4]) -> Result<Self, OpenError> {
        if path.join("db").exists() {
            Self::open_unindexed(path, key_id, Limits::default())
        } else {
            Err(OpenError::Missing { path: path.to_owned() })
        }
    }

    /// To read an import into: made if it is missing.
    pub fn open_for_import(path: &Path, key_id: [u8; 4]) -> Result<Self, OpenError> {
        Self::open_unindexed(path, key_id, Limits::default())
    }

    fn open_unindexed(path: &Path, key_id: [u8; 4], limits: Limits) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        failpoint::reach("open.locked");
        if !lock::has_room(path) {
            return Err(OpenError::Full { path: path.to_owned() });
        }
        Self::open_locked(path, key_id, limits, Arc::new(lock))
    }

    fn open_locked(path: &Path, key_id: [u8; 4], limits: Limits, lock: Arc<File>) -> Result<Self, OpenError> {
        let disk = Disk::open(path)?;
        failpoint::reach("open.synced");
        let marked = marked(&lock, path)?;
        let (applied, from) = beginning(&disk, key_id, marked)?;
        let unreadable = |reason: String| OpenError::Damaged { path: path.to_owned(), reason };
        let replayed = guarded(path, || replay(Table::new(disk, applied, limits.table), path, from))?;
        failpoint::reach("open.caught_up");
        let durable = marked.unwrap_or(0).max(applied);
        if replayed.log.last < durable {
            let there = replayed.log.last;
            return Err(unreadable(format!("of {durable} turns that were durable only {there} are there")));
        }
        failpoint::reach("open.done");
        Ok(Self { path: path.to_owned(), replayed, lock, limits })
    }

    fn for_serving(self) -> Result<Self, OpenError> {
        let path = &self.path;
        let table = &self.replayed.table;
        let unreadable = |error: StoreError| Trouble::Unreadable(error).opening(path);
        if dump::is_half_imported(table).map_err(unreadable)? {
            return Err(OpenError::HalfImported { path: path.clone() });
        }
        let row = table.get(&keys::INDEX).map_err(|absent| unreadable(absent.into()))?;
        let version = row.map(|row| record::decode::<u32>(&keys::INDEX, &row)).transpose();
        match version.map_err(unreadable)? {
            Some(INDEX_VERSION) => Ok(self),
            Some(_) | None => Err(OpenError::Unindexed { path: path.clone() }),
        }
    }

    /// The runner that this process is: its epoch is one more than that of the process before, and durable.
    pub fn next_runner(&mut self) -> Result<Runner, OpenError> {
        let table = &mut self.replayed.table;
        guarded(&self.path, || {
            let row = table.get(&keys::EPOCH)?;
            let last = row.map(|row| record::decode::<Runner>(&keys::EPOCH, &row)).transpose()?;
            let runner = Runner(last.unwrap_or(Runner(0)).0.saturating_add(1));
            let mut rows = Rows::default();
            rows.insert(&keys::EPOCH, &record::encode(&keys::EPOCH, &runner)?);
            table.write(rows)?;
            Ok(runner)
        })
    }

    /// For work on a store that no server uses: every verification has rows for all its events, live ones a mark.
    ///
    /// # Errors
    /// Those of the table.
    pub fn saved(self) -> Result<(Table, Held), OpenError> {
        let Self { path, replayed, lock, .. } = self;
        let last = replayed.log.last;
        let ids: Vec<_> = replayed.live.iter().map(|found| found.id).collect();
        let mut memory = guarded(&path, || Ok(Memory::new(replayed, Arc::new(super::Shared::new()))?))?;
        let table = guarded(&path, || {
            for id in ids {
                memory.save(id, u64::MAX, last)?;
                if memory.table.is_far_behind() {
                    memory.table.step(u64::MAX)?;
                }
            }
            let mut rows = Rows::default();
            rows.insert(&keys::LOG_FROM, &record::encode(&keys::LOG_FROM, &(last + 1))?);
            memory.table.put(last, rows);
            memory.table.settle()?;
            Ok(memory.table)
        })?;
        Ok((table, Held { path, _lock: lock }))
    }

    /// Begins a segment of the log behind what was read.
    pub fn begin_log(&mut self) -> std::io::Result<Log> {
        let Replayed { log, live, .. } = &mut self.replayed;
        let mut log = Log::begin(&self.path, self.limits.log, log)?;
        for found in live {
            if let Some(since) = found.live.head().logged_since {
                log.hold(since, found.id);
            }
        }
        Ok(log)
    }
}

/// A folder that is kept from others.
pub struct Held {
    pub path: PathBuf,
    _lock: Arc<File>,
}

/// Carries out `work` on a table. sled panics on some kinds of damage where it returns errors on others.
pub fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, OpenError> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|trouble| trouble.opening(path)),
        Err(_) => Err(OpenError::Damaged {
            path: path.to_owned(),
            reason: "sled could not make sense of its own files".to_owned(),
        }),
    }
}

/// Opens sled again beside the turns. It must have the rows of turn `applied`.
pub fn reopen(path: &Path, applied: u64) -> Result<Disk, OpenError> {
    let disk = Disk::open(path)?;
    let turn = number(&disk, &keys::TURN)?.unwrap_or(0);
    if turn < applied {
        let reason = format!("of {applied} turns that sled was given it has only {turn}");
        return Err(OpenError::Damaged { path: path.to_owned(), reason });
    }
    Ok(disk)
}

/// The last turn that the table has, and the first that is read from the log. A folder without anything becomes a store.
fn beginning(disk: &Disk, key_id: [u8; 4], marked: Option<u64>) -> Result<(u64, u64), OpenError> {
    let path = disk.path();
    let unreadable = |error: StoreError| Trouble::Unreadable(error).opening(path);
    let missing = |key: &[u8], what: &str| unreadable(damaged(key, &format!("{what} is missing")));
    let Some(format) = meta::<u32>(disk, &keys::FORMAT).map_err(unreadable)? else {
        if !disk.is_empty() || marked.is_some() {
            return Err(missing(&keys::FORMAT, "the format of the store"));
        }
        begin(disk, key_id).map_err(|trouble| trouble.opening(path))?;
        return Ok((0, 1));
    };
    let key = meta::<[u8; 4]>(disk, &keys::KEY_ID)
        .map_err(unreadable)?
        .ok_or_else(|| missing(&keys::KEY_ID, "the name of its master key"))?;
    if format != STORE_FORMAT {
        return Err(OpenError::Format { path: path.to_owned(), found: format });
    }
    if key != key_id {
        return Err(OpenError::OtherKey { path: path.to_owned() });
    }
    let applied = number(disk, &keys::TURN)?.ok_or_else(|| missing(&keys::TURN, "the count of turns"))?;
    let from =
        number(disk, &keys::LOG_FROM)?.ok_or_else(|| missing(&keys::LOG_FROM, "the beginning of the log"))?;
    Ok((applied, from))
}

fn number(disk: &Disk, key: &[u8]) -> Result<Option<u64>, OpenError> {
    meta(disk, key).map_err(|error| Trouble::Unreadable(error).opening(disk.path()))
}

fn meta<T: serde::de::DeserializeOwned>(disk: &Disk, key: &[u8]) -> Result<Option<T>, StoreError> {
    disk.get(key)?.map(|row| record::decode(key, &row)).transpose()
}

fn begin(disk: &Disk, key_id: [u8; 4]) -> Result<(), Trouble> {
    let mut rows = Rows::default();
    for (key, row) in [
        (keys::FORMAT, record::encode(&keys::FORMAT, &STORE_FORMAT)?),
        (keys::KEY_ID, record::encode(&keys::KEY_ID, &key_id)?),
        (keys::INDEX, record::encode(&keys::INDEX, &INDEX_VERSION)?),
        (keys::TURN, record::encode(&keys::TURN, &0_u64)?),
        (keys::LOG_FROM, record::encode(&keys::LOG_FROM, &1_u64)?),
    ] {
        rows.insert(&key, &row);
    }
    let mut batch = ::sled::Batch::default();
    rows.add_to(&mut batch);
    disk.apply(batch, rows.len(), rows.bytes())?;
    Ok(disk.settle()?)
}

/// Whether nothing was ever kept: there are only the rows of its beginning.
pub fn is_unused(table: &Table) -> Result<bool, StoreError> {
    for row in table.range(&[], &[0xff]).map_err(StoreError::from)? {
        if row?.0.first() != Some(&(keys::Row::Meta as u8)) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Table {
    /// Writes rows durably, for a store that no server uses.
    pub fn write(&mut self, rows: Rows) -> Result<(), WriteError> {
        let turn = self.applied();
        self.put(turn, rows);
        self.settle()
    }
}
