//! Outcomes of attempts and reports of providers.

use std::time::Duration;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{KnownAs, MessageId, ProviderRef, Timestamp};

/// The consequence of a refusal or failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum ErrorClass {
    /// Temporary: retry the same message.
    #[n(0)]
    Retry,
    /// This channel fails: start the next step at once.
    #[n(1)]
    Fallback,
    /// The sender is not allowed to send: start the next step; an operator must act.
    #[n(2)]
    Sender,
    /// The person cannot be reached on this channel: start the next step.
    #[n(3)]
    Recipient,
    /// The request or the set-up is wrong: start the next step; an operator must act.
    #[n(4)]
    Configuration,
    /// Unknown whether the message was sent.
    #[n(5)]
    InDoubt,
}

impl ErrorClass {
    /// The spelling of the API and the logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Fallback => "fallback",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Configuration => "configuration",
            Self::InDoubt => "in_doubt",
        }
    }
}

/// Why a message was refused or failed. `code` and `title` are the provider's words, or ours; `title` is cut to 200
/// characters and contains neither a number nor a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct DeliveryError {
    #[n(0)]
    pub code: String,
    #[n(1)]
    pub title: String,
    #[n(2)]
    pub class: ErrorClass,
}

/// The outcome of one attempt, that is of one HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider accepted the message. `provider_ref` is its id of the message if the answer contains it; a report
    /// that carries our reference may bring it later.
    Accepted { provider_ref: Option<ProviderRef> },
    /// Accepted, but held until the provider has reviewed the template (Meta's template pacing), which takes longer
    /// than a code is good.
    Held { provider_ref: ProviderRef },
    /// Not sent. `retry_after` is the wait that the provider asks for.
    Refused { error: DeliveryError, retry_after: Option<Duration> },
    /// The request was sent and its answer was lost or unreadable. `error.class` is [`ErrorClass::InDoubt`].
    InDoubt { error: DeliveryError },
}

/// A status that a provider reports later about a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(flat)]
pub enum ReportStatus {
    #[n(0)]
    Sent,
    #[n(1)]
    Delivered,
    #[n(2)]
    Read,
    #[n(3)]
    Failed(#[n(0)] DeliveryError),
    /// A status unknown to this version, at most [`ReportStatus::MAX_WORD_CHARS`] long and without numbers. It is
    /// recorded and changes nothing.
    #[n(4)]
    Unknown(#[n(0)] String),
}

impl ReportStatus {
    /// The longest status word of a provider known to us has 35 characters.
    pub const MAX_WORD_CHARS: usize = 64;
    /// The values of [`ReportStatus::name`].
    pub const NAMES: [&'static str; 5] = ["sent", "delivered", "read", "failed", "unknown"];

    pub fn name(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed(_) => "failed",
            Self::Unknown(_) => "unknown",
        }
    }

    /// As [`ReportStatus::name`], but the provider's word for an unknown status, so that two of those differ.
    pub fn word(&self) -> &str {
        match self {
            Self::Unknown(word) => word,
            known @ (Self::Sent | Self::Delivered | Self::Read | Self::Failed(_)) => known.name(),
        }
    }
}

/// One report about one message, from any provider. `A` is an [`Alias`](super::Alias) until the vault has hidden it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report<A = KnownAs> {
    pub status: ReportStatus,
    /// The time of the status by the provider's clock.
    pub reported_at: Option<Timestamp>,
    /// The provider's id of the message.
    pub provider_ref: Option<ProviderRef>,
    /// Our id of the message, where the provider returns it.
    pub reference: Option<MessageId>,
    /// The provider's names for the recipient.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<A>,
}
