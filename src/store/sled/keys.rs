//! The keys of rows. Their first byte is the kind; numbers that are ordered by time are big-endian.

use sha2::{Digest, Sha256};

use super::record::damaged;
use crate::store::{Alert, Inbound, LogPosition, StoreError};
use crate::verification::PolicyHash;
use crate::verification::values::{ChannelName, NumberIndex, Timestamp, VerificationId};

/// The kind of a row, the first byte of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Row {
    /// Events of a verification, by the number of the first of them: all of them once it is settled.
    Events = b'e',
    /// Marks a live verification that has events in rows: those of a checkpoint.
    Live = b'l',
    /// Which message a provider calls so.
    ProviderRef = b'm',
    Policy = b'p',
    /// The verifications of a number, by its blind index.
    Number = b't',
    /// The verifications of the apps' own references.
    ClientRef = b'r',
    Idempotency = b'i',
    /// Idempotency keys in order of time, to forget them.
    IdempotencyByTime = b'j',
    /// A report that matches nothing yet.
    Parked = b'u',
    Inbound = b'n',
    /// The inbound messages of a name of their writer, by its blind index.
    InboundOfNumber = b'f',
    /// Which inbound message a provider calls so.
    InboundByRef = b'd',
    /// The inbound messages in the order in which they came, to forget them.
    InboundByArrival = b'h',
    /// Two names of one person, by blind index, each way round; and what taught it.
    Alias = b'g',
    Alert = b'o',
    /// What the staff did, by its number.
    Audit = b'a',
    /// What the filters look at of a verification that is no longer live.
    Facets = b's',
    /// Facts about the store itself.
    Meta = b'x',
}

pub const FORMAT: [u8; 2] = [Row::Meta as u8, b'f'];
pub const KEY_ID: [u8; 2] = [Row::Meta as u8, b'k'];
/// The last turn whose rows are here.
pub const TURN: [u8; 2] = [Row::Meta as u8, b't'];
/// The first turn that is still read from the log.
pub const LOG_FROM: [u8; 2] = [Row::Meta as u8, b'l'];

/// The newest record of the audit log.
pub const AUDIT_HEAD: [u8; 2] = [Row::Meta as u8, b'a'];
/// The last record of the audit log that was removed because of its age; the oldest one that is left follows it.
pub const AUDIT_ANCHOR: [u8; 2] = [Row::Meta as u8, b'c'];
/// The epoch of the process that opened the store last.
pub const EPOCH: [u8; 2] = [Row::Meta as u8, b'e'];
/// Which export was read into this store, and how far.
pub const IMPORT: [u8; 2] = [Row::Meta as u8, b'i'];
/// The layout of the derived rows; missing while they are rebuilt.
pub const INDEX: [u8; 2] = [Row::Meta as u8, b'v'];

pub fn events(id: VerificationId, first: u32) -> Vec<u8> {
    joined(Row::Events, &[&id.to_bytes(), &first.to_be_bytes()])
}

pub fn events_of(id: VerificationId) -> Vec<u8> {
    joined(Row::Events, &[&id.to_bytes()])
}

pub fn live(id: VerificationId) -> Vec<u8> {
    joined(Row::Live, &[&id.to_bytes()])
}

pub fn provider_ref(channel: &ChannelName, provider_ref: &str) -> Vec<u8> {
    joined(Row::ProviderRef, &[channel.as_str().as_bytes(), &[0], provider_ref.as_bytes()])
}

pub fn policy(hash: PolicyHash) -> Vec<u8> {
    joined(Row::Policy, &[&hash.0])
}

pub fn number(number: NumberIndex, id: VerificationId) -> Vec<u8> {
    joined(Row::Number, &[&number.0, &id.to_bytes()])
}

pub fn numbers_of(number: NumberIndex) -> Vec<u8> {
    joined(Row::Number, &[&number.0])
}

/// Whichever app's it is: the staff do not know that.
pub fn client_ref(client_ref: &str, id: VerificationId) -> Vec<u8> {
    joined(Row::ClientRef, &[&digest(&[client_ref]), &id.to_bytes()])
}

pub fn client_refs_of(client_ref: &str) -> Vec<u8> {
    joined(Row::ClientRef, &[&digest(&[client_ref])])
}

pub fn idempotency(key: [u8; 16]) -> Vec<u8> {
    joined(Row::Idempotency, &[&key])
}

pub fn idempotency_by_time(at: Timestamp, key: [u8; 16]) -> Vec<u8> {
    joined(Row::IdempotencyByTime, &[&at.as_millis().to_be_bytes(), &key])
}

/// The same report has the same key, so a duplicate takes no room.
pub fn parked(channel: &ChannelName, provider_ref: &str, status: &str) -> Vec<u8> {
    let names = [channel.as_str().as_bytes(), &[0], provider_ref.as_bytes(), &[0], status.as_bytes()];
    joined(Row::Parked, &names)
}

pub fn inbound(position: LogPosition) -> Vec<u8> {
    joined(Row::Inbound, &[&position])
}

pub fn inbound_of(number: NumberIndex, position: LogPosition) -> Vec<u8> {
    joined(Row::InboundOfNumber, &[&number.0, &position])
}

