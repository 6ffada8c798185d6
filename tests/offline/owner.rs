//! Ownership of files: the administrator is root, the server is not.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::support::{KEY, Server, run, stderr, stdout};
use crate::world::{DONE, FAILED, copy_folder, done, failed, files, send, stopped, text};

/// User id of the server; no other user has it.
const UID: u32 = 61_234;
const GID: u32 = 61_235;
const CHECKS: [&[&str]; 3] = [&["verify"], &["audit", "verify"], &["doctor"]];

/// A server with its own user, in a folder of that user.
struct House {
    folder: tempfile::TempDir,
    home: PathBuf,
    binary: PathBuf,
}

impl House {
    /// `None` unless this process is root's.
    fn new(what: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        if fs::metadata(folder.path()).unwrap().uid() != 0 {
            let _ = writeln!(std::io::stderr(), "\nNOT RUN: {what}: it needs root\n");
            return None;
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, Permissions::from_mode(0o700)).unwrap();
        chown(&home, Some(UID), Some(GID)).unwrap();
        // In a place that the other user can reach.
        let binary = folder.path().join("twotick");
        fs::hard_link(env!("CARGO_BIN_EXE_twotick"), &binary)
            .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_twotick"), &binary).map(drop))
            .unwrap();
        fs::write(folder.path().join("config.toml"), text(&home)).unwrap();
        Some(Self { folder, home, binary })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(self.folder.path().join("config.toml")).args(arguments);
        command.env_remove("TWOTICK_LOG").current_dir(self.folder.path());
        command
    }

    fn as_user(&self, uid: u32, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.uid(uid).gid(GID);
        command
    }

    fn serve(&self) -> Server {
        Server::start_by(self.as_user(UID, &["serve"]))
    }

    /// Runs as root, with this umask.
    fn as_root(&self, umask: &str, arguments: &[&str]) -> Output {
        let command = self.command(arguments);
        let quoted = command.get_args().map(|one| format!("'{}'", one.to_str().unwrap()));
        let line = format!(
            "umask {umask}; exec '{}' {}",
            self.binary.display(),
            quoted.collect::<Vec<_>>().join(" ")
        );
        Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).output().unwrap()
    }

    fn assert_all_is_the_servers(&self, after: &str) {
        for (path, (uid, gid, mode, ..)) in files(&self.home) {
            assert_eq!((uid, gid), (UID, GID), "{} after {after}", path.display());
            assert_eq!(mode & 0o077, 0, "{} after {after}: {mode:o}", path.display());
        }
    }
}

fn stop(mut server: Server) {
    server.signal("-TERM");
    assert!(server.ended().0.success());
}

#[test]
fn roots_commands_leave_only_files_that_the_server_can_open() {
    let Some(house) = House::new("what root does with the data of another user") else { return };
    let server = house.serve();
    let id = send(&server);
    stop(server);
    let vault = house.folder.path().join("safe");
    fs::create_dir(&vault).unwrap();
    fs::set_permissions(&vault, Permissions::from_mode(0o700)).unwrap();
    let (backup, export) = (vault.join("backup.zst"), vault.join("export.ndjson"));
    let (backup, export) = (backup.to_str().unwrap(), export.to_str().unwrap());
    for umask in ["022", "077"] {
        for check in CHECKS {
            let before = files(&house.home);
            let output = house.as_root(umask, check);
            // The doctor finds no providers here.
            let expected = if check == ["doctor"] { FAILED } else { DONE };
            assert_eq!(output.status.code(), expected, "{check:?}: {}{}", stdout(&output), stderr(&output));
            assert!(files(&house.home) == before, "{check:?} under {umask} writes nothing");
        }
        for command in
            [&["backup", backup][..], &["export", export], &["reindex"], &["erase", "+12025550199", "--now"]]
        {
            done(&house.as_root(umask, command));
            house.assert_all_is_the_servers(&format!("{command:?} under {umask}"));
        }
        for written in [backup, export] {
            let about = fs::metadata(written).unwrap();
            assert_eq!((about.uid(), about.mode() & 0o777), (0, 0o600), "who asks for a copy has it");
        }
        let server = house.serve();
        let told = run(&["status", &id, "--url", &server.url(), "--key", KEY]);
        assert!(done(&told).contains("+12025550100"), "everything is readable");
        stop(server);
    }
    // Root can also destroy the keys of a number.
    done(&house.as_root("077", &["erase", "+12025550100", "--now"]));
    house.assert_all_is_the_servers("erase --now");
    stop(house.serve());

    for (command, file) in [("restore", backup), ("import", export)] {
        let other = House::new("").unwrap();
        let data = other.home.join("data");
        fs::copy(house.home.join("master.key"), other.home.join("master.key")).unwrap();
        copy_folder(&house.home.join("data/keys"), &data.join("keys"));
        // Files that root has put there become the server's, and symlinks of the server's do not lead root elsewhere.
        let elsewhere = other.folder.path().join("elsewhere");
        fs::write(&elsewhere, "").unwrap();
        std::os::unix::fs::symlink(&elsewhere, data.join("snap.1")).unwrap();
        let refused = failed(&other.as_root("077", &[command, file]));
        assert!(refused.contains("snap.1") && refused.contains("user id 0"), "{refused}");
        assert_eq!(fs::metadata(&elsewhere).unwrap().uid(), 0);
        fs::remove_file(data.join("snap.1")).unwrap();
        done(&other.as_root("077", &[command, file]));
        other.assert_all_is_the_servers(command);
        stop(other.serve());
    }
    // Into a folder that root creates.
    let other = House::new("").unwrap();
    fs::copy(house.home.join("master.key"), other.home.join("master.key")).unwrap();
    done(&other.as_root("022", &["restore", backup, "--accept-lost-keys"]));
    other.assert_all_is_the_servers("restore into a new folder");
}

