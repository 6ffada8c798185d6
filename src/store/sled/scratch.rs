//! A copy of a store to look at. sled cannot be opened without writing: it rolls its log up into a snapshot, and gets what
//! the write-ahead log holds. A check must leave the data as they are, so it opens a copy of them.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::lock::{LOCK, free_room};
use super::log;

/// Beside the files: for what sled writes when it opens them.
const SPARE_ROOM: u64 = 64 * 1024 * 1024;
/// Checks that may be under way at once in one process.
const MOST_SCRATCHES: u32 = 1_000;

/// The copy, removed when dropped. It is for its owner alone.
pub struct Scratch {
    path: PathBuf,
    of: PathBuf,
}

impl Scratch {
    /// Copies the store in `path`, which no process may use meanwhile. Nothing is written there. The copy shares its
    /// blocks with the store where the file system can.
    pub fn of(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        if !path.join("db").try_exists().map_err(io)? {
            return Err(OpenError::Missing { path: path.to_owned() });
        }
        let _held = hold(path)?;
        let files = files(path).map_err(io)?;
        let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let scratch = Self { path: folder(path, bytes)?, of: path.to_owned() };
        for (file, _) in files {
            copy(&path.join(&file), &scratch.path.join(&file)).map_err(|source| scratch.failed(source))?;
        }
        Ok(scratch)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An error of the copy, as one of the store that it is a copy of.
    pub fn told(&self, error: OpenError) -> OpenError {
        error.of(&self.of)
    }

    fn failed(&self, source: io::Error) -> OpenError {
        OpenError::Io { path: self.of.clone(), source }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is sealed, and for its owner alone.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Whether a process uses the store in `path`. Nothing is written there.
pub fn is_in_use(path: &Path) -> Result<bool, OpenError> {
    match hold(path) {
        Ok(_) => Ok(false),
        Err(OpenError::InUse { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether the store has a file or folder of this name in the data folder.
pub fn is_store_file(name: &str) -> bool {
    ["db", "conf", "blobs", LOCK].contains(&name)
        || name.starts_with("snap.")
        || name.starts_with(log::PREFIX)
}

/// Keeps every other process out of the store until it is dropped. `None`: none ever was in it.
fn hold(path: &Path) -> Result<Option<File>, OpenError> {
    let io = |source| OpenError::Io { path: path.join(LOCK), source };
    let file = match File::open(path.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// The files of the store with their sizes, from its folder on.
fn files(path: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let is_whole = entry.file_type()?.is_file() && !text.ends_with(".generating");
        if is_whole && is_store_file(&text) {
            files.push((PathBuf::from(&name), entry.metadata()?.len()));
        }
    }
    if let Ok(blobs) = fs::read_dir(path.join("blobs")) {
        for entry in blobs {
            let entry = entry?;
            files.push((Path::new("blobs").join(entry.file_name()), entry.metadata()?.len()));
        }
    }
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    fs::copy(from, to)?;
    // One that its owner may not write has been made read-only by somebody; sled wants to write its copy.
    fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

/// A new folder with room for so many bytes: where temporary files go, or beside the data.
fn folder(data: &Path, bytes: u64) -> Result<PathBuf, OpenError> {
    let beside = data.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let places = [std::env::temp_dir(), PathBuf::from("/var/tmp"), beside.to_owned()];
    let needed = bytes.saturating_add(SPARE_ROOM);
    let is_same_disk = |place: &Path| {
        let disk = |path: &Path| fs::metadata(path).map(|there| there.dev()).ok();
        disk(place).is_some() && disk(place) == disk(data)
    };
    let has_room = |place: &&PathBuf| free_room(place).is_ok_and(|room| room >= needed);
    let with_room: Vec<_> = places.iter().filter(has_room).collect();
    // On the same disk the copy may cost nothing.
    let ordered = with_room.iter().filter(|place| is_same_disk(place));
    for place in ordered.chain(with_room.iter().filter(|place| !is_same_disk(place))) {
        if let Some(made) = make(place) {
            return Ok(made);
        }
    }
    let reason = format!(
        "the data in {} are checked on a copy of {} MB, for which there is no room: set TMPDIR to a folder that has it",
        data.display(),
        needed.div_ceil(1_000_000)
    );
    Err(OpenError::Input { reason })
}

fn make(place: &Path) -> Option<PathBuf> {
    let process = std::process::id();
    let free = (0..MOST_SCRATCHES).map(|number| place.join(format!("twotick-check-{process}-{number}")));
    free.into_iter().find_map(|path| match DirBuilder::new().mode(0o700).create(&path) {
        Ok(()) => Some(Some(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
        Err(_) => Some(None),
    })?
}
