//! Large, truncated and malformed deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::webhooks::*;
use super::*;
use crate::channel::{Inbound, Readable};
use crate::verification::values::{ErrorClass, ReportStatus};

#[test]
fn a_thousand_statuses_in_one_delivery() {
    let status = |n: usize| {
        json!({"id": format!("wamid.{n:05}"), "status": "delivered", "timestamp": "1795363201",
               "recipient_id": "491713920011", "biz_opaque_callback_data": REFERENCE})
    };
    let statuses: Vec<Value> = (0..1000).map(status).collect();
    let body = envelope(&json!({"statuses": statuses}));
    let delivery = parse(body.as_bytes());
    let ids: BTreeSet<_> = delivery.reports.iter().filter_map(|report| report.provider_ref.clone()).collect();
    assert_eq!((delivery.reports.len(), ids.len(), delivery.unknown.len()), (1000, 1000, 0));
}

#[test]
fn three_megabytes_are_parsed_in_bounded_time() {
    let fill = |piece: &str| {
        let mut list = String::with_capacity(3 << 20);
        while list.len() + piece.len() < (3 << 20) - 300 {
            let _ = write!(list, "{}{piece}", if list.is_empty() { "" } else { "," });
        }
        format!("[{list}]")
    };
    let text = "x".repeat(3 << 20);
    let status = r#"{"id":"wamid.1","status":"read","timestamp":"1795363201"}"#;
    let message = r#"{"id":"wamid.1","from":"491713920011","type":"text","text":{"body":"hi"}}"#;
    for (field, list) in [
        ("statuses", fill(status)),
        ("statuses", fill("{}")),
        ("statuses", fill("0")),
        ("messages", fill(message)),
        ("messages", fill("[]")),
        ("contacts", fill(r#"{"wa_id":"1","user_id":"2"}"#)),
        ("errors", fill(r#"{"code":1}"#)),
        ("messages", format!(r#"[{{"id":"wamid.1","type":"text","text":{{"body":"{text}"}}}}]"#)),
        ("messages", format!(r#"[{{"id":"wamid.1","type":"{text}"}}]"#)),
        ("statuses", format!(r#"[{{"id":"{text}","status":"sent"}}]"#)),
    ] {
        let metadata = format!(r#""metadata":{{"phone_number_id":"{PHONE_NUMBER_ID}"}}"#);
        let body = format!(
            r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","changes":[{{"field":"messages","value":{{{metadata},"{field}":{list}}}}}]}}]}}"#
        );
        #[expect(clippy::disallowed_methods, reason = "real time is what is tested")]
        let start = std::time::Instant::now();
        let delivery = parse(body.as_bytes());
        // Generous for a debug build on a busy machine; a quadratic parser would take hours.
        assert!(start.elapsed().as_secs() < 120, "{field}: {:?}", start.elapsed());
        for message in &delivery.inbound {
            assert!(message.text.as_ref().is_none_or(|text| text.chars().count() <= Inbound::MAX_TEXT_CHARS));
            assert!(message.kind.len() <= 600);
        }
    }
}

#[test]
fn half_an_emoji_does_not_fail_the_message() {
    let body = r#"{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{
        "metadata":{"phone_number_id":"118822334455667"},
        "contacts":[{"wa_id":"491713920011","profile":{"name":"A\ud83d"}}],
        "messages":[{"id":"wamid.1","from":"491713920011","type":"text","text":{"body":"no code \ud83d"}}]}}]}]}"#;
    let delivery = parse(body.as_bytes());
    let text = delivery.inbound[0].text.as_deref().unwrap();
    assert!(text.starts_with("no code ") && text.contains('\u{fffd}'), "{text:?}");
    assert!(delivery.inbound[0].profile_name.as_deref().unwrap().starts_with('A'));
}

#[test]
fn debug_shows_no_message_text() {
    let shown = format!("{:?}", parsed("message_text"));
    for private in ["keinen Code", "491713920011", "70155829034417", "Amélie"] {
        assert!(!shown.contains(private), "{shown}");
    }
}

/// Fixtures truncated anywhere, or with any value replaced by another, never crash the parser, and the result stays
/// within its bounds.
#[test]
fn hostile_corpus() {
    let folder = format!("{}/fixtures/meta/webhooks", env!("CARGO_MANIFEST_DIR"));
    let mut kinds = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let whole: Value = serde_json::from_str(&text).unwrap();
        let compact = whole.to_string();
        for end in 0..compact.len() {
            let delivery = parse(&compact.as_bytes()[..end]);
            assert!(matches!(delivery.readable, Readable::No(_)), "cut at {end}: {compact}");
        }
        for pointer in pointers(&whole) {
            for strange in strange_values() {
                let mut changed = whole.clone();
                *changed.pointer_mut(&pointer).unwrap() = strange;
                let delivery = parse(changed.to_string().as_bytes());
                *kinds.entry(format!("{:?}", delivery.readable)).or_insert(0) += 1;
                assert!(delivery.alerts.iter().all(|alert| alert.title.chars().count() <= 200), "{pointer}");
            }
        }
    }
    assert!(kinds.values().sum::<i32>() > 10_000 && kinds.len() > 1, "{kinds:?}");
}

/// A field of an unexpected type fails at most its own item.
#[test]
fn a_malformed_field_does_not_affect_the_other_status() {
    let whole: Value =
        serde_json::from_slice(&fixture("webhooks/status_delivered_and_failed_for_one_id.json")).unwrap();
    let first = "/entry/0/changes/0/value/statuses/0";
    let pointers = pointers(&whole);
    let inside: Vec<_> = pointers.iter().filter(|pointer| pointer.starts_with(first)).collect();
    assert!(inside.len() >= 7, "{inside:?}");
    for pointer in inside {
        for strange in strange_values() {
            let mut changed = whole.clone();
            *changed.pointer_mut(pointer).unwrap() = strange.clone();
            let delivery = parse(changed.to_string().as_bytes());
            let failed = delivery.reports.iter().filter(|report| {
                matches!(&report.status,
                ReportStatus::Failed(error) if error.class == ErrorClass::Retry)
            });
            assert_eq!(failed.count(), 1, "{pointer} = {strange}");
        }
    }
}

fn pointers(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut add = |name: &str, inner: &Value| {
        let inner = pointers(inner).into_iter();
        found.extend(inner.map(|rest| format!("/{}{rest}", name.replace('~', "~0").replace('/', "~1"))));
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| add(name, inner)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, inner)| add(&n.to_string(), inner)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found
}

fn strange_values() -> Vec<Value> {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("\u{0}\u{202e}é\n"),
        json!("9".repeat(1000)),
        json!([]),
        json!([null, 1, "x", {}]),
        json!({}),
        json!({"": {"code": "x"}}),
        deep,
    ]
}
