use std::time::Duration;

use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::channel::signature::BadSignature;
use crate::channel::sinch::proof::tests::sign;
use crate::channel::testing::{Behaviour, basis, post, raw_server};
use crate::channel::{Delivery, Readable, Unknown};
use crate::verification::values::{Alias, ErrorClass, ProviderRef, ReportStatus};

const REFERENCE: &str = "msg_01m81zrq00fay80j6hb7h45br1";
const SECRET: &str = "SMSWebhooksSecret";
const PATIENT: Duration = Duration::from_secs(10);

fn sms(base_url: &str, timeout: Duration) -> Sms {
    let settings = Settings {
        base_url: base_url.to_owned(),
        region: Region::Eu,
        service_plan_id: "lampen-plan".to_owned(),
        api_token: "token-of-lampen".into(),
        from: "Lampen".to_owned(),
        webhook_secrets: vec!["a newer secret".into(), SECRET.into()],
    };
    Sms::new(&basis("sms", timeout), settings).unwrap()
}

fn submission() -> Submission<'static> {
    Submission {
        reference: REFERENCE.parse().unwrap(),
        to: "+491713920011",
        code: "483920",
        content: Content::Text("483920 ist Ihr Code."),
        valid_for: Duration::from_secs(90),
    }
}

fn expected() -> Value {
    let path = format!("{}/fixtures/sinch_sms/batch.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn class(outcome: &Outcome) -> Option<(ErrorClass, &str)> {
    match outcome {
        Outcome::Refused { error, .. } | Outcome::InDoubt { error } => Some((error.class, &error.code)),
        Outcome::Accepted { .. } | Outcome::Held { .. } => None,
    }
}

async fn answered(answer: ResponseTemplate) -> Outcome {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/xms/v1/lampen-plan/batches"))
        .and(header("authorization", "Bearer token-of-lampen"))
        .and(header("content-type", "application/json"))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    sms(&server.uri(), PATIENT).send(&submission()).await.outcome
}

#[test]
fn a_batch_of_one_in_the_documented_form() {
    let now: Timestamp = "2026-11-22T17:00:00.000Z".parse().unwrap();
    assert_eq!(sms("http://127.0.0.1:9", PATIENT).body(&submission(), now), Some(expected()));
}

#[tokio::test]
async fn the_body_is_sent_unchanged_and_expires_relative_to_now() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(201)).expect(1).mount(&server).await;
    sms(&server.uri(), PATIENT).send(&submission()).await;
    let requests = server.received_requests().await.unwrap();
    let mut body: Value = serde_json::from_slice(&requests[0].body).unwrap();
    let expires: Timestamp = body["expire_at"].as_str().unwrap().parse().unwrap();
    let left = expires.since(Clock::System.now());
    assert!(left > Duration::from_secs(60) && left <= Duration::from_secs(90), "{left:?}");
    body["expire_at"] = expected()["expire_at"].clone();
    assert_eq!(body, expected());
}

