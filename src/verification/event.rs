//! What happened to a verification. A stream of these is all that is kept of it: the state is their fold, the
//! timeline is their list, and `fixtures/streams/` holds old ones that must fold the same for ever.
//! So names and fields only get added, with a default.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::Request;
use super::values::{
    ChannelName, DeliveryError, ErrorClass, Ordinal, ProviderRef, ReportStatus, Sealed, Timestamp, UserName,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Timestamp,
    pub fact: Fact,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    Requested {
        request: Arc<Request>,
        expires_at: Timestamp,
    },
    MessageQueued {
        message: Ordinal,
        step: u8,
        channel: ChannelName,
        occasion: Occasion,
        /// When the next step starts unless something is delivered first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fallback_at: Option<Timestamp>,
    },
    /// Durable before the first byte leaves.
    SendStarted {
        message: Ordinal,
        attempt: u16,
    },
    SendAccepted {
        message: Ordinal,
        attempt: u16,
        provider_ref: ProviderRef,
    },
    SendRefused {
        message: Ordinal,
        attempt: u16,
        error: DeliveryError,
        /// When the same message is tried again; `None`: never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    SendInDoubt {
        message: Ordinal,
        attempt: u16,
        error: DeliveryError,
        /// When the doubt rule of the last step sends the same code once more; `None`: it does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settle_by: Option<Timestamp>,
    },
    Reported {
        message: Ordinal,
        status: ReportStatus,
        standing: Standing,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reported_at: Option<Timestamp>,
        /// What the provider calls the message, where the report was the first to say so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_ref: Option<ProviderRef>,
    },
    FellBack {
        message: Ordinal,
        to_step: u8,
        reason: FallbackReason,
    },
    StepSkipped {
        message: Ordinal,
    },
    GaveUp,
    CheckPassed,
    CheckFailed,
    ChecksExhausted,
    ResendRequested {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<ChannelName>,
    },
    ReplyReceived {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Ordinal>,
        kind: String,
        #[serde(default, skip_serializing_if = "Standing::is_applied")]
        standing: Standing,
    },
    CodeDisowned {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Ordinal>,
        #[serde(default, skip_serializing_if = "Standing::is_applied")]
        standing: Standing,
    },
    Expired,
    Canceled,
    /// The person is forgotten: number, texts and reasons are shown and found no more, whatever of them can still be
    /// opened.
    Erased,
    /// A person of the staff did this; what follows from it stands behind it in the same commit.
    OperatorActed {
        by: UserName,
        action: OperatorAction,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Sealed>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorAction {
    /// The number was shown in full.
    Reveal,
    Resend,
    Next,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// Its step's turn had come.
    Step,
    /// Somebody asked for the code once more.
    Resend,
    /// The doubt rule of the last step.
    Doubt,
}

/// Whether what a provider told was news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    #[default]
    Applied,
    /// A duplicate, or older than what is known.
    Stale,
}

impl Standing {
    fn is_applied(&self) -> bool {
        *self == Self::Applied
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackReason {
    /// Nothing was delivered within the step's time.
    Deadline,
    /// The provider reported that it failed.
    Failed,
    /// The provider did not take it.
    Refused,
    /// The doubt about the message was not settled in time.
    InDoubt,
    /// An app or a person of the staff asked for it.
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
        Fact::SendStarted { message, attempt } => {
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
        | Fact::Erased
        | Fact::OperatorActed { .. } => None,
    }
}
