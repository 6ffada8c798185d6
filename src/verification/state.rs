//! The state of a verification: the fold of its events. `evolve` is total: it never fails and depends on nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::command::Request;
use super::event::{Event, Fact, FallbackReason, Occasion, Standing};
use super::policy::Policy;
use super::values::{
    ChannelName, DeliveryError, MessageId, NumberIndex, Ordinal, ProviderRef, ReportStatus, Runner,
    Timestamp, VerificationId,
};

/// Stale reports that are recorded of one message; further ones are ignored.
pub const STALE_REPORTS_KEPT: u8 = 20;
/// Replies that are recorded in the timeline of one verification. Their messages are stored in any case.
pub const REPLIES_KEPT: u8 = 20;

/// Different error codes by which one verification can be found.
pub const ERRORS_KEPT: usize = 8;

/// Aliases of one person beside the number from the app: another number, a user id, and one more of each after a
/// change.
pub const ALIASES_KEPT: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// There are no events.
    #[default]
    New,
    Known(Box<Verification>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    pub request: Arc<Request>,
    pub created_at: Timestamp,
    /// The code is valid before this instant.
    pub expires_at: Timestamp,
    pub phase: Phase,
    /// In the order in which they were queued; the last one is the current one.
    pub messages: Vec<Message>,
    /// Wrong codes so far. A resend never resets it.
    pub failed_checks: u8,
    pub resends: u8,
    /// When a message was last queued or started. The wait before a resend counts from here.
    pub last_send_at: Timestamp,
    /// The channel of the first delivery.
    pub delivered_by: Option<ChannelName>,
    pub replies: u8,
    /// The reasons of all fallbacks so far, each once.
    pub fallbacks: Vec<FallbackReason>,
    /// Error codes of all messages so far, each once, at most [`ERRORS_KEPT`]. Errors of retried messages are included.
    pub errors: Vec<String>,
    /// Aliases of the person beside the number from the app, at most [`ALIASES_KEPT`].
    pub aliases: BTreeSet<NumberIndex>,
    /// Whether the person was forgotten.
    pub erased: bool,
    /// Number of events.
    pub version: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Pending(Stage),
    Ended { ending: Ending, at: Timestamp },
}

/// Progress of the delivery of a pending verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No message was delivered since the current one was queued.
    Waiting {
        fallback_at: Option<Timestamp>,
    },
    Delivered,
    /// Every step failed. The code stays valid until it expires.
    GaveUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Ending {
    #[n(0)]
    Approved,
    #[n(1)]
    Expired,
    #[n(2)]
    Canceled,
    /// Too many wrong codes.
    #[n(3)]
    Exhausted,
}

impl Ending {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
            Self::Exhausted => "exhausted",
        }
    }
}

/// One message of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub ordinal: Ordinal,
    pub step: u8,
    pub channel: ChannelName,
    pub occasion: Occasion,
    pub progress: Progress,
    /// Requests so far.
    pub attempts: u16,
    /// The attempt whose outcome is not known yet. `None`: no request is in progress.
    pub open_attempt: Option<OpenAttempt>,
    pub provider_ref: Option<ProviderRef>,
    pub queued_at: Timestamp,
    pub accepted_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    pub error: Option<DeliveryError>,
    pub step_left: StepLeft,
    /// Delivered after its step fell back.
    pub late: bool,
    pub stale_reports: u8,
}

/// A request that was started and has no outcome yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenAttempt {
    pub started_at: Timestamp,
    /// The runner that sends the request. While it lives, it reports the outcome.
    pub runner: Runner,
}

/// `queued < sending < in doubt < accepted < sent < failed < delivered < read`, and `dropped` beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Queued {
        not_before: Timestamp,
    },
    Sending,
    /// The request was sent and its answer was lost.
    InDoubt {
        settle_by: Option<Timestamp>,
    },
    Accepted,
    Sent,
    Failed,
    Delivered,
    Read,
    /// No longer needed, never sent.
    Dropped,
}

