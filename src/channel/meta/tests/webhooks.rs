use std::sync::LazyLock;

use serde_json::{Value, json};

use super::*;
use crate::channel::{Delivery, Inbound, Intent, Readable, Unknown};
use crate::verification::values::{Alias, DeliveryError, Report, ReportStatus, Timestamp};

const OTP: &str = "wamid.T25lVGltZUNvZGUtMDAwMQ==";

pub fn parse(body: &[u8]) -> Delivery {
    // Created once: a channel creates an HTTP client, and the corpora are large.
    static META: LazyLock<Meta> = LazyLock::new(|| meta("http://127.0.0.1:9", Duration::from_secs(1)));
    delivered(&META, "the secret in use", body).unwrap().own
}

pub fn parsed(name: &str) -> Delivery {
    parse(&fixture(&format!("webhooks/{name}.json")))
}

pub fn seconds(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp::from_millis(seconds * 1000))
}

/// A status, its time, and whether it carries Meta's id and ours.
fn described(report: &Report<Alias>) -> String {
    let status = match &report.status {
        ReportStatus::Sent => "sent".to_owned(),
        ReportStatus::Delivered => "delivered".to_owned(),
        ReportStatus::Read => "read".to_owned(),
        ReportStatus::Failed(DeliveryError { code, title, class }) => {
            format!("failed {class:?} {code} {title}")
        }
        ReportStatus::Unknown(word) => format!("unknown {word}"),
    };
    let at = report.reported_at.map_or("-".to_owned(), |at| (at.as_millis() / 1000).to_string());
    let id = report.provider_ref.as_ref().map_or("-", |id| id.as_str());
    let id = if id == OTP { "otp" } else { id };
    let ours = report
        .reference
        .map_or("", |reference| if reference.to_string() == REFERENCE { " ours" } else { " ?" });
    format!("{id}{ours} {at} {status}")
}

fn reports(delivery: &Delivery) -> Vec<String> {
    delivery.reports.iter().map(described).collect()
}

pub fn unknown(delivery: &Delivery) -> Vec<(Unknown, usize)> {
    delivery.unknown.iter().map(|(&unknown, &count)| (unknown, count)).collect()
}

#[test]
fn every_documented_status() {
    for (name, expected) in [
        ("status_sent", vec!["otp ours 1795363201 sent"]),
        ("status_delivered_username", vec!["otp ours 1795363203 delivered"]),
        ("status_delivered_without_phone", vec!["otp ours 1795363203 delivered"]),
        ("status_delivered_international", vec!["otp ours 1795363201 delivered"]),
        ("status_sent_before_v24", vec!["otp 1795363201 sent"]),
        ("status_read_alone", vec!["otp ours 1795363260 read"]),
        ("status_played", vec!["otp ours 1795363261 read"]),
        (
            "status_failed_131026",
            vec![
                "otp ours 1795363209 failed Recipient 131026 Message undeliverable: Message Undeliverable to +….",
            ],
        ),
        (
            "status_failed_137000",
            vec![
                "otp ours 1795363201 failed Recipient 137000 Identity key changed: The hash of the request is not \
                 the current one of this account.",
            ],
        ),
        (
            "status_failed_without_reason",
            vec!["otp ours 1795363201 failed Fallback no_reason Meta gave no reason"],
        ),
        (
            "status_delivered_and_failed_for_one_id",
            vec![
                "otp ours 1795363203 delivered",
                "otp ours 1795363204 failed Retry 131000 Something went wrong: One of the devices could not be reached.",
            ],
        ),
        ("status_of_a_group", vec!["otp ours 1795363201 delivered"]),
        (
            "batch_of_entries",
            vec![
                "wamid.QmF0Y2gtMQ== 1795363201 sent",
                "wamid.QmF0Y2gtMQ== 1795363201 delivered",
                "wamid.QmF0Y2gtMg== 1795363201 sent",
                "wamid.QmF0Y2gtMw== 1795363201 read",
            ],
        ),
        ("numbers_and_strings", vec!["wamid.TnVtYmVycw== 1795363203 delivered", "4711 - sent"]),
    ] {
        let delivery = parsed(name);
        assert_eq!(reports(&delivery), expected, "{name}");
        assert_eq!((delivery.readable, delivery.ignored_items()), (Readable::Yes, 0), "{name}");
        assert!(
            delivery.unknown.is_empty() && delivery.inbound.is_empty() && delivery.alerts.is_empty(),
            "{name}"
        );
    }
}

