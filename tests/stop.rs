//! A stop loses nothing that was answered and leaves no send in doubt; a second signal exits at once.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use support::{KEY, Server, config, http_client};
use twotick::channel::signature::sign;
use twotick::clock::Stopwatch;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const LIMIT: Duration = Duration::from_secs(10);
const CALLERS: usize = 8;
/// Answer time of the provider, so that many sends are always under way.
const ANSWER_TIME: Duration = Duration::from_millis(300);

async fn create(client: &reqwest::Client, url: &str, number: &str) -> Option<String> {
    let request = client.post(format!("{url}/v1/verifications")).bearer_auth(KEY);
    let body = json!({ "to": number }).to_string();
    let answer = request.header("content-type", "application/json").body(body).send().await.ok()?;
    if answer.status() != 201 {
        return None;
    }
    let created: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    Some(created["id"].as_str()?.to_owned())
}

async fn read(client: &reqwest::Client, url: &str, path: &str) -> Value {
    let request = client.get(format!("{url}/v1{path}")).bearer_auth(KEY);
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// Meta, accepting everything with a delay.
async fn slow_provider() -> MockServer {
    let provider = MockServer::start().await;
    let ids = AtomicU32::new(0);
    let accept = move |_: &Request| {
        let id = format!("wamid.{}", ids.fetch_add(1, Ordering::Relaxed));
        ResponseTemplate::new(200).set_delay(ANSWER_TIME).set_body_json(json!({
            "messaging_product": "whatsapp",
            "messages": [{ "id": id, "message_status": "accepted" }],
        }))
    };
    Mock::given(method("POST")).respond_with(accept).mount(&provider).await;
    provider
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let provider = slow_provider().await;
    let config = config("127.0.0.1:0".parse().unwrap(), &provider.uri(), folder.path());
    let mut server = Server::start(&config, folder.path());
    let url = server.url();

    let (next, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(true)));
    let call = || {
        let (next, go_on, url) = (Arc::clone(&next), Arc::clone(&go_on), url.clone());
        tokio::spawn(async move {
            let client = http_client();
            let mut answered = Vec::new();
            while go_on.load(Ordering::Relaxed) {
                let number = format!("+491522{:07}", next.fetch_add(1, Ordering::Relaxed));
                answered.extend(create(&client, &url, &number).await);
            }
            answered
        })
    };
    let callers: Vec<_> = (0..CALLERS).map(|_| call()).collect();
    while next.load(Ordering::Relaxed) < 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // An open long poll and an open stream must not delay the stop.
    let client = http_client();
    let list = read(&client, &url, "/verifications?limit=1").await;
    let id = list["data"][0]["id"].as_str().unwrap().to_owned();
    let stream =
        client.get(format!("{url}/v1/verifications/{id}/stream")).bearer_auth(KEY).send().await.unwrap();

    server.signal("-TERM");
    let (status, took) = server.ended();
    go_on.store(false, Ordering::Relaxed);
    drop(stream);
    let mut answered = BTreeSet::new();
    for caller in callers {
        answered.extend(caller.await.unwrap());
    }
    assert_eq!(status.code(), Some(0));
    assert!(took < LIMIT, "the stop took {took:?}");
    let sent_before = provider.received_requests().await.unwrap().len();
    assert!(answered.len() >= 50, "only {} were answered before the stop", answered.len());

    let server = Server::start(&config, folder.path());
    let waiting = Stopwatch::start();
    for id in &answered {
        loop {
            let verification = read(&client, &server.url(), &format!("/verifications/{id}")).await;
            match verification["messages"][0]["state"].as_str().unwrap() {
                "accepted" => break,
                "queued" | "sending" => tokio::time::sleep(Duration::from_millis(20)).await,
                state => panic!("{id} is {state}"),
            }
            assert!(waiting.elapsed() < Duration::from_secs(20), "{id} was not sent: {verification}");
        }
        let timeline = read(&client, &server.url(), &format!("/verifications/{id}/timeline")).await;
        let events = timeline["events"].as_array().unwrap();
        let starts = events.iter().filter(|event| event["type"] == "send_started").count();
        assert_eq!(starts, 1, "{id}: {events:?}");
    }
    let references: Vec<String> = provider
        .received_requests()
        .await
        .unwrap()
        .iter()
        .map(|request| request.body_json::<Value>().unwrap()["biz_opaque_callback_data"].to_string())
        .collect();
    assert_eq!(references.iter().collect::<BTreeSet<_>>().len(), references.len(), "none was sent twice");
    println!("{} answered, {sent_before} sent before the stop, which took {took:?}", answered.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_provider_does_not_delay_the_stop() {
    let (folder, silent, mut server, config, id) = with_a_silent_provider().await;
    let (_held, _) = silent.accept().await.unwrap();
    server.signal("-TERM");
    let (status, took) = server.ended();
    assert_eq!(status.code(), Some(0));
    assert!(took < LIMIT, "the stop took {took:?}");
    let server = Server::start(&config, folder.path());
    let verification = read(&http_client(), &server.url(), &format!("/verifications/{id}")).await;
    assert_eq!(verification["messages"][0]["state"], "in_doubt", "{verification}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_exits_at_once() {
    let (_folder, silent, mut server, _, _) = with_a_silent_provider().await;
    let (_held, _) = silent.accept().await.unwrap();
    server.signal("-TERM");
    // Two simultaneous signals count as one.
    let ready = format!("{}/readyz", server.url());
    let client = http_client();
    while client.get(&ready).send().await.is_ok_and(|answer| answer.status() == 200) {}
    server.signal("-TERM");
    let (status, took) = server.ended();
    assert_eq!(status.code(), Some(1));
    assert!(took < Duration::from_secs(2), "the second signal took {took:?}");
}

/// A server with one send under way to a provider that accepts connections and never answers.
async fn with_a_silent_provider() -> (tempfile::TempDir, tokio::net::TcpListener, Server, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let providers = format!("http://{}", silent.local_addr().unwrap());
    let config = config("127.0.0.1:0".parse().unwrap(), &providers, folder.path());
    let server = Server::start(&config, folder.path());
    let id = create(&http_client(), &server.url(), "+12025550100").await.expect("it is created");
    (folder, silent, server, config, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_notified_of_start_watchdog_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let told = || {
        let mut text = [0; 64];
        let length = systemd.recv(&mut text).expect("systemd is told something");
        String::from_utf8(text[..length].to_vec()).unwrap().trim_end().to_owned()
    };
    let config = config("127.0.0.1:0".parse().unwrap(), "http://127.0.0.1:9", folder.path());
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "300000")];
    let mut server = Server::start_with(&config, folder.path(), &variables);
    assert_eq!(told(), "READY=1");
    assert_eq!([told(), told()], ["WATCHDOG=1", "WATCHDOG=1"]);
    server.signal("-TERM");
    assert!(std::iter::repeat_with(told).take(20).any(|state| state == "STOPPING=1"));
    assert_eq!(server.ended().0.code(), Some(0));
}

/// Waits for a log line that contains all of these.
fn logged(server: &Server, words: &[&str]) -> String {
    for _ in 0..400 {
        let log = server.log.lock().unwrap().clone();
        if let Some(line) = log.lines().find(|line| words.iter().all(|word| line.contains(word))) {
            return line.to_owned();
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{words:?} in {}", server.log.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_applies_what_it_can_and_reports_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let provider = slow_provider().await;
    let old = config("127.0.0.1:0".parse().unwrap(), &provider.uri(), folder.path());
    let users = "[[console.users]]\nname = \"ada\"\nrole = \"viewer\"\npassword_hash = 'HASH'\n[store]";
    let hash =
        "$argon2id$v=19$m=19456,t=2,p=1$QUFBQUFBQUFBQUFBQUFBQQ$QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE";
    let old = old.replace("[store]", &users.replace("HASH", hash));
    let path = folder.path().join("config.toml");
    let mut server = Server::start(&old, folder.path());
    let (client, url) = (http_client(), server.url());
    let status = async |key: &str| {
        let answer = client.get(format!("{url}/v1/verifications")).bearer_auth(key).send().await;
        answer.expect("an answer").status().as_u16()
    };
    let signed = async |secret: &str| {
        let body = "{\"object\":\"whatsapp_business_account\",\"entry\":[]}";
        let signature = sign(&SecretString::from(secret), body.as_bytes());
        let request =
            client.post(format!("{url}/webhooks/whatsapp")).header("x-hub-signature-256", signature);
        request.body(body).send().await.expect("an answer").status().as_u16()
    };
    let id = create(&client, &url, "+12025550100").await.expect("it is created");
    let stream =
        client.get(format!("{url}/v1/verifications/{id}/stream")).bearer_auth(KEY).send().await.unwrap();
    assert_eq!((status(KEY).await, status("new-key-0123456789").await), (200, 401));

    // An invalid file changes nothing.
    for (broken, told) in [
        (old.replace("[store]", "[sotre]"), "did you mean"),
        (old.replace(&format!("\"{KEY}\""), "\"short\""), "at least 16"),
        ("this is no TOML".to_owned(), "not valid TOML"),
    ] {
        std::fs::write(&path, broken).unwrap();
        server.signal("-HUP");
        let line = logged(&server, &["invalid configuration; keeping the running one", told]);
        assert!(line.contains("\"ERROR\"") && !line.contains("short\""), "{line}");
    }
    assert_eq!((status(KEY).await, signed("test-app-secret-0123").await), (200, 200));

    let new = old
        .replace(&format!("[\"{KEY}\"]"), "[\"new-key-0123456789\"]")
        .replace("test-app-secret-0123", "new-app-secret-0123")
        .replace("name = \"ada\"", "name = \"bob\"")
        .replace("{code} is your {brand} code.", "{brand}: {code}")
        .replace(
            "[channels.whatsapp]",
            "[[apps]]\nname = \"bank\"\napi_keys = [\"bank-key-0123456789\"]\n[channels.whatsapp]",
        )
        .replace("messages_per_second = 1000", "messages_per_second = 999")
        .replace("code_ttl = \"10m\"", "code_ttl = \"9m\"");
    std::fs::write(&path, &new).unwrap();
    server.signal("-HUP");
    let done = logged(&server, &["configuration reloaded", "apps.shop"]);
    for name in [
        "apps.bank (new)",
        "channels.whatsapp.app_secrets",
        "console.users.ada (removed)",
        "console.users.bob (new)",
        "texts.otp",
    ] {
        assert!(done.contains(name), "{name} in {done}");
    }
    let waits = logged(&server, &["need a restart"]);
    assert!(waits.contains("channels.whatsapp.messages_per_second, profiles.login.code_ttl"), "{waits}");
    assert!(!waits.contains("texts") && !waits.contains("apps"), "{waits}");
    assert_eq!(
        (status(KEY).await, status("new-key-0123456789").await, status("bank-key-0123456789").await),
        (401, 200, 200)
    );
    assert_eq!((signed("test-app-secret-0123").await, signed("new-app-secret-0123").await), (401, 200));
    // Open connections continue.
    assert_eq!(stream.status(), 200);
    let cancel = client
        .post(format!("{url}/v1/verifications/{id}/cancel"))
        .bearer_auth("new-key-0123456789")
        .send()
        .await;
    assert_eq!(cancel.unwrap().status(), 200);
    let events = tokio::time::timeout(Duration::from_secs(10), async {
        let (mut stream, mut text) = (stream, String::new());
        while !text.contains("\"status\":\"canceled\"") {
            text += &String::from_utf8_lossy(&stream.chunk().await.unwrap().expect("more"));
        }
    });
    events.await.expect("the stream that was open goes on");
    // A text that a profile needs is kept.
    std::fs::write(
        &path,
        new.replace("en = \"{brand}", "de = \"{brand}")
            .replace("code_ttl = \"9m\"", "default_locale = \"de\"")
            .replace("en = \"en_US\"", "de = \"de\""),
    )
    .unwrap();
    server.signal("-HUP");
    let waits = logged(&server, &["need a restart", "texts.otp"]);
    assert!(waits.contains("profiles.login.default_locale"), "{waits}");

    server.signal("-TERM");
    assert_eq!(server.ended().0.code(), Some(0));
    let log = server.log.lock().unwrap().clone();
    for secret in [KEY, "new-key-0123456789", "bank-key-0123456789", "app-secret-0123", "argon2id"] {
        assert!(!log.contains(secret), "no secret stands in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_notified_of_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let told = || {
        let mut text = [0; 128];
        let length = systemd.recv(&mut text).expect("systemd is told something");
        String::from_utf8(text[..length].to_vec()).unwrap().trim_end().to_owned()
    };
    let config = config("127.0.0.1:0".parse().unwrap(), "http://127.0.0.1:9", folder.path());
    let server = Server::start_with(&config, folder.path(), &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_eq!(told(), "READY=1");
    for file in [config.as_str(), "broken"] {
        std::fs::write(folder.path().join("config.toml"), file).unwrap();
        server.signal("-HUP");
        let begun = told();
        assert!(begun.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{begun}");
        assert_eq!(told(), "READY=1", "also where it was refused");
    }
    let unit =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/twotick.service")).unwrap();
    let reload: Vec<_> = unit.lines().filter(|line| line.starts_with("ExecReload=")).collect();
    assert_eq!(reload, ["ExecReload=twotick config check", "ExecReload=/bin/kill -HUP $MAINPID"]);
}
