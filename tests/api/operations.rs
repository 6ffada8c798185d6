use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use twotick::lifecycle::Lifecycle;
use twotick::store::Store;

use crate::support::{Answered, NUMBER, problem, server};

#[tokio::test(flavor = "multi_thread")]
async fn readiness_needs_a_writable_store_and_liveness_does_not() {
    let server = server().await;
    for path in ["/healthz", "/readyz"] {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(server.plain(method, path).send().await.unwrap().status(), StatusCode::OK);
        }
    }
    server.lifecycle.send_replace(Lifecycle::Draining);
    problem(server.plain(Method::GET, "/readyz").send().await.unwrap(), 503, "draining").await;
    server.lifecycle.send_replace(Lifecycle::Serving);
    server.store.close().await.unwrap();
    problem(server.plain(Method::GET, "/readyz").send().await.unwrap(), 503, "draining").await;
    problem(server.get("/v1/verifications").send().await.unwrap(), 503, "draining").await;
    assert_eq!(server.plain(Method::GET, "/healthz").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_by_route_and_never_name_a_person() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    server.status(&message, "delivered").await;
    let wrong = server.wrong_code_of(&id).await;
    server.check(&id, &wrong).await;
    server.get(&format!("/v1/verifications?to=%2B{}", &NUMBER[1..])).send().await.unwrap();
    server.get(&format!("/nowhere/{}", &NUMBER[1..])).send().await.unwrap();
    server.get(&format!("/v1/verifications/{id}?wait=1")).send().await.unwrap();
    server.post(&format!("/v1/verifications/{id}/cancel"), &json!({})).send().await.unwrap();
    let response = server.admin("/metrics").send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let metrics = response.text().await.unwrap();
    for expected in [
        "twotick_http_requests_total{route=\"/v1/verifications\",method=\"POST\",status=\"201\"}",
        "twotick_http_requests_total{route=\"/v1/verifications/{id}/check\",method=\"POST\",status=\"200\"}",
        "twotick_http_requests_total{route=\"none\",method=\"GET\",status=\"404\"}",
        "twotick_http_request_duration_seconds",
        "twotick_webhooks_received_total{channel=\"whatsapp\",result=\"stored\"}",
        "twotick_webhook_last_received_timestamp_seconds{channel=\"whatsapp\"}",
        "twotick_reports_total{channel=\"whatsapp\",status=\"delivered\",standing=\"applied\"}",
        "twotick_checks_total{result=\"wrong_code\"}",
        "twotick_verifications_created_total{profile=\"login\"}",
        "twotick_verifications_ended_total{status=\"canceled\"}",
        "twotick_messages_total{channel=\"whatsapp\",country=\"US\",outcome=\"delivered\"}",
        "twotick_delivery_seconds_bucket{channel=\"whatsapp\",country=\"US\",le=",
        "twotick_http_wait_duration_seconds_count{route=\"/v1/verifications/{id}\"}",
    ] {
        assert!(metrics.contains(expected), "{expected} is missing in\n{metrics}");
    }
    assert!(!metrics.contains("2025550100") && !metrics.contains(&id), "{metrics}");
    for name in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(metrics.contains(&format!("# HELP {name} ")), "nobody says what {name} means");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_has_its_own_pages_and_not_the_api() {
    let server = server().await;
    for path in ["/v1/verifications", "/webhooks/whatsapp", "/healthz", "/"] {
        problem(server.admin(path).send().await.unwrap(), 404, "not_found").await;
    }
    let page = server.admin("/docs").send().await.unwrap();
    assert_eq!(
        (page.status(), &page.headers()["location"]),
        (StatusCode::PERMANENT_REDIRECT, &"/docs/".parse().unwrap())
    );
    let page = server.admin("/docs/").send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    let html = page.text().await.unwrap();
    assert!(html.contains("swagger-ui") && !html.contains("://"), "everything comes from here: {html}");
    for file in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
        let response = server.admin(&format!("/docs/{file}")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{file}");
    }
    problem(server.admin("/docs/nothing.js").send().await.unwrap(), 404, "not_found").await;
    let document: Value = server.admin("/openapi.json").send().await.unwrap().value().await;
    assert_eq!(document["openapi"], "3.1.0");
    let empty: Value = server.admin("/alerts").send().await.unwrap().value().await;
    assert_eq!(empty, serde_json::json!({ "data": [], "next_cursor": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn active_alarms_precede_alerts() {
    let server = server().await;
    server.monitor.sample();
    let forged = server.plain(Method::POST, "/webhooks/whatsapp").header("x-hub-signature-256", "sha256=00");
    assert_eq!(forged.body("{}").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let alert = twotick::store::Alert {
        at: twotick::verification::values::Timestamp::from_millis(1_795_011_200_000),
        channel: twotick::verification::values::ChannelName::new("sms"),
        code: "http_401".to_owned(),
        title: "Unauthorized".to_owned(),
        subject: None,
        fingerprint: None,
        evidence: None,
    };
    server.store.execute(vec![twotick::store::Order::Alert(alert)]).await.unwrap();

    let page: Value = server.admin("/alerts").send().await.unwrap().value().await;
    let items = page["data"].as_array().unwrap();
    let alarm = items
        .iter()
        .position(|item| item["code"] == "signatures_refused" && item["channel"] == "whatsapp")
        .expect("the alarm");
    let kept = items.iter().position(|item| item["code"] == "http_401").expect("the alert");
    assert!(alarm < kept, "{page}");
    assert_eq!(items[alarm]["ongoing"], true);
    assert_eq!(items[kept]["ongoing"], false);
    assert!(items[alarm]["title"].as_str().unwrap().contains("wrong signature"), "{page}");

    // The same one by one: each once.
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let address = format!("/alerts?limit=1{cursor}");
        let page: Value = server.admin(&address).send().await.unwrap().value().await;
        seen.extend(page["data"].as_array().unwrap().iter().map(|item| item["code"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let codes: Vec<_> = items.iter().map(|item| item["code"].clone()).collect();
    assert_eq!(seen, codes);
}
