//! Meta's response to a send.

use serde::Deserialize;
use serde_json::Value;

use super::errors::{MetaError, class_of_answer};
use super::webhook::aliases;
use crate::channel::exchange::{Answer, Confidential, Received, require_response};
use crate::channel::wire::Text;
use crate::channel::{Sent, in_doubt, lenient, wire};
use crate::verification::values::{Alias, Outcome};

/// An error object is a refusal, whatever the HTTP status. A response with neither an error nor a message id is
/// classified by its status.
pub(super) fn read(answer: Answer, confidential: &Confidential<'_>) -> Sent {
    let received = match require_response(answer) {
        Ok(received) => received,
        Err(outcome) => return outcome.into(),
    };
    let json =
        received.body.as_deref().and_then(|body| lenient::find(body, meta_response)).unwrap_or_default();
    if let Some(error) = json.get("error").and_then(MetaError::read) {
        return refusal(error, &received, confidential).into();
    }
    if !received.status.is_success() {
        return received.outcome_by_status(confidential).into();
    }
    match accepted(&json) {
        Some(outcome) => Sent { outcome, aliases: addressee(&json) },
        None => {
            in_doubt("unreadable_answer", format!("Meta answered {} without a message id", received.status))
                .into()
        }
    }
}

/// Meta's ids for the recipient; they may differ from the requested number.
fn addressee(json: &Value) -> Vec<Alias> {
    let contact = json.pointer("/contacts/0").and_then(|contact| Contact::deserialize(contact).ok());
    contact.map(|contact| aliases(contact.wa_id.get(), contact.user_id.get())).unwrap_or_default()
}

#[derive(Deserialize)]
struct Contact<'a> {
    #[serde(borrow, default)]
    wa_id: Text<'a>,
    #[serde(borrow, default)]
    user_id: Text<'a>,
}

/// Recognizes Meta's response object, also when a proxy wrapped it.
fn meta_response(json: &Value) -> Option<Value> {
    ["error", "messages"].iter().any(|name| json.get(name).is_some()).then(|| json.clone())
}

fn refusal(error: MetaError<'_>, received: &Received, confidential: &Confidential<'_>) -> Outcome {
    let class = class_of_answer(error.code, received.status);
    let error = error.into_delivery_error(class, confidential.as_slice());
    Outcome::Refused { error, retry_after: received.retry_after }
}

/// `message_status` is often missing and an open set. Two of its values mean that Meta holds the message until it has
/// feedback on the template (Meta's OpenAPI document, v23.0).
fn accepted(json: &Value) -> Option<Outcome> {
    let message = json.pointer("/messages/0")?;
    let provider_ref = wire::reference(message.get("id")?)?;
    match message.get("message_status").and_then(Value::as_str) {
        Some("held_for_quality_assessment" | "paused") => Some(Outcome::Held { provider_ref }),
        _ => Some(Outcome::Accepted { provider_ref: Some(provider_ref) }),
    }
}
