//! The events of a verification. Its stream of events is all that is stored of it: the state is their fold, the
//! timeline is their list. `fixtures/streams/` holds streams whose fold must not change.

use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::command::Request;
use super::compact;
use super::values::{
    ChannelName, DeliveryError, ErrorClass, NumberIndex, Ordinal, ProviderRef, ReportStatus, Runner, Sealed,
    Timestamp, UserName,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Timestamp,
    pub fact: Fact,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(flat)]
pub enum Fact {
    #[n(0)]
    Requested {
        #[cbor(n(0), with = "compact::shared")]
        request: Arc<Request>,
        #[n(1)]
        expires_at: Timestamp,
    },
    #[n(1)]
    MessageQueued {
        #[n(0)]
        message: Ordinal,
        #[n(1)]
        step: u8,
        #[n(2)]
        channel: ChannelName,
        #[n(3)]
        occasion: Occasion,
        /// When the next step starts, unless a message is delivered before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(4)]
        fallback_at: Option<Timestamp>,
    },
    /// The intent to send a request. Durable before the first byte is sent.
    #[n(2)]
    SendStarted {
        #[n(0)]
        message: Ordinal,
        #[n(1)]
        attempt: u16,
        /// The runner that sends the request.
        #[n(2)]
        runner: Runner,
    },
    #[n(3)]
    SendAccepted {
        #[n(0)]
        message: Ordinal,
        #[n(1)]
        attempt: u16,
        /// The provider's id of the message, if the answer contains it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(2)]
        provider_ref: Option<ProviderRef>,
        /// Names of the person that are new with this answer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cbor(n(3), skip_if = "Vec::is_empty")]
        aliases: Vec<NumberIndex>,
    },
    #[n(4)]
    SendRefused {
        #[n(0)]
        message: Ordinal,
        #[n(1)]
        attempt: u16,
        #[n(2)]
        error: DeliveryError,
        /// When the message is retried; `None`: never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(3)]
        retry_at: Option<Timestamp>,
    },
    #[n(5)]
    SendInDoubt {
        #[n(0)]
        message: Ordinal,
        #[n(1)]
        attempt: u16,
        #[n(2)]
        error: DeliveryError,
        /// When the same code is sent once more by `on_doubt` of the last step; `None`: never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(3)]
        settle_by: Option<Timestamp>,
    },
    #[n(6)]
    Reported {
        #[n(0)]
        message: Ordinal,
        #[n(1)]
        status: ReportStatus,
        #[n(2)]
        standing: Standing,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(3)]
        reported_at: Option<Timestamp>,
        /// The provider's id of the message, if it is new with this report.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(4)]
        provider_ref: Option<ProviderRef>,
        /// Names of the person that are new with this report.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cbor(n(5), skip_if = "Vec::is_empty")]
        aliases: Vec<NumberIndex>,
    },
    #[n(7)]
    FellBack {
        #[n(0)]
        message: Ordinal,
        #[n(1)]
        to_step: u8,
        #[n(2)]
        reason: FallbackReason,
    },
    #[n(8)]
    StepSkipped {
        #[n(0)]
        message: Ordinal,
    },
    #[n(9)]
    GaveUp,
    #[n(10)]
    CheckPassed,
    #[n(11)]
    CheckFailed,
    #[n(12)]
    ChecksExhausted,
    #[n(13)]
    ResendRequested {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(0)]
        channel: Option<ChannelName>,
    },
    #[n(14)]
    ReplyReceived {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(0)]
        message: Option<Ordinal>,
        #[n(1)]
        kind: String,
        #[serde(default, skip_serializing_if = "Standing::is_applied")]
        #[n(2)]
        standing: Standing,
    },
    #[n(15)]
    CodeDisowned {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(0)]
        message: Option<Ordinal>,
        #[serde(default, skip_serializing_if = "Standing::is_applied")]
        #[n(1)]
        standing: Standing,
        #[serde(default, skip_serializing_if = "Aim::is_this")]
        #[cbor(n(2), skip_if = "Aim::is_this")]
        aim: Aim,
    },
    #[n(16)]
    Expired,
    #[n(17)]
    Canceled,
    /// twotick could not continue the verification and canceled it.
    #[n(20)]
    Abandoned {
        #[n(0)]
        reason: AbandonReason,
    },
    /// The person is forgotten: number, texts and reasons are neither shown nor found, even if they could still be
    /// opened.
    #[n(19)]
    Erased,
    /// An action of the staff. Its consequences follow as facts of their own in the same commit.
    #[n(18)]
    OperatorActed {
        #[n(0)]
        by: UserName,
        #[n(1)]
        action: OperatorAction,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(2)]
        reason: Option<Sealed>,
    },
}

