use serde_json::json;

use super::*;
use crate::channel::signature::BadSignature;
use crate::channel::{Consent, Delivery, Inbound, Intent, Readable, Unknown};
use crate::verification::values::{Alias, DeliveryError, ReportStatus};

fn parse(body: &[u8]) -> Delivery {
    report::parse(body, "01LAMPENAPP")
}

fn of(name: &str) -> Delivery {
    parse(&fixture(&format!("webhooks/{name}")))
}

fn failed(code: &str, class: ErrorClass) -> ReportStatus {
    let title = "The handset did not answer".to_owned();
    ReportStatus::Failed(DeliveryError { code: code.to_owned(), title, class })
}

#[test]
fn every_documented_report() {
    for (name, status) in [
        ("queued", ReportStatus::Sent),
        ("submitted", ReportStatus::Sent),
        ("delivered", ReportStatus::Delivered),
        ("read", ReportStatus::Read),
        ("failed_at_meta", failed("131026", ErrorClass::Recipient)),
        ("failed_sms", failed("RECIPIENT_NOT_REACHABLE", ErrorClass::Recipient)),
        ("switching", ReportStatus::Unknown("SWITCHING_CHANNEL".to_owned())),
    ] {
        let delivery = of(name);
        let [report] = &delivery.reports[..] else { panic!("{name}") };
        assert_eq!(report.status, status, "{name}");
        assert_eq!(report.provider_ref.as_ref().unwrap().as_str(), "01LAMPENMSG1", "{name}");
        assert_eq!(report.reference.unwrap().to_string(), REFERENCE, "{name}");
        assert_eq!(report.reported_at.unwrap().to_string(), "2026-11-22T17:00:00.250Z", "{name}");
        assert_eq!(report.aliases, [Alias::number("+491713920011").unwrap()], "{name}");
        let unknown = usize::from(name == "switching");
        assert_eq!(delivery.unknown.values().sum::<usize>(), unknown, "{name}");
    }
}

#[test]
fn every_reason_has_its_class() {
    use ErrorClass::{Configuration, Fallback, Recipient, Retry, Sender};
    let mut codes = std::collections::BTreeSet::new();
    for (code, class) in [
        ("UNKNOWN", Fallback),
        ("INTERNAL_ERROR", Retry),
        ("RATE_LIMITED", Retry),
        ("RECIPIENT_INVALID_CHANNEL_IDENTITY", Recipient),
        ("RECIPIENT_NOT_REACHABLE", Recipient),
        ("RECIPIENT_NOT_OPTED_IN", Fallback),
        ("OUTSIDE_ALLOWED_SENDING_WINDOW", Configuration),
        ("CHANNEL_FAILURE", Fallback),
        ("CHANNEL_BAD_CONFIGURATION", Sender),
        ("CHANNEL_CONFIGURATION_MISSING", Sender),
        ("CHANNEL_REJECT", Fallback),
        ("MEDIA_TYPE_UNSUPPORTED", Fallback),
        ("NO_CHANNELS_LEFT", Fallback),
        ("NO_CHANNEL_IDENTITY_FOR_CONTACT", Recipient),
        ("NO_PERMISSION", Sender),
        ("TEMPLATE_NOT_FOUND", Configuration),
        ("TEMPLATE_INSUFFICIENT_PARAMETERS", Configuration),
        ("TEMPLATE_NON_EXISTING_LANGUAGE_OR_VERSION", Configuration),
        ("DELIVERY_TIMED_OUT", Fallback),
        ("DELIVERY_REJECTED_DUE_TO_POLICY", Configuration),
        ("CONTACT_NOT_FOUND", Fallback),
        ("BAD_REQUEST", Configuration),
        ("UNKNOWN_APP", Sender),
        ("UNSUPPORTED_OPERATION", Configuration),
        ("INACTIVE_CREDENTIAL", Sender),
        ("MESSAGE_EXPIRED", Fallback),
        ("MESSAGE_SPLIT_REQUIRED", Configuration),
        ("DELIVERY_REPORT_TIME_OUT", Fallback),
        ("OF_NEXT_YEAR", Fallback),
    ] {
        let mut json: Value = serde_json::from_slice(&fixture("webhooks/failed_sms")).unwrap();
        json["message_delivery_report"]["reason"]["code"] = code.into();
        let status = parse(json.to_string().as_bytes()).reports.remove(0).status;
        assert_eq!(status, failed(code, class), "{code}");
        assert!(codes.insert(code));
        if matches!(class, Configuration | Sender | Recipient) {
            assert!(crate::explain::explain(code).is_some(), "an operator asks for {code}");
        }
    }
}

