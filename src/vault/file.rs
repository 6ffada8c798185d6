//! The key rings as files in the data folder, for the embedded store: one process at a time, which the lock on the data
//! folder ensures. They are kept beside the store and never in it, because the store's log and its backups hold on to
//! what was removed. A file is replaced whole, and the bytes that it held before are overwritten.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use zeroize::Zeroize;

use super::keys::{KeyStore, KeysError, Replaced, RingName, Stored, Version};
use super::random;
use crate::verification::values::Timestamp;

/// Begins each file. The version follows, 8 bytes big-endian, then the sealed ring.
const MAGIC: &[u8; 16] = b"twotick keys 1\n\0";
/// The key of a day with a thousand forgotten numbers takes 3 MB; a wrong file must not fill the memory.
const LARGEST: u64 = 1024 * 1024 * 1024;
/// Often enough for a question about days.
const NOTED_EVERY: Duration = Duration::from_secs(60 * 60);

/// The rings in a folder: `days` and `codes`, and `used` with the time of the last use. The folder is created with the
/// first key, readable by its owner alone.
pub struct KeyFiles {
    folder: PathBuf,
    days: AtomicU64,
    codes: AtomicU64,
    /// When the use was noted last, in milliseconds since the epoch.
    noted: AtomicI64,
}

impl KeyFiles {
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            days: AtomicU64::new(0),
            codes: AtomicU64::new(0),
            noted: AtomicI64::new(0),
        }
    }

    fn path(&self, ring: RingName) -> PathBuf {
        self.folder.join(ring.as_str())
    }

    fn known(&self, ring: RingName) -> &AtomicU64 {
        match ring {
            RingName::Days => &self.days,
            RingName::Codes => &self.codes,
        }
    }

    /// Up to `limit` bytes of the file; `None` where there is no file.
    fn read(&self, ring: RingName, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match File::open(self.path(ring)).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, ring: RingName, version: Version, sealed: &[u8]) -> io::Result<()> {
        if !self.folder.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            File::open(self.folder.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        }
        let path = self.path(ring);
        let old = match OpenOptions::new().write(true).open(&path) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let beside = path.with_extension("new");
        let mut file = create(&beside)?;
        file.write_all(&[&MAGIC[..], &version.to_be_bytes(), sealed].concat())?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&self.folder)?.sync_all()?;
        // The new keys are durable. That the old bytes stay until their blocks are used again is the lesser evil.
        if let Some(error) = old.and_then(|old| overwrite(old).err()) {
            tracing::warn!(%error, "the previous content of a key file could not be overwritten");
        }
        Ok(())
    }
}

impl KeyStore for KeyFiles {
    fn load(&self, ring: RingName) -> Result<Stored, KeysError> {
        let bytes = self
            .read(ring, LARGEST)
            .map_err(|source| KeysError::Unreadable { place: self.place(ring), source })?;
        let stored = match bytes {
            None => Stored::default(),
            Some(bytes) => {
                let (version, sealed) =
                    parts(&bytes).ok_or_else(|| KeysError::Damaged { place: self.place(ring) })?;
                Stored { version, sealed: Some(sealed.to_vec()) }
            }
        };
        self.known(ring).store(stored.version, Ordering::Relaxed);
        Ok(stored)
    }

    fn replace(&self, ring: RingName, seen: Version, sealed: &[u8]) -> io::Result<Replaced> {
        // A file that was removed, or put back from an older copy, knows less than this process: it is replaced.
        let head = self.read(ring, HEAD_BYTES)?;
        let stored = head.as_deref().and_then(parts).map_or(0, |(version, _)| version);
        if stored > seen {
            self.known(ring).store(stored, Ordering::Relaxed);
            return Ok(Replaced::MovedOn);
        }
        self.write(ring, seen + 1, sealed)?;
        self.known(ring).store(seen + 1, Ordering::Relaxed);
        Ok(Replaced::Done)
    }

    fn known_version(&self, ring: RingName) -> Version {
        self.known(ring).load(Ordering::Relaxed)
    }

    fn place(&self, ring: RingName) -> String {
        self.path(ring).display().to_string()
    }

    fn note_use(&self, now: Timestamp) -> io::Result<()> {
        let noted = Timestamp::from_millis(self.noted.load(Ordering::Relaxed));
        if now.since(noted) < NOTED_EVERY || !self.folder.exists() {
            return Ok(());
        }
        let path = self.folder.join("used");
        let beside = path.with_extension("new");
        create(&beside)?.write_all(&now.as_millis().to_be_bytes())?;
        fs::rename(&beside, path)?;
        self.noted.store(now.as_millis(), Ordering::Relaxed);
        Ok(())
    }

    fn last_use(&self) -> Option<Timestamp> {
        let bytes = fs::read(self.folder.join("used")).ok()?;
        Some(Timestamp::from_millis(i64::from_be_bytes(bytes.try_into().ok()?)))
    }
}

const HEAD_BYTES: u64 = 16 + 8;

fn parts(bytes: &[u8]) -> Option<(Version, &[u8])> {
    let (version, sealed) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    Some((Version::from_be_bytes(*version), sealed))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Overwrites a file that has no name any more.
fn overwrite(mut old: File) -> io::Result<()> {
    let mut left = old.metadata()?.len();
    old.rewind()?;
    let mut noise = [0; 4096];
    noise.copy_from_slice(&[random::<64>(); 64].concat());
    while left > 0 {
        let some = usize::try_from(left).unwrap_or(usize::MAX).min(noise.len());
        old.write_all(&noise[..some])?;
        left -= some as u64;
    }
    noise.zeroize();
    old.sync_data()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_files_are_readable_by_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeyFiles::in_folder(&folder.path().join("keys"));
        assert!(files.load(RingName::Days).unwrap().sealed.is_none());
        assert_eq!(files.replace(RingName::Days, 0, b"sealed").unwrap(), Replaced::Done);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let path = folder.path().join("keys/days");
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let stored = files.load(RingName::Days).unwrap();
        assert_eq!((stored.version, stored.sealed.as_deref()), (1, Some(&b"sealed"[..])));
    }

    #[test]
    fn the_previous_content_of_a_file_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeyFiles::in_folder(folder.path());
        files.replace(RingName::Days, 0, &random::<700>()).unwrap();
        let path = folder.path().join("days");
        let before = fs::read(&path).unwrap();
        // A second name keeps the blocks of the old file in sight.
        let seen = folder.path().join("seen");
        fs::hard_link(&path, &seen).unwrap();
        files.replace(RingName::Days, 1, b"sealed").unwrap();
        let left = fs::read(&seen).unwrap();
        assert_eq!(left.len(), before.len());
        assert!(before.windows(8).all(|old| !left.windows(8).any(|new| new == old)));
        assert_eq!(files.load(RingName::Days).unwrap().version, 2);
    }

    #[test]
    fn the_last_use_is_noted_once_an_hour_where_there_are_keys() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeyFiles::in_folder(&folder.path().join("keys"));
        let at = |minutes: i64| Timestamp::from_millis(1_795_000_000_000 + minutes * 60_000);
        files.note_use(at(0)).unwrap();
        assert_eq!(files.last_use(), None, "no keys are in use");
        files.replace(RingName::Codes, 0, b"sealed").unwrap();
        for (minutes, noted) in [(1, 1), (60, 1), (61, 61)] {
            files.note_use(at(minutes)).unwrap();
            assert_eq!(files.last_use(), Some(at(noted)));
        }
    }
}