impl Progress {
    /// As the API spells each, in rank order.
    pub const NAMES: [&'static str; 9] =
        ["queued", "sending", "accepted", "sent", "delivered", "read", "failed", "in_doubt", "dropped"];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Sending => "sending",
            Self::InDoubt { .. } => "in_doubt",
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Dropped => "dropped",
        }
    }
}

/// Whether the verification fell back from this message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepLeft {
    No,
    FellBack,
}

impl State {
    /// The fold of `events`.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        events.into_iter().fold(Self::New, evolve)
    }
}

impl Verification {
    pub fn id(&self) -> VerificationId {
        self.request.id
    }

    /// The message that was queued last. There is one after the first commit.
    pub fn current(&self) -> Option<&Message> {
        self.messages.last()
    }

    pub fn message(&self, ordinal: Ordinal) -> Option<&Message> {
        self.messages.get(ordinal.index())
    }

    pub fn message_id(&self, ordinal: Ordinal) -> MessageId {
        self.id().message(ordinal)
    }

    pub fn is_pending(&self) -> bool {
        matches!(self.phase, Phase::Pending(_))
    }

    /// Whether a typed code may still be compared: while the verification is pending, and after an approval to
    /// recognize the right code. At most `max_checks` wrong codes are compared in all.
    pub fn may_compare(&self, policy: &Policy) -> bool {
        match self.phase {
            Phase::Pending(_) | Phase::Ended { ending: Ending::Approved, .. } => {
                self.failed_checks < policy.max_checks
            }
            Phase::Ended { ending: Ending::Expired | Ending::Canceled | Ending::Exhausted, .. } => false,
        }
    }

    /// When the next step starts, unless a message is delivered before.
    pub fn fallback_at(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Pending(Stage::Waiting { fallback_at }) => fallback_at,
            Phase::Pending(Stage::Delivered | Stage::GaveUp) | Phase::Ended { .. } => None,
        }
    }

    /// The runners of all attempts in progress, each once, in ascending order.
    pub fn runners(&self) -> BTreeSet<Runner> {
        self.messages.iter().filter_map(|message| message.open_attempt).map(|open| open.runner).collect()
    }

    fn message_mut(&mut self, ordinal: Ordinal) -> Option<&mut Message> {
        self.messages.get_mut(ordinal.index())
    }

    /// Replaces queued messages. A message that was tried before has failed; one that was not is dropped.
    fn drop_queued(&mut self, at: Timestamp) {
        for message in &mut self.messages {
            if let Progress::Queued { .. } = message.progress {
                if message.attempts > 0 {
                    message.progress = Progress::Failed;
                    message.failed_at = Some(at);
                } else {
                    message.progress = Progress::Dropped;
                }
            }
        }
    }

    /// Ends the verification and drops queued messages, tried before or not.
    fn end(&mut self, ending: Ending, at: Timestamp) {
        self.phase = Phase::Ended { ending, at };
        for message in &mut self.messages {
            if let Progress::Queued { .. } = message.progress {
                message.progress = Progress::Dropped;
            }
        }
    }

    fn note_error(&mut self, error: &DeliveryError) {
        if self.errors.len() < ERRORS_KEPT && !self.errors.contains(&error.code) {
            self.errors.push(error.code.clone());
        }
    }

    fn report(
        &mut self,
        ordinal: Ordinal,
        status: &ReportStatus,
        provider_ref: Option<&ProviderRef>,
        at: Timestamp,
    ) {
        if let ReportStatus::Failed(error) = status {
            self.note_error(error);
        }
        let Some(message) = self.message_mut(ordinal) else { return };
        if message.provider_ref.is_none() {
            message.provider_ref = provider_ref.cloned();
        }
        match status {
            ReportStatus::Sent => {
                message.progress = Progress::Sent;
                message.sent_at = Some(at);
                message.error = None;
            }
            ReportStatus::Delivered => {
                message.progress = Progress::Delivered;
                message.deliver(at);
            }
            ReportStatus::Read => {
                message.progress = Progress::Read;
                message.read_at = Some(at);
                message.deliver(at);
            }
            ReportStatus::Failed(error) => {
                message.progress = Progress::Failed;
                message.failed_at = Some(at);
                message.error = Some(error.clone());
            }
            ReportStatus::Unknown(_) => {}
        }
        if matches!(status, ReportStatus::Delivered | ReportStatus::Read) {
            let channel = message.channel.clone();
            self.delivered_by.get_or_insert(channel);
            if let Phase::Pending(stage) = &mut self.phase {
                *stage = Stage::Delivered;
            }
        }
    }
}

