//! What a verdict is about, before it is put into words: the same for every language.

use std::time::Duration;

use super::super::saying::Asker;
use super::super::way::Way;
use super::Mood;
use crate::store::Snapshot;
use crate::verification::event::{AbandonReason, Aim, FallbackReason, Occasion, OperatorAction, Standing};
use crate::verification::state::{Ending, Message, Phase, Progress, Stage};
use crate::verification::values::{DeliveryError, Ordinal, Timestamp};
use crate::verification::{Event, Fact, Verification};

/// A message that waits in our queue for longer than this, or that a provider took and did not confirm for
/// [`UNCONFIRMED_TOO_LONG`], keeps somebody on the phone.
const QUEUED_TOO_LONG: Duration = Duration::from_secs(15);
const UNCONFIRMED_TOO_LONG: Duration = Duration::from_secs(60);

pub(super) struct Case<'a> {
    /// What led from each message to the next, oldest first.
    pub turns: Vec<Turn<'a>>,
    /// The message queued last, and what became of it.
    pub way: Way<'a>,
    pub fate: Fate<'a>,
    /// Earlier messages that were delivered, in the order in which they were queued.
    pub arrivals: Vec<Arrival<'a>>,
    pub end: End,
    /// Wrong codes so far, and how many more are allowed.
    pub wrong: u8,
    pub left: u8,
    pub expires_at: Timestamp,
    /// When and by what it goes on unless something is delivered first.
    pub fallback: Option<(Timestamp, Way<'a>)>,
    /// The step that could be taken now.
    pub next: Option<Way<'a>>,
    pub again: Again,
    /// Whether the person said that they did not ask for it.
    pub disowned: Disowned,
}

/// Why a message was left for the next one.
pub(super) struct Turn<'a> {
    pub from: Way<'a>,
    pub cause: Cause<'a>,
    pub to: Way<'a>,
    pub went: Went,
}

pub(super) enum Cause<'a> {
    /// Taken by the provider, and not delivered before the deadline.
    Deadline {
        after: Duration,
    },
    /// Not even taken by the provider before the deadline.
    NotTaken {
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
    /// Taken, but not passed on.
    Held,
    /// Nobody knows whether it went out.
    Doubt,
    /// Its provider had refused our sender a moment before.
    Skipped,
    NextAsked(Asker),
    ResendAsked(Asker),
}

/// How far the message that a turn led to has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    Out,
    Soon,
    Never,
    /// Its provider had refused our sender a moment before.
    Skipped,
}

/// What became of the last message. Durations are counted from when it went out.
pub(super) enum Fate<'a> {
    /// For so long in our queue.
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
        again_at: Option<Timestamp>,
    },
    /// The provider took it so long ago.
    Taken {
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
    pub way: Way<'a>,
    pub after: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Open,
    GaveUp,
    /// So long after the request.
    Approved {
        after: Duration,
    },
    Expired,
    Canceled(Asker),
    Abandoned(AbandonReason),
    Disowned,
    Exhausted,
}

/// Whether the code can be sent once more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Now,
    From(Timestamp),
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Disowned {
    Yes,
    No,
}

/// What the customer and the agent need to hear; each language has words for every one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Situation {
    Approved,
    /// Approved, and the person says that they did not ask for it.
    ApprovedAndDisowned,
    Disowned,
    Canceled,
    Exhausted,
    ExpiredDelivered,
    ExpiredUndelivered,
    GaveUp,
    /// Delivered, and no wrong code was entered since.
    Delivered,
    /// Delivered, and wrong codes were entered.
    Mistyped,
    /// Not delivered yet; the next step follows by itself.
    OnItsWayWithFallback,
    /// Not delivered yet, by the last step.
    OnItsWay,
    /// The same for so long that something is wrong.
    Overdue,
    /// Nobody knows whether the last step's message went out.
    Doubt,
    /// In our queue.
    Queued,
    QueuedTooLong,
}

/// A wrong code after an approval says nothing about how the person came to it.
fn wrong_before_the_right_one(events: &[Event]) -> u8 {
    let before = events.iter().take_while(|event| event.fact != Fact::CheckPassed);
    let wrong = before.filter(|event| event.fact == Fact::CheckFailed).count();
    u8::try_from(wrong).unwrap_or(u8::MAX)
}

