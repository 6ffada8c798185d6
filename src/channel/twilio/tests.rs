use std::time::Duration;

use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::channel::signature::BadSignature;
use crate::channel::testing::{Behaviour, basis, get, raw_server};
use crate::channel::{Delivery, Inbound, Intent, Readable, Unknown};
use crate::verification::values::{ErrorClass, Outcome, ProviderRef, ReportStatus, Timestamp};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKENS: [&str; 2] = ["token in use", "token before"];
const REFERENCE: &str = "msg_01m81zrq00fay80j6hb7h45br1";
const SID: &str = "SM0123456789abcdef0123456789abcdef";
const CALLBACK: &str = "https://otp.example.com/webhooks/tested";

fn settings(base_url: &str, via: Via, sender: Sender) -> Settings {
    Settings {
        base_url: base_url.to_owned(),
        account_sid: ACCOUNT.to_owned(),
        auth_tokens: TOKENS.map(Into::into).to_vec(),
        api_key: None,
        sender,
        via,
        content_sids: None,
    }
}

fn from(name: &str) -> Sender {
    Sender::From(name.to_owned())
}

fn made(settings: Settings) -> Twilio {
    Twilio::new(&basis("tested", Duration::from_secs(10)), settings).unwrap()
}

fn sms(base_url: &str) -> Twilio {
    made(settings(base_url, Via::Sms, from("Lampen")))
}

