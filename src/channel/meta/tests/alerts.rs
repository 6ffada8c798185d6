//! Meta's updates about accounts, numbers and templates.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::webhooks::{parse, parsed, seconds, unknown};
use super::*;
use crate::channel::{Alert, Readable, Severity, Unknown};
use crate::explain;

#[test]
fn every_documented_field_becomes_an_alert() {
    use Severity::{Critical, Notice, Warning};
    let login = Some("login_code (de)");
    for (name, code, severity, subject, title) in [
        ("template_approved", "template_approved", Notice, login, "APPROVED · NONE"),
        (
            "template_rejected",
            "template_rejected",
            Critical,
            login,
            "REJECTED · INVALID_FORMAT · The format is wrong. · Use fewer parameters.",
        ),
        (
            "template_paused",
            "template_paused",
            Critical,
            login,
            "PAUSED · FIRST_PAUSE · Paused for 3 hours because of low quality.",
        ),
        ("template_disabled", "template_disabled", Critical, login, "DISABLED · DISABLED · Disabled."),
        ("template_flagged", "template_flagged", Warning, login, "FLAGGED"),
        ("template_pending_deletion", "template_deleted", Warning, login, "PENDING_DELETION"),
        ("template_deleted", "template_deleted", Critical, login, "DELETED"),
        ("template_archived", "template_deleted", Critical, login, "ARCHIVED"),
        ("template_unarchived", "template_approved", Notice, login, "UNARCHIVED"),
        ("template_locked", "template_deleted", Critical, login, "LOCKED"),
        ("template_reinstated", "template_approved", Notice, login, "REINSTATED"),
        ("template_in_appeal", "template_changed", Notice, login, "IN_APPEAL"),
        ("template_pending", "template_changed", Notice, login, "PENDING"),
        ("template_limit_exceeded", "template_changed", Warning, login, "LIMIT_EXCEEDED"),
        ("template_quality", "template_quality", Warning, login, "GREEN · RED"),
        ("template_quality_under_status_field", "template_quality", Warning, login, "GREEN · YELLOW"),
        ("template_category", "template_category", Warning, login, "AUTHENTICATION · MARKETING"),
        ("template_category_soon", "template_category", Warning, login, "AUTHENTICATION · UTILITY"),
        ("template_components", "template_changed", Notice, login, "its content was changed"),
        ("account_review", "account_review", Warning, None, "REJECTED"),
        ("phone_number_name", "phone_number_name", Notice, Some("…5777"), "APPROVED"),
        (
            "phone_number_quality",
            "phone_number_quality",
            Notice,
            Some("…5777"),
            "THROUGHPUT_UPGRADE · TIER_UNLIMITED · TIER_UNLIMITED",
        ),
        (
            "capability_number",
            "capability_changed",
            Notice,
            None,
            "max_daily_conversations_per_business 2000 · max_phone_numbers_per_waba 25",
        ),
        (
            "capability_word",
            "capability_changed",
            Notice,
            None,
            "max_daily_conversations_per_business TIER_100K · max_phone_numbers_per_business 20",
        ),
        ("account_deleted", "account_disabled", Critical, None, "ACCOUNT_DELETED"),
        ("account_violation", "account_violation", Critical, None, "ACCOUNT_VIOLATION · SPAM"),
        (
            "account_restriction",
            "account_restricted",
            Critical,
            None,
            "ACCOUNT_RESTRICTION · RESTRICTED_BIZ_INITIATED_MESSAGING",
        ),
        (
            "account_disabled",
            "account_disabled",
            Critical,
            None,
            "DISABLED_UPDATE · DISABLE · November 30, 2026",
        ),
        (
            "account_reinstated",
            "account_reinstated",
            Notice,
            None,
            "DISABLED_UPDATE · REINSTATE · November 30, 2026",
        ),
        ("account_international_price", "account_price", Warning, None, "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE"),
        ("account_pricing_tier", "account_price", Notice, None, "VOLUME_BASED_PRICING_TIER_UPDATE"),
        ("account_location", "account_price", Notice, None, "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE"),
        ("account_partner_added", "account_changed", Notice, None, "PARTNER_ADDED"),
        ("account_partner_removed", "account_changed", Warning, None, "PARTNER_REMOVED"),
        ("account_offboarded", "account_disabled", Critical, None, "ACCOUNT_OFFBOARDED"),
        ("account_alert", "account_alert", Critical, Some("OBA_REVOKED"), "ACTIVE · Call +… to learn more."),
        ("security", "security_pin", Warning, Some("…5777"), "PIN_CHANGED"),
    ] {
        let delivery = parsed(name);
        assert!(delivery.unknown.is_empty(), "{name}: {:?}", delivery.unknown);
        let alert = Alert {
            code: code.to_owned(),
            title: title.to_owned(),
            subject: subject.map(str::to_owned),
            severity,
            at: seconds(1_795_363_600),
            fingerprint: delivery.alerts[0].fingerprint.clone(),
        };
        assert!(alert.fingerprint.is_some(), "{name}");
        assert_eq!(delivery.alerts, [alert], "{name}");
        assert!(explain::explain(code).is_some(), "{code} is not explained");
    }
}

