//! The data folder and its owner.
//!
//! The server must be able to open every file in the folder, so all of them belong to the folder's owner. A command
//! that root runs takes the owner's identity before it touches the folder. So no file of root's ever exists there, even
//! if the command is killed, and root never follows a symlink that the owner planted.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Uid, getegid, geteuid, getgroups, umask};

use crate::config::{Backend, Config, MasterKey};
use crate::store::sled::is_store_file;

/// No permissions for group and others.
const PRIVATE_UMASK: u32 = 0o077;
const READ: u32 = 0o4;
const WRITE: u32 = 0o2;
const ENTER: u32 = 0o1;

/// The kind of access to the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Only reads.
    Check,
    Write,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error(
        "{} belongs to user id {owner} (mode {mode:04o}), and twotick runs as user id {user}, which may not \
         {wanted} it: {remedy}", path.display()
    )]
    Denied { path: PathBuf, owner: u32, mode: u32, user: u32, wanted: &'static str, remedy: String },
    #[error("cannot inspect {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "the files in {} belong to user id {uid}, and root may not take that identity here: {source}. Run it as that \
         user: setpriv --reuid={uid} --regid={gid} --clear-groups twotick …", path.display()
    )]
    Identity { path: PathBuf, uid: u32, gid: u32, source: io::Error },
}

pub fn data_path(config: &Config) -> &Path {
    match config.store.backend {
        Backend::Sled => config.store.path.as_path(),
    }
}

/// A user with its groups.
struct User {
    uid: u32,
    gids: Vec<u32>,
}

impl User {
    fn current() -> Self {
        let mut gids: Vec<u32> = getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect();
        gids.push(getegid().as_raw());
        Self { uid: geteuid().as_raw(), gids }
    }

    /// Root passes every check.
    fn may(&self, wanted: u32, file: &Metadata) -> bool {
        let shift = if file.uid() == self.uid {
            6
        } else if self.gids.contains(&file.gid()) {
            3
        } else {
            0
        };
        self.uid == 0 || (file.mode() >> shift) & wanted == wanted
    }
}

/// Runs `work` as the owner of the folder if this process is root's and the folder is not, else as the current user.
/// Files that it creates are private. Threads that `work` starts share the identity.
///
/// # Errors
///
/// If that user may not use a file of the folder or the configured master key.
pub fn as_owner<T: Send>(
    config: &Config,
    purpose: Purpose,
    work: impl FnOnce(&Path) -> T + Send,
) -> Result<T, FolderError> {
    let data = data_path(config);
    let owner = owner_to_become(data)?;
    if let (Some(owner), Purpose::Write) = (&owner, purpose) {
        hand_over(config, owner);
    }
    check_access(config, purpose)?;
    umask(Mode::from_raw_mode(PRIVATE_UMASK));
    let work = move || {
        if purpose == Purpose::Write {
            make_private(data);
        }
        work(data)
    };
    let Some(owner) = owner else { return Ok(work()) };
    let working = |()| -> Result<T, FolderError> {
        borrow_identity(&owner).map_err(|source| owner.refused(data, source))?;
        Ok(work())
    };
    thread::scope(|scope| match scope.spawn(move || working(())).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Drops root's identity for that of the folder's owner, for the rest of the process. Call it before other threads
/// exist. Returns the user id, if it changed.
pub fn become_owner(config: &Config) -> Result<Option<u32>, FolderError> {
    let data = data_path(config);
    umask(Mode::from_raw_mode(PRIVATE_UMASK));
    let Some(owner) = owner_to_become(data)? else { return Ok(None) };
    hand_over(config, &owner);
    take_identity(&owner).map_err(|source| owner.refused(data, source))?;
    Ok(Some(owner.uid))
}

/// Prepares the folder for a server running as the current user.
pub fn prepare(config: &Config) -> Result<(), FolderError> {
    check_access(config, Purpose::Write)?;
    umask(Mode::from_raw_mode(PRIVATE_UMASK));
    make_private(data_path(config));
    Ok(())
}

struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    fn refused(&self, data: &Path, source: io::Error) -> FolderError {
        FolderError::Identity { path: data.to_owned(), uid: self.uid, gid: self.gid, source }
    }
}

/// `None` unless this process is root's and the folder is not.
fn owner_to_become(data: &Path) -> Result<Option<Owner>, FolderError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let (path, mut there) = nearest(data)?;
    if there.uid() == 0 && path == data && !data.join("db").exists() {
        // An administrator has created the folder to put keys into it: it is given to the owner of its parent.
        let around = data.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        there = nearest(around)?.1;
    }
    if there.uid() == 0 {
        return Ok(None);
    }
    Ok(Some(Owner { uid: there.uid(), gid: there.gid() }))
}

