//! What is tested here is waiting itself, so a little real time passes, bounded.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::timeout;
use twotick::http::Lifecycle;

use twotick::clock::Stopwatch;

use crate::support::{Answered, Server, problem, server};

const PROMPTLY: Duration = Duration::from_secs(5);

async fn waiting(server: &Server, id: &str, seconds: u32) -> tokio::task::JoinHandle<reqwest::Response> {
    let etag = format!("\"{}\"", server.read(id).await["version"]);
    let request = server.get(&format!("/v1/verifications/{id}?wait={seconds}")).header("if-none-match", etag);
    tokio::spawn(async move { request.send().await.unwrap() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_ends_with_the_change() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    let poll = waiting(&server, &id, 60).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!poll.is_finished());
    server.status(&message, "delivered").await;
    let response = timeout(PROMPTLY, poll).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.value().await["delivery"]["state"], "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_ends_with_its_time() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    server.accept().await;
    let began = Stopwatch::start();
    let response = waiting(&server, &id, 1).await.await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert!((Duration::from_secs(1)..PROMPTLY).contains(&began.elapsed()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_ends_with_the_server() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    server.accept().await;
    let poll = waiting(&server, &id, 60).await;
    server.lifecycle.send_replace(Lifecycle::Draining);
    let response = timeout(PROMPTLY, poll).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_known_version_nobody_waits() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let request = server.get(&format!("/v1/verifications/{id}?wait=60"));
    assert_eq!(timeout(PROMPTLY, request.send()).await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_can_be_waited_for_as_well() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    let code = server.code_of(&id).await;
    server.check(&id, &code).await;
    let poll = waiting(&server, &id, 60).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!poll.is_finished());
    server.status(&message, "delivered").await;
    let response = timeout(PROMPTLY, poll).await.unwrap().unwrap();
    assert_eq!(response.value().await["messages"][0]["state"], "delivered");
}

/// Server-sent events as they come.
struct Events {
    body: futures_util::stream::BoxStream<'static, String>,
    text: String,
}

impl Events {
    async fn follow(server: &Server, id: &str, last: Option<&str>) -> Self {
        let request = server.get(&format!("/v1/verifications/{id}/stream"));
        let request = match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let body = response.bytes_stream().map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap());
        Self { body: body.boxed(), text: String::new() }
    }

    /// Name, id and data of the next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<(String, Option<String>, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|value| value.trim().to_owned())
                };
                let parsed = field("event:").map(|name| {
                    (name, field("id:"), serde_json::from_str(&field("data:").unwrap()).unwrap())
                });
                self.text = rest.to_owned();
                match parsed {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            self.text.push_str(&timeout(PROMPTLY, self.body.next()).await.expect("an event in time")?);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_each_state_once_and_says_good_bye() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    let mut events = Events::follow(&server, &id, None).await;
    let (name, version, data) = events.next().await.unwrap();
    assert_eq!((name.as_str(), version), ("verification", Some(data["version"].to_string())));
    assert_eq!(data, server.read(&id).await);
    for status in ["sent", "delivered", "read"] {
        server.status(&message, status).await;
        let (_, version, data) = events.next().await.unwrap();
        assert_eq!(
            (data["delivery"]["state"].as_str(), version),
            (Some(status), Some(data["version"].to_string()))
        );
    }
    server.lifecycle.send_replace(Lifecycle::Draining);
    assert_eq!(events.next().await.unwrap().0, "bye");
    assert_eq!(events.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_resumed_where_it_broke_off() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    let version = server.read(&id).await["version"].to_string();
    let mut resumed = Events::follow(&server, &id, Some(&version)).await;
    server.status(&message, "delivered").await;
    let (_, newer, data) = resumed.next().await.unwrap();
    assert_ne!(newer, Some(version), "the known state is not told again");
    assert_eq!(data["delivery"]["state"], "delivered");
    let mut behind = Events::follow(&server, &id, Some("1")).await;
    assert_eq!(behind.next().await.unwrap().1, newer);

    let request = server.get(&format!("/v1/verifications/{id}/stream")).header("last-event-id", "x");
    problem(request.send().await.unwrap(), 422, "invalid_request").await;
}
