mod reports;
mod sending;

use std::time::Duration;

use super::*;
use crate::channel::Content;
use crate::channel::sinch::proof::tests::sign;
use crate::channel::testing::{basis, post};

pub const REFERENCE: &str = "msg_01m81zrq00fay80j6hb7h45br1";
pub const SECRET: &str = "the secret of the hooks";
/// The time used by [`post`].
const NOW: &str = "1795363200";

/// The channel of the fixtures.
pub fn conversation(base_url: &str, auth_url: &str, via: Via, timeout: Duration) -> Conversation {
    let settings = Settings {
        base_url: base_url.to_owned(),
        auth_url: auth_url.to_owned(),
        region: Region::Eu,
        project_id: "7c1f0d52-lampen".to_owned(),
        app_id: "01LAMPENAPP".to_owned(),
        key_id: "key-of-lampen".to_owned(),
        key_secret: "shining-secret".into(),
        via,
        sender: Some("Lampen".to_owned()),
        webhook_secrets: vec![SECRET.into(), "the secret of callbacks".into()],
    };
    Conversation::new(&basis("sinch", timeout), settings).unwrap()
}

pub fn submission(via: Via) -> Submission<'static> {
    Submission {
        reference: REFERENCE.parse().unwrap(),
        to: "+491713920011",
        code: "483920",
        content: match via {
            Via::Whatsapp => Content::Template { name: "login_code", language: "de" },
            Via::Sms | Via::Rcs => Content::Text("483920 ist Ihr Code."),
        },
        valid_for: Duration::from_secs(30),
    }
}

pub fn fixture(path: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/sinch_conversation/{path}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Delivers `body` signed with `secret`.
pub fn delivered(secret: &str, nonce: &str, body: &[u8]) -> Result<SignedDelivery, WebhookError> {
    let channel =
        conversation("http://127.0.0.1:9", "http://127.0.0.1:9", Via::Whatsapp, Duration::from_secs(1));
    let signature = sign(secret, body, nonce, NOW);
    let headers: [(&str, &[u8]); 3] = [
        ("x-sinch-webhook-signature", signature.as_bytes()),
        ("x-sinch-webhook-nonce", nonce.as_bytes()),
        ("x-sinch-webhook-timestamp", NOW.as_bytes()),
    ];
    match post(&channel, &headers, body)? {
        Incoming::Delivery(told) => Ok(told),
        Incoming::Challenge(reply) => panic!("{reply:?}"),
    }
}
