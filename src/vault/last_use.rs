//! When a server last ran with the keys: noted in a file beside them, because a server that has nothing to do seals nothing
//! and leaves no other trace.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::verification::values::Timestamp;

/// Often enough for who asks in days.
const NOTED_EVERY: Duration = Duration::from_secs(60 * 60);

pub struct LastUse {
    /// `None`: it is not kept, for tests.
    path: Option<PathBuf>,
    noted: AtomicI64,
}

impl LastUse {
    pub fn nowhere() -> Self {
        Self { path: None, noted: AtomicI64::new(0) }
    }

    pub fn in_file(path: PathBuf) -> Self {
        Self { path: Some(path), noted: AtomicI64::new(0) }
    }

    pub fn note(&self, now: Timestamp) -> io::Result<()> {
        let noted = Timestamp::from_millis(self.noted.load(Ordering::Relaxed));
        // The folder is made with the first key.
        let is_wanted = |path: &&PathBuf| {
            now.since(noted) >= NOTED_EVERY && path.parent().is_some_and(|folder| folder.exists())
        };
        let Some(path) = self.path.as_ref().filter(is_wanted) else {
            return Ok(());
        };
        let beside = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&now.as_millis().to_be_bytes())?;
        fs::rename(&beside, path)?;
        self.noted.store(now.as_millis(), Ordering::Relaxed);
        Ok(())
    }

    /// `None` also where the file cannot be read: then the newest key tells.
    pub fn read(&self) -> Option<Timestamp> {
        let bytes = fs::read(self.path.as_ref()?).ok()?;
        Some(Timestamp::from_millis(i64::from_be_bytes(bytes.try_into().ok()?)))
    }
}
