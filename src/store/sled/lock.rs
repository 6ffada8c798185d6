//! The data folder: one process at a time, and room on its disk.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use super::error::OpenError;
use crate::clock::Stopwatch;

/// Locked as long as the folder is in use. It also says which turn is durable.
pub const LOCK: &str = "lock";
/// Below this much free room nothing is written any more: a turn (at most 2 MiB) and the segments that sled takes for its
/// rows must fit, for sled does not take another write after one has failed.
const ROOM_NEEDED: u64 = 8 * 1024 * 1024;
/// A command that only asks whether the folder is in use holds the lock for some microseconds.
const LOOKED_AT_WITHIN: Duration = Duration::from_millis(100);

/// Makes the folder if it is missing and locks it, before anything in it is touched: sled has a lock of its own, but takes
/// it after unfinished snapshots must be gone, and one that another process is just writing must stay.
pub fn lock(path: &Path) -> Result<File, OpenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK));
    let file = file.map_err(|source| match source.kind() {
        io::ErrorKind::StorageFull => OpenError::Full { path: path.to_owned() },
        _ => OpenError::Io { path: path.to_owned(), source },
    })?;
    let waiting = Stopwatch::start();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if waiting.elapsed() < LOOKED_AT_WITHIN => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(OpenError::Io { path: path.to_owned(), source }),
        }
    }
}

/// Whether the disk of `path` has room for a turn.
pub fn has_room(path: &Path) -> bool {
    free_room(path).is_ok_and(|room| {
        metrics::gauge!("twotick_disk_free_bytes").set(room as f64);
        room >= ROOM_NEEDED
    })
}

/// Room on the disk of `path` for a user who is not root, in bytes.
pub fn free_room(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
