//! Shared by the targets: the channels of the fixtures, and the invariants of everything that a channel returns.

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::arbitrary::{Arbitrary, Unstructured};
use twotick::channel::exchange::Received;
use twotick::channel::http_sms::HttpSms;
use twotick::channel::meta::Meta;
use twotick::channel::signature::sign;
use twotick::channel::webhook::{Callback, Incoming, Method, Webhook, WebhookError};
use twotick::channel::{
    self, Basis, Channel, Content, Delivery, Inbound, Readable, Settings, Submission, Timeouts, http_sms,
    meta,
};
use twotick::verification::values::{
    Alias, ChannelName, DeliveryError, ErrorClass, Outcome, ProviderRef, Report, ReportStatus, Timestamp,
};

pub const SECRETS: [&str; 2] = ["the secret in use", "the secret before"];
pub const VERIFY_TOKEN: &str = "verify-me-please";
const TIMEOUT: Duration = Duration::from_secs(1);
/// The maximum length of a provider's text.
const TITLE_CHARS: usize = 200;
const LONGEST_WISH: Duration = Duration::from_secs(24 * 60 * 60);

pub fn whatsapp() -> Arc<Channel> {
    alone("whatsapp", Settings::Meta(of_meta()))
}

pub fn meta() -> Meta {
    Meta::new(&basis("whatsapp"), of_meta()).expect("these settings are right")
}

fn of_meta() -> meta::Settings {
    meta::Settings {
        graph_url: "http://127.0.0.1:9".to_owned(),
        graph_version: "v25.0".to_owned(),
        phone_number_id: "118822334455667".to_owned(),
        business_account_id: "220011334455778".to_owned(),
        access_token: "token-of-a-system-user".into(),
        app_secrets: SECRETS.map(Into::into).to_vec(),
        verify_token: VERIFY_TOKEN.into(),
    }
}

/// A carrier with a changed report format.
pub fn sms(change: impl FnOnce(&mut http_sms::ReportFormat)) -> Arc<Channel> {
    let mut settings = of_carrier("/id");
    change(&mut settings.reading);
    alone("sms", Settings::Http(settings))
}

pub fn carrier(id_pointer: &str) -> HttpSms {
    HttpSms::new(&basis("sms"), of_carrier(id_pointer)).expect("these settings are right")
}

fn of_carrier(id_pointer: &str) -> http_sms::Settings {
    http_sms::Settings {
        id_pointer: id_pointer.to_owned(),
        ..http_sms::Settings::documented(
            "http://127.0.0.1:9/send",
            "Acme",
            "token-of-the-carrier".into(),
            SECRETS[0].into(),
        )
    }
}

fn alone(name: &str, settings: Settings) -> Arc<Channel> {
    let channels = channel::all([(basis(name), settings)]).expect("these settings are right");
    channels.into_values().next().expect("there is one")
}

fn basis(name: &str) -> Basis {
    let name = ChannelName::new(name);
    let timeouts = Timeouts { connect: TIMEOUT, whole: TIMEOUT };
    Basis { callback: Callback::new("https://otp.example.com", &name), name, timeouts }
}

/// A `POST` with these values of the signature header.
pub fn post(channel: &Channel, name: &str, values: &[&[u8]], body: &[u8]) -> Result<Incoming, WebhookError> {
    let headers: Vec<_> = values.iter().map(|&value| (name, value)).collect();
    ask(channel, Method::Post, None, &headers, body)
}

/// A `GET` with this query.
pub fn get(channel: &Channel, query: &str) -> Result<Incoming, WebhookError> {
    ask(channel, Method::Get, Some(query), &[], b"")
}

fn ask(
    channel: &Channel,
    method: Method,
    query: Option<&str>,
    headers: &[(&str, &[u8])],
    body: &[u8],
) -> Result<Incoming, WebhookError> {
    let now = Timestamp::from_millis(1_795_363_200_000);
    channel.receive(&Webhook { method, callback: channel.callback(), path: None, query, headers, body, now })
}

/// Delivers `body` with a valid signature.
pub fn delivered(channel: &Channel, name: &str, body: &[u8]) -> Delivery {
    let header = sign(&SECRETS[0].into(), body);
    match post(channel, name, &[header.as_bytes()], body) {
        Ok(Incoming::Delivery(told)) if told.of_others.is_empty() => told.own,
        other => panic!("a right signature was not taken: {other:?}"),
    }
}

/// The sent data, which must not appear in results.
pub const NUMBER: &str = "+4915228817386";
pub const CODE: &str = "49ABcd";

pub fn submission() -> Submission<'static> {
    Submission {
        reference: "msg_01m81zrq00fay80j6hb7h45br1".parse().expect("it is an id of a message"),
        to: NUMBER,
        code: CODE,
        content: Content::Template { name: "login_code", language: "en_US" },
        valid_for: Duration::from_secs(30),
    }
}

/// A provider's response: two bytes of status, a byte that selects headers, the headers, and the body.
pub struct Reply {
    pub status: u16,
    pub received: Received,
}

impl Reply {
    pub fn read(data: &[u8]) -> Option<Self> {
        let mut rest = Unstructured::new(data);
        let status = 100 + u16::arbitrary(&mut rest).ok()? % 500;
        let shape = u8::arbitrary(&mut rest).ok()?;
        let data = rest.take_rest();
        let (wish, data) = if shape & 1 == 1 { line(data) } else { (&b""[..], data) };
        let (date, data) = if shape & 2 == 2 { line(data) } else { (&b""[..], data) };
        let headers: Vec<_> = [("retry-after", wish), ("date", date)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let body = (shape & 4 == 0).then(|| data.to_vec());
        Some(Self { status, received: Received::of(status, &headers, body)? })
    }
}

/// The first line and the rest.
fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}