/// Gives the owner what root has copied there: keys before a restore, or files of an older version. Files of other
/// users and files with several hard links are left alone.
fn hand_over(config: &Config, owner: &Owner) {
    let data = data_path(config);
    own_files(data).unwrap_or_default().iter().for_each(|path| give(path, owner));
    give(data, owner);
    // The master key belongs to the owner if its folder does, which may be the data folder.
    if let MasterKey::File(key) = &config.keys.master
        && key
            .parent()
            .and_then(|folder| fs::metadata(folder).ok())
            .is_some_and(|there| there.uid() == owner.uid)
    {
        give(key, owner);
    }
}

fn give(path: &Path, owner: &Owner) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(fs::File::from) else { return };
    let Ok(about) = file.metadata() else { return };
    if about.uid() == 0 && (about.is_dir() || (about.is_file() && about.nlink() == 1)) {
        // If this fails, the check that follows names the file.
        let _ = std::os::unix::fs::fchown(&file, Some(owner.uid), Some(owner.gid));
    }
}

/// The folder, or its nearest existing ancestor.
fn nearest(data: &Path) -> Result<(PathBuf, Metadata), FolderError> {
    let mut path = data;
    loop {
        match fs::metadata(path) {
            Ok(there) => return Ok((path.to_owned(), there)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(closed(path, error)),
            Err(source) => return Err(FolderError::Unreadable { path: path.to_owned(), source }),
        }
        path = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None if path == Path::new(".") => Path::new("/"),
            Some(_) | None => Path::new("."),
        };
    }
}

