//! Changes as the records of the log hold them.

use minicbor::decode::Error;
use minicbor::{Decode, Decoder, Encoder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::audit::Head;
use crate::store::engine::{Change, Next, Parked};
use crate::store::{Alert, AuditLink, Idempotency, Inbound, LogPosition, StoreError, stream};
use crate::verification::Policy;
use crate::verification::values::{Timestamp, VerificationId};

/// A change that was read from the log.
pub enum Logged<'a> {
    Policy(Policy),
    Stream(LoggedGrowth<'a>),
    StreamRemoved(VerificationId),
    Idempotency(Idempotency),
    IdempotencyRemoved { key: [u8; 16], at: Timestamp },
    Parked(Parked),
    ParkedRemoved(Parked),
    Inbound(Inbound),
    InboundRemoved(LogPosition),
    Alert(Alert),
    AlertRemoved(LogPosition),
    Audit(Head, AuditLink),
    AuditRemoved(Head),
}

/// What a turn added to a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedGrowth<'a> {
    pub id: VerificationId,
    /// Number of the first added event, from 1.
    pub first: u32,
    /// The added events in their compact form.
    pub commits: &'a [u8],
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Live,
    Settled,
}

const POLICY: u8 = 0;
const STREAM: u8 = 1;
const STREAM_REMOVED: u8 = 2;
const IDEMPOTENCY: u8 = 3;
const IDEMPOTENCY_REMOVED: u8 = 4;
const PARKED: u8 = 5;
const PARKED_REMOVED: u8 = 6;
const INBOUND: u8 = 7;
const INBOUND_REMOVED: u8 = 8;
const ALERT: u8 = 9;
const ALERT_REMOVED: u8 = 10;
const AUDIT: u8 = 11;
const AUDIT_REMOVED: u8 = 12;

/// Appends `change` to the record of a turn.
///
/// # Errors
/// Where it cannot be written as JSON.
pub fn append(record: &mut Vec<u8>, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Policy(_, policy) => json(record, POLICY, &**policy),
        Change::Stream(grown) => {
            let mut commits = Vec::with_capacity(64 * grown.events.len());
            stream::append(&mut commits, &grown.events);
            let end = match grown.next {
                Next::Due(_) => End::Live,
                Next::Settled => End::Settled,
            };
            growth(
                record,
                &LoggedGrowth { id: grown.id(), first: grown.expected_version() + 1, commits: &commits, end },
            );
            Ok(())
        }
        Change::StreamRemoved(id) => bytes(record, STREAM_REMOVED, &id.to_bytes()),
        Change::Idempotency(known) => json(record, IDEMPOTENCY, known),
        Change::IdempotencyRemoved { key, at } => {
            bytes(record, IDEMPOTENCY_REMOVED, &[&at.as_millis().to_be_bytes()[..], key].concat())
        }
        Change::Parked(parked) => json(record, PARKED, &**parked),
        Change::ParkedRemoved(parked) => json(record, PARKED_REMOVED, &**parked),
        Change::Inbound(message) => json(record, INBOUND, &**message),
        Change::InboundRemoved(position) => bytes(record, INBOUND_REMOVED, position),
        Change::Alert(alert) => json(record, ALERT, &**alert),
        Change::AlertRemoved(position) => bytes(record, ALERT_REMOVED, position),
        Change::Audit(head, link) => json(record, AUDIT, &(head, link)),
        Change::AuditRemoved(head) => json(record, AUDIT_REMOVED, head),
    }
}

fn growth(record: &mut Vec<u8>, LoggedGrowth { id, first, commits, end }: &LoggedGrowth<'_>) {
    let mut encoder = Encoder::new(record);
    // A vector takes every byte.
    let _ = encoder
        .u8(STREAM)
        .and_then(|encoder| encoder.encode(id))
        .and_then(|encoder| encoder.u32(*first))
        .and_then(|encoder| encoder.bytes(commits))
        .and_then(|encoder| encoder.bool(*end == End::Settled));
}

fn bytes(record: &mut Vec<u8>, kind: u8, content: &[u8]) -> Result<(), StoreError> {
    // A vector takes every byte.
    let _ = Encoder::new(record).u8(kind).and_then(|encoder| encoder.bytes(content));
    Ok(())
}

fn json<T: Serialize>(record: &mut Vec<u8>, kind: u8, content: &T) -> Result<(), StoreError> {
    let unwritable = |error: serde_json::Error| StoreError::Damaged {
        key: "the log".to_owned(),
        reason: format!("a change cannot be written ({:?})", error.classify()),
    };
    bytes(record, kind, &serde_json::to_vec(content).map_err(unwritable)?)
}

