//! Meta's errors, classed by their code alone.

use reqwest::StatusCode;
use serde_json::Value;

use crate::channel::scrub;
use crate::explain;
use crate::verification::values::{DeliveryError, ErrorClass};

/// An error object, of an answer or of a webhook.
pub struct MetaError<'a> {
    pub code: i64,
    object: &'a Value,
}

impl<'a> MetaError<'a> {
    /// `None` where there is no code, which makes it no error of Meta's.
    pub fn read(object: &'a Value) -> Option<Self> {
        let code = match object.get("code")? {
            Value::String(text) => text.parse().ok()?,
            number => number.as_i64()?,
        };
        Some(Self { code, object })
    }

    /// `secrets` is what Meta may have quoted from the request.
    pub fn into_delivery_error(self, class: ErrorClass, secrets: &[&str]) -> DeliveryError {
        DeliveryError { code: self.code.to_string(), title: self.title(secrets), class }
    }

    /// Both the heading and the details: neither can be asked for again.
    pub fn title(&self, secrets: &[&str]) -> String {
        let text =
            |pointer| self.object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        let heading = text("/title").or(text("/message")).map(without_code).unwrap_or("no title");
        match text("/error_data/details").filter(|details| *details != heading) {
            Some(details) => {
                let heading = heading.trim_end_matches('.');
                scrub::title_without(&format!("{heading}: {details}"), secrets)
            }
            None => scrub::title_without(heading, secrets),
        }
    }
}

/// The class of a code in a `failed` status.
pub fn class_of(code: i64) -> ErrorClass {
    known_class(code).unwrap_or(ErrorClass::Fallback)
}

/// The class of a code in an answer. Only for a code that nobody knows does the HTTP status count: a server that
/// is at fault or overloaded may do better next time.
pub fn class_of_answer(code: i64, status: StatusCode) -> ErrorClass {
    let busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    known_class(code).unwrap_or(if busy { ErrorClass::Retry } else { ErrorClass::Fallback })
}

fn known_class(code: i64) -> Option<ErrorClass> {
    explain::meta_code(u32::try_from(code).ok()?)?.class()
}

/// Answers begin their message with `(#131026) `.
fn without_code(message: &str) -> &str {
    message
        .strip_prefix("(#")
        .and_then(|rest| rest.split_once(')'))
        .filter(|(code, _)| code.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(message, |(_, words)| words.trim_start())
}
