//! Files given to a command that does not accept them.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::support::{run, stderr, stdout};
use crate::world::{FAILED, done, failed, offline, stopped};

#[test]
fn each_file_is_identified_with_the_command_that_accepts_it() {
    let folder = tempfile::tempdir().unwrap();
    stopped(folder.path());
    let at = |name: &str| folder.path().join(name);
    let made = |name: &str, content: &[u8]| {
        fs::write(at(name), content).unwrap();
        at(name)
    };
    let (backup, export) = (at("a.backup"), at("a.export"));
    done(&offline(folder.path(), &["backup", backup.to_str().unwrap()]));
    done(&offline(folder.path(), &["export", export.to_str().unwrap()]));
    let lines = zstd::decode_all(&fs::read(&backup).unwrap()[..]).unwrap();
    let unpacked = made("unpacked.backup", &lines);
    let packed = made("packed.export", &zstd::encode_all(&fs::read(&export).unwrap()[..], 3).unwrap());
    let foreign = made("foreign.zst", &zstd::encode_all(&b"something else"[..], 3).unwrap());

    let all = ["restore", "import", "verify"];
    let rows: Vec<(PathBuf, &str, &[&str])> = vec![
        (foreign, "is a zstd file with something else in it", &all),
        (made("empty", b""), "is empty", &all),
        (made("noise", &[0xff, 0xfe, 0, 1, 2]), "is none of twotick's files", &all),
        (made("letter.txt", b"Dear Sir or Madam"), "is none of twotick's files", &all),
        (made("a.tar.gz", &[0x1f, 0x8b, 8, 0]), "is a gzip file: unpack it first", &all),
        (made("older.backup", b"twotick copy 1\n\0"), "is none of twotick's files", &all),
        (made("older.export", b"{\"sum\":\"00000000\",\"line\":{}}\n"), "is none of twotick's files", &all),
        (at("config.toml"), "is a configuration: ", &all),
        (at("master.key"), "is a master key", &all),
        (at("data/keys/days"), "is a file of keys", &all),
        (at("data"), "is a data folder", &all),
        (at("data/keys"), "is a folder", &all),
        (at("data/db"), "is one file of a store", &all),
        (at("data/lock"), "is one file of a store", &all),
        (at("nowhere"), "No such file", &all),
    ];
    for (file, told, commands) in rows {
        for command in commands {
            let output = offline(folder.path(), &[command, file.to_str().unwrap()]);
            let complaint = failed(&output);
            assert!(complaint.contains(told), "{command} {}: {complaint}", file.display());
            assert!(complaint.contains(file.to_str().unwrap()), "{command}: {complaint}");
            assert!(!stdout(&output).contains("not whole"), "it is nothing that could be whole");
        }
    }
    for file in [
        &backup,
        &unpacked,
        &export,
        &packed,
        &at("master.key"),
        &at("data/keys/days"),
        &at("data"),
        &at("data/lock"),
    ] {
        let output = run(&["--config", file.to_str().unwrap(), "config", "check"]);
        assert_eq!(output.status.code(), Some(2));
        let told = stderr(&output);
        assert!(told.starts_with(&format!("no configuration: {} is ", file.display())), "{told}");
    }
    for (file, what) in
        [(&backup, "a backup"), (&unpacked, "an export"), (&export, "an export"), (&packed, "a backup")]
    {
        let told = done(&run(&["verify", file.to_str().unwrap()]));
        assert!(told.starts_with("whole; ") && told.contains(what), "{told}");
        // A truncated or changed file is recognized, and is not intact.
        let mut bytes = fs::read(file).unwrap();
        bytes.truncate(bytes.len() - 9);
        let cut = made("cut", &bytes);
        let output = run(&["verify", cut.to_str().unwrap()]);
        assert_eq!(output.status.code(), FAILED);
        let told = stdout(&output);
        let place = format!("not whole: {}, line ", cut.display());
        assert!(told.starts_with(&place) && told.contains("the dump was cut short"), "{what}: {told}");
    }
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("config.toml"), crate::world::text(other.path())).unwrap();
    fs::copy(at("master.key"), other.path().join("master.key")).unwrap();
    let newer = made("newer", &at_version(&lines, 9));
    for (command, refused) in [("verify", "not whole: "), ("import", ""), ("restore", "")] {
        let output = offline(other.path(), &[command, newer.to_str().unwrap()]);
        assert_eq!(output.status.code(), FAILED);
        let told = stdout(&output) + &stderr(&output);
        let place = format!("{refused}{}, line 1: the dump has version 9", newer.display());
        assert!(told.starts_with(&place), "{command}: {told}");
    }
    // Each of both commands reads both.
    for (command, file) in
        [("import", &packed), ("import", &export), ("restore", &backup), ("restore", &unpacked)]
    {
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("config.toml"), crate::world::text(other.path())).unwrap();
        fs::copy(at("master.key"), other.path().join("master.key")).unwrap();
        let told = done(&offline(other.path(), &[command, file.to_str().unwrap(), "--accept-lost-keys"]));
        assert!(told.starts_with(command) && told.contains("verifications: 1"), "{told}");
    }
}

/// A dump whose first line says that it is of another version, under a checksum that is right.
fn at_version(lines: &[u8], version: u32) -> Vec<u8> {
    let text = String::from_utf8(lines.to_vec()).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let (_, content) = first.split_once("\"line\":").unwrap();
    let content = content.strip_suffix('}').unwrap();
    let content = content.replace("\"version\":2", &format!("\"version\":{version}"));
    let mut sum = crc32fast::Hasher::new();
    sum.update(&1_u64.to_be_bytes());
    sum.update(content.as_bytes());
    let sum = sum.finalize();
    format!("{{\"n\":1,\"sum\":\"{sum:08x}\",\"line\":{content}}}\n{rest}").into_bytes()
}

#[test]
fn a_backup_and_an_export_hold_the_same_lines() {
    let folder = tempfile::tempdir().unwrap();
    stopped(folder.path());
    let backup = folder.path().join("a.backup");
    done(&offline(folder.path(), &["backup", backup.to_str().unwrap()]));
    let unpacked = zstd::decode_all(&fs::read(&backup).unwrap()[..]).unwrap();
    let unpacked = String::from_utf8(unpacked).unwrap();
    let export = done(&offline(folder.path(), &["export"]));
    // The first line names the dump, the last one has the hash of it.
    let inner = |text: &str| -> Vec<String> {
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines[1..lines.len() - 1].to_vec()
    };
    let (one, other) = (inner(&unpacked), inner(&export));
    assert!(one.len() > 2, "{one:?}");
    assert_eq!(one, other);
}

#[test]
fn a_missing_store_is_not_reported_as_damaged() {
    let folder = tempfile::tempdir().unwrap();
    fs::File::create(folder.path().join("config.toml"))
        .unwrap()
        .write_all(crate::world::text(folder.path()).as_bytes())
        .unwrap();
    let output = offline(folder.path(), &["verify"]);
    assert!(failed(&output).contains("there is no data"), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
}
