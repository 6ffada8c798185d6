use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use twotick::verification::values::ErrorClass;

use crate::support::{Answered, NUMBER, OTHER_APPS_KEY, Server, pointers, problem, server};

async fn ask(server: &Server, id: &str, what: &str, body: Value) -> reqwest::Response {
    server.post(&format!("/v1/verifications/{id}/{what}"), &body).send().await.unwrap()
}

async fn delivered(server: &mut Server) -> String {
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    server.status(&message, "delivered").await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn resends_wait_as_the_profile_says_and_end() {
    let mut server = server().await;
    let id = delivered(&mut server).await;
    for wait in [30, 60] {
        let early = ask(&server, &id, "resend", json!({})).await;
        assert_eq!(early.headers()["retry-after"], wait.to_string());
        let early = problem(early, 429, "resend_too_early").await;
        assert_eq!(early["verification_id"], id);
        server.clock.advance(Duration::from_secs(wait));
        let resent = ask(&server, &id, "resend", json!({})).await;
        assert_eq!(resent.status(), StatusCode::ACCEPTED);
        assert!(resent.headers().contains_key("etag"));
        let message = server.accept().await;
        server.status(&message, "delivered").await;
    }
    server.clock.advance(Duration::from_secs(300));
    problem(ask(&server, &id, "resend", json!({})).await, 429, "resend_limit").await;
    assert_eq!(server.read(&id).await["messages"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_can_name_a_channel_and_needs_no_body() {
    let mut server = server().await;
    let id = delivered(&mut server).await;
    server.clock.advance(Duration::from_secs(30));
    let resent: Value = ask(&server, &id, "resend", json!({ "channel": "sms" })).await.value().await;
    assert_eq!(resent["messages"][1]["channel"], "sms");
    let message = server.accept().await;
    let body = json!({ "id": message, "status": "delivered" }).to_string();
    assert_eq!(server.webhook("sms", &body).await.status(), StatusCode::OK);
    server.clock.advance(Duration::from_secs(60));
    let path = format!("/v1/verifications/{id}/resend");
    let bare = server.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::ACCEPTED);
    for (body, pointer) in [
        (json!({ "channel": "pigeon" }), "/channel"),
        (json!({ "channel": 1 }), "/channel"),
        (json!({ "chanel": "sms" }), "/chanel"),
    ] {
        let refused = problem(ask(&server, &id, "resend", body).await, 422, "invalid_request").await;
        assert_eq!(pointers(&refused), [pointer]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn next_starts_the_next_step_and_ends_at_the_last() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    server.accept().await;
    let response = ask(&server, &id, "next", json!({})).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let body: Value = response.value().await;
    assert_eq!(body["messages"][1]["channel"], "sms");
    let fell_back =
        server.timeline(&id).await.into_iter().find(|event| event["type"] == "fell_back").unwrap();
    assert_eq!((&fell_back["data"]["reason"], &fell_back["source"]), (&json!("requested"), &json!("app")));
    problem(ask(&server, &id, "next", json!({})).await, 409, "no_next_step").await;
    problem(ask(&server, &id, "next", json!({ "a": 1 })).await, 422, "invalid_request").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_drops_what_was_not_sent_and_can_be_repeated() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    server.refuse("131056", ErrorClass::Retry).await;
    let response = ask(&server, &id, "cancel", json!({})).await;
    assert_eq!(response.status(), StatusCode::OK);
    let canceled: Value = response.value().await;
    assert_eq!(canceled["status"], "canceled");
    assert!(["dropped", "failed"].contains(&canceled["messages"][0]["state"].as_str().unwrap()));
    let again: Value = ask(&server, &id, "cancel", json!({})).await.value().await;
    assert_eq!(again, canceled);
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_verifications_refuse_commands() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let code = server.code_of(&id).await;
    assert_eq!(server.check(&id, &code).await["result"], "approved");
    for what in ["resend", "next", "cancel"] {
        let refused = problem(ask(&server, &id, what, json!({})).await, 409, "not_pending").await;
        assert_eq!(refused["verification_id"], id);
    }
    // The number can be used again.
    assert_ne!(server.create(json!({ "to": NUMBER, "profile": "login" })).await["id"], id.as_str());
}

/// Every operation with an id, with ids of another app and with malformed ids: the answers are identical, so that not
/// even the existence shows.
#[tokio::test(flavor = "multi_thread")]
async fn another_apps_id_looks_unknown() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let unknown = format!("ver_{}", "0".repeat(26));
    let document = server.get("/openapi.json").send().await.unwrap().value().await;
    let (mut bodies, mut asked) = (std::collections::HashSet::new(), 0);
    for (path, item) in
        document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.contains("{id}"))
    {
        let body = if path.ends_with("/check") { json!({ "code": "1" }) } else { json!({}) };
        for method in item.as_object().unwrap().keys().map(|name| name.to_uppercase()) {
            for id in [id.as_str(), unknown.as_str(), "ver_nonsense", "%00", "msg_0123", "ver_%F0%9F%98%80"] {
                let request = server.plain(method.parse().unwrap(), &path.replace("{id}", id));
                let request = request.bearer_auth(OTHER_APPS_KEY).header("content-type", "application/json");
                let request = if method == "POST" { request.body(body.to_string()) } else { request };
                bodies.insert(problem(request.send().await.unwrap(), 404, "not_found").await.to_string());
                asked += 1;
            }
        }
    }
    assert_eq!((asked, bodies.len()), (42, 1));
    assert_eq!(server.read(&id).await["status"], "pending");
}
