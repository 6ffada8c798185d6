use std::time::{Duration, Instant};

use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::errors::{class_of, class_of_code};
use super::*;
use crate::channel::testing::{Behaviour, raw_server};
use crate::explain::{self, Origin};
use crate::verification::values::{Alias, ErrorClass, Outcome, ProviderRef};

const PATIENT: Duration = Duration::from_secs(10);

fn submission() -> Submission<'static> {
    Submission {
        reference: REFERENCE.parse().unwrap(),
        to: "+491713920011",
        code: "483920",
        content: Content::Template { name: "login_code", language: "de" },
        valid_for: Duration::from_secs(30),
    }
}

async fn answered(response: ResponseTemplate) -> Outcome {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(response).expect(1).mount(&server).await;
    meta(&server.uri(), PATIENT).send(&submission()).await.outcome
}

fn error_object(code: i64) -> serde_json::Value {
    serde_json::json!({"error": {"message": format!("(#{code}) Words"), "type": "OAuthException", "code": code}})
}

fn class(outcome: &Outcome) -> Option<(ErrorClass, &str)> {
    match outcome {
        Outcome::Refused { error, .. } | Outcome::InDoubt { error } => Some((error.class, &error.code)),
        Outcome::Accepted { .. } | Outcome::Held { .. } => None,
    }
}

fn retry_after(outcome: &Outcome) -> Option<Duration> {
    match outcome {
        Outcome::Refused { retry_after, .. } => *retry_after,
        Outcome::Accepted { .. } | Outcome::Held { .. } | Outcome::InDoubt { .. } => None,
    }
}

#[tokio::test]
async fn one_documented_request_and_the_returned_wamid() {
    let server = MockServer::start().await;
    let expected: serde_json::Value = serde_json::from_slice(&fixture("requests/template.json")).unwrap();
    Mock::given(method("POST"))
        .and(path("/v25.0/118822334455667/messages"))
        .and(header("authorization", "Bearer token-of-a-system-user"))
        .and(header("content-type", "application/json"))
        .and(body_json(expected))
        .respond_with(
            ResponseTemplate::new(200).set_body_raw(fixture("replies/accepted.json"), "application/json"),
        )
        .expect(1)
        .mount(&server)
        .await;
    let outcome = meta(&format!("{}/", server.uri()), PATIENT).send(&submission()).await.outcome;
    let provider_ref = ProviderRef::parse("wamid.T25lVGltZUNvZGUtMDAwMQ==").unwrap();
    assert_eq!(outcome, Outcome::Accepted { provider_ref: Some(provider_ref) });
}

#[test]
fn the_sandbox_reads_what_the_channel_writes() {
    let body = fixture("requests/template.json");
    let request: request::SendRequest<'_> = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        serde_json::to_value(&request).unwrap(),
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()
    );
}

#[tokio::test]
async fn every_documented_answer() {
    let provider_ref = ProviderRef::parse("wamid.T25lVGltZUNvZGUtMDAwMQ==").unwrap();
    let accepted = Outcome::Accepted { provider_ref: Some(provider_ref.clone()) };
    let held = Outcome::Held { provider_ref };
    for (reply, outcome) in [
        ("accepted.json", &accepted),
        ("accepted_with_status.json", &accepted),
        ("accepted_by_user_id.json", &accepted),
        ("held.json", &held),
        ("paused.json", &held),
    ] {
        let body = fixture(&format!("replies/{reply}"));
        assert_eq!(&answered(ResponseTemplate::new(200).set_body_bytes(body)).await, outcome, "{reply}");
    }
}

