//! The whole story in one sentence, what to tell the customer, and what to do.

mod case;
mod english;
mod german;

use case::Case;

use crate::language::Language;
use crate::store::Snapshot;
use crate::verification::Event;
use crate::verification::values::Timestamp;

/// What a support agent reads first. Holds neither a phone number nor a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub mood: Mood,
    /// What happened, in one sentence.
    pub sentence: String,
    /// Words that can be read out to the person who waits for the code.
    pub tell_customer: String,
    /// What the support agent does now.
    pub to_do: String,
}

/// How it stands, for an icon and a colour beside the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mood {
    /// Delivered or approved.
    Good,
    /// Under way, nobody has to do anything.
    Waiting,
    /// The customer has no code, or somebody must act.
    Trouble,
    /// Ended without an approval.
    Over,
}

/// The verdict at `now`. `events` are those of `snapshot`'s verification from the first one on; `clock` writes an
/// instant as the reader's time of day.
pub fn verdict(
    snapshot: &Snapshot,
    events: &[Event],
    now: Timestamp,
    language: Language,
    clock: &dyn Fn(Timestamp) -> String,
) -> Verdict {
    let case = Case::of(snapshot, events, now);
    let [sentence, tell_customer, to_do] = match language {
        Language::English => english::words(&case, clock),
        Language::German => german::words(&case, clock),
    };
    Verdict { mood: case.mood(), sentence, tell_customer, to_do }
}
