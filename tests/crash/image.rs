//! Possible disk states of a folder after a power loss, from a trace of writes and syncs. Synced data is present; of
//! the rest, any part may be.
//!
//! The model is stricter than ext4: the name of a new file is durable only after a sync of its folder. It assumes that
//! names change in order, as in a journaling file system.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::checker::Moment;
use crate::trace::{Call, What};
use crate::world::Chance;

/// The fate of unsynced writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// None reached the disk.
    Dropped,
    /// Some did, possibly later ones without earlier ones.
    Reordered,
    /// Some sectors of each did.
    Torn512,
    /// Some pages of each did.
    Torn4096,
    /// All did, but files keep the length of their last sync.
    ShortFiles,
    /// File lengths are new, but the new bytes are zeros.
    Zeros,
    /// All did, as after a kill.
    Nothing,
}

impl Loss {
    pub const ALL: [Self; 7] = [
        Self::Dropped,
        Self::Reordered,
        Self::Torn512,
        Self::Torn4096,
        Self::ShortFiles,
        Self::Zeros,
        Self::Nothing,
    ];
}

#[derive(Default, Clone)]
struct File {
    synced: Vec<u8>,
    /// Since the last sync, oldest first.
    unsynced: Vec<Change>,
    /// The length as seen by a reader; appending writes go there.
    length: u64,
}

#[derive(Clone)]
struct Change {
    ended: Option<Moment>,
    what: Edit,
}

#[derive(Clone)]
enum Edit {
    Write { at: u64, bytes: Vec<u8> },
    Resize { length: u64 },
}

#[derive(Clone)]
enum Renaming {
    Add { path: PathBuf, file: usize },
    Remove { path: PathBuf },
    Move { from: PathBuf, to: PathBuf },
}

/// A folder with its content.
#[derive(Clone)]
pub struct Disk {
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    /// Renamings by folder, oldest first.
    unsynced_names: Vec<(PathBuf, Renaming)>,
}

impl Disk {
    /// The current files, all of them synced. Paths are those of the trace.
    pub fn of(folder: &Path, is_part: impl Fn(&Path) -> bool) -> Self {
        let mut disk = Self {
            files: Vec::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
        };
        disk.read(folder, &is_part);
        disk.synced_names = disk.names.clone();
        disk
    }

