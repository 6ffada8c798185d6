//! Alerts for operators: Meta's updates about templates, the phone number and the business account.

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::owners::Sorted;
use super::{fingerprint, is_sample, read_leniently};
use crate::channel::wire::{self, Text};
use crate::channel::{Alert, Delivery, Severity, Unknown, scrub};
use crate::verification::values::Timestamp;
use Severity::{Critical, Notice, Warning};

/// Documented fields that do not matter for sending codes: marketing preferences, copies of messages from other
/// devices, partners, payments, usernames.
const IGNORED_FIELDS: &[&str] = &[
    "user_preferences",
    "history",
    "smb_message_echoes",
    "smb_app_state_sync",
    "partner_solutions",
    "payment_configuration_update",
    "business_username_update",
];

/// Fields of the whole business; their entry may hold the business id instead of the account id.
const BUSINESS_FIELDS: &[&str] = &["business_capability_update", "account_alerts"];

/// Event of `message_template_status_update`, alert code, severity.
const TEMPLATE_EVENTS: &[(&str, &str, Severity)] = &[
    ("APPROVED", "template_approved", Notice),
    ("REINSTATED", "template_approved", Notice),
    ("UNARCHIVED", "template_approved", Notice),
    ("UNPAUSED", "template_approved", Notice),
    ("PAUSED", "template_paused", Critical),
    ("DISABLED", "template_disabled", Critical),
    ("REJECTED", "template_rejected", Critical),
    ("PENDING_DELETION", "template_deleted", Warning),
    ("DELETED", "template_deleted", Critical),
    ("ARCHIVED", "template_deleted", Critical),
    ("LOCKED", "template_deleted", Critical),
    ("FLAGGED", "template_flagged", Warning),
    ("LIMIT_EXCEEDED", "template_changed", Warning),
    ("IN_APPEAL", "template_changed", Notice),
    ("PENDING", "template_changed", Notice),
];

/// Event of `account_update`, alert code, severity.
const ACCOUNT_EVENTS: &[(&str, &str, Severity)] = &[
    ("ACCOUNT_DELETED", "account_disabled", Critical),
    ("ACCOUNT_VIOLATION", "account_violation", Critical),
    ("ACCOUNT_RESTRICTION", "account_restricted", Critical),
    ("DISABLED_UPDATE", "account_disabled", Critical),
    ("AUTH_INTL_PRICE_ELIGIBILITY_UPDATE", "account_price", Warning),
    ("VOLUME_BASED_PRICING_TIER_UPDATE", "account_price", Notice),
    ("BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE", "account_price", Notice),
    ("AD_ACCOUNT_LINKED", "account_changed", Notice),
    ("MM_LITE_TERMS_SIGNED", "account_changed", Notice),
    ("PARTNER_ADDED", "account_changed", Notice),
    ("PARTNER_REMOVED", "account_changed", Warning),
    ("PARTNER_APP_INSTALLED", "account_changed", Notice),
    ("PARTNER_APP_UNINSTALLED", "account_changed", Warning),
    ("PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE", "account_changed", Notice),
    ("ACCOUNT_OFFBOARDED", "account_disabled", Critical),
    ("ACCOUNT_RECONNECTED", "account_reinstated", Notice),
    ("VERIFIED_ACCOUNT", "account_changed", Notice),
];

/// Anything but `APPROVED` needs attention.
fn decision(value: &Value) -> Severity {
    if value["decision"] == "APPROVED" { Notice } else { Warning }
}

impl Sorted<'_> {
    pub(super) fn take_account(
        &mut self,
        field: &str,
        value: &RawValue,
        account: &Text<'_>,
        at: Option<Timestamp>,
    ) {
        let named = account.get();
        let owner = self.owners().for_account(named);
        if owner.is_err() && is_sample(None, named) {
            return self.own.take_sample(field);
        }
        if IGNORED_FIELDS.contains(&field) {
            return;
        }
        let owner = owner.or_else(|stray| match account_within(value) {
            Some(account) => self.owners().for_account(Some(&account)),
            None => Err(stray),
        });
        // Updates of the whole business go to any channel whose secret signed.
        let owner = owner.or_else(|stray| match BUSINESS_FIELDS.contains(&field) {
            true => self.owners().for_account(None),
            false => Err(stray),
        });
        match owner {
            Ok(owner) => self.of(owner).take_account(field, value, at),
            Err(reason) => self.own.ignore(named, reason, 1),
        }
    }
}

/// The account id in the value: for events between accounts and partners, the entry holds the business id.
fn account_within(value: &RawValue) -> Option<String> {
    wire::word(read_leniently::<Value>(value)?.pointer("/waba_info/waba_id")?)
}

impl Delivery {
    fn take_account(&mut self, field: &str, value: &RawValue, at: Option<Timestamp>) {
        let raw = value.get();
        let Some(value) = read_leniently::<Value>(value).filter(Value::is_object) else {
            return self.count(Unknown::Item);
        };
        match self.alert(field, &value) {
            Some(alert) => {
                // Distinguishes the same event on another day from a redelivery.
                let told_at = at.map(|at| at.as_millis().to_string()).unwrap_or_default();
                let fingerprint = Some(fingerprint(&[field, raw, &told_at]));
                self.alerts.push(Alert { at, fingerprint, ..alert });
            }
            None => {
                tracing::debug!(field = scrub::unknown_word(field), "unknown field of a webhook");
                self.count(Unknown::Field);
            }
        }
    }

    /// Records a sample webhook, sent from Meta's dashboard on request. Only its arrival matters.
    pub(super) fn take_sample(&mut self, field: &str) {
        let subject = scrub::token(field);
        let named = subject.as_deref().unwrap_or("unknown");
        let title = format!(
            "a test webhook for the field {named} arrived from Meta's dashboard with a valid signature"
        );
        self.alerts.push(alert("webhook_test", Notice, subject, title));
    }

