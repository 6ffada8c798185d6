//! The rows that follow from others: by them settled verifications and inbound messages are found and listed. They are
//! written together with the rows that they follow from, and can be rebuilt from those.

use super::keys::{self, Row};
use super::record::{self, MAX_CONTENT_BYTES};
use super::table::Rows;
use crate::store::{Facets, Inbound, LogPosition, Snapshot, StoreError, stream};
use crate::verification::due::due_of;
use crate::verification::values::{ChannelName, MessageId, NumberIndex, NumberTail, VerificationId};
use crate::verification::{Event, Fact, Request, Verification};

/// The layout of these rows. A store with another one is read again by `reindex`.
pub const INDEX_VERSION: u32 = 3;

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

/// A key and its row.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The rows for `commits`, the events of a verification from number `first` on.
pub fn events(id: VerificationId, first: u32, commits: &[u8]) -> Result<Vec<Entry>, StoreError> {
    let unreadable = |error| record::unreadable(&keys::events_of(id), &error);
    let mut first = first;
    let row = |(commits, events): (&[u8], u32)| {
        let key = keys::events(id, first);
        first += events;
        let row = record::encode_compact(&key, commits)?;
        Ok((key, row))
    };
    stream::split(commits, MAX_CONTENT_BYTES).map_err(unreadable)?.into_iter().map(row).collect()
}

/// All rows that follow from the events of one verification, which fold to `snapshot`. A live one is found in memory:
/// of it there is only the mark.
pub fn rows_of(snapshot: &Snapshot, events: &[Event]) -> Result<Vec<Entry>, StoreError> {
    if due_of(&snapshot.verification).is_some() {
        return Ok(vec![(keys::live(snapshot.verification.id()), Vec::new())]);
    }
    settled(snapshot, events)
}

/// The rows by which a settled verification is found.
pub fn settled(snapshot: &Snapshot, events: &[Event]) -> Result<Vec<Entry>, StoreError> {
    let verification = &snapshot.verification;
    let request = &verification.request;
    let key = keys::facets(verification.id());
    let row = record::encode_small(&key, &Facets::of(snapshot))?;
    let mut rows = vec![(key, row)];
    if !verification.erased {
        rows.extend(found_by(request));
        rows.extend(taught_by(request, &verification.aliases)?);
    }
    for (channel, name, message) in names(verification, events) {
        let key = keys::provider_ref(channel, name);
        let row = record::encode_small(&key, &message)?;
        rows.push((key, row));
    }
    Ok(rows)
}

/// What providers call the messages of a verification, as these events of it say.
pub fn names<'a>(
    verification: &'a Verification,
    events: &'a [Event],
) -> impl Iterator<Item = (&'a ChannelName, &'a str, MessageId)> {
    events.iter().filter_map(|event| match &event.fact {
        Fact::SendAccepted { message, provider_ref: Some(provider_ref), .. }
        | Fact::Reported { message, provider_ref: Some(provider_ref), .. } => {
            let channel = &verification.message(*message)?.channel;
            Some((channel, provider_ref.name(), verification.message_id(*message)))
        }
        _other => None,
    })
}

/// What changes where rows follow from others: those of `before` that are not among `after` go.
pub fn replace(rows: &mut Rows, before: &[Entry], after: &[Entry]) {
    for (key, _) in before {
        if after.iter().all(|(kept, _)| kept != key) {
            rows.remove(key);
        }
    }
    for entry in after {
        if !before.contains(entry) {
            rows.insert(&entry.0, &entry.1);
        }
    }
}

/// By number and by the app's reference.
fn found_by(request: &Request) -> Vec<Entry> {
    let mut rows = vec![(keys::number(request.number, request.id), Vec::new())];
    if let Some(client_ref) = &request.client_ref {
        rows.push((keys::client_ref(client_ref, request.id), Vec::new()));
    }
    rows
}

/// Other names of the person whom it was sent to.
fn taught_by<'a>(
    request: &Request,
    aliases: impl IntoIterator<Item = &'a NumberIndex>,
) -> Result<Vec<Entry>, StoreError> {
    let mut rows = Vec::new();
    for &alias in aliases {
        rows.extend(linked(request.number, alias, request.tail, request.id.to_bytes())?);
    }
    Ok(rows)
}

/// A link, in both directions.
fn linked(
    one: NumberIndex,
    other: NumberIndex,
    tail: Option<NumberTail>,
    source: [u8; 16],
) -> Result<[Entry; 2], StoreError> {
    let row = |name, to| {
        let key = keys::alias(name, to, source);
        let row = record::encode_small(&key, &tail)?;
        Ok::<_, StoreError>((key, row))
    };
    Ok([row(one, other)?, row(other, one)?])
}

/// The rows by which an inbound message is found, and the link of its writer's number and provider id.
pub fn inbound_of(position: LogPosition, message: &Inbound) -> Result<Vec<Entry>, StoreError> {
    let by_ref = keys::inbound_by_ref(&message.channel, &message.provider_ref);
    let row = record::encode_compact(&by_ref, &position)?;
    let mut rows = vec![(by_ref, row), (keys::inbound_by_arrival(position), Vec::new())];
    let names = [message.number, message.user].into_iter().flatten();
    rows.extend(names.map(|name| (keys::inbound_of(name, position), Vec::new())));
    if let (Some(number), Some(user)) = (message.number, message.user) {
        rows.extend(linked(number, user, message.tail, position)?);
    }
    Ok(rows)
}
