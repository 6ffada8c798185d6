//! sled 0.34.7, opened and written as carefully as it needs. `flush` is not durable without our own `fdatasync`; what a
//! kill during an earlier open left behind is removed before it opens; nothing is created again over something damaged.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sled::{Batch, Config, Db, IVec};

use super::super::error::{OpenError, WriteError};
use super::super::record::damaged;
use super::cleaner;
use super::waker::Waker;
use crate::clock::Stopwatch;
use crate::failpoint;
use crate::store::StoreError;

/// What sled may keep of the disk in memory. Its default of 1 GiB is more than a small server has.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// sled gives its own lock back only when the last of its threads is done, a few milliseconds after it was dropped.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// A key and its row.
pub type Entry = (IVec, IVec);

pub struct Disk {
    waker: Waker,
    db: Db,
    config: Config,
    file: Arc<File>,
    path: PathBuf,
    /// Bytes that sled has added to its log since it was opened.
    logged: Cell<u64>,
    /// Bytes of rows that it was given since the last flush.
    unflushed: Cell<usize>,
}

impl Disk {
    /// Whoever calls this holds the folder's lock.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        remove_unfinished_snapshots(path).map_err(io)?;
        let (config, db) = open_sled_once_it_is_free(path)?;
        failpoint::reach("open.read");
        let waker = Waker::start(config.clone(), db.clone()).map_err(io)?;
        let file = Arc::new(File::open(path.join("db")).map_err(io)?);
        let folder_of_folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        for synced in [&path.join("conf"), path, folder_of_folder.unwrap_or(Path::new("."))] {
            File::open(synced).and_then(|file| file.sync_all()).map_err(io)?;
        }
        let (logged, unflushed) = Default::default();
        Ok(Self { waker, db, config, file, path: path.to_owned(), logged, unflushed })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn is_empty(&self) -> bool {
        self.db.is_empty()
    }

    /// Bytes of sled's file, which holds all but a few pages of notes.
    pub fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.len())
    }

    /// What makes flushed rows durable once it is synced.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Notes a failed write of sled, shared with it.
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        self.db.get(key).map_err(|error| read_error(key, &error))
    }

    /// Rows from `from` up to, not including, `until`.
    pub fn range(
        &self,
        from: &[u8],
        until: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<Entry, StoreError>> + use<> {
        let place = from.to_vec();
        self.db.range(from..until).map(move |row| row.map_err(|error| read_error(&place, &error)))
    }

    /// Hands `batch`, of `rows` rows and `bytes` bytes, to sled as one. The kernel has it after [`Disk::flush`].
    pub fn apply(&self, batch: Batch, rows: usize, bytes: usize) -> Result<(), WriteError> {
        failpoint::reach("commit.begins");
        let applied = self.waker.watch(|| {
            self.db.apply_batch(batch)?;
            failpoint::reach("commit.applied");
            cleaner::clean(&self.db, cleaner::pages_after(rows))
        });
        applied.map_err(write_error)?;
        free_replaced_pages(rows);
        self.unflushed.set(self.unflushed.get() + bytes);
        Ok(())
    }

    /// Bytes of rows that were applied since the last flush.
    pub fn unflushed(&self) -> usize {
        self.unflushed.get()
    }

    /// Gives the kernel everything that was applied; durable once [`Disk::file`] is synced.
    pub fn flush(&self) -> Result<(), WriteError> {
        let logged = self.waker.watch(|| self.db.flush()).map_err(write_error)?;
        self.logged.set(self.logged.get() + logged as u64);
        self.unflushed.set(0);
        failpoint::reach("commit.after");
        Ok(())
    }

    /// Makes everything that was applied survive the loss of power.
    pub fn settle(&self) -> Result<(), WriteError> {
        self.flush()?;
        // sled's flush on Linux is `sync_file_range`, which makes neither sizes nor the disk's own cache durable.
        self.file.sync_data().map_err(|error| WriteError::Failed(format!("fdatasync: {error}")))?;
        check(&self.config)
    }

    /// About how many bytes sled has added to its log since it was opened, which the next opening reads: it does not
    /// count what it wrote by itself between two flushes.
    pub fn logged(&self) -> u64 {
        self.logged.get()
    }
}

/// Fails if a write of sled failed for another reason than the want of room: nothing more may be answered then.
pub fn check(config: &Config) -> Result<(), WriteError> {
    match config.global_error().map_err(write_error) {
        Ok(()) | Err(WriteError::Full) => Ok(()),
        Err(failed) => Err(failed),
    }
}

/// A kill while sled writes its snapshot leaves one that it would take for whole and then refuse to open.
fn remove_unfinished_snapshots(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Nobody else has the folder, so where sled finds it locked, its threads of a moment ago are still letting go.
pub fn open_sled_once_it_is_free(path: &Path) -> Result<(Config, Db), OpenError> {
    let waiting = Stopwatch::start();
    loop {
        match open_sled(path) {
            Err(OpenError::InUse { .. }) if waiting.elapsed() < LET_GO_WITHIN => {
                std::thread::sleep(Duration::from_millis(2));
            }
            opened => return opened,
        }
    }
}

fn open_sled(path: &Path) -> Result<(Config, Db), OpenError> {
    let config =
        Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None).use_compression(false);
    // sled panics on some kinds of damage where it returns errors on others.
    match std::panic::catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(db)) => Ok((config, db)),
        Ok(Err(sled::Error::Io(error))) => Err(match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::InUse { path: path.to_owned() },
            // sled wraps the refusal of its lock in an error of its own making.
            io::ErrorKind::Other if error.to_string().contains("lock") => {
                OpenError::InUse { path: path.to_owned() }
            }
            io::ErrorKind::StorageFull => OpenError::Full { path: path.to_owned() },
            _ => OpenError::Io { path: path.to_owned(), source: error },
        }),
        Ok(Err(error)) => Err(OpenError::Damaged { path: path.to_owned(), reason: error.to_string() }),
        Err(_) => Err(senseless(path)),
    }
}

fn senseless(path: &Path) -> OpenError {
    let reason = "sled could not make sense of its own files".to_owned();
    OpenError::Damaged { path: path.to_owned(), reason }
}

/// sled leaves the pages that a batch replaced, about two a row, and those that a scan pushed out of its cache to
/// crossbeam's collector. That looks at some of its bags, each of 64, once in 128 pins; but a whole batch is one pin,
/// so left alone they would grow without bound.
pub fn free_replaced_pages(rows: usize) {
    // One look is for 8 bags, and frees what was left two looks ago.
    for _ in 0..1 + rows / 128 {
        crossbeam_epoch::pin().flush();
    }
}

pub fn write_error(error: sled::Error) -> WriteError {
    if is_out_of_room(&error) { WriteError::Full } else { WriteError::Failed(format!("sled: {error}")) }
}

/// After a write that found no room sled answers every call with that error, until it is opened again.
fn read_error(key: &[u8], error: &sled::Error) -> StoreError {
    if is_out_of_room(error) { StoreError::Full } else { damaged(key, &format!("sled: {error}")) }
}

fn is_out_of_room(error: &sled::Error) -> bool {
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    matches!(error, sled::Error::Io(error) if kinds.contains(&error.kind()))
}
