//! A complete server with the sandbox as providers and phones, and console users of every role.
#![allow(dead_code, reason = "each test uses its part")]

use std::net::SocketAddr;
use std::time::Duration;

use argon2::password_hash::PasswordHasher;
use futures_util::{StreamExt, stream};
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use twotick::app::{self, Listeners, RunError, Unreadable};
use twotick::channel::signature;
use twotick::clock::Clock;
use twotick::config::{self, Config, Environment};
use twotick::sandbox::{self, Options, Sandbox};
use twotick::verification::values::Alias;

use crate::hostile::{self, Business, Hostile};

pub const SHOP_KEY: &str = "shop-key-0123456789";
pub const BANK_KEY: &str = "bank-key-0123456789";
/// Password of every user.
pub const PASSWORD: &str = "a long one & not <easy>";
const APP_SECRET: &str = "app-secret-0123456789";
const REPORT_SECRET: &str = "report-secret-0123456789";
const PHONE_NUMBER_ID: &str = "106540352242922";
const ACCOUNT: &str = "102290129340398";
/// Interval between two reports of the sandbox.
const PACE: Duration = Duration::from_millis(60);
const PATIENCE: Duration = Duration::from_secs(20);
/// Author of hostile inbound messages.
const WRITER: &str = "+12025550142";

/// Console users: name, role, language, and the app that they are restricted to.
pub const USERS: [(&str, &str, Option<&str>, Option<&str>); 8] = [
    ("vera", "viewer", None, None),
    ("sam", "support", None, None),
    ("olga", "operator", None, None),
    ("shop.vera", "viewer", None, Some("shop")),
    ("shop.sam", "support", None, Some("shop")),
    ("shop.olga", "operator", None, Some("shop")),
    ("gerda", "operator", Some("de"), None),
    // For tests that would disturb other users.
    ("walt", "support", None, None),
];

/// Whether there are console users.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Staff {
    Everybody,
    Nobody,
}

pub struct Office {
    pub sandbox: Sandbox,
    /// `http://127.0.0.1:PORT` of the public listener.
    pub api: String,
    /// As `api`, of the admin listener.
    pub admin: String,
    pub client: reqwest::Client,
    config: Config,
    stop: watch::Sender<()>,
    server: JoinHandle<Result<(), RunError>>,
    _folder: TempDir,
}

