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
    let unpacked = made("unpacked.backup", &zstd::decode_all(&fs::read(&backup).unwrap()[..]).unwrap());
    let packed = made("packed.export", &zstd::encode_all(&fs::read(&export).unwrap()[..], 3).unwrap());
    let foreign = made("foreign.zst", &zstd::encode_all(&b"something else"[..], 3).unwrap());

    let all = ["restore", "import", "verify"];
    let rows: Vec<(PathBuf, &str, &[&str])> = vec![
        (export.clone(), "is an export: `twotick import", &["restore"]),
        (packed.clone(), "is an export: `twotick import", &["restore"]),
        (backup.clone(), "is a backup: `twotick restore", &["import"]),
        (unpacked.clone(), "is a backup: `twotick restore", &["import"]),
        (foreign, "is a zstd file with something else in it", &all),
        (made("empty", b""), "is empty", &all),
        (made("noise", &[0xff, 0xfe, 0, 1, 2]), "is none of twotick's files", &all),
        (made("letter.txt", b"Dear Sir or Madam"), "is none of twotick's files", &all),
        (made("a.tar.gz", &[0x1f, 0x8b, 8, 0]), "is a gzip file: unpack it first", &all),
        (made("newer", b"twotick copy 9\n\0"), "is a backup of a newer twotick", &all),
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
        [(&backup, "a backup"), (&unpacked, "a backup"), (&export, "an export"), (&packed, "an export")]
    {
        let told = done(&run(&["verify", file.to_str().unwrap()]));
        assert!(told.starts_with("whole; ") && told.contains(what), "{told}");
        // A truncated or changed file is recognized, and is not intact.
        let mut bytes = fs::read(file).unwrap();
        bytes.truncate(bytes.len() - 9);
        let cut = made("cut", &bytes);
        let output = run(&["verify", cut.to_str().unwrap()]);
        assert_eq!(output.status.code(), FAILED);
        assert!(stdout(&output).starts_with("not whole: "), "{what}: {}{}", stdout(&output), stderr(&output));
    }
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("config.toml"), crate::world::text(other.path())).unwrap();
    fs::copy(at("master.key"), other.path().join("master.key")).unwrap();
    let told = done(&offline(other.path(), &["import", packed.to_str().unwrap(), "--accept-lost-keys"]));
    assert!(told.contains("verifications: 1"), "{told}");
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
