use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use twotick::channel::signature::sign;
use twotick::channel::twilio;

use twotick::clock::Stopwatch;
use twotick::store::{Alert, Store};
use twotick::vault::webhook::evidence_place;
use twotick::verification::values::Outcome;

use crate::support::{
    APP_SECRET, Answered, BUSINESS_ACCOUNT_ID, PHONE_NUMBER_ID, REPORT_SECRET, SECOND_PHONE_NUMBER_ID,
    Server, TWILIO_TOKEN, VERIFY_TOKEN, change, problem, server, server_with, statuses,
};

fn signed(secret: &str, body: &[u8]) -> String {
    sign(&SecretString::from(secret.to_owned()), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_challenge_is_answered_only_with_the_token() {
    let server = server().await;
    let ask = |query: String| server.plain(Method::GET, &format!("/webhooks/whatsapp?{query}")).send();
    let right = format!("hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1158201444");
    let response = ask(right.clone()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.text().await.unwrap(), "1158201444");
    for wrong in [
        right.replace("subscribe", "unsubscribe"),
        right.replace(VERIFY_TOKEN, "verify-token-0124"),
        right.replace(VERIFY_TOKEN, ""),
        format!("hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}"),
        format!("hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge="),
        format!("hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge={}", "1".repeat(513)),
        format!("hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=a%0Ab"),
        String::new(),
    ] {
        problem(ask(wrong).await.unwrap(), 403, "challenge_refused").await;
    }
    let sms = server.plain(Method::GET, "/webhooks/sms?hub.mode=subscribe").send().await.unwrap();
    assert_eq!(sms.headers()["allow"], "POST");
    problem(sms, 405, "method_not_allowed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_single_valid_signature_of_the_raw_bytes_is_accepted() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    let version = server.read(&id).await["version"].clone();
    let body = statuses(&[(&message, "delivered")]);
    let right = signed(APP_SECRET, body.as_bytes());
    let hex = right.strip_prefix("sha256=").unwrap();
    let post = |headers: Vec<(&str, String)>, body: String| {
        let request = server.plain(Method::POST, "/webhooks/whatsapp");
        headers
            .into_iter()
            .fold(request, |request, (name, value)| request.header(name, value))
            .body(body)
            .send()
    };
    let name = "x-hub-signature-256";
    for headers in [
        vec![],
        vec![(name, String::new())],
        vec![(name, right.clone()), (name, right.clone())],
        vec![(name, format!("{right}, {right}"))],
        vec![(name, hex.to_owned())],
        vec![(name, format!("sha1={hex}"))],
        vec![(name, format!("sha256={}", &hex[..62]))],
        vec![(name, format!("{right}00"))],
        vec![(name, signed(REPORT_SECRET, body.as_bytes()))],
        vec![(name, signed(APP_SECRET, format!("{body} ").as_bytes()))],
        vec![("x-signature-256", right.clone())],
    ] {
        let shown = format!("{headers:?}");
        let response = post(headers, body.clone()).await.unwrap();
        assert!(response.headers().contains_key("www-authenticate"), "{shown}");
        problem(response, 401, "signature_refused").await;
    }
    problem(post(vec![(name, right.clone())], format!("{body}\n")).await.unwrap(), 401, "signature_refused")
        .await;
    assert_eq!(server.read(&id).await["version"], version, "nothing was read into the state");

    let upper = vec![(name, format!("SHA256={}", hex.to_uppercase()))];
    assert_eq!(
        post(upper, statuses(&[])).await.unwrap().status(),
        StatusCode::UNAUTHORIZED,
        "of another body"
    );
    let upper = vec![(name, format!("sha256={}", hex.to_uppercase()))];
    assert_eq!(post(upper, body.clone()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(post(vec![(name, right)], body).await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.read(&id).await["delivery"]["state"], "delivered");
    let metrics = server.admin("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("result=\"signature_refused\""), "a metric counts them");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_item_does_not_affect_the_others() {
    let mut server = server().await;
    let mut messages = Vec::new();
    for n in 0..3 {
        let body = json!({ "to": format!("+1202555010{n}"), "profile": "login" });
        let id = server.create(body).await["id"].as_str().unwrap().to_owned();
        messages.push((id, server.accept().await));
    }
    let status =
        |provider_ref: &str| json!({ "id": provider_ref, "status": "delivered", "timestamp": "1795011201" });
    let mut delivery: Value = serde_json::from_str(&change(json!({ "statuses": [
        { "id": 17 }, null, status(&messages[0].1), { "id": "wamid.x", "status": "warped", "timestamp": "1" },
        status("wamid.of-nobody"), status(&messages[1].1),
    ] })))
    .unwrap();
    let second: Value = serde_json::from_str(&statuses(&[(&messages[2].1, "delivered")])).unwrap();
    delivery["entry"].as_array_mut().unwrap().insert(0, json!("not an entry"));
    delivery["entry"].as_array_mut().unwrap().push(second["entry"][0].clone());
    assert_eq!(server.webhook("whatsapp", &delivery.to_string()).await.status(), StatusCode::OK);
    for (id, _) in &messages {
        assert_eq!(server.read(id).await["delivery"]["state"], "delivered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_statuses_become_durable_together() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    let unknown: Vec<_> = (0..999).map(|n| format!("wamid.unknown.{n}")).collect();
    let mut of: Vec<_> = unknown.iter().map(|provider_ref| (provider_ref.as_str(), "sent")).collect();
    of.push((message.as_str(), "delivered"));
    let began = Stopwatch::start();
    assert_eq!(server.webhook("whatsapp", &statuses(&of)).await.status(), StatusCode::OK);
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "took {:?}", began.elapsed());
    assert_eq!(server.read(&id).await["delivery"]["state"], "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_before_the_answer_is_parked_and_matched() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    // The provider's id of the next send.
    server.status("wamid.1", "delivered").await;
    assert_eq!(server.read(&id).await["delivery"]["delivered_by"], Value::Null);
    assert_eq!(server.accept().await, "wamid.1");
    assert_eq!(server.read(&id).await["delivery"]["delivered_by"], "whatsapp");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_matched_by_our_id_too() {
    let server = server().await;
    let body = server.created().await;
    let message = body["messages"][0]["id"].as_str().unwrap();
    let delivery = change(json!({ "statuses": [{ "id": "wamid.never-heard-of", "status": "delivered",
        "timestamp": "1795011201", "biz_opaque_callback_data": message }] }));
    assert_eq!(server.webhook("whatsapp", &delivery).await.status(), StatusCode::OK);
    let body = server.read(body["id"].as_str().unwrap()).await;
    assert_eq!(body["delivery"]["state"], "delivered");
    assert_eq!(body["messages"][0]["provider_ref"], "wamid.never-heard-of");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_without_ids_match_by_reference_and_unknown_words_are_recorded() {
    let mut server = server().await;
    let body = server.created().await;
    let (id, message) = (body["id"].as_str().unwrap(), body["messages"][0]["id"].as_str().unwrap());
    server.answer(Outcome::Accepted { provider_ref: None }).await;
    let taken = server.read(id).await;
    assert_eq!(
        (&taken["messages"][0]["state"], &taken["messages"][0]["provider_ref"]),
        (&json!("accepted"), &Value::Null)
    );

    let status = |status: &str| {
        change(json!({ "statuses": [{ "id": "wamid.7", "status": status, "timestamp": "1795011201",
            "biz_opaque_callback_data": message }] }))
    };
    assert_eq!(server.webhook("whatsapp", &status("fizzed to +12025550100")).await.status(), StatusCode::OK);
    let unchanged = server.read(id).await;
    assert_eq!(unchanged["delivery"]["state"], "accepted");
    assert_eq!(unchanged["messages"][0]["provider_ref"], "wamid.7", "a report that brings the id teaches it");
    assert_eq!(server.webhook("whatsapp", &status("DELIVRD")).await.status(), StatusCode::OK);
    assert_eq!(server.read(id).await["delivery"]["state"], "delivered");

    let timeline: Value =
        server.get(&format!("/v1/verifications/{id}/timeline")).send().await.unwrap().value().await;
    let events = timeline["events"].as_array().unwrap();
    let accepted = events.iter().find(|event| event["type"] == "send_accepted").unwrap();
    assert_eq!(accepted["data"]["provider_ref"], Value::Null);
    let unknown = events.iter().find(|event| event["type"] == "status_unknown").unwrap();
    assert_eq!(
        (&unknown["data"]["status"], &unknown["data"]["stale"]),
        (&json!("fizzed to +…"), &json!(true))
    );
    assert!(unknown["text"].as_str().unwrap().contains("fizzed"), "{unknown}");
    let metrics = server.admin("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("status=\"unknown\""), "they are counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn distinct_alerts_are_shown_and_repeated_ones_merged() {
    let server = server().await;
    let update = |account: &str, value: Value| {
        json!({ "object": "whatsapp_business_account", "entry": [{ "id": account, "time": 1_795_011_201,
            "changes": [{ "field": "account_update", "value": value }] }] })
        .to_string()
    };
    let errors = change(json!({ "errors": [
        { "code": 131_031, "title": "Locked", "error_data": { "details": "one" } },
        { "code": 131_031, "title": "Locked", "error_data": { "details": "two" } },
    ] }));
    let sample = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "0", "changes": [
        { "field": "messages", "value": { "metadata": { "phone_number_id": "123456123" } } }] }] });
    for body in [
        update(
            BUSINESS_ACCOUNT_ID,
            json!({ "event": "DISABLED_UPDATE",
            "ban_info": { "waba_ban_state": "DISABLE", "waba_ban_date": "April 17, 2027" } }),
        ),
        update(BUSINESS_ACCOUNT_ID, json!({ "event": "ACCOUNT_DELETED" })),
        update(
            "330022445566889",
            json!({ "event": "PARTNER_REMOVED", "waba_info": { "waba_id": BUSINESS_ACCOUNT_ID } }),
        ),
        update(
            "330022445566889",
            json!({ "event": "PARTNER_REMOVED", "waba_info": { "waba_id": "330022445566880" } }),
        ),
        errors,
        sample.to_string(),
    ] {
        for _ in 0..2 {
            assert_eq!(server.webhook("whatsapp", &body).await.status(), StatusCode::OK);
        }
    }
    let mut shown: Vec<_> = alerts(&server)
        .await
        .into_iter()
        .map(|alert| format!("{} {}", alert["code"].as_str().unwrap(), alert["title"].as_str().unwrap()))
        .collect();
    shown.sort();
    shown.dedup_by(|a, b| a == b && a.starts_with("webhook_test"));
    assert_eq!(
        shown,
        [
            "131031 Locked: one",
            "131031 Locked: two",
            "account_changed PARTNER_REMOVED",
            "account_disabled ACCOUNT_DELETED",
            "account_disabled DISABLED_UPDATE · DISABLE · April 17, 2027",
            "webhook_test a test webhook for the field messages arrived from Meta's dashboard with a valid signature",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_for_another_number_is_ignored() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    let foreign = statuses(&[(&message, "delivered")]).replace("106540352242922", "999");
    assert_eq!(server.webhook("whatsapp", &foreign).await.status(), StatusCode::OK);
    assert_eq!(server.read(&id).await["delivery"]["state"], "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn twilio_reports_to_the_messages_address() {
    let mut server = server_with(&["login", "twilio"]).await;
    let created = server.create(json!({ "to": "+12025550100", "profile": "twilio" })).await;
    let id = created["id"].as_str().unwrap();
    let address = format!("/webhooks/twilio?message={}", created["messages"][0]["id"].as_str().unwrap());
    let sid = server.accept().await;
    let post = async |address: &str, signed: &str, status: &str| {
        let body = format!("MessageSid={sid}&MessageStatus={status}&To=%2B12025550100");
        let signature = twilio::sign(&TWILIO_TOKEN.into(), signed, body.as_bytes());
        let request = server.plain(Method::POST, address).header(twilio::SIGNATURE, signature);
        request.body(body).send().await.unwrap()
    };
    let public = format!("https://otp.example.com{address}");
    let elsewhere = "https://otp.example.com/webhooks/twilio";
    problem(post(&address, elsewhere, "delivered").await, 401, "signature_refused").await;
    assert_eq!(server.read(id).await["delivery"]["state"], "accepted");
    for status in ["queued", "sent", "delivered"] {
        let response = post(&address, &public, status).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/xml; charset=utf-8");
        assert!(response.text().await.unwrap().ends_with("<Response/>"));
    }
    let read = server.read(id).await;
    assert_eq!(
        (&read["delivery"]["state"], &read["delivery"]["delivered_by"]),
        (&json!("delivered"), &json!("twilio"))
    );
}

/// Meta has one webhook address per app, so statuses of the second number arrive at the first one's.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_at_the_first_channels_address_counts_for_the_second() {
    let mut server = server_with(&["login", "second"]).await;
    let created = server.create(json!({ "to": "+12025550100", "profile": "second" })).await;
    let id = created["id"].as_str().unwrap();
    assert_eq!(created["messages"][0]["channel"], "second");
    let message = server.accept().await;
    let of_second = statuses(&[(&message, "delivered")]).replace(PHONE_NUMBER_ID, SECOND_PHONE_NUMBER_ID);
    assert_eq!(server.webhook("whatsapp", &of_second).await.status(), StatusCode::OK);
    let read = server.read(id).await;
    assert_eq!(
        (&read["delivery"]["state"], &read["delivery"]["delivered_by"]),
        (&json!("delivered"), &json!("second"))
    );

    server.clock.advance(std::time::Duration::from_secs(31));
    assert_eq!(server.read(id).await["messages"].as_array().unwrap().len(), 1, "no SMS goes out");

    let reply = json!({ "messages": [{ "from": "12025550100", "id": "wamid.in", "timestamp": "1795011202",
        "type": "text", "text": { "body": "thanks" }, "context": { "id": message } }] });
    let reply = change(reply).replace(PHONE_NUMBER_ID, SECOND_PHONE_NUMBER_ID);
    assert_eq!(server.webhook("whatsapp", &reply).await.status(), StatusCode::OK);
    let inbound: Value = server.get("/v1/inbound").send().await.unwrap().value().await;
    assert_eq!(
        (&inbound["data"][0]["channel"], &inbound["data"][0]["verification_id"]),
        (&json!("second"), &json!(id))
    );
    let metrics = server.admin("/metrics").send().await.unwrap().text().await.unwrap();
    let heard = metrics
        .lines()
        .any(|line| line.starts_with("twotick_webhook_last_received_timestamp_seconds{channel=\"second\"}"));
    assert!(heard, "the second channel is not silent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signing_channel_has_no_secret_addresses() {
    let server = server().await;
    let body = statuses(&[("wamid.x", "sent")]);
    for channel in ["whatsapp", "sms", "telegraph"] {
        for method in [Method::GET, Method::POST, Method::PUT] {
            let request = server.plain(method, &format!("/webhooks/{channel}/secret")).body(body.clone());
            let request = request.header("x-hub-signature-256", signed(APP_SECRET, body.as_bytes()));
            problem(request.send().await.unwrap(), 404, "not_found").await;
        }
    }
}

async fn alerts(server: &Server) -> Vec<Value> {
    let body: Value = server.admin("/alerts").send().await.unwrap().value().await;
    body["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_signed_webhooks_are_stored_for_operators() {
    let server = server().await;
    let deep = "[".repeat(100_000);
    let rubbish = ["", "not json", "[]", "{\"object\":\"instagram\"}", "\u{feff}{}", "null", &deep];
    for body in rubbish {
        let status = server.webhook("whatsapp", body).await.status();
        assert_eq!(status, StatusCode::OK, "{}", body.chars().take(40).collect::<String>());
        server.clock.advance(std::time::Duration::from_millis(1));
    }
    assert_eq!(server.webhook("sms", "<html>").await.status(), StatusCode::OK);
    let alerts = alerts(&server).await;
    assert_eq!(alerts.len(), rubbish.len() + 1);
    assert_eq!(alerts[0]["channel"], "sms", "newest first");
    assert!(alerts.iter().all(|alert| alert["code"] == "unreadable_webhook"));
    for alert in &alerts {
        let told: Vec<_> = alert.as_object().unwrap().keys().collect();
        assert_eq!(
            told,
            ["at", "channel", "code", "ongoing", "severe", "title"],
            "what was in it may name a person"
        );
    }
    // Where a signed-in operator reads it.
    let kept = server.store.alerts(100, None).await.unwrap().items;
    let evidence = |alert: &Alert| {
        let sealed = alert.evidence.as_ref().unwrap();
        let clear = server.vault.open(&evidence_place(&alert.channel), sealed).unwrap();
        String::from_utf8(clear.to_vec()).unwrap()
    };
    assert_eq!(evidence(&kept[0]), "<html>");
    assert_eq!(evidence(&kept[1]).len(), 8 * 1024, "only the beginning");
    assert_eq!(evidence(&kept[6]), "not json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_at_most_3_mib_is_accepted() {
    let server = server().await;
    let padded = |length: usize| {
        let body = statuses(&[("wamid.x", "sent")]);
        format!("{}{body}", " ".repeat(length - body.len()))
    };
    assert_eq!(server.webhook("whatsapp", &padded(3 * 1024 * 1024)).await.status(), StatusCode::OK);
    let response = server.webhook("whatsapp", &padded(3 * 1024 * 1024 + 1)).await;
    problem(response, 413, "body_too_large").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn carrier_reports_match_by_either_id() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    server.accept().await;
    server.clock.advance(std::time::Duration::from_secs(30));
    let sms = server.accept().await;
    let ours = server.read(&id).await["messages"][1]["id"].as_str().unwrap().to_owned();
    for (body, state) in [
        (json!({ "id": sms, "status": "sent" }), "sent"),
        (json!({ "reference": ours, "status": "delivered", "extra": [1, 2] }), "delivered"),
        (
            json!({ "id": sms, "status": "failed", "error": { "code": "7", "title": "too late" } }),
            "delivered",
        ),
        (json!({ "id": sms, "status": "teleported" }), "delivered"),
    ] {
        assert_eq!(server.webhook("sms", &body.to_string()).await.status(), StatusCode::OK);
        assert_eq!(server.read(&id).await["messages"][1]["state"], state);
    }
    let body = json!({ "id": sms, "status": "sent" }).to_string();
    let request = server.plain(Method::POST, "/webhooks/sms");
    let request = request.header("x-signature-256", signed(APP_SECRET, body.as_bytes())).body(body);
    problem(request.send().await.unwrap(), 401, "signature_refused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_channel_is_404() {
    let server = server().await;
    for method in [Method::GET, Method::POST] {
        let response = server.plain(method, "/webhooks/telegraph").send().await.unwrap();
        problem(response, 404, "not_found").await;
    }
}

/// A store that accepts nothing: the provider must retry.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_not_acknowledged() {
    use twotick::store::Store;
    let mut server = server().await;
    server.created().await;
    let message = server.accept().await;
    server.store.close().await.unwrap();
    for body in [statuses(&[(&message, "delivered")]), "rubbish".to_owned()] {
        let response = server.webhook("whatsapp", &body).await;
        assert!(response.headers().contains_key("retry-after"));
        problem(response, 503, "draining").await;
    }
}
