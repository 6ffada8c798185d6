//! The server as a separate process, with stand-ins for Meta and a carrier that record every request.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use twotick::channel::signature::sign;
use twotick::clock::Stopwatch;

use crate::checker::{Moment, Seen, Shown};
use crate::proof;
pub use crate::setup::{APP_SECRET, KEY, REPORT_SECRET};
use crate::setup::{Setup, free_address};

/// The limit for a start with a log to replay, on a machine under load.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stand-ins for both providers, which outlive every server.
#[derive(Clone)]
pub struct Providers {
    pub addr: SocketAddr,
    journal: Arc<Mutex<Vec<Seen>>>,
    /// Milliseconds of delay per value of the number's last digit.
    slowness: Arc<AtomicU64>,
}

impl Providers {
    pub async fn start() -> Self {
        let journal = Arc::new(Mutex::new(Vec::new()));
        let slowness = Arc::new(AtomicU64::new(3));
        let shared = (Arc::clone(&journal), Arc::clone(&slowness));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(shared.clone()))
                .route("/sms/send", web::post().to(carrier))
                .route("/{version}/{number}/messages", web::post().to(meta))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let addr = server.addrs()[0];
        tokio::spawn(server.run());
        Self { addr, journal, slowness }
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.journal.lock().unwrap().clone()
    }

    /// The latest request for this number.
    pub fn request_to(&self, to: &str) -> Option<Seen> {
        self.journal.lock().unwrap().iter().rev().find(|seen| seen.to == to).cloned()
    }

    pub fn answer_within(&self, most: Duration) {
        self.slowness.store(u64::try_from(most.as_millis()).unwrap() / 9, Ordering::Relaxed);
    }
}

type Shared = web::Data<(Arc<Mutex<Vec<Seen>>>, Arc<AtomicU64>)>;

async fn meta(shared: Shared, body: web::Bytes) -> HttpResponse {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let to = text("/to");
    let to = if to.starts_with('+') { to } else { format!("+{to}") };
    let code = text("/template/components/0/parameters/0/text");
    let provider_ref = note(&shared, "whatsapp", text("/biz_opaque_callback_data"), to, code).await;
    HttpResponse::Ok().json(json!({ "messaging_product": "whatsapp",
        "contacts": [{ "input": text("/to"), "wa_id": text("/to").trim_start_matches('+') }],
        "messages": [{ "id": provider_ref, "message_status": "accepted" }] }))
}

async fn carrier(shared: Shared, body: web::Bytes) -> HttpResponse {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let code = text("text").split(' ').next().unwrap_or_default().to_owned();
    let provider_ref = note(&shared, "sms", text("reference"), text("to"), code).await;
    HttpResponse::Ok().json(json!({ "id": provider_ref }))
}

/// Records the request first, then responds after the delay.
async fn note(shared: &Shared, channel: &str, reference: String, to: String, code: String) -> String {
    let digit = u64::from(to.bytes().last().unwrap_or(b'0') - b'0');
    let provider_ref = {
        let mut journal = shared.0.lock().unwrap();
        let provider_ref = format!("{channel}.{}", journal.len());
        let (channel, provider_ref) = (channel.to_owned(), provider_ref);
        let at = Moment::now();
        journal.push(Seen { channel, reference, provider_ref: provider_ref.clone(), to, code, at });
        provider_ref
    };
    tokio::time::sleep(Duration::from_millis(digit * shared.1.load(Ordering::Relaxed))).await;
    provider_ref
}

/// A server's configuration, data and port, which it keeps across restarts.
#[derive(Clone)]
pub struct Home {
    pub folder: PathBuf,
    pub addr: SocketAddr,
    pub client: reqwest::Client,
}

/// The profile's times.
pub struct Times {
    pub deliver_within: &'static str,
    pub code_ttl: &'static str,
}

impl Home {
    /// Data and key in `data_folder`, the rest in `folder`.
    pub fn new(folder: &Path, data_folder: &Path, providers: &Providers, times: &Times) -> Self {
        let setup = Setup {
            listen: free_address(),
            providers: &format!("http://{}", providers.addr),
            folder: data_folder,
            deliver_within: times.deliver_within,
            code_ttl: times.code_ttl,
            channels: "",
        };
        Self::with(folder, setup.listen, &setup.text(), Duration::from_secs(10))
    }

