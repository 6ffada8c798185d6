//! Sinch's reason codes for failed messages (SDKs for Node.js 1.5.0 and for Java of July 2026).

use serde::Deserialize;

use crate::channel::meta::class_of_code;
use crate::channel::wire::Text;
use crate::channel::{scrub, status};
use crate::verification::values::{DeliveryError, ErrorClass};

/// The `reason` of a report.
#[derive(Default, Deserialize)]
pub(super) struct Reason<'a> {
    #[serde(borrow, default)]
    code: Text<'a>,
    #[serde(borrow, default)]
    description: Text<'a>,
    #[serde(borrow, default)]
    sub_code: Text<'a>,
    /// The underlying channel's code; on WhatsApp it is Meta's.
    #[serde(borrow, default)]
    channel_code: Text<'a>,
}

impl Reason<'_> {
    /// `word` is the status of the report.
    pub(super) fn into_error(self, on_whatsapp: bool, word: &str) -> DeliveryError {
        let title = self.description.get().map(scrub::title).and_then(scrub::non_empty);
        let metas = self.channel_code.get().filter(|_| on_whatsapp).and_then(meta);
        let (code, class) = match (metas, self.code.get()) {
            (Some((code, class)), _) => (Some(code), class),
            (None, Some(code)) => (scrub::token(code), class_of(code, self.sub_code.get())),
            (None, None) => (None, ErrorClass::Fallback),
        };
        DeliveryError {
            title: title.or_else(|| code.clone()).unwrap_or_else(|| status::no_reason("Sinch", word)),
            code: code.unwrap_or_else(|| "no_reason".to_owned()),
            class,
        }
    }
}

/// `None` for codes that Meta does not document; then Sinch's own code is more useful.
fn meta(code: &str) -> Option<(String, ErrorClass)> {
    let number = code.trim().parse().ok()?;
    Some((u32::to_string(&number), class_of_code(number)?))
}

fn class_of(code: &str, sub_code: Option<&str>) -> ErrorClass {
    if sub_code == Some("INACTIVE_SENDER") {
        return ErrorClass::Sender;
    }
    match code {
        "RECIPIENT_NOT_REACHABLE"
        | "RECIPIENT_INVALID_CHANNEL_IDENTITY"
        | "NO_CHANNEL_IDENTITY_FOR_CONTACT" => ErrorClass::Recipient,
        "RATE_LIMITED" | "INTERNAL_ERROR" => ErrorClass::Retry,
        "CHANNEL_BAD_CONFIGURATION"
        | "CHANNEL_CONFIGURATION_MISSING"
        | "UNKNOWN_APP"
        | "NO_PERMISSION"
        | "INACTIVE_CREDENTIAL" => ErrorClass::Sender,
        "BAD_REQUEST"
        | "MESSAGE_SPLIT_REQUIRED"
        | "OUTSIDE_ALLOWED_SENDING_WINDOW"
        | "DELIVERY_REJECTED_DUE_TO_POLICY"
        | "UNSUPPORTED_OPERATION" => ErrorClass::Configuration,
        template if template.starts_with("TEMPLATE_") => ErrorClass::Configuration,
        // Includes RECIPIENT_NOT_OPTED_IN, CHANNEL_FAILURE, CHANNEL_REJECT, DELIVERY_TIMED_OUT, MESSAGE_EXPIRED.
        _ => ErrorClass::Fallback,
    }
}
