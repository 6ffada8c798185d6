//! The next deadline of a verification, and its reason. It is computed after each event, so no deadline has to be
//! canceled.

use std::time::Duration;

use super::command::Readiness;
use super::state::{Message, Phase, Progress, Stage, State, Verification};
use super::values::{Ordinal, Timestamp};

/// An attempt without an outcome for this long is in doubt. Twice the largest timeout that the configuration allows for
/// a channel.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// How long after the expiry of a code reports are expected. WhatsApp gives up on an authentication template after 15
/// minutes at most, and then reports nothing.
pub const REPORT_WAIT: Duration = Duration::from_secs(15 * 60);
/// How long after its delivery a message is usually reported as read, if the person looks at it.
pub const READ_WAIT: Duration = Duration::from_secs(3);

/// The reason of a deadline. If several have passed, they are handled in this order: endings before sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The code expires.
    Expiry,
    /// `deliver_within` of the step in progress has passed.
    Deadline,
    /// This message of the last step is still in doubt after `in_doubt_wait`.
    Doubt(Ordinal),
    /// This message is queued and may be sent.
    Send(Ordinal),
    /// The attempt of this message got no outcome within [`ANSWER_LIMIT`].
    Answer(Ordinal),
}

impl Why {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expiry => "expiry",
            Self::Deadline => "deadline",
            Self::Doubt(_) => "doubt",
            Self::Send(_) => "send",
            Self::Answer(_) => "answer",
        }
    }
}

/// The next deadline. `None`: the verification is settled or does not exist.
pub fn due(state: &State) -> Option<(Timestamp, Why)> {
    match state {
        State::New => None,
        State::Known(verification) => due_of(verification),
    }
}

/// As [`due`], for a known verification.
pub fn due_of(verification: &Verification) -> Option<(Timestamp, Why)> {
    deadlines(verification).min()
}

/// As [`due`], without the send of the queued message: its channel is throttled.
pub fn due_while_throttled(state: &State) -> Option<(Timestamp, Why)> {
    match state {
        State::New => None,
        State::Known(verification) => deadlines(verification).filter(|(_, why)| !is_send(*why)).min(),
    }
}

/// The deadline to handle at `now`, if one has passed. Of several, endings come before sends: after an outage an
/// expired code is expired, not sent.
pub fn ripe(state: &State, readiness: Readiness, now: Timestamp) -> Option<(Timestamp, Why)> {
    let may_send = match readiness {
        Readiness::Ready | Readiness::BreakerOpen => true,
        Readiness::Throttled => false,
    };
    match state {
        State::New => None,
        State::Known(verification) => deadlines(verification)
            .filter(|(at, why)| *at <= now && (may_send || !is_send(*why)))
            .min_by_key(|&(at, why)| (why, at)),
    }
}

/// From when on no event of the verification is expected; `None` while it is pending or a request is in progress.
pub fn settles_at(verification: &Verification) -> Option<Timestamp> {
    let Phase::Ended { at: ended_at, .. } = verification.phase else { return None };
    if due_of(verification).is_some() {
        return None;
    }
    let of_message = |message: &Message| match message.progress {
        Progress::Queued { .. }
        | Progress::Sending
        | Progress::InDoubt { .. }
        | Progress::Accepted
        | Progress::Sent => None,
        Progress::Delivered => message.delivered_at.map(|at| at + READ_WAIT),
        Progress::Failed | Progress::Read | Progress::Dropped => Some(ended_at),
    };
    let silent_from = verification.expires_at + REPORT_WAIT;
    let settled = verification.messages.iter().map(|message| of_message(message).unwrap_or(silent_from));
    Some(settled.fold(ended_at, Timestamp::max))
}

fn is_send(why: Why) -> bool {
    match why {
        Why::Send(_) => true,
        Why::Expiry | Why::Deadline | Why::Doubt(_) | Why::Answer(_) => false,
    }
}

fn deadlines(verification: &Verification) -> impl Iterator<Item = (Timestamp, Why)> {
    let pending = verification.is_pending();
    let expiry = pending.then_some((verification.expires_at, Why::Expiry));
    let deadline = verification.fallback_at().map(|at| (at, Why::Deadline));
    let waiting = matches!(verification.phase, Phase::Pending(Stage::Waiting { .. }));
    let current = verification.messages.len().checked_sub(1);
    let of_messages = verification.messages.iter().enumerate().filter_map(move |(index, message)| {
        if let Some(open) = message.open_attempt {
            return Some((open.started_at + ANSWER_LIMIT, Why::Answer(message.ordinal)));
        }
        match message.progress {
            Progress::Queued { not_before } if pending => Some((not_before, Why::Send(message.ordinal))),
            Progress::InDoubt { settle_by } if waiting && Some(index) == current => {
                settle_by.map(|at| (at, Why::Doubt(message.ordinal)))
            }
            Progress::Queued { .. }
            | Progress::InDoubt { .. }
            | Progress::Sending
            | Progress::Accepted
            | Progress::Sent
            | Progress::Failed
            | Progress::Delivered
            | Progress::Read
            | Progress::Dropped => None,
        }
    });
    expiry.into_iter().chain(deadline).chain(of_messages)
}
