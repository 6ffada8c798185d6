//! What an import does to a verification that was live: nothing is sent for it again, because the server that was dumped
//! may have gone on since.

use crate::store::{Policies, step};
use crate::verification::due::due;
use crate::verification::values::Timestamp;
use crate::verification::{Command, Comparison, Event, State};

/// What became of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was settled before.
    Already,
    /// It had ended, and still waited for something.
    Ended,
    /// It was pending and past its expiry.
    Expired,
    /// It was pending before its expiry.
    Canceled,
}

#[derive(Debug, thiserror::Error)]
pub enum Unsettled {
    #[error("a verification does not begin with a request")]
    NoRequest,
    #[error("a policy is missing")]
    NoPolicy,
}

/// Appends to `events` what settles their verification at `now`: an attempt without an outcome is in doubt, and a
/// pending verification expires or is canceled.
///
/// # Errors
/// Where `events` make no verification, or its policy is not among `policies`.
pub fn settle(events: &mut Vec<Event>, policies: &Policies, now: Timestamp) -> Result<Settled, Unsettled> {
    let mut state = State::fold(&*events);
    let State::Known(verification) = &state else { return Err(Unsettled::NoRequest) };
    if due(&state).is_none() {
        return Ok(Settled::Already);
    }
    let policy = policies.get(&verification.request.policy).ok_or(Unsettled::NoPolicy)?;
    let (was_pending, is_over) = (verification.is_pending(), now >= verification.expires_at);
    // A check of an expired verification does nothing but expire it.
    let ending = if is_over { Command::Check(Comparison::Differ) } else { Command::Cancel };
    // The processes that wrote the dump have no part in this store.
    let interrupts = verification.runners().into_iter().map(|gone| Command::Interrupt { gone });
    for command in interrupts.chain([ending]).collect::<Vec<_>>() {
        // A verification that has ended refuses.
        if let Ok(more) = step(&mut state, policy, &command, now) {
            events.extend(more);
        }
    }
    Ok(match (was_pending, is_over) {
        (false, _) => Settled::Ended,
        (true, true) => Settled::Expired,
        (true, false) => Settled::Canceled,
    })
}
