//! Twilio's response to a send: `{"sid", "status"}`, or `{"code", "message", "more_info", "status"}`.

use serde_json::Value;

use super::errors;
use crate::channel::exchange::{Answer, Confidential, Received, WithRetryAfter as _, require_response};
use crate::channel::status;
use crate::channel::{in_doubt, lenient, refused, scrub, wire};
use crate::verification::values::{DeliveryError, ErrorClass, Outcome};

/// A 2xx is accepted even without an id, because the URL of the status callbacks also names the message. Twilio has no
/// idempotency key, so a 5xx without a known code is in doubt.
pub(super) fn read(answer: Answer, confidential: &Confidential<'_>) -> Outcome {
    let received = match require_response(answer) {
        Ok(received) => received,
        Err(outcome) => return outcome,
    };
    let json =
        received.body.as_deref().and_then(|body| lenient::find(body, twilio_response)).unwrap_or_default();
    if received.status.is_success() {
        return failed_already(&json, confidential).unwrap_or_else(|| Outcome::Accepted {
            provider_ref: json.get("sid").and_then(wire::reference),
        });
    }
    match json.get("code").and_then(code) {
        Some(code) => refusal(code, &received, confidential),
        None => received.outcome_by_status(confidential),
    }
}

/// Recognizes Twilio's response object, also when a proxy wrapped it.
fn twilio_response(json: &Value) -> Option<Value> {
    ["sid", "code"].iter().any(|name| json.get(name).is_some()).then(|| json.clone())
}

fn code(value: &Value) -> Option<u32> {
    wire::word(value)?.parse().ok()
}

fn refusal(code: u32, received: &Received, confidential: &Confidential<'_>) -> Outcome {
    let class = errors::class_of_code(code);
    match class {
        Some(ErrorClass::InDoubt) => in_doubt(&code.to_string(), received.error_text(confidential)),
        Some(class) => refused(code.to_string(), received.error_text(confidential), class)
            .with_retry_after(received.retry_after),
        None => numbered(received.outcome_by_status(confidential), code),
    }
}

/// Replaces the HTTP status in the error by Twilio's code.
fn numbered(outcome: Outcome, code: u32) -> Outcome {
    let number = |error: DeliveryError| DeliveryError { code: code.to_string(), ..error };
    match outcome {
        Outcome::Refused { error, retry_after } => Outcome::Refused { error: number(error), retry_after },
        Outcome::InDoubt { error } => Outcome::InDoubt { error: number(error) },
        Outcome::Accepted { .. } | Outcome::Held { .. } => outcome,
    }
}

/// A message that failed before Twilio sent the response. It is not retried, because Twilio has accepted it.
fn failed_already(json: &Value, confidential: &Confidential<'_>) -> Option<Outcome> {
    let word = json.get("status").and_then(Value::as_str)?;
    let code = json.get("error_code").and_then(code)?;
    if status::meaning(word) != Some(status::FAILED) {
        return None;
    }
    let (class, known_words) = match errors::known(code) {
        Some((_, ErrorClass::InDoubt, _)) => return None,
        Some((_, ErrorClass::Retry, words)) => (ErrorClass::Fallback, Some(*words)),
        Some((_, class, words)) => (*class, Some(*words)),
        None => (ErrorClass::Fallback, None),
    };
    let said = json.get("error_message").and_then(Value::as_str);
    let said = said.and_then(|said| scrub::non_empty(scrub::reason(said, confidential.as_slice())));
    let title = said.or_else(|| known_words.map(str::to_owned));
    let title = title.unwrap_or_else(|| status::no_reason("Twilio", word));
    Some(refused(code.to_string(), title, class))
}
