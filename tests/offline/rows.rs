//! Rebuilt indexes, and a verified audit log.

use std::path::Path;

use crate::support::{Server, config, stderr, stdout};
use crate::world::{DONE, FAILED, offline, stopped};

/// The row that marks the indexes as complete.
const INDEX: [u8; 2] = *b"xv";

fn tamper(folder: &Path, change: impl FnOnce(&sled::Db)) {
    let db = sled::open(folder.join("data")).unwrap();
    change(&db);
    db.flush().unwrap();
}

#[test]
fn indexes_are_rebuilt_and_a_store_without_them_says_how() {
    let folder = tempfile::tempdir().unwrap();
    let config = stopped(folder.path());
    // Work offline gives the live verification rows and marks it as live.
    assert_eq!(offline(folder.path(), &["reindex"]).status.code(), DONE);
    let marks = |db: &sled::Db| db.scan_prefix(b"l").count();
    tamper(folder.path(), |db| {
        assert_eq!(marks(db), 1);
        let (key, _) = db.scan_prefix(b"l").next().unwrap().unwrap();
        db.remove(key).unwrap();
        db.remove(INDEX).unwrap();
    });
    let refused = offline(folder.path(), &["serve"]);
    assert_eq!(refused.status.code(), FAILED);
    assert!(stderr(&refused).contains("twotick reindex"), "{}", stderr(&refused));

    let made = offline(folder.path(), &["reindex"]);
    let told = "reindexed; verifications: 1, inbound messages: 0\n";
    assert_eq!((made.status.code(), stdout(&made).as_str()), (DONE, told), "{}", stderr(&made));
    assert_eq!(stderr(&made), "", "no bar where nobody looks");
    tamper(folder.path(), |db| assert_eq!(marks(db), 1));
    let server = Server::start(&config, folder.path());
    assert_ne!(server.addr.port(), 0, "it is up");
}

#[test]
fn a_broken_audit_log_is_reported_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    stopped(folder.path());
    let whole = offline(folder.path(), &["audit", "verify"]);
    assert_eq!(
        (whole.status.code(), stdout(&whole).as_str()),
        (DONE, "intact: the audit log is empty\n"),
        "{}",
        stderr(&whole)
    );
    tamper(folder.path(), |db| {
        db.insert([&b"a"[..], &1_u64.to_be_bytes()].concat(), b"forged").unwrap();
    });
    let broken = offline(folder.path(), &["audit", "verify"]);
    assert_eq!(broken.status.code(), FAILED);
    assert!(stdout(&broken).starts_with("broken at record 1: "), "{}", stdout(&broken));
}

#[test]
fn without_data_nothing_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let text = config("127.0.0.1:0".parse().unwrap(), "http://127.0.0.1:9", folder.path());
    std::fs::write(folder.path().join("config.toml"), text).unwrap();
    for command in [&["reindex"][..], &["audit", "verify"]] {
        let output = offline(folder.path(), command);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (FAILED, ""), "{command:?}");
        assert!(stderr(&output).contains("there is no data"), "{}", stderr(&output));
    }
    assert!(!folder.path().join("data").exists() && !folder.path().join("master.key").exists());
}