impl<'a> Case<'a> {
    pub fn of(snapshot: &'a Snapshot, events: &'a [Event], now: Timestamp) -> Self {
        let Snapshot { verification, policy } = snapshot;
        let way = |channel: &'a str| Way::of(policy, channel);
        let reading = Reading { snapshot, events, now };
        let messages = &verification.messages;
        let (way_of_last, fate) = match verification.current() {
            Some(last) => (way(last.channel.as_str()), reading.fate(last)),
            None => (way(policy.steps.first().map_or("", |step| step.channel.as_str())), Fate::NeverSent),
        };
        let earlier = messages.len().saturating_sub(1);
        let arrivals = messages[..earlier].iter().filter_map(|message| {
            let after = message.delivered_at?.since(reading.went_out(message));
            Some(Arrival { way: way(message.channel.as_str()), after })
        });
        let step_of = |step: usize| policy.steps.get(step).map(|step| way(step.channel.as_str()));
        let next = verification.current().and_then(|last| step_of(usize::from(last.step) + 1));
        Self {
            turns: messages.windows(2).map(|pair| reading.turn(&pair[0], &pair[1])).collect(),
            way: way_of_last,
            fate,
            arrivals: arrivals.collect(),
            end: reading.end(),
            wrong: wrong_before_the_right_one(events),
            left: policy.checks_left(verification.failed_checks),
            expires_at: verification.expires_at,
            fallback: verification.fallback_at().zip(next),
            next,
            again: again(snapshot, now),
            disowned: if reading.is_disowned() { Disowned::Yes } else { Disowned::No },
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
        match &self.fate {
            Fate::Queued { since } if *since > QUEUED_TOO_LONG => Situation::QueuedTooLong,
            Fate::Queued { .. } | Fate::Sending => Situation::Queued,
            Fate::Retrying { .. } | Fate::Doubt { .. } | Fate::Taken { .. } if waits_for_fallback => {
                Situation::OnItsWayWithFallback
            }
            Fate::Retrying { .. } | Fate::Doubt { again_at: Some(_) } => Situation::OnItsWay,
            Fate::Taken { since } if *since > UNCONFIRMED_TOO_LONG => Situation::Overdue,
            Fate::Taken { .. } => Situation::OnItsWay,
            Fate::Doubt { again_at: None } => Situation::Doubt,
            // A pending verification goes on from these in the same commit, so nothing more comes of them.
            Fate::Delivered { .. } => Situation::Delivered,
            Fate::Refused { .. } | Fate::Failed { .. } | Fate::Skipped | Fate::NeverSent => Situation::GaveUp,
        }
    }

    /// Whether the last message is one that was sent on purpose after another had been delivered.
    fn is_being_sent_again(&self) -> bool {
        match self.fate {
            Fate::Delivered { .. }
            | Fate::Refused { .. }
            | Fate::Failed { .. }
            | Fate::Skipped
            | Fate::NeverSent => false,
            Fate::Queued { .. }
            | Fate::Retrying { .. }
            | Fate::Sending
            | Fate::Doubt { .. }
            | Fate::Taken { .. } => matches!(
                self.turns.last(),
                Some(Turn { cause: Cause::ResendAsked(_) | Cause::NextAsked(_), .. })
            ),
        }
    }

    /// The ways by which the code reached the handset, each once.
    pub fn delivered(&self) -> Vec<Way<'a>> {
        let last = matches!(self.fate, Fate::Delivered { .. }).then_some(self.way);
        let mut ways: Vec<Way<'a>> = Vec::new();
        for way in self.arrivals.iter().map(|arrival| arrival.way).chain(last) {
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways
    }

    /// Why the last message did not arrive, as far as anybody said so.
    pub fn error(&self) -> Option<&'a DeliveryError> {
        match &self.fate {
            Fate::Refused { error } | Fate::Retrying { error, .. } => Some(error),
            Fate::Failed { error, .. } => *error,
            Fate::Queued { .. }
            | Fate::Sending
            | Fate::Doubt { .. }
            | Fate::Taken { .. }
            | Fate::Delivered { .. }
            | Fate::Skipped
            | Fate::NeverSent => None,
        }
    }
}

/// Reads the events for what the state does not keep.
struct Reading<'a> {
    snapshot: &'a Snapshot,
    events: &'a [Event],
    now: Timestamp,
}