/// Digits are masked even if they are not a valid number: WhatsApp keeps numbers unknown to the tables.
#[tokio::test]
async fn the_response_contains_metas_ids_of_the_recipient() {
    for (contacts, aliases) in [
        (r#"[{"input":"+525512340123","wa_id":"5215512340123"}]"#, vec![Alias::number("+5215512340123")]),
        (r#"[{"input":"+5511987654321","wa_id":"551187654321"}]"#, vec![Alias::number("551187654321")]),
        (r#"[{"wa_id":5491123456789}]"#, vec![Alias::number("5491123456789")]),
        (r#"[{"user_id":"US.13491208655302741918"}]"#, vec![Alias::user("US.13491208655302741918")]),
        (
            r#"[{"wa_id":"22507123456","user_id":"CI.1"}]"#,
            vec![Alias::number("22507123456"), Alias::user("CI.1")],
        ),
        (r#"[{"wa_id":"120363041234567890","user_id":""}]"#, vec![]),
        (r#"[]"#, vec![]),
        (r#"null"#, vec![]),
    ] {
        let body = format!(r#"{{"contacts":{contacts},"messages":[{{"id":"wamid.1"}}]}}"#);
        let server = MockServer::start().await;
        let response = ResponseTemplate::new(200).set_body_string(body);
        Mock::given(method("POST")).respond_with(response).expect(1).mount(&server).await;
        let sent = meta(&server.uri(), PATIENT).send(&submission()).await;
        assert!(matches!(sent.outcome, Outcome::Accepted { .. }), "{contacts}");
        assert_eq!(sent.aliases.into_iter().map(Some).collect::<Vec<_>>(), aliases, "{contacts}");
    }
}

#[tokio::test]
async fn a_refusal_keeps_metas_text_without_number_and_code() {
    for (status, reply, code, class, title) in [
        (
            400,
            "error_131026.json",
            "131026",
            ErrorClass::Recipient,
            "Message undeliverable: Message undeliverable to ….",
        ),
        (
            400,
            "error_quoting_the_request.json",
            "132012",
            ErrorClass::Configuration,
            "Parameter format does not match: body: parameter '…' for … is wrong",
        ),
    ] {
        let body = fixture(&format!("replies/{reply}"));
        let server = MockServer::start().await;
        let response = ResponseTemplate::new(status).set_body_bytes(body);
        Mock::given(method("POST")).respond_with(response).expect(1).mount(&server).await;
        let submission = Submission { code: "Qx7p", ..submission() };
        match meta(&server.uri(), PATIENT).send(&submission).await.outcome {
            Outcome::Refused { error, .. } => {
                assert_eq!((error.code.as_str(), error.class, error.title.as_str()), (code, class, title));
            }
            other => panic!("{reply}: {other:?}"),
        }
    }
}

/// The documented classes, code by code. A change of class must be repeated here.
#[test]
fn every_code_has_its_class() {
    use ErrorClass::{Configuration, Fallback, Recipient, Retry, Sender};
    let table: &[(ErrorClass, &[i64])] = &[
        (Retry, &[1, 2, 4, 80007, 80008, 130429, 131000, 131016, 131057, 133004, 135000]),
        (Fallback, &[130472, 131049, 131050, 131056]),
        (Recipient, &[131021, 131026, 137000]),
        (
            Sender,
            &[
                0, 3, 10, 33, 190, 200, 210, 299, 368, 131005, 131031, 131037, 131042, 131045, 131048,
                131064, 133000, 133005, 133006, 133008, 133009, 133010, 133015, 133016,
            ],
        ),
        (
            Configuration,
            &[
                100, 130497, 131008, 131009, 131020, 131030, 131041, 131047, 131051, 131052, 131053, 131055,
                131059, 131060, 131062, 131063, 131200, 131250, 132000, 132001, 132005, 132007, 132008,
                132012, 132015, 132016, 132018, 132068, 132069, 134011, 134100, 134101, 134102, 138000,
                138999, 139001, 147001, 200005, 200007, 2388001, 2388012, 2388019, 2388040, 2388047, 2388072,
                2388073, 2388091, 2388093, 2388103, 2388293, 2388299, 2494100,
            ],
        ),
        (Fallback, &[-1, 5, 199, 300, 130000, 131999, 9_999_999, i64::MAX, i64::MIN]),
    ];
    let mut seen = std::collections::HashSet::new();
    for (class, codes) in table {
        for code in *codes {
            assert_eq!(class_of(*code), *class, "{code}");
            let number = u32::try_from(*code).ok();
            let explained = number.and_then(explain::meta_code);
            assert_eq!(number.and_then(class_of_code).is_some(), explained.is_some(), "{code}");
            seen.extend(explained.map(explain::Explanation::code));
        }
    }
    for entry in Origin::Meta.entries() {
        assert!(seen.contains(entry.code()), "{} is not asserted here", entry.code());
    }
}

#[tokio::test]
async fn the_status_decides_only_for_unknown_codes() {
    for (status, code, expected) in [
        (400, 131000, ErrorClass::Retry),
        (200, 131026, ErrorClass::Recipient),
        (500, 131026, ErrorClass::Recipient),
        (503, 190, ErrorClass::Sender),
        (302, 190, ErrorClass::Sender),
        (400, 987654, ErrorClass::Fallback),
        (200, 987654, ErrorClass::Fallback),
        (500, 987654, ErrorClass::Retry),
        (429, 987654, ErrorClass::Retry),
        (500, -7, ErrorClass::Retry),
    ] {
        let outcome = answered(ResponseTemplate::new(status).set_body_json(error_object(code))).await;
        assert_eq!(class(&outcome), Some((expected, code.to_string().as_str())), "{status} {code}");
    }
    let text_code = serde_json::json!({"error": {"code": "130429"}});
    let outcome = answered(ResponseTemplate::new(400).set_body_json(text_code)).await;
    assert_eq!(class(&outcome), Some((ErrorClass::Retry, "130429")));
}

#[tokio::test]
async fn an_id_is_found_in_imperfect_json() {
    for body in [
        b"\xef\xbb\xbf{\"messages\":[{\"id\":\"wamid.x\"}]}".to_vec(),
        b"{\"contacts\":[{\"input\":\"M\xfcller\"}],\"messages\":[{\"id\":\"wamid.x\"}]}".to_vec(),
        b"{\"note\":\"one\ntwo\",\"messages\":[{\"id\":\" wamid.x\\n\"}]}".to_vec(),
        br#"{"n":123456789012345678901234567890,"messages":[{"id":"wamid.x"}]}"#.to_vec(),
        br#"<!-- proxy -->{"messages":[{"id":"wamid.x"}]}"#.to_vec(),
    ] {
        let outcome = answered(ResponseTemplate::new(200).set_body_bytes(body.clone())).await;
        let provider_ref = Some(ProviderRef::parse("wamid.x").unwrap());
        assert_eq!(outcome, Outcome::Accepted { provider_ref }, "{}", String::from_utf8_lossy(&body));
    }
    let error = b"\xef\xbb\xbf{\"error\":{\"code\":131026,\"message\":\"M\xfcller\"}}".to_vec();
    let outcome = answered(ResponseTemplate::new(400).set_body_bytes(error)).await;
    assert_eq!(class(&outcome), Some((ErrorClass::Recipient, "131026")));
}

#[tokio::test]
async fn a_refusal_without_a_code_keeps_its_text() {
    for (status, body, expected) in [
        (402, r#"{"error":{"message":"No credit for +491713920011"}}"#, "No credit for …"),
        (400, "<html><head><title>Blocked by token-of-a-system-user</title></head></html>", "Blocked by …"),
        (403, "", "the provider answered 403 Forbidden"),
    ] {
        let outcome = answered(ResponseTemplate::new(status).set_body_string(body)).await;
        let Outcome::Refused { error, .. } = outcome else { panic!("{status}: {outcome:?}") };
        assert_eq!(error.title, expected);
    }
}

#[tokio::test]
async fn a_response_that_is_not_from_meta() {
    use ErrorClass::{Configuration, Fallback, InDoubt, Retry};
    let html = "<html><body>Welcome</body></html>";
    let unreadable = (InDoubt, "unreadable_answer");
    for (status, body, expected) in [
        (200, html, unreadable),
        (200, "", unreadable),
        (200, "{}", unreadable),
        (200, "null", unreadable),
        (200, r#"{"messages":[{"id":""}]}"#, unreadable),
        (200, r#"{"messages":{"id":"wamid.x"}}"#, unreadable),
        (200, r#"{"messages":[{"id":"wamid."#, unreadable),
        (200, r#"{"error":{"message":"no code"}}"#, unreadable),
        (204, "", unreadable),
        (500, "", unreadable),
        (502, html, unreadable),
        (503, html, unreadable),
        (500, r#"{"error":"text"}"#, unreadable),
        (408, "", unreadable),
        (301, "", (Configuration, "redirected")),
        (400, html, (Fallback, "http_400")),
        (401, html, (Configuration, "http_401")),
        (402, html, (Configuration, "http_402")),
        (404, html, (Configuration, "http_404")),
        (413, html, (Fallback, "http_413")),
        (429, html, (Retry, "http_429")),
    ] {
        let outcome = answered(ResponseTemplate::new(status).set_body_string(body)).await;
        assert_eq!(class(&outcome), Some(expected), "{status} {body}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = MockServer::start().await;
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(200))
        .expect(0)
        .mount(&elsewhere)
        .await;
    for status in [301, 302, 303, 307, 308] {
        let response = ResponseTemplate::new(status).insert_header("location", elsewhere.uri().as_str());
        assert_eq!(
            class(&answered(response).await),
            Some((ErrorClass::Configuration, "redirected")),
            "{status}"
        );
    }
}

#[tokio::test]
async fn retry_after_is_parsed_in_both_forms_and_bounded() {
    const DAY: u64 = 24 * 60 * 60;
    const NOW: &str = "Sun, 22 Nov 2026 17:00:00 GMT";
    for (wish, expected) in [
        ("7", Some(7)),
        ("0", Some(0)),
        ("86401", Some(DAY)),
        ("99999999999999999999999", Some(DAY)),
        ("Sun, 22 Nov 2026 17:02:30 GMT", Some(150)),
        ("Sun, 22 Nov 2026 16:00:00 GMT", Some(0)),
        ("Thu, 31 Dec 2099 23:59:59 GMT", Some(DAY)),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
    ] {
        let response = ResponseTemplate::new(400)
            .insert_header("retry-after", wish)
            .insert_header("date", NOW)
            .set_body_json(error_object(130_429));
        let outcome = answered(response).await;
        assert_eq!(retry_after(&outcome), expected.map(Duration::from_secs), "{wish:?}");
    }
}

#[tokio::test]
async fn failed_connections_are_retried() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let not_tls = raw_server(Behaviour::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).await;
    for url in [
        format!("http://{closed}"),
        "http://no-such-host.invalid".to_owned(),
        not_tls.replace("http://", "https://"),
    ] {
        let outcome = meta(&url, PATIENT).send(&submission()).await.outcome;
        assert_eq!(class(&outcome), Some((ErrorClass::Retry, "connection_failed")), "{url}: {outcome:?}");
    }
}

#[tokio::test]
async fn what_may_have_been_sent_is_in_doubt() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let message = r#"{"messages":[{"id":"wamid.x"}]}"#;
    for (played, code) in [
        (Behaviour::Reset, "no_answer"),
        (Behaviour::Bytes(Vec::new()), "no_answer"),
        (Behaviour::Silence, "no_answer"),
        (Behaviour::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "no_answer"),
        (
            Behaviour::Bytes(format!("{head}content-length: 900\r\n\r\n{message}").into_bytes()),
            "unreadable_answer",
        ),
        (
            Behaviour::Bytes(format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n").into_bytes()),
            "unreadable_answer",
        ),
        (Behaviour::Drip(format!("{head}content-length: 900\r\n\r\n").into_bytes()), "unreadable_answer"),
        (Behaviour::Drip(Vec::new()), "no_answer"),
    ] {
        let described = format!("{played:?}");
        let url = raw_server(played).await;
        let timeout = Duration::from_millis(600);
        #[expect(clippy::disallowed_methods, reason = "real time is what is tested")]
        let start = Instant::now();
        let outcome = meta(&url, timeout).send(&submission()).await.outcome;
        assert!(start.elapsed() < timeout * 3, "{described} took {:?}", start.elapsed());
        assert_eq!(class(&outcome), Some((ErrorClass::InDoubt, code)), "{described}: {outcome:?}");
    }
}

#[tokio::test]
async fn an_endless_response_is_cut_off() {
    let endless = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    let hundred_megabytes = "HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n";
    for head in [endless, hundred_megabytes] {
        let url = raw_server(Behaviour::Endless(head.as_bytes().to_vec())).await;
        #[expect(clippy::disallowed_methods, reason = "real time is what is tested")]
        let start = Instant::now();
        let outcome = meta(&url, PATIENT).send(&submission()).await.outcome;
        assert_eq!(class(&outcome), Some((ErrorClass::InDoubt, "unreadable_answer")), "{outcome:?}");
        // Well before the time-out, and before 100 MB could arrive.
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_text_is_refused() {
    let submission = Submission { content: Content::Text("483920"), ..submission() };
    let outcome = meta("http://127.0.0.1:9", PATIENT).send(&submission).await.outcome;
    assert_eq!(class(&outcome), Some((ErrorClass::Configuration, "wrong_content")));
}