#[test]
fn unknown_items_are_counted_and_the_rest_is_parsed() {
    let delivery = parsed("status_unknown");
    assert_eq!(
        reports(&delivery),
        [
            "otp ours 1795363201 unknown warning",
            "otp ours 1795363201 failed Fallback no_reason Meta reported deleted and gave no reason",
            "otp ours 1795363201 unknown teleported",
            "otp ours 1795363201 delivered"
        ]
    );
    assert_eq!(unknown(&delivery), [(Unknown::Status, 2)]);

    let delivery = parsed("unknown_field");
    assert_eq!(reports(&delivery), ["otp ours 1795363201 sent"]);
    assert_eq!(unknown(&delivery), [(Unknown::Field, 1)]);

    let delivery = parsed("message_unknown_type");
    assert_eq!((delivery.inbound.len(), delivery.inbound[0].kind.as_str()), (1, "hologram"));
    assert_eq!(unknown(&delivery), [(Unknown::MessageType, 1)]);
}

#[test]
fn a_bad_item_only_affects_itself() {
    let delivery = parsed("one_bad_item");
    assert_eq!(reports(&delivery), ["wamid.R29vZC0x 1795363201 sent", "wamid.R29vZC0y 1795363201 delivered"]);
    assert_eq!(delivery.inbound[0].text.as_deref(), Some("still here"));
    assert_eq!(delivery.inbound[0].at, seconds(1_795_363_300));
    // Two statuses, an invalid change, one without a value, an invalid list, an entry, a list of changes.
    assert_eq!(unknown(&delivery), [(Unknown::Item, 7)]);
    assert_eq!(delivery.readable, Readable::Yes);
}

#[test]
fn irrelevant_fields_are_ignored() {
    let delivery = parsed("foreign_phone_number");
    assert_eq!(reports(&delivery), ["otp ours 1795363201 sent"]);
    assert_eq!(delivery.ignored_items(), 2);
    let delivery = parsed("foreign_account");
    assert_eq!((delivery.ignored_items(), delivery.alerts.len()), (1, 0));
}

#[test]
fn ignored_fields_are_neither_unknown_nor_alerts() {
    let delivery = parsed("left_alone");
    assert!(delivery.unknown.is_empty() && delivery.alerts.is_empty() && delivery.ignored.is_empty());
    assert_eq!(delivery.readable, Readable::Yes);
}

