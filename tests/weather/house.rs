//! The server of these tests as a process of its own, with providers that may stand behind a proxy.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::checker::Seen;
use crate::world::{APP_SECRET, Home, KEY, REPORT_SECRET, Server};

/// Before one asks again.
const A_MOMENT: Duration = Duration::from_millis(50);

/// What differs between the tests.
pub struct Rooms {
    /// Where Meta and the carrier are.
    pub providers: SocketAddr,
    pub deliver_within: &'static str,
    pub code_ttl: &'static str,
    /// Appended to the configuration.
    pub more: String,
}

/// Writes the configuration. The address is one that was free a moment ago.
pub fn home(folder: &Path, rooms: &Rooms) -> Home {
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let Rooms { providers, deliver_within, code_ttl, more } = rooms;
    let config = format!(
        r#"
[server]
listen = "{addr}"
admin_listen = "127.0.0.1:0"
[store]
path = {data:?}
[keys]
master = {{ file = {key:?} }}
[[apps]]
name = "shop"
api_keys = ["{KEY}"]
[channels.whatsapp]
kind = "meta"
graph_url = "http://{providers}"
phone_number_id = "106540352242922"
business_account_id = "102290129340398"
access_token = "token"
app_secrets = ["{APP_SECRET}"]
verify_token = "verify-me"
messages_per_second = 1000
connect_timeout = "500ms"
timeout = "1s"
[channels.sms]
kind = "http"
url = "http://{providers}/sms/send"
from = "Acme"
bearer = "token"
report_secret = "{REPORT_SECRET}"
in_doubt_wait = "2s"
connect_timeout = "500ms"
timeout = "1s"
[profiles.login]
brand = "Acme"
code_ttl = "{code_ttl}"
steps = [
  {{ channel = "whatsapp", template = "login_code", deliver_within = "{deliver_within}" }},
  {{ channel = "sms", text = "otp" }},
]
[templates.login_code]
locales = {{ en = "en_US" }}
button = "copy_code"
[texts.otp]
en = "{{code}} is your {{brand}} code."
{more}
"#,
        data = folder.join("data"),
        key = folder.join("master.key"),
    );
    fs::write(folder.join("config.toml"), config).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Many callers at once, each patient with a server under attack.
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build().unwrap();
    Home { folder: folder.to_owned(), addr, client }
}

/// The answer to a create. A client that opens connections ahead may meet one that has just been idle for too long, and
/// then asks again.
pub async fn created(home: &Home, body: &Value, key: &str) -> Value {
    loop {
        match home.post("/v1/verifications", body, Some(key)).await {
            Ok((201, created)) => return created,
            Ok((408, _)) | Err(_) => tokio::time::sleep(A_MOMENT).await,
            Ok((status, answer)) => panic!("a create was answered with {status}: {answer}"),
        }
    }
}

/// A report of the provider who saw this; told until it is answered, with what.
pub async fn report(home: &Home, seen: &Seen, status: &str) -> u16 {
    loop {
        let answer = match &*seen.channel {
            "sms" => home.sms_report(&seen.reference, status).await,
            _ => home.statuses(&[(&seen.provider_ref, status, Some(&seen.reference))]).await,
        };
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(408) | Err(_) => tokio::time::sleep(A_MOMENT).await,
            Ok(status) => return status,
        }
    }
}

/// The most memory that the process ever had at once, in MiB (`VmHWM`).
pub fn peak_memory(server: &Server) -> u64 {
    memory(server, "VmHWM:")
}

/// What it has now (`VmRSS`).
pub fn memory_now(server: &Server) -> u64 {
    memory(server, "VmRSS:")
}

/// From now on [`peak_memory`] counts anew.
pub fn forget_peak(server: &Server) {
    fs::write(format!("/proc/{}/clear_refs", server.child.id()), "5").unwrap();
}

fn memory(server: &Server, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes / 1024
}
