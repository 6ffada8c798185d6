//! Waiting itself is tested, so some real time passes, bounded.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use twotick::clock::Stopwatch;
use twotick::http::Limits;
use twotick::lifecycle::Lifecycle;
use twotick::verification::due::{READ_WAIT, REPORT_WAIT};

use crate::support::{Answered, KEY, OTHER_APPS_KEY, Server, problem, server, server_within, statuses};

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

/// Proxies rewrite entity tags; a known version stays known.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_accepts_tags_that_proxies_rewrote() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    let version = server.read(&id).await["version"].clone();
    let polls: Vec<_> = [
        format!("\"{version}-gzip\""),
        format!("W/\"{version}\""),
        format!("W/\"{version}-br\", \"0\""),
        format!("\"{version}--gzip\""),
        "*".to_owned(),
    ]
    .into_iter()
    .map(|known| {
        let request = server.get(&format!("/v1/verifications/{id}?wait=60")).header("if-none-match", known);
        tokio::spawn(async move { request.send().await.unwrap() })
    })
    .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(polls.iter().all(|poll| !poll.is_finished()), "all of them wait");
    for known in [format!("\"{version}-gzip\""), "*".to_owned()] {
        let request = server.get(&format!("/v1/verifications/{id}")).header("if-none-match", known);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    }
    server.status(&message, "delivered").await;
    for poll in polls {
        let response = timeout(PROMPTLY, poll).await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.value().await["delivery"]["state"], "delivered");
    }
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
async fn without_a_known_version_there_is_no_wait() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let request = server.get(&format!("/v1/verifications/{id}?wait=60"));
    assert_eq!(timeout(PROMPTLY, request.send()).await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_verifications_can_be_polled_too() {
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

/// Server-sent events as they arrive.
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
async fn a_stream_sends_each_state_once_and_a_last_event() {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_nothing_is_expected() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    let mut events = Events::follow(&server, &id, None).await;
    events.next().await.unwrap();
    let code = server.code_of(&id).await;
    server.check(&id, &code).await;
    assert_eq!(events.next().await.unwrap().2["status"], "approved");
    // The message has no final state yet.
    server.status(&message, "delivered").await;
    assert_eq!(events.next().await.unwrap().2["delivery"]["state"], "delivered");
    server.status(&message, "read").await;
    assert_eq!(events.next().await.unwrap().2["delivery"]["state"], "read");
    let end = events.next().await.unwrap();
    assert_eq!((end.0.as_str(), end.2), ("end", serde_json::json!({})));
    assert_eq!(events.next().await, None);

    let version = server.read(&id).await["version"].to_string();
    let mut after = Events::follow(&server, &id, None).await;
    assert_eq!(after.next().await.unwrap().1.as_ref(), Some(&version));
    assert_eq!(after.next().await.unwrap().0, "end");
    assert_eq!(after.next().await, None);
    let mut resumed = Events::follow(&server, &id, Some(&version)).await;
    assert_eq!(resumed.next().await.unwrap().0, "end", "the known state is not told again");
    assert_eq!(resumed.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_does_not_wait_forever_for_a_report() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    server.status(&message, "delivered").await;
    let code = server.code_of(&id).await;
    server.check(&id, &code).await;
    // The message may still be read.
    let mut events = Events::follow(&server, &id, None).await;
    events.next().await.unwrap();
    let began = Stopwatch::start();
    assert_eq!(events.next().await.unwrap().0, "end");
    assert!(began.elapsed() >= READ_WAIT - Duration::from_millis(100));

    let silent = server.create(serde_json::json!({ "to": "+12025550177", "profile": "login" })).await;
    let id = silent["id"].as_str().unwrap();
    server.accept().await;
    server.post(&format!("/v1/verifications/{id}/cancel"), &serde_json::json!({})).send().await.unwrap();
    let mut events = Events::follow(&server, id, None).await;
    events.next().await.unwrap();
    assert!(timeout(Duration::from_millis(300), events.next()).await.is_err(), "a report may still come");
    server.clock.advance(Duration::from_secs(600) + REPORT_WAIT);
    let mut events = Events::follow(&server, id, None).await;
    events.next().await.unwrap();
    assert_eq!(events.next().await.unwrap().0, "end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_cannot_use_all_connections_by_waiting() {
    let mut server = server_within(&["login"], Limits { connections: 1_000, waiting_per_app: 4 }).await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(Events::follow(&server, &id, None).await);
    }
    let poll = waiting(&server, &id, 60).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stream = server.get(&format!("/v1/verifications/{id}/stream")).send().await.unwrap();
    assert_eq!(stream.headers()["retry-after"], "5");
    problem(stream, 429, "too_many_waiting").await;
    let second = timeout(PROMPTLY, waiting(&server, &id, 60).await).await.unwrap().unwrap();
    assert_eq!(second.headers()["retry-after"], "5");
    problem(second, 429, "too_many_waiting").await;
    // Other requests are answered as usual, and so is another app.
    assert_eq!(server.read(&id).await["status"], "pending");
    let own = server.plain(Method::POST, "/v1/verifications").bearer_auth(OTHER_APPS_KEY);
    let own =
        own.header("content-type", "application/json").body(r#"{"to":"+12025550101"}"#).send().await.unwrap();
    let of_bank = format!("/v1/verifications/{}/stream", own.value().await["id"].as_str().unwrap());
    let stream = server.plain(Method::GET, &of_bank).bearer_auth(OTHER_APPS_KEY).send().await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    // A finished long poll makes room for another one.
    server.status(&message, "read").await;
    let code = server.code_of(&id).await;
    server.check(&id, &code).await;
    for mut stream in streams {
        while stream.next().await.is_some() {}
    }
    assert_eq!(timeout(PROMPTLY, poll).await.unwrap().unwrap().status(), StatusCode::OK);
    for _ in 0..5 {
        let mut again = Events::follow(&server, &id, None).await;
        while again.next().await.is_some() {}
    }
}

/// Idle connections are opened up to three quarters of the limit, and beyond.
#[tokio::test(flavor = "multi_thread")]
async fn webhooks_and_health_checks_have_reserved_connections() {
    let server = server_within(&["login"], Limits { connections: 64, waiting_per_app: 64 }).await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    let mut held = Vec::new();
    let mut hold = async |most: usize| {
        while held.len() < most {
            let mut idle = TcpStream::connect(server.addr).await.unwrap();
            idle.write_all(ask("/v1/verifications").as_bytes()).await.unwrap();
            let mut answer = [0; 4_096];
            let length = idle.read(&mut answer).await.unwrap();
            assert!(String::from_utf8_lossy(&answer[..length]).starts_with("HTTP/1.1 200"));
            held.push(idle);
        }
    };
    let closes = |answer: &str| answer.to_ascii_lowercase().contains("connection: close");
    hold(40).await;
    let answer = server.raw(ask("/v1/verifications").as_bytes(), Duration::from_millis(300)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && !closes(&answer), "{answer}");

    hold(47).await;
    let began = Stopwatch::start();
    let answer = server.raw(ask("/v1/verifications").as_bytes(), PROMPTLY).await;
    assert!(answer.starts_with("HTTP/1.1 200") && closes(&answer), "{answer}");
    assert!(began.elapsed() < PROMPTLY, "the server hangs up");

    // Idle connections use everything except the reserved places.
    let mut silent = Vec::new();
    for _ in 47..60 {
        silent.push(TcpStream::connect(server.addr).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = server.raw(ask("/v1/verifications").as_bytes(), PROMPTLY).await;
    assert!(answer.starts_with("HTTP/1.1 503") && closes(&answer), "{answer}");
    assert!(
        answer.contains("too_many_connections") && answer.to_ascii_lowercase().contains("retry-after: 5"),
        "{answer}"
    );
    assert!(answer.to_ascii_lowercase().contains("x-request-id:"), "{answer}");
    let answer = server.raw(ask("/healthz").as_bytes(), PROMPTLY).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = server.raw(ask("/readyz").as_bytes(), PROMPTLY).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let webhook =
        timeout(PROMPTLY, server.webhook("whatsapp", &statuses(&[("wamid.x", "sent")]))).await.unwrap();
    assert_eq!(webhook.status(), StatusCode::OK);
}
