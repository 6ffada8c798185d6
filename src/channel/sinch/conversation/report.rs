//! Parses webhooks of the Conversation API. The first known key of the object names its subject.

use serde::Deserialize;
use serde_json::Value;

use super::errors::Reason;
use crate::channel::status;
use crate::channel::wire::{self, Text};
use crate::channel::{Consent, Delivery, IgnoreReason, Inbound, Intent, Unknown, lenient, scrub};
use crate::excerpt;
use crate::verification::values::{Alias, MessageId, ProviderRef, Report, ReportStatus, Timestamp};

/// Keys that accompany the subject.
const ENVELOPE: [&str; 6] =
    ["app_id", "accepted_time", "event_time", "project_id", "message_metadata", "correlation_id"];
/// Subjects that do not matter here.
const IGNORED_SUBJECTS: [&str; 15] = [
    "event",
    "capability_notification",
    "channel_event_notification",
    "contact_create_notification",
    "contact_delete_notification",
    "contact_merge_notification",
    "contact_update_notification",
    "contact_identities_duplication_notification",
    "conversation_start_notification",
    "conversation_stop_notification",
    "conversation_delete_notification",
    "event_delivery_report",
    "record_notification",
    "smart_conversation_notification",
    "unsupported_callback",
];
/// The payload of the button "I didn't request a code" of Meta's authentication templates.
const DID_NOT_REQUEST_CODE: &str = "DID_NOT_REQUEST_CODE";

pub(super) fn parse(body: &[u8], app_id: &str) -> Delivery {
    let text = lenient::repaired(body).unwrap_or_default();
    match serde_json::from_str::<Value>(&text) {
        Ok(json) if json.is_object() => delivery(&json, app_id),
        Ok(_) | Err(_) => Delivery::unreadable("it is not a JSON object"),
    }
}

/// The fields that accompany the subject.
struct Envelope {
    at: Option<Timestamp>,
    reference: Option<MessageId>,
}

fn delivery(json: &Value, app_id: &str) -> Delivery {
    let mut delivery = Delivery::default();
    let word = |name: &str| json.get(name).and_then(wire::word);
    if let Some(other) = word("app_id").filter(|named| named != app_id) {
        delivery.ignore(Some(&other), IgnoreReason::Unknown, 1);
        return delivery;
    }
    let envelope = Envelope {
        at: word("event_time").or_else(|| word("accepted_time")).and_then(|text| text.parse().ok()),
        reference: word("message_metadata").and_then(|text| message_id(&text)),
    };
    let subject = |name: &str| json.get(name);
    if let Some(report) = subject("message_delivery_report") {
        delivery.take_report(report, &envelope);
    } else if let Some(notice) = subject("message_submit_notification") {
        delivery.take_submit(notice, &envelope);
    } else if let Some(message) = subject("message") {
        delivery.take_contact_message(message);
    } else if let Some(notice) = subject("opt_in_notification") {
        delivery.take_consent(notice, Consent::Given);
    } else if let Some(notice) = subject("opt_out_notification") {
        delivery.take_consent(notice, Consent::Withdrawn);
    } else if IGNORED_SUBJECTS.iter().any(|name| subject(name).is_some()) {
        delivery.count(Unknown::Event);
    } else if json.as_object().is_some_and(|fields| fields.keys().any(|key| !ENVELOPE.contains(&&**key))) {
        delivery.count(Unknown::Field);
    } else {
        return Delivery::unreadable("it has no content besides its time and its app");
    }
    delivery
}

/// Lenient about case, because some systems change it.
fn message_id(text: &str) -> Option<MessageId> {
    text.trim().to_ascii_lowercase().parse().ok()
}

#[derive(Default, Deserialize)]
struct Identity<'a> {
    #[serde(borrow, default)]
    channel: Text<'a>,
    #[serde(borrow, default)]
    identity: Text<'a>,
}

impl<'a> Identity<'a> {
    fn of(item: &'a Value) -> Self {
        item.get("channel_identity").and_then(|value| Self::deserialize(value).ok()).unwrap_or_default()
    }

    fn aliases(&self) -> Vec<Alias> {
        self.identity.get().and_then(Alias::number).into_iter().collect()
    }
}