/// On WhatsApp, Meta's code takes precedence if it is known.
#[test]
fn the_channel_code_is_metas_only_on_whatsapp() {
    use ErrorClass::{Configuration, Fallback, Recipient};
    for (channel, code, channel_code, expected) in [
        ("WHATSAPP", "CHANNEL_FAILURE", json!("131026"), ("131026", Recipient)),
        ("WHATSAPP", "CHANNEL_FAILURE", json!(132001), ("132001", Configuration)),
        ("WHATSAPP", "CHANNEL_FAILURE", json!(" 131026 "), ("131026", Recipient)),
        ("WHATSAPP", "CHANNEL_FAILURE", json!("999999999"), ("CHANNEL_FAILURE", Fallback)),
        ("WHATSAPP", "CHANNEL_FAILURE", json!("-1"), ("CHANNEL_FAILURE", Fallback)),
        ("WHATSAPP", "CHANNEL_FAILURE", json!(""), ("CHANNEL_FAILURE", Fallback)),
        ("WHATSAPP", "CHANNEL_FAILURE", json!(null), ("CHANNEL_FAILURE", Fallback)),
        ("SMS", "CHANNEL_FAILURE", json!("131026"), ("CHANNEL_FAILURE", Fallback)),
        ("RCS", "RECIPIENT_NOT_REACHABLE", json!("131026"), ("RECIPIENT_NOT_REACHABLE", Recipient)),
    ] {
        let mut json: Value = serde_json::from_slice(&fixture("webhooks/failed_at_meta")).unwrap();
        let report = &mut json["message_delivery_report"];
        report["channel_identity"]["channel"] = channel.into();
        report["reason"]["code"] = code.into();
        report["reason"]["channel_code"] = channel_code.clone();
        let status = parse(json.to_string().as_bytes()).reports.remove(0).status;
        assert_eq!(status, failed(expected.0, expected.1), "{channel} {channel_code}");
    }
}

#[test]
fn a_failure_without_a_complete_reason_counts() {
    for (reason, code, title) in [
        (json!(null), "no_reason", "Sinch gave no reason"),
        (json!("text"), "no_reason", "Sinch gave no reason"),
        (json!({}), "no_reason", "Sinch gave no reason"),
        (json!({"code": "CHANNEL_REJECT"}), "CHANNEL_REJECT", "CHANNEL_REJECT"),
        (json!({"code": 7, "description": "one\ntwo to +491713920011"}), "7", "one two to +…"),
        (json!({"code": {}, "description": []}), "no_reason", "Sinch gave no reason"),
    ] {
        let body =
            json!({"message_delivery_report": {"message_id": "m", "status": "failed", "reason": reason}});
        let status = parse(body.to_string().as_bytes()).reports.remove(0).status;
        let ReportStatus::Failed(error) = status else { panic!("{body}") };
        assert_eq!((error.code.as_str(), error.title.as_str()), (code, title), "{body}");
        assert_eq!(error.class, ErrorClass::Fallback, "{body}");
    }
    let inactive = json!({"code": "CHANNEL_FAILURE", "sub_code": "INACTIVE_SENDER"});
    let body =
        json!({"message_delivery_report": {"message_id": "m", "status": "FAILED", "reason": inactive}});
    let status = parse(body.to_string().as_bytes()).reports.remove(0).status;
    assert!(matches!(status, ReportStatus::Failed(error) if error.class == ErrorClass::Sender));
}

#[test]
fn a_report_is_matched_by_either_id() {
    let upper = REFERENCE.to_uppercase();
    for (report, envelope, id, ours) in [
        (json!({"message_id": "m", "status": "DELIVERED"}), "", Some("m"), false),
        (json!({"metadata": REFERENCE, "status": "DELIVERED"}), "", None, true),
        (json!({"metadata": upper, "status": "DELIVERED"}), "", None, true),
        (json!({"metadata": "order-17", "status": "DELIVERED"}), REFERENCE, None, true),
        (json!({"message_id": 17, "status": "delivered"}), REFERENCE, Some("17"), true),
    ] {
        let body = json!({"message_metadata": envelope, "message_delivery_report": report});
        let found = parse(body.to_string().as_bytes()).reports.remove(0);
        assert_eq!(found.provider_ref.as_ref().map(|id| id.as_str()), id, "{body}");
        assert_eq!(found.reference.is_some(), ours, "{body}");
        assert_eq!(found.status, ReportStatus::Delivered, "{body}");
    }
}

