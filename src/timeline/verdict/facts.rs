//! The facts behind a verdict, independent of language.

use std::time::Duration;

use super::super::route::Route;
use super::super::sentence::Initiator;
use super::Mood;
use crate::store::Snapshot;
use crate::verification::event::{AbandonReason, Aim, FallbackReason, Occasion, OperatorAction, Standing};
use crate::verification::state::{Ending, Message, Phase, Progress, Stage};
use crate::verification::values::{DeliveryError, Ordinal, Timestamp};
use crate::verification::{Event, Fact, Verification};

/// The limits after which the support agent should act: a message waiting in our queue, and one accepted by the
/// provider but not confirmed.
const QUEUED_TOO_LONG: Duration = Duration::from_secs(15);
const UNCONFIRMED_TOO_LONG: Duration = Duration::from_secs(60);

pub(super) struct Facts<'a> {
    /// The transitions from each message to the next, oldest first.
    pub transitions: Vec<Transition<'a>>,
    /// The last message and its state.
    pub route: Route<'a>,
    pub last_state: MessageState<'a>,
    /// Earlier messages that were delivered, in the order of queueing.
    pub arrivals: Vec<Arrival<'a>>,
    pub end: End,
    /// Wrong codes so far, and attempts left.
    pub wrong: u8,
    pub left: u8,
    pub expires_at: Timestamp,
    /// The time and route of the fallback, unless a delivery comes first.
    pub fallback: Option<(Timestamp, Route<'a>)>,
    /// The next step, which could be triggered now.
    pub next: Option<Route<'a>>,
    pub resend: ResendOption,
    /// Whether the person said that they did not request the code.
    pub disowned: Disowned,
}

/// The transition from a message to the next, and its cause.
pub(super) struct Transition<'a> {
    pub from: Route<'a>,
    pub cause: Cause<'a>,
    pub to: Route<'a>,
    pub next_message: NextMessage,
}

pub(super) enum Cause<'a> {
    /// Accepted by the provider, but not delivered before the deadline.
    Deadline {
        after: Duration,
    },
    /// Not accepted by the provider before the deadline.
    NotAccepted {
        after: Duration,
        error: Option<&'a DeliveryError>,
    },
    Failed {
        after: Duration,
        error: Option<&'a DeliveryError>,
    },
    Refused {
        error: &'a DeliveryError,
    },
    /// Accepted, but not passed on.
    Held,
    /// The outcome is unknown.
    Doubt,
    /// The provider had just refused our sender.
    Skipped,
    NextAsked(Initiator),
    ResendAsked(Initiator),
}

/// The progress of the message that follows a transition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NextMessage {
    Sent,
    Soon,
    Never,
    /// The provider had just refused our sender.
    Skipped,
}

/// The state of the last message. Durations start when it was sent.
pub(super) enum MessageState<'a> {
    /// The time in our queue.
    Queued {
        since: Duration,
    },
    /// Refused for now.
    Retrying {
        error: &'a DeliveryError,
        at: Timestamp,
    },
    Sending,
    Doubt {
        resend_at: Option<Timestamp>,
    },
    /// The time since the provider accepted it.
    Accepted {
        since: Duration,
    },
    Delivered {
        after: Duration,
        read: Option<Duration>,
    },
    Refused {
        error: &'a DeliveryError,
    },
    Failed {
        after: Duration,
        error: Option<&'a DeliveryError>,
    },
    Skipped,
    NeverSent,
}

pub(super) struct Arrival<'a> {
    pub route: Route<'a>,
    pub after: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Open,
    GaveUp,
    /// The time since the request.
    Approved {
        after: Duration,
    },
    Expired,
    Canceled(Initiator),
    Abandoned(AbandonReason),
    Disowned,
    Exhausted,
}

/// Whether the code can be resent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ResendOption {
    Now,
    From(Timestamp),
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Disowned {
    Yes,
    No,
}

/// The situation to explain to the customer and the agent; each language has texts for every variant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Situation {
    Approved,
    /// Approved, but the person did not request it.
    ApprovedAndDisowned,
    Disowned,
    Canceled,
    Exhausted,
    ExpiredDelivered,
    ExpiredUndelivered,
    GaveUp,
    /// Delivered, without wrong codes since.
    Delivered,
    /// Delivered, but wrong codes were entered.
    Mistyped,
    /// Not delivered yet; a fallback is scheduled.
    OnItsWayWithFallback,
    /// Not delivered yet, on the last step.
    OnItsWay,
    /// Not delivered for too long.
    Overdue,
    /// The outcome of the last step's message is unknown.
    Doubt,
    /// In our queue.
    Queued,
    QueuedTooLong,
}