#[test]
fn every_documented_type_of_message() {
    for (name, kind, text, about) in [
        ("message_text", "text", Some("Ich habe keinen Code bekommen 🤷"), Some(OTP)),
        ("message_text_from_ad", "text", Some("Is the lamp still available?"), None),
        ("message_text_about_product", "text", Some("In blue?"), Some("wamid.UHJvZHVjdA==")),
        ("message_text_forwarded", "text", Some("look"), None),
        ("message_text_group", "text", Some("for all"), None),
        ("message_button", "button", Some("Send again"), Some(OTP)),
        ("message_button_reply", "interactive", Some("Yes"), Some(OTP)),
        ("message_list_reply", "interactive", Some("Morning"), Some(OTP)),
        ("message_flow_reply", "interactive", Some("Sent"), Some(OTP)),
        ("message_call_permission_reply", "interactive", Some("call_permission_reply: accept"), Some(OTP)),
        ("message_reaction", "reaction", Some("👍"), Some(OTP)),
        ("message_reaction_removed", "reaction", None, Some(OTP)),
        ("message_image", "image", Some("Das steht da"), None),
        ("message_video", "video", None, None),
        ("message_document", "document", Some("rechnung.pdf"), None),
        ("message_audio", "audio", None, None),
        ("message_sticker", "sticker", None, None),
        ("message_location", "location", Some("Brandenburger Tor"), None),
        ("message_contacts", "contacts", Some("Jo"), None),
        ("message_order", "order", Some("bitte schnell"), None),
        ("message_unsupported", "unsupported", None, None),
        ("message_edit", "edit", Some("corrected"), Some("wamid.T3JpZ2luYWw=")),
        ("message_revoke", "revoke", None, Some("wamid.T3JpZ2luYWw=")),
        ("message_request_welcome", "request_welcome", None, None),
    ] {
        let delivery = parsed(name);
        assert!(delivery.unknown.is_empty(), "{name}: {:?}", delivery.unknown);
        let [message] = &delivery.inbound[..] else { panic!("{name}: {:?}", delivery.inbound) };
        assert_eq!((message.kind.as_str(), message.text.as_deref()), (kind, text), "{name}");
        assert_eq!(message.in_reply_to.as_ref().map(|id| id.as_str()), about, "{name}");
        assert_eq!(message.from.as_deref(), Some("+491713920011"), "{name}");
        assert_eq!(message.user_id.as_deref(), Some("DE.70155829034417"), "{name}");
        assert_eq!(message.profile_name.as_deref(), Some("Amélie Brückner"), "{name}");
        assert_eq!((message.at, message.intent), (seconds(1_795_363_400), Intent::Reply), "{name}");
        assert_eq!(message.provider_ref.as_str(), "wamid.SW5ib3VuZC0x", "{name}");
    }
}

#[test]
fn shared_contacts_orders_and_edits_have_texts() {
    let contact = |name: serde_json::Value| json!({ "name": name, "phones": [{ "phone": "+49 30 1234" }] });
    let many: Vec<_> = (0..12).map(|n| contact(json!({ "formatted_name": format!("P{n}") }))).collect();
    for (kind, body, text) in [
        (
            "contacts",
            json!([contact(json!({ "formatted_name": "Jo" })), contact(json!({ "formatted_name": "Li" }))]),
            "Jo, Li",
        ),
        ("contacts", json!([contact(json!({ "first_name": "Jo", "last_name": "Li" }))]), "Jo Li"),
        ("contacts", json!([{ "org": { "company": "Acme" } }, contact(json!({}))]), "Acme, +49 30 1234"),
        ("contacts", json!(many), "P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, …"),
        ("location", json!({ "latitude": 52.516_272, "longitude": 13.377_722 }), "52.516272, 13.377722"),
        ("location", json!({ "latitude": "-33.8", "longitude": 151, "name": " " }), "-33.8, 151"),
        (
            "location",
            json!({ "latitude": 1.5, "longitude": 2.5, "address": "Pariser Platz" }),
            "Pariser Platz",
        ),
        (
            "order",
            json!({ "text": "", "product_items": [{ "product_retailer_id": "lamp-7", "quantity": 2 }, { "product_retailer_id": 8 }] }),
            "2 × lamp-7, 1 × 8",
        ),
        (
            "interactive",
            json!({ "type": "call_permission_reply", "call_permission_reply": { "response": "reject" } }),
            "call_permission_reply: reject",
        ),
        ("interactive", json!({ "type": "new_reply", "new_reply": { "title": "Later" } }), "Later"),
        (
            "edit",
            json!({ "original_message_id": "wamid.1", "message": { "type": "image", "image": { "caption": "new caption" } } }),
            "new caption",
        ),
        (
            "edit",
            json!({ "original_message_id": "wamid.1", "message": { "type": "text", "text": { "body": "new text" } } }),
            "new text",
        ),
        (
            "edit",
            json!({ "original_message_id": "wamid.1", "message": { "text": { "body": "without a type" } } }),
            "without a type",
        ),
        ("audio", json!({ "caption": "listen" }), "listen"),
    ] {
        let mut message =
            json!({ "id": "wamid.2", "from": "491713920011", "timestamp": "1795363400", "type": kind });
        message[kind] = body;
        let delivery = parse(envelope(&json!({ "messages": [message] })).as_bytes());
        assert_eq!(delivery.inbound[0].text.as_deref(), Some(text), "{message}");
    }
    for (kind, body) in [
        ("contacts", json!({})),
        ("contacts", json!([1, {}])),
        ("location", json!({ "latitude": "north" })),
        ("order", json!({ "product_items": 5 })),
        ("edit", json!({ "message": { "type": "edit", "edit": { "message": { "type": "edit" } } } })),
    ] {
        let mut message =
            json!({ "id": "wamid.2", "from": "491713920011", "timestamp": "1795363400", "type": kind });
        message[kind] = body;
        let delivery = parse(envelope(&json!({ "messages": [message] })).as_bytes());
        assert_eq!(delivery.inbound[0].text, None, "{message}");
    }
}