    /// `None` for an unknown field.
    fn alert(&mut self, field: &str, value: &Value) -> Option<Alert> {
        let number = || value["display_phone_number"].as_str().map(last_digits);
        Some(match field {
            // Identified by its key, because Meta's own sample sends a quality score under the status field.
            _ if value.get("new_quality_score").is_some() => template_quality(value),
            "message_template_status_update" => {
                let (code, severity) = self.event(value, TEMPLATE_EVENTS, "template_changed");
                alert(code, severity, template(value), words(value, TEMPLATE_WORDS))
            }
            "template_category_update" => {
                alert("template_category", Warning, template(value), words(value, CATEGORY_WORDS))
            }
            "message_template_components_update" => {
                alert("template_changed", Notice, template(value), "its content was changed".to_owned())
            }
            "account_update" => self.account_update(value),
            "account_review_update" => {
                alert("account_review", decision(value), None, words(value, &["/decision"]))
            }
            "account_alerts" => account_alert(value),
            "phone_number_name_update" => {
                let title = words(value, &["/decision", "/rejection_reason"]);
                alert("phone_number_name", decision(value), number(), title)
            }
            "phone_number_quality_update" => {
                let worse = value["event"]
                    .as_str()
                    .is_some_and(|event| event.contains("DOWNGRADE") || event == "FLAGGED");
                let severity = if worse { Warning } else { Notice };
                alert("phone_number_quality", severity, number(), words(value, NUMBER_WORDS))
            }
            "business_capability_update" => alert("capability_changed", Notice, None, capabilities(value)),
            "security" => alert("security_pin", Warning, number(), words(value, &["/event"])),
            _ => return None,
        })
    }

    fn account_update(&mut self, value: &Value) -> Alert {
        let (mut code, mut severity) = self.event(value, ACCOUNT_EVENTS, "account_changed");
        if value.pointer("/ban_info/waba_ban_state").is_some_and(|state| state == "REINSTATE") {
            (code, severity) = ("account_reinstated", Notice);
        }
        alert(code, severity, None, words(value, ACCOUNT_WORDS))
    }

    /// The code and severity of an event. An unknown event is counted and treated as a warning.
    fn event(
        &mut self,
        value: &Value,
        known: &[(&str, &'static str, Severity)],
        otherwise: &'static str,
    ) -> (&'static str, Severity) {
        match known.iter().find(|(event, ..)| value["event"] == *event) {
            Some((_, code, severity)) => (code, *severity),
            None => {
                self.count(Unknown::Event);
                (otherwise, Warning)
            }
        }
    }
}

const TEMPLATE_WORDS: &[&str] = &[
    "/event",
    "/reason",
    "/rejection_info/reason",
    "/rejection_info/recommendation",
    "/other_info/title",
    "/other_info/description",
];
const CATEGORY_WORDS: &[&str] = &["/previous_category", "/new_category", "/correct_category"];
const NUMBER_WORDS: &[&str] = &["/event", "/current_limit", "/max_daily_conversations_per_business"];
const ACCOUNT_WORDS: &[&str] = &[
    "/event",
    "/violation_info/violation_type",
    "/restriction_info/0/restriction_type",
    "/restriction_info/1/restriction_type",
    "/ban_info/waba_ban_state",
    "/ban_info/waba_ban_date",
];
const CAPABILITIES: &[&str] = &[
    "max_daily_conversations_per_business",
    "max_daily_conversation_per_phone",
    "max_phone_numbers_per_waba",
    "max_phone_numbers_per_business",
];

fn alert(code: &str, severity: Severity, subject: Option<String>, title: String) -> Alert {
    Alert { code: code.to_owned(), title, subject, severity, at: None, fingerprint: None }
}

fn template_quality(value: &Value) -> Alert {
    let severity =
        if matches!(value["new_quality_score"].as_str(), Some("RED" | "YELLOW")) { Warning } else { Notice };
    alert(
        "template_quality",
        severity,
        template(value),
        words(value, &["/previous_quality_score", "/new_quality_score"]),
    )
}

fn account_alert(value: &Value) -> Alert {
    let severity = match value.pointer("/alert_info/alert_severity").and_then(Value::as_str) {
        Some("CRITICAL") => Critical,
        Some("INFORMATIONAL") => Notice,
        _ => Warning,
    };
    let subject = value.pointer("/alert_info/alert_type").and_then(word);
    alert(
        "account_alert",
        severity,
        subject,
        words(value, &["/alert_info/alert_status", "/alert_info/alert_description"]),
    )
}

/// Such as `login_code (en_US)`.
fn template(value: &Value) -> Option<String> {
    let name = word(value.get("message_template_name")?)?;
    Some(match value.get("message_template_language").and_then(word) {
        Some(language) => format!("{name} ({language})"),
        None => name,
    })
}

/// The values at `pointers`, joined.
fn words(value: &Value, pointers: &[&str]) -> String {
    let found: Vec<String> = pointers.iter().filter_map(|pointer| word(value.pointer(pointer)?)).collect();
    scrub::cut(&found.join(" · "), scrub::MAX_TITLE_CHARS)
}

fn capabilities(value: &Value) -> String {
    let limits = CAPABILITIES.iter().filter_map(|name| Some(format!("{name} {}", word(value.get(*name)?)?)));
    limits.collect::<Vec<_>>().join(" · ")
}

/// Meta sends limits as words (`TIER_2000`) or as numbers.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => scrub::dated_token(text),
        Value::Number(number) => scrub::token(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn last_digits(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    let end: String = digits[digits.len().saturating_sub(4)..].iter().collect();
    format!("…{end}")
}
