//! Webhooks of Sinch, each of which is accepted once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::*;

fn report(message: &str, status: &str) -> String {
    json!({ "app_id": "01APP", "event_time": "2026-11-18T14:00:01Z", "message_metadata": message,
        "message_delivery_report": { "message_id": "01MSG", "status": status, "metadata": message,
            "channel_identity": { "channel": "WHATSAPP", "identity": "12025550100" } } })
    .to_string()
}

/// Answer status of a webhook whose time is `ahead` seconds from the server's.
async fn deliver(server: &Server, secret: &str, nonce: &str, ahead: i64, body: &str) -> StatusCode {
    let time = (START / 1_000 + ahead).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{body}.{nonce}.{time}").as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let request = server
        .plain(Method::POST, "/webhooks/sinch")
        .header("x-sinch-webhook-signature", signature)
        .header("x-sinch-webhook-nonce", nonce)
        .header("x-sinch-webhook-timestamp", time)
        .header("x-sinch-webhook-algorithm", "HmacSHA256")
        .body(body.to_owned());
    request.send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_accepted_once_and_on_time() {
    let server = server_with(&["login", "sinch"]).await;
    let created = server.create(json!({ "to": "+12025550100", "profile": "sinch" })).await;
    let (id, message) = (created["id"].as_str().unwrap(), created["messages"][0]["id"].as_str().unwrap());
    assert_eq!(created["messages"][0]["channel"], "sinch");
    let version = server.read(id).await["version"].clone();
    let delivered = report(message, "DELIVERED");

    for (secret, nonce, ahead) in [
        ("another secret of 16", "n1", 0),
        (SINCH_SECRET, "n1.n2", 0),
        (SINCH_SECRET, "", 0),
        (SINCH_SECRET, "n1", -301),
        (SINCH_SECRET, "n1", 301),
    ] {
        let status = deliver(&server, secret, nonce, ahead, &delivered).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{secret} {nonce} {ahead}");
    }
    let plain = server.plain(Method::POST, "/webhooks/sinch").body(delivered.clone());
    assert_eq!(plain.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let behind = server.plain(Method::POST, "/webhooks/sinch/guess").body(delivered.clone());
    assert_eq!(behind.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(server.read(id).await["version"], version, "nothing was read into the state");

    assert_eq!(deliver(&server, SINCH_SECRET, "n1", 0, &delivered).await, StatusCode::OK);
    let read = server.read(id).await;
    assert_eq!(
        (&read["delivery"]["state"], &read["delivery"]["delivered_by"], &read["messages"][0]["provider_ref"]),
        (&json!("delivered"), &json!("sinch"), &json!("01MSG"))
    );
    let again = deliver(&server, SINCH_SECRET, "n1", 0, &delivered).await;
    assert_eq!(again, StatusCode::UNAUTHORIZED, "it was stored");
    let other = deliver(&server, SINCH_SECRET, "n1", 0, &report(message, "READ")).await;
    assert_eq!(other, StatusCode::UNAUTHORIZED, "a nonce is used once");
    assert_eq!(deliver(&server, SINCH_SECRET, "n2", 300, &report(message, "READ")).await, StatusCode::OK);

    let opted_out = json!({ "app_id": "01APP", "opt_out_notification":
        { "channel": "WHATSAPP", "identity": "12025550100", "status": "OPT_OUT_SUCCEEDED" } });
    assert_eq!(deliver(&server, SINCH_SECRET, "n3", 0, &opted_out.to_string()).await, StatusCode::OK);
    let metrics = server.admin("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.lines().any(|line| line.starts_with("twotick_consents_heard_total")
            && line.contains("sinch")
            && line.contains("withdrawn")),
        "it is counted"
    );
    let timeline: Value =
        server.get(&format!("/v1/verifications/{id}/timeline")).send().await.unwrap().value().await;
    assert!(timeline.to_string().contains("delivered"));
}
