//! The master key: inline, or in a file created on first start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::config::MasterKey;
use crate::vault::{MASTER_KEY_BYTES, new_master_key};

/// Permission bits of others: read and write.
const OTHERS: u32 = 0o006;
/// 32 bytes in base64 take 44 characters; bounds the memory that a mistaken file takes.
const LARGEST: u64 = 4 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the master key {path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot create the master key {path}: {source}")]
    NotCreated { path: PathBuf, source: io::Error },
    #[error("the master key {path} is accessible to all users of this machine: chmod 600 it")]
    OpenToAll { path: PathBuf },
    #[error("the master key {0} must be 32 bytes in base64 (`openssl rand -base64 32`)")]
    Malformed(String),
    #[error(
        "the master key {key} is missing, but {data} holds data encrypted with it. Restore the key; \
         without it that data is unreadable"
    )]
    Missing { key: PathBuf, data: PathBuf },
    #[error(
        "the master key {key} is missing{}. Neither a backup nor an export holds keys: put the copies of both in \
         their places first; nothing was written", also_missing(keys.as_deref())
    )]
    NotPutBack {
        key: PathBuf,
        /// The folder of the day keys, if it is missing too.
        keys: Option<PathBuf>,
    },
}

type MasterKeyBytes = Zeroizing<[u8; MASTER_KEY_BYTES]>;

fn also_missing(keys: Option<&Path>) -> String {
    keys.map_or_else(String::new, |keys| format!(", and so are the day keys in {}", keys.display()))
}

/// Loads the master key. Creates a missing file, readable only by its owner, unless `data` holds data encrypted with an
/// earlier key. Blocks on the disk.
pub fn load(master: &MasterKey, data: &Path) -> Result<MasterKeyBytes, KeyError> {
    let path = match existing(master)? {
        Ok(key) => return Ok(key),
        Err(missing) => missing,
    };
    if data.join("db").exists() || data.join(super::KEYS).exists() {
        return Err(KeyError::Missing { key: path.to_owned(), data: data.to_owned() });
    }
    create(path).map_err(|source| KeyError::NotCreated { path: path.to_owned(), source })?;
    // Read back: another process may have created it first.
    read(path)
}

/// Loads the key for a restore or an import; a missing one is an error, because the data was encrypted with it
/// elsewhere.
pub fn put_back(master: &MasterKey, data: &Path) -> Result<MasterKeyBytes, KeyError> {
    existing(master)?.map_err(|missing| {
        let keys = data.join(super::KEYS);
        let keys = (!keys.join("days").exists()).then_some(keys);
        KeyError::NotPutBack { key: missing.to_owned(), keys }
    })
}

/// The key, or the path of the missing file.
fn existing(master: &MasterKey) -> Result<Result<MasterKeyBytes, &Path>, KeyError> {
    let path = match master {
        MasterKey::Inline(text) => return decode(text.expose_secret(), "in the configuration").map(Ok),
        MasterKey::File(path) => path,
    };
    match read(path) {
        Err(KeyError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Err(path)),
        found => found.map(Ok),
    }
}

fn read(path: &Path) -> Result<MasterKeyBytes, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(KeyError::OpenToAll { path: path.to_owned() });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LARGEST).read_to_string(&mut text).map_err(unreadable)?;
    decode(&text, &path.display().to_string())
}

fn decode(text: &str, place: &str) -> Result<MasterKeyBytes, KeyError> {
    MasterKey::decode(text).ok_or_else(|| KeyError::Malformed(place.to_owned()))
}

/// Atomic: writes a temporary file, syncs it, and links it to its name unless that exists.
fn create(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let written = write(Path::new(&beside)).and_then(|()| link(Path::new(&beside), path));
    let removed = fs::remove_file(&beside);
    written.and(removed)?;
    File::open(folder)?.sync_all()
}

fn write(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let text = Zeroizing::new(STANDARD.encode(*new_master_key()) + "\n");
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_created_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/master.key");
        let master = MasterKey::File(path.clone());
        let first = load(&master, folder.path()).unwrap();
        assert_eq!(*load(&master, folder.path()).unwrap(), *first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "only the key is left: {left:?}");
    }

    #[test]
    fn a_missing_key_is_not_created_if_there_is_data() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        for sealed in ["db", super::super::KEYS] {
            fs::write(folder.path().join(sealed), "").unwrap();
            let refused = load(&MasterKey::File(path.clone()), folder.path()).unwrap_err();
            assert!(matches!(refused, KeyError::Missing { .. }), "{sealed}: {refused}");
            assert!(!path.exists());
            fs::remove_file(folder.path().join(sealed)).unwrap();
        }
    }

    #[test]
    fn a_file_open_to_all_or_malformed_is_refused_without_its_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let master = MasterKey::File(path.clone());
        fs::write(&path, STANDARD.encode([7; 32])).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load(&master, folder.path()), Err(KeyError::OpenToAll { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(*load(&master, folder.path()).unwrap(), [7; 32]);
        fs::write(&path, STANDARD.encode([7; 31])).unwrap();
        let refused = load(&master, folder.path()).unwrap_err().to_string();
        assert!(refused.contains("32 bytes") && !refused.contains("BwcH"), "{refused}");
    }
}
