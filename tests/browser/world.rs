//! What the browsers look at: a whole twotick with a sandbox in place of the providers and the phones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use twotick::app::{self, App, Listeners, RunError};
use twotick::clock::Clock;
use twotick::config::{self, Config, Environment};
use twotick::sandbox::{self, Options, Sandbox};

use crate::driver::Driver;

pub const SHOP_KEY: &str = "shop-key-0123456789";
pub const BANK_KEY: &str = "bank-key-0123456789";
const APP_SECRET: &str = "app-secret-0123456789";
const REPORT_SECRET: &str = "report-secret-0123456789";
/// Between two reports of the sandbox.
const PACE: Duration = Duration::from_millis(60);

pub struct World {
    pub driver: Driver,
    pub sandbox: Sandbox,
    pub api: String,
    pub admin: String,
    client: reqwest::Client,
    stop: watch::Sender<()>,
    server: JoinHandle<Result<(), RunError>>,
    _folder: TempDir,
}

impl World {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [public, admin] = [free_address(), free_address()];
        let listeners = Listeners::bind(&config::Server {
            listen: public,
            admin_listen: admin,
            public_url: format!("http://{public}"),
        })
        .expect("ports that were free a moment ago");
        let sandbox = sandbox::start(options(public)).await.expect("a sandbox");
        let text = config_text(public, admin, &sandbox.url(), &folder);
        let config = Config::parse(&text, &Environment::default()).expect("a good configuration");
        let app = app::build(&config, Clock::System, listeners).await.expect("a server");
        Self::around(app, sandbox, folder)
    }

    fn around(app: App, sandbox: Sandbox, folder: TempDir) -> Self {
        let (api, admin) = (format!("http://{}", app.addr()), format!("http://{}", app.admin_addr()));
        let (stop, mut stopped) = watch::channel(());
        let server = tokio::spawn(app.run(async move {
            let _ = stopped.changed().await;
        }));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { driver: Driver::start(), sandbox, api, admin, client, stop, server, _folder: folder }
    }

    pub async fn stop(self) {
        self.stop.send_replace(());
        self.server.await.expect("it stops").expect("it ran well");
        self.sandbox.stop().await;
    }

    /// A new verification of the app `shop`.
    pub async fn create(&self, body: Value) -> Value {
        self.create_as(SHOP_KEY, body).await
    }

    pub async fn create_as(&self, key: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, key, "/v1/verifications", Some(&body)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer
    }

    /// Waits until the API shows the verification as `fits` wants it.
    pub async fn until(&self, id: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut known = String::new();
        let patience = Duration::from_secs(20);
        let watching = async {
            loop {
                let mut request = self
                    .client
                    .get(format!("{}/v1/verifications/{id}?wait=20", self.api))
                    .bearer_auth(SHOP_KEY);
                if !known.is_empty() {
                    request = request.header("if-none-match", &known);
                }
                let answer = request.send().await.expect("an answer");
                if answer.status() != StatusCode::OK {
                    continue;
                }
                known = answer.headers()["etag"].to_str().expect("text").to_owned();
                let value =
                    serde_json::from_slice(&answer.bytes().await.expect("a whole answer")).expect("JSON");
                if fits(&value) {
                    return value;
                }
            }
        };
        tokio::time::timeout(patience, watching).await.unwrap_or_else(|_| panic!("{id} never became so"))
    }

    /// Calls the API.
    pub async fn call(
        &self,
        method: Method,
        key: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.api)).bearer_auth(key);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let (status, bytes) = (answer.status(), answer.bytes().await.expect("a whole answer"));
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

/// What a call to the API needs at least.
pub fn to(number: &str) -> Value {
    json!({ "to": number, "profile": "login" })
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

fn options(server: SocketAddr) -> Options {
    Options {
        listen: "127.0.0.1:0".parse().expect("an address"),
        webhook_url: format!("http://{server}/webhooks/whatsapp"),
        app_secret: SecretString::from(APP_SECRET),
        report_url: format!("http://{server}/webhooks/sms"),
        report_secret: SecretString::from(REPORT_SECRET),
        pace: PACE,
        late_after: Duration::from_secs(3),
    }
}

/// Of a sandbox that nobody sends to.
pub fn unheard() -> Options {
    options("127.0.0.1:9".parse().expect("an address"))
}

fn config_text(public: SocketAddr, admin: SocketAddr, providers: &str, folder: &TempDir) -> String {
    let (data, key) = (folder.path().join("data"), folder.path().join("master.key"));
    format!(
        r#"
[server]
listen = "{public}"
admin_listen = "{admin}"
public_url = "http://{public}"
[store]
path = {data:?}
[keys]
master = {{ file = {key:?} }}
[[apps]]
name = "shop"
api_keys = ["{SHOP_KEY}"]
[[apps]]
name = "bank"
api_keys = ["{BANK_KEY}"]
[channels.whatsapp]
kind = "meta"
graph_url = "{providers}"
phone_number_id = "106540352242922"
business_account_id = "102290129340398"
access_token = "token"
app_secrets = ["{APP_SECRET}"]
verify_token = "verify-me"
[channels.sms]
kind = "http"
url = "{providers}/sms/send"
from = "Acme"
bearer = "token"
report_secret = "{REPORT_SECRET}"
[profiles.login]
brand = "Acme"
resend_after = ["100ms", "100ms", "100ms", "100ms", "100ms", "100ms"]
steps = [
  {{ channel = "whatsapp", template = "login_code", deliver_within = "1500ms" }},
  {{ channel = "sms", text = "otp" }},
]
[templates.login_code]
locales = {{ en = "en_US", de = "de" }}
button = "copy_code"
[texts.otp]
en = "{{code}} is your {{brand}} code. It expires in {{minutes}} minutes."
de = "{{code}} ist Ihr {{brand}}-Code. Er läuft in {{minutes}} Minuten ab."
"#
    )
}

/// Whether a case may run beside others, which all share this world.
pub type Shared = Arc<World>;