/// Wrong codes after an approval are not counted.
fn wrong_before_the_right_one(events: &[Event]) -> u8 {
    let before = events.iter().take_while(|event| event.fact != Fact::CheckPassed);
    let wrong = before.filter(|event| event.fact == Fact::CheckFailed).count();
    u8::try_from(wrong).unwrap_or(u8::MAX)
}

impl<'a> Facts<'a> {
    pub fn of(snapshot: &'a Snapshot, events: &'a [Event], now: Timestamp) -> Self {
        let Snapshot { verification, policy } = snapshot;
        let route = |channel: &'a str| Route::of(policy, channel);
        let analysis = Analysis { snapshot, events, now };
        let messages = &verification.messages;
        let (way_of_last, last_state) = match verification.current() {
            Some(last) => (route(last.channel.as_str()), analysis.last_state(last)),
            None => (
                route(policy.steps.first().map_or("", |step| step.channel.as_str())),
                MessageState::NeverSent,
            ),
        };
        let earlier = messages.len().saturating_sub(1);
        let arrivals = messages[..earlier].iter().filter_map(|message| {
            let after = message.delivered_at?.since(analysis.last_request_at(message));
            Some(Arrival { route: route(message.channel.as_str()), after })
        });
        let step_of = |step: usize| policy.steps.get(step).map(|step| route(step.channel.as_str()));
        let next = verification.current().and_then(|last| step_of(usize::from(last.step) + 1));
        Self {
            transitions: messages.windows(2).map(|pair| analysis.transition(&pair[0], &pair[1])).collect(),
            route: way_of_last,
            last_state,
            arrivals: arrivals.collect(),
            end: analysis.end(),
            wrong: wrong_before_the_right_one(events),
            left: policy.checks_left(verification.failed_checks),
            expires_at: verification.expires_at,
            fallback: verification.fallback_at().zip(next),
            next,
            resend: resend_option(snapshot, now),
            disowned: if analysis.is_disowned() { Disowned::Yes } else { Disowned::No },
        }
    }

    pub fn mood(&self) -> Mood {
        match self.situation() {
            Situation::Approved | Situation::Delivered | Situation::Mistyped => Mood::Good,
            Situation::OnItsWay | Situation::OnItsWayWithFallback | Situation::Queued => Mood::Waiting,
            Situation::ApprovedAndDisowned
            | Situation::GaveUp
            | Situation::Overdue
            | Situation::Doubt
            | Situation::QueuedTooLong => Mood::Trouble,
            Situation::Disowned
            | Situation::Canceled
            | Situation::Exhausted
            | Situation::ExpiredDelivered
            | Situation::ExpiredUndelivered => Mood::Over,
        }
    }

    pub fn situation(&self) -> Situation {
        match (self.end, self.disowned) {
            (End::Approved { .. }, Disowned::Yes) => Situation::ApprovedAndDisowned,
            (End::Approved { .. }, Disowned::No) => Situation::Approved,
            (End::Disowned, _) => Situation::Disowned,
            (End::Canceled(_) | End::Abandoned(_), _) => Situation::Canceled,
            (End::Exhausted, _) => Situation::Exhausted,
            (End::Expired, _) if self.delivered().is_empty() => Situation::ExpiredUndelivered,
            (End::Expired, _) => Situation::ExpiredDelivered,
            (End::GaveUp, _) => Situation::GaveUp,
            (End::Open, _) => self.open_situation(),
        }
    }

    fn open_situation(&self) -> Situation {
        if !self.delivered().is_empty() && !self.is_being_sent_again() {
            return if self.wrong > 0 { Situation::Mistyped } else { Situation::Delivered };
        }
        let waits_for_fallback = self.fallback.is_some();
        match &self.last_state {
            MessageState::Queued { since } if *since > QUEUED_TOO_LONG => Situation::QueuedTooLong,
            MessageState::Queued { .. } | MessageState::Sending => Situation::Queued,
            MessageState::Retrying { .. } | MessageState::Doubt { .. } | MessageState::Accepted { .. }
                if waits_for_fallback =>
            {
                Situation::OnItsWayWithFallback
            }
            MessageState::Retrying { .. } | MessageState::Doubt { resend_at: Some(_) } => Situation::OnItsWay,
            MessageState::Accepted { since } if *since > UNCONFIRMED_TOO_LONG => Situation::Overdue,
            MessageState::Accepted { .. } => Situation::OnItsWay,
            MessageState::Doubt { resend_at: None } => Situation::Doubt,
            // A pending verification leaves these states within the same commit.
            MessageState::Delivered { .. } => Situation::Delivered,
            MessageState::Refused { .. }
            | MessageState::Failed { .. }
            | MessageState::Skipped
            | MessageState::NeverSent => Situation::GaveUp,
        }
    }

