//! What happened to a verification. A stream of these is all that is kept of it: the state is their fold, the
//! timeline is their list, and `fixtures/streams/` holds old ones that must fold the same for ever.
//! So names and fields only get added, with a default.

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
        /// When the next step starts unless something is delivered first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(4)]
        fallback_at: Option<Timestamp>,
    },
    /// Durable before the first byte leaves.
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
        /// What the provider calls the message, where its answer says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(2)]
        provider_ref: Option<ProviderRef>,
        /// What the provider's answer was the first to call the person.
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
        /// When the same message is tried again; `None`: never.
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
        /// When the doubt rule of the last step sends the same code once more; `None`: it does not.
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
        /// What the provider calls the message, where the report was the first to say so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[n(4)]
        provider_ref: Option<ProviderRef>,
        /// What the report was the first to call the person.
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
    /// twotick cannot go on with it and has canceled it.
    #[n(20)]
    Abandoned {
        #[n(0)]
        reason: AbandonReason,
    },
    /// The person is forgotten: number, texts and reasons are shown and found no more, whatever of them can still be
    /// opened.
    #[n(19)]
    Erased,
    /// A person of the staff did this; what follows from it stands behind it in the same commit.
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

/// Why twotick cannot go on with a pending verification. Found at a start, when the configuration or the keys are not
/// those with which it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum AbandonReason {
    /// The key that sealed its number or its code is missing, so the code can neither be sent nor checked.
    #[n(0)]
    KeyLost,
    /// Its app is not configured any more, so nobody can check the code.
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
    /// The number was shown in full.
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
    /// Its step's turn had come.
    #[n(0)]
    Step,
    /// Somebody asked for the code once more.
    #[n(1)]
    Resend,
    /// The doubt rule of the last step.
    #[n(2)]
    Doubt,
}

/// Whether what a provider told was news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Standing {
    #[default]
    #[n(0)]
    Applied,
    /// A duplicate, or older than what is known.
    #[n(1)]
    Stale,
}

impl Standing {
    fn is_applied(&self) -> bool {
        *self == Self::Applied
    }
}

/// Whether it is certain which code a person disowned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Aim {
    #[default]
    #[n(0)]
    This,
    /// It may have been another one: each is told, and none is canceled.
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
    /// Nothing was delivered within the step's time.
    #[n(0)]
    Deadline,
    /// The provider reported that it failed.
    #[n(1)]
    Failed,
    /// The provider did not take it.
    #[n(2)]
    Refused,
    /// The doubt about the message was not settled in time.
    #[n(3)]
    InDoubt,
    /// An app or a person of the staff asked for it.
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

/// What must be done outside because of an event, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Carry out this attempt, as one request.
    Submit { message: Ordinal, attempt: u16 },
    /// Tell the operator: our sender or our set-up is refused.
    Alert { message: Ordinal, error: DeliveryError },
}

/// The one place where an event turns into something outside.
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
