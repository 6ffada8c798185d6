use serde_json::json;
use wiremock::matchers::{body_json, body_string, header, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::*;
use crate::channel::testing::{Behaviour, raw_server};
use crate::verification::values::{DeliveryError, ProviderRef};

const SEND: &str = "/v1/projects/7c1f0d52-lampen/messages:send";
const TOKEN: &str = "/oauth2/token";
const PATIENT: Duration = Duration::from_secs(10);

fn token(word: &str, expires_in: u64) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"access_token": word, "token_type": "bearer", "expires_in": expires_in}))
}

/// A token endpoint that expects `times` requests.
async fn auth(answer: ResponseTemplate, times: u64) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path(TOKEN)).respond_with(answer).expect(times).mount(&server).await;
    server
}

async fn answered(via: Via, answer: ResponseTemplate) -> Outcome {
    let (auth, server) = (auth(token("first", 3600), 1).await, MockServer::start().await);
    Mock::given(method("POST")).and(path(SEND)).respond_with(answer).expect(1).mount(&server).await;
    conversation(&server.uri(), &auth.uri(), via, PATIENT).send(&submission(via)).await.outcome
}

fn accepted(id: Option<&str>) -> Outcome {
    Outcome::Accepted { provider_ref: id.map(|id| ProviderRef::parse(id).unwrap()) }
}

fn class(outcome: &Outcome) -> Option<(ErrorClass, &str)> {
    match outcome {
        Outcome::Refused { error, .. } | Outcome::InDoubt { error } => Some((error.class, &error.code)),
        Outcome::Accepted { .. } | Outcome::Held { .. } => None,
    }
}

