//! The store: orders in, answers out once they would survive the loss of power.
//!
//! A *turn* takes what waits and what is due, decides it ([`engine`]), makes all of it durable as one, and only then
//! publishes the new states, answers and hands out errands. A reader sees durable states only.

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

/// A durable state of a verification, with the policy that was applied to it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub verification: Verification,
    pub policy: Arc<Policy>,
}

impl Snapshot {
    /// The locale of the message that was queued last.
    pub fn locale(&self) -> &str {
        let step = self.verification.current().map_or(0, |message| message.step);
        self.policy.locale_of(step, self.verification.request.locale.as_deref())
    }
}

/// A request to change the store. All answers of one call come together, when all are durable.
#[derive(Clone, Debug)]
pub enum Order {
    /// Creates a verification; while one is pending for the same app, profile and person, sends its code again instead.
    Create { request: Arc<Request>, policy: Arc<Policy>, idempotency: Option<Idempotency> },
    /// A command to one verification. An app reaches only its own. An action of the staff is audited in the same turn.
    Command { id: VerificationId, app: Option<AppName>, command: Command },
    /// A provider's report. Matched by the provider's id, else by ours; parked if it matches nothing yet.
    Report { channel: ChannelName, report: Report },
    /// A message that a person wrote. A repeated one changes nothing.
    Inbound(Arc<Inbound>),
    /// Something that an operator has to look at.
    Alert(Alert),
    /// An action of the staff that is no command.
    Audit(Audit),
    /// Forgets the person with this name: erases the verifications of each of their names and removes their inbound
    /// messages. A bounded share; repeat it until nothing is left.
    Forget(NumberIndex),
}

#[derive(Clone, Debug)]
pub enum Answer {
    /// The command was carried out; no events if it was so already.
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
    /// Number of verifications and inbound messages that were forgotten this time; 0 if nothing is left.
    Forgotten(usize),
}

/// What a report was matched to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It changed the state of its message.
    Applied,
    /// It repeats, or is older than, what is known.
    Stale,
    /// Its ids match no message yet; it waits until the send is recorded.
    Parked,
    /// It names no message of ours, and nothing by which it could be matched later.
    Unmatched,
}

/// The record of one `Idempotency-Key`, kept for 24 h.
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
    /// The provider's id; a repeated message is recognised by it.
    pub provider_ref: String,
    pub channel: ChannelName,
    pub received_at: Timestamp,
    /// When it was written, by the provider's clock.
    pub at: Timestamp,
    /// `text`, `button`, `image`, as the provider calls it.
    pub kind: String,
    /// Its place among the messages that arrived in the same millisecond. Set by the store.
    #[serde(default)]
    pub arrival: u32,
    /// The blind index of the writer's number, if the provider gives it, and its last digits.
    pub number: Option<NumberIndex>,
    #[serde(default)]
    pub tail: Option<NumberTail>,
    /// The blind index of the provider's own id of the writer.
    #[serde(default)]
    pub user: Option<NumberIndex>,
    /// The provider's id of the message of ours that it answers.
    pub in_reply_to: Option<String>,
    pub intent: Intent,
    /// Number, name and text.
    pub content: Sealed,
    /// The verification that it answers. Set by the store.
    pub verification: Option<VerificationId>,
    /// The app of that verification. Set by the store.
    pub app: Option<AppName>,
}

