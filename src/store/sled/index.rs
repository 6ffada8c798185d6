//! The rows that follow from others: by them verifications and messages are found and listed. They are written with
//! what they follow from, as one, and can be made anew from it.

use minicbor::Decode;
use serde::de::DeserializeOwned;

use super::commits;
use super::keys::{self, Row};
use super::live::Live;
use super::record::{self, MAX_CONTENT_BYTES};
use crate::store::{Facets, Inbound, LogPosition, Snapshot, StoreError};
use crate::verification::due::due_of;
use crate::verification::values::{MessageId, NumberIndex, NumberTail, VerificationId};
use crate::verification::{Event, Fact, Request};

/// The layout of these rows. A store with another one is read again by `reindex`.
pub const INDEX_VERSION: u32 = 2;

/// Every kind of them.
pub const DERIVED: [Row; 9] = [
    Row::Facets,
    Row::Number,
    Row::ClientRef,
    Row::ProviderRef,
    Row::Live,
    Row::InboundOfNumber,
    Row::InboundByRef,
    Row::InboundByArrival,
    Row::Alias,
];

/// A key and what stands under it.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The rows for those events of a live verification that stand only in the journal.
pub fn gathered(id: VerificationId, live: &Live) -> Result<Vec<Entry>, StoreError> {
    let unreadable = |error| record::unreadable(&keys::events_of(id), &error);
    let parts = commits::split(live.journaled(), MAX_CONTENT_BYTES).map_err(unreadable)?;
    let events: u32 = parts.iter().map(|(_, events)| events).sum();
    let mut first = live.head().version + 1 - events;
    let row = |(commits, events): (&[u8], u32)| {
        let key = keys::events(id, first);
        first += events;
        let row = record::encode_compact(&key, commits)?;
        Ok((key, row))
    };
    parts.into_iter().map(row).collect()
}

/// All rows that follow from the events of one verification, which fold to `snapshot`.
pub fn rows_of(snapshot: &Snapshot, events: &[Event]) -> Result<Vec<Entry>, StoreError> {
    let id = snapshot.verification.id();
    let (request, aliases) = (&snapshot.verification.request, &snapshot.verification.aliases);
    let mut rows = match snapshot.verification.erased {
        true => Vec::new(),
        false => [found_by(request), taught_by(request, aliases)?].concat(),
    };
    rows.push(match due_of(&snapshot.verification) {
        Some(_) => (keys::live(id), Vec::new()),
        None => facets(snapshot)?,
    });
    for event in events {
        let (Fact::SendAccepted { message, provider_ref: Some(provider_ref), .. }
        | Fact::Reported { message, provider_ref: Some(provider_ref), .. }) = &event.fact
        else {
            continue;
        };
        if let Some(channel) = snapshot.verification.message(*message).map(|message| &message.channel) {
            let key = keys::provider_ref(channel, provider_ref.name());
            let row = record::encode_small(&key, &id.message(*message))?;
            rows.push((key, row));
        }
    }
    Ok(rows)
}

/// Whether what stands under `key` says the same as `row`, which this version made: one before it wrote JSON.
pub fn says_the_same(key: &[u8], there: &[u8], row: &[u8]) -> Result<bool, StoreError> {
    fn read_the_same<T>(key: &[u8], there: &[u8], row: &[u8]) -> Result<bool, StoreError>
    where
        T: DeserializeOwned + for<'b> Decode<'b, ()> + PartialEq,
    {
        Ok(record::decode_small::<T>(key, there)? == record::decode_small(key, row)?)
    }
    match key.first() {
        _ if there == row => Ok(true),
        Some(&kind) if kind == Row::ProviderRef as u8 => read_the_same::<MessageId>(key, there, row),
        Some(&kind) if kind == Row::Facets as u8 => read_the_same::<Facets>(key, there, row),
        Some(_) | None => Ok(false),
    }
}

/// By what a verification is found from its request on.
pub fn found_by(request: &Request) -> Vec<Entry> {
    let mut rows = vec![(keys::number(request.number, request.id), Vec::new())];
    if let Some(client_ref) = &request.client_ref {
        rows.push((keys::client_ref(client_ref, request.id), Vec::new()));
    }
    rows
}

/// The row by which one that is no longer live is listed.
pub fn facets(snapshot: &Snapshot) -> Result<Entry, StoreError> {
    let key = keys::facets(snapshot.verification.id());
    let row = record::encode_small(&key, &Facets::of(snapshot))?;
    Ok((key, row))
}

/// What a verification teaches: other names of the person whom it was sent to.
pub fn taught_by<'a>(
    request: &Request,
    aliases: impl IntoIterator<Item = &'a NumberIndex>,
) -> Result<Vec<Entry>, StoreError> {
    let mut rows = Vec::new();
    for &alias in aliases {
        rows.extend(linked(request.number, alias, request.tail, request.id.to_bytes())?);
    }
    Ok(rows)
}

/// Both ways round.
fn linked(
    one: NumberIndex,
    other: NumberIndex,
    tail: Option<NumberTail>,
    source: [u8; 16],
) -> Result<[Entry; 2], StoreError> {
    let row = |name, to| {
        let key = keys::alias(name, to, source);
        let row = record::encode_small(&key, &tail)?;
        Ok((key, row))
    };
    Ok([row(one, other)?, row(other, one)?])
}

/// The rows by which an inbound message is found, and what it teaches: a number and a provider's id of one writer.
pub fn inbound_of(position: LogPosition, message: &Inbound) -> Result<Vec<Entry>, StoreError> {
    let by_ref = keys::inbound_by_ref(message);
    let row = record::encode_compact(&by_ref, &position)?;
    let mut rows = vec![(by_ref, row), (keys::inbound_by_arrival(position), Vec::new())];
    let names = [message.number, message.user].into_iter().flatten();
    rows.extend(names.map(|name| (keys::inbound_of(name, position), Vec::new())));
    if let (Some(number), Some(user)) = (message.number, message.user) {
        rows.extend(linked(number, user, message.tail, position)?);
    }
    Ok(rows)
}
