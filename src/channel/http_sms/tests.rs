use std::time::Duration;

use serde_json::json;
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::channel::Readable;
use crate::channel::signature::{BadSignature, sign};
use crate::channel::testing::{Played, basis, get, post, raw_server};

const REFERENCE: &str = "msg_01m81zrq00fay80j6hb7h45br1";

fn sms(url: &str, id_pointer: &str, timeout: Duration) -> HttpSms {
    let settings = Settings {
        url: url.to_owned(),
        from: "Lampen".to_owned(),
        bearer: "token-of-the-carrier".into(),
        id_pointer: id_pointer.to_owned(),
        report_secret: "secret of the reports".into(),
    };
    HttpSms::new(&basis("sms", timeout), settings).unwrap()
}

fn submission() -> Submission<'static> {
    Submission {
        reference: REFERENCE.parse().unwrap(),
        to: "+491713920011",
        code: "483920",
        content: Content::Text("483920 ist Ihr Code."),
    }
}

fn fixture(path: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/http_sms/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

async fn answered(response: ResponseTemplate, id_pointer: &str) -> Outcome {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(response).expect(1).mount(&server).await;
    sms(&server.uri(), id_pointer, Duration::from_secs(10)).send(&submission()).await.outcome
}

fn class(outcome: &Outcome) -> Option<(ErrorClass, &str)> {
    match outcome {
        Outcome::Refused { error, .. } | Outcome::InDoubt { error } => Some((error.class, &error.code)),
        Outcome::Accepted { .. } | Outcome::Held { .. } => None,
    }
}

#[tokio::test]
async fn one_request_in_the_documented_form_and_the_carriers_id_back() {
    let server = MockServer::start().await;
    let expected: Value = serde_json::from_slice(&fixture("requests/send.json")).unwrap();
    Mock::given(method("POST"))
        .and(path("/sms/send"))
        .and(header("authorization", "Bearer token-of-the-carrier"))
        .and(header("content-type", "application/json"))
        .and(body_json(expected))
        .respond_with(ResponseTemplate::new(201).set_body_bytes(fixture("replies/accepted.json")))
        .expect(1)
        .mount(&server)
        .await;
    let channel = sms(&format!("{}/sms/send", server.uri()), "/id", Duration::from_secs(10));
    let provider_ref = ProviderRef::parse("sms-7Kq2").unwrap();
    assert_eq!(channel.send(&submission()).await.outcome, Outcome::Accepted { provider_ref });
}

#[tokio::test]
async fn the_id_is_where_the_pointer_says_text_or_number() {
    let number = fixture("replies/accepted_number.json");
    let outcome = answered(ResponseTemplate::new(202).set_body_bytes(number), "/id").await;
    assert_eq!(outcome, Outcome::Accepted { provider_ref: ProviderRef::parse("9007199254740993").unwrap() });
    let nested = json!({"messages": [{"ref": "x-1"}]});
    let outcome = answered(ResponseTemplate::new(200).set_body_json(nested), "/messages/0/ref").await;
    assert_eq!(outcome, Outcome::Accepted { provider_ref: ProviderRef::parse("x-1").unwrap() });
}

#[tokio::test]
async fn every_other_answer_has_its_class() {
    use ErrorClass::{Configuration, Fallback, InDoubt, Retry};
    let unreadable = (InDoubt, "unreadable_answer");
    for (status, body, expected) in [
        (200, "", unreadable),
        (200, "<html>", unreadable),
        (200, "{}", unreadable),
        (200, r#"{"id":""}"#, unreadable),
        (200, r#"{"id":null}"#, unreadable),
        (200, r#"{"id":1.5}"#, unreadable),
        (200, r#"{"id":["a"]}"#, unreadable),
        (200, r#"{"id":"two words"}"#, unreadable),
        (200, "[]", unreadable),
        (204, "", unreadable),
        (500, "", unreadable),
        (502, "<html>", unreadable),
        (504, "", unreadable),
        (408, "", (Fallback, "http_408")),
        (499, "", (Fallback, "http_499")),
        (302, "", (InDoubt, "redirected")),
        (400, "", (Fallback, "http_400")),
        (401, "", (Configuration, "http_401")),
        (403, "", (Configuration, "http_403")),
        (404, "", (Configuration, "http_404")),
        (422, r#"{"id":"x"}"#, (Fallback, "http_422")),
        (429, "", (Retry, "http_429")),
        (503, "", (Retry, "http_503")),
    ] {
        let outcome = answered(ResponseTemplate::new(status).set_body_string(body), "/id").await;
        assert_eq!(class(&outcome), Some(expected), "{status} {body}");
        assert!(crate::explain::explain(expected.1).is_some(), "{}", expected.1);
    }
}

#[tokio::test]
async fn a_carrier_may_say_when_to_come_again() {
    for status in [429, 503] {
        let outcome = answered(ResponseTemplate::new(status).insert_header("retry-after", "12"), "/id").await;
        assert!(
            matches!(outcome, Outcome::Refused { retry_after: Some(wish), .. } if wish == Duration::from_secs(12))
        );
    }
}

#[tokio::test]
async fn lost_is_in_doubt_and_not_reached_may_be_tried_again() {
    let timeout = Duration::from_millis(500);
    for (played, code) in [(Played::Reset, "no_answer"), (Played::Silence, "no_answer")] {
        let url = raw_server(played.clone()).await;
        let outcome = sms(&url, "/id", timeout).send(&submission()).await.outcome;
        assert_eq!(class(&outcome), Some((ErrorClass::InDoubt, code)), "{played:?}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = sms(&format!("http://{closed}"), "/id", timeout).send(&submission()).await.outcome;
    assert_eq!(class(&outcome), Some((ErrorClass::Retry, "connection_failed")));
}

#[tokio::test]
async fn a_template_is_not_sent_here() {
    let submission =
        Submission { content: Content::Template { name: "login_code", language: "de" }, ..submission() };
    let outcome = sms("http://127.0.0.1:9", "/id", Duration::from_secs(1)).send(&submission).await.outcome;
    assert_eq!(class(&outcome), Some((ErrorClass::Configuration, "wrong_content")));
}

fn parse(body: &[u8]) -> Delivery {
    super::parse(body)
}

#[test]
fn every_documented_report() {
    let failed = |code: &str, title: &str| {
        ReportStatus::Failed(DeliveryError {
            code: code.into(),
            title: title.into(),
            class: ErrorClass::Fallback,
        })
    };
    let no_reason = "the carrier gave no reason";
    for (name, status, id, ours, at) in [
        ("sent", ReportStatus::Sent, Some("sms-7Kq2"), true, Some("2026-11-22T17:00:00.000Z")),
        ("delivered_by_reference", ReportStatus::Delivered, None, true, None),
        (
            "delivered_number_id",
            ReportStatus::Delivered,
            Some("90071992"),
            false,
            Some("2026-11-22T17:00:00.250Z"),
        ),
        ("failed", failed("30005", "Unknown destination …"), Some("sms-7Kq2"), false, None),
        ("failed_number_code", failed("27", no_reason), Some("sms-7Kq2"), false, None),
        ("failed_bare", failed("no_reason", no_reason), Some("sms-7Kq2"), false, None),
        ("failed_blank_reason", failed("no_reason", no_reason), Some("sms-7Kq2"), false, None),
    ] {
        let delivery = parse(&fixture(&format!("webhooks/{name}.json")));
        assert_eq!((delivery.readable, delivery.unknown.len()), (Readable::Yes, 0), "{name}");
        let [report] = &delivery.reports[..] else { panic!("{name}: {delivery:?}") };
        assert_eq!(report.status, status, "{name}");
        assert_eq!(report.provider_ref.as_ref().map(ProviderRef::as_str), id, "{name}");
        assert_eq!(report.reference.map(|id| id.to_string()).as_deref(), ours.then_some(REFERENCE), "{name}");
        assert_eq!(report.reported_at.map(|at| at.to_string()).as_deref(), at, "{name}");
    }
}

#[test]
fn an_unknown_status_is_counted_and_what_names_no_message_is_unreadable() {
    let delivery = parse(&fixture("webhooks/unknown_status.json"));
    assert_eq!(delivery.unknown.get(&Unknown::Status), Some(&1));
    assert!(delivery.reports.is_empty() && delivery.readable == Readable::Yes);
    let nameless = fixture("webhooks/names_no_message.json");
    for body in [
        &nameless[..],
        b"",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b"{\"id\":\"x\"}",
        b"{\"status\":\"sent\"}",
        b"\xff",
    ] {
        assert!(matches!(parse(body).readable, Readable::No(_)), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn strange_fields_cost_only_themselves() {
    for (field, strange) in [
        ("at", json!("yesterday")),
        ("at", json!(1_795_363_200)),
        ("at", json!({})),
        ("error", json!("text")),
        ("error", json!([1])),
        ("error", json!({"code": {}, "title": 7.5})),
        ("reference", json!("order-17")),
        ("reference", json!([[[[]]]])),
    ] {
        let mut report = json!({"id": "sms-7Kq2", "status": "failed"});
        report[field] = strange;
        assert_eq!(parse(report.to_string().as_bytes()).reports.len(), 1, "{report}");
    }
}

#[test]
fn reports_are_signed() {
    let channel = sms("http://127.0.0.1:9", "/id", Duration::from_secs(1));
    let body = fixture("webhooks/sent.json");
    let right = sign(&"secret of the reports".into(), &body);
    let wrong = sign(&"another secret".into(), &body);
    let (right, wrong) = (right.as_bytes(), wrong.as_bytes());
    for (headers, refused) in [
        (&[(SIGNATURE, right)][..], None),
        (&[], Some(BadSignature::Missing)),
        (&[("x-hub-signature-256", right)], Some(BadSignature::Missing)),
        (&[(SIGNATURE, right), (SIGNATURE, right)], Some(BadSignature::Doubled)),
        (&[(SIGNATURE, wrong)], Some(BadSignature::Wrong)),
    ] {
        let verdict = post(&channel, headers, &body).err();
        assert_eq!(verdict, refused.map(NotHeard::Signature), "{headers:?}");
    }
    assert_eq!(get(&channel, "").err(), Some(NotHeard::Method("POST")));
}