#[test]
fn inbound_messages_are_parsed() {
    let one = |name: &str| -> Inbound {
        let mut delivery = of(name);
        assert_eq!(delivery.inbound.len(), 1, "{name}");
        delivery.inbound.remove(0)
    };
    let text = one("text");
    assert_eq!(
        (text.kind.as_str(), text.text.as_deref(), text.intent),
        ("text", Some("STOP"), Intent::Reply)
    );
    assert_eq!(text.from.as_deref(), Some("+491713920011"));
    assert_eq!(text.provider_ref.as_str(), "01LAMPENIN1");
    assert_eq!(text.in_reply_to.unwrap().as_str(), "01LAMPENMSG1");
    assert_eq!(text.at.unwrap().to_string(), "2026-11-22T17:00:01.500Z");
    let choice = one("choice");
    assert_eq!((choice.kind.as_str(), choice.intent), ("choice_response", Intent::CodeDisowned));
    assert_eq!(choice.in_reply_to.unwrap().as_str(), "01LAMPENMSG1");
    let media = one("media");
    assert_eq!((media.kind.as_str(), media.text), ("media", None));
    let unknown = of("unknown_type");
    assert_eq!((unknown.inbound[0].kind.as_str(), unknown.unknown[&Unknown::MessageType]), ("hologram", 1));
    assert_eq!(of("text").unknown.len(), 0);
}

#[test]
fn successful_opt_ins_and_opt_outs_are_counted() {
    for (name, consent) in
        [("opt_in", Some(Consent::Given)), ("opt_out", Some(Consent::Withdrawn)), ("opt_out_failed", None)]
    {
        let delivery = of(name);
        let counted: Vec<_> = delivery.consents.into_iter().collect();
        assert_eq!(counted, consent.map(|consent| (consent, 1)).into_iter().collect::<Vec<_>>(), "{name}");
        assert_eq!(delivery.unknown.get(&Unknown::Event).copied(), consent.is_none().then_some(1), "{name}");
    }
}

#[test]
fn irrelevant_and_malformed_subjects_are_counted() {
    for (body, unknown) in [
        (json!({"event": {}}), Unknown::Event),
        (json!({"app_id": "01LAMPENAPP", "contact_create_notification": {}}), Unknown::Event),
        (json!({"channel_event_notification": {"channel_event": {}}}), Unknown::Event),
        (json!({"of_next_year": {}}), Unknown::Field),
        (json!({"message_delivery_report": {"status": "DELIVERED"}}), Unknown::Item),
        (json!({"message_delivery_report": {"message_id": "m"}}), Unknown::Item),
        (json!({"message_delivery_report": 7}), Unknown::Item),
        (json!({"message_submit_notification": []}), Unknown::Item),
        (json!({"message": {"id": ""}}), Unknown::Item),
        (json!({"message": {"id": "m", "direction": "TO_CONTACT"}}), Unknown::Event),
        (json!({"opt_in_notification": null}), Unknown::Event),
    ] {
        let delivery = parse(body.to_string().as_bytes());
        assert_eq!(delivery.unknown, [(unknown, 1)].into(), "{body}");
        assert!(delivery.reports.is_empty() && delivery.inbound.is_empty(), "{body}");
        assert_eq!(delivery.readable, Readable::Yes, "{body}");
    }
    for body in ["", "OK", "[]", "7", "{}", r#"{"app_id":"01LAMPENAPP"}"#, r#"{"message":"#] {
        assert!(matches!(parse(body.as_bytes()).readable, Readable::No(_)), "{body}");
    }
    let ignored =
        json!({"app_id": "01ANOTHER", "message_delivery_report": {"message_id": "m", "status": "READ"}});
    let ignored = parse(ignored.to_string().as_bytes());
    assert_eq!((ignored.ignored_items(), ignored.reports.len()), (1, 0), "of an app that is not ours");
}

#[test]
fn either_secret_may_sign_and_the_receipt_names_the_nonce() {
    let body = fixture("webhooks/delivered");
    let receipt = |secret, nonce| delivered(secret, nonce, &body).unwrap().receipt.unwrap();
    assert_eq!(receipt(SECRET, "n1"), receipt("the secret of callbacks", "n1"));
    assert_ne!(receipt(SECRET, "n1"), receipt(SECRET, "n2"));
    let refused = delivered("a secret of long ago", "n1", &body).unwrap_err();
    assert_eq!(refused, WebhookError::Signature(BadSignature::Wrong));
    assert_eq!(delivered(SECRET, "n1", &body).unwrap().own.reports.len(), 1);
}
