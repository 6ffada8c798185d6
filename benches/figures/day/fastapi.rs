//! FastAPI on uvicorn, installed by pip below the target folder, and the system's PostgreSQL server.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::express::{below_target, free_address, run, wait_for};
use super::{Handler, Started};
use crate::server::APP_SECRET;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/day/fastapi");
/// The folder with one subfolder of server programs per version, on Debian and its derivatives.
const PROGRAMS: &str = "/usr/lib/postgresql";
const TABLE: &str = "CREATE TABLE statuses (wamid text, status text, at bigint, recipient text, \
                     PRIMARY KEY (wamid, status))";

struct FastApi {
    uvicorn: Child,
    addr: SocketAddr,
    _postgres: Postgres,
}

impl Handler for FastApi {
    fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for FastApi {
    fn drop(&mut self) {
        // SIGTERM makes it stop its workers; SIGKILL would leave them running.
        let pid = rustix::process::Pid::from_child(&self.uvicorn);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.uvicorn.wait();
    }
}

pub fn start(folder: &Path, processes: usize) -> Started {
    let python = installed()?;
    let postgres = Postgres::start(folder)?;
    let addr = free_address()?;
    let uvicorn = Command::new(python)
        .args(["-m", "uvicorn", "app:app", "--no-access-log", "--log-level", "warning"])
        .args(["--loop", "uvloop", "--http", "httptools"])
        .args(["--port", &addr.port().to_string(), "--workers", &processes.to_string()])
        .current_dir(SOURCE)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("APP_SECRET", APP_SECRET)
        .env("DATABASE_URL", postgres.url())
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("uvicorn: {error}"))?;
    let fastapi = FastApi { uvicorn, addr, _postgres: postgres };
    wait_for(addr)?;
    Ok(Box::new(fastapi))
}

/// A Python with the required packages.
fn installed() -> Result<PathBuf, String> {
    let folder = below_target("day-fastapi");
    let python = folder.join("bin/python");
    if !folder.join("bin/uvicorn").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let requirements = Path::new(SOURCE).join("requirements.txt");
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements))?;
    }
    Ok(python)
}

struct Postgres {
    server: Child,
    port: u16,
}

impl Postgres {
    /// The settings of a fresh installation: every commit is synced before its response.
    fn start(folder: &Path) -> Result<Self, String> {
        let programs = programs().ok_or("there is no PostgreSQL server on this system")?;
        // Not below `folder`, because the PostgreSQL user may not have access there.
        let data = std::env::temp_dir().join(format!("figures-postgres-{}", std::process::id()));
        let _ = fs::remove_dir_all(&data);
        fs::create_dir_all(&data).map_err(|error| error.to_string())?;
        if same_disk(folder, &data) == Some(false) {
            return Err("its data would lie on another disk".to_owned());
        }
        let user = user();
        if let Some((uid, gid)) = user {
            chown(&data, Some(uid), Some(gid)).map_err(|error| error.to_string())?;
        }
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command.current_dir("/");
            command
        };
        run(command("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "-D"])
            .arg(&data))?;
        let port = free_address()?.port();
        let server = command("postgres")
            .arg("-D")
            .arg(&data)
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-c",
                &format!("port={port}"),
            ])
            .args(["-c", "synchronous_commit=on", "-c", "fsync=on"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("postgres: {error}"))?;
        let postgres = Self { server, port };
        wait_for(SocketAddr::from(([127, 0, 0, 1], port)))?;
        let url = postgres.url();
        let made = (0..50).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            run(command("psql").args(["--quiet", "--no-psqlrc", "--command", TABLE, &url])).is_ok()
        });
        if made { Ok(postgres) } else { Err("its table could not be made".to_owned()) }
    }

    fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT requests a fast shutdown of all its processes.
        let pid = rustix::process::Pid::from_child(&self.server);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.server.wait();
        let _ =
            fs::remove_dir_all(std::env::temp_dir().join(format!("figures-postgres-{}", std::process::id())));
    }
}

/// The programs of the newest installed version.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(PROGRAMS).ok()?.filter_map(Result::ok).map(|entry| entry.path().join("bin"));
    versions.filter(|programs| programs.join("initdb").exists()).max()
}

/// PostgreSQL does not run as root; its packages create a user. `None` without root or such a user.
fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let fields: Vec<&str> = users.lines().find(|line| line.starts_with("postgres:"))?.split(':').collect();
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

fn same_disk(one: &Path, other: &Path) -> Option<bool> {
    use std::os::unix::fs::MetadataExt;
    Some(fs::metadata(one).ok()?.dev() == fs::metadata(other).ok()?.dev())
}
