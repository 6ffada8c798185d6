//! The server under test: the release binary, started as usual.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use twotick::clock::Stopwatch;

use crate::Outcome;

pub const APP: &str = "figures";
/// A fixed key, so that a folder can be filled before its server is started.
pub const MASTER: [u8; 32] = [7; 32];
pub const APP_KEY: &str = "the-key-of-the-only-app";
pub const APP_SECRET: &str = "a-secret-by-which-the-stand-in-signs";
pub const PHONE_NUMBER_ID: &str = "106540352242922";
pub const BUSINESS_ACCOUNT_ID: &str = "102290129340398";

/// The number of channels of kind `meta`: `meta0` and so on, each with a profile of its name. Meta allows 1,000
/// messages per second and number, which twotick enforces; several numbers keep this out of the measurement.
pub const NUMBERS: usize = 16;
/// Enough for 100,000 long polls.
const CONNECTIONS: usize = 120_000;
/// The deadline of the profile `fallback`, as in the default configuration.
pub const DELIVER_WITHIN: Duration = Duration::from_secs(30);

/// The environment variables of the default configuration.
const SECRETS: [&str; 6] = [
    "TWOTICK_SHOP_KEY",
    "WHATSAPP_ACCESS_TOKEN",
    "META_APP_SECRET",
    "META_VERIFY_TOKEN",
    "SMS_TOKEN",
    "SMS_REPORT_SECRET",
];

const START_LIMIT: Duration = Duration::from_secs(300);

pub struct Server {
    child: Child,
    pub addr: SocketAddr,
    admin_addr: SocketAddr,
    log: PathBuf,
    /// From the start of the process until it was ready.
    pub ready_after: Duration,
}

impl Server {
    /// Starts a server with data, configuration and log in `folder`.
    pub fn start(folder: &Path, providers: SocketAddr) -> Outcome<Self> {
        fs::create_dir_all(folder)?;
        let (addr, admin_addr) = (free_address()?, free_address()?);
        let config = folder.join("config.toml");
        fs::write(&config, configuration(folder, addr, admin_addr, providers))?;
        Self::spawn(folder, &config, &[], addr, admin_addr)
    }

    /// Starts a server with the commented default configuration on other addresses. It contacts no provider.
    pub fn start_default(folder: &Path) -> Outcome<Self> {
        fs::create_dir_all(folder)?;
        let (addr, admin_addr) = (free_address()?, free_address()?);
        let (listen, admin_listen) = (addr.to_string(), admin_addr.to_string());
        let nobody = "https://127.0.0.1:9";
        let mut settings: Vec<_> = SECRETS.iter().map(|&name| (name, APP_SECRET)).collect();
        settings.extend([
            ("TWOTICK__SERVER__LISTEN", listen.as_str()),
            ("TWOTICK__SERVER__ADMIN_LISTEN", admin_listen.as_str()),
            ("TWOTICK__CHANNELS__WHATSAPP__GRAPH_URL", nobody),
            ("TWOTICK__CHANNELS__SMS__URL", nobody),
        ]);
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
        Self::spawn(folder, &config, &settings, addr, admin_addr)
    }

    fn spawn(
        folder: &Path,
        config: &Path,
        settings: &[(&str, &str)],
        addr: SocketAddr,
        admin_addr: SocketAddr,
    ) -> Outcome<Self> {
        let watch = Stopwatch::start();
        let log = folder.join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_twotick"))
            .arg("--config")
            .arg(config)
            .arg("serve")
            .envs(settings.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut server = Self { child, addr, admin_addr, log, ready_after: Duration::ZERO };
        while server.ask("/readyz", addr).is_err() {
            if server.child.try_wait()?.is_some() || watch.elapsed() > START_LIMIT {
                return Err(format!("not started: {}", fs::read_to_string(&server.log)?).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        server.ready_after = watch.elapsed();
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The Prometheus metrics as text.
    pub fn metrics(&self) -> Outcome<String> {
        self.ask("/metrics", self.admin_addr)
    }

    /// The sum of all metrics whose line contains `part`.
    pub fn metric(&self, part: &str) -> Outcome<f64> {
        let metrics = self.metrics()?;
        let lines = metrics.lines().filter(|line| !line.starts_with('#') && line.contains(part));
        Ok(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }

    /// The duration of each reopening of sled, in milliseconds.
    pub fn reopenings_ms(&self) -> Outcome<Vec<u64>> {
        let log = fs::read_to_string(&self.log)?;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let reopened =
            |line: &Value| line["message"].as_str().is_some_and(|text| text.contains("opened anew"));
        Ok(lines.filter(reopened).filter_map(|line| line["took_ms"].as_u64()).collect())
    }

    /// Kills it with SIGKILL.
    pub fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn ask(&self, path: &str, addr: SocketAddr) -> Outcome<String> {
        let mut stream = TcpStream::connect(addr)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if !answer.starts_with("HTTP/1.1 200") {
            return Err(answer.lines().next().unwrap_or("no answer").into());
        }
        Ok(answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails if it has already exited, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn configuration(folder: &Path, addr: SocketAddr, admin: SocketAddr, providers: SocketAddr) -> String {
    let data = folder.join("data");
    let mut text = format!(
        r#"
[server]
listen = "{addr}"
admin_listen = "{admin}"
public_url = "http://{addr}"
max_connections = {CONNECTIONS}
max_waiting_per_app = {CONNECTIONS}
[store]
path = "{data}"
[keys]
master = "{master}"
[[apps]]
name = "{APP}"
api_keys = ["{APP_KEY}"]
[channels.sms]
kind = "http"
url = "http://{providers}/sms"
from = "Figures"
bearer = "nobody-checks-it"
report_secret = "nobody-reports-by-it"
[profiles.fallback]
brand = "Figures"
steps = [{{ channel = "meta0", template = "login_code", deliver_within = "{}s" }}, {{ channel = "sms", text = "otp" }}]
[templates.login_code]
locales = {{ en = "en_US" }}
button = "copy_code"
[texts.otp]
en = "{{code}} is your {{brand}} code. It expires in {{minutes}} minutes."
"#,
        DELIVER_WITHIN.as_secs(),
        data = data.display(),
        master = STANDARD.encode(MASTER),
    );
    for number in 0..NUMBERS {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            r#"
[channels.meta{number}]
kind = "meta"
graph_url = "http://{providers}"
phone_number_id = "{PHONE_NUMBER_ID}"
business_account_id = "{BUSINESS_ACCOUNT_ID}"
access_token = "nobody-checks-it"
app_secrets = ["{APP_SECRET}"]
verify_token = "nobody-asks-for-it"
messages_per_second = 1000
[profiles.meta{number}]
brand = "Figures"
steps = [{{ channel = "meta{number}", template = "login_code" }}]
"#
        );
    }
    text
}
