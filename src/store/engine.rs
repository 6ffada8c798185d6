//! One turn of the store, the same for every backend: look-ups in; changes, answers and errands out.
//!
//! The engine knows no key, row, file or SQL and does no I/O. A backend implements [`Lookup`]: it answers questions about
//! what is stored, changes of earlier turns and of this turn included, and takes typed [`Change`]s. It makes all changes
//! of a turn durable as one, and only then publishes, answers and hands out errands.

mod change;
mod forget;
mod gate;
mod inbound;
mod inflow;
mod order;
mod parked;
mod process;
mod retention;
mod turn;

pub use change::{Change, Grown, Next};
pub use order::idempotency_limit;
pub use parked::{Parked, ParkedReports};
pub use process::{Agenda, Process};
pub use turn::{Made, Turn};

use std::sync::Arc;

use super::audit::Head;
use super::{Idempotency, Link, LogPosition, StoreError};
use crate::verification::values::{
    ChannelName, MessageId, NumberIndex, ProviderRef, Timestamp, VerificationId,
};
use crate::verification::{Policy, PolicyHash, State};

/// Limits that tests lower so that a few records reach them.
#[derive(Clone, Copy, Debug)]
pub struct EngineLimits {
    /// Alerts that are kept, the newest.
    pub alerts: usize,
    /// Reports that match nothing and are kept, the newest.
    pub parked: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self { alerts: inflow::MOST_ALERTS, parked: parked::MOST_PARKED }
    }
}

/// The answer to a look-up.
pub type Known<T> = Result<T, Unknown>;

/// Why a look-up has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The backend has to fetch this first; the order is run again then. The engine asks everything that an order needs
    /// before it changes anything, so nothing has to be undone.
    Missing(Need),
    Failed(StoreError),
}

impl From<StoreError> for Unknown {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// What a look-up asked for and the backend does not have at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    Stream(VerificationId),
    Message(ChannelName, ProviderRef),
    Idempotency([u8; 16]),
    Person(NumberIndex),
    VerificationsOf(NumberIndex),
    Inbound,
    /// A page of old records, for the retention sweep.
    Old,
}

/// A verification as the last change left it, durable or not.
pub struct Stream {
    pub state: State,
    pub policy: Arc<Policy>,
    /// When it is due next; `None` if it is settled: nothing left to send, no deadline left.
    pub due: Option<Timestamp>,
}

/// What the engine asks of a backend, and what it gives it.
pub trait Lookup {
    /// `None`: there is no such verification.
    fn stream(&mut self, id: VerificationId) -> Known<Option<Stream>>;
    /// Whether this verification exists and is not settled. Never missing.
    fn is_live(&self, id: VerificationId) -> bool;
    fn has_policy(&self, hash: PolicyHash) -> bool;
    /// The message that a provider calls so.
    fn message(&mut self, channel: &ChannelName, provider_ref: &ProviderRef) -> Known<Option<MessageId>>;
    /// The record of an idempotency key, however old.
    fn idempotency(&mut self, key: [u8; 16]) -> Known<Option<Idempotency>>;
    /// Other names of the person with this name, at most one link for each.
    fn links(&mut self, name: NumberIndex) -> Known<Vec<Link>>;
    /// The live verifications of this number, the newest last. Never missing.
    fn live_of(&self, number: NumberIndex) -> Vec<VerificationId>;
    /// The newest verifications of this number that were created at or after `since`, at most `most`.
    fn verifications_of(
        &mut self,
        number: NumberIndex,
        since: VerificationId,
        most: usize,
    ) -> Known<Vec<VerificationId>>;
    /// `None` if the inbound message is new, else the verification that it was matched to when it came first.
    fn known_inbound(
        &mut self,
        channel: &ChannelName,
        provider_ref: &str,
    ) -> Known<Option<Option<VerificationId>>>;
    /// The place of the last inbound message that arrived in this millisecond.
    fn last_arrival(&mut self, at: Timestamp) -> Known<Option<u32>>;
    /// Positions of some inbound messages of this name, at most `most`.
    fn inbound_of(&mut self, name: NumberIndex, most: usize) -> Known<Vec<LogPosition>>;
    /// The verification or inbound message from which it is known that both names are one person's.
    fn taught_by(&mut self, name: NumberIndex, through: NumberIndex) -> Known<Option<[u8; 16]>>;
    /// The reports that wait for their message. Never missing: a backend that keeps them elsewhere fetches those of a
    /// message with its stream.
    fn parked(&mut self) -> &mut ParkedReports;
    /// The oldest alerts beyond the newest `kept`, at most `most`.
    fn surplus_alerts(&mut self, kept: usize, most: usize) -> Vec<LogPosition>;
    fn audit_head(&mut self) -> Head;

    /// The oldest idempotency keys that were used before `before`, at most `most`.
    fn old_idempotency(&mut self, before: Timestamp, most: usize) -> Known<Vec<(Timestamp, [u8; 16])>>;
    /// The inbound messages that arrived first, before `before`, with their arrival.
    fn old_inbound(&mut self, before: Timestamp, most: usize) -> Known<Vec<(Timestamp, LogPosition)>>;
    fn old_alerts(&mut self, before: Timestamp, most: usize) -> Known<Vec<(Timestamp, LogPosition)>>;
    /// The first audit records, if they are older than `before`, each as the head that it makes.
    fn old_audit(&mut self, before: Timestamp, most: usize) -> Known<Vec<(Timestamp, Head)>>;
    /// The oldest settled verifications that were created before `before`.
    fn old_verifications(&mut self, before: Timestamp, most: usize) -> Known<Vec<VerificationId>>;

    /// Takes a change. Later look-ups see it.
    ///
    /// # Errors
    /// Where the record cannot be written, because it is too large or what it builds on is damaged.
    fn make(&mut self, change: Change) -> Result<(), StoreError>;
}
