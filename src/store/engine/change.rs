//! What a turn changes, as backends store it: each kind has its codec, its retention and its place in a dump.

use std::sync::Arc;

use super::Parked;
use crate::store::audit::{AuditLink, Head};
use crate::store::{Alert, Idempotency, Inbound, LogPosition, Snapshot};
use crate::verification::values::{Timestamp, VerificationId};
use crate::verification::{Event, Policy, PolicyHash};

pub enum Change {
    Policy(PolicyHash, Arc<Policy>),
    Stream(Box<Grown>),
    /// A settled verification is removed with everything that finds it.
    StreamRemoved(VerificationId),
    Idempotency(Idempotency),
    /// `at`: when this use of the key was. The record goes only if it is of this use.
    IdempotencyRemoved {
        key: [u8; 16],
        at: Timestamp,
    },
    Parked(Box<Parked>),
    ParkedRemoved(Box<Parked>),
    Inbound(Box<Inbound>),
    InboundRemoved(LogPosition),
    Alert(Box<Alert>),
    AlertRemoved(LogPosition),
    /// The next audit record and the head that it makes.
    Audit(Head, AuditLink),
    /// Every audit record up to this one is removed.
    AuditRemoved(Head),
}

/// A verification with the events that this turn added.
pub struct Grown {
    /// Its state behind the new events.
    pub snapshot: Snapshot,
    /// May be empty: only `next` changed then.
    pub events: Vec<Event>,
    pub next: Next,
}

impl Grown {
    pub fn id(&self) -> VerificationId {
        self.snapshot.verification.id()
    }

    /// Number of events before this turn: no other writer may have added any since.
    pub fn expected_version(&self) -> u32 {
        let added = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        self.snapshot.verification.version.saturating_sub(added)
    }
}

/// What becomes of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is live and due then.
    Due(Timestamp),
    /// Nothing left to send, no deadline left.
    Settled,
}