#[test]
fn system_messages_come_without_contacts() {
    for kind in ["user_changed_number", "user_changed_user_id", "customer_identity_changed"] {
        let delivery = parsed(&format!("message_system_{kind}"));
        assert!(delivery.unknown.is_empty(), "{kind}");
        assert_eq!(
            (delivery.inbound[0].kind.as_str(), &delivery.inbound[0].profile_name),
            ("system", &None),
            "{kind}"
        );
    }
}

#[test]
fn a_person_without_a_phone_number_is_identified() {
    for (name, profile_name) in
        [("message_text_username_no_phone", Some("Noor")), ("message_text_user_id_in_from", None)]
    {
        let delivery = parsed(name);
        let message = &delivery.inbound[0];
        assert_eq!((&message.from, message.user_id.as_deref()), (&None, Some("NL.99120034")), "{name}");
        assert_eq!(message.profile_name.as_deref(), profile_name, "{name}");
    }
}

/// Checks both parsers: an oddity makes the delivery be parsed piece by piece.
#[test]
fn a_status_contains_metas_ids_of_the_recipient() {
    let (mexico, user) = (Alias::number("5215512340123"), Alias::user("MX.1"));
    for (recipient, aliases) in [
        (json!({"recipient_id": "5215512340123"}), vec![&mexico]),
        (json!({"recipient_id": "5215512340123", "recipient_user_id": "MX.1"}), vec![&mexico, &user]),
        (json!({"recipient_user_id": "MX.1"}), vec![&user]),
        (json!({"recipient_id": "120363041234567890-group"}), vec![]),
        (json!({"recipient_id": "123456"}), vec![]),
        (json!({"recipient_id": {}, "recipient_user_id": null}), vec![]),
        (json!({"recipient_user_id": "x".repeat(100_000)}), vec![]),
    ] {
        for (status, odd) in [("sent", None), ("failed", None), ("read", Some("odd"))] {
            let mut item = json!({"id": "wamid.1", "status": status, "timestamp": "1795363201"});
            item.as_object_mut().unwrap().extend(recipient.as_object().unwrap().clone());
            let body = envelope(&json!({"statuses": [item], "contacts": odd}));
            let told = parse(body.as_bytes()).reports.remove(0).aliases;
            assert_eq!(
                told.iter().collect::<Vec<_>>(),
                aliases.iter().flat_map(|alias| alias.as_ref()).collect::<Vec<_>>(),
                "{recipient}"
            );
        }
    }
}

