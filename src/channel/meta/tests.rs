mod alerts;
mod hostile;
mod owners;
mod sending;
mod webhooks;

use std::time::Duration;

use super::*;
use crate::channel::signature::{BadSignature, sign};
use crate::channel::testing::{basis, get, post};
use crate::channel::webhook::SignedDelivery;

pub const PHONE_NUMBER_ID: &str = "118822334455667";
pub const BUSINESS_ACCOUNT_ID: &str = "220011334455778";
pub const REFERENCE: &str = "msg_01m81zrq00fay80j6hb7h45br1";

/// The channel of the fixtures, sending to `graph_url`.
pub fn meta(graph_url: &str, timeout: Duration) -> Meta {
    Meta::new(&basis("whatsapp", timeout), settings(graph_url)).unwrap()
}

fn settings(graph_url: &str) -> Settings {
    Settings {
        graph_url: graph_url.to_owned(),
        graph_version: "v25.0".to_owned(),
        phone_number_id: PHONE_NUMBER_ID.to_owned(),
        business_account_id: BUSINESS_ACCOUNT_ID.to_owned(),
        access_token: "token-of-a-system-user".into(),
        app_secrets: vec!["the secret in use".into(), "the secret before".into()],
        verify_token: "verify-me-please".into(),
    }
}

/// Delivers `body` signed with `secret`.
pub fn delivered(meta: &Meta, secret: &str, body: &[u8]) -> Result<SignedDelivery, WebhookError> {
    let header = sign(&secret.into(), body);
    match post(meta, &[(SIGNATURE, header.as_bytes())], body)? {
        Incoming::Delivery(told) => Ok(told),
        Incoming::Challenge(reply) => panic!("{reply:?}"),
    }
}

pub fn fixture(path: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/meta/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn either_secret_may_sign_and_no_other() {
    let meta = meta("http://127.0.0.1:9", Duration::from_secs(1));
    let body = fixture("webhooks/status_sent.json");
    for (secret, refused) in [
        ("the secret in use", None),
        ("the secret before", None),
        ("a secret of long ago", Some(BadSignature::Wrong)),
    ] {
        let verdict = delivered(&meta, secret, &body).err();
        assert_eq!(verdict, refused.map(WebhookError::Signature), "{secret}");
    }
    let right = sign(&"the secret in use".into(), &body);
    let right = right.as_bytes();
    for (headers, refused) in [
        (&[][..], BadSignature::Missing),
        (&[("x-signature-256", right)], BadSignature::Missing),
        (&[(SIGNATURE, right), (SIGNATURE, right)], BadSignature::Doubled),
        (&[(SIGNATURE, b"sha256=")], BadSignature::Malformed),
    ] {
        assert_eq!(post(&meta, headers, &body).err(), Some(WebhookError::Signature(refused)), "{headers:?}");
    }
}

#[test]
fn a_challenge_needs_our_verify_token() {
    let meta = meta("http://127.0.0.1:9", Duration::from_secs(1));
    let long = "1".repeat(513);
    for (mode, token, challenge, answer) in [
        ("subscribe", "verify-me-please", "1158201444", Some("1158201444")),
        ("subscribe", "verify-me-pleasf", "1158201444", None),
        ("subscribe", "verify-me-please%20", "1158201444", None),
        ("subscribe", "", "1158201444", None),
        ("unsubscribe", "verify-me-please", "1158201444", None),
        ("", "verify-me-please", "1158201444", None),
        ("subscribe", "verify-me-please", "", None),
        ("subscribe", "verify-me-please", "two+words", None),
        ("subscribe", "verify-me-please", "%C3%A9", None),
        ("subscribe", "verify-me-please", &long, None),
    ] {
        let query = format!("hub.mode={mode}&hub.verify_token={token}&hub.challenge={challenge}");
        match (get(&meta, &query), answer) {
            (Ok(Incoming::Challenge(reply)), Some(answer)) => {
                assert_eq!(reply, Reply::text(answer.to_owned()))
            }
            (Err(WebhookError::Challenge), None) => {}
            (heard, _) => panic!("{query}: {heard:?}"),
        }
    }
    assert_eq!(get(&meta, "").err(), Some(WebhookError::Challenge));
}

#[test]
fn unsafe_settings_are_refused() {
    let settings = |app_secrets: &[&str], verify_token: &str, graph_url: &str, token: &str| Settings {
        access_token: token.into(),
        app_secrets: app_secrets.iter().map(|&secret| secret.into()).collect(),
        verify_token: verify_token.into(),
        ..settings(graph_url)
    };
    for (settings, named) in [
        (settings(&[], "verify-me", "http://x", "t"), "app_secrets"),
        (settings(&["good secret", ""], "verify-me", "http://x", "t"), "app_secrets"),
        (settings(&["good secret"], "", "http://x", "t"), "verify_token"),
        (settings(&["good secret"], "verify-me", "ftp://x", "t"), "graph_url"),
        (settings(&["good secret"], "verify-me", "graph.facebook.com", "t"), "graph_url"),
        (settings(&["good secret"], "verify-me", "http://x", "hush\nhush"), "access_token"),
    ] {
        let meta = Meta::new(&basis("whatsapp", Duration::from_secs(1)), settings);
        let error = meta.err().expect("refused").to_string();
        assert!(error.contains(named) && !error.contains("hush"), "{error}");
    }
}
