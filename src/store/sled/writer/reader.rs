//! What is read on the store's thread, because it is no longer in memory.

use std::sync::Arc;

use super::super::by_id::ById;
use super::super::chain;
use super::super::keys::{self, Row};
use super::super::open::Disk;
use super::super::record;
use super::memory::Live;
use super::turn::{idempotency_limit, reference_hash};
use crate::store::{
    Alert, AuditRecord, Facets, Filter, Idempotency, Inbound, LogPosition, Page, Policies, Snapshot,
    StoreError,
};
use crate::verification::Event;
use crate::verification::values::{AppName, ChannelName, MessageId, NumberIndex, Timestamp, VerificationId};

/// Inbound messages that one read looks at for one page; about a millisecond of the thread.
const INBOUND_VISIT: usize = 500;

pub struct Reader<'a> {
    pub disk: &'a Disk,
    pub policies: &'a Policies,
    pub live: &'a ById<Live>,
}

impl Reader<'_> {
    pub fn snapshot(&self, id: VerificationId) -> Result<Option<Arc<Snapshot>>, StoreError> {
        match self.live.get(&id) {
            Some(live) => Ok(Some(Arc::clone(&live.snapshot))),
            None => self.snapshot_at(id, u32::MAX),
        }
    }

    pub fn snapshot_at(&self, id: VerificationId, version: u32) -> Result<Option<Arc<Snapshot>>, StoreError> {
        self.disk.snapshot(id, version, self.policies)
    }

    pub fn events(&self, id: VerificationId) -> Result<Vec<Event>, StoreError> {
        self.disk.events(id)
    }

    pub fn message(
        &self,
        channel: &ChannelName,
        provider_ref: &str,
    ) -> Result<Option<MessageId>, StoreError> {
        self.disk.message(channel, provider_ref)
    }

    pub fn idempotency(&self, key: [u8; 16], now: Timestamp) -> Result<Option<Idempotency>, StoreError> {
        Ok(self.disk.idempotency(key)?.filter(|known| known.at >= idempotency_limit(now)))
    }

    /// Looks at `visit` verifications at most; `next` says from where to go on.
    pub fn list(
        &self,
        filter: &Filter,
        wanted: usize,
        visit: usize,
        before: Option<VerificationId>,
    ) -> Result<Page<Arc<Snapshot>, VerificationId>, StoreError> {
        let mut page = Page { items: Vec::new(), next: before };
        for _ in 0..visit {
            let Some(id) = self.newest_before(filter, page.next)? else {
                page.next = None;
                break;
            };
            page.next = Some(id);
            let snapshot = self.snapshot(id)?.ok_or_else(|| {
                record::damaged(&keys::events_of(id), "the verification that an index names is missing")
            })?;
            if filter.names(&snapshot.verification.request) && filter.admits(id, &Facets::of(&snapshot)) {
                page.items.push(snapshot);
            }
            if page.items.len() >= wanted {
                break;
            }
        }
        Ok(page)
    }

    fn newest_before(
        &self,
        filter: &Filter,
        before: Option<VerificationId>,
    ) -> Result<Option<VerificationId>, StoreError> {
        let prefix = match (filter.number, &filter.client_ref) {
            (Some(number), _) => keys::numbers_of(number),
            (None, Some(client_ref)) => keys::client_refs_of(reference_hash(client_ref)),
            (None, None) => vec![Row::Events as u8],
        };
        let mut until = prefix.clone();
        match before {
            Some(id) => until.extend_from_slice(&id.to_bytes()),
            None => until.extend_from_slice(&[0xff; 17]),
        }
        let by_events = prefix.len() == 1;
        match self.disk.range(prefix, until).next_back() {
            None => Ok(None),
            Some(row) => {
                let (key, _) = row?;
                let id = if by_events {
                    keys::verification_of(&key)
                } else {
                    keys::trailing_id(&key).map(VerificationId::from_bytes)
                };
                id.map(Some).ok_or_else(|| record::damaged(&key, "it names no verification"))
            }
        }
    }

    pub fn inbound(
        &self,
        app: Option<&AppName>,
        from: Option<NumberIndex>,
        limit: usize,
        before: Option<LogPosition>,
    ) -> Result<Page<Inbound, LogPosition>, StoreError> {
        let prefix = from.map_or_else(|| vec![Row::Inbound as u8], keys::inbounds_of);
        let mut page = Page { items: Vec::new(), next: None };
        let mut visited = 0;
        for row in self.backwards(prefix, before).take(INBOUND_VISIT) {
            let (key, value) = row?;
            visited += 1;
            let position =
                keys::trailing_id(&key).ok_or_else(|| record::damaged(&key, "it names no message"))?;
            let (key, value) = match from {
                None => (key.to_vec(), value),
                Some(_) => {
                    let key = keys::inbound(position);
                    let value = self.disk.get(&key)?;
                    let value = value.ok_or_else(|| record::damaged(&key, "the message is missing"))?;
                    (key, value)
                }
            };
            let message: Inbound = record::decode(&key, &value)?;
            let is_theirs = app.is_none() || message.app.is_none() || message.app.as_ref() == app;
            if is_theirs && page.items.len() == limit {
                return Ok(page);
            }
            page.next = Some(position);
            if is_theirs {
                page.items.push(message);
            }
        }
        if visited < INBOUND_VISIT {
            page.next = None;
        }
        Ok(page)
    }

    pub fn alerts(
        &self,
        limit: usize,
        before: Option<LogPosition>,
    ) -> Result<Page<Alert, LogPosition>, StoreError> {
        let mut page = Page { items: Vec::new(), next: None };
        for row in self.backwards(vec![Row::Alert as u8], before) {
            let (key, value) = row?;
            if page.items.len() == limit {
                return Ok(page);
            }
            page.items.push(record::decode(&key, &value)?);
            page.next = keys::trailing_id(&key);
        }
        Ok(Page { next: None, ..page })
    }

    pub fn audit(&self, limit: usize, before: Option<u64>) -> Result<Page<AuditRecord, u64>, StoreError> {
        let mut page = Page { items: Vec::new(), next: None };
        let rows = self.disk.range(keys::audit(0), keys::audit(before.unwrap_or(u64::MAX)));
        for row in rows.rev() {
            let (key, value) = row?;
            if page.items.len() == limit {
                return Ok(page);
            }
            let record = chain::read(&key, &value)?;
            page.next = Some(record.seq);
            page.items.push(record);
        }
        Ok(Page { next: None, ..page })
    }

    /// Rows of a log from the newest, or from before a position.
    fn backwards(
        &self,
        prefix: Vec<u8>,
        before: Option<LogPosition>,
    ) -> impl Iterator<Item = Result<(::sled::IVec, ::sled::IVec), StoreError>> + use<> {
        let mut until = prefix.clone();
        match before {
            Some(position) => until.extend_from_slice(&position),
            None => until.extend_from_slice(&[0xff; 17]),
        }
        self.disk.range(prefix, until).rev()
    }
}
