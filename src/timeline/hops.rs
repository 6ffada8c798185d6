//! The time of a verification divided into contiguous segments.

use std::time::Duration;

use super::route::{Medium, Route};
use crate::language::Language;
use crate::store::Snapshot;
use crate::verification::event::FallbackReason;
use crate::verification::state::{Message, Phase, Progress, Stage};
use crate::verification::values::{ChannelName, Timestamp};
use crate::verification::{Event, Fact, Policy, State, Verification, evolve};

/// A segment of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    pub kind: HopKind,
    /// The channel of the current message; `None` without one.
    pub channel: Option<ChannelName>,
    pub from: Timestamp,
    /// `None` if it continues.
    pub until: Option<Timestamp>,
}

/// The cause of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HopKind {
    /// Our queue, until the request is sent.
    Queue,
    /// The provider's response to our request.
    Provider,
    /// The delivery of an accepted WhatsApp message.
    Delivery,
    /// The delivery of an accepted SMS by the carriers.
    Carrier,
    /// A deadline: the accepted message was not delivered before it passed.
    Deadline,
    /// The customer: from delivery, or the failure of all steps, until a resend.
    Customer,
}

impl Hop {
    /// Ends at `now` if the segment continues.
    pub fn lasted(&self, now: Timestamp) -> Duration {
        self.until.unwrap_or(now).since(self.from)
    }
}

impl HopKind {
    /// A short label for the legend.
    pub fn as_str(self, language: Language) -> &'static str {
        match (language, self) {
            (Language::English, Self::Queue) => "our queue",
            (Language::English, Self::Provider) => "until accepted",
            (Language::English, Self::Delivery) => "on its way",
            (Language::English, Self::Carrier) => "carrier",
            (Language::English, Self::Deadline) => "waiting for the deadline",
            (Language::English, Self::Customer) => "until sent once more",
            (Language::German, Self::Queue) => "unsere Warteschlange",
            (Language::German, Self::Provider) => "bis zur Annahme",
            (Language::German, Self::Delivery) => "unterwegs",
            (Language::German, Self::Carrier) => "Netzbetreiber",
            (Language::German, Self::Deadline) => "Warten auf die Frist",
            (Language::German, Self::Customer) => "bis zum erneuten Versand",
        }
    }
}

/// The segments from the request to the last delivery, the end, or the present (then the last one is open). `events`
/// must be complete from the first one. Steps back of the clock produce no segment.
pub fn hops(snapshot: &Snapshot, events: &[Event]) -> Vec<Hop> {
    let mut hops: Vec<Hop> = Vec::new();
    let mut state = State::New;
    let mut latest = Timestamp::default();
    for event in events {
        latest = latest.max(event.at);
        if let (Some(open), Some(kind)) = (hops.last_mut(), undelivered_kind(&event.fact))
            && matches!(open.kind, HopKind::Delivery | HopKind::Carrier)
        {
            open.kind = kind;
        }
        state = evolve(state, event);
        let State::Known(verification) = &state else { continue };
        let current_wait = current_wait(verification, &snapshot.policy);
        let open = hops.last_mut().filter(|hop| hop.until.is_none());
        if let Some(open) = open {
            if current_wait
                .as_ref()
                .is_some_and(|(kind, channel)| (open.kind, &open.channel) == (*kind, channel))
            {
                continue;
            }
            open.until = Some(latest);
        }
        hops.extend(current_wait.map(|(kind, channel)| Hop { kind, channel, from: latest, until: None }));
    }
    hops.retain(|hop| hop.until != Some(hop.from));
    // The segment after the last delivery is dropped: its minutes would dwarf the others.
    hops.pop_if(|hop| hop.kind == HopKind::Customer);
    hops
}

/// The kind of a delivery segment that turns out to have ended without a delivery.
fn undelivered_kind(fact: &Fact) -> Option<HopKind> {
    let Fact::FellBack { reason, .. } = fact else { return None };
    match reason {
        FallbackReason::Deadline | FallbackReason::InDoubt => Some(HopKind::Deadline),
        FallbackReason::Failed | FallbackReason::Refused | FallbackReason::Requested => None,
    }
}

/// The cause of the current wait; `None` after the end.
fn current_wait(verification: &Verification, policy: &Policy) -> Option<(HopKind, Option<ChannelName>)> {
    let stage = match verification.phase {
        Phase::Pending(stage) => stage,
        Phase::Ended { .. } => return None,
    };
    let message = match stage {
        Stage::Waiting { .. } => verification.current(),
        Stage::Delivered | Stage::GaveUp => return Some((HopKind::Customer, None)),
    };
    // The request and its first message are committed together.
    let Some(message) = message else { return Some((HopKind::Queue, None)) };
    Some((kind(message, policy), Some(message.channel.clone())))
}

fn kind(message: &Message, policy: &Policy) -> HopKind {
    match message.progress {
        Progress::Queued { .. } => HopKind::Queue,
        Progress::Sending => HopKind::Provider,
        Progress::InDoubt { .. }
        | Progress::Accepted
        | Progress::Sent
        // Only within the commit that changes the stage, so the segment has no length.
        | Progress::Failed
        | Progress::Delivered
        | Progress::Read
        | Progress::Dropped => match Route::of(policy, message.channel.as_str()).medium {
            Some(Medium::Sms) => HopKind::Carrier,
            Some(Medium::WhatsApp) | None => HopKind::Delivery,
        },
    }
}