/// Shows `each` the changes of a turn, in order.
pub fn read<'a, E: From<Error>>(
    record: &'a [u8],
    mut each: impl FnMut(Logged<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut decoder = Decoder::new(record);
    while decoder.position() < record.len() {
        each(read_one(&mut decoder)?)?;
    }
    Ok(())
}

fn read_one<'a>(decoder: &mut Decoder<'a>) -> Result<Logged<'a>, Error> {
    let kind = decoder.u8()?;
    if kind == STREAM {
        let (id, first) = (VerificationId::decode(decoder, &mut ())?, decoder.u32()?);
        let (commits, is_settled) = (decoder.bytes()?, decoder.bool()?);
        let end = if is_settled { End::Settled } else { End::Live };
        return Ok(Logged::Stream(LoggedGrowth { id, first, commits, end }));
    }
    let at = decoder.position();
    let content = decoder.bytes()?;
    Ok(match kind {
        POLICY => Logged::Policy(parsed(content, at)?),
        STREAM_REMOVED => Logged::StreamRemoved(VerificationId::from_bytes(array(content, at)?)),
        IDEMPOTENCY => Logged::Idempotency(parsed(content, at)?),
        IDEMPOTENCY_REMOVED => {
            let (millis, key) = content.split_at_checked(8).unwrap_or_default();
            let millis = i64::from_be_bytes(array(millis, at)?);
            Logged::IdempotencyRemoved { key: array(key, at)?, at: Timestamp::from_millis(millis) }
        }
        PARKED => Logged::Parked(parsed(content, at)?),
        PARKED_REMOVED => Logged::ParkedRemoved(parsed(content, at)?),
        INBOUND => Logged::Inbound(parsed(content, at)?),
        INBOUND_REMOVED => Logged::InboundRemoved(array(content, at)?),
        ALERT => Logged::Alert(parsed(content, at)?),
        ALERT_REMOVED => Logged::AlertRemoved(array(content, at)?),
        AUDIT => {
            let (head, link) = parsed(content, at)?;
            Logged::Audit(head, link)
        }
        AUDIT_REMOVED => Logged::AuditRemoved(parsed(content, at)?),
        _unknown => return Err(Error::message("a kind of change that this version does not know").at(at)),
    })
}

fn array<const N: usize>(content: &[u8], at: usize) -> Result<[u8; N], Error> {
    content.try_into().map_err(|_| Error::message("a change of another length").at(at))
}

/// Says only that it cannot be read: the text of the error could quote the record.
fn parsed<T: DeserializeOwned>(content: &[u8], at: usize) -> Result<T, Error> {
    serde_json::from_slice(content).map_err(|_| Error::message("a change that cannot be read").at(at))
}

/// A record of the log, read and written again. `None`: it cannot be read.
#[cfg(fuzzing)]
pub fn again(record: &[u8]) -> Option<Vec<u8>> {
    let mut again = Vec::new();
    let write = |change: Logged<'_>| {
        let written = match change {
            Logged::Policy(policy) => json(&mut again, POLICY, &policy),
            Logged::Stream(grown) => {
                growth(&mut again, &grown);
                Ok(())
            }
            Logged::StreamRemoved(id) => bytes(&mut again, STREAM_REMOVED, &id.to_bytes()),
            Logged::Idempotency(known) => json(&mut again, IDEMPOTENCY, &known),
            Logged::IdempotencyRemoved { key, at } => {
                append(&mut again, &Change::IdempotencyRemoved { key, at })
            }
            Logged::Parked(parked) => json(&mut again, PARKED, &parked),
            Logged::ParkedRemoved(parked) => json(&mut again, PARKED_REMOVED, &parked),
            Logged::Inbound(message) => json(&mut again, INBOUND, &message),
            Logged::InboundRemoved(position) => bytes(&mut again, INBOUND_REMOVED, &position),
            Logged::Alert(alert) => json(&mut again, ALERT, &alert),
            Logged::AlertRemoved(position) => bytes(&mut again, ALERT_REMOVED, &position),
            Logged::Audit(head, link) => json(&mut again, AUDIT, &(head, link)),
            Logged::AuditRemoved(head) => json(&mut again, AUDIT_REMOVED, &head),
        };
        written.map_err(|_| Error::message("it cannot be written"))
    };
    read::<Error>(record, write).ok()?;
    Some(again)
}
