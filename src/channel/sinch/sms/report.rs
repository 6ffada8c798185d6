//! Parses webhooks of the SMS API, by the `type` of the object.

use serde_json::Value;

use crate::channel::status;
use crate::channel::wire;
use crate::channel::{Delivery, Inbound, Intent, Unknown, lenient};
use crate::excerpt;
use crate::verification::values::{Alias, DeliveryError, ErrorClass, Report};

pub(super) fn parse(body: &[u8]) -> Delivery {
    let text = lenient::repaired(body).unwrap_or_default();
    let Some(json) = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object) else {
        return Delivery::unreadable("it is not a JSON object");
    };
    let mut delivery = Delivery::default();
    match json.get("type").and_then(Value::as_str) {
        Some("recipient_delivery_report_sms") => delivery.take_recipient(&json),
        Some("mo_text") => delivery.take_text(&json, "text"),
        Some("mo_binary") => delivery.take_text(&json, "binary"),
        // Batch summaries, which name no recipient, and MMS.
        Some(_) => delivery.count(Unknown::Event),
        None => return Delivery::unreadable("it has no `type`"),
    }
    delivery
}

impl Delivery {
    fn take_recipient(&mut self, json: &Value) {
        let word = |name: &str| json.get(name).and_then(wire::word);
        let provider_ref = json.get("batch_id").and_then(wire::reference);
        let reference =
            word("client_reference").and_then(|text| text.trim().to_ascii_lowercase().parse().ok());
        let Some(status) = word("status").filter(|_| provider_ref.is_some() || reference.is_some()) else {
            return self.count(Unknown::Item);
        };
        let status = status::report(&status, || failure(word("code"), &status)).or_else(|| {
            self.count(Unknown::Status);
            status::unknown(&status)
        });
        let reported_at = word("at").and_then(|text| text.parse().ok());
        let aliases = word("recipient").as_deref().and_then(Alias::number).into_iter().collect();
        self.reports.extend(status.map(|status| Report {
            status,
            reported_at,
            provider_ref,
            reference,
            aliases,
        }));
    }

    fn take_text(&mut self, json: &Value, kind: &str) {
        let Some(provider_ref) = json.get("id").and_then(wire::reference) else {
            return self.count(Unknown::Item);
        };
        let word = |name: &str| json.get(name).and_then(wire::word);
        let from = match word("from").as_deref().and_then(Alias::number) {
            Some(Alias::Number(number)) => Some(number.into()),
            Some(Alias::User(_)) | None => None,
        };
        let text = json.get("body").and_then(Value::as_str).filter(|text| kind == "text" && !text.is_empty());
        self.inbound.push(Inbound {
            provider_ref,
            from,
            user_id: None,
            profile_name: None,
            at: word("received_at").and_then(|text| text.parse().ok()),
            kind: kind.to_owned(),
            text: text.map(|text| excerpt::of_chars(text, Inbound::MAX_TEXT_CHARS)),
            in_reply_to: None,
            intent: Intent::Reply,
        });
    }
}

/// Reports carry no error text, so the titles are ours.
fn failure(code: Option<String>, word: &str) -> DeliveryError {
    use ErrorClass::{Configuration, Fallback, Retry, Sender};
    let code = code.filter(|code| code.len() <= 3 && code.bytes().all(|byte| byte.is_ascii_digit()));
    let (class, title) = match code.as_deref() {
        Some("402") => (Fallback, "no route to this number"),
        Some("403") => (Retry, "internal error at the operator or at Sinch"),
        Some("404") => (Retry, "not deliverable for now"),
        Some("405") => (Configuration, "a parameter of the text was not set"),
        Some("406") => (Fallback, "expired before it could be delivered"),
        Some("407") => (Fallback, "canceled"),
        Some("408") => (Fallback, "rejected by the operator"),
        Some("410") => {
            (Sender, "the service plan has no sender for this number: set one up, or change `from`")
        }
        Some("411") => (Configuration, "the text has too many parts: shorten it"),
        Some("412") => (Configuration, "the service plan may not send to this region"),
        Some("413") => (Sender, "the service plan is blocked or out of credit"),
        Some(_) | None => (Fallback, ""),
    };
    let title = if title.is_empty() { status::no_reason("Sinch", word) } else { title.to_owned() };
    DeliveryError { code: code.unwrap_or_else(|| "no_reason".to_owned()), title, class }
}
