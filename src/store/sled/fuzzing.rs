//! A door for the fuzz target of stored records: every kind of row, read and written again.

use minicbor::{Decode, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::chain::Head;
use super::journal::{self, Entry, Page};
use super::rows::Rows;
use super::{commits, record};
use crate::store::parked::Parked;
use crate::store::{Alert, AuditLink, Facets, Idempotency, Inbound, StoreError};
use crate::verification::values::MessageId;
use crate::verification::{Event, Policy, State};

/// What can stand in a row.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    Events,
    Journal,
    EventsOfOld,
    ProviderRef,
    Policy,
    Facets,
    Idempotency,
    Parked,
    Inbound,
    Alert,
    AuditLink,
    AuditHead,
    Number,
    KeyId,
    ProviderRefOfOld,
    FacetsOfOld,
}

impl Content {
    pub const ALL: [Self; 16] = [
        Self::Events,
        Self::Journal,
        Self::EventsOfOld,
        Self::ProviderRef,
        Self::Policy,
        Self::Facets,
        Self::Idempotency,
        Self::Parked,
        Self::Inbound,
        Self::Alert,
        Self::AuditLink,
        Self::AuditHead,
        Self::Number,
        Self::KeyId,
        Self::ProviderRefOfOld,
        Self::FacetsOfOld,
    ];

    /// A row with this content and the checksum that lets it in. `None` where it is no JSON, or too large.
    pub fn row(self, key: &[u8], content: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Events | Self::Journal | Self::ProviderRef | Self::Facets => {
                record::encode_compact(key, content).ok()
            }
            Self::EventsOfOld
            | Self::ProviderRefOfOld
            | Self::FacetsOfOld
            | Self::Policy
            | Self::Idempotency
            | Self::Parked
            | Self::Inbound
            | Self::Alert
            | Self::AuditLink
            | Self::AuditHead
            | Self::Number
            | Self::KeyId => {
                record::encode(key, &serde_json::from_slice::<Box<RawValue>>(content).ok()?).ok()
            }
        }
    }

    /// Reads a row and writes what was read as a row.
    pub fn again(self, key: &[u8], row: &[u8]) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Events | Self::EventsOfOld => {
                let mut content = Vec::new();
                commits::append(&mut content, &events(key, row)?);
                record::encode_compact(key, &content)
            }
            Self::Journal => journal_again(key, row),
            Self::ProviderRef | Self::ProviderRefOfOld => small_again::<MessageId>(key, row),
            Self::Policy => again::<Policy>(key, row),
            Self::Facets | Self::FacetsOfOld => small_again::<Facets>(key, row),
            Self::Idempotency => again::<Idempotency>(key, row),
            Self::Parked => again::<Parked>(key, row),
            Self::Inbound => again::<Inbound>(key, row),
            Self::Alert => again::<Alert>(key, row),
            Self::AuditLink => again::<AuditLink>(key, row),
            Self::AuditHead => again::<Head>(key, row),
            Self::Number => again::<u64>(key, row),
            Self::KeyId => again::<[u8; 4]>(key, row),
        }
    }
}

fn again<T: Serialize + DeserializeOwned>(key: &[u8], row: &[u8]) -> Result<Vec<u8>, StoreError> {
    record::encode(key, &record::decode::<T>(key, row)?)
}

fn small_again<T>(key: &[u8], row: &[u8]) -> Result<Vec<u8>, StoreError>
where
    T: Encode<()> + DeserializeOwned + for<'b> Decode<'b, ()>,
{
    record::encode_small(key, &record::decode_small::<T>(key, row)?)
}

fn journal_again(key: &[u8], row: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut page = Page::default();
    for entry in journal::read(key, row)? {
        match entry {
            Entry::Added { id, first, commits } => page.added(id, first, commits)?,
            Entry::Gathered { id } => page.gathered(id),
        }
    }
    let mut content = Vec::new();
    for (key, row) in page.rows(1)? {
        content.extend_from_slice(record::decode_compact(&key, &row)?);
    }
    record::encode_compact(key, &content)
}

/// What a batch of the write-ahead log holds, read and written again. `None` where it is none.
pub fn rows_again(content: &[u8]) -> Option<Vec<u8>> {
    let mut again = Vec::new();
    Rows::read(content).ok()?.append_to(&mut again);
    Some(again)
}

/// The events of a row.
pub fn events(key: &[u8], row: &[u8]) -> Result<Vec<Event>, StoreError> {
    record::decode_events(key, row)
}

/// The state and the number of the events that compact content holds, as they are taken from it without listing them;
/// and whether the parts it can be cut into are the whole again.
pub fn folded(content: &[u8]) -> Option<(State, u32, bool)> {
    let parts = commits::split(content, content.len() / 2).ok()?;
    let whole = parts.iter().flat_map(|(part, _)| part.iter()).eq(content);
    Some((commits::fold(content).ok()?, commits::count(content).ok()?, whole))
}
