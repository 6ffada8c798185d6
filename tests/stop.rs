//! A stop loses nothing that was answered and leaves no send in doubt; a second signal ends at once.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::{KEY, Server, config, http_client};
use twotick::clock::Stopwatch;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const LIMIT: Duration = Duration::from_secs(10);
const CALLERS: usize = 8;
/// What the provider takes to answer, so that many sends are under way at any time.
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

/// A Meta that accepts everything after a while.
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
    // A long poll and a stream are open as well: they must not hold the stop up.
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
async fn a_provider_that_never_answers_does_not_hold_the_stop_up() {
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
async fn a_second_signal_ends_at_once() {
    let (_folder, silent, mut server, _, _) = with_a_silent_provider().await;
    let (_held, _) = silent.accept().await.unwrap();
    server.signal("-TERM");
    // Two signals that come at once are one.
    let ready = format!("{}/readyz", server.url());
    let client = http_client();
    while client.get(&ready).send().await.is_ok_and(|answer| answer.status() == 200) {}
    server.signal("-TERM");
    let (status, took) = server.ended();
    assert_eq!(status.code(), Some(1));
    assert!(took < Duration::from_secs(2), "the second signal took {took:?}");
}

/// A server with one send under way to a provider that takes connections and says nothing.
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
async fn systemd_is_told_when_the_server_is_up_that_it_lives_and_when_it_stops() {
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
