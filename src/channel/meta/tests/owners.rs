//! Several channels of this kind, with deliveries to each of their URLs.

use serde_json::{Value, json};

use super::*;
use crate::channel::{IgnoreReason, Ignored};

/// Name, phone number id, account, secrets: two of one app and one account, one of the same app, one of another app.
const CHANNELS: [(&str, &str, &str, &[&str]); 4] = [
    ("first", "11", "1", &["the app's secret", "the secret before"]),
    ("second", "12", "1", &["the secret before", "the app's secret"]),
    ("third", "33", "3", &["the app's secret"]),
    ("alien", "44", "4", &["another app's secret"]),
];
const APP: &str = "the app's secret";
const BEFORE: &str = "the secret before";
const ALIEN: &str = "another app's secret";

fn channels() -> Vec<Meta> {
    let mut channels: Vec<_> = CHANNELS
        .iter()
        .map(|(name, number, account, secrets)| {
            let settings = Settings {
                phone_number_id: (*number).to_owned(),
                business_account_id: (*account).to_owned(),
                app_secrets: secrets.iter().map(|&secret| secret.into()).collect(),
                ..settings("http://127.0.0.1:9")
            };
            Meta::new(&basis(name, Duration::from_secs(1)), settings).unwrap()
        })
        .collect();
    link_channels(channels.iter_mut());
    channels
}

fn entry(account: &str, field: &str, value: Value) -> Value {
    let mut entry = json!({ "id": account, "changes": [{ "field": field, "value": value }] });
    if account.is_empty() {
        entry.as_object_mut().unwrap().remove("id");
    }
    entry
}

fn statuses(account: &str, number: &str) -> Value {
    let status = json!({ "id": format!("wamid.{number}"), "status": "delivered", "timestamp": "1795363201" });
    let metadata = if number.is_empty() { json!({}) } else { json!({ "phone_number_id": number }) };
    entry(account, "messages", json!({ "metadata": metadata, "statuses": [status] }))
}

fn text(account: &str, number: &str) -> Value {
    let message =
        json!({ "id": "wamid.in", "from": "491713920011", "type": "text", "text": { "body": "hi" } });
    let metadata = json!({ "phone_number_id": number });
    entry(account, "messages", json!({ "metadata": metadata, "messages": [message] }))
}

fn alert(account: &str, field: &str) -> Value {
    entry(account, field, json!({ "event": "PAUSED", "message_template_name": "login_code" }))
}

fn body(entries: &[Value]) -> Vec<u8> {
    json!({ "object": "whatsapp_business_account", "entry": entries }).to_string().into_bytes()
}

/// The number of updates for each channel: `first 1`.
fn shares(at: &Meta, told: &SignedDelivery) -> Vec<String> {
    let own = (&at.me.name, &told.own);
    let all = [own].into_iter().chain(told.of_others.iter().map(|(name, delivery)| (name, delivery)));
    let share = all.map(|(name, delivery)| {
        (name, delivery.reports.len() + delivery.inbound.len() + delivery.alerts.len())
    });
    share.filter(|(_, items)| *items > 0).map(|(name, items)| format!("{name} {items}")).collect()
}

#[test]
fn updates_go_to_the_channel_of_their_number_or_account() {
    let channels = channels();
    for (what, entries, secret, expected) in [
        ("one's own", vec![statuses("1", "11")], APP, "first 1"),
        ("of the other number", vec![statuses("1", "12")], APP, "second 1"),
        ("of another account", vec![statuses("3", "33")], APP, "third 1"),
        ("by the secret before", vec![statuses("1", "12")], BEFORE, "second 1"),
        ("an inbound message", vec![text("1", "12")], APP, "second 1"),
        ("without number, by account", vec![statuses("3", "")], APP, "third 1"),
        ("a template of another account", vec![alert("3", "message_template_status_update")], APP, "third 1"),
        ("another account's state", vec![alert("3", "account_update")], APP, "third 1"),
        ("of another app", vec![statuses("4", "44")], ALIEN, "alien 1"),
        (
            "all at once",
            vec![statuses("1", "12"), statuses("1", "11"), text("3", "33"), alert("3", "account_update")],
            APP,
            "first 1, second 1, third 2",
        ),
    ] {
        for at in &channels {
            let told = delivered(at, secret, &body(&entries)).unwrap();
            let mut shares = shares(at, &told);
            shares.sort();
            assert_eq!(shares.join(", "), expected, "{what} at {}", at.me.name);
            assert!(told.own.ignored.is_empty(), "{what} at {}: {:?}", at.me.name, told.own.ignored);
        }
    }
}