#[tokio::test]
async fn every_answer_has_its_outcome() {
    use ErrorClass::{Configuration, Fallback, InDoubt, Retry};
    for (status, body, id) in [
        (201, r#"{"id":"01BATCH","to":["491713920011"]}"#, Some("01BATCH")),
        (201, "{}", None),
        (200, "<html>", None),
        (204, "", None),
    ] {
        let outcome = answered(ResponseTemplate::new(status).set_body_string(body)).await;
        let provider_ref = id.map(|id| ProviderRef::parse(id).unwrap());
        assert_eq!(outcome, Outcome::Accepted { provider_ref }, "{status} {body}");
    }
    for (status, expected) in [
        (302, (Configuration, "redirected")),
        (400, (Fallback, "http_400")),
        (401, (Configuration, "http_401")),
        (402, (Configuration, "http_402")),
        (403, (Configuration, "http_403")),
        (404, (Configuration, "http_404")),
        (429, (Retry, "http_429")),
        (500, (InDoubt, "unreadable_answer")),
        (503, (InDoubt, "unreadable_answer")),
    ] {
        let said = "'483920 ist Ihr Code.' to 491713920011 by token-of-lampen";
        let body = json!({"code": "syntax_invalid_parameter_format", "text": said});
        let answer = ResponseTemplate::new(status).insert_header("retry-after", "7").set_body_json(body);
        let outcome = answered(answer).await;
        assert_eq!(class(&outcome), Some(expected), "{status}");
        if let Outcome::Refused { retry_after, .. } = &outcome {
            let wish = (status != 302).then_some(Duration::from_secs(7));
            assert_eq!(*retry_after, wish, "{status}");
        }
        let shown = format!("{outcome:?}");
        for secret in ["483920", "3920011", "token-of", "ist Ihr"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    for played in [Behaviour::Reset, Behaviour::Silence] {
        let url = raw_server(played.clone()).await;
        let outcome = sms(&url, Duration::from_millis(500)).send(&submission()).await.outcome;
        assert_eq!(class(&outcome), Some((InDoubt, "no_answer")), "{played:?}");
    }
    let template = Submission { content: Content::Template { name: "a", language: "de" }, ..submission() };
    let outcome = sms("http://127.0.0.1:9", PATIENT).send(&template).await.outcome;
    assert_eq!(class(&outcome), Some((Configuration, "wrong_content")));
}

fn report(status: &str, code: Value) -> Delivery {
    let body = json!({"type": "recipient_delivery_report_sms", "batch_id": "01BATCH", "recipient": "491713920011",
        "code": code, "status": status, "at": "2026-11-22T17:00:00.914Z", "client_reference": REFERENCE});
    report::parse(body.to_string().as_bytes())
}

#[test]
fn every_status_and_code_of_a_report() {
    use ErrorClass::{Configuration, Fallback, Retry, Sender};
    for (word, code, status) in [
        ("Queued", 400, ReportStatus::Sent),
        ("Dispatched", 401, ReportStatus::Sent),
        ("Delivered", 0, ReportStatus::Delivered),
        ("Unknown", 405, ReportStatus::Unknown("Unknown".to_owned())),
    ] {
        let [report] = &report(word, json!(code)).reports[..] else { panic!("{word}") };
        assert_eq!(report.status, status, "{word}");
        assert_eq!(report.provider_ref.as_ref().unwrap().as_str(), "01BATCH");
        assert_eq!(report.reference.unwrap().to_string(), REFERENCE);
        assert_eq!(report.reported_at.unwrap().to_string(), "2026-11-22T17:00:00.914Z");
        assert_eq!(report.aliases, [Alias::number("+491713920011").unwrap()]);
    }
    for (word, code, expected, class) in [
        ("Failed", json!(402), "402", Fallback),
        ("Failed", json!(403), "403", Retry),
        ("Failed", json!("404"), "404", Retry),
        ("Failed", json!(405), "405", Configuration),
        ("Expired", json!(406), "406", Fallback),
        ("Cancelled", json!(407), "407", Fallback),
        ("Rejected", json!(408), "408", Fallback),
        ("Aborted", json!(410), "410", Sender),
        ("Failed", json!(411), "411", Configuration),
        ("Failed", json!(412), "412", Configuration),
        ("Failed", json!(413), "413", Sender),
        // Also sent after an opt-out.
        ("Deleted", json!(null), "no_reason", Fallback),
        ("Failed", json!(499), "499", Fallback),
        ("Failed", json!("+491713920011"), "no_reason", Fallback),
        ("Failed", json!({}), "no_reason", Fallback),
    ] {
        let status = report(word, code.clone()).reports.remove(0).status;
        let ReportStatus::Failed(error) = status else { panic!("{word} {code}: {status:?}") };
        assert_eq!((error.code.as_str(), error.class), (expected, class), "{word} {code}");
        assert!(!error.title.is_empty(), "{word} {code}");
    }
}

#[test]
fn inbound_messages_are_parsed_and_other_types_counted() {
    let text = json!({"type": "mo_text", "id": "01IN", "from": "491713920011", "to": "491720000000", "body": "STOP",
        "received_at": "2026-11-22T17:00:00Z"});
    let inbound = report::parse(text.to_string().as_bytes()).inbound.remove(0);
    assert_eq!((inbound.kind.as_str(), inbound.text.as_deref()), ("text", Some("STOP")));
    assert_eq!(inbound.from.as_deref(), Some("+491713920011"));
    let binary = json!({"type": "mo_binary", "id": "01IN", "from": "491713920011", "body": "AAEC"});
    assert_eq!(report::parse(binary.to_string().as_bytes()).inbound[0].text, None);
    for (body, unknown) in [
        (json!({"type": "delivery_report_sms", "batch_id": "b"}), Unknown::Event),
        (json!({"type": "of_next_year"}), Unknown::Event),
        (json!({"type": "mo_text"}), Unknown::Item),
        (json!({"type": "recipient_delivery_report_sms", "status": "Delivered"}), Unknown::Item),
        (json!({"type": "recipient_delivery_report_sms", "batch_id": "b"}), Unknown::Item),
    ] {
        let delivery = report::parse(body.to_string().as_bytes());
        assert_eq!(delivery.unknown, [(unknown, 1)].into(), "{body}");
    }
    for body in ["", "OK", "[]", "{}", r#"{"type":7}"#, r#"{"type":"mo_text""#] {
        assert!(matches!(report::parse(body.as_bytes()).readable, Readable::No(_)), "{body}");
    }
}

#[test]
fn reports_are_signed() {
    let channel = sms("http://127.0.0.1:9", Duration::from_secs(1));
    let body = br#"{"type":"recipient_delivery_report_sms","batch_id":"b","status":"Delivered"}"#;
    for (secret, refused) in [(SECRET, None), ("another secret", Some(BadSignature::Wrong))] {
        let signature = sign(secret, body, "n1", "1795363200");
        let headers: [(&str, &[u8]); 3] = [
            ("x-sinch-webhook-signature", signature.as_bytes()),
            ("x-sinch-webhook-nonce", b"n1"),
            ("x-sinch-webhook-timestamp", b"1795363200"),
        ];
        match post(&channel, &headers, body) {
            Ok(Incoming::Delivery(told)) => assert!(told.receipt.is_some() && told.own.reports.len() == 1),
            Ok(Incoming::Challenge(reply)) => panic!("{reply:?}"),
            Err(not_heard) => assert_eq!(Some(not_heard), refused.map(WebhookError::Signature)),
        }
    }
    assert_eq!(post(&channel, &[], body).err(), Some(WebhookError::Signature(BadSignature::Missing)));
}
