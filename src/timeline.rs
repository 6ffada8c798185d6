//! What happened to a verification, told to people: line by line, in one sentence with what to do about it, and
//! where the time went. In every language of [`crate::language`]; the API and the command line read the English one.

mod amounts;
mod english;
mod german;
mod hops;
mod saying;
mod verdict;
mod way;
mod writer;

use serde::Serialize;
use serde_json::{Map, Value};

pub use hops::{Hop, HopKind, hops};
pub use verdict::{Mood, Verdict, verdict};

use crate::explain::Explanation;
use crate::language::Language;
use crate::store::Snapshot;
use crate::verification::values::{DeliveryError, EventId, MessageId, Timestamp};
use crate::verification::{Event, Fact, State, evolve};

/// One thing that happened. Nothing in it holds a phone number or a code.
#[derive(Clone, Debug)]
pub struct Line {
    pub id: EventId,
    /// From 1, without gaps.
    pub seq: u32,
    pub kind: EventKind,
    /// When it happened here.
    pub at: Timestamp,
    /// When the provider says it happened.
    pub reported_at: Option<Timestamp>,
    /// Who said it: `app`, `twotick`, `operator`, or the name of the channel whose provider told it.
    pub source: String,
    pub message: Option<MessageId>,
    /// A report that changed nothing.
    pub stale: bool,
    /// Plain sentences in the reader's language, the first of them whole by itself.
    pub text: String,
    /// What the kind adds, the same in every language; a stale report is marked here too.
    pub data: Map<String, Value>,
    /// Why it was refused, failed or in doubt.
    pub error: Option<DeliveryError>,
    /// What the table knows about the error; a carrier's own codes are not in it, whatever they look like.
    pub explanation: Option<&'static Explanation>,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(not(fuzzing), derive(utoipa::ToSchema), schema(as = TimelineEventType))]
pub enum EventKind {
    Requested,
    MessageQueued,
    SendStarted,
    SendAccepted,
    SendRefused,
    SendInDoubt,
    StatusSent,
    StatusDelivered,
    StatusRead,
    StatusFailed,
    /// A status word that this version does not know; `data.status` holds it. It changes nothing.
    StatusUnknown,
    FellBack,
    GaveUp,
    CheckPassed,
    CheckFailed,
    ChecksExhausted,
    ResendRequested,
    StepSkipped,
    ReplyReceived,
    CodeDisowned,
    /// Somebody of the staff looked at the number or acted; what followed from it stands behind.
    OperatorActed,
    Expired,
    Canceled,
    /// Number, texts and reasons are gone.
    Erased,
}

/// Every event as a line, oldest first. `events` are those of `snapshot`'s verification from the first one on, or
/// more that came since.
pub fn lines(snapshot: &Snapshot, events: &[Event], language: Language) -> Vec<Line> {
    let mut before: Option<&Fact> = None;
    let mut state = State::New;
    let mut lines = Vec::with_capacity(events.len());
    for (seq, event) in (1..).zip(events) {
        state = evolve(state, event);
        let State::Known(verification) = &state else { continue };
        let now = writer::Now { verification, policy: &snapshot.policy, before, at: event.at };
        lines.push(now.line(seq, &event.fact, language));
        before = Some(&event.fact);
    }
    lines
}
