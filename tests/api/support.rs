//! A server as the composition root builds it, with a virtual clock and the test as the providers: it takes the errands
//! and returns their outcomes.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, ServiceConfig};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use twotick::access::{App, CustomCode};
use twotick::app::metrics;
use twotick::changing::Changing;
use twotick::channel::sinch::conversation;
use twotick::channel::webhook::Callback;
use twotick::channel::{self, Basis, Channel, Settings, Timeouts, http_sms, meta, signature, twilio};
use twotick::clock::{Clock, ManualClock};
use twotick::health::Monitor;
use twotick::http::{self, Hosts, Limits, Profile, Services};
use twotick::lifecycle::Lifecycle;
use twotick::store::sled::{self, SledStore};
use twotick::store::{Errand, Order, Store};
use twotick::vault::{self, Vault};
use twotick::verification::policy::{Content, OnDoubt, Step};
use twotick::verification::values::{
    AppName, ChannelName, DeliveryError, ErrorClass, Outcome, ProviderRef, Timestamp,
};
use twotick::verification::{Command, Policy};

pub const KEY: &str = "shop-key-0123456789";
pub const SECOND_KEY: &str = "shop-key-to-rotate-to";
pub const OTHER_APPS_KEY: &str = "bank-key-0123456789";
pub const APP_SECRET: &str = "app-secret-0123456789";
pub const REPORT_SECRET: &str = "report-secret-0123456789";
pub const TWILIO_TOKEN: &str = "twilio-token-0123456789";
pub const SINCH_SECRET: &str = "sinch-secret-0123456789";
pub const VERIFY_TOKEN: &str = "verify-token-0123";
pub const PHONE_NUMBER_ID: &str = "106540352242922";
pub const SECOND_PHONE_NUMBER_ID: &str = "106540352242933";
pub const BUSINESS_ACCOUNT_ID: &str = "102290129340398";
pub const NUMBER: &str = "+12025550100";
const MASTER: [u8; 32] = [7; 32];
/// 2026-11-18T14:13:20Z
pub const START: i64 = 1_795_011_200_000;

pub struct Server {
    pub addr: SocketAddr,
    pub admin_addr: SocketAddr,
    pub clock: Arc<ManualClock>,
    pub store: SledStore,
    pub vault: Arc<Vault>,
    pub lifecycle: watch::Sender<Lifecycle>,
    pub monitor: Arc<Monitor>,
    pub errands: mpsc::UnboundedReceiver<Errand>,
    client: reqwest::Client,
    handles: Vec<ServerHandle>,
    sent: u32,
    _folder: TempDir,
}

/// The profiles `login` and `bring`, which accepts custom codes. The profiles `second` and `twilio` send by those
/// channels.
pub async fn server() -> Server {
    server_with(&["login", "bring"]).await
}

pub async fn server_with(profiles: &[&str]) -> Server {
    server_within(profiles, Limits { connections: 1_000, waiting_per_app: 500 }).await
}

pub async fn server_within(profiles: &[&str], limits: Limits) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::starting_at(Timestamp::from_millis(START));
    let vault = Arc::new(Vault::new(&MASTER));
    let settings = sled::Settings {
        path: folder.path().join("data"),
        rates: BTreeMap::new(),
        key_id: vault.key_id(),
        limits: sled::Limits::default(),
    };
    let (store, errands) = sled::open(settings, Clock::Manual(Arc::clone(&clock))).unwrap();
    let (lifecycle, serving) = watch::channel(Lifecycle::Serving);
    install_tls();
    let recorder = metrics::recorder().unwrap();
    let monitor = Arc::new(Monitor::new(
        recorder.clone(),
        Arc::new(store.clone()),
        Clock::Manual(Arc::clone(&clock)),
        channels().values().map(|channel| channel.name().clone()),
    ));
    let shared = http::share(Services {
        store: Arc::new(store.clone()),
        vault: Arc::clone(&vault),
        clock: Clock::Manual(Arc::clone(&clock)),
        apps: vec![app("shop", &[KEY, SECOND_KEY]), app("bank", &[OTHER_APPS_KEY])],
        profiles: Changing::new(profiles.iter().map(|name| ((*name).to_owned(), profile(name))).collect()),
        channels: Changing::new(channels()),
        lifecycle: serving,
        limits,
        metrics: recorder,
        monitor: Arc::clone(&monitor),
    });
    let (public, admin) = (listener(), listener());
    let (addr, admin_addr) = (public.local_addr().unwrap(), admin.local_addr().unwrap());
    let servers = [
        http::serve_public(public, &shared, 2).unwrap(),
        http::serve_admin(admin, &shared, Hosts::default(), pages).unwrap(),
    ];
    let handles = servers.iter().map(actix_web::dev::Server::handle).collect();
    servers.into_iter().for_each(|server| drop(tokio::spawn(server)));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Server {
        addr,
        admin_addr,
        clock,
        store,
        vault,
        lifecycle,
        monitor,
        errands,
        client,
        handles,
        sent: 0,
        _folder: folder,
    }
}