impl<'a> Reading<'a> {
    fn turn(&self, from: &'a Message, to: &'a Message) -> Turn<'a> {
        let way = |message: &'a Message| Way::of(&self.snapshot.policy, message.channel.as_str());
        let went = match to.progress {
            Progress::Queued { .. } if to.attempts == 0 && self.verification().is_pending() => Went::Soon,
            Progress::Dropped if self.was_skipped(to.ordinal) => Went::Skipped,
            Progress::Dropped | Progress::Queued { .. } | Progress::Failed if to.attempts == 0 => Went::Never,
            Progress::Queued { .. }
            | Progress::Sending
            | Progress::InDoubt { .. }
            | Progress::Accepted
            | Progress::Sent
            | Progress::Failed
            | Progress::Delivered
            | Progress::Read
            | Progress::Dropped => Went::Out,
        };
        Turn { from: way(from), cause: self.cause(from, to), to: way(to), went }
    }

    /// What stands in front of the event that queued `to`.
    fn cause(&self, from: &'a Message, to: &'a Message) -> Cause<'a> {
        let queued = |event: &Event| matches!(&event.fact, Fact::MessageQueued { message, .. } if *message == to.ordinal);
        let index = self.events.iter().position(queued).unwrap_or_default();
        let before = self.events[..index].split_last();
        match before.map(|(event, earlier)| (&event.fact, earlier)) {
            Some((Fact::FellBack { reason, .. }, earlier)) => self.fallback_cause(from, to, *reason, earlier),
            Some((Fact::ResendRequested { .. }, earlier)) => Cause::ResendAsked(asker(earlier)),
            Some((Fact::StepSkipped { .. }, _)) => Cause::Skipped,
            Some(_) | None => match to.occasion {
                Occasion::Resend => Cause::ResendAsked(Asker::App),
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
            FallbackReason::Deadline => Cause::NotTaken { after: waited, error },
            FallbackReason::Failed => Cause::Failed { after: to.queued_at.since(self.went_out(from)), error },
            FallbackReason::Refused => match error {
                Some(error) if from.accepted_at.is_none() => Cause::Refused { error },
                Some(_) | None => Cause::Held,
            },
            FallbackReason::InDoubt => Cause::Doubt,
            FallbackReason::Requested => Cause::NextAsked(asker(before)),
        }
    }

    fn fate(&self, message: &'a Message) -> Fate<'a> {
        let went_out = self.went_out(message);
        let error = message.error.as_ref();
        let pending = self.verification().is_pending();
        match message.progress {
            Progress::Queued { .. } if !pending => Fate::NeverSent,
            Progress::Queued { not_before } => match error {
                Some(error) if message.attempts > 0 => Fate::Retrying { error, at: not_before },
                Some(_) | None => Fate::Queued { since: self.now.since(message.queued_at) },
            },
            Progress::Sending => Fate::Sending,
            Progress::InDoubt { settle_by } => Fate::Doubt { again_at: settle_by.filter(|_| pending) },
            Progress::Accepted | Progress::Sent => Fate::Taken { since: self.now.since(went_out) },
            Progress::Delivered | Progress::Read => Fate::Delivered {
                after: message.delivered_at.unwrap_or(went_out).since(went_out),
                read: message.read_at.map(|at| at.since(went_out)),
            },
            Progress::Failed => {
                let failed_at = message.failed_at.unwrap_or(went_out);
                match error {
                    Some(error) if message.accepted_at.is_none() && message.sent_at.is_none() => {
                        Fate::Refused { error }
                    }
                    Some(_) | None => Fate::Failed { after: failed_at.since(went_out), error },
                }
            }
            Progress::Dropped if self.was_skipped(message.ordinal) => Fate::Skipped,
            Progress::Dropped => match error {
                Some(error) => Fate::Refused { error },
                None => Fate::NeverSent,
            },
        }
    }

    fn end(&self) -> End {
        let verification = self.verification();
        match verification.phase {
            // The sweep will say so in a moment; the code is not good any more.
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
            Some(_) | None => End::Canceled(asker(before)),
        }
    }

    /// When the message last went to its provider; when it was queued, where it never did.
    fn went_out(&self, message: &Message) -> Timestamp {
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

/// On whose wish what comes right after `before` happened.
fn asker(before: &[Event]) -> Asker {
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
    if by_operator { Asker::Operator } else { Asker::App }
}

fn again(snapshot: &Snapshot, now: Timestamp) -> Again {
    let Snapshot { verification, policy } = snapshot;
    match policy.resend_wait(usize::from(verification.resends)) {
        Some(wait) => {
            let from = verification.last_send_at + wait;
            if from >= verification.expires_at {
                Again::Never
            } else if from <= now {
                Again::Now
            } else {
                Again::From(from)
            }
        }
        None => Again::Never,
    }
}
