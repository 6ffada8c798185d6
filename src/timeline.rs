//! Human-readable history of a verification in every [`crate::language`]: its lines, a verdict with advice, and the
//! time spent. The API and the command line use English.

mod amounts;
mod english;
mod german;
mod hops;
mod route;
mod sentence;
mod verdict;
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

/// One event for display. Contains no phone number and no code.
#[derive(Clone, Debug)]
pub struct Line {
    pub id: EventId,
    /// From 1, without gaps.
    pub seq: u32,
    pub kind: EventKind,
    /// The time of the event on our clock.
    pub at: Timestamp,
    /// The provider's time of the event.
    pub reported_at: Option<Timestamp>,
    /// `app`, `twotick`, `operator`, or the name of the reporting channel.
    pub source: String,
    pub message: Option<MessageId>,
    /// Whether this is a report without effect.
    pub stale: bool,
    /// Full sentences in the chosen language; the first one is complete on its own.
    pub text: String,
    /// Data specific to the kind, language-independent; includes `stale`.
    pub data: Map<String, Value>,
    /// The error of a refusal, a failure or a doubt.
    pub error: Option<DeliveryError>,
    /// The explanation of the error. Carriers' own codes have none, even if they resemble a known code.
    pub explanation: Option<&'static Explanation>,
}

/// The type of an event.
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
    /// An unknown status word, in `data.status`. It has no effect.
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
    /// A staff member viewed the number or acted; the effects follow as separate events.
    OperatorActed,
    Expired,
    Canceled,
    /// Number, texts and reasons are erased.
    Erased,
}

/// All events as lines, oldest first. `events` must be complete from the first one; they may be newer than `snapshot`.
pub fn lines(snapshot: &Snapshot, events: &[Event], language: Language) -> Vec<Line> {
    let mut before: Option<&Fact> = None;
    let mut state = State::New;
    let mut lines = Vec::with_capacity(events.len());
    for (seq, event) in (1..).zip(events) {
        state = evolve(state, event);
        let State::Known(verification) = &state else { continue };
        let context = writer::EventContext { verification, policy: &snapshot.policy, before, at: event.at };
        lines.push(context.line(seq, &event.fact, language));
        before = Some(&event.fact);
    }
    lines
}