pub fn inbounds_of(number: NumberIndex) -> Vec<u8> {
    joined(Row::InboundOfNumber, &[&number.0])
}

/// What a provider calls it, of any length.
pub fn inbound_by_ref(channel: &ChannelName, provider_ref: &str) -> Vec<u8> {
    joined(Row::InboundByRef, &[&digest(&[channel.as_str(), provider_ref])])
}

/// The parts of its position, with when it came in front.
pub fn inbound_by_arrival(position: LogPosition) -> Vec<u8> {
    let (at, arrival) = position.split_at(6);
    joined(Row::InboundByArrival, &[arrival, at])
}

/// All that came at this time.
pub fn inbounds_arrived(at: Timestamp) -> Vec<u8> {
    joined(Row::InboundByArrival, &[&at.as_millis().to_be_bytes()[2..]])
}

/// The position of the message, and its place among those that came in the same millisecond.
pub fn arrived(key: &[u8]) -> Option<(LogPosition, u32)> {
    let (arrival, at) = key.get(1..17)?.split_at(10);
    let place = u32::from_be_bytes(arrival[6..].try_into().ok()?);
    [at, arrival].concat().try_into().ok().map(|position| (position, place))
}

/// `name` and `to` are the same person's, as `source`, a verification or an inbound message, says.
pub fn alias(name: NumberIndex, to: NumberIndex, source: [u8; 16]) -> Vec<u8> {
    joined(Row::Alias, &[&name.0, &to.0, &source])
}

/// Everything that teaches that both names are one person's.
pub fn aliases_between(name: NumberIndex, to: NumberIndex) -> Vec<u8> {
    joined(Row::Alias, &[&name.0, &to.0])
}

pub fn aliases_of(name: NumberIndex) -> Vec<u8> {
    joined(Row::Alias, &[&name.0])
}

/// The second name of an alias row.
pub fn aliased(key: &[u8]) -> Result<NumberIndex, StoreError> {
    let name = key.get(17..33).and_then(|bytes| bytes.try_into().ok());
    name.map(NumberIndex).ok_or_else(|| damaged(key, "it names nobody"))
}

pub fn alert(position: LogPosition) -> Vec<u8> {
    joined(Row::Alert, &[&position])
}

pub fn audit(seq: u64) -> Vec<u8> {
    joined(Row::Audit, &[&seq.to_be_bytes()])
}

/// The number of an audit record.
pub fn audit_seq(key: &[u8]) -> Option<u64> {
    key.get(1..).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
}

pub fn facets(id: VerificationId) -> Vec<u8> {
    joined(Row::Facets, &[&id.to_bytes()])
}

/// 6 bytes of milliseconds, then 10 of a hash of what it is: in order of time, and the same for the same thing.
pub fn log_position(at: Timestamp, hash: [u8; 16]) -> LogPosition {
    let mut position = [0; 16];
    position[..6].copy_from_slice(&at.as_millis().to_be_bytes()[2..]);
    position[6..].copy_from_slice(&hash[..10]);
    position
}

/// When it was written, when it came, and its place among those that came then: so messages of one second, which is as
/// exact as providers are, stay in the order in which they came.
pub fn position_of(message: &Inbound) -> LogPosition {
    let mut position = [0; 16];
    position[..6].copy_from_slice(&message.at.as_millis().to_be_bytes()[2..]);
    position[6..12].copy_from_slice(&message.received_at.as_millis().to_be_bytes()[2..]);
    position[12..].copy_from_slice(&message.arrival.to_be_bytes());
    position
}

pub fn position_of_alert(alert: &Alert) -> LogPosition {
    let subject = alert.subject.as_deref().unwrap_or_default();
    let evidence = alert.evidence.as_ref().map(|sealed| &*sealed.0).unwrap_or_default();
    let fingerprint = alert.fingerprint.as_deref().unwrap_or_default();
    let texts = [alert.channel.as_str(), &alert.code, subject, &alert.title, fingerprint].map(str::as_bytes);
    let mut hasher = Sha256::new();
    for part in texts.into_iter().chain([evidence]) {
        hasher.update(part);
        hasher.update([0]);
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize()[..16]);
    log_position(alert.at, digest)
}

/// 16 bytes for texts of any length.
pub fn digest(parts: &[&str]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
        hasher.update([0]);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize()[..16]);
    first
}

/// The id that ends a key of 16 bytes after its prefix.
pub fn trailing_id(key: &[u8]) -> Option<[u8; 16]> {
    key.len().checked_sub(16).and_then(|start| key[start..].try_into().ok())
}

/// The verification whose id ends a key.
pub fn named(key: &[u8]) -> Result<VerificationId, StoreError> {
    let id = trailing_id(key).ok_or_else(|| damaged(key, "it names no verification"))?;
    Ok(VerificationId::from_bytes(id))
}

/// The verification of an events row.
pub fn verification_of(events_key: &[u8]) -> Option<VerificationId> {
    events_key.get(1..17).and_then(|bytes| bytes.try_into().ok()).map(VerificationId::from_bytes)
}

fn joined(row: Row, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(row as u8);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}
