//! What makes durable what was handed to the kernel.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::open::{LOCK, OpenError, WriteError, write_error};
use crate::failpoint;

/// What makes durable what was handed to the kernel. It does nothing with sled but look whether it has failed, so that
/// another thread than the one that owns sled may wait for the disk.
#[derive(Clone)]
pub struct Platter {
    /// sled's, or one of the write-ahead log.
    file: Arc<File>,
    lock: Arc<File>,
    /// Of the sled beside it, which notes there that a write of its own failed.
    config: sled::Config,
}

impl Platter {
    /// `lock` is what keeps others out of the folder.
    pub fn new(file: Arc<File>, lock: Arc<File>, config: sled::Config) -> Self {
        Self { file, lock, config }
    }

    /// The same for another file.
    pub fn of(&self, file: Arc<File>) -> Self {
        Self { file, ..self.clone() }
    }

    /// The file itself.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Bytes of the file. Of sled's, which holds all but a few pages of notes.
    pub fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.len())
    }

    /// Makes everything that was handed over up to batch number `batches` survive the loss of power.
    pub fn sync(&self, batches: u64) -> Result<(), WriteError> {
        // sled's flush on Linux is `sync_file_range`, which makes neither sizes nor the disk's own cache durable.
        failpoint::reach("sync.before");
        self.file.sync_data().map_err(|error| WriteError::Failed(format!("fdatasync: {error}")))?;
        failpoint::reach("sync.after");
        self.check()?;
        self.mark(batches).map_err(|error| WriteError::Failed(format!("{LOCK}: {error}")))
    }

    /// Whether no write of sled has failed, beside for want of room: then nothing more is to be answered.
    pub fn check(&self) -> Result<(), WriteError> {
        match self.config.global_error().map_err(write_error) {
            Ok(()) | Err(WriteError::Full) => Ok(()),
            Err(failed) => Err(failed),
        }
    }

    /// What keeps others out of the folder.
    pub fn lock(&self) -> Arc<File> {
        Arc::clone(&self.lock)
    }

    /// Notes outside of sled how many batches are durable. Not synced: after the loss of power the note may be of a
    /// batch before, never of one that is not there.
    pub fn mark(&self, batches: u64) -> io::Result<()> {
        self.lock.write_all_at(format!("twotick {batches:020}\n").as_bytes(), 0)
    }

    /// What [`Platter::mark`] noted last; `None` before the first batch.
    pub fn marked(&self, path: &Path) -> Result<Option<u64>, OpenError> {
        let mut text = String::new();
        let mut lock = &*self.lock;
        lock.seek(SeekFrom::Start(0))
            .and_then(|_| lock.read_to_string(&mut text))
            .map_err(|source| OpenError::Io { path: path.join(LOCK), source })?;
        // Of a file that was never synced a loss of power may leave its length alone.
        if text.bytes().all(|byte| byte == 0) {
            return Ok(None);
        }
        let marked = text.strip_prefix("twotick ").and_then(|count| count.trim_end().parse().ok());
        let reason = format!("the file {LOCK} does not say how many batches there are");
        marked.map(Some).ok_or(OpenError::Damaged { path: path.to_owned(), reason })
    }
}
