//! A file that a user gives to a command, and what it is: backups and exports are easily confused with what stands beside
//! them.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::Exit;
use crate::config::MasterKey;
use crate::store::dump::DumpFile;
use crate::store::sled::is_store_file;

/// What every zstd file begins with (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// So much of the beginning tells what a file is: a configuration may begin with a long comment.
const BEGINNING: u64 = 64 * 1024;

/// What a file is, by its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileKind {
    /// Compressed it is a backup, plain an export.
    Dump,
    /// Packed, but with something else in it.
    Zstd,
    Gzip,
    Empty,
    DataFolder,
    Folder,
    /// The keys of days or of codes.
    Keys,
    MasterKey,
    /// One of the files of the store itself.
    PartOfStore,
    Configuration,
    Unknown,
}

/// A file that was opened once, by who runs the command: what works on the data may run as another user.
pub(super) struct Input {
    path: PathBuf,
    file: File,
    kind: FileKind,
    is_packed: bool,
}

impl Input {
    /// Opens a dump for `command`; else says on stderr what the file is, which command takes it, and how the command ends.
    pub(super) fn open(path: &Path, command: &str) -> Result<Self, Exit> {
        let refused = |reason: String| {
            eprintln!("{reason}");
            Exit::Failed
        };
        let input = Self::read(path).map_err(|error| refused(format!("{}: {error}", path.display())))?;
        if input.kind == FileKind::Dump { Ok(input) } else { Err(refused(input.refusal(command))) }
    }

    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            let kind = if path.join("db").exists() { FileKind::DataFolder } else { FileKind::Folder };
            return Ok(Self { path: path.to_owned(), file, kind, is_packed: false });
        }
        let beginning = beginning(&file)?;
        let is_packed = beginning.starts_with(&ZSTD);
        let kind = if is_packed { inside(&file)? } else { kind_of(&beginning, path) };
        Ok(Self { path: path.to_owned(), file, kind, is_packed })
    }

    /// What a dump is called by the command that writes it.
    pub(super) fn noun(&self) -> &'static str {
        if self.is_packed { "a backup" } else { "an export" }
    }

    /// The whole content from its beginning, unpacked. Only one reader at a time.
    pub(super) fn unpacked(&self) -> io::Result<Box<dyn Read>> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(if self.is_packed {
            Box::new(BufReader::new(zstd::Decoder::new(file)?))
        } else {
            Box::new(BufReader::new(file))
        })
    }

    /// The dump in it; `open` is [`Input::unpacked`].
    pub(super) fn as_dump<'a>(
        &'a self,
        open: &'a (dyn Fn() -> io::Result<Box<dyn Read>> + Sync),
    ) -> DumpFile<'a, Box<dyn Read>> {
        DumpFile { name: &self.path, open }
    }

    /// What a file is that was named as a configuration and is something else of ours.
    pub(super) fn other_than_configuration(path: &Path) -> Option<String> {
        let input = Self::read(path).ok()?;
        match input.kind {
            FileKind::Configuration
            | FileKind::Empty
            | FileKind::Unknown
            | FileKind::Zstd
            | FileKind::Gzip
            | FileKind::Folder => None,
            FileKind::Dump
            | FileKind::DataFolder
            | FileKind::Keys
            | FileKind::MasterKey
            | FileKind::PartOfStore => Some(input.refusal("verify")),
        }
    }

    fn refusal(&self, command: &str) -> String {
        let file = self.path.display();
        let (what, advice) = match self.kind {
            FileKind::Dump if self.is_packed => (self.noun(), format!("`twotick restore {file}` takes it")),
            FileKind::Dump => (self.noun(), format!("`twotick import {file}` takes it")),
            FileKind::Zstd => ("a zstd file with something else in it", takes(command)),
            FileKind::Gzip => ("a gzip file", format!("unpack it first; {}", takes(command))),
            FileKind::Empty => ("empty", takes(command)),
            FileKind::DataFolder => (
                "a data folder",
                "name it by [store] path or --set store.path=…: `twotick verify` checks it, `twotick backup` and \
                 `twotick export` copy it"
                    .to_owned(),
            ),
            FileKind::Folder => ("a folder", takes(command)),
            FileKind::Keys => (
                "a file of keys",
                "it belongs into the folder `keys` of the data folder; no command reads it".to_owned(),
            ),
            FileKind::MasterKey => ("a master key", "[keys] master of the configuration names it".to_owned()),
            FileKind::PartOfStore => (
                "one file of a store",
                "the folder that it stands in is the data folder: `twotick verify` without a file checks it".to_owned(),
            ),
            FileKind::Configuration => {
                ("a configuration", format!("`twotick --config {file} config check` checks it"))
            }
            FileKind::Unknown => ("none of twotick's files", takes(command)),
        };
        format!("{file} is {what}: {advice}")
    }
}

fn takes(command: &str) -> String {
    format!("`twotick {command}` takes what `twotick backup` or `twotick export` wrote")
}

fn beginning(mut file: &File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut beginning = Vec::new();
    file.take(BEGINNING).read_to_end(&mut beginning)?;
    Ok(beginning)
}

/// What a zstd file holds. One whose beginning is damaged is taken for a backup: its reader says what is wrong with it.
fn inside(mut file: &File) -> io::Result<FileKind> {
    file.rewind()?;
    let mut beginning = Vec::new();
    let read = zstd::Decoder::new(file)
        .and_then(|unpacked| unpacked.take(BEGINNING).read_to_end(&mut beginning).map(drop));
    Ok(match kind_of(&beginning, Path::new("")) {
        FileKind::Dump => FileKind::Dump,
        _ if read.is_err() => FileKind::Dump,
        _ => FileKind::Zstd,
    })
}

fn kind_of(beginning: &[u8], path: &Path) -> FileKind {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_in_store =
        path.parent().is_some_and(|folder| folder.join("db").is_file() && folder.join("conf").is_file());
    if is_in_store && is_store_file(&name) {
        return FileKind::PartOfStore;
    }
    if beginning.is_empty() {
        return FileKind::Empty;
    }
    if beginning.starts_with(b"{\"n\":1,\"sum\":") {
        return FileKind::Dump;
    }
    if beginning.starts_with(b"twotick keys ") {
        return FileKind::Keys;
    }
    if beginning.starts_with(&GZIP) {
        return FileKind::Gzip;
    }
    let Ok(text) =
        std::str::from_utf8(beginning.utf8_chunks().next().map_or(&[], |chunk| chunk.valid().as_bytes()))
    else {
        return FileKind::Unknown;
    };
    if MasterKey::decode(text).is_some() {
        return FileKind::MasterKey;
    }
    let tables = ["[server]", "[store]", "[[apps]]", "[channels.", "[profiles.", "[keys]"];
    if text.lines().any(|line| tables.iter().any(|table| line.trim_start().starts_with(table))) {
        return FileKind::Configuration;
    }
    FileKind::Unknown
}