pub fn check_outcome(outcome: &Outcome, reply_status: u16, has_body: bool) {
    match outcome {
        Outcome::Accepted { provider_ref } => {
            assert!((200..300).contains(&reply_status), "{reply_status} was taken for an acceptance");
            assert!(has_body || provider_ref.is_none(), "an id was read where nothing is");
            provider_ref.iter().for_each(check_ref);
        }
        Outcome::Held { provider_ref } => {
            assert!(
                (200..300).contains(&reply_status) && has_body,
                "{reply_status} was taken for an acceptance"
            );
            check_ref(provider_ref);
        }
        Outcome::Refused { error, retry_after } => {
            assert_ne!(error.class, ErrorClass::InDoubt);
            assert!(retry_after.is_none_or(|wish| wish <= LONGEST_WISH), "{retry_after:?}");
            check_refusal(error);
        }
        Outcome::InDoubt { error } => {
            assert_eq!(error.class, ErrorClass::InDoubt);
            check_refusal(error);
        }
    }
}

pub fn check_delivery(delivery: &Delivery, body: &[u8]) {
    for report in &delivery.reports {
        check_report(report);
    }
    for inbound in &delivery.inbound {
        check_inbound(inbound);
    }
    for alert in &delivery.alerts {
        // Some titles contain account limits, which are shorter than any phone number.
        check_line(&alert.title, 8);
        assert!(!alert.code.is_empty() && alert.code.chars().count() <= TITLE_CHARS);
        assert!(alert.subject.as_ref().is_none_or(|subject| subject.chars().count() <= 2 * TITLE_CHARS));
        assert!(alert.at.is_none_or(is_lawful));
    }
    let told = delivery.reports.len() + delivery.inbound.len() + delivery.alerts.len();
    let counted = delivery.ignored_items() + delivery.unknown.values().sum::<usize>();
    assert!(told + counted <= body.len(), "{told} and {counted} things were read from {} bytes", body.len());
    if matches!(delivery.readable, Readable::No(_)) {
        assert_eq!(told + delivery.ignored_items(), 0, "it is said to be unreadable, and something was read");
    }
}

/// The whole delivery as text, for comparison.
pub fn told(delivery: &Delivery) -> String {
    let inbound: Vec<_> = delivery
        .inbound
        .iter()
        .map(|one| {
            (&one.provider_ref, &one.from, &one.user_id, &one.profile_name, one.at, &one.kind, &one.text)
        })
        .collect();
    format!("{delivery:?} {inbound:?}")
}

fn check_report(report: &Report<Alias>) {
    assert!(report.provider_ref.is_some() || report.reference.is_some(), "it names no message");
    report.provider_ref.iter().for_each(check_ref);
    assert!(report.reported_at.is_none_or(is_lawful));
    match &report.status {
        ReportStatus::Sent | ReportStatus::Delivered | ReportStatus::Read => {}
        ReportStatus::Failed(error) => check_error(error),
        ReportStatus::Unknown(word) => {
            assert!(!word.is_empty() && word.chars().count() <= ReportStatus::MAX_WORD_CHARS, "{word:?}");
            check_line(word, 8);
        }
    }
}

fn check_inbound(inbound: &Inbound) {
    check_ref(&inbound.provider_ref);
    inbound.in_reply_to.iter().for_each(check_ref);
    assert!(inbound.at.is_none_or(is_lawful));
    let chars = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
    assert!(chars(&inbound.text) <= Inbound::MAX_TEXT_CHARS);
    assert!(chars(&inbound.profile_name) <= Inbound::MAX_NAME_CHARS);
    assert!(chars(&inbound.user_id) <= Inbound::MAX_NAME_CHARS);
    assert!(inbound.kind.chars().count() <= TITLE_CHARS);
    if let Some(from) = &inbound.from {
        let digits = from.strip_prefix('+').expect("a number begins with +");
        assert!(
            (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()),
            "{from}"
        );
    }
}

fn check_ref(provider_ref: &ProviderRef) {
    let text = provider_ref.as_str();
    assert!(ProviderRef::parse(text).as_ref() == Ok(provider_ref), "{text:?}");
}

fn check_error(error: &DeliveryError) {
    assert!(!error.code.is_empty() && error.code.chars().count() <= TITLE_CHARS, "{}", error.code);
    check_line(&error.title, 4);
}

/// A response may quote the request, so the sent data must not appear.
fn check_refusal(error: &DeliveryError) {
    check_error(error);
    for sent in [CODE, NUMBER, &NUMBER[1..]] {
        assert!(!error.title.contains(sent), "{:?} quotes {sent}", error.title);
    }
}

/// Providers' texts are short, on one line, and contain no long runs of digits.
fn check_line(words: &str, digits: usize) {
    assert!(words.chars().count() <= TITLE_CHARS, "{words:?}");
    assert!(!words.chars().any(char::is_control), "{words:?}");
    let longest = words.split(|letter: char| !letter.is_numeric()).map(|run| run.chars().count()).max();
    assert!(longest.unwrap_or(0) < digits, "{words:?} holds something like a number");
}

fn is_lawful(at: Timestamp) -> bool {
    (0..=Timestamp::MAX.as_millis()).contains(&at.as_millis())
}
