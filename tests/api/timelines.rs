use std::time::Duration;

use serde_json::{Value, json};
use twotick::verification::values::ErrorClass;

use crate::support::{NUMBER, change, problem, server};

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_story_is_told_in_order() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let (right, wrong) = (server.code_of(&id).await, server.wrong_code_of(&id).await);
    let whatsapp = server.accept().await;
    server.status(&whatsapp, "sent").await;
    server.status(&whatsapp, "sent").await;
    server.clock.advance(Duration::from_secs(30));
    let sms = server.accept().await;
    let report = json!({ "id": sms, "status": "delivered", "at": "2026-11-18T14:13:51Z" }).to_string();
    server.webhook("sms", &report).await;
    server.check(&id, &wrong).await;
    server.check(&id, &right).await;

    let events = server.timeline(&id).await;
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "requested",
            "message_queued",
            "send_started",
            "send_accepted",
            "status_sent",
            "status_sent",
            "fell_back",
            "message_queued",
            "send_started",
            "send_accepted",
            "status_delivered",
            "check_failed",
            "check_passed"
        ]
    );
    let seqs: Vec<_> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=13).collect::<Vec<_>>());
    let ids: std::collections::HashSet<_> =
        events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 13);
    assert!(ids.iter().all(|id| id.starts_with("evt_") && id.len() == 30));
    for event in &events {
        let mut fields: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = ["id", "seq", "type", "at", "reported_at", "source", "message_id", "text", "data"];
        expected.sort_unstable();
        fields.retain(|field| *field != "stale");
        assert_eq!(fields, expected);
        assert!(event["text"].as_str().unwrap().ends_with('.'), "{event}");
    }
    let sources: Vec<_> = events.iter().map(|event| event["source"].as_str().unwrap()).collect();
    assert_eq!(
        (sources[0], sources[1], sources[3], sources[10], sources[11]),
        ("app", "twotick", "whatsapp", "sms", "app")
    );
    assert_eq!(events[4]["data"].get("stale"), None);
    let stale: Vec<_> = events.iter().map(|event| event.get("stale") == Some(&json!(true))).collect();
    assert_eq!(stale.iter().position(|stale| *stale), Some(5));
    assert_eq!(stale.iter().filter(|stale| **stale).count(), 1);
    assert_eq!(events[4].get("stale"), None);
    assert_eq!(events[5]["data"]["stale"], true);
    assert_eq!(events[4]["reported_at"], "2026-11-18T14:13:21.000Z");
    assert_eq!(events[10]["reported_at"], "2026-11-18T14:13:51.000Z");
    assert_eq!(events[6]["data"]["reason"], "deadline");
    assert_eq!(events[11]["data"]["checks_left"], 2);
    assert_eq!(events[0]["message_id"], Value::Null);
    assert_eq!(events[2]["message_id"], server.read(&id).await["messages"][0]["id"]);

    let all = serde_json::to_string(&events).unwrap();
    assert!(!all.contains(&right) && !all.contains(&wrong) && !all.contains(&NUMBER[1..]), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_giving_up_are_in_the_timeline() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    server.refuse("131026", ErrorClass::Recipient).await;
    server.refuse("rejected", ErrorClass::Fallback).await;
    let events = server.timeline(&id).await;
    let refused = events.iter().find(|event| event["type"] == "send_refused").unwrap();
    assert_eq!(refused["data"]["error"]["code"], "131026");
    assert_eq!(refused["source"], "whatsapp");
    assert!(refused["text"].as_str().unwrap().contains("131026, Message undeliverable"));
    let fell_back = events.iter().find(|event| event["type"] == "fell_back").unwrap();
    assert_eq!(fell_back["data"]["reason"], "refused");
    assert_eq!(events.last().unwrap()["type"], "gave_up");
}

#[tokio::test(flavor = "multi_thread")]
async fn disowning_a_code_cancels_it() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    server.status(&message, "delivered").await;
    let pressed = change(json!({
        "contacts": [{ "profile": { "name": "A. Person" }, "wa_id": "12025550100" }],
        "messages": [{ "context": { "from": "15550001111", "id": message }, "from": "12025550100", "id": "wamid.in",
            "timestamp": "1795011230", "type": "button",
            "button": { "payload": "DID_NOT_REQUEST_CODE", "text": "I didn't request a code" } }],
    }));
    assert_eq!(server.webhook("whatsapp", &pressed).await.status(), 200);
    let body = server.read(&id).await;
    assert_eq!(body["status"], "canceled");
    let events = server.timeline(&id).await;
    let last: Vec<_> = events.iter().rev().take(2).map(|event| (&event["type"], &event["source"])).collect();
    assert_eq!(
        last,
        [(&json!("canceled"), &json!("twotick")), (&json!("code_disowned"), &json!("whatsapp"))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_takes_no_query() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let response = server.get(&format!("/v1/verifications/{id}/timeline?x=1")).send().await.unwrap();
    problem(response, 422, "invalid_request").await;
}
