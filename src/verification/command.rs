//! What can be asked of a verification, and why it may be refused. Time comes beside a command, randomness in it.

use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::event::{AbandonReason, Aim, Standing};
use super::policy::PolicyHash;
use super::state::Ending;
use super::values::{
    AppName, ChannelName, KnownAs, NumberIndex, NumberTail, Ordinal, Outcome, Report, Runner, Sealed,
    Timestamp, UserName, VerificationId,
};

#[derive(Clone, Debug)]
pub enum Command {
    /// An app wants a code sent. Only the first command of a stream.
    Request(Arc<Request>),
    /// Carries out what is due, if anything is. `readiness` is the answer of the channel that would send next, `runner` the
    /// process that would send the request.
    Tick {
        readiness: Readiness,
        runner: Runner,
    },
    /// The courier carried out an attempt. `aliases` are what the provider's answer calls the person, `jitter` spreads
    /// what is tried again.
    SendReported {
        message: Ordinal,
        attempt: u16,
        outcome: Outcome,
        aliases: Vec<KnownAs>,
        jitter: Jitter,
    },
    /// This runner is known to be gone: its attempts in progress never get an outcome and are in doubt. Attempts of other
    /// runners stay as they are.
    Interrupt {
        gone: Runner,
    },
    /// A provider tells what became of a message of this channel.
    Report {
        message: Ordinal,
        channel: ChannelName,
        report: Report,
    },
    /// Somebody typed a code; it was compared outside, in constant time.
    Check(Comparison),
    /// The same code once more, on the channel of the step in progress or on this one.
    Resend {
        channel: Option<ChannelName>,
    },
    /// The next step now instead of at its deadline.
    Next,
    Cancel,
    /// twotick cannot go on with it: a key or its app is gone.
    Abandon(AbandonReason),
    /// The person is to be forgotten; what is pending is canceled with it.
    Erase,
    /// A person of the staff does by hand what an app could, or looks at what is hidden from others.
    ByOperator {
        by: UserName,
        reason: Option<Sealed>,
        act: OperatorAct,
    },
    /// The person wrote back. Stale: the provider told of it before.
    Reply {
        message: Option<Ordinal>,
        kind: String,
        standing: Standing,
    },
    /// The person pressed "I didn't request a code". Stale: the provider told of it before.
    Disown {
        message: Option<Ordinal>,
        standing: Standing,
        aim: Aim,
    },
}

/// What a person of the staff does. All but the first keep to the rules that hold for apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorAct {
    /// Shows the number in full, whatever the state. Only that it was done is written down.
    Reveal,
    Resend {
        channel: Option<ChannelName>,
    },
    Next,
    Cancel,
}

/// What an app asked for, as far as the machine may know it: nothing here can be read by who steals the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Request {
    #[n(0)]
    pub id: VerificationId,
    #[n(1)]
    pub app: AppName,
    #[n(2)]
    pub policy: PolicyHash,
    #[n(3)]
    pub number: NumberIndex,
    /// Unknown of those that were requested before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(4)]
    pub tail: Option<NumberTail>,
    /// The number and the app's metadata.
    #[n(5)]
    pub person: Sealed,
    /// ISO 3166 code of the number's country, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(6)]
    pub country: Option<String>,
    /// The language that the app asked for, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(7)]
    pub locale: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(8)]
    pub client_ref: Option<String>,
    #[n(9)]
    pub code: CodeSource,
}

/// Where the code of a verification comes from. It is stored nowhere in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(flat)]
pub enum CodeSource {
    /// Made from the master key, the verification's id and this salt.
    #[n(0)]
    Derived {
        #[n(0)]
        salt: Sealed,
    },
    /// The app's own.
    #[n(1)]
    Custom {
        #[n(0)]
        code: Sealed,
    },
}

/// What a channel answers before a message may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Later: its rate or its number of open requests is reached. Nothing changes.
    Throttled,
    /// The sender was refused as such a short while ago.
    BreakerOpen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Match,
    Differ,
}

/// A random share, 0 to 1,000 thousandths, by which a wait is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter(u16);

impl Jitter {
    /// More than 1,000 counts as 1,000.
    pub fn thousandths(share: u16) -> Self {
        Self(share.min(1_000))
    }

    pub fn get(self) -> u16 {
        self.0
    }
}

/// Why a command was refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such verification")]
    Unknown,
    #[error("there is a verification of this id already")]
    AlreadyRequested,
    #[error("the verification has ended: {}", .0.as_str())]
    NotPending(Ending),
    #[error("a resend is possible from {until}")]
    ResendTooEarly { until: Timestamp },
    #[error("no more resends are allowed")]
    ResendLimit,
    #[error("the last step is in progress")]
    NoNextStep,
    #[error("the profile has no step on this channel")]
    NoStepOnChannel,
    #[error("there is no such message on this channel")]
    UnknownMessage,
}
