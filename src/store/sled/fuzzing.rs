//! A door for the fuzz target of stored records: every kind of row, read and written again.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::chain::{Head, Link};
use super::open::Parked;
use super::record::{self, Commit};
use crate::store::{Alert, Facets, Idempotency, Inbound, StoreError};
use crate::verification::values::MessageId;
use crate::verification::{Event, Policy};

/// What can stand in a row.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    Events,
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
}

impl Content {
    pub const ALL: [Self; 12] = [
        Self::Events,
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
    ];

    /// Reads a row and writes what was read as a row.
    pub fn again(self, key: &[u8], row: &[u8]) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Events => again::<Commit>(key, row),
            Self::ProviderRef => again::<MessageId>(key, row),
            Self::Policy => again::<Policy>(key, row),
            Self::Facets => again::<Facets>(key, row),
            Self::Idempotency => again::<Idempotency>(key, row),
            Self::Parked => again::<Parked>(key, row),
            Self::Inbound => again::<Inbound>(key, row),
            Self::Alert => again::<Alert>(key, row),
            Self::AuditLink => again::<Link>(key, row),
            Self::AuditHead => again::<Head>(key, row),
            Self::Number => again::<u64>(key, row),
            Self::KeyId => again::<[u8; 4]>(key, row),
        }
    }
}

fn again<T: Serialize + DeserializeOwned>(key: &[u8], row: &[u8]) -> Result<Vec<u8>, StoreError> {
    record::encode(key, &record::decode::<T>(key, row)?)
}

/// The events of a row.
pub fn events(key: &[u8], row: &[u8]) -> Result<Vec<Event>, StoreError> {
    Ok(record::decode::<Commit>(key, row)?.into_events().collect())
}

/// A row whose checksum is right, whatever stands in it. `None` where it is no JSON.
pub fn sealed(key: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    record::encode(key, &serde_json::from_slice::<Box<RawValue>>(content).ok()?).ok()
}
