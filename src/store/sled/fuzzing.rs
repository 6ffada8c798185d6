//! What the fuzz target of stored records uses: every kind of row, and the records of the log, read and written again.

use minicbor::{Decode, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::record;
use crate::store::audit::Head;
use crate::store::engine::Parked;
use crate::store::{Alert, AuditLink, Facets, Idempotency, Inbound, StoreError, stream};
use crate::verification::values::MessageId;
use crate::verification::{Event, Policy, State};

pub use super::codec::again as log_record_again;

/// What can be in a row.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    Events,
    ProviderRef,
    Facets,
    Policy,
    Idempotency,
    Parked,
    Inbound,
    Alert,
    AuditLink,
    AuditHead,
    Number,
    KeyId,
}

impl Content {
    pub const ALL: [Self; 12] = [
        Self::Events,
        Self::ProviderRef,
        Self::Facets,
        Self::Policy,
        Self::Idempotency,
        Self::Parked,
        Self::Inbound,
        Self::Alert,
        Self::AuditLink,
        Self::AuditHead,
        Self::Number,
        Self::KeyId,
    ];

    /// A row with this content and the checksum that lets it in. `None` where it is no JSON, or too large.
    pub fn row(self, key: &[u8], content: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Events | Self::ProviderRef | Self::Facets => record::encode_compact(key, content).ok(),
            Self::Policy
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
            Self::Events => {
                let mut content = Vec::new();
                stream::append(&mut content, &events(key, row)?);
                record::encode_compact(key, &content)
            }
            Self::ProviderRef => small_again::<MessageId>(key, row),
            Self::Facets => small_again::<Facets>(key, row),
            Self::Policy => again::<Policy>(key, row),
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
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    record::encode_small(key, &record::decode_small::<T>(key, row)?)
}

/// The events of a row.
pub fn events(key: &[u8], row: &[u8]) -> Result<Vec<Event>, StoreError> {
    record::decode_events(key, row)
}

/// The state and the number of the events in compact content, taken from it without listing them; and whether the parts
/// it can be cut into are the whole again.
pub fn folded(content: &[u8]) -> Option<(State, u32, bool)> {
    let parts = stream::split(content, content.len() / 2).ok()?;
    let whole = parts.iter().flat_map(|(part, _)| part.iter()).eq(content);
    Some((stream::fold(content).ok()?, stream::count(content).ok()?, whole))
}
