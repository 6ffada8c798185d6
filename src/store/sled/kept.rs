//! What the rows of the table say.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::keys::{self, Row};
use super::live;
use super::record::{self, damaged};
use super::table::{Absent, Table};
use crate::store::audit::Head;
use crate::store::{AuditLink, Idempotency, Inbound, Link, LogPosition, Policies, Snapshot, StoreError};
use crate::verification::values::{ChannelName, MessageId, NumberIndex, VerificationId};
use crate::verification::{Event, Policy, State};

/// Names that one is linked to: more than anybody has, and few enough to be looked through at once.
const MOST_LINKS: usize = 64;

impl Table {
    /// A row in JSON.
    fn json<T: serde::de::DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, Absent> {
        Ok(self.get(key)?.map(|row| record::decode(key, &row)).transpose()?)
    }

    /// The other names that one is linked to, each once however often it was taught.
    pub fn links(&self, name: NumberIndex) -> Result<Vec<Link>, Absent> {
        let (mut links, mut from) = (Vec::new(), keys::aliases_of(name));
        let until = [&from[..], &[0xff; 33]].concat();
        while links.len() < MOST_LINKS
            && let Some(row) = self.range(&from, &until)?.next()
        {
            let (key, row) = row?;
            let to = keys::aliased(&key)?;
            links.push(Link { to, tail: record::decode_small(&key, &row)? });
            from = keys::alias(name, to, [0xff; 16]);
            from.push(0);
        }
        Ok(links)
    }

    /// The position of the inbound message that a provider calls so.
    pub fn inbound_by_ref(
        &self,
        channel: &ChannelName,
        provider_ref: &str,
    ) -> Result<Option<LogPosition>, Absent> {
        let key = keys::inbound_by_ref(channel, provider_ref);
        let Some(row) = self.get(&key)? else { return Ok(None) };
        let position = record::decode_compact(&key, &row)?.try_into();
        position.map(Some).map_err(|_| damaged(&key, "it is no position").into())
    }

    pub fn inbound_at(&self, position: LogPosition) -> Result<Option<Inbound>, Absent> {
        self.json(&keys::inbound(position))
    }

    /// Everything that happened to a verification as far as it has rows, in order.
    pub fn events(&self, id: VerificationId) -> Result<Vec<Event>, Absent> {
        let mut events = Vec::new();
        for row in self.scan(&keys::events_of(id))? {
            let (key, value) = row?;
            let first = key.get(17..).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
            if first != u32::try_from(events.len()).ok().map(|count| count + 1) {
                return Err(damaged(&key, "events before it are missing").into());
            }
            events.extend(record::decode_events(&key, &value)?);
        }
        Ok(events)
    }

    /// The message of a settled verification that a provider calls so.
    pub fn message(&self, channel: &ChannelName, name: &str) -> Result<Option<MessageId>, Absent> {
        let key = keys::provider_ref(channel, name);
        Ok(self.get(&key)?.map(|row| record::decode_small(&key, &row)).transpose()?)
    }

    /// The record of an idempotency key, however old.
    pub fn idempotency(&self, key: [u8; 16]) -> Result<Option<Idempotency>, Absent> {
        self.json(&keys::idempotency(key))
    }

    /// The fold of the first `version` events, with the policy that was applied.
    pub fn snapshot(
        &self,
        id: VerificationId,
        version: u32,
        policies: &Policies,
    ) -> Result<Option<Arc<Snapshot>>, Absent> {
        let events = self.events(id)?;
        let versions = usize::try_from(version).unwrap_or(usize::MAX).min(events.len());
        if versions == 0 {
            return Ok(None);
        }
        Ok(Some(live::snapshot(id, State::fold(&events[..versions]), policies)?))
    }

    /// The verification with rows after this one in order of time, or the first of all.
    pub fn first_after(&self, before: Option<VerificationId>) -> Result<Option<VerificationId>, Absent> {
        let from = match before {
            Some(id) => keys::events(id, u32::MAX),
            None => vec![Row::Events as u8],
        };
        match self.range(&from, &[Row::Events as u8 + 1])?.next() {
            Some(row) => Ok(keys::verification_of(&row?.0)),
            None => Ok(None),
        }
    }

    /// The last verification with rows, in order of time.
    pub fn newest(&self) -> Result<Option<VerificationId>, Absent> {
        match self.range_back(&[Row::Events as u8], &[Row::Events as u8 + 1])?.next() {
            Some(row) => Ok(keys::verification_of(&row?.0)),
            None => Ok(None),
        }
    }

    pub fn policies(&self) -> Result<Policies, Absent> {
        let mut policies = BTreeMap::new();
        for row in self.scan(&[Row::Policy as u8])? {
            let (key, value) = row?;
            let policy: Policy = record::decode(&key, &value)?;
            policies.insert(policy.hash(), Arc::new(policy));
        }
        Ok(policies)
    }

    /// A record of the audit log.
    pub fn audit_link(key: &[u8], row: &[u8]) -> Result<(u64, AuditLink), StoreError> {
        let seq = keys::audit_seq(key).ok_or_else(|| damaged(key, "it has no number"))?;
        Ok((seq, record::decode(key, row)?))
    }

    /// The end of the audit log, without a look at the log: `verify` finds what is damaged in it.
    pub fn audit_head(&self) -> Result<Head, Absent> {
        Ok(self.json(&keys::AUDIT_HEAD)?.unwrap_or_default())
    }

    /// What the oldest record of the audit log follows.
    pub fn audit_anchor(&self) -> Result<Head, Absent> {
        Ok(self.json(&keys::AUDIT_ANCHOR)?.unwrap_or_default())
    }
}