/// The folder on the way to `path` that this user may not enter.
fn closed(path: &Path, source: io::Error) -> FolderError {
    let user = User::current();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut ancestors: Vec<&Path> = absolute.ancestors().skip(1).collect();
    ancestors.reverse();
    for folder in ancestors {
        match fs::metadata(folder) {
            Ok(there) if !user.may(ENTER, &there) => {
                return denied(folder, &there, &user, "enter", "run it as that user or as root".to_owned());
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    FolderError::Unreadable { path: path.to_owned(), source }
}

fn denied(path: &Path, file: &Metadata, user: &User, wanted: &'static str, remedy: String) -> FolderError {
    let mode = file.mode() & 0o7777;
    FolderError::Denied { path: path.to_owned(), owner: file.uid(), mode, user: user.uid, wanted, remedy }
}

/// Checks that the user who will work on the folder may use its store files, its keys and the master key: the folder's
/// owner if this process is root's, else the current user.
pub fn check_access(config: &Config, purpose: Purpose) -> Result<(), FolderError> {
    let data = data_path(config);
    let (path, there) = nearest(data)?;
    let user = match geteuid() {
        Uid::ROOT => User { uid: there.uid(), gids: vec![there.gid()] },
        _ => User::current(),
    };
    let wanted_of = |file: &Metadata| {
        let change = if purpose == Purpose::Write { WRITE } else { 0 };
        READ | change | if file.is_dir() { ENTER } else { 0 }
    };
    let check = |path: &Path, file: &Metadata, wanted: u32| {
        if user.may(wanted, file) {
            return Ok(());
        }
        let word = if user.may(READ, file) { "write" } else { "read" };
        let remedy = if file.uid() == there.uid() {
            "run it as that user or as root".to_owned()
        } else {
            format!("as root, chown --reference={} {}", data.display(), path.display())
        };
        Err(denied(path, file, &user, word, remedy))
    };
    if path != data {
        // A writable folder is needed only to create files.
        return if purpose == Purpose::Write { check(&path, &there, WRITE | ENTER) } else { Ok(()) };
    }
    check(data, &there, wanted_of(&there))?;
    for path in own_files(data)? {
        match fs::metadata(&path) {
            Ok(file) => check(&path, &file, wanted_of(&file))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(FolderError::Unreadable { path, source }),
        }
    }
    if let MasterKey::File(key) = &config.keys.master
        && let Ok(file) = fs::metadata(key)
    {
        check(key, &file, READ)?;
    }
    Ok(())
}

/// Does what [`check_access`] does, unless the user is root, for commands that only ask the running server.
pub fn check_reach(config: &Config) -> Result<(), FolderError> {
    if geteuid().is_root() { Ok(()) } else { check_access(config, Purpose::Check) }
}

/// Files and folders that twotick created in the data folder, sorted by name.
fn own_files(data: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let unreadable = |source| FolderError::Unreadable { path: data.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(data).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if is_store_file(&name) {
            files.push(entry.path());
        }
    }
    let keys = data.join(super::KEYS);
    if let Ok(entries) = fs::read_dir(&keys) {
        files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.push(keys);
    files.sort();
    Ok(files)
}

/// Removes permissions of group and others that an earlier umask or a copy left. Files of other users are left alone.
fn make_private(data: &Path) {
    let files = own_files(data).unwrap_or_default();
    for path in files.iter().map(PathBuf::as_path).chain([data]) {
        let Ok(file) = fs::symlink_metadata(path) else { continue };
        let mode = file.mode() & 0o7777;
        if (file.is_file() || file.is_dir()) && mode & PRIVATE_UMASK != 0 {
            let _ = fs::set_permissions(path, Permissions::from_mode(mode & !PRIVATE_UMASK));
        }
    }
}

/// Changes the identity of this thread and of those that it starts. It keeps root's read access, because the path may
/// lead through a folder that only root can enter, such as `/var/lib/private` of systemd's dynamic users; it writes as
/// the owner.
#[cfg(target_os = "linux")]
fn borrow_identity(owner: &Owner) -> io::Result<()> {
    use rustix::thread::{
        CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_thread_groups, set_thread_res_gid,
        set_thread_res_uid,
    };
    let CapabilitySets { permitted, inheritable, .. } = capabilities(None)?;
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    set_thread_groups(&[gid])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(Uid::ROOT, uid, Uid::ROOT)?;
    let effective = permitted & CapabilitySet::DAC_READ_SEARCH;
    Ok(set_capabilities(None, CapabilitySets { effective, permitted, inheritable })?)
}

#[cfg(target_os = "linux")]
fn take_identity(owner: &Owner) -> io::Result<()> {
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    set_thread_groups(&[gid])?;
    set_thread_res_gid(gid, gid, gid)?;
    Ok(set_thread_res_uid(uid, uid, uid)?)
}

/// Other systems have one identity per process.
#[cfg(not(target_os = "linux"))]
fn borrow_identity(_owner: &Owner) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn take_identity(_owner: &Owner) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permission_bits_apply_by_user_class() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        let (uid, gid) = fs::metadata(&path).map(|file| (file.uid(), file.gid())).unwrap();
        let (owner, member, other) = (
            User { uid: uid.max(1), gids: vec![gid + 1] },
            User { uid: uid + 7, gids: vec![gid] },
            User { uid: uid + 7, gids: vec![gid + 1] },
        );
        for (mode, wanted, expected) in [
            (0o600, READ | WRITE, [true, false, false]),
            (0o640, READ, [true, true, false]),
            (0o640, WRITE, [true, false, false]),
            (0o604, READ, [true, false, true]),
            (0o077, READ, [false, true, true]),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let file = fs::metadata(&path).unwrap();
            let found = [&owner, &member, &other].map(|user| user.may(wanted, &file));
            // If root runs the test, the file is root's.
            let of_owner = if uid == 0 { found[0] } else { expected[0] };
            assert_eq!([of_owner, found[1], found[2]], [of_owner, expected[1], expected[2]], "{mode:o}");
            assert!(User { uid: 0, gids: Vec::new() }.may(wanted, &file), "root");
        }
    }

    #[test]
    fn permissions_of_others_are_removed_and_nothing_else_changes() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("keys")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        for name in ["db", "snap.0001", "wal.1", "wal.7", "keys/days", "notes.txt"] {
            fs::write(data.join(name), "").unwrap();
            fs::set_permissions(data.join(name), Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
        make_private(&data);
        for name in ["db", "snap.0001", "wal.1", "wal.7", "keys/days"] {
            assert_eq!(mode(&data.join(name)), 0o600, "{name}");
        }
        assert_eq!((mode(&data), mode(&data.join("keys"))), (0o700, 0o700));
        assert_eq!(mode(&data.join("notes.txt")), 0o644, "not ours");
    }
}