#[test]
fn an_unknown_event_is_an_alert_too() {
    for (name, code) in
        [("template_enchanted", "template_changed"), ("account_unknown_event", "account_changed")]
    {
        let delivery = parsed(name);
        assert_eq!(
            (delivery.alerts[0].code.as_str(), delivery.alerts[0].severity),
            (code, Severity::Warning)
        );
        assert_eq!(unknown(&delivery), [(Unknown::Event, 1)], "{name}");
    }
}

#[test]
fn errors_of_the_account_are_alerts_by_their_class() {
    let delivery = parsed("account_errors");
    let alerts: Vec<_> = delivery.alerts.iter().map(|alert| (alert.code.as_str(), alert.severity)).collect();
    assert_eq!(alerts, [("130429", Severity::Warning), ("131031", Severity::Critical)]);
}

#[test]
fn similar_alerts_are_distinguished_and_redelivered_ones_are_not() {
    let fingerprints = |value: &Value| -> Vec<String> {
        parse(value.to_string().as_bytes()).alerts.into_iter().filter_map(|alert| alert.fingerprint).collect()
    };
    let mut errors: Value = serde_json::from_slice(&fixture("webhooks/account_errors.json")).unwrap();
    let list = &mut errors["entry"][0]["changes"][0]["value"]["errors"];
    let with = |details: &str| json!({"code": 131031, "title": "Locked", "error_data": {"details": details}});
    // The first two look alike, because numbers are masked; the last two are equal.
    *list = json!([with("of 4915228817386"), with("of 4915228817387"), with("no"), with("no")]);
    let first = fingerprints(&errors);
    let distinct: BTreeSet<_> = first.iter().collect();
    assert_eq!((first.len(), distinct.len()), (4, 4), "{first:?}");
    assert_eq!(fingerprints(&errors), first);

    let event = |event: &str| {
        let mut update: Value = serde_json::from_slice(&fixture("webhooks/account_deleted.json")).unwrap();
        update["entry"][0]["changes"][0]["value"]["event"] = json!(event);
        fingerprints(&update)
    };
    assert_ne!(event("ACCOUNT_DELETED"), event("DISABLED_UPDATE"));
    let of_time = |seconds: i64| {
        let mut update: Value = serde_json::from_slice(&fixture("webhooks/account_deleted.json")).unwrap();
        update["entry"][0]["time"] = json!(seconds);
        fingerprints(&update)
    };
    assert_ne!(of_time(1_795_011_201), of_time(1_795_011_236), "the same event of another time is news");
    assert_eq!(of_time(1_795_011_201), of_time(1_795_011_201));
}

#[test]
fn a_dashboard_test_raises_a_notice() {
    for (name, field) in
        [("test_button_messages", "messages"), ("test_button_account_alerts", "account_alerts")]
    {
        let delivery = parsed(name);
        assert_eq!(
            (delivery.readable, delivery.ignored.len(), delivery.unknown.len()),
            (Readable::Yes, 0, 0),
            "{name}"
        );
        assert!(delivery.inbound.is_empty() && delivery.reports.is_empty(), "{name}");
        let [alert] = &delivery.alerts[..] else { panic!("{name}: {:?}", delivery.alerts) };
        assert_eq!((alert.code.as_str(), alert.severity), ("webhook_test", Severity::Notice), "{name}");
        assert_eq!(alert.subject.as_deref(), Some(field));
        assert!(alert.title.contains("arrived"), "{}", alert.title);
    }
    assert!(explain::explain("webhook_test").is_some());
    // A field that is ignored, and an unknown one.
    for field in ["history", "brand_new"] {
        let body = json!({"object": "whatsapp_business_account",
            "entry": [{"id": "0", "changes": [{"field": field, "value": {}}]}]});
        let delivery = parse(body.to_string().as_bytes());
        assert_eq!((delivery.alerts.len(), delivery.unknown.len()), (1, 0), "{field}");
    }
}
