//! Prepared requests.

use serde_json::Value;
use twotick::channel::signature;
use twotick::clock::Clock;
use twotick::verification::values::{MessageId, Ordinal, Timestamp, VerificationId};

use crate::providers::wamid;
use crate::server::{APP_KEY, APP_SECRET, BUSINESS_ACCOUNT_ID, PHONE_NUMBER_ID};

/// Creates a verification of the `index`-th number under a profile.
pub fn create(index: usize, profile: &str) -> Vec<u8> {
    let body = format!(r#"{{"to":"+49151{index:08}","profile":"{profile}","locale":"en"}}"#);
    let head = format!(
        "POST /v1/verifications HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {APP_KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// Checks a code.
pub fn check(verification: VerificationId, code: &str) -> Vec<u8> {
    let body = format!(r#"{{"code":"{code}"}}"#);
    let head = format!(
        "POST /v1/verifications/{verification}/check HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {APP_KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// Polls for a newer version of a verification, for up to `wait` seconds.
pub fn poll(verification: VerificationId, version: &str, wait: usize) -> Vec<u8> {
    format!(
        "GET /v1/verifications/{verification}?wait={wait} HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {APP_KEY}\r\nIf-None-Match: {version}\r\n\r\n"
    )
    .into_bytes()
}

/// The response to a create.
pub struct Created {
    pub message: MessageId,
    /// The time of the fallback.
    pub fallback_at: Option<Timestamp>,
}

impl Created {
    pub fn read(body: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(body).ok()?;
        let id: VerificationId = json.get("id")?.as_str()?.parse().ok()?;
        let fallback_at = json.pointer("/delivery/fallback_at")?.as_str().and_then(|at| at.parse().ok());
        Some(Self { message: id.message(Ordinal::FIRST), fallback_at })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Sent,
    Delivered,
    Read,
}

impl Status {
    /// In the order in which a message goes through them.
    pub const ALL: [Self; 3] = [Self::Sent, Self::Delivered, Self::Read];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

/// A signed webhook with these statuses, in Meta's format (Meta, status messages webhook reference, May 2026).
pub fn webhook(channel: &str, statuses: &[(MessageId, Status)]) -> Vec<u8> {
    let seconds = Clock::System.now().as_millis() / 1_000;
    let statuses: Vec<_> = statuses.iter().map(|&(message, status)| told(message, status, seconds)).collect();
    let body = format!(
        concat!(
            r#"{{"object":"whatsapp_business_account","entry":[{{"id":"{}","changes":[{{"value":{{"#,
            r#""messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550783881","#,
            r#""phone_number_id":"{}"}},"statuses":[{}]}},"field":"messages"}}]}}]}}"#
        ),
        BUSINESS_ACCOUNT_ID,
        PHONE_NUMBER_ID,
        statuses.join(","),
    );
    let head = format!(
        "POST /webhooks/{channel} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: facebookexternalua\r\n\
         Accept: */*\r\nContent-Type: application/json\r\nX-Hub-Signature-256: {}\r\nContent-Length: {}\r\n\r\n",
        signature::sign(&APP_SECRET.into(), body.as_bytes()),
        body.len()
    );
    (head + &body).into_bytes()
}

fn told(message: MessageId, status: Status, seconds: i64) -> String {
    format!(
        concat!(
            r#"{{"id":"{}","status":"{}","timestamp":"{}","#,
            r#""recipient_id":"4915112345678","biz_opaque_callback_data":"{}","conversation":{{"#,
            r#""id":"72dc1a4f29c548e7bd41c3a14a7d90b2","expiration_timestamp":"{}","#,
            r#""origin":{{"type":"authentication"}}}},"pricing":{{"billable":true,"pricing_model":"PMP","#,
            r#""type":"regular","category":"authentication"}}}}"#
        ),
        wamid(message),
        status.as_str(),
        seconds,
        message,
        seconds + 86_400,
    )
}
