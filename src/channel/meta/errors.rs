//! Meta's errors, classified by their code alone.

use reqwest::StatusCode;
use serde_json::Value;

use crate::channel::scrub;
use crate::verification::values::{DeliveryError, ErrorClass};

/// An error object in a response or webhook.
pub struct MetaError<'a> {
    pub code: i64,
    object: &'a Value,
}

impl<'a> MetaError<'a> {
    /// `None` without a code: then it is not Meta's error object.
    pub fn read(object: &'a Value) -> Option<Self> {
        let code = match object.get("code")? {
            Value::String(text) => text.parse().ok()?,
            number => number.as_i64()?,
        };
        Some(Self { code, object })
    }

    /// `secrets` are strings of the request that Meta may quote.
    pub fn into_delivery_error(self, class: ErrorClass, secrets: &[&str]) -> DeliveryError {
        DeliveryError { code: self.code.to_string(), title: self.title(secrets), class }
    }

    /// The title and the details: neither can be fetched again later.
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

/// The class of an error code in a `failed` status.
pub fn class_of(code: i64) -> ErrorClass {
    class_of_any(code).unwrap_or(ErrorClass::Fallback)
}

/// The class of an error code in a response. The HTTP status decides only for unknown codes: a failing or overloaded
/// server may recover.
pub fn class_of_answer(code: i64, status: StatusCode) -> ErrorClass {
    let busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    class_of_any(code).unwrap_or(if busy { ErrorClass::Retry } else { ErrorClass::Fallback })
}

fn class_of_any(code: i64) -> Option<ErrorClass> {
    class_of_code(u32::try_from(code).ok()?)
}

/// The class of a documented code (Meta's error codes page, November 2025; later codes from client libraries and
/// documentation up to September 2026). `None` for any other. HTTP statuses vary and do not count.
pub fn class_of_code(code: u32) -> Option<ErrorClass> {
    Some(match code {
        1 | 2 | 4 | 80007 | 80008 | 130429 | 131000 | 131016 | 131057 | 133004 | 135000 => ErrorClass::Retry,
        131021 | 131026 | 137000 => ErrorClass::Recipient,
        130472 | 131049 | 131050 | 131056 => ErrorClass::Fallback,
        0 | 3 | 10 | 33 | 190 | 200..=299 | 368 => ErrorClass::Sender,
        131005 | 131031 | 131037 | 131042 | 131045 | 131048 | 131064 => ErrorClass::Sender,
        133000 | 133005 | 133006 | 133008..=133010 | 133015 | 133016 => ErrorClass::Sender,
        100 | 130497 | 131008 | 131009 | 131020 | 131030 | 131041 | 131047 | 131051..=131053 | 131055 => {
            ErrorClass::Configuration
        }
        131059 | 131060 | 131062 | 131063 | 131200..=131299 => ErrorClass::Configuration,
        132000 | 132001 | 132005 | 132007 | 132008 | 132012 | 132015 | 132016 | 132018 | 132068 | 132069 => {
            ErrorClass::Configuration
        }
        134011 | 134100..=134102 | 138000..=138999 | 139000..=139999 | 147000..=147999 | 200005..=200007 => {
            ErrorClass::Configuration
        }
        2388001 | 2388012 | 2388019 | 2388040 | 2388047 | 2388072 | 2388073 | 2388091 | 2388093 | 2388103
        | 2388293 | 2388299 | 2494100 => ErrorClass::Configuration,
        _ => return None,
    })
}

/// Strips the prefix `(#131026) ` that messages in responses start with.
fn without_code(message: &str) -> &str {
    message
        .strip_prefix("(#")
        .and_then(|rest| rest.split_once(')'))
        .filter(|(code, _)| code.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(message, |(_, words)| words.trim_start())
}