    /// Whether the last message was requested manually after another one was delivered.
    fn is_being_sent_again(&self) -> bool {
        match self.last_state {
            MessageState::Delivered { .. }
            | MessageState::Refused { .. }
            | MessageState::Failed { .. }
            | MessageState::Skipped
            | MessageState::NeverSent => false,
            MessageState::Queued { .. }
            | MessageState::Retrying { .. }
            | MessageState::Sending
            | MessageState::Doubt { .. }
            | MessageState::Accepted { .. } => matches!(
                self.transitions.last(),
                Some(Transition { cause: Cause::ResendAsked(_) | Cause::NextAsked(_), .. })
            ),
        }
    }

    /// The routes by which the code was delivered, without duplicates.
    pub fn delivered(&self) -> Vec<Route<'a>> {
        let last = matches!(self.last_state, MessageState::Delivered { .. }).then_some(self.route);
        let mut routes: Vec<Route<'a>> = Vec::new();
        for route in self.arrivals.iter().map(|arrival| arrival.route).chain(last) {
            if !routes.contains(&route) {
                routes.push(route);
            }
        }
        routes
    }

    /// The known error of the last message.
    pub fn error(&self) -> Option<&'a DeliveryError> {
        match &self.last_state {
            MessageState::Refused { error } | MessageState::Retrying { error, .. } => Some(error),
            MessageState::Failed { error, .. } => *error,
            MessageState::Queued { .. }
            | MessageState::Sending
            | MessageState::Doubt { .. }
            | MessageState::Accepted { .. }
            | MessageState::Delivered { .. }
            | MessageState::Skipped
            | MessageState::NeverSent => None,
        }
    }
}

/// Derives from the events what the state does not hold.
struct Analysis<'a> {
    snapshot: &'a Snapshot,
    events: &'a [Event],
    now: Timestamp,
}