#[test]
fn a_long_text_is_truncated_with_a_mark() {
    for letter in ["a", "字", "👋🏽"] {
        let text = letter.repeat(Inbound::MAX_TEXT_CHARS);
        let value = json!({"messages": [{"id": "wamid.1", "from": "4915228817386", "type": "text",
            "text": {"body": text}}]});
        let kept = parse(envelope(&value).as_bytes()).inbound.remove(0).text.unwrap();
        if text.chars().count() == Inbound::MAX_TEXT_CHARS {
            assert_eq!(kept, text);
        } else {
            let beginning = kept.strip_suffix('…').unwrap();
            assert_eq!(beginning, letter.repeat(beginning.len() / letter.len()), "no letter is cut in two");
            assert!(kept.chars().count() + 2 > Inbound::MAX_TEXT_CHARS);
        }
    }
}

#[test]
fn a_missing_number_is_taken_from_the_contacts() {
    let messages = [json!({"id": "wamid.1", "type": "text", "from_user_id": "MX.1"})];
    let contacts = [json!({"wa_id": "5215512340123", "user_id": "MX.1"})];
    let delivery = parse(envelope(&json!({"messages": messages, "contacts": contacts})).as_bytes());
    let message = &delivery.inbound[0];
    assert_eq!((message.from.as_deref(), message.user_id.as_deref()), (Some("+5215512340123"), Some("MX.1")));
}

/// An item too large for a record would fail its whole delivery on every redelivery.
#[test]
fn a_long_user_id_is_truncated() {
    let id = "x".repeat(100_000);
    let messages = [
        json!({"id": "wamid.1", "type": "text", "from_user_id": id}),
        json!({"id": "wamid.2", "type": "text", "from": id}),
        json!({"id": "wamid.3", "type": "text", "from": "4915228817386"}),
    ];
    let contacts = [json!({"wa_id": "4915228817386", "user_id": id})];
    let value = json!({"messages": messages, "contacts": contacts});
    let delivery = parse(envelope(&value).as_bytes());
    let lengths: Vec<_> = delivery.inbound.iter().map(|one| one.user_id.as_ref().map(String::len)).collect();
    assert_eq!(lengths, [Some(Inbound::MAX_NAME_CHARS); 3]);
}

#[test]
fn a_disowned_code_is_recognized_by_its_payload() {
    let delivery = parsed("code_disowned");
    let message = &delivery.inbound[0];
    assert_eq!(
        (message.intent, message.in_reply_to.as_ref().map(|id| id.as_str())),
        (Intent::CodeDisowned, Some(OTP))
    );
    let delivery = parsed("code_disowned_without_context");
    assert_eq!((delivery.inbound[0].intent, &delivery.inbound[0].in_reply_to), (Intent::CodeDisowned, &None));
}

#[test]
fn messages_and_statuses_in_one_change() {
    let delivery = parsed("message_with_status");
    assert_eq!((delivery.reports.len(), delivery.inbound.len()), (1, 1));
}

#[test]
fn deliveries_are_parsed_in_any_encoding() {
    let body = fixture("webhooks/status_failed_131026.json");
    let plain = reports(&parse(&body));
    let text = String::from_utf8(body.clone()).unwrap();
    let latin_1 = text.replace("\"object\"", "\"sender\": \"M@ller\", \"object\"");
    let latin_1: Vec<u8> = latin_1.bytes().map(|byte| if byte == b'@' { 0xfc } else { byte }).collect();
    let raw_line = text.replace("\"object\"", "\"note\": \"one\ntwo\", \"object\"");
    for strange in [
        [b"\xef\xbb\xbf", &body[..]].concat(),
        latin_1,
        raw_line.into_bytes(),
        [&body[..], b"\0"].concat(),
        text.replace(&format!("\"{OTP}\""), &format!("\" {OTP} \"")).into_bytes(),
        text.replace("\"failed\"", "\"FAILED\"").into_bytes(),
    ] {
        let delivery = parse(&strange);
        assert_eq!(reports(&delivery), plain, "{}", String::from_utf8_lossy(&strange));
    }
    // A title truncated within an emoji only loses the emoji.
    let cut = text.replace("\"title\": \"", "\"title\": \"\\ud83d");
    assert!(reports(&parse(cut.as_bytes()))[0].contains("failed Recipient 131026 \u{fffd}"), "{cut}");
}

