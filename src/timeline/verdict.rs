//! The verdict: a summary, advice for the customer, and the next action.

mod english;
mod facts;
mod german;

use facts::Facts;

use crate::language::Language;
use crate::store::Snapshot;
use crate::verification::Event;
use crate::verification::values::Timestamp;

/// The summary for support staff. Contains no phone number and no code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub mood: Mood,
    /// The history in one sentence.
    pub sentence: String,
    /// A text to read to the customer.
    pub tell_customer: String,
    /// The next action of the support agent.
    pub to_do: String,
}

/// The overall state, for an icon and a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mood {
    /// Delivered or approved.
    Good,
    /// In progress; no action needed.
    Waiting,
    /// The customer has no code, or someone must act.
    Trouble,
    /// Ended without an approval.
    Over,
}

/// The verdict at `now`. `events` must be complete from the first one; `clock` formats a time of day for the user.
pub fn verdict(
    snapshot: &Snapshot,
    events: &[Event],
    now: Timestamp,
    language: Language,
    clock: &dyn Fn(Timestamp) -> String,
) -> Verdict {
    let facts = Facts::of(snapshot, events, now);
    let [sentence, tell_customer, to_do] = match language {
        Language::English => english::words(&facts, clock),
        Language::German => german::words(&facts, clock),
    };
    Verdict { mood: facts.mood(), sentence, tell_customer, to_do }
}
