//! Commands to a verification, and the reasons for their rejection. The time is passed beside a command, randomness in
//! it.

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
    /// An app requests a verification. Always the first command of a stream.
    Request(Arc<Request>),
    /// Carries out what is due, if anything is. `readiness` is the answer of the channel that would send next, `runner`
    /// the process that would send the request.
    Tick {
        readiness: Readiness,
        runner: Runner,
    },
    /// The outcome of an attempt, from the courier. `aliases` are the names of the person in the provider's answer,
    /// `jitter` spreads retries.
    SendReported {
        message: Ordinal,
        attempt: u16,
        outcome: Outcome,
        aliases: Vec<KnownAs>,
        jitter: Jitter,
    },
    /// This runner is known to be gone: its attempts in progress never get an outcome and are in doubt. Attempts of
    /// other runners stay as they are.
    Interrupt {
        gone: Runner,
    },
    /// A provider reports the status of a message of this channel.
    Report {
        message: Ordinal,
        channel: ChannelName,
        report: Report,
    },
    /// A typed code, compared outside in constant time.
    Check(Comparison),
    /// Sends the same code once more, on `channel` or else on that of the step in progress.
    Resend {
        channel: Option<ChannelName>,
    },
    /// Starts the next step now instead of at its deadline.
    Next,
    Cancel,
    /// twotick cannot continue the verification: a key or the app is missing.
    Abandon(AbandonReason),
    /// Forgets the person. A pending verification is canceled.
    Erase,
    /// A member of the staff performs an action of an app, or reveals the number.
    ByOperator {
        by: UserName,
        reason: Option<Sealed>,
        act: OperatorAct,
    },
    /// The person replied. Stale: a duplicate of an earlier report.
    Reply {
        message: Option<Ordinal>,
        kind: String,
        standing: Standing,
    },
    /// The person pressed "I didn't request a code". Stale: a duplicate of an earlier report.
    Disown {
        message: Option<Ordinal>,
        standing: Standing,
        aim: Aim,
    },
}

/// An action of the staff. All but the first follow the rules for apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorAct {
    /// Shows the full number, in every state. Only the fact is recorded.
    Reveal,
    Resend {
        channel: Option<ChannelName>,
    },
    Next,
    Cancel,
}

/// The request of an app in the form that may be stored: personal data are sealed or hashed.
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
    /// The hash of the end of the number, for searches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(4)]
    pub tail: Option<NumberTail>,
    /// The sealed number and the app's metadata.
    #[n(5)]
    pub person: Sealed,
    /// ISO 3166 code of the country of the number; `None` for a number of no country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(6)]
    pub country: Option<String>,
    /// The language that the app requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(7)]
    pub locale: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(8)]
    pub client_ref: Option<String>,
    #[n(9)]
    pub code: CodeSource,
}

/// The source of the code, which is never stored in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(flat)]
pub enum CodeSource {
    /// Derived from a key of the vault, the id of the verification and this salt.
    #[n(0)]
    Derived {
        #[n(0)]
        salt: Sealed,
    },
    /// Chosen by the app.
    #[n(1)]
    Custom {
        #[n(0)]
        code: Sealed,
    },
}

/// Whether a channel can start a message now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Its rate limit or its limit of concurrent requests is reached: retry later.
    Throttled,
    /// The circuit breaker is open: the provider refused the sender a short while ago.
    BreakerOpen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Match,
    Differ,
}

/// A random share that spreads waits, 0 to 1,000 thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter(u16);

impl Jitter {
    /// Caps `share` at 1,000.
    pub fn thousandths(share: u16) -> Self {
        Self(share.min(1_000))
    }

    pub fn get(self) -> u16 {
        self.0
    }
}

/// Why a command was rejected. The state is unchanged.
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