impl Message {
    /// `read` implies `delivered`. A delivery replaces an earlier failure.
    fn deliver(&mut self, at: Timestamp) {
        if self.delivered_at.is_none() {
            self.delivered_at = Some(at);
            self.late = self.step_left == StepLeft::FellBack;
            self.failed_at = None;
            self.error = None;
        }
    }

    /// Whether a report of `status` changes the message.
    pub fn is_moved_by(&self, status: &ReportStatus) -> bool {
        match (self.progress, status) {
            (
                Progress::Queued { .. } | Progress::Sending | Progress::InDoubt { .. } | Progress::Accepted,
                ReportStatus::Sent | ReportStatus::Delivered | ReportStatus::Read | ReportStatus::Failed(_),
            )
            | (Progress::Sent, ReportStatus::Delivered | ReportStatus::Read | ReportStatus::Failed(_))
            | (Progress::Failed | Progress::Dropped, ReportStatus::Delivered | ReportStatus::Read)
            | (Progress::Delivered, ReportStatus::Read) => true,
            (Progress::Sent, ReportStatus::Sent)
            | (Progress::Failed | Progress::Dropped, ReportStatus::Sent | ReportStatus::Failed(_))
            | (Progress::Delivered, ReportStatus::Sent | ReportStatus::Delivered | ReportStatus::Failed(_))
            | (Progress::Read, _)
            | (_, ReportStatus::Unknown(_)) => false,
        }
    }
}

/// Applies one event. An event that does not fit the state, which `decide` never makes, changes only the version.
pub fn evolve(state: State, event: &Event) -> State {
    let at = event.at;
    match (state, &event.fact) {
        (State::New, Fact::Requested { request, expires_at }) => State::Known(Box::new(Verification {
            request: Arc::clone(request),
            created_at: at,
            expires_at: *expires_at,
            phase: Phase::Pending(Stage::Waiting { fallback_at: None }),
            messages: Vec::new(),
            failed_checks: 0,
            resends: 0,
            last_send_at: at,
            delivered_by: None,
            replies: 0,
            fallbacks: Vec::new(),
            errors: Vec::new(),
            aliases: BTreeSet::new(),
            erased: false,
            version: 1,
        })),
        (State::New, _) => State::New,
        (State::Known(mut verification), fact) => {
            verification.version += 1;
            apply(&mut verification, at, fact);
            State::Known(verification)
        }
    }
}

