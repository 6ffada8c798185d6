//! Data whose keys are missing.

use std::fs;

use crate::support::{stderr, stdout};
use crate::world::{FAILED, copy_folder, done, failed, offline, stopped, text};

/// A folder with only a configuration.
fn empty() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), text(folder.path())).unwrap();
    folder
}

#[test]
fn missing_keys_are_reported_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    stopped(folder.path());
    let [backup, export] = ["twotick.backup", "twotick.export"].map(|name| folder.path().join(name));
    done(&offline(folder.path(), &["backup", backup.to_str().unwrap()]));
    done(&offline(folder.path(), &["export", export.to_str().unwrap()]));
    let (master, keys) = (folder.path().join("master.key"), folder.path().join("data/keys"));
    for (command, file) in [("restore", backup.to_str().unwrap()), ("import", export.to_str().unwrap())] {
        let nothing = empty();
        let told = failed(&offline(nothing.path(), &[command, file]));
        let (wanted, days) = (nothing.path().join("master.key"), nothing.path().join("data/keys"));
        for word in [wanted.to_str().unwrap(), days.to_str().unwrap(), "missing"] {
            assert!(told.contains(word), "{command}: {word} in {told}");
        }
        assert!(!nothing.path().join("data").exists() && !wanted.exists(), "{command}: nothing is made");

        let no_days = empty();
        fs::copy(&master, no_days.path().join("master.key")).unwrap();
        let told = failed(&offline(no_days.path(), &[command, file]));
        for word in ["keys of 1 of", no_days.path().join("data/keys").to_str().unwrap(), "--accept-lost-keys"]
        {
            assert!(told.contains(word), "{command}: {word} in {told}");
        }
        assert!(!no_days.path().join("data/db").exists(), "{command}: nothing is written");
        let told = done(&offline(no_days.path(), &[command, file, "--accept-lost-keys"]));
        assert!(told.contains("verifications: 1"), "{told}");

        let all = empty();
        fs::copy(&master, all.path().join("master.key")).unwrap();
        copy_folder(&keys, &all.path().join("data/keys"));
        done(&offline(all.path(), &[command, file]));

        let other = empty();
        fs::copy(&master, other.path().join("master.key")).unwrap();
        fs::write(other.path().join("master.key"), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
        let told = failed(&offline(other.path(), &[command, file]));
        assert!(told.contains("another master key"), "{told}");
    }
    // Day keys without data do not lead to a new master key either.
    let half = empty();
    copy_folder(&keys, &half.path().join("data/keys"));
    let started = offline(half.path(), &["serve"]);
    assert_eq!(started.status.code(), FAILED);
    assert!(stderr(&started).contains("master.key is missing"), "{}", stderr(&started));
    assert!(!half.path().join("master.key").exists());
}

#[test]
fn the_doctor_counts_unreadable_verifications() {
    let folder = tempfile::tempdir().unwrap();
    stopped(folder.path());
    let store = || {
        let told = stdout(&offline(folder.path(), &["doctor"]));
        let line = told.lines().find(|line| line.contains("  store: ")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{told}"))
    };
    assert!(store().starts_with("ok "), "{}", store());
    let [days, codes] = ["days", "codes"].map(|name| folder.path().join("data/keys").join(name));
    let aside = folder.path().join("codes");
    fs::rename(&codes, &aside).unwrap();
    let told = store();
    assert!(told.starts_with("wrong") && told.contains("1 pending verifications cannot continue"), "{told}");
    fs::rename(&aside, &codes).unwrap();
    fs::remove_file(days).unwrap();
    let told = store();
    assert!(told.starts_with("wrong") && told.contains("of 1 verifications are unreadable"), "{told}");
}