impl Office {
    pub async fn open(clock: Clock, staff: Staff) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [public, admin] = [free_address(), free_address()];
        let listeners = Listeners::bind(&config::Server {
            listen: public,
            admin_listen: admin,
            public_url: format!("http://{public}"),
            max_connections: 1_000,
            max_waiting_per_app: 500,
            admin_hosts: Vec::new(),
        })
        .expect("ports that were free a moment ago");
        let sandbox = sandbox::start(options(public)).await.expect("a sandbox");
        let text = config_text(public, admin, &sandbox.url(), &folder, staff);
        let config = Config::parse(&text, &Environment::default()).expect("a good configuration");
        let app = app::build(&config, clock, listeners, app::KeyLoss::Refused).await.expect("a server");
        let (api, admin) = (format!("http://{}", app.addr()), format!("http://{}", app.admin_addr()));
        let (stop, mut stopped) = watch::channel(());
        let server = tokio::spawn(app.run(async move {
            let _ = stopped.changed().await;
        }));
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = client.build().expect("a client");
        Self { sandbox, api, admin, client, config, stop, server, _folder: folder }
    }

    pub async fn close(self) {
        self.stop.send_replace(());
        self.server.await.expect("it stops").expect("it ran well");
        self.sandbox.stop().await;
    }

    /// Erases a number, as `twotick erase` does with a running server.
    pub async fn erase(&self, number: &str) {
        let person = Alias::written(number).expect("a number");
        let config = self.config.clone();
        let erase = move || app::erase_person(&config, &person, Unreadable::InTime).expect("it is erased");
        tokio::task::spawn_blocking(erase).await.expect("it does not panic");
    }

    /// Creates a verification of the app `shop`; returns its id.
    pub async fn create(&self, body: Value) -> String {
        self.create_as(SHOP_KEY, body).await
    }

    pub async fn create_as(&self, key: &str, body: Value) -> String {
        let (status, answer) = self.call(Method::POST, key, "/v1/verifications", Some(&body)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// Polls the API until the verification `fits`.
    pub async fn until(&self, id: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.until_as(SHOP_KEY, id, fits).await
    }

    pub async fn until_as(&self, key: &str, id: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut known = String::new();
        let watching = async {
            loop {
                let url = format!("{}/v1/verifications/{id}?wait=20", self.api);
                let mut request = self.client.get(url).bearer_auth(key);
                if !known.is_empty() {
                    request = request.header("if-none-match", &known);
                }
                let answer = request.send().await.expect("an answer");
                if answer.status() == StatusCode::NOT_MODIFIED {
                    continue;
                }
                assert_eq!(answer.status(), StatusCode::OK, "{id}");
                known = answer.headers()["etag"].to_str().expect("text").to_owned();
                let value: Value =
                    serde_json::from_slice(&answer.bytes().await.expect("a whole answer")).expect("JSON");
                if fits(&value) {
                    return value;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, watching).await;
        found.unwrap_or_else(|_| panic!("{id} never became so"))
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

    /// Checks a code as the app `shop`; returns the result.
    pub async fn check(&self, id: &str, code: &str) -> String {
        let path = format!("/v1/verifications/{id}/check");
        let (_, answer) = self.call(Method::POST, SHOP_KEY, &path, Some(&json!({ "code": code }))).await;
        answer["result"].as_str().unwrap_or_default().to_owned()
    }

    /// Sends a signed webhook, which must be accepted.
    pub async fn deliver(&self, channel: &str, body: &Value) {
        let (header, secret) = match channel {
            "whatsapp" => ("x-hub-signature-256", APP_SECRET),
            _ => ("x-signature-256", REPORT_SECRET),
        };
        let body = body.to_string();
        let signature = signature::sign(&SecretString::from(secret), body.as_bytes());
        let url = format!("{}/webhooks/{channel}", self.api);
        let answer = self.client.post(url).header(header, signature).body(body).send().await;
        assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
    }

    /// Recipient of Meta's webhooks.
    pub fn business(&self) -> Business<'static> {
        let at = Clock::System.now().as_millis() / 1_000;
        Business { account: ACCOUNT, phone_number_id: PHONE_NUMBER_ID, at }
    }

    /// Sends every hostile text everywhere a stranger can. Returns the affected verifications.
    pub async fn be_written_to(&self) -> Vec<String> {
        let writing = hostile::texts().into_iter().enumerate();
        let writing = writing.map(|(number, hostile)| async move { self.be_written(number, &hostile).await });
        stream::iter(writing).buffered(8).collect().await
    }

    async fn be_written(&self, number: usize, hostile: &Hostile) -> String {
        // Sent but not delivered: the verification still waits when the failure arrives.
        let to = format!("+1202555{:02}01", number + 10);
        let id = self.create(hostile::create(&to, hostile)).await;
        let now = self.until(&id, |now| now["messages"][0]["state"] == "sent").await;
        let message = &now["messages"][0];
        let (wamid, ours) = (message["provider_ref"].as_str(), message["id"].as_str());
        let (wamid, ours) = (wamid.expect("it was accepted"), ours.expect("an id"));
        let business = self.business();
        self.deliver("whatsapp", &business.failure(wamid, ours, hostile)).await;
        self.deliver("whatsapp", &business.inbound(WRITER, hostile, number)).await;
        self.deliver("whatsapp", &business.strange_kind(WRITER, hostile, number)).await;
        self.deliver("whatsapp", &business.paused(hostile)).await;
        self.deliver("whatsapp", &business.unreadable(hostile)).await;
        let now = self.until(&id, |now| now["messages"][1]["state"] == "delivered").await;
        let ours = now["messages"][1]["id"].as_str().expect("an id").to_owned();
        self.deliver("sms", &hostile::carrier_failure(&ours, hostile)).await;
        id
    }

    /// The code on this phone.
    pub fn code(&self, number: &str) -> String {
        let entries = self.sandbox.handset(number);
        entries.last().and_then(|entry| entry.code.clone()).expect("a code arrived")
    }
}

/// Minimal body of a create.
pub fn to(number: &str) -> Value {
    json!({ "to": number, "profile": "login" })
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// Options of a sandbox without senders.
pub fn unheard() -> Options {
    options("127.0.0.1:9".parse().expect("an address"))
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

fn config_text(
    public: SocketAddr,
    admin: SocketAddr,
    providers: &str,
    folder: &TempDir,
    staff: Staff,
) -> String {
    let (data, key) = (folder.path().join("data"), folder.path().join("master.key"));
    let users = match staff {
        Staff::Everybody => users(),
        Staff::Nobody => String::new(),
    };
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
[console]
public_url = "http://{admin}"
time_zone = "Europe/Vienna"
{users}
[[apps]]
name = "shop"
api_keys = ["{SHOP_KEY}"]
[[apps]]
name = "bank"
api_keys = ["{BANK_KEY}"]
[channels.whatsapp]
kind = "meta"
graph_url = "{providers}"
phone_number_id = "{PHONE_NUMBER_ID}"
business_account_id = "{ACCOUNT}"
access_token = "test-access-token"
app_secrets = ["{APP_SECRET}"]
verify_token = "verify-me"
[channels.sms]
kind = "http"
url = "{providers}/sms/send"
from = "Acme"
bearer = "test-carrier-token"
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

fn users() -> String {
    let hash = argon2::Argon2::default().hash_password(PASSWORD.as_bytes()).expect("a hash").to_string();
    let user = |(name, role, language, app): (&str, &str, Option<&str>, Option<&str>)| {
        let language = language.map(|language| format!("language = \"{language}\"\n")).unwrap_or_default();
        let apps = app.map(|app| format!("apps = [\"{app}\"]\n")).unwrap_or_default();
        format!(
            "[[console.users]]\nname = \"{name}\"\nrole = \"{role}\"\npassword_hash = \"{hash}\"\n{language}{apps}"
        )
    };
    USERS.into_iter().map(user).collect()
}
