//! Requirements such as root or a tool: used if available, reported prominently if not.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::sync::{Mutex, MutexGuard};

/// These tests measure, fill disks and count system calls, so only one runs at a time.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// Whether the requirements are met: `programs` exist, and we are root if one of them mounts. If not, skipping must be
/// permitted by the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "whether a machine may leave a test out is its environment's to say"
)]
pub fn can_run(what: &str, programs: &[&str]) -> bool {
    let root = !programs.contains(&"mount") || output("id", ["-u"]).trim() == "0";
    let there =
        |program: &&&str| Command::new("which").arg(program).output().is_ok_and(|out| out.status.success());
    let missing: Vec<_> = programs.iter().filter(|program| !there(program)).collect();
    let refused = || programs.iter().find(|program| !is_allowed(program));
    let why = if !root {
        "it needs root".to_owned()
    } else if !missing.is_empty() {
        format!("{missing:?} are missing")
    } else if let Some(refused) = refused() {
        format!("{refused} is not allowed here, as in a container")
    } else {
        return true;
    };
    // Written past the harness's capture, so that it is visible although the test passes.
    let _ = writeln!(std::io::stderr(), "\nNOT RUN: {what}: {why}\n");
    assert!(
        std::env::var_os("TWOTICK_NO_ROOT_TESTS").is_some_and(|value| value == "1"),
        "{what} was not run: {why}. TWOTICK_NO_ROOT_TESTS=1 lets it be left out"
    );
    false
}

/// Whether the machine permits what the program does.
fn is_allowed(program: &str) -> bool {
    let tries = |program: &str, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|out| out.status.success())
    };
    match program {
        "strace" => tries("strace", &["-o", "/dev/null", "true"]),
        "losetup" => tries("losetup", &["-f"]),
        "mount" => {
            let folder = tempfile::tempdir().unwrap();
            let at = folder.path().to_str().unwrap();
            tries("mount", &["-t", "tmpfs", "tmpfs", at]) && tries("umount", &[at])
        }
        _ => true,
    }
}

/// Runs the program and returns its output; fails with its error output.
pub fn output<A: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = A>) -> String {
    let out = Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(out.status.success(), "{program}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// A mounted file system, unmounted when dropped.
pub struct Mount {
    pub at: PathBuf,
    device: Option<String>,
}

impl Mount {
    /// Mounts `image` through a loop device.
    pub fn image(image: &Path, at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let device = output("losetup", [OsStr::new("-f"), OsStr::new("--show"), image.as_os_str()]);
        let device = device.trim().to_owned();
        let mount = Self { at: at.to_owned(), device: Some(device.clone()) };
        output("mount", [OsStr::new(&device), at.as_os_str()]);
        mount
    }

    pub fn memory(at: &Path, mebibytes: u32) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={mebibytes}m");
        output("mount", ["-t", "tmpfs", "-o", &size, "tmpfs", at.to_str().unwrap()]);
        Self { at: at.to_owned(), device: None }
    }
}

impl Mount {
    /// Resizes a file system in memory.
    pub fn resize(&self, mebibytes: u32) {
        let size = format!("remount,size={mebibytes}m");
        output("mount", ["-o", &size, self.at.to_str().unwrap()]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily, because a server stopped by a failing test may still use it.
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
        if let Some(device) = &self.device {
            let _ = Command::new("losetup").args(["-d", device]).output();
        }
    }
}