/// A page that reads a posted body, as a form does.
fn pages(config: &mut ServiceConfig) {
    config.route("/slow", web::post().to(async |body: web::Bytes| format!("{} bytes", body.len())));
}

impl Server {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.addr)).bearer_auth(KEY)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).header("content-type", "application/json").body(body.to_string())
    }

    /// Without an API key.
    pub fn plain(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.addr))
    }

    pub fn admin(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("http://{}{path}", self.admin_addr))
    }

    /// A new verification of [`NUMBER`] under `login`.
    pub async fn created(&self) -> Value {
        self.create(json!({ "to": NUMBER, "profile": "login" })).await
    }

    pub async fn create(&self, body: Value) -> Value {
        let response = self.post("/v1/verifications", &body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        response.value().await
    }

    pub async fn read(&self, id: &str) -> Value {
        let response = self.get(&format!("/v1/verifications/{id}")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.value().await
    }

    pub async fn check(&self, id: &str, code: &str) -> Value {
        let path = format!("/v1/verifications/{id}/check");
        let response = self.post(&path, &json!({ "code": code })).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.value().await
    }

    /// Event types of its timeline.
    pub async fn types(&self, id: &str) -> Vec<String> {
        let events = self.timeline(id).await;
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn timeline(&self, id: &str) -> Vec<Value> {
        let response = self.get(&format!("/v1/verifications/{id}/timeline")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body: Value = response.value().await;
        body["events"].as_array().unwrap().clone()
    }

    pub async fn code_of(&self, id: &str) -> String {
        use secrecy::ExposeSecret;
        let snapshot = self.store.read(id.parse().unwrap()).await.unwrap().unwrap();
        let code = self.vault.code(&snapshot.verification.request, snapshot.policy.code_length).unwrap();
        code.expose_secret().to_owned()
    }

    pub async fn wrong_code_of(&self, id: &str) -> String {
        let right = self.code_of(id).await;
        if right == "000000" { "000001".to_owned() } else { "000000".to_owned() }
    }

    /// The provider accepts the next send. Returns the provider's message id.
    pub async fn accept(&mut self) -> String {
        self.sent += 1;
        let provider_ref = format!("wamid.{}", self.sent);
        let accepted = Outcome::Accepted { provider_ref: Some(ProviderRef::parse(&provider_ref).unwrap()) };
        self.answer(accepted).await;
        provider_ref
    }

    /// The provider refuses the next send.
    pub async fn refuse(&mut self, code: &str, class: ErrorClass) {
        let error = DeliveryError { code: code.to_owned(), title: "Message undeliverable".to_owned(), class };
        self.answer(Outcome::Refused { error, retry_after: None }).await;
    }

    pub async fn answer(&mut self, outcome: Outcome) {
        let errand = tokio::time::timeout(Duration::from_secs(10), self.errands.recv()).await;
        let errand = errand.expect("a send was due").unwrap();
        answer(&self.store, &errand, outcome).await;
    }

    pub async fn webhook(&self, channel: &str, body: &str) -> Response {
        let (header, secret) = match channel {
            "whatsapp" | "second" => ("x-hub-signature-256", APP_SECRET),
            _ => ("x-signature-256", REPORT_SECRET),
        };
        let signature = signature::sign(&SecretString::from(secret), body.as_bytes());
        self.plain(Method::POST, &format!("/webhooks/{channel}"))
            .header(header, signature)
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
    }

    /// Sends one status from Meta, which must be accepted.
    pub async fn status(&self, provider_ref: &str, status: &str) {
        let body = statuses(&[(provider_ref, status)]);
        assert_eq!(self.webhook("whatsapp", &body).await.status(), StatusCode::OK);
    }

    /// Sends raw bytes and reads until the end, or until nothing arrived for `patience`.
    pub async fn raw(&self, bytes: &[u8], patience: Duration) -> String {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(Ok(length @ 1..)) = tokio::time::timeout(patience, stream.read(&mut piece)).await {
            answer.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for handle in &self.handles {
            // Begins the stop; the workers end by themselves.
            drop(handle.stop(false));
        }
    }
}

/// Records the outcome of an attempt, as the courier does.
pub async fn answer(store: &SledStore, errand: &Errand, outcome: Outcome) {
    let command = Command::SendReported {
        message: errand.message,
        attempt: errand.attempt,
        outcome,
        aliases: Vec::new(),
        jitter: vault::jitter(),
    };
    let id = errand.snapshot.verification.id();
    store.execute(vec![Order::Command { id, app: None, command }]).await.unwrap();
}

/// The body as JSON.
pub trait Answered {
    async fn value(self) -> Value;
}

impl Answered for Response {
    async fn value(self) -> Value {
        serde_json::from_slice(&self.bytes().await.unwrap()).unwrap()
    }
}

/// Statuses in one change, as Meta sends them.
pub fn statuses(of: &[(&str, &str)]) -> String {
    let statuses: Vec<_> = of
        .iter()
        .map(|(provider_ref, status)| {
            json!({ "id": provider_ref, "status": status, "timestamp": "1795011201", "recipient_id": "12025550100" })
        })
        .collect();
    change(json!({ "statuses": statuses }))
}

/// One change of the field `messages`.
pub fn change(mut value: Value) -> String {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({ "display_phone_number": "15550001111", "phone_number_id": PHONE_NUMBER_ID });
    json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": BUSINESS_ACCOUNT_ID, "changes": [{ "field": "messages", "value": value }] }],
    })
    .to_string()
}

/// Asserts a complete problem document; returns it.
pub async fn problem(response: Response, status: u16, code: &str) -> Value {
    assert!(response.headers().contains_key("x-request-id"), "every answer has a request id");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let answered = response.status().as_u16();
    let body: Value = response.value().await;
    assert_eq!((answered, body["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!(body["status"], status);
    assert_eq!(body["type"], format!("/problems/{code}"));
    for text in ["title", "detail"] {
        assert!(body[text].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
    body
}

/// Pointers of the problem's field errors.
pub fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap();
    errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect()
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn app(name: &str, keys: &[&str]) -> App {
    App {
        name: AppName::new(name),
        api_keys: keys.iter().map(|key| SecretString::from((*key).to_owned())).collect(),
    }
}

fn profile(name: &str) -> Profile {
    let step = |channel: &str, locales: &[&str], deliver_within: Option<u64>| Step {
        channel: ChannelName::new(channel),
        content: Content::Text {
            by_locale: locales.iter().map(|locale| ((*locale).to_owned(), "{code}".to_owned())).collect(),
        },
        deliver_within: deliver_within.map(Duration::from_secs),
        in_doubt_wait: Duration::from_secs(15),
        on_doubt: OnDoubt::ResendOnce,
    };
    let policy = Policy {
        profile: name.to_owned(),
        brand: "Acme".to_owned(),
        code_length: 6,
        code_ttl: Duration::from_secs(600),
        max_checks: 3,
        resend_after_ms: vec![30_000, 60_000],
        default_locale: "en".to_owned(),
        steps: vec![
            step(
                match name {
                    "second" | "sinch" | "twilio" => name,
                    _ => "whatsapp",
                },
                &["en", "de", "pt_BR", "zh-Hant", "iw"],
                Some(30),
            ),
            step("sms", &["en", "de_CH", "pt"], None),
        ],
    };
    let custom_code = if name == "bring" { CustomCode::Allowed } else { CustomCode::Refused };
    Profile { policy: Arc::new(policy), custom_code }
}

/// `whatsapp` and `second`, two numbers of one Meta app, `sms` and `twilio`.
fn channels() -> BTreeMap<String, Arc<Channel>> {
    let secret = |text: &str| SecretString::from(text.to_owned());
    let meta = |phone_number_id: &str| {
        Settings::Meta(meta::Settings {
            graph_url: "http://127.0.0.1:9".to_owned(),
            graph_version: "v25.0".to_owned(),
            phone_number_id: phone_number_id.to_owned(),
            business_account_id: BUSINESS_ACCOUNT_ID.to_owned(),
            access_token: secret("access-token"),
            app_secrets: vec![secret(APP_SECRET)],
            verify_token: secret(VERIFY_TOKEN),
        })
    };
    let sms = Settings::Http(http_sms::Settings::documented(
        "http://127.0.0.1:9/send",
        "Acme",
        secret("carrier-token"),
        secret(REPORT_SECRET),
    ));
    let twilio = Settings::Twilio(twilio::Settings {
        base_url: "http://127.0.0.1:9".to_owned(),
        account_sid: "AC0123456789abcdef0123456789abcdef".to_owned(),
        auth_tokens: vec![secret(TWILIO_TOKEN)],
        api_key: None,
        sender: twilio::Sender::From("Acme".to_owned()),
        via: twilio::Via::Sms,
        content_sids: None,
    });
    let sinch = Settings::SinchConversation(conversation::Settings {
        base_url: "http://127.0.0.1:9".to_owned(),
        auth_url: "http://127.0.0.1:9".to_owned(),
        region: conversation::Region::Eu,
        project_id: "project".to_owned(),
        app_id: "01APP".to_owned(),
        key_id: "key".to_owned(),
        key_secret: secret("key-secret"),
        via: conversation::Via::Whatsapp,
        sender: None,
        webhook_secrets: vec![secret(SINCH_SECRET)],
    });
    let basis = |name: &str| {
        let name = ChannelName::new(name);
        let timeouts = Timeouts { connect: Duration::from_secs(2), whole: Duration::from_secs(10) };
        Basis { callback: Callback::new("https://otp.example.com", &name), name, timeouts }
    };
    let settings = [
        (basis("whatsapp"), meta(PHONE_NUMBER_ID)),
        (basis("second"), meta(SECOND_PHONE_NUMBER_ID)),
        (basis("sms"), sms),
        (basis("twilio"), twilio),
        (basis("sinch"), sinch),
    ];
    let channels = channel::all(settings).unwrap();
    channels.into_iter().map(|(name, channel)| (name.to_string(), channel)).collect()
}

fn install_tls() {
    // May be installed by another test already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
