//! What is read on the store's thread, because it is no longer in memory.

use std::sync::Arc;

use super::super::chain;
use super::super::keys::{self, Row};
use super::super::live::{self, Live};
use super::super::open::Disk;
use super::super::record;
use super::memory::Memory;
use super::turn::idempotency_limit;
use crate::store::{
    Alert, AuditRecord, Facets, Filter, Idempotency, Inbound, LogPosition, Page, Person, Policies, Snapshot,
    Status, StoreError,
};
use crate::verification::values::{AppName, ChannelName, MessageId, NumberIndex, Timestamp, VerificationId};
use crate::verification::{Event, State};

/// Of a list: to look at one that is live, or at the row of one that is not.
const ROW_EFFORT: usize = 1;
/// Of a list: to read a verification from the disk and fold it.
const SNAPSHOT_EFFORT: usize = 16;
/// Inbound messages that one read looks at for one page; about a millisecond of the thread.
const INBOUND_VISIT: usize = 500;

pub struct Reader<'a> {
    pub disk: &'a Disk,
    pub policies: &'a Policies,
    pub memory: &'a Memory,
}

/// One that a list comes by, and where it stands.
struct Found {
    id: VerificationId,
    place: Place,
}

enum Place {
    Live(Live),
    /// It is no longer live: the row of what the filters look at.
    Kept(::sled::IVec),
    /// It is found by its number or by the app's reference.
    Named,
}

impl Found {
    fn facets(&self, row: &[u8]) -> Result<Facets, StoreError> {
        record::decode_small(&keys::facets(self.id), row)
    }
}

