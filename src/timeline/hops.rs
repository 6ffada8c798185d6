//! Where the time of a verification went, as stretches that follow each other without gap or overlap.

use std::time::Duration;

use super::way::{Medium, Way};
use crate::language::Language;
use crate::store::Snapshot;
use crate::verification::event::FallbackReason;
use crate::verification::state::{Message, Phase, Progress, Stage};
use crate::verification::values::{ChannelName, Timestamp};
use crate::verification::{Event, Fact, Policy, State, Verification, evolve};

/// One stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    pub kind: HopKind,
    /// Of the message that was under way; `None` while none was.
    pub channel: Option<ChannelName>,
    pub from: Timestamp,
    /// `None`: it is still going on.
    pub until: Option<Timestamp>,
}

/// Who or what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HopKind {
    /// Our queue: until the request went out.
    Queue,
    /// The provider's answer to our request.
    Provider,
    /// A message by WhatsApp that was accepted, on its way to the handset.
    Delivery,
    /// An SMS that was accepted, on its way through the carriers.
    Carrier,
    /// A message that was accepted and not delivered before its step's deadline.
    Deadline,
    /// Nobody here: the code was delivered, or every step had failed, until it was sent once more.
    Customer,
}

impl Hop {
    /// Up to `now` where it is still going on.
    pub fn lasted(&self, now: Timestamp) -> Duration {
        self.until.unwrap_or(now).since(self.from)
    }
}

impl HopKind {
    /// A few words, as a legend.
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

/// The stretches from the request to the last delivery, to the end, or (the last one open) on into the present.
/// `events` are those of `snapshot`'s verification from the first one on. A clock that was set back makes no stretch.
pub fn hops(snapshot: &Snapshot, events: &[Event]) -> Vec<Hop> {
    let mut hops: Vec<Hop> = Vec::new();
    let mut state = State::New;
    let mut latest = Timestamp::default();
    for event in events {
        latest = latest.max(event.at);
        if let (Some(open), Some(kind)) = (hops.last_mut(), ended_in_vain(&event.fact))
            && matches!(open.kind, HopKind::Delivery | HopKind::Carrier)
        {
            open.kind = kind;
        }
        state = evolve(state, event);
        let State::Known(verification) = &state else { continue };
        let waited_for = waited_for(verification, &snapshot.policy);
        let open = hops.last_mut().filter(|hop| hop.until.is_none());
        if let Some(open) = open {
            if waited_for
                .as_ref()
                .is_some_and(|(kind, channel)| (open.kind, &open.channel) == (*kind, channel))
            {
                continue;
            }
            open.until = Some(latest);
        }
        hops.extend(waited_for.map(|(kind, channel)| Hop { kind, channel, from: latest, until: None }));
    }
    hops.retain(|hop| hop.until != Some(hop.from));
    // What comes after the last delivery is told by the lines: minutes of it would dwarf the rest.
    hops.pop_if(|hop| hop.kind == HopKind::Customer);
    hops
}

/// What an accepted message turns out to have been waited for.
fn ended_in_vain(fact: &Fact) -> Option<HopKind> {
    let Fact::FellBack { reason, .. } = fact else { return None };
    match reason {
        FallbackReason::Deadline | FallbackReason::InDoubt => Some(HopKind::Deadline),
        FallbackReason::Failed | FallbackReason::Refused | FallbackReason::Requested => None,
    }
}

/// `None`: for nothing, it has ended.
fn waited_for(verification: &Verification, policy: &Policy) -> Option<(HopKind, Option<ChannelName>)> {
    let stage = match verification.phase {
        Phase::Pending(stage) => stage,
        Phase::Ended { .. } => return None,
    };
    let message = match stage {
        Stage::Waiting { .. } => verification.current(),
        Stage::Delivered | Stage::GaveUp => return Some((HopKind::Customer, None)),
    };
    // The request is committed together with its first message.
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
        // Delivered for the first time only now, or left behind in the same commit: a moment, no stretch.
        | Progress::Failed
        | Progress::Delivered
        | Progress::Read
        | Progress::Dropped => match Way::of(policy, message.channel.as_str()).medium {
            Some(Medium::Sms) => HopKind::Carrier,
            Some(Medium::WhatsApp) | None => HopKind::Delivery,
        },
    }
}