impl Inbound {
    /// The name by which the writer is known: the number if the provider gives it, else the provider's own id.
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
    /// The code that `twotick explain` explains.
    pub code: String,
    pub title: String,
    /// The template, number or message concerned.
    pub subject: Option<String>,
    /// The first 8 KiB of an unreadable delivery, sealed.
    pub evidence: Option<Sealed>,
    /// Distinguishes a repeated alert from another one that looks alike. Without it the visible fields decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// A page of a list. A call does a bounded share of work: it may return fewer items than asked for, or none, and still
/// have a next page.
#[derive(Clone, Debug)]
pub struct Page<T, C> {
    pub items: Vec<T>,
    /// Where the next page begins; `None` if there is none.
    pub next: Option<C>,
}

/// The position of an inbound message or an alert in order of time. For a message: when it was written, when it arrived
/// and its place among those that arrived then; for an alert: its time and a hash.
pub type LogPosition = [u8; 16];

/// An attempt to carry out: its intent is durable.
#[derive(Clone, Debug)]
pub struct Errand {
    pub snapshot: Arc<Snapshot>,
    pub message: Ordinal,
    pub attempt: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too many calls wait, or sled is being opened again. Nothing was done: retry.
    #[error("too many requests are waiting for the store")]
    Busy,
    /// No room on the disk. Retry: the store takes writes once there is room.
    #[error("the disk is full")]
    Full,
    #[error("the store is shutting down")]
    Closed,
    /// The request is larger than a backend has to take: 9,000 sealed bytes, 1,024 of a reason.
    #[error("the request is larger than a record may be")]
    TooLarge,
    /// A record does not match its checksum or cannot be read. `key` says which, as the backend names it.
    #[error("the record {key} is damaged: {reason}")]
    Damaged { key: String, reason: String },
}

pub type Reply<T> = BoxFuture<'static, Result<T, StoreError>>;

pub trait Store: Send + Sync {
    /// Carries out `orders` in order. The answers come in the same order, when all are durable.
    fn execute(&self, orders: Vec<Order>) -> Reply<Vec<Answer>>;
    fn read(&self, id: VerificationId) -> Reply<Option<Arc<Snapshot>>>;
    /// The version of a verification of this app. For a live one it costs less than [`Store::read`].
    fn version(&self, id: VerificationId, app: &AppName) -> Reply<Option<u32>>;
    /// The verification as it was when it had `version` events.
    fn read_at(&self, id: VerificationId, version: u32) -> Reply<Option<Arc<Snapshot>>>;
    /// All events of a verification, in order; empty if there is none.
    fn timeline(&self, id: VerificationId) -> Reply<Vec<Event>>;
    /// The message with this provider's id.
    fn find(&self, channel: ChannelName, provider_ref: String) -> Reply<Option<MessageId>>;
    /// At most `limit` verifications created before `before`, newest first.
    fn list(
        &self,
        filter: Filter,
        limit: usize,
        before: Option<VerificationId>,
    ) -> Reply<Page<Arc<Snapshot>, VerificationId>>;
    /// The record of an idempotency key, if it is younger than 24 h.
    fn idempotency(&self, key: [u8; 16]) -> Reply<Option<Idempotency>>;
    /// The person with this name, and their other names.
    fn person(&self, name: NumberIndex) -> Reply<Person>;
    /// Inbound messages, newest first; `from` selects a person by any of their names. An app sees those that answer no
    /// verification or one of its own.
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
    /// Changes of the version of a verification. The receiver holds the durable version, 0 if there is none.
    fn watch(&self, id: VerificationId) -> watch::Receiver<u32>;
    /// The safety net of the agenda: serves what was due more than a second ago and was missed. Returns how many.
    fn sweep_missed(&self) -> Reply<usize>;
    /// Removes what is older than `before`, a bounded share a call.
    fn sweep_old(&self, before: Retention) -> Reply<Swept>;
    /// Whether the store takes writes now.
    fn health(&self) -> Health;
    /// Bytes that the data take on the disk, as of the last turn.
    fn size(&self) -> u64;
    /// Stops serving what is due; commands and reads go on. Called before a close, so that no attempt starts whose outcome
    /// could not be recorded.
    fn rest(&self) -> Reply<()>;
    /// Finishes what waits, then takes no more. Nothing that is due is started.
    fn close(&self) -> Reply<()>;
}

/// Records that are older than these instants are removed.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    pub verifications: Timestamp,
    /// Inbound messages and alerts.
    pub inbound: Timestamp,
    /// Entries of the audit log. The hash of the last removed one is kept, so that the rest can be verified.
    pub audit: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Verifications that were removed.
    pub removed: usize,
    /// Whether more records are older than that.
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

/// Applies `command` to `state`. A rejection leaves the state unchanged.
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
