//! Makes durable what the kernel was given, and counts the turns that are.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::error::{OpenError, WriteError};
use super::lock::LOCK;
use super::table::disk;
use crate::failpoint;

/// A file of the log, synced by another thread than the one that writes it.
#[derive(Clone)]
pub struct SyncHandle {
    file: Arc<File>,
    lock: Arc<File>,
    /// sled notes there that a write of its own failed.
    config: sled::Config,
}

impl SyncHandle {
    /// `lock` is the file that keeps others out of the folder.
    pub fn new(file: Arc<File>, lock: Arc<File>, config: sled::Config) -> Self {
        Self { file, lock, config }
    }

    /// Makes turn `turn`, and all before it, survive the loss of power.
    pub fn sync(&self, turn: u64) -> Result<(), WriteError> {
        failpoint::reach("sync.before");
        self.file.sync_data().map_err(|error| WriteError::Failed(format!("fdatasync: {error}")))?;
        failpoint::reach("sync.after");
        disk::check(&self.config)?;
        mark(&self.lock, turn).map_err(|error| WriteError::Failed(format!("{LOCK}: {error}")))
    }
}

/// Notes in the lock file which turn is durable. Not synced: after the loss of power the note may be of an earlier turn,
/// never of one that is missing.
fn mark(lock: &File, turn: u64) -> io::Result<()> {
    lock.write_all_at(format!("twotick {turn:020}\n").as_bytes(), 0)
}

/// The turn that was noted last; `None` before the first.
pub fn marked(mut lock: &File, path: &Path) -> Result<Option<u64>, OpenError> {
    let mut text = String::new();
    lock.seek(SeekFrom::Start(0))
        .and_then(|_| lock.read_to_string(&mut text))
        .map_err(|source| OpenError::Io { path: path.join(LOCK), source })?;
    // A loss of power may leave the length alone of a file that was never synced.
    if text.bytes().all(|byte| byte == 0) {
        return Ok(None);
    }
    let marked = text.strip_prefix("twotick ").and_then(|turn| turn.trim_end().parse().ok());
    let reason = format!("the file {LOCK} does not say how many turns there are");
    marked.map(Some).ok_or(OpenError::Damaged { path: path.to_owned(), reason })
}
