//! Where verifications live. A backend runs the machine and answers when the answer would survive the loss of power.
//!
//! One *turn*: take what is waiting and what is due; for each stream state → decide → events → evolve → due; make all
//! of it durable at once; then publish the new states, release every answer and hand out the effects.
//! A reader sees only durable states.

mod audit;
mod by_id;
#[cfg(test)]
pub(crate) mod contract;
pub mod dump;
pub mod engine;
mod filter;
mod person;
pub mod sled;
mod stream;
mod transitions;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::verification::values::{
    AppName, ChannelName, MessageId, NumberIndex, NumberTail, Ordinal, Report, Sealed, Timestamp,
    VerificationId,
};
use crate::verification::{
    Command, Event, Policy, PolicyHash, Rejection, Request, State, Verification, decide, evolve,
};

pub use audit::{Audit, AuditAction, AuditLink, AuditRecord, ChainHash};
pub use filter::{DeliveryState, Facets, Filter, Status};
pub use person::{Link, Person};

/// A verification as it durably is, with the policy that was applied to it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub verification: Verification,
    pub policy: Arc<Policy>,
}

impl Snapshot {
    /// The locale in which the message queued last is sent.
    pub fn locale(&self) -> &str {
        let step = self.verification.current().map_or(0, |message| message.step);
        self.policy.locale_of(step, self.verification.request.locale.as_deref())
    }
}

/// What can be asked of a store. All answers of one call come together, when all of them are durable.
#[derive(Clone, Debug)]
pub enum Order {
    /// A new verification; or, while one is pending for the same app, profile and number, a resend of that.
    Create { request: Arc<Request>, policy: Arc<Policy>, idempotency: Option<Idempotency> },
    /// A command to one verification. An app reaches only its own. What a person of the staff does is audited with it,
    /// as one.
    Command { id: VerificationId, app: Option<AppName>, command: Command },
    /// What a provider told. Matched by the provider's id, else by ours; parked where it matches nothing yet.
    Report { channel: ChannelName, report: Report },
    /// What a person wrote. One that came before changes nothing.
    Inbound(Arc<Inbound>),
    /// What an operator should know.
    Alert(Alert),
    /// What a person of the staff did beside commands.
    Audit(Audit),
    /// Forgets the person of this name: the verifications of each of their names, as [`Command::Erase`] does, and their
    /// inbound messages. A bounded share, to be repeated until nothing is left.
    Forget(NumberIndex),
}

#[derive(Clone, Debug)]
pub enum Answer {
    /// The command was carried out; no events where it was already so.
    Done {
        snapshot: Arc<Snapshot>,
        events: Vec<Event>,
    },
    /// A new verification.
    Created(Arc<Snapshot>),
    /// A create that found a pending verification and sent its code once more.
    Resent(Arc<Snapshot>),
    /// This idempotency key was used before.
    Replayed(Idempotency),
    /// `id` is the verification that refused, where there is one.
    Rejected {
        rejection: Rejection,
        id: Option<VerificationId>,
    },
    Reported(Match),
    /// Inbound messages, alerts and audit entries.
    Kept,
    /// How many verifications and inbound messages were forgotten this time; none: nothing is left.
    Forgotten(usize),
}

/// Where a report went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It moved its message on.
    Applied,
    /// It is known already, or older than what is known.
    Stale,
    /// Nothing of ours is known by its ids yet; it waits for the send to be recorded.
    Parked,
    /// It names a message that we do not have, and nothing by which it could be matched later.
    Unmatched,
}

/// The memory of one `Idempotency-Key`, kept for 24 h.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// A keyed hash of app and key.
    pub key: [u8; 16],
    /// A keyed hash of the request's body.
    pub fingerprint: [u8; 16],
    pub at: Timestamp,
    /// The first answer: this verification as it was at this version. Set by the store.
    pub answer: Option<FirstAnswer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstAnswer {
    pub id: VerificationId,
    pub version: u32,
    pub occasion: FirstOccasion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstOccasion {
    Created,
    Resent,
}

/// A message that a person wrote to the business number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// What the provider calls it; one that came before is recognised by it.
    pub provider_ref: String,
    pub channel: ChannelName,
    pub received_at: Timestamp,
    /// When it was written, by the provider's clock.
    pub at: Timestamp,
    /// `text`, `button`, `image`, as the provider calls it.
    pub kind: String,
    /// Its place among those that came in the same millisecond. Set by the store.
    #[serde(default)]
    pub arrival: u32,
    /// The blind index of the writer's number, where the provider tells it, and how it ends.
    pub number: Option<NumberIndex>,
    #[serde(default)]
    pub tail: Option<NumberTail>,
    /// The blind index of the provider's own id of the writer.
    #[serde(default)]
    pub user: Option<NumberIndex>,
    /// The message of ours that it answers, as the provider calls it.
    pub in_reply_to: Option<String>,
    pub intent: Intent,
    /// Number, name and text.
    pub content: Sealed,
    /// The verification that it answers. Set by the store.
    pub verification: Option<VerificationId>,
    /// Whose verification that is. Set by the store.
    pub app: Option<AppName>,
}