impl Delivery {
    fn take_report(&mut self, item: &Value, envelope: &Envelope) {
        let Some(word) = item.get("status").and_then(wire::word) else {
            return self.count(Unknown::Item);
        };
        let identity = Identity::of(item);
        let failure = || {
            let reason = item.get("reason").and_then(|reason| Reason::deserialize(reason).ok());
            reason.unwrap_or_default().into_error(identity.channel.is("WHATSAPP"), &word)
        };
        let status = status::report(&word, failure).or_else(|| {
            self.count(Unknown::Status);
            status::unknown(&word)
        });
        if let Some(status) = status {
            self.report(item, envelope, &identity, status);
        }
    }

    /// Sinch has submitted the message to the channel.
    fn take_submit(&mut self, item: &Value, envelope: &Envelope) {
        self.report(item, envelope, &Identity::of(item), ReportStatus::Sent);
    }

    fn report(&mut self, item: &Value, envelope: &Envelope, identity: &Identity<'_>, status: ReportStatus) {
        let provider_ref = reference(item, "message_id");
        let own = item.get("metadata").and_then(wire::word).and_then(|text| message_id(&text));
        let reference = own.or(envelope.reference);
        if provider_ref.is_none() && reference.is_none() {
            return self.count(Unknown::Item);
        }
        let (reported_at, aliases) = (envelope.at, identity.aliases());
        self.reports.push(Report { status, reported_at, provider_ref, reference, aliases });
    }

    fn take_contact_message(&mut self, item: &Value) {
        let Some(provider_ref) = reference(item, "id") else { return self.count(Unknown::Item) };
        if item.get("direction").and_then(Value::as_str) == Some("TO_CONTACT") {
            return self.count(Unknown::Event);
        }
        let said = item.get("contact_message").unwrap_or(&Value::Null);
        let kind = said.as_object().and_then(|fields| {
            fields.keys().find_map(|key| key.strip_suffix("_message").map(|kind| (kind, &fields[key])))
        });
        let text = match kind {
            Some(("text", content)) => content.get("text"),
            Some(("choice_response", content)) => content.get("postback_data"),
            Some(("fallback", content)) => content.get("raw_message"),
            Some(("media" | "location" | "media_card" | "product_response" | "channel_specific", _)) => None,
            Some(_) | None => {
                self.count(Unknown::MessageType);
                None
            }
        };
        let text = text.and_then(Value::as_str).filter(|text| !text.is_empty());
        let answered = match kind {
            Some(("choice_response", content)) => reference(content, "message_id"),
            Some(_) | None => said.get("reply_to").and_then(|reply| reference(reply, "message_id")),
        };
        let disowned = matches!(kind, Some(("choice_response", _))) && text == Some(DID_NOT_REQUEST_CODE);
        let from = match Identity::of(item).identity.get().and_then(Alias::number) {
            Some(Alias::Number(number)) => Some(number.into()),
            Some(Alias::User(_)) | None => None,
        };
        let at = item.get("accept_time").and_then(Value::as_str).and_then(|text| text.parse().ok());
        self.inbound.push(Inbound {
            provider_ref,
            from,
            user_id: None,
            profile_name: None,
            at,
            kind: kind.and_then(|(kind, _)| scrub::token(kind)).unwrap_or_else(|| "unknown".to_owned()),
            text: text.map(|text| excerpt::of_chars(text, Inbound::MAX_TEXT_CHARS)),
            in_reply_to: answered,
            intent: if disowned { Intent::CodeDisowned } else { Intent::Reply },
        });
    }

    /// Counts an opt-in or opt-out unless Sinch failed to apply it.
    fn take_consent(&mut self, item: &Value, consent: Consent) {
        match item.get("status").and_then(Value::as_str) {
            Some(status) if status.ends_with("_SUCCEEDED") => {
                *self.consents.entry(consent).or_default() += 1;
            }
            Some(_) | None => self.count(Unknown::Event),
        }
    }
}

fn reference(item: &Value, name: &str) -> Option<ProviderRef> {
    wire::reference(item.get(name)?)
}