#[test]
fn root_starts_the_server_as_the_owner_of_its_data() {
    let Some(house) = House::new("a server that root starts on the data of another user") else { return };
    let server = Server::start_by(house.command(&["serve"]));
    send(&server);
    house.assert_all_is_the_servers("serve");
    stop(server);
    stop(house.serve());
}

#[test]
fn a_refusal_names_the_file_and_both_users() {
    let Some(house) = House::new("files that a user may not open") else { return };
    stop(house.serve());
    let data = house.home.join("data");
    let copy = std::env::temp_dir().join("twotick-of-a-stranger.backup");
    for command in
        [&["verify"][..], &["backup", copy.to_str().unwrap()], &["erase", "+12025550100"], &["serve"]]
    {
        let stranger = house.as_user(UID + 1, command).output().unwrap();
        let told = failed(&stranger);
        for word in [house.home.to_str().unwrap(), &format!("user id {UID}"), &format!("user id {}", UID + 1)]
        {
            assert!(told.contains(word), "{command:?}: {word} in {told}");
        }
    }
    for name in ["db", "conf", "lock", "wal.0", "keys/codes"] {
        let path = data.join(name);
        if !path.exists() {
            continue;
        }
        chown(&path, Some(0), Some(0)).unwrap();
        let started = house.as_user(UID, &["serve"]).output().unwrap();
        let checked = house.as_root("022", &["verify"]);
        for (who, output) in [("serve", &started), ("root's verify", &checked)] {
            let told = stderr(output);
            assert_eq!(output.status.code(), FAILED, "{who}, {name}: {told}");
            for word in [path.to_str().unwrap(), "user id 0", &format!("user id {UID}")] {
                assert!(told.contains(word), "{who}, {name}: {word} in {told}");
            }
        }
        let looked = stdout(&house.as_root("022", &["doctor"]));
        assert!(looked.contains(&format!("wrong  data folder: {}", path.display())), "{name}: {looked}");
        chown(&path, Some(UID), Some(GID)).unwrap();
    }
    stop(house.serve());
}

#[test]
fn a_check_of_a_killed_servers_data_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::start(&text(folder.path()), folder.path());
    send(&server);
    server.signal("-KILL");
    server.ended();
    let before = files(&data);
    // A folder of its own for temporary files, because other tests check stores at the same time.
    let temporary = folder.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    for check in CHECKS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twotick"));
        command.arg("--config").arg(folder.path().join("config.toml")).args(check);
        let output = command.env("TMPDIR", &temporary).output().unwrap();
        let told = stdout(&output);
        assert!(files(&data) == before, "{check:?}: {told}");
        match check {
            ["verify"] => assert!(told.contains("verifications: 1"), "what only the log holds: {told}"),
            ["doctor"] => assert!(told.contains("ok     store: opens"), "{told}{}", stderr(&output)),
            _ => assert!(done(&output).starts_with("intact"), "{told}"),
        }
    }
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "no copy is left");
}

#[test]
fn data_is_private_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let config = stopped(folder.path());
    let data = folder.path().join("data");
    for (path, (.., mode, _, _, _)) in files(&data) {
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
    // Permissions of an earlier copy are removed by the next start.
    for path in files(&data).into_keys() {
        let open = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
    }
    let _server = Server::start(&config, folder.path());
    for name in ["", "db", "conf", "lock", "keys", "keys/days"] {
        let mode = fs::metadata(data.join(name)).unwrap().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}