impl<'a> Analysis<'a> {
    fn transition(&self, from: &'a Message, to: &'a Message) -> Transition<'a> {
        let route = |message: &'a Message| Route::of(&self.snapshot.policy, message.channel.as_str());
        let next_message = match to.progress {
            Progress::Queued { .. } if to.attempts == 0 && self.verification().is_pending() => {
                NextMessage::Soon
            }
            Progress::Dropped if self.was_skipped(to.ordinal) => NextMessage::Skipped,
            Progress::Dropped | Progress::Queued { .. } | Progress::Failed if to.attempts == 0 => {
                NextMessage::Never
            }
            Progress::Queued { .. }
            | Progress::Sending
            | Progress::InDoubt { .. }
            | Progress::Accepted
            | Progress::Sent
            | Progress::Failed
            | Progress::Delivered
            | Progress::Read
            | Progress::Dropped => NextMessage::Sent,
        };
        Transition { from: route(from), cause: self.cause(from, to), to: route(to), next_message }
    }

    /// Determines the cause from the event before the one that queued `to`.
    fn cause(&self, from: &'a Message, to: &'a Message) -> Cause<'a> {
        let queued = |event: &Event| matches!(&event.fact, Fact::MessageQueued { message, .. } if *message == to.ordinal);
        let index = self.events.iter().position(queued).unwrap_or_default();
        let before = self.events[..index].split_last();
        match before.map(|(event, earlier)| (&event.fact, earlier)) {
            Some((Fact::FellBack { reason, .. }, earlier)) => self.fallback_cause(from, to, *reason, earlier),
            Some((Fact::ResendRequested { .. }, earlier)) => Cause::ResendAsked(initiator(earlier)),
            Some((Fact::StepSkipped { .. }, _)) => Cause::Skipped,
            Some(_) | None => match to.occasion {
                Occasion::Resend => Cause::ResendAsked(Initiator::App),
                Occasion::Doubt => Cause::Doubt,
                Occasion::Step => Cause::Deadline { after: to.queued_at.since(from.queued_at) },
            },
        }
    }

    fn fallback_cause(
        &self,
        from: &'a Message,
        to: &'a Message,
        reason: FallbackReason,
        before: &[Event],
    ) -> Cause<'a> {
        let waited = to.queued_at.since(from.queued_at);
        let error = from.error.as_ref();
        match reason {
            FallbackReason::Deadline if from.accepted_at.is_some() || from.sent_at.is_some() => {
                Cause::Deadline { after: waited }
            }
            FallbackReason::Deadline => Cause::NotAccepted { after: waited, error },
            FallbackReason::Failed => {
                Cause::Failed { after: to.queued_at.since(self.last_request_at(from)), error }
            }
            FallbackReason::Refused => match error {
                Some(error) if from.accepted_at.is_none() => Cause::Refused { error },
                Some(_) | None => Cause::Held,
            },
            FallbackReason::InDoubt => Cause::Doubt,
            FallbackReason::Requested => Cause::NextAsked(initiator(before)),
        }
    }

    fn last_state(&self, message: &'a Message) -> MessageState<'a> {
        let last_request_at = self.last_request_at(message);
        let error = message.error.as_ref();
        let pending = self.verification().is_pending();
        match message.progress {
            Progress::Queued { .. } if !pending => MessageState::NeverSent,
            Progress::Queued { not_before } => match error {
                Some(error) if message.attempts > 0 => MessageState::Retrying { error, at: not_before },
                Some(_) | None => MessageState::Queued { since: self.now.since(message.queued_at) },
            },
            Progress::Sending => MessageState::Sending,
            Progress::InDoubt { settle_by } => {
                MessageState::Doubt { resend_at: settle_by.filter(|_| pending) }
            }
            Progress::Accepted | Progress::Sent => {
                MessageState::Accepted { since: self.now.since(last_request_at) }
            }
            Progress::Delivered | Progress::Read => MessageState::Delivered {
                after: message.delivered_at.unwrap_or(last_request_at).since(last_request_at),
                read: message.read_at.map(|at| at.since(last_request_at)),
            },
            Progress::Failed => {
                let failed_at = message.failed_at.unwrap_or(last_request_at);
                match error {
                    Some(error) if message.accepted_at.is_none() && message.sent_at.is_none() => {
                        MessageState::Refused { error }
                    }
                    Some(_) | None => MessageState::Failed { after: failed_at.since(last_request_at), error },
                }
            }
            Progress::Dropped if self.was_skipped(message.ordinal) => MessageState::Skipped,
            Progress::Dropped => match error {
                Some(error) => MessageState::Refused { error },
                None => MessageState::NeverSent,
            },
        }
    }

    fn end(&self) -> End {
        let verification = self.verification();
        match verification.phase {
            // The sweep has not run yet, but the code is no longer valid.
            Phase::Pending(_) if self.now >= verification.expires_at => End::Expired,
            Phase::Pending(Stage::GaveUp) => End::GaveUp,
            Phase::Pending(Stage::Waiting { .. } | Stage::Delivered) => End::Open,
            Phase::Ended { ending: Ending::Approved, at } => {
                End::Approved { after: at.since(verification.created_at) }
            }
            Phase::Ended { ending: Ending::Expired, .. } => End::Expired,
            Phase::Ended { ending: Ending::Exhausted, .. } => End::Exhausted,
            Phase::Ended { ending: Ending::Canceled, .. } => self.canceled(),
        }
    }

    fn canceled(&self) -> End {
        let abandoned = self.events.iter().find_map(|event| {
            if let Fact::Abandoned { reason } = event.fact { Some(End::Abandoned(reason)) } else { None }
        });
        if let Some(end) = abandoned {
            return end;
        }
        let canceled = self.events.iter().position(|event| event.fact == Fact::Canceled).unwrap_or_default();
        let before = &self.events[..canceled];
        match before.last().map(|event| &event.fact) {
            Some(Fact::CodeDisowned { standing: Standing::Applied, aim: Aim::This, .. }) => End::Disowned,
            Some(_) | None => End::Canceled(initiator(before)),
        }
    }

    /// The time of the last request to the provider, or of queueing if there was none.
    fn last_request_at(&self, message: &Message) -> Timestamp {
        let started = self.events.iter().rev().find(|event| {
            matches!(event.fact, Fact::SendStarted { message: started, .. } if started == message.ordinal)
        });
        started.map_or(message.queued_at, |event| event.at)
    }

    fn was_skipped(&self, ordinal: Ordinal) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event.fact, Fact::StepSkipped { message } if message == ordinal))
    }

    fn is_disowned(&self) -> bool {
        self.events.iter().any(|event| matches!(event.fact, Fact::CodeDisowned { aim: Aim::This, .. }))
    }

    fn verification(&self) -> &'a Verification {
        &self.snapshot.verification
    }
}

/// The initiator of the event that follows `before`.
fn initiator(before: &[Event]) -> Initiator {
    let by_operator = matches!(
        before.last().map(|event| &event.fact),
        Some(
            Fact::Erased
                | Fact::OperatorActed {
                    action: OperatorAction::Resend | OperatorAction::Next | OperatorAction::Cancel,
                    ..
                }
        )
    );
    if by_operator { Initiator::Operator } else { Initiator::App }
}

fn resend_option(snapshot: &Snapshot, now: Timestamp) -> ResendOption {
    let Snapshot { verification, policy } = snapshot;
    match policy.resend_wait(usize::from(verification.resends)) {
        Some(wait) => {
            let from = verification.last_send_at + wait;
            if from >= verification.expires_at {
                ResendOption::Never
            } else if from <= now {
                ResendOption::Now
            } else {
                ResendOption::From(from)
            }
        }
        None => ResendOption::Never,
    }
}