impl Reader<'_> {
    pub fn snapshot(&self, id: VerificationId) -> Result<Option<Arc<Snapshot>>, StoreError> {
        match self.memory.live(id) {
            Some(live) => live.snapshot(id, self.policies).map(Some),
            None => self.disk.snapshot(id, u32::MAX, self.policies),
        }
    }

    pub fn snapshot_at(&self, id: VerificationId, version: u32) -> Result<Option<Arc<Snapshot>>, StoreError> {
        let Some(live) = self.memory.live(id) else {
            return self.disk.snapshot(id, version, self.policies);
        };
        let mut events = live.events(id)?;
        events.truncate(usize::try_from(version).unwrap_or(usize::MAX));
        live::snapshot(id, State::fold(&events), self.policies).map(Some)
    }

    pub fn events(&self, id: VerificationId) -> Result<Vec<Event>, StoreError> {
        match self.memory.live(id) {
            Some(live) => live.events(id),
            None => self.disk.events(id),
        }
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

    /// Works for about `effort` of [`ROW_EFFORT`] and [`SNAPSHOT_EFFORT`]; `next` says from where to go on.
    pub fn list(
        &self,
        filter: &Filter,
        wanted: usize,
        effort: usize,
        before: Option<VerificationId>,
    ) -> Result<Page<Arc<Snapshot>, VerificationId>, StoreError> {
        let person = filter.number.map(|name| self.person(name)).transpose()?;
        let mut page = Page { items: Vec::new(), next: None };
        let mut spent = 0;
        for found in self.newest_first(filter, person.as_ref(), before) {
            let found = found?;
            if page.items.len() >= wanted || spent >= effort {
                return Ok(page);
            }
            page.next = Some(found.id);
            let loads = match found.place {
                Place::Live(_) => false,
                Place::Kept(ref row) => filter.admits(found.id, &found.facets(row)?),
                Place::Named => true,
            };
            spent += if loads { SNAPSHOT_EFFORT } else { ROW_EFFORT };
            let snapshot = match found.place {
                Place::Live(live) => live.snapshot(found.id, self.policies)?,
                Place::Kept(_) if !loads => continue,
                Place::Kept(_) | Place::Named => self.snapshot(found.id)?.ok_or_else(|| {
                    let key = keys::events_of(found.id);
                    record::damaged(&key, "the verification that an index names is missing")
                })?,
            };
            let request = &snapshot.verification.request;
            if filter.names(request, person.as_ref()) && filter.admits(found.id, &Facets::of(&snapshot)) {
                page.items.push(snapshot);
            }
        }
        Ok(Page { next: None, ..page })
    }

    /// Those that may be asked for, from the newest, or from before one.
    fn newest_first<'a>(
        &'a self,
        filter: &Filter,
        person: Option<&Person>,
        before: Option<VerificationId>,
    ) -> Box<dyn Iterator<Item = Result<Found, StoreError>> + 'a> {
        let since = VerificationId::first_at(filter.since.unwrap_or_default());
        let until = filter.until.map(VerificationId::first_at);
        let until = [before, until].into_iter().flatten().min().unwrap_or(VerificationId::LAST);
        if since >= until {
            return Box::new(std::iter::empty());
        }
        let prefixes = match (person, &filter.client_ref) {
            (Some(person), _) => person.names().map(keys::numbers_of).collect(),
            (None, Some(client_ref)) => vec![keys::client_refs_of(client_ref)],
            (None, None) => {
                let live = self.memory.live_in_order.range(since..until).rev();
                // What is pending is live.
                let kept = (filter.status != Some(Status::Pending))
                    .then(|| self.disk.range(keys::facets(since), keys::facets(until)).rev());
                return Box::new(self.merged(live.copied(), kept.into_iter().flatten()));
            }
        };
        let (since, until) = (since.to_bytes(), until.to_bytes());
        let named = self.newest_of(&prefixes, Some(since), until);
        let found = |id| Found { id: VerificationId::from_bytes(id), place: Place::Named };
        Box::new(named.map(move |id| id.map(found)))
    }

    /// The ids that end the keys under these prefixes, from the last, each once.
    fn newest_of(
        &self,
        prefixes: &[Vec<u8>],
        since: Option<[u8; 16]>,
        until: [u8; 16],
    ) -> impl Iterator<Item = Result<[u8; 16], StoreError>> + use<> {
        let rows = |prefix: &Vec<u8>| {
            let bound = |id: &[u8]| [&prefix[..], id].concat();
            let since = since.as_ref().map_or_else(|| prefix.clone(), |since| bound(since));
            let rows = self.disk.range(since, bound(&until)).rev();
            let id = |row: Result<(::sled::IVec, ::sled::IVec), StoreError>| {
                let (key, _) = row?;
                keys::trailing_id(&key).ok_or_else(|| record::damaged(&key, "it names nothing"))
            };
            rows.map(id).peekable()
        };
        let mut all: Vec<_> = prefixes.iter().map(rows).collect();
        std::iter::from_fn(move || {
            let mut newest = None;
            for rows in &mut all {
                match rows.peek() {
                    Some(Ok(id)) => newest = newest.max(Some(*id)),
                    Some(Err(_)) => return rows.next(),
                    None => {}
                }
            }
            // One of two names stands under both.
            for rows in &mut all {
                while rows.next_if(|id| id.as_ref().is_ok_and(|id| Some(*id) == newest)).is_some() {}
            }
            newest.map(Ok)
        })
    }

    pub fn person(&self, name: NumberIndex) -> Result<Person, StoreError> {
        Person::of(name, |name| self.disk.links(name))
    }

    /// The live ones and those that are not, both from the newest, as one.
    fn merged<'a>(
        &'a self,
        live: impl Iterator<Item = VerificationId> + 'a,
        kept: impl Iterator<Item = Result<(::sled::IVec, ::sled::IVec), StoreError>> + 'a,
    ) -> impl Iterator<Item = Result<Found, StoreError>> + 'a {
        let live = live.filter_map(|id| self.memory.live(id).map(|live| (id, live)));
        let (mut live, mut kept) = (live.peekable(), kept.peekable());
        std::iter::from_fn(move || {
            let newest_kept = match kept.peek() {
                Some(Ok((key, _))) => match keys::named(key) {
                    Ok(id) => Some(id),
                    Err(error) => return Some(Err(error)),
                },
                Some(Err(error)) => return Some(Err(error.clone())),
                None => None,
            };
            if let Some((id, live)) = live.next_if(|(id, _)| Some(*id) > newest_kept) {
                return Some(Ok(Found { id, place: Place::Live(live) }));
            }
            let (id, (_, row)) = (newest_kept?, kept.next()?.ok()?);
            Some(Ok(Found { id, place: Place::Kept(row) }))
        })
    }

    pub fn inbound(
        &self,
        app: Option<&AppName>,
        from: Option<NumberIndex>,
        limit: usize,
        before: Option<LogPosition>,
    ) -> Result<Page<Inbound, LogPosition>, StoreError> {
        let prefixes = match from {
            None => vec![vec![Row::Inbound as u8]],
            Some(name) => self.person(name)?.names().map(keys::inbounds_of).collect(),
        };
        let mut page = Page { items: Vec::new(), next: None };
        let mut visited = 0;
        let positions = self.newest_of(&prefixes, None, before.unwrap_or([0xff; 16]));
        for position in positions.take(INBOUND_VISIT) {
            let position = position?;
            visited += 1;
            let key = keys::inbound(position);
            let value = self.disk.get(&key)?;
            let value = value.ok_or_else(|| record::damaged(&key, "the message is missing"))?;
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