fn apply(verification: &mut Verification, at: Timestamp, fact: &Fact) {
    match fact {
        Fact::Requested { .. } => {}
        Fact::MessageQueued { message, step, channel, occasion, fallback_at } => {
            verification.drop_queued(at);
            verification.messages.push(Message {
                ordinal: *message,
                step: *step,
                channel: channel.clone(),
                occasion: *occasion,
                progress: Progress::Queued { not_before: at },
                attempts: 0,
                open_attempt: None,
                provider_ref: None,
                queued_at: at,
                accepted_at: None,
                sent_at: None,
                delivered_at: None,
                read_at: None,
                failed_at: None,
                error: None,
                step_left: StepLeft::No,
                late: false,
                stale_reports: 0,
            });
            verification.last_send_at = at;
            if let Phase::Pending(stage) = &mut verification.phase {
                *stage = Stage::Waiting { fallback_at: *fallback_at };
            }
        }
        Fact::SendStarted { message, attempt, runner } => {
            verification.last_send_at = at;
            if let Some(message) = verification.message_mut(*message) {
                message.progress = Progress::Sending;
                message.attempts = *attempt;
                message.open_attempt = Some(OpenAttempt { started_at: at, runner: *runner });
            }
        }
        Fact::SendAccepted { message, provider_ref, aliases, .. } => {
            verification.aliases.extend(aliases);
            if let Some(message) = verification.message_mut(*message) {
                message.open_attempt = None;
                message.accepted_at = Some(at);
                // A report may have arrived before the answer and brought the id.
                if provider_ref.is_some() {
                    message.provider_ref = provider_ref.clone();
                }
                if matches!(message.progress, Progress::Sending | Progress::InDoubt { .. }) {
                    message.progress = Progress::Accepted;
                    message.error = None;
                }
            }
        }
        Fact::SendRefused { message, error, retry_at, .. } => {
            verification.note_error(error);
            if let Some(message) = verification.message_mut(*message) {
                message.open_attempt = None;
                if message.progress == Progress::Sending {
                    message.error = Some(error.clone());
                    match retry_at {
                        Some(not_before) => message.progress = Progress::Queued { not_before: *not_before },
                        None => {
                            message.progress = Progress::Failed;
                            message.failed_at = Some(at);
                        }
                    }
                }
            }
        }
        Fact::SendInDoubt { message, error, settle_by, .. } => {
            verification.note_error(error);
            if let Some(message) = verification.message_mut(*message) {
                message.open_attempt = None;
                if message.progress == Progress::Sending {
                    message.progress = Progress::InDoubt { settle_by: *settle_by };
                    message.error = Some(error.clone());
                }
            }
        }
        Fact::Reported { message, status, standing, provider_ref, aliases, .. } => {
            verification.aliases.extend(aliases);
            match standing {
                Standing::Applied => verification.report(*message, status, provider_ref.as_ref(), at),
                Standing::Stale => {
                    if let Some(message) = verification.message_mut(*message) {
                        message.stale_reports = message.stale_reports.saturating_add(1);
                        if message.provider_ref.is_none() {
                            message.provider_ref = provider_ref.clone();
                        }
                    }
                }
            }
        }
        Fact::FellBack { message, reason, .. } => {
            if !verification.fallbacks.contains(reason) {
                verification.fallbacks.push(*reason);
            }
            verification.drop_queued(at);
            if let Some(message) = verification.message_mut(*message) {
                message.step_left = StepLeft::FellBack;
            }
        }
        Fact::StepSkipped { .. } => verification.drop_queued(at),
        Fact::GaveUp => {
            verification.drop_queued(at);
            if let Phase::Pending(stage) = &mut verification.phase {
                *stage = Stage::GaveUp;
            }
        }
        Fact::CheckPassed => verification.end(Ending::Approved, at),
        Fact::CheckFailed => verification.failed_checks = verification.failed_checks.saturating_add(1),
        Fact::ChecksExhausted => verification.end(Ending::Exhausted, at),
        Fact::ResendRequested { .. } => {
            verification.resends = verification.resends.saturating_add(1);
            verification.drop_queued(at);
        }
        Fact::ReplyReceived { .. } | Fact::CodeDisowned { .. } => {
            verification.replies = verification.replies.saturating_add(1);
        }
        Fact::Expired => verification.end(Ending::Expired, at),
        Fact::Canceled | Fact::Abandoned { .. } => verification.end(Ending::Canceled, at),
        Fact::Erased => verification.erased = true,
        // The consequences follow as facts of their own.
        Fact::OperatorActed { .. } => {}
    }
}
