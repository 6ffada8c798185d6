//! A data folder with data, and the metadata of its files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{KEY, Server, config, run, stderr, stdout};

pub const DONE: Option<i32> = Some(0);
pub const FAILED: Option<i32> = Some(1);
pub const NUMBER: &str = "+12025550100";

pub fn offline(folder: &Path, command: &[&str]) -> Output {
    let path = folder.join("config.toml");
    run(&[&["--config", path.to_str().unwrap()], command].concat())
}

/// Stdout of a command that must succeed.
pub fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), DONE, "{}{}", stdout(output), stderr(output));
    stdout(output)
}

/// Stderr of a command that must fail.
pub fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), FAILED, "{}{}", stdout(output), stderr(output));
    stderr(output)
}

/// The configuration of a test without providers.
pub fn text(folder: &Path) -> String {
    config("127.0.0.1:0".parse().unwrap(), "http://127.0.0.1:9", folder)
}

/// Sends one code; returns the id of its verification.
pub fn send(server: &Server) -> String {
    let sent = run(&["send", NUMBER, "--url", &server.url(), "--key", KEY]);
    done(&sent).split_whitespace().next().unwrap().to_owned()
}

/// Runs a server on this folder, sends one code and stops; returns the id.
pub fn stopped(folder: &Path) -> String {
    let config = text(folder);
    let mut server = Server::start(&config, folder);
    send(&server);
    for command in [&["reindex"][..], &["audit", "verify"], &["verify"]] {
        let output = offline(folder, command);
        assert_eq!(stdout(&output), "", "{command:?}");
        let told = failed(&output);
        assert!(told.contains("another process") && told.contains("twotick backup"), "{told}");
    }
    server.signal("-TERM");
    assert!(server.ended().0.success());
    config
}

/// Owner, group, mode, size, modification time and content of a file.
pub type Facts = (u32, u32, u32, u64, i128, Vec<u8>);

/// All files below a folder.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Facts> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let about = fs::metadata(&folder).unwrap();
        note(&mut found, &folder, &about);
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::metadata(&path).unwrap();
            if about.is_dir() { folders.push(path) } else { note(&mut found, &path, &about) }
        }
    }
    found
}

fn note(found: &mut BTreeMap<PathBuf, Facts>, path: &Path, about: &fs::Metadata) {
    let content = if about.is_file() { fs::read(path).unwrap() } else { Vec::new() };
    let changed = i128::from(about.mtime()) * 1_000_000_000 + i128::from(about.mtime_nsec());
    let facts = (about.uid(), about.gid(), about.mode() & 0o7777, about.len(), changed, content);
    found.insert(path.to_owned(), facts);
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