    /// With a configuration that listens on `addr`, and a client with this time-out.
    pub fn with(folder: &Path, addr: SocketAddr, config: &str, patience: Duration) -> Self {
        fs::write(folder.join("config.toml"), config).unwrap();
        // Another test of this process may have installed it first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(patience).no_proxy().build().unwrap();
        Self { folder: folder.to_owned(), addr, client }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// The length of the log of this home's servers.
    pub fn log_length(&self) -> usize {
        fs::metadata(self.folder.join("server.log")).map_or(0, |log| usize::try_from(log.len()).unwrap())
    }

    /// Starts a server without waiting. `wrapper` precedes the binary, such as `strace …`.
    pub fn spawn(&self, wrapper: &[&str], environment: &[(&str, &str)]) -> Server {
        let binary = proof::binary();
        let mut words = wrapper.iter().copied().chain([&*binary, "--config"]);
        let mut command = Command::new(words.next().unwrap());
        let log = self.folder.join("server.log");
        let stderr = File::options().create(true).append(true).open(&log).unwrap();
        command.args(words).arg(self.folder.join("config.toml")).arg("serve");
        // Shortens the log every few turns, so that faults hit this too.
        command.env_remove("TWOTICK_LOG").env("TWOTICK_SHORT_LOG", "1").envs(environment.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
        Server { child: child.expect("the binary runs"), log }
    }

    pub async fn start(&self) -> Server {
        let mut server = self.spawn(&[], &[]);
        self.ready(&mut server).await;
        server
    }

    /// Waits until `/readyz` returns 200.
    pub async fn ready(&self, server: &mut Server) {
        if let Err(why) = self.try_ready(server).await {
            panic!("{why}");
        }
    }

    pub async fn try_ready(&self, server: &mut Server) -> Result<(), String> {
        let waiting = Stopwatch::start();
        while waiting.elapsed() < PATIENCE {
            if let Some(status) = server.child.try_wait().unwrap() {
                return Err(format!("the server ended with {status}: {}", server.last_lines()));
            }
            let answer = self.client.get(self.url("/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        Err(format!("the server was not ready in {PATIENCE:?}: {}", server.last_lines()))
    }

    pub async fn post(&self, path: &str, body: &Value, key: Option<&str>) -> reqwest::Result<(u16, Value)> {
        let request = self.client.post(self.url(path)).bearer_auth(KEY);
        let request = request.header("content-type", "application/json").body(body.to_string());
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_str(&answer.text().await?).unwrap_or_default()))
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(self.url(path)).bearer_auth(KEY).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Delivers WhatsApp statuses: provider id, status and optionally our id.
    pub async fn statuses(&self, of: &[(&str, &str, Option<&str>)]) -> reqwest::Result<reqwest::Response> {
        let statuses: Vec<_> = of
            .iter()
            .map(|(id, status, reference)| {
                let mut told = json!({ "id": id, "status": status, "timestamp": "1795011201",
                    "recipient_id": "491522" });
                if let Some(reference) = reference {
                    told["biz_opaque_callback_data"] = json!(reference);
                }
                if *status == "failed" {
                    told["errors"] = json!([{ "code": 131026, "title": "Message undeliverable" }]);
                }
                told
            })
            .collect();
        let body = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "102290129340398",
            "changes": [{ "field": "messages", "value": { "messaging_product": "whatsapp",
                "metadata": { "display_phone_number": "15550783881", "phone_number_id": "106540352242922" },
                "statuses": statuses } }] }] })
        .to_string();
        let signature = sign(&APP_SECRET.into(), body.as_bytes());
        let request = self.client.post(self.url("/webhooks/whatsapp"));
        request.header("x-hub-signature-256", signature).body(body).send().await
    }

    pub async fn sms_report(&self, reference: &str, status: &str) -> reqwest::Result<reqwest::Response> {
        let body = json!({ "reference": reference, "status": status }).to_string();
        let signature = sign(&REPORT_SECRET.into(), body.as_bytes());
        let request = self.client.post(self.url("/webhooks/sms"));
        request.header("x-signature-256", signature).body(body).send().await
    }

    /// All verifications with their timelines.
    pub async fn everything(&self) -> BTreeMap<String, Shown> {
        let mut shown = BTreeMap::new();
        let mut path = "/v1/verifications?limit=100".to_owned();
        loop {
            let page = self.get(&path).await;
            for listed in page["data"].as_array().unwrap() {
                let id = listed["id"].as_str().unwrap().to_owned();
                // Reads both again until they belong to the same version.
                let one = loop {
                    let at = Moment::now();
                    let verification = self.get(&format!("/v1/verifications/{id}")).await;
                    let timeline = self.get(&format!("/v1/verifications/{id}/timeline")).await;
                    let events = timeline["events"].as_array().unwrap().clone();
                    if verification["version"].as_u64() == Some(events.len() as u64) {
                        break Shown { verification, events, at };
                    }
                };
                shown.insert(id, one);
            }
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/v1/verifications?limit=100&cursor={cursor}"),
                None => return shown,
            }
        }
    }
}

pub struct Server {
    pub child: Child,
    log: PathBuf,
}

impl Server {
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// `None` if it still runs after `limit`.
    pub async fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let waiting = Stopwatch::start();
        while waiting.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A seeded random number generator (SplitMix64).
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
