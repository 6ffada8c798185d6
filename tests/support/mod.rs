//! A real server as a separate process, with the sandbox as its providers.
#![allow(dead_code, unused_imports, reason = "each test uses its part")]

mod setup;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::Value;
use twotick::clock::Stopwatch;
use twotick::sandbox::{self, Options, Sandbox};

use setup::{APP_SECRET, REPORT_SECRET, Setup};
pub use setup::{KEY, free_address};

/// Upper bound for start and stop, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn twotick() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twotick"));
    for name in ["TWOTICK_CONFIG", "TWOTICK_URL", "TWOTICK_API_KEY", "TWOTICK_LOG"] {
        command.env_remove(name);
    }
    command
}

pub fn run(args: &[&str]) -> Output {
    twotick().args(args).stdin(Stdio::null()).output().expect("the binary runs")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Port 0 in `listen` picks a free one.
pub fn config(listen: SocketAddr, providers: &str, folder: &Path) -> String {
    Setup { listen, providers, folder, deliver_within: "30s", code_ttl: "10m", channels: "" }.text()
}

/// A sandbox that reports to `server`.
pub async fn sandbox(server: SocketAddr) -> Sandbox {
    let options = Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        webhook_url: format!("http://{server}/webhooks/whatsapp"),
        app_secret: APP_SECRET.into(),
        report_url: format!("http://{server}/webhooks/sms"),
        report_secret: REPORT_SECRET.into(),
        pace: Duration::from_millis(20),
        late_after: Duration::from_secs(60),
    };
    sandbox::start(options).await.expect("the sandbox starts")
}

/// For plain HTTP, so without certificates.
pub fn http_client() -> reqwest::Client {
    // Fails if a provider is installed already, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("a client")
}

/// `twotick serve`; killed on drop.
pub struct Server {
    child: Child,
    pub addr: SocketAddr,
    pub admin_addr: SocketAddr,
    /// The log so far.
    pub log: Arc<Mutex<String>>,
}

impl Server {
    /// Writes `config` into the folder and returns once the server is up.
    pub fn start(config: &str, folder: &Path) -> Self {
        Self::start_with(config, folder, &[])
    }

    /// As [`Server::start`], with environment variables.
    pub fn start_with(config: &str, folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::begin(config, folder, &[], variables)
    }

    /// As [`Server::start`], with arguments of `serve`.
    pub fn start_args(config: &str, folder: &Path, args: &[&str]) -> Self {
        Self::begin(config, folder, args, &[])
    }

    fn begin(config: &str, folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let path = folder.join("config.toml");
        std::fs::write(&path, config).unwrap();
        let mut command = twotick();
        command
            .args(["--config", path.to_str().unwrap(), "serve"])
            .args(args)
            .envs(variables.iter().copied());
        Self::start_by(command)
    }

    /// Returns once the server that this command starts is up.
    pub fn start_by(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let (told, up) = mpsc::channel();
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // Reads to the end, so that the server never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let entry: Value = serde_json::from_str(&line).unwrap_or_default();
                if entry["message"] == "twotick started" {
                    let addr = |key: &str| entry[key].as_str().unwrap().parse::<SocketAddr>().unwrap();
                    let _ = told.send((addr("addr"), addr("admin_addr")));
                }
                println!("server: {line}");
                *kept.lock().unwrap() += &(line + "\n");
            }
        });
        let (addr, admin_addr) = up.recv_timeout(PATIENCE).expect("the server comes up");
        Self { child, addr, admin_addr, log }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Exit status, and the time since the call.
    pub fn ended(&mut self) -> (ExitStatus, Duration) {
        let start = Stopwatch::start();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, start.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the server did not end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