#[test]
fn every_fixture_is_asserted() {
    let source =
        [include_str!("webhooks.rs"), include_str!("alerts.rs"), include_str!("hostile.rs")].concat();
    let folder = format!("{}/fixtures/meta/webhooks", env!("CARGO_MANIFEST_DIR"));
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".json").unwrap();
        assert!(source.contains(&format!("\"{name}\"")) || name.starts_with("message_system_"), "{name}");
    }
}

#[test]
fn other_webhooks_are_unreadable() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        " ",
        "null",
        "true",
        "17",
        "\"text\"",
        "[]",
        "{}",
        "{",
        "<html>",
        "\u{feff}{}",
        r#"{"object":"","entry":[]}"#,
        r#"{"object":"whatsapp_business_account"}"#,
        r#"{"object":"whatsapp_business_account","entry":{}}"#,
        r#"{"object":"whatsapp_business_account","entry":null}"#,
        r#"{"object":"page","entry":[]}"#,
        r#"{"object":7,"entry":[]}"#,
        r#"{"entry":7}"#,
        r#"{"object":"whatsapp_business_account","entry":[1,2]}"#,
        r#"{"object":"whatsapp_business_account","entry":[]} trailing"#,
        &deep,
    ] {
        let delivery = parse(body.as_bytes());
        let shown: String = body.chars().take(60).collect();
        assert!(matches!(delivery.readable, Readable::No(_)), "{shown}");
        assert!(delivery.reports.is_empty() && delivery.inbound.is_empty(), "{shown}");
    }
    assert!(matches!(parse(b"\xff\xfe{}").readable, Readable::No(_)));
    let empty = parse(br#"{"object":"whatsapp_business_account","entry":[]}"#);
    assert_eq!((empty.readable, empty.unknown.len()), (Readable::Yes, 0));
    assert_eq!(parse(br#"{"entry":[]}"#).readable, Readable::Yes);
}

#[test]
fn impossible_times_are_ignored() {
    let with = |timestamp: Value| {
        let mut body: Value = serde_json::from_slice(&fixture("webhooks/status_sent.json")).unwrap();
        body["entry"][0]["changes"][0]["value"]["statuses"][0]["timestamp"] = timestamp;
        parse(body.to_string().as_bytes()).reports.remove(0).reported_at
    };
    for (timestamp, expected) in [
        (json!("1795363201"), seconds(1_795_363_201)),
        (json!(1_795_363_201), seconds(1_795_363_201)),
        (json!("0"), seconds(0)),
        (json!("253402300799"), seconds(253_402_300_799)),
        (json!("253402300800"), None),
        (json!("1795363201000"), None),
        (json!("-1"), None),
        (json!(-1), None),
        (json!("9223372036854775807"), None),
        (json!("1000000000000000000000000000000"), None),
        (json!(1e30), None),
        (json!(1.5), None),
        (json!(""), None),
        (json!("soon"), None),
        (json!(null), None),
        (json!(true), None),
        (json!(["1795363201"]), None),
        (json!({"a": 1}), None),
    ] {
        assert_eq!(with(timestamp.clone()), expected, "{timestamp}");
    }
}

pub fn envelope(value: &Value) -> String {
    let mut value = value.clone();
    value["metadata"] = json!({"phone_number_id": PHONE_NUMBER_ID});
    json!({"object": "whatsapp_business_account",
           "entry": [{"id": BUSINESS_ACCOUNT_ID, "changes": [{"field": "messages", "value": value}]}]})
    .to_string()
}