#[test]
fn unaddressed_updates_go_to_the_called_channel_or_to_one_that_signed() {
    let channels = channels();
    for (place, secret, expected) in [
        (0, APP, "first 1"),
        (1, APP, "second 1"),
        (2, APP, "third 1"),
        (3, APP, "first 1"),
        (0, ALIEN, "alien 1"),
    ] {
        let at = &channels[place];
        for entries in [vec![statuses("", "")], vec![alert("999", "account_alerts")]] {
            let told = delivered(at, secret, &body(&entries)).unwrap();
            assert_eq!(shares(at, &told), [expected], "{entries:?} at {}", at.me.name);
        }
    }
}

#[test]
fn updates_without_an_owner_are_ignored_with_id_and_reason() {
    let channels = channels();
    let ignored = |id: &str, reason, items| Ignored { id: Some(id.to_owned()), reason, items };
    for (what, entries, secret, expected) in [
        (
            "no channel has the number",
            vec![statuses("1", "99")],
            APP,
            ignored("99", IgnoreReason::Unknown, 1),
        ),
        (
            "no channel has the account",
            vec![alert("9", "account_update")],
            APP,
            ignored("9", IgnoreReason::Unknown, 1),
        ),
        (
            "twice",
            vec![statuses("1", "99"), statuses("3", "99")],
            APP,
            ignored("99", IgnoreReason::Unknown, 2),
        ),
        (
            "another app speaks of the first channel",
            vec![statuses("1", "11")],
            ALIEN,
            ignored("11", IgnoreReason::NotSigned, 1),
        ),
        (
            "this app speaks of the other app's channel",
            vec![statuses("4", "44")],
            APP,
            ignored("44", IgnoreReason::NotSigned, 1),
        ),
        ("an old secret", vec![text("3", "33")], BEFORE, ignored("33", IgnoreReason::NotSigned, 1)),
    ] {
        for at in &channels {
            let told = delivered(at, secret, &body(&entries)).unwrap();
            assert_eq!(shares(at, &told), [""; 0], "{what} at {}", at.me.name);
            assert_eq!(told.own.ignored, std::slice::from_ref(&expected), "{what} at {}", at.me.name);
        }
    }
}

#[test]
fn an_unknown_secret_is_refused_everywhere() {
    for at in &channels() {
        let refused = delivered(at, "a stranger's secret", &body(&[statuses("1", "11")])).err();
        assert_eq!(refused, Some(WebhookError::Signature(BadSignature::Wrong)), "{}", at.me.name);
    }
}

/// A malformed id may be a person's number, and a delivery may name thousands.
#[test]
fn the_list_of_ignored_updates_is_bounded_and_contains_only_ids() {
    let channels = channels();
    let strangers: Vec<_> = (0..1_000).map(|number| statuses("1", &format!("99{number}"))).collect();
    let told = delivered(&channels[0], APP, &body(&strangers)).unwrap();
    assert_eq!((told.own.ignored.len(), told.own.ignored_items()), (8, 1_000));
    let told = delivered(&channels[0], APP, &body(&[statuses("1", "+49 171 3920011")])).unwrap();
    assert_eq!(told.own.ignored, [Ignored { id: None, reason: IgnoreReason::Unknown, items: 1 }]);
}
