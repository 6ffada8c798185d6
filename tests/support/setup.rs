//! The configuration of a test server: one app, WhatsApp by Meta, and SMS as the fallback.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

pub const KEY: &str = "test-key-0123456789";
pub const APP_SECRET: &str = "test-app-secret-0123";
pub const REPORT_SECRET: &str = "test-report-secret-0123";

/// Differences between the tests.
pub struct Setup<'a> {
    pub listen: SocketAddr,
    /// URL of Meta and the carrier: `http://…`.
    pub providers: &'a str,
    /// Folder of data and key.
    pub folder: &'a Path,
    pub deliver_within: &'a str,
    pub code_ttl: &'a str,
    /// Additional lines of both channels.
    pub channels: &'a str,
}

impl Setup<'_> {
    /// The file. Appended text must begin with a table header.
    pub fn text(&self) -> String {
        let Self { listen, providers, folder, deliver_within, code_ttl, channels } = self;
        format!(
            r#"
[server]
listen = "{listen}"
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
graph_url = "{providers}"
phone_number_id = "106540352242922"
business_account_id = "102290129340398"
access_token = "test-access-token"
app_secrets = ["{APP_SECRET}"]
verify_token = "verify-me"
messages_per_second = 1000
{channels}
[channels.sms]
kind = "http"
url = "{providers}/sms/send"
from = "Acme"
bearer = "test-carrier-token"
report_secret = "{REPORT_SECRET}"
in_doubt_wait = "2s"
{channels}
[profiles.login]
brand = "Acme"
code_ttl = "{code_ttl}"
resend_after = ["1s", "1s", "1s"]
steps = [
  {{ channel = "whatsapp", template = "login_code", deliver_within = "{deliver_within}" }},
  {{ channel = "sms", text = "otp" }},
]
[templates.login_code]
locales = {{ en = "en_US" }}
button = "copy_code"
[texts.otp]
en = "{{code}} is your {{brand}} code."
"#,
            data = folder.join("data"),
            key = folder.join("master.key"),
        )
    }
}

/// A port that was free a moment ago, for a server that must restart on the same one.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
