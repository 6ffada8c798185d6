//! A stop loses nothing that was answered and leaves no send in doubt; a second signal ends at once.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::{KEY, Server, config, free_address, sandbox};
use twotick::clock::Stopwatch;

const LIMIT: Duration = Duration::from_secs(10);
const CALLERS: usize = 8;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let sandbox = sandbox(address).await;
    let config = config(address, &sandbox.url(), folder.path());
    let mut server = Server::start(&config, folder.path());
    let url = server.url();

    let (next, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(true)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (next, go_on, url) = (Arc::clone(&next), Arc::clone(&go_on), url.clone());
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                let mut answered = Vec::new();
                while go_on.load(Ordering::Relaxed) {
                    // The last two digits choose "delivered, then read".
                    let number = format!("+491522{:05}00", next.fetch_add(1, Ordering::Relaxed));
                    answered.extend(create(&client, &url, &number).await);
                }
                answered
            })
        })
        .collect();
    // A long poll and a stream are open as well: they must not hold the stop up.
    let client = reqwest::Client::new();
    while next.load(Ordering::Relaxed) < 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
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
    assert!(answered.len() >= 50, "only {} were answered before the stop", answered.len());

    let server = Server::start(&config, folder.path());
    let waiting = Stopwatch::start();
    for id in &answered {
        loop {
            let verification = read(&client, &server.url(), &format!("/verifications/{id}")).await;
            if verification["delivery"]["delivered_by"] == "whatsapp" {
                break;
            }
            assert!(waiting.elapsed() < Duration::from_secs(20), "{id} was not delivered: {verification}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let timeline = read(&client, &server.url(), &format!("/verifications/{id}/timeline")).await;
        let types: Vec<_> = timeline["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        assert!(!types.contains(&"send_in_doubt"), "{id}: {types:?}");
    }
    let mut requests: BTreeMap<String, usize> = BTreeMap::new();
    for request in sandbox.journal() {
        *requests.entry(request.reference.expect("every request names its message")).or_default() += 1;
    }
    assert!(requests.values().all(|&times| times == 1), "no message was sent twice");
    println!("{} verifications answered, stopped in {took:?}", answered.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_never_answers_does_not_hold_the_stop_up_and_a_second_signal_ends_at_once() {
    // Takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let providers = format!("http://{}", silent.local_addr().unwrap());
    let client = reqwest::Client::new();
    for signals in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let config = config("127.0.0.1:0".parse().unwrap(), &providers, folder.path());
        let mut server = Server::start(&config, folder.path());
        let id = create(&client, &server.url(), "+12025550100").await.expect("it is created");
        let (_held, _) = silent.accept().await.unwrap();
        server.signal("-TERM");
        if signals == 2 {
            // Two signals that come at once are one.
            let unready = format!("http://{}/readyz", server.addr);
            while client.get(&unready).send().await.is_ok_and(|answer| answer.status() == 200) {}
            server.signal("-TERM");
        }
        let (status, took) = server.ended();
        if signals == 2 {
            assert_eq!(status.code(), Some(1));
            assert!(took < Duration::from_secs(2), "the second signal took {took:?}");
            continue;
        }
        assert_eq!(status.code(), Some(0));
        assert!(took < LIMIT, "the stop took {took:?}");
        let server = Server::start(&config, folder.path());
        let verification = read(&client, &server.url(), &format!("/verifications/{id}")).await;
        assert_eq!(verification["messages"][0]["state"], "in_doubt", "{verification}");
    }
}
