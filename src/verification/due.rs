//! When a verification next wants attention, and why. Asked anew after each event, so there is nothing to cancel.

use std::time::Duration;

use super::command::Readiness;
use super::state::{Message, Phase, Progress, Stage, State, Verification};
use super::values::{Ordinal, Timestamp};

/// An attempt without an outcome for so long is in doubt: whoever carried it out is gone.
/// Twice the largest time-out that the configuration allows a channel.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// How long after its expiry a code may still be reported on. WhatsApp gives up on an authentication template after
/// 15 minutes at most, and reports nothing then.
pub const REPORT_WAIT: Duration = Duration::from_secs(15 * 60);
/// How long after its delivery a message may still be reported as read by somebody who is looking at it.
pub const READ_WAIT: Duration = Duration::from_secs(3);

/// In the order in which they are served when several are due: what ends comes before what sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The code expires.
    Expiry,
    /// `deliver_within` of the step in progress is over.
    Deadline,
    /// The doubt about this message of the last step was not settled in time.
    Doubt(Ordinal),
    /// This message is queued and may be sent.
    Send(Ordinal),
    /// This attempt never got an outcome.
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

/// The single agenda entry of this verification. `None`: it wants nothing more, it is not live.
pub fn due(state: &State) -> Option<(Timestamp, Why)> {
    match state {
        State::New => None,
        State::Known(verification) => due_of(verification),
    }
}

/// The same of a verification that there is.
pub fn due_of(verification: &Verification) -> Option<(Timestamp, Why)> {
    wants(verification).min()
}

/// The same while its channel has no room for the message that is queued.
pub fn due_while_throttled(state: &State) -> Option<(Timestamp, Why)> {
    match state {
        State::New => None,
        State::Known(verification) => wants(verification).filter(|(_, why)| !is_send(*why)).min(),
    }
}

/// What is to be done at `now`, and since when. Of several things that are due the one that ends comes before the
/// one that sends: after an outage an expired code is expired, not sent.
pub fn ripe(state: &State, readiness: Readiness, now: Timestamp) -> Option<(Timestamp, Why)> {
    let may_send = match readiness {
        Readiness::Ready | Readiness::BreakerOpen => true,
        Readiness::Throttled => false,
    };
    match state {
        State::New => None,
        State::Known(verification) => wants(verification)
            .filter(|(at, why)| *at <= now && (may_send || !is_send(*why)))
            .min_by_key(|&(at, why)| (why, at)),
    }
}

/// From when on nothing more is expected of a verification; `None` while it is pending or a request is under way.
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

fn wants(verification: &Verification) -> impl Iterator<Item = (Timestamp, Why)> {
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
