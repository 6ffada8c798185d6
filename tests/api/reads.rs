use reqwest::StatusCode;
use serde_json::{Value, json};
use twotick::verification::values::ErrorClass;

use crate::support::{problem, server};

#[tokio::test(flavor = "multi_thread")]
async fn the_etag_is_the_version_and_saves_the_body() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/verifications/{id}");
    let message = server.accept().await;
    let etag = server.get(&path).send().await.unwrap().headers()["etag"].to_str().unwrap().to_owned();
    for known in
        [etag.clone(), format!("W/{etag}"), etag.replace('"', ""), format!("\"0\", {etag}"), "*".to_owned()]
    {
        let response = server.get(&path).header("if-none-match", known).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(response.headers()["etag"], etag);
        assert_eq!(response.text().await.unwrap(), "");
    }
    server.status(&message, "sent").await;
    let response = server.get(&path).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_ne!(response.headers()["etag"], etag);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_shown_in_every_state_that_it_goes_through() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    let accepted = server.read(&id).await;
    assert_eq!(accepted["messages"][0]["state"], "accepted");
    assert_eq!(accepted["messages"][0]["provider_ref"], message.as_str());
    for status in ["sent", "delivered", "read"] {
        server.status(&message, status).await;
        let body = server.read(&id).await;
        assert_eq!(
            (&body["messages"][0]["state"], &body["delivery"]["state"]),
            (&json!(status), &json!(status))
        );
        assert!(body["messages"][0][format!("{status}_at")].is_string());
    }
    let body = server.read(&id).await;
    assert_eq!(body["delivery"]["delivered_by"], "whatsapp");
    assert_eq!(body["delivery"]["fallback_at"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_failed_means_undelivered_and_stays_so_after_the_end() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    server.refuse("131026", ErrorClass::Recipient).await;
    server.refuse("rejected", ErrorClass::Fallback).await;
    let body = server.read(&id).await;
    assert_eq!((&body["status"], &body["delivery"]["state"]), (&json!("pending"), &json!("undelivered")));
    assert_eq!(
        body["messages"][0]["error"],
        json!({ "code": "131026", "title": "Message undeliverable", "class": "recipient" })
    );
    server.clock.advance(std::time::Duration::from_secs(600));
    let wrong = server.wrong_code_of(&id).await;
    assert_eq!(server.check(&id, &wrong).await["result"], "expired");
    assert_eq!(server.read(&id).await["delivery"]["state"], "undelivered");
}

/// A message that got as far as `sent` does not hide that the last step failed.
#[tokio::test(flavor = "multi_thread")]
async fn sent_is_not_delivered() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    server.status(&message, "sent").await;
    server.clock.advance(std::time::Duration::from_secs(30));
    server.refuse("rejected", ErrorClass::Fallback).await;
    assert_eq!(server.read(&id).await["delivery"]["state"], "undelivered");
    server.status(&message, "delivered").await;
    let late = server.read(&id).await;
    assert_eq!(
        (&late["delivery"]["state"], &late["messages"][0]["late"]),
        (&json!("delivered"), &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_query_is_refused_and_named() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    for query in ["wait=61", "wait=-1", "wait=x", "wait=", "wait=1&wait=2", "weight=1"] {
        let response = server.get(&format!("/v1/verifications/{id}?{query}")).send().await.unwrap();
        problem(response, 422, "invalid_request").await;
    }
}