    fn read(&mut self, folder: &Path, is_part: &impl Fn(&Path) -> bool) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                self.read(&path, is_part);
            } else if is_part(&path) {
                let synced = fs::read(&path).unwrap();
                let length = synced.len() as u64;
                self.names.insert(path, self.files.len());
                self.files.push(File { synced, unsynced: Vec::new(), length });
            }
        }
    }

    /// Applies everything that started before `moment`.
    pub fn replay(&mut self, calls: &[Call], moment: Moment) {
        for call in calls.iter().filter(|call| call.began <= moment) {
            let ended = call.ended.filter(|ended| *ended <= moment);
            self.apply(call, ended);
        }
    }

    fn apply(&mut self, call: &Call, ended: Option<Moment>) {
        match &call.what {
            What::Create { path, emptied } => {
                let file = match self.names.get(path) {
                    Some(&file) => file,
                    None => self.add(path),
                };
                if *emptied {
                    self.change(file, ended, Edit::Resize { length: 0 });
                }
            }
            What::Write { path, at, bytes } => {
                let Some(&file) = self.names.get(path) else { return };
                let at = at.unwrap_or(self.files[file].length);
                self.change(file, ended, Edit::Write { at, bytes: bytes.clone() });
            }
            What::Resize { path, length } => {
                let Some(&file) = self.names.get(path) else { return };
                self.change(file, ended, Edit::Resize { length: *length });
            }
            What::Rename { from, to } => {
                let Some(file) = self.names.remove(from) else { return };
                self.names.insert(to.clone(), file);
                self.rename(from, Renaming::Move { from: from.clone(), to: to.clone() });
            }
            What::Link { from, to } => {
                let Some(&file) = self.names.get(from) else { return };
                self.names.insert(to.clone(), file);
                self.rename(to, Renaming::Add { path: to.clone(), file });
            }
            What::Unlink { path } => {
                if self.names.remove(path).is_some() {
                    self.rename(path, Renaming::Remove { path: path.clone() });
                }
            }
            // A folder exists once it contains something.
            What::MakeFolder { .. } => {}
            What::Sync { path } => {
                if ended.is_some() {
                    self.sync(path, call.began);
                }
            }
        }
    }

    fn add(&mut self, path: &Path) -> usize {
        let file = self.files.len();
        self.files.push(File::default());
        self.names.insert(path.to_owned(), file);
        self.rename(path, Renaming::Add { path: path.to_owned(), file });
        file
    }

    fn rename(&mut self, path: &Path, renaming: Renaming) {
        self.unsynced_names.push((path.parent().unwrap().to_owned(), renaming));
    }

    fn change(&mut self, file: usize, ended: Option<Moment>, what: Edit) {
        let file = &mut self.files[file];
        file.length = match &what {
            Edit::Write { at, bytes } => file.length.max(at + bytes.len() as u64),
            Edit::Resize { length } => *length,
        };
        file.unsynced.push(Change { ended, what });
    }

    /// A sync covers what had ended when it started.
    fn sync(&mut self, path: &Path, began: Moment) {
        match self.names.get(path) {
            Some(&file) => {
                let file = &mut self.files[file];
                let covered = |change: &Change| change.ended.is_some_and(|ended| ended <= began);
                let (synced, rest): (Vec<_>, Vec<_>) = file.unsynced.drain(..).partition(covered);
                synced.iter().for_each(|change| edit(&mut file.synced, &change.what));
                file.unsynced = rest;
            }
            None => {
                let (synced, rest) = self.unsynced_names.drain(..).partition(|(folder, _)| folder == path);
                self.unsynced_names = rest;
                let synced: Vec<(PathBuf, Renaming)> = synced;
                synced.iter().for_each(|(_, renaming)| put(&mut self.synced_names, renaming));
            }
        }
    }

    /// The number of unsynced writes.
    pub fn at_stake(&self) -> usize {
        self.files.iter().map(|file| file.unsynced.len()).sum::<usize>() + self.unsynced_names.len()
    }

    /// Writes a possible state of the folder `from` to `to`.
    pub fn write(&self, loss: Loss, chance: &mut Chance, from: &Path, to: &Path) {
        let mut names = self.synced_names.clone();
        let kept = match loss {
            Loss::Dropped => 0,
            Loss::Nothing => self.unsynced_names.len(),
            _ => chance.below(self.unsynced_names.len() as u64 + 1) as usize,
        };
        self.unsynced_names[..kept].iter().for_each(|(_, renaming)| put(&mut names, renaming));
        for (path, file) in names {
            let path = to.join(path.strip_prefix(from).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, self.files[file].after(loss, chance)).unwrap();
            // The key must not be readable by others.
            fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        }
    }
}

fn put(names: &mut BTreeMap<PathBuf, usize>, renaming: &Renaming) {
    match renaming {
        Renaming::Add { path, file } => {
            names.insert(path.clone(), *file);
        }
        Renaming::Remove { path } => {
            names.remove(path);
        }
        Renaming::Move { from, to } => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
    }
}

fn edit(bytes: &mut Vec<u8>, change: &Edit) {
    match change {
        Edit::Write { at, bytes: written } => {
            let at = usize::try_from(*at).unwrap();
            bytes.resize(bytes.len().max(at + written.len()), 0);
            bytes[at..at + written.len()].copy_from_slice(written);
        }
        Edit::Resize { length } => bytes.resize(usize::try_from(*length).unwrap(), 0),
    }
}

impl File {
    fn after(&self, loss: Loss, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in &self.unsynced {
            match loss {
                Loss::Dropped => {}
                Loss::Nothing | Loss::ShortFiles => edit(&mut bytes, &change.what),
                Loss::Reordered => {
                    if chance.below(2) == 0 {
                        edit(&mut bytes, &change.what);
                    }
                }
                Loss::Torn512 => torn(&mut bytes, &change.what, 512, chance),
                Loss::Torn4096 => torn(&mut bytes, &change.what, 4_096, chance),
                Loss::Zeros => {
                    if let Edit::Write { at, bytes: written } = &change.what {
                        let end = usize::try_from(*at).unwrap() + written.len();
                        bytes.resize(bytes.len().max(end), 0);
                    }
                }
            }
        }
        if loss == Loss::ShortFiles {
            bytes.truncate(self.synced.len());
        }
        bytes
    }
}

