//! Express and better-sqlite3 on Node, installed by npm below the target folder.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Handler, Started};
use crate::server::APP_SECRET;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/day/express");

struct Express {
    child: Child,
    addr: SocketAddr,
}

impl Handler for Express {
    fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Express {
    fn drop(&mut self) {
        // Its workers exit with it, because their channel closes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SQLite allows one writer at a time, so more processes only help with the work before the write.
pub fn start(folder: &Path, processes: usize) -> Started {
    let program = installed()?;
    let addr = free_address()?;
    let database = folder.join(format!("express-{processes}.db"));
    let child = Command::new("node")
        .arg("server.js")
        .current_dir(program)
        .env("NODE_ENV", "production")
        .env("PORT", addr.port().to_string())
        .env("DATABASE", database)
        .env("APP_SECRET", APP_SECRET)
        .env("WORKERS", processes.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("node: {error}"))?;
    let express = Express { child, addr };
    wait_for(addr)?;
    Ok(Box::new(express))
}

/// The installation, once per target folder: compiling its SQLite takes minutes.
fn installed() -> Result<PathBuf, String> {
    let folder = below_target("day-express");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    for file in ["package.json", "package-lock.json", "server.js"] {
        let _ = fs::copy(Path::new(SOURCE).join(file), folder.join(file));
    }
    if !folder.join("node_modules/better-sqlite3/build/Release/better_sqlite3.node").exists() {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
        run(&mut npm)?;
    }
    Ok(folder)
}

pub fn below_target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

pub fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} failed: {}", error.trim().lines().last().unwrap_or_default()))
}

pub fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map_err(|error| error.to_string())
}

/// Waits until the address accepts connections.
pub fn wait_for(addr: SocketAddr) -> Result<(), String> {
    for _ in 0..600 {
        if std::net::TcpStream::connect(addr).is_ok() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Err("it did not start within 30 s".to_owned())
}
