//! The log of a real server as a machine reads it: every line is JSON with unique keys, each state change is one line,
//! reads are not logged.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};
use support::{KEY, Server, config, free_address, http_client, sandbox};
use twotick::clock::Stopwatch;

/// A JSON value whose objects have unique keys.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut keys = BTreeSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    map.next_value::<Unique>()?;
                    if !keys.insert(key.clone()) {
                        return Err(A::Error::custom(format!("the key {key} stands twice")));
                    }
                }
                Ok(Unique)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
                while items.next_element::<Unique>()?.is_some() {}
                Ok(Unique)
            }
            fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
                Ok(Unique)
            }
            fn visit_unit<E>(self) -> Result<Unique, E> {
                Ok(Unique)
            }
        }
        deserializer.deserialize_any(Keys)
    }
}

async fn send(server: &Server, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
    let request = http_client().request(method, format!("{}{path}", server.url())).bearer_auth(KEY);
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(body.to_string()),
        None => request,
    };
    serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
}

/// Log lines that contain `id`, once there is one per entry of `events`.
async fn lines_of(server: &Server, id: &str, events: &[&str]) -> Vec<Value> {
    let watch = Stopwatch::start();
    loop {
        let log = server.log.lock().unwrap().clone();
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let lines: Vec<Value> = lines
            .into_iter()
            .filter(|line| line["verification"] == id && line["event"].is_string())
            .collect();
        let seen: BTreeSet<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
        if events.iter().all(|event| seen.contains(event)) {
            return lines;
        }
        assert!(watch.elapsed() < Duration::from_secs(20), "{id}: only {seen:?} of {events:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_has_unique_keys_and_each_change_of_state_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let providers = sandbox(address).await;
    let config = config(address, &format!("http://{}", providers.addr()), folder.path());
    let mut server = Server::start(&config, folder.path());
    let create = |number: &str| json!({ "to": number });
    let mut ids = BTreeMap::new();
    for number in ["+12025550100", "+12025550102", "+12025550103", "+12025550108"] {
        let created = send(&server, reqwest::Method::POST, "/v1/verifications", Some(create(number))).await;
        ids.insert(number, created["id"].as_str().unwrap().to_owned());
    }

    let delivered = lines_of(&server, &ids["+12025550100"], &["status_read"]).await;
    let told: Vec<&str> = delivered.iter().filter_map(|line| line["event"].as_str()).collect();
    let ladder =
        ["requested", "message_queued", "send_started", "send_accepted", "status_sent", "status_delivered"];
    assert_eq!(told, [&ladder[..], &["status_read"]].concat(), "{delivered:?}");
    for line in &delivered[1..] {
        assert!(line["message_id"].as_str().is_some_and(|id| id.starts_with("msg_")), "{line}");
        assert_eq!((&line["channel"], &line["level"]), (&json!("whatsapp"), &json!("INFO")), "{line}");
        assert!(line["since_ms"].is_u64(), "{line}");
    }

    let fell_back = lines_of(&server, &ids["+12025550102"], &["status_delivered"]).await;
    let of = |event: &str| fell_back.iter().find(|line| line["event"] == event).unwrap();
    assert_eq!(
        (&of("status_failed")["code"], &of("status_failed")["class"]),
        (&json!("131026"), &json!("recipient"))
    );
    assert_eq!(of("fell_back")["reason"], "failed");
    assert_eq!(of("status_delivered")["channel"], "sms");
    let refused = lines_of(&server, &ids["+12025550103"], &["send_refused", "status_delivered"]).await;
    assert_eq!(refused.iter().filter(|line| line["event"] == "fell_back").count(), 1, "{refused:?}");
    lines_of(&server, &ids["+12025550108"], &["send_in_doubt", "status_delivered"]).await;

    let id = &ids["+12025550100"];
    send(&server, reqwest::Method::POST, &format!("/v1/verifications/{id}/cancel"), Some(json!({}))).await;
    lines_of(&server, id, &["canceled"]).await;
    send(&server, reqwest::Method::GET, &format!("/v1/verifications/{id}"), None).await;
    send(&server, reqwest::Method::GET, "/v1/nowhere/+12025550100", None).await;

    server.signal("-TERM");
    server.ended();
    let log = server.log.lock().unwrap().clone();
    for line in log.lines() {
        serde_json::from_str::<Unique>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(!line.contains("12025550100"), "a number stands in {line}");
    }
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reads = lines.iter().filter(|line| line["method"] == "GET" && line["status"] == 200);
    assert_eq!(reads.count(), 0, "a read that went well is not worth a line");
    let lost = lines.iter().find(|line| line["status"] == 404).expect("a line for what leads nowhere");
    assert_eq!(lost["path"], "/v1/nowhere/+#");
    providers.stop().await;
}