impl Inbound {
    /// By what the writer is known: the number where the provider tells it, else the provider's own id.
    pub fn writer(&self) -> Option<NumberIndex> {
        self.number.or(self.user)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    Reply,
    /// "I didn't request a code" was pressed.
    CodeDisowned,
}

/// Something that an operator has to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub at: Timestamp,
    pub channel: ChannelName,
    /// What `twotick explain` knows it by.
    pub code: String,
    pub title: String,
    /// The template, number or message that it is about.
    pub subject: Option<String>,
    /// An unreadable delivery, sealed, the first 8 KiB of it.
    pub evidence: Option<Sealed>,
    /// Tells what a provider says twice from two things that look alike. Without it they are told apart by what is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// `next` is where the next page begins. A list does a bounded share of work a call: it may stop and say where, having
/// found fewer than were asked for, or none.
#[derive(Clone, Debug)]
pub struct Page<T, C> {
    pub items: Vec<T>,
    /// `None` where there is nothing more.
    pub next: Option<C>,
}

/// Where an inbound message or an alert stands, in order of time: of a message its time, when it came, and its place
/// among those that came then; of an alert its time and a hash.
pub type LogPosition = [u8; 16];

/// An attempt that must be carried out, because its intent is durable.
#[derive(Clone, Debug)]
pub struct Errand {
    pub snapshot: Arc<Snapshot>,
    pub message: Ordinal,
    pub attempt: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too many calls wait. Nothing was done.
    #[error("too many requests are waiting for the store")]
    Busy,
    /// No room on the disk. What was asked must be asked again; the store takes writes once there is room.
    #[error("the disk is full")]
    Full,
    #[error("the store is shutting down")]
    Closed,
    /// More than a record of 16 KiB holds.
    #[error("the request is larger than a record may be")]
    TooLarge,
    /// A record does not match its checksum or cannot be read. `key` is in hexadecimal.
    #[error("the record {key} is damaged: {reason}")]
    Damaged { key: String, reason: String },
}

pub type Reply<T> = BoxFuture<'static, Result<T, StoreError>>;

pub trait Store: Send + Sync {
    /// Carries out `orders` in their order; the answers come in the same order, when all are durable.
    fn execute(&self, orders: Vec<Order>) -> Reply<Vec<Answer>>;
    fn read(&self, id: VerificationId) -> Reply<Option<Arc<Snapshot>>>;
    /// The version of a verification of this app. While it is live it costs less than [`Store::read`].
    fn version(&self, id: VerificationId, app: &AppName) -> Reply<Option<u32>>;
    /// The verification as it was when it had `version` events.
    fn read_at(&self, id: VerificationId, version: u32) -> Reply<Option<Arc<Snapshot>>>;
    /// Everything that happened to it, in order; empty where there is no such verification.
    fn timeline(&self, id: VerificationId) -> Reply<Vec<Event>>;
    /// Which message a provider calls so.
    fn find(&self, channel: ChannelName, provider_ref: String) -> Reply<Option<MessageId>>;
    /// At most `limit`, made before `before`, newest first.
    fn list(
        &self,
        filter: Filter,
        limit: usize,
        before: Option<VerificationId>,
    ) -> Reply<Page<Arc<Snapshot>, VerificationId>>;
    /// The memory of an idempotency key, if it is younger than 24 h.
    fn idempotency(&self, key: [u8; 16]) -> Reply<Option<Idempotency>>;
    /// Whose name this is, and their other names.
    fn person(&self, name: NumberIndex) -> Reply<Person>;
    /// Inbound messages, newest first; of one person by any of their names. An app sees those that answer nothing and
    /// those that answer a verification of its own.
    fn inbound(
        &self,
        app: Option<AppName>,
        from: Option<NumberIndex>,
        limit: usize,
        before: Option<LogPosition>,
    ) -> Reply<Page<Inbound, LogPosition>>;
    /// Operator alerts, newest first.
    fn alerts(&self, limit: usize, before: Option<LogPosition>) -> Reply<Page<Alert, LogPosition>>;
    /// The audit log, newest first: at most `limit`, before the one with the number `before`.
    fn audit(&self, limit: usize, before: Option<u64>) -> Reply<Page<AuditRecord, u64>>;
    /// Changes to its version. The receiver holds the version that is durable now, 0 where there is none.
    fn watch(&self, id: VerificationId) -> watch::Receiver<u32>;
    /// The safety net of the agenda: does what was due more than a second ago and was missed. How many there were.
    fn sweep_missed(&self) -> Reply<usize>;
    /// Forgets what is older than `before`, a bounded share a call. How many verifications went, and whether more wait.
    fn sweep_old(&self, before: Retention) -> Reply<Swept>;
    /// Whether writes are taken now.
    fn health(&self) -> Health;
    /// Bytes that the data take on the disk, as of the last turn.
    fn size(&self) -> u64;
    /// Starts nothing more that is due; commands and reads go on. Before a close, so that no attempt begins whose
    /// outcome could not be recorded.
    fn rest(&self) -> Reply<()>;
    /// Finishes what waits, then takes nothing more. Nothing that is due is started any more.
    fn close(&self) -> Reply<()>;
}

/// What is older than these instants may go.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    pub verifications: Timestamp,
    /// Inbound messages and alerts.
    pub inbound: Timestamp,
    /// Entries of the audit log. The newest of them stays known by its hash, so that the rest can be checked.
    pub audit: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub removed: usize,
    pub more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Ready,
    /// No room on the disk; reads go on.
    Full,
    /// A turn takes longer than 5 s.
    Stuck,
    Closed,
}

/// The part of a turn that is the same for every backend: what `command` makes of `state`, and why. A rejection
/// leaves the state as it was.
pub fn step(
    state: &mut State,
    policy: &Policy,
    command: &Command,
    now: Timestamp,
) -> Result<Vec<Event>, Rejection> {
    let events = decide(state, policy, command, now)?;
    *state = events.iter().fold(std::mem::take(state), evolve);
    Ok(events)
}

/// Policies by hash, shared by the verifications that they were applied to.
pub type Policies = BTreeMap<PolicyHash, Arc<Policy>>;
