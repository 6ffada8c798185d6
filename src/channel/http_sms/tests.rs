mod proofs;
mod reports;

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::channel::signature::{BadSignature, sign};
use crate::channel::testing::{Behaviour, basis, get, post, raw_server};
use crate::channel::{Delivery, Readable, Unknown};
use crate::verification::values::{Alias, DeliveryError, ProviderRef, Report, ReportStatus};

const REFERENCE: &str = "msg_01m81zrq00fay80j6hb7h45br1";

fn sms(url: &str, id_pointer: &str, timeout: Duration) -> HttpSms {
    let bearer = "token-of-the-carrier".into();
    let settings = Settings {
        id_pointer: id_pointer.to_owned(),
        ..Settings::documented(url, "Lampen", bearer, "secret of the reports".into())
    };
    HttpSms::new(&basis("sms", timeout), settings).unwrap()
}

fn submission() -> Submission<'static> {
    Submission {
        reference: REFERENCE.parse().unwrap(),
        to: "+491713920011",
        code: "483920",
        content: Content::Text("483920 ist Ihr Code."),
        valid_for: Duration::from_secs(600),
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
async fn one_documented_request_and_the_returned_id() {
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
    assert_eq!(
        channel.send(&submission()).await.outcome,
        Outcome::Accepted { provider_ref: Some(provider_ref) }
    );
}

#[tokio::test]
async fn the_id_at_the_pointer_may_be_text_or_number() {
    let number = fixture("replies/accepted_number.json");
    let outcome = answered(ResponseTemplate::new(202).set_body_bytes(number), "/id").await;
    assert_eq!(outcome, accepted(Some("9007199254740993")));
    let nested = json!({"messages": [{"ref": "x-1"}]});
    let outcome = answered(ResponseTemplate::new(200).set_body_json(nested), "/messages/0/ref").await;
    assert_eq!(outcome, accepted(Some("x-1")));
}

fn accepted(id: Option<&str>) -> Outcome {
    Outcome::Accepted { provider_ref: id.map(|id| ProviderRef::parse(id).unwrap()) }
}

#[tokio::test]
async fn every_2xx_is_accepted_with_any_readable_id() {
    let bytes = |text: &str| text.as_bytes().to_vec();
    for (status, body, id) in [
        (200, b"\xef\xbb\xbf{\"id\":\"a-1\"}".to_vec(), Some("a-1")),
        (200, b"{\"id\":\"a-1\",\"to\":\"M\xfcller\"}".to_vec(), Some("a-1")),
        (200, bytes("{\"id\":\"a-1\",\"note\":\"one\ntwo\"}"), Some("a-1")),
        (200, bytes(r#"{"id":"a-1","note":"cut \ud83d"}"#), Some("a-1")),
        (200, bytes(r#"{"id":36893488147419103232}"#), Some("36893488147419103232")),
        (200, bytes(r#"{"id":1,"balance":123456789012345678901234567890}"#), Some("1")),
        (200, bytes(r#"{"id":" a-1\n"}"#), Some("a-1")),
        (200, bytes("<p>Notice</p>{\"id\":\"a-1\"}"), Some("a-1")),
        (202, bytes(" {\"id\":7}\0"), Some("7")),
        (299, bytes(r#"{"id":"a-1"}"#), Some("a-1")),
        (200, bytes(""), None),
        (200, bytes("OK"), None),
        (200, bytes("<html><body>sent</body></html>"), None),
        (200, bytes("{}"), None),
        (200, bytes(r#"{"id":""}"#), None),
        (200, bytes(r#"{"id":null}"#), None),
        (200, bytes(r#"{"id":1.5}"#), None),
        (200, bytes(r#"{"id":true}"#), None),
        (200, bytes(r#"{"id":["a"]}"#), None),
        (200, bytes(r#"{"id":"two words"}"#), Some("two%20words")),
        (200, bytes(r#"{"id":"a-1","cost":NaN}"#), Some("a-1")),
        (200, b"{\"id\":\"S\xe41\"}".to_vec(), Some("S%C3%A41")),
        (200, bytes(&format!(r#"{{"id":"{}"}}"#, "x".repeat(513))), None),
        (200, bytes(r#"{"id":"a-1"#), None),
        (200, bytes("[]"), None),
        (200, b"\xff\xfe\xfd".to_vec(), None),
        (200, vec![b' '; 100_000], None),
        (201, bytes(""), None),
        (204, bytes(""), None),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let outcome = answered(ResponseTemplate::new(status).set_body_bytes(body), "/id").await;
        assert_eq!(outcome, accepted(id), "{status} {shown}");
    }
    let whole = ResponseTemplate::new(200).set_body_string(r#""a-1""#);
    assert_eq!(answered(whole, "").await, accepted(None), "an empty pointer says that there is no id");
}

/// The status counts even if the body breaks off.
#[tokio::test]
async fn a_truncated_2xx_is_accepted() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    for played in [
        Behaviour::Bytes(format!("{head}content-length: 900\r\n\r\n{{\"id\":\"a-1\"}}").into_bytes()),
        Behaviour::Bytes(format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n").into_bytes()),
        Behaviour::Drip(format!("{head}content-length: 900\r\n\r\n").into_bytes()),
        Behaviour::Endless(format!("{head}\r\n").into_bytes()),
    ] {
        let described = format!("{played:?}");
        let url = raw_server(played).await;
        let sent = sms(&url, "/id", Duration::from_millis(600)).send(&submission()).await;
        assert_eq!(sent.outcome, accepted(None), "{described}");
    }
}

#[tokio::test]
async fn a_refusal_keeps_the_carriers_text_without_sent_data() {
    use ErrorClass::{Configuration, Fallback, InDoubt, Retry};
    for (status, body, class, title) in [
        (400, r#"{"error":{"message":"Unknown sender 'Lampen'"}}"#, Fallback, "Unknown sender 'Lampen'"),
        (402, r#"{"error":"Insufficient credit"}"#, Configuration, "Insufficient credit"),
        (402, "", Configuration, "the provider answered 402 Payment Required"),
        (
            400,
            r#"{"code":"LOW_BALANCE","message":"Your balance is too low"}"#,
            Configuration,
            "Your balance is too low (LOW_BALANCE)",
        ),
        (403, "account suspended", Configuration, "account suspended"),
        (
            422,
            r#"{"message":"'483920 ist Ihr Code.' to +491713920011 (0171 3920011) with token-of-the-carrier"}"#,
            Fallback,
            "'…' to … (…) with …",
        ),
        (429, r#"{"title":"Slow down"}"#, Retry, "Slow down"),
        (503, "busy", Retry, "busy"),
        (500, r#"{"error":"database"}"#, InDoubt, "database"),
    ] {
        let outcome = answered(ResponseTemplate::new(status).set_body_string(body), "/id").await;
        let (Outcome::Refused { error, .. } | Outcome::InDoubt { error }) = outcome else {
            panic!("{status}")
        };
        assert_eq!((error.class, error.title.as_str()), (class, title), "{status} {body}");
    }
}

#[tokio::test]
async fn every_other_answer_has_its_class() {
    use ErrorClass::{Configuration, Fallback, InDoubt, Retry};
    let unreadable = (InDoubt, "unreadable_answer");
    for (status, body, expected) in [
        (500, "", unreadable),
        (502, "<html>", unreadable),
        (504, "", unreadable),
        (408, "", (Fallback, "http_408")),
        (499, "", (Fallback, "http_499")),
        (302, "", (InDoubt, "redirected")),
        (400, "", (Fallback, "http_400")),
        (401, "", (Configuration, "http_401")),
        (403, "", (Configuration, "http_403")),
        (402, "", (Configuration, "http_402")),
        (404, "", (Configuration, "http_404")),
        (405, "", (Configuration, "http_405")),
        (407, "", (Configuration, "http_407")),
        (415, "", (Configuration, "http_415")),
        (418, "", (Fallback, "http_418")),
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
async fn retry_after_of_a_carrier_is_kept() {
    for status in [429, 503] {
        let outcome = answered(ResponseTemplate::new(status).insert_header("retry-after", "12"), "/id").await;
        assert!(
            matches!(outcome, Outcome::Refused { retry_after: Some(wish), .. } if wish == Duration::from_secs(12))
        );
    }
}

#[tokio::test]
async fn a_lost_response_is_in_doubt_and_a_failed_connection_is_retried() {
    let timeout = Duration::from_millis(500);
    for (played, code) in [(Behaviour::Reset, "no_answer"), (Behaviour::Silence, "no_answer")] {
        let url = raw_server(played.clone()).await;
        let outcome = sms(&url, "/id", timeout).send(&submission()).await.outcome;
        assert_eq!(class(&outcome), Some((ErrorClass::InDoubt, code)), "{played:?}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = sms(&format!("http://{closed}"), "/id", timeout).send(&submission()).await.outcome;
    assert_eq!(class(&outcome), Some((ErrorClass::Retry, "connection_failed")));
}

#[tokio::test]
async fn a_template_is_refused() {
    let submission =
        Submission { content: Content::Template { name: "login_code", language: "de" }, ..submission() };
    let outcome = sms("http://127.0.0.1:9", "/id", Duration::from_secs(1)).send(&submission).await.outcome;
    assert_eq!(class(&outcome), Some((ErrorClass::Configuration, "wrong_content")));
}

fn parse(body: &[u8]) -> Delivery {
    ReportFormat::default().read(body, None)
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
fn unknown_statuses_are_counted_and_reports_without_ids_are_unreadable() {
    let delivery = parse(&fixture("webhooks/unknown_status.json"));
    assert_eq!(delivery.unknown.get(&Unknown::Status), Some(&1));
    assert_eq!(delivery.readable, Readable::Yes);
    assert!(
        matches!(&delivery.reports[..], [Report { status: ReportStatus::Unknown(_), .. }]),
        "{delivery:?}"
    );
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

fn one_report(body: &[u8]) -> Report<Alias> {
    let mut delivery = parse(body);
    assert_eq!(delivery.readable, Readable::Yes, "{}", String::from_utf8_lossy(body));
    delivery.reports.pop().unwrap_or_else(|| panic!("nothing was read of {}", String::from_utf8_lossy(body)))
}

#[test]
fn known_status_words_count_and_unknown_ones_are_kept() {
    for (word, name) in [
        ("DELIVRD", "delivered"),
        ("Delivered", "delivered"),
        ("ENROUTE", "sent"),
        ("ACCEPTD", "sent"),
        ("SENT", "sent"),
        ("EXPIRED", "failed"),
        ("UNDELIV", "failed"),
        ("REJECTD", "failed"),
        ("DELETED", "failed"),
        ("Failed", "failed"),
        ("Read", "read"),
        ("warning", "unknown"),
        ("7", "unknown"),
    ] {
        let delivery = parse(json!({"id": "sms-7Kq2", "status": word}).to_string().as_bytes());
        let [report] = &delivery.reports[..] else { panic!("{word}: {delivery:?}") };
        assert_eq!(report.status.name(), name, "{word}");
        assert_eq!(delivery.unknown.contains_key(&Unknown::Status), name == "unknown", "{word}");
    }
    let word = |status: serde_json::Value| {
        one_report(json!({"id": "x", "status": status}).to_string().as_bytes()).status
    };
    assert_eq!(word(json!("Fizzed to +4915228817386")), ReportStatus::Unknown("Fizzed to +…".to_owned()));
    assert_eq!(word(json!(7)), ReportStatus::Unknown("7".to_owned()));
    let ReportStatus::Failed(error) = word(json!("EXPIRED")) else { panic!("it expired") };
    assert_eq!(
        (error.code.as_str(), error.title.as_str()),
        ("no_reason", "the carrier reported EXPIRED and gave no reason")
    );
}

#[test]
fn reports_are_parsed_as_leniently_as_responses() {
    let failed = |body: &[u8]| match one_report(body).status {
        ReportStatus::Failed(error) => (error.code, error.title, error.class),
        other => panic!("{other:?}"),
    };
    let words = |code: &str, title: &str| (code.to_owned(), title.to_owned(), ErrorClass::Fallback);
    for (body, expected) in [
        (
            b"\xef\xbb\xbf{\"id\":\"x\",\"status\":\"failed\",\"error\":{\"code\":\"5\",\"title\":\"No\"}}"
                .to_vec(),
            words("5", "No"),
        ),
        (
            b"{\"id\":\"x\",\"status\":\"failed\",\"error\":{\"code\":5,\"title\":\"Empf\xe4nger\"}}"
                .to_vec(),
            words("5", "Empfänger"),
        ),
        (
            b"{\"id\":\"x\",\"status\":\"FAILED\",\"error\":{\"code\":5,\"title\":\"one\ntwo\"}}".to_vec(),
            words("5", "one two"),
        ),
        (
            br#"{"id":"x","status":"failed","error":{"code":5,"title":"cut \ud83d"}}"#.to_vec(),
            words("5", "cut \u{fffd}"),
        ),
        (
            br#"{"id":"x","status":"failed","error":"Absent subscriber"}"#.to_vec(),
            words("no_reason", "Absent subscriber"),
        ),
        (br#"{"id":"x","status":"failed","error":27}"#.to_vec(), words("27", "the carrier gave no reason")),
        (
            br#"{"id":"x","status":"failed","error":[{"message":"Absent subscriber"}]}"#.to_vec(),
            words("no_reason", "Absent subscriber"),
        ),
        (
            br#"{"id":"x","status":"failed","error":{"code":9,"title":"Insufficient credit"}}"#.to_vec(),
            ("9".to_owned(), "Insufficient credit".to_owned(), ErrorClass::Configuration),
        ),
    ] {
        assert_eq!(failed(&body), expected, "{}", String::from_utf8_lossy(&body));
    }
    let long = one_report(br#"{"id":36893488147419103232,"status":"sent","at":1795363200}"#);
    assert_eq!(long.provider_ref.unwrap().as_str(), "36893488147419103232");
    assert_eq!(long.reported_at.unwrap().as_millis(), 1_795_363_200_000);
    let spaced = json!({"id": " a-1\n", "reference": format!(" {} ", REFERENCE.to_uppercase()), "status": " delivered "});
    let spaced = one_report(spaced.to_string().as_bytes());
    assert_eq!(spaced.provider_ref.unwrap().as_str(), "a-1");
    assert_eq!(spaced.reference.unwrap().to_string(), REFERENCE);
    assert_eq!(spaced.status, ReportStatus::Delivered);
}

#[test]
fn malformed_fields_only_affect_themselves() {
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
        (&[(SIGNATURE_HEADER, right)][..], None),
        (&[], Some(BadSignature::Missing)),
        (&[("x-hub-signature-256", right)], Some(BadSignature::Missing)),
        (&[(SIGNATURE_HEADER, right), (SIGNATURE_HEADER, right)], Some(BadSignature::Doubled)),
        (&[(SIGNATURE_HEADER, wrong)], Some(BadSignature::Wrong)),
    ] {
        let verdict = post(&channel, headers, &body).err();
        assert_eq!(verdict, refused.map(WebhookError::Signature), "{headers:?}");
    }
    assert_eq!(get(&channel, "").err(), Some(WebhookError::Method("POST")));
}

/// The meaning of statuses and error codes.
#[tokio::test]
async fn the_configuration_defines_the_meaning_of_statuses() {
    use ErrorClass::{Configuration, Fallback, InDoubt, Retry};
    let rules = [
        ("409", Decision::Accepted),
        ("302", Decision::Accepted),
        ("5xx", Decision::Refused),
        ("206", Decision::Refused),
        ("4xx", Decision::Refused),
        ("507", Decision::Retry),
        ("420", Decision::Retry),
    ];
    let rules = rules.map(|(text, verdict)| (Pattern::parse(text).unwrap(), verdict));
    let no_credit = r#"{"error":{"code":"E7","message":"Insufficient credit"}}"#;
    let e12 = r#"{"error":{"code":"E12","message":"Unknown destination"}}"#;
    for (status, body, expected) in [
        (409, "", None),
        (302, r#"{"id":"a-1"}"#, None),
        (200, "OK", None),
        (200, r#"{"id":"a-1","error":{"code":"W3"}}"#, None),
        (200, r#"{"error":{"code":0}}"#, None),
        (200, r#"{"error":{"code":"queued"}}"#, None),
        (200, e12, Some((Fallback, "E12"))),
        (202, no_credit, Some((Configuration, "E7"))),
        (206, "", Some((Fallback, "http_206"))),
        (500, e12, Some((Fallback, "E12"))),
        (503, "", Some((Fallback, "http_503"))),
        (507, "", Some((Retry, "http_507"))),
        (420, r#"{"error":{"code":"SLOW"}}"#, Some((Retry, "SLOW"))),
        (401, r#"{"error":{"code":"E1"}}"#, Some((Configuration, "E1"))),
        (429, "", Some((Fallback, "http_429"))),
        (301, e12, Some((InDoubt, "redirected"))),
    ] {
        let server = MockServer::start().await;
        let response = ResponseTemplate::new(status).insert_header("retry-after", "3").set_body_string(body);
        Mock::given(method("POST")).respond_with(response).mount(&server).await;
        let documented = Settings::documented(&server.uri(), "A", "token".into(), "secret".into());
        let settings = Settings {
            statuses: Statuses::new(rules.to_vec()),
            error_pointer: "/error/code".to_owned(),
            ..documented
        };
        let channel = HttpSms::new(&basis("sms", Duration::from_secs(10)), settings).unwrap();
        let outcome = channel.send(&submission()).await.outcome;
        assert_eq!(class(&outcome), expected, "{status} {body}");
        if let Outcome::Refused { retry_after, .. } = outcome {
            assert_eq!(retry_after, Some(Duration::from_secs(3)), "{status} {body}");
        }
    }
}

/// A key in the body template, a header, a password, the secret in the URL: everything that a carrier may quote.
#[tokio::test]
async fn no_secret_of_a_request_is_shown() {
    let secrets = ["pass-of-the-carrier", "key-in-a-header", "secret-of-the-address"];
    let server = MockServer::start().await;
    let quoted =
        json!({ "message": format!("Wrong: {} YWNtZTpwYXNzLW9mLXRoZS1jYXJyaWVy", secrets.join(" ")) });
    let response = ResponseTemplate::new(422).set_body_json(quoted);
    Mock::given(method("POST")).respond_with(response).mount(&server).await;
    let [password, key, address] = secrets.map(SecretString::from);
    let settings = Settings {
        authorization: Some(Authorization::Basic { user: "acme".to_owned(), password }),
        headers: vec![("x-api-key".to_owned(), key)],
        body: Some(RequestTemplate::parse("key=CANARY&to={to}&text={text}", BodyType::Form).unwrap()),
        proof: Proof::PathSecret(address),
        ..Settings::documented(&server.uri(), "A", "unused".into(), "unused".into())
    };
    let debug = format!("{settings:?}");
    let channel = HttpSms::new(&basis("sms", Duration::from_secs(10)), settings).unwrap();
    let Outcome::Refused { error, .. } = channel.send(&submission()).await.outcome else { panic!("refused") };
    for secret in secrets.into_iter().chain(["YWNtZ", "CANARY"]) {
        assert!(!error.title.contains(secret) && !debug.contains(secret), "{}", error.title);
    }
    assert!(error.title.starts_with("Wrong:"), "{}", error.title);
}