#[tokio::test]
async fn each_sinch_channel_is_requested_as_documented_with_one_token() {
    for (via, name) in [(Via::Whatsapp, "whatsapp"), (Via::Sms, "sms"), (Via::Rcs, "rcs")] {
        let (auth, server) = (MockServer::start().await, MockServer::start().await);
        Mock::given(method("POST"))
            .and(path(TOKEN))
            // key-of-lampen:shining-secret
            .and(header("authorization", "Basic a2V5LW9mLWxhbXBlbjpzaGluaW5nLXNlY3JldA=="))
            .and(header("content-type", "application/x-www-form-urlencoded"))
            .and(body_string("grant_type=client_credentials"))
            .respond_with(token("first-token", 3600))
            .expect(1)
            .mount(&auth)
            .await;
        let expected: Value = serde_json::from_slice(&fixture(&format!("requests/{name}"))).unwrap();
        Mock::given(method("POST"))
            .and(path(SEND))
            .and(header("authorization", "Bearer first-token"))
            .and(header("content-type", "application/json"))
            .and(body_json(expected))
            .respond_with(ResponseTemplate::new(200).set_body_json(
                json!({"message_id": "01LAMPENMSG1", "accepted_time": "2026-11-22T17:00:00.001Z"}),
            ))
            .expect(2)
            .mount(&server)
            .await;
        let channel = conversation(&server.uri(), &auth.uri(), via, PATIENT);
        for _ in 0..2 {
            assert_eq!(
                channel.send(&submission(via)).await.outcome,
                accepted(Some("01LAMPENMSG1")),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn concurrent_messages_share_one_token_request() {
    let auth = auth(token("first", 3600).set_delay(Duration::from_millis(200)), 1).await;
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(json!({"message_id": "m"}));
    Mock::given(path(SEND)).respond_with(answer).expect(20).mount(&server).await;
    let channel = conversation(&server.uri(), &auth.uri(), Via::Sms, PATIENT);
    let submission = submission(Via::Sms);
    let sends = futures_util::future::join_all((0..20).map(|_| channel.send(&submission))).await;
    assert!(sends.iter().all(|sent| sent.outcome == accepted(Some("m"))));
}

#[tokio::test]
async fn an_expiring_token_is_not_used() {
    let auth = auth(token("short", 60), 2).await;
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(json!({"message_id": "m"}));
    Mock::given(path(SEND)).respond_with(answer).expect(2).mount(&server).await;
    let channel = conversation(&server.uri(), &auth.uri(), Via::Sms, PATIENT);
    for _ in 0..2 {
        assert_eq!(channel.send(&submission(Via::Sms)).await.outcome, accepted(Some("m")));
    }
}

/// Accepts only the newest token.
struct Newest;

impl Respond for Newest {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        match request.headers.get("authorization").and_then(|value| value.to_str().ok()) {
            Some("Bearer second") => ResponseTemplate::new(200).set_body_json(json!({"message_id": "m"})),
            _ => ResponseTemplate::new(401),
        }
    }
}

/// Issues a different token to each caller.
struct Counting(std::sync::atomic::AtomicUsize);

impl Respond for Counting {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let before = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        token(["first", "second", "third"][before.min(2)], 3600)
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (auth, server) = (MockServer::start().await, MockServer::start().await);
    Mock::given(path(TOKEN)).respond_with(Counting(0.into())).expect(2).mount(&auth).await;
    Mock::given(path(SEND)).respond_with(Newest).expect(3).mount(&server).await;
    let channel = conversation(&server.uri(), &auth.uri(), Via::Whatsapp, PATIENT);
    for _ in 0..2 {
        assert_eq!(channel.send(&submission(Via::Whatsapp)).await.outcome, accepted(Some("m")));
    }
    server.verify().await;

    let (auth, server) = (MockServer::start().await, MockServer::start().await);
    Mock::given(path(TOKEN)).respond_with(Counting(0.into())).expect(2).mount(&auth).await;
    Mock::given(path(SEND)).respond_with(ResponseTemplate::new(401)).expect(2).mount(&server).await;
    let channel = conversation(&server.uri(), &auth.uri(), Via::Whatsapp, PATIENT);
    let outcome = channel.send(&submission(Via::Whatsapp)).await.outcome;
    assert_eq!(class(&outcome), Some((ErrorClass::Configuration, "http_401")));
}

/// Only a 401 leads to a second request, and without a token there is no request at all.
#[tokio::test]
async fn nothing_is_sent_without_a_token() {
    use ErrorClass::{Configuration, Retry};
    let json = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    for (answer, expected) in [
        (ResponseTemplate::new(400), (Configuration, "login_refused")),
        (ResponseTemplate::new(401), (Configuration, "login_refused")),
        (ResponseTemplate::new(403), (Configuration, "login_refused")),
        (ResponseTemplate::new(404), (Configuration, "login_refused")),
        (ResponseTemplate::new(302), (Configuration, "login_refused")),
        (ResponseTemplate::new(429), (Retry, "login_unavailable")),
        (ResponseTemplate::new(500), (Retry, "login_unavailable")),
        (ResponseTemplate::new(503), (Retry, "login_unavailable")),
        (ResponseTemplate::new(200).set_body_string("<html>"), (Retry, "login_unavailable")),
        (json(json!({})), (Retry, "login_unavailable")),
        (json(json!({"access_token": ""})), (Retry, "login_unavailable")),
        (json(json!({"access_token": "two\r\nlines"})), (Retry, "login_unavailable")),
        (json(json!({"access_token": "two words"})), (Retry, "login_unavailable")),
        (json(json!({"access_token": {"a": 1}})), (Retry, "login_unavailable")),
    ] {
        let (auth, server) = (auth(answer, 1).await, MockServer::start().await);
        Mock::given(path(SEND)).respond_with(ResponseTemplate::new(200)).expect(0).mount(&server).await;
        let channel = conversation(&server.uri(), &auth.uri(), Via::Sms, PATIENT);
        let outcome = channel.send(&submission(Via::Sms)).await.outcome;
        assert_eq!(class(&outcome), Some(expected));
        assert!(crate::explain::explain(expected.1).is_some(), "{}", expected.1);
    }
    let quick = Duration::from_millis(900);
    for played in [Behaviour::Reset, Behaviour::Silence] {
        let auth = raw_server(played.clone()).await;
        let channel = conversation("http://127.0.0.1:9", &auth, Via::Sms, quick);
        let outcome = channel.send(&submission(Via::Sms)).await.outcome;
        assert_eq!(class(&outcome), Some((Retry, "login_unavailable")), "{played:?}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let channel = conversation("http://127.0.0.1:9", &format!("http://{closed}"), Via::Sms, quick);
    let outcome = channel.send(&submission(Via::Sms)).await.outcome;
    assert_eq!(class(&outcome), Some((Retry, "connection_failed")));
}

#[tokio::test]
async fn retry_after_of_an_overloaded_provider_is_kept() {
    let wish = Some(Duration::from_secs(12));
    let busy = || ResponseTemplate::new(429).insert_header("retry-after", "12");
    let outcome = answered(Via::Sms, busy()).await;
    assert!(matches!(outcome, Outcome::Refused { retry_after, .. } if retry_after == wish));
    let auth = auth(busy(), 1).await;
    let channel = conversation("http://127.0.0.1:9", &auth.uri(), Via::Sms, PATIENT);
    let outcome = channel.send(&submission(Via::Sms)).await.outcome;
    assert!(matches!(outcome, Outcome::Refused { retry_after, .. } if retry_after == wish));
}

#[tokio::test]
async fn every_2xx_is_accepted_with_any_readable_id() {
    for (status, body, id) in [
        (200, r#"{"message_id":"01A","accepted_time":"x"}"#, Some("01A")),
        (202, "\u{feff}{\"message_id\":7}", Some("7")),
        (200, r#"{"message_id":""}"#, None),
        (200, r#"{"message_id":["a"]}"#, None),
        (200, r#"{"message_id":"01A"#, None),
        (200, "<html>", None),
        (204, "", None),
    ] {
        let answer = ResponseTemplate::new(status).set_body_string(body);
        assert_eq!(answered(Via::Whatsapp, answer).await, accepted(id), "{status} {body}");
    }
}

#[tokio::test]
async fn every_other_response_has_its_class_and_shows_no_sent_data() {
    use ErrorClass::{Configuration, Fallback, InDoubt, Retry};
    for (status, expected) in [
        (302, (Configuration, "redirected")),
        (400, (Configuration, "http_400")),
        (403, (Configuration, "http_403")),
        (404, (Configuration, "http_404")),
        (408, (InDoubt, "unreadable_answer")),
        (418, (Fallback, "http_418")),
        (429, (Retry, "http_429")),
        (500, (InDoubt, "unreadable_answer")),
        (503, (InDoubt, "unreadable_answer")),
    ] {
        let said = "'483920 ist Ihr Code.' to 491713920011 (483920) with first";
        let body = json!({"error": {"code": status, "message": said, "status": "INVALID_ARGUMENT"}});
        let outcome = answered(Via::Sms, ResponseTemplate::new(status).set_body_json(body)).await;
        assert_eq!(class(&outcome), Some(expected), "{status}");
        let shown = format!("{outcome:?}");
        for secret in ["483920", "49171", "3920011", "first", "ist Ihr"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_lost_response_is_in_doubt_and_a_failed_connection_is_retried() {
    let timeout = Duration::from_millis(900);
    for played in [Behaviour::Reset, Behaviour::Silence] {
        let auth = auth(token("first", 3600), 1).await;
        let url = raw_server(played.clone()).await;
        let outcome =
            conversation(&url, &auth.uri(), Via::Sms, timeout).send(&submission(Via::Sms)).await.outcome;
        assert_eq!(class(&outcome), Some((ErrorClass::InDoubt, "no_answer")), "{played:?}");
    }
    let auth = auth(token("first", 3600), 1).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let channel = conversation(&format!("http://{closed}"), &auth.uri(), Via::Sms, timeout);
    let outcome = channel.send(&submission(Via::Sms)).await.outcome;
    assert_eq!(class(&outcome), Some((ErrorClass::Retry, "connection_failed")));
}

#[tokio::test]
async fn other_content_is_refused() {
    for (via, other) in [(Via::Whatsapp, Via::Sms), (Via::Sms, Via::Whatsapp), (Via::Rcs, Via::Whatsapp)] {
        let channel = conversation("http://127.0.0.1:9", "http://127.0.0.1:9", via, PATIENT);
        let Outcome::Refused { error: DeliveryError { code, class, .. }, .. } =
            channel.send(&submission(other)).await.outcome
        else {
            panic!("{via:?}")
        };
        assert_eq!((code.as_str(), class), ("wrong_content", ErrorClass::Configuration), "{via:?}");
    }
}

#[test]
fn the_ttl_is_within_sinchs_range() {
    let channel = conversation("http://127.0.0.1:9", "http://127.0.0.1:9", Via::Sms, PATIENT);
    for (millis, ttl) in [(0, "3s"), (999, "3s"), (30_000, "30s"), (600_999, "600s")] {
        let submission = Submission { valid_for: Duration::from_millis(millis), ..submission(Via::Sms) };
        assert_eq!(channel.body(&submission).unwrap()["ttl"], ttl, "{millis}");
    }
}