/// Writes some of the blocks of `size` bytes that a write touches.
fn torn(bytes: &mut Vec<u8>, change: &Edit, size: u64, chance: &mut Chance) {
    match change {
        Edit::Resize { .. } => {
            if chance.below(2) == 0 {
                edit(bytes, change);
            }
        }
        Edit::Write { at, bytes: written } => {
            let end = at + written.len() as u64;
            let mut from = *at;
            while from < end {
                let until = end.min((from / size + 1) * size);
                if chance.below(2) == 0 {
                    let part = &written[(from - at) as usize..(until - at) as usize];
                    edit(bytes, &Edit::Write { at: from, bytes: part.to_vec() });
                }
                from = until;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(began: i64, what: What) -> Call {
        Call { began: Moment(began), ended: Some(Moment(began + 5)), what }
    }

    fn written(at: u64, text: &str) -> What {
        What::Write { path: "/d/db".into(), at: Some(at), bytes: text.as_bytes().to_vec() }
    }

    fn sync(path: &str) -> What {
        What::Sync { path: path.into() }
    }

    fn after(calls: &[Call], moment: i64, loss: Loss) -> BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Disk::of(Path::new("/nowhere"), |_| true);
        disk.replay(calls, Moment(moment));
        disk.write(loss, &mut Chance(7), Path::new("/d"), folder.path());
        let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
            })
            .collect()
    }

    #[test]
    fn what_was_synced_stays_and_nothing_else_must() {
        let create = |path: &str| What::Create { path: path.into(), emptied: false };
        let calls = [
            call(10, create("/d/db")),
            call(20, written(0, "one")),
            call(30, sync("/d/db")),
            call(40, sync("/d")),
            call(50, written(3, "two")),
            call(60, What::Rename { from: "/d/db".into(), to: "/d/other".into() }),
        ];
        let db = |name: &str, text: &str| BTreeMap::from([(name.to_owned(), text.to_owned())]);
        assert_eq!(after(&calls, 39, Loss::Dropped), BTreeMap::new(), "its name is not on the disk");
        assert_eq!(after(&calls, 49, Loss::Dropped), db("db", "one"));
        assert_eq!(after(&calls, 100, Loss::Dropped), db("db", "one"), "neither the write nor the new name");
        assert_eq!(after(&calls, 100, Loss::Nothing), db("other", "onetwo"));
        assert_eq!(after(&calls, 58, Loss::Zeros), db("db", "one\0\0\0"));
        assert_eq!(after(&calls, 58, Loss::ShortFiles), db("db", "one"));
    }

    #[test]
    fn a_sync_covers_only_what_had_ended_when_it_began() {
        let calls = [
            call(10, What::Create { path: "/d/db".into(), emptied: false }),
            call(20, sync("/d")),
            call(30, written(0, "a")),
            call(33, sync("/d/db")),
            call(40, written(1, "b")),
            call(46, sync("/d/db")),
        ];
        assert_eq!(after(&calls, 39, Loss::Dropped)["db"], "", "the write was under way when the sync began");
        assert_eq!(after(&calls, 60, Loss::Dropped)["db"], "ab");
        assert_eq!(after(&calls, 48, Loss::Dropped)["db"], "", "a sync that has not returned covers nothing");
    }

    #[test]
    fn torn_writes_keep_whole_blocks() {
        let long = "x".repeat(2_048);
        let calls = [
            call(10, What::Create { path: "/d/db".into(), emptied: false }),
            call(20, sync("/d")),
            call(30, written(0, &long)),
        ];
        let torn = after(&calls, 100, Loss::Torn512).remove("db").unwrap();
        let blocks: Vec<_> = torn.as_bytes().chunks(512).collect();
        assert!(blocks.iter().all(|block| block.iter().all(|byte| *byte == block[0])));
        assert!(torn.contains('x') && torn.len() + torn.matches('\0').count() > 0);
    }
}