/// Why twotick cannot continue a pending verification. Found at a start, if the configuration or the keys have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum AbandonReason {
    /// The key that sealed its number or its code is missing, so the code can neither be sent nor checked.
    #[n(0)]
    KeyLost,
    /// The app is no longer configured, so the code cannot be checked.
    #[n(1)]
    AppRemoved,
}

impl AbandonReason {
    pub const ALL: [Self; 2] = [Self::KeyLost, Self::AppRemoved];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyLost => "key_lost",
            Self::AppRemoved => "app_removed",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum OperatorAction {
    /// The full number was shown.
    #[n(0)]
    Reveal,
    #[n(1)]
    Resend,
    #[n(2)]
    Next,
    #[n(3)]
    Cancel,
}

impl OperatorAction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reveal => "reveal",
            Self::Resend => "resend",
            Self::Next => "next",
            Self::Cancel => "cancel",
        }
    }
}

/// Why a message was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Occasion {
    /// Its step began.
    #[n(0)]
    Step,
    /// A resend was requested.
    #[n(1)]
    Resend,
    /// The code is sent once more by `on_doubt` of the last step.
    #[n(2)]
    Doubt,
}

/// Whether a report changed anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Standing {
    #[default]
    #[n(0)]
    Applied,
    /// A duplicate, or older than the known state.
    #[n(1)]
    Stale,
}

impl Standing {
    fn is_applied(&self) -> bool {
        *self == Self::Applied
    }
}

/// Whether it is certain which code the person disowned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Aim {
    #[default]
    #[n(0)]
    This,
    /// It may have been another one: each candidate records it, and none is canceled.
    #[n(1)]
    Perhaps,
}

impl Aim {
    fn is_this(&self) -> bool {
        *self == Self::This
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum FallbackReason {
    /// No message was delivered within `deliver_within` of the step.
    #[n(0)]
    Deadline,
    /// The provider reported a failure.
    #[n(1)]
    Failed,
    /// The provider refused the message.
    #[n(2)]
    Refused,
    /// The message was still in doubt after its wait.
    #[n(3)]
    InDoubt,
    /// An app or a member of the staff requested it.
    #[n(4)]
    Requested,
}

impl FallbackReason {
    pub const ALL: [Self; 5] = [Self::Deadline, Self::Failed, Self::Refused, Self::InDoubt, Self::Requested];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::InDoubt => "in_doubt",
            Self::Requested => "requested",
        }
    }
}

/// The action that an event requires outside, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this attempt as one request.
    Submit { message: Ordinal, attempt: u16 },
    /// Alert the operator: the provider refuses the sender or the set-up.
    Alert { message: Ordinal, error: DeliveryError },
}

/// The action of an event. Exhaustive, so that no kind of event is forgotten.
pub fn effect(event: &Event) -> Option<Effect> {
    match &event.fact {
        Fact::SendStarted { message, attempt, .. } => {
            Some(Effect::Submit { message: *message, attempt: *attempt })
        }
        Fact::SendRefused { message, error, .. }
        | Fact::Reported {
            message, status: ReportStatus::Failed(error), standing: Standing::Applied, ..
        } => match error.class {
            ErrorClass::Sender | ErrorClass::Configuration => {
                Some(Effect::Alert { message: *message, error: error.clone() })
            }
            ErrorClass::Retry | ErrorClass::Fallback | ErrorClass::Recipient | ErrorClass::InDoubt => None,
        },
        Fact::Requested { .. }
        | Fact::MessageQueued { .. }
        | Fact::SendAccepted { .. }
        | Fact::SendInDoubt { .. }
        | Fact::Reported { .. }
        | Fact::FellBack { .. }
        | Fact::StepSkipped { .. }
        | Fact::GaveUp
        | Fact::CheckPassed
        | Fact::CheckFailed
        | Fact::ChecksExhausted
        | Fact::ResendRequested { .. }
        | Fact::ReplyReceived { .. }
        | Fact::CodeDisowned { .. }
        | Fact::Expired
        | Fact::Canceled
        | Fact::Abandoned { .. }
        | Fact::Erased
        | Fact::OperatorActed { .. } => None,
    }
}