fn submission(content: Content<'static>) -> Submission<'static> {
    Submission {
        reference: REFERENCE.parse().unwrap(),
        to: "+491713920011",
        code: "483920",
        valid_for: Duration::from_secs(600),
        content,
    }
}

const TEXT: Content<'static> = Content::Text("483920 ist Ihr Code & mehr.");
const BY_ID: Content<'static> = Content::ById("HX0123456789abcdef0123456789abcdef");

fn fixture(path: &str) -> String {
    let path = format!("{}/fixtures/twilio/{path}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.trim_end().to_owned()
}

async fn answered(status: u16, body: &str) -> Outcome {
    let server = MockServer::start().await;
    let response = ResponseTemplate::new(status).set_body_string(body);
    Mock::given(method("POST")).respond_with(response).expect(1).mount(&server).await;
    sms(&server.uri()).send(&submission(TEXT)).await.outcome
}

fn accepted(sid: Option<&str>) -> Outcome {
    Outcome::Accepted { provider_ref: sid.map(|sid| ProviderRef::parse(sid).unwrap()) }
}

fn verdict(outcome: &Outcome) -> Option<(ErrorClass, &str)> {
    match outcome {
        Outcome::Refused { error, .. } | Outcome::InDoubt { error } => Some((error.class, &error.code)),
        Outcome::Accepted { .. } | Outcome::Held { .. } => None,
    }
}

// ── Sending ──────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn one_form_per_network_and_the_returned_sid() {
    let api_key = ApiKey { sid: "SK00".to_owned(), secret: "secret of the key".into() };
    let contents = Some([("en".to_owned(), "HX00".to_owned())].into());
    let whatsapp = settings("", Via::WhatsApp, from("+14155550199"));
    let pool = Sender::MessagingService("MG0123456789abcdef0123456789abcdef".to_owned());
    for (settings, content, login, request) in [
        (settings("", Via::Sms, from("Lampen")), TEXT, (ACCOUNT, TOKENS[0]), "requests/sms.txt"),
        (settings("", Via::Sms, pool), TEXT, (ACCOUNT, TOKENS[0]), "requests/messaging_service.txt"),
        (
            Settings { api_key: Some(api_key), ..settings("", Via::Rcs, from("lampen_agent")) },
            TEXT,
            ("SK00", "secret of the key"),
            "requests/rcs.txt",
        ),
        (whatsapp.clone(), TEXT, (ACCOUNT, TOKENS[0]), "requests/whatsapp_text.txt"),
        (
            Settings { content_sids: contents, ..whatsapp },
            BY_ID,
            (ACCOUNT, TOKENS[0]),
            "requests/whatsapp_content.txt",
        ),
    ] {
        let server = MockServer::start().await;
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", login.0, login.1)));
        Mock::given(method("POST"))
            .and(path(format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json")))
            .and(header("authorization", authorization))
            .and(header("content-type", "application/x-www-form-urlencoded"))
            .respond_with(ResponseTemplate::new(201).set_body_string(fixture("replies/queued.json")))
            .expect(1)
            .mount(&server)
            .await;
        let channel = made(Settings { base_url: server.uri(), ..settings });
        assert_eq!(channel.send(&submission(content)).await, accepted(Some(SID)).into(), "{request}");
        let received = server.received_requests().await.unwrap();
        let fields: Vec<String> = form_urlencoded::parse(&received[0].body)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(fields.join("\n"), fixture(request), "{request}");
    }
}

#[tokio::test]
async fn unsupported_content_is_refused() {
    let contents = Some([("en".to_owned(), "HX00".to_owned())].into());
    let template = || Content::Template { name: "login_code", language: "en_US" };
    let texts = settings("http://127.0.0.1:9", Via::WhatsApp, from("+14155550199"));
    let templates = Settings { content_sids: contents, ..texts.clone() };
    for (settings, content) in
        [(texts.clone(), BY_ID), (texts, template()), (templates.clone(), TEXT), (templates, template())]
    {
        let outcome = made(settings).send(&submission(content)).await.outcome;
        assert_eq!(verdict(&outcome), Some((ErrorClass::Configuration, "wrong_content")));
    }
}

#[tokio::test]
async fn every_answer_has_its_class() {
    use ErrorClass::{Configuration, Fallback, InDoubt, Recipient, Retry, Sender};
    let error = |code: u32| format!(r#"{{"code":{code},"message":"No","more_info":"x","status":400}}"#);
    for (status, body, expected) in [
        (400, error(21211), Some((Recipient, "21211"))),
        (400, error(21610), Some((Fallback, "21610"))),
        (400, error(21612), Some((Fallback, "21612"))),
        (403, error(21408), Some((Configuration, "21408"))),
        (401, error(20003), Some((Sender, "20003"))),
        (429, error(20429), Some((Retry, "20429"))),
        (400, r#"{"code":"21614","message":"No"}"#.to_owned(), Some((Recipient, "21614"))),
        // An unknown code: the status decides, the code is kept.
        (400, error(29999), Some((Fallback, "29999"))),
        (404, error(20404), Some((Configuration, "20404"))),
        (429, error(29999), Some((Retry, "29999"))),
        // After a 5xx without a known code the message is in doubt.
        (500, error(20500), Some((InDoubt, "20500"))),
        (503, error(20503), Some((InDoubt, "20503"))),
        (503, error(20429), Some((Retry, "20429"))),
        (400, error(30410), Some((InDoubt, "30410"))),
        (408, error(29999), Some((InDoubt, "29999"))),
        (400, "<html>".to_owned(), Some((Fallback, "http_400"))),
        (401, String::new(), Some((Configuration, "http_401"))),
        (429, String::new(), Some((Retry, "http_429"))),
        (500, String::new(), Some((InDoubt, "unreadable_answer"))),
        (302, String::new(), Some((Configuration, "redirected"))),
        (201, String::new(), None),
        (200, "OK".to_owned(), None),
        (201, r#"{"sid":"","status":"queued"}"#.to_owned(), None),
        (201, r#"{"sid":"SM1","status":"failed","error_code":30005}"#.to_owned(), Some((Fallback, "30005"))),
        // Twilio has accepted it, so it is not sent again.
        (201, r#"{"sid":"SM1","status":"failed","error_code":30001}"#.to_owned(), Some((Fallback, "30001"))),
        (201, r#"{"sid":"SM1","status":"failed","error_code":99999}"#.to_owned(), Some((Fallback, "99999"))),
        (201, r#"{"sid":"SM1","status":"undelivered","error_code":30410}"#.to_owned(), None),
        (201, r#"{"sid":"SM1","status":"queued","error_code":30005}"#.to_owned(), None),
        (201, r#"{"sid":"SM1","status":"failed","error_code":null}"#.to_owned(), None),
    ] {
        let outcome = answered(status, &body).await;
        assert_eq!(verdict(&outcome), expected, "{status} {body}");
    }
}

#[tokio::test]
async fn twilios_retry_after_is_kept() {
    let server = MockServer::start().await;
    let body = fixture("replies/too_many_requests.json");
    let response = ResponseTemplate::new(429).insert_header("retry-after", "7").set_body_string(body);
    Mock::given(method("POST")).respond_with(response).mount(&server).await;
    match sms(&server.uri()).send(&submission(TEXT)).await.outcome {
        Outcome::Refused { error, retry_after } => {
            assert_eq!((error.class, &*error.code), (ErrorClass::Retry, "20429"));
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_keeps_twilios_text_without_sent_data() {
    let body = r#"{"code":21211,"message":"The 'To' number +491713920011 is not valid for '483920 ist Ihr Code & mehr.'"}"#;
    let outcome = answered(400, body).await;
    let Outcome::Refused { error, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.title, "The 'To' number … is not valid for '…'");
}

#[tokio::test]
async fn a_lost_response_is_in_doubt_and_a_truncated_2xx_is_accepted() {
    let timeout = Duration::from_millis(600);
    let head = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\n";
    for (played, expected) in [
        (Behaviour::Silence, Some((ErrorClass::InDoubt, "no_answer"))),
        (Behaviour::Reset, Some((ErrorClass::InDoubt, "no_answer"))),
        (Behaviour::Bytes(b"HTTP/1.1 5".to_vec()), Some((ErrorClass::InDoubt, "no_answer"))),
        (Behaviour::Drip(format!("{head}content-length: 900\r\n\r\n").into_bytes()), None),
        (Behaviour::Endless(format!("{head}\r\n").into_bytes()), None),
        (Behaviour::Bytes(format!("{head}content-length: 900\r\n\r\n{{\"sid\":").into_bytes()), None),
    ] {
        let described = format!("{played:?}");
        let settings = settings(&raw_server(played).await, Via::Sms, from("Lampen"));
        let channel = Twilio::new(&basis("tested", timeout), settings).unwrap();
        let outcome = channel.send(&submission(TEXT)).await.outcome;
        assert_eq!(verdict(&outcome), expected, "{described}");
    }
    let nobody = sms("http://127.0.0.1:9").send(&submission(TEXT)).await.outcome;
    assert_eq!(verdict(&nobody), Some((ErrorClass::Retry, "connection_failed")));
}

#[test]
fn secrets_are_not_printed() {
    let key = ApiKey { sid: "SK00".to_owned(), secret: "secret of the key".into() };
    let shown = format!("{:?}", Settings { api_key: Some(key), ..settings("x", Via::Sms, from("y")) });
    for secret in TOKENS.into_iter().chain(["secret of the key"]) {
        assert!(!shown.contains(secret), "{shown}");
    }
}

// ── Webhooks ─────────────────────────────────────────────────────────────────────────────────────────────

/// The parsed result of this form, signed with the second token.
fn hear(query: Option<&str>, body: &str) -> Result<Incoming, WebhookError> {
    let url = query.map_or(CALLBACK.to_owned(), |query| format!("{CALLBACK}?{query}"));
    let signature = sign(&TOKENS[1].into(), &url, body.as_bytes());
    ask(query, &[(SIGNATURE, signature.as_bytes())], body)
}

fn ask(query: Option<&str>, headers: &[(&str, &[u8])], body: &str) -> Result<Incoming, WebhookError> {
    let Basis { callback, .. } = basis("tested", Duration::from_secs(1));
    let now = Timestamp::from_millis(1_795_363_200_000);
    let (method, body) = (incoming::Method::Post, body.as_bytes());
    sms("http://127.0.0.1:9").receive(&Webhook {
        method,
        callback: &callback,
        path: None,
        query,
        headers,
        body,
        now,
    })
}

fn told(query: Option<&str>, body: &str) -> Delivery {
    match hear(query, body) {
        Ok(Incoming::Delivery(SignedDelivery { own, of_others, reply, receipt: None })) => {
            assert!(of_others.is_empty());
            assert_eq!(reply.content_type, Some("text/xml; charset=utf-8"));
            assert!(reply.body.ends_with("<Response/>"), "{}", reply.body);
            own
        }
        other => panic!("{other:?}"),
    }
}

fn of_us() -> String {
    format!("message={REFERENCE}")
}

#[test]
fn a_status_is_matched_by_its_url_and_its_sid() {
    for (words, status) in [
        (&["accepted", "scheduled", "queued", "sending", "sent", "Sent"][..], ReportStatus::Sent),
        (&["delivered"], ReportStatus::Delivered),
        (&["read"], ReportStatus::Read),
        (&["partially_delivered"], ReportStatus::Unknown("partially_delivered".to_owned())),
    ] {
        for word in words {
            let body = fixture("webhooks/delivered.txt")
                .replace("MessageStatus=delivered", &format!("MessageStatus={word}"));
            let delivery = told(Some(&of_us()), &body);
            let report = &delivery.reports[0];
            assert_eq!(report.status, status, "{word}");
            assert_eq!(report.provider_ref, ProviderRef::parse(SID).ok());
            assert_eq!(report.reference, REFERENCE.parse().ok());
            let unknown = usize::from(*word == "partially_delivered");
            assert_eq!(delivery.unknown.get(&Unknown::Status).copied().unwrap_or_default(), unknown);
        }
    }
    let by_sid = told(None, &fixture("webhooks/delivered.txt"));
    assert_eq!((by_sid.reports[0].reference, by_sid.reports.len()), (None, 1));
    let by_address = told(Some(&of_us()), "MessageStatus=delivered");
    assert_eq!(by_address.reports[0].reference, REFERENCE.parse().ok());
    let old_names = told(None, &format!("SmsSid={SID}&SmsStatus=delivered"));
    assert_eq!(old_names.reports[0].status, ReportStatus::Delivered);
}

#[test]
fn a_failure_has_the_class_of_its_code() {
    use ErrorClass::{Configuration, Fallback, Recipient, Retry, Sender};
    for (fields, class, code, title) in [
        ("undelivered&ErrorCode=30005", Fallback, "30005", "The number is unknown or no longer in use"),
        (
            "failed&ErrorCode=30006",
            Recipient,
            "30006",
            "The number is a landline, or its carrier cannot be reached",
        ),
        ("failed&ErrorCode=30001", Retry, "30001", "The queue is full"),
        ("failed&ErrorCode=30034", Configuration, "30034", "The number is not registered for US A2P 10DLC"),
        ("failed&ErrorCode=63038", Sender, "63038", "The account's daily limit of messages is reached"),
        ("failed&ErrorCode=63033", Fallback, "63033", "The recipient blocks the sender"),
        (
            "undelivered&ErrorCode=63016&ErrorMessage=No+session+with+%2B491713920011",
            Fallback,
            "63016",
            "No session with +…",
        ),
        ("failed&ErrorCode=98765", Fallback, "98765", "Twilio gave no reason"),
        ("undelivered", Fallback, "no_reason", "Twilio reported undelivered and gave no reason"),
        ("undelivered&ErrorCode=0", Fallback, "no_reason", "Twilio reported undelivered and gave no reason"),
        ("canceled&ErrorCode=", Fallback, "no_reason", "Twilio reported canceled and gave no reason"),
        ("failed&ErrorCode=no+such+thing", Fallback, "no such thing", "Twilio gave no reason"),
        ("failed&ErrorCode=491713920011", Fallback, "…", "Twilio gave no reason"),
    ] {
        let delivery = told(Some(&of_us()), &format!("MessageSid={SID}&MessageStatus={fields}"));
        match &delivery.reports[0].status {
            ReportStatus::Failed(error) => {
                assert_eq!((error.class, &*error.code, &*error.title), (class, code, title), "{fields}")
            }
            other => panic!("{fields}: {other:?}"),
        }
    }
    let doubt = told(Some(&of_us()), &format!("MessageSid={SID}&MessageStatus=undelivered&ErrorCode=30410"));
    assert_eq!(doubt.reports[0].status, ReportStatus::Unknown("undelivered_30410".to_owned()));
}

#[test]
fn inbound_messages_are_parsed() {
    let one = |body: &str| -> Inbound {
        let mut delivery = told(None, body);
        assert_eq!((delivery.readable, delivery.reports.len()), (Readable::Yes, 0), "{body}");
        delivery.inbound.remove(0)
    };
    let text = one(&fixture("webhooks/inbound_whatsapp.txt"));
    assert_eq!(text.provider_ref, ProviderRef::parse(SID).unwrap());
    assert_eq!(text.from.as_deref(), Some("+491713920011"));
    assert_eq!(text.user_id, None);
    assert_eq!(text.profile_name.as_deref(), Some("Ada Lübke"));
    assert_eq!((text.text.as_deref(), &*text.kind), (Some("Grüße & bis bald"), "text"));
    assert_eq!((text.intent, text.in_reply_to, text.at), (Intent::Reply, None, None));

    let hidden = one(&fixture("webhooks/inbound_user_id.txt"));
    assert_eq!((hidden.from, hidden.user_id.as_deref()), (None, Some("US.13491208655302741918")));
    let both = format!("SmsStatus=received&MessageSid={SID}&From=whatsapp:US.1&WaId=491713920011&Body=x");
    let both = one(&both);
    assert_eq!((both.from.as_deref(), both.user_id.as_deref()), (Some("+491713920011"), Some("US.1")));

    let button = one(&fixture("webhooks/inbound_button.txt"));
    assert_eq!((&*button.kind, button.text.as_deref()), ("button", Some("I didn't request a code")));
    assert_eq!(button.intent, Intent::CodeDisowned);
    assert_eq!(button.in_reply_to, ProviderRef::parse("SMfedcba9876543210fedcba9876543210").ok());

    let media = |rest: &str| one(&format!("MessageSid={SID}&SmsStatus=received&From=%2B491713920011&{rest}"));
    for (rest, kind, text) in [
        ("Body=&NumMedia=1&MediaContentType0=image/jpeg", "image", None),
        ("Body=see&NumMedia=2&MediaContentType0=video/mp4", "video", Some("see")),
        ("NumMedia=1&MediaContentType0=application/pdf", "document", None),
        ("NumMedia=1", "document", None),
        ("NumMedia=0&Body=STOP&OptOutType=STOP", "text", Some("STOP")),
        ("Body=x&MessageType=Sticker", "sticker", Some("x")),
    ] {
        let inbound = media(rest);
        assert_eq!((&*inbound.kind, inbound.text.as_deref()), (kind, text), "{rest}");
    }
    let short = one(&format!("MessageSid={SID}&From=12345&Body=x"));
    assert_eq!((short.from, short.user_id.as_deref()), (None, Some("12345")));
    let long = media(&format!("Body={}", "x".repeat(Inbound::MAX_TEXT_CHARS + 10)));
    assert_eq!(long.text.unwrap().chars().count(), Inbound::MAX_TEXT_CHARS);
}

#[test]
fn other_forms_are_unreadable() {
    for body in
        ["", "{}", "x=1", "&&&", "MessageStatus=delivered", "Body=x", "From=%2B491713920011", "%ff=%fe"]
    {
        let delivery = told(None, body);
        assert!(matches!(delivery.readable, Readable::No(_)), "{body}");
        assert!(delivery.reports.is_empty() && delivery.inbound.is_empty(), "{body}");
    }
    let twice = told(None, &format!("MessageSid={SID}&MessageStatus=sent&MessageStatus=delivered"));
    assert_eq!(twice.reports[0].status, ReportStatus::Sent, "the first counts");
}

#[test]
fn a_valid_signature_is_required() {
    let body = fixture("webhooks/delivered.txt");
    let query = of_us();
    let sign_at = |url: &str, body: &str| sign(&TOKENS[0].into(), url, body.as_bytes());
    let right = sign_at(&format!("{CALLBACK}?{query}"), &body);
    let refused = |signature: &str| ask(Some(&query), &[(SIGNATURE, signature.as_bytes())], &body).err();
    assert_eq!(refused(&right), None);
    for (signature, why) in [
        (String::new(), BadSignature::Malformed),
        (right[1..].to_owned(), BadSignature::Malformed),
        (sign(&"another".into(), &format!("{CALLBACK}?{query}"), body.as_bytes()), BadSignature::Wrong),
        (sign_at(CALLBACK, &body), BadSignature::Wrong),
        (sign_at(&format!("{CALLBACK}?message=msg_01m81zrq00fay80j6hb7h45br2"), &body), BadSignature::Wrong),
        (sign_at(&format!("{CALLBACK}?{query}"), ""), BadSignature::Wrong),
    ] {
        assert_eq!(refused(&signature), Some(WebhookError::Signature(why)), "{signature}");
    }
    let twice = [(SIGNATURE, right.as_bytes()), (SIGNATURE, right.as_bytes())];
    assert_eq!(ask(Some(&query), &[], &body).err(), Some(WebhookError::Signature(BadSignature::Missing)));
    assert_eq!(ask(Some(&query), &twice, &body).err(), Some(WebhookError::Signature(BadSignature::Doubled)));
    assert_eq!(
        get(&sms("http://127.0.0.1:9"), "MessageStatus=read").err(),
        Some(WebhookError::Method("POST"))
    );
}
