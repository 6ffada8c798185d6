//! Reads on the store's thread: settled verifications, lists, inbound messages, alerts, audit.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::keys::{self, Row};
use super::live::{self, Live};
use super::memory::Memory;
use super::record;
use super::table::{Entry, Table, end_of};
use crate::store::engine::idempotency_limit;
use crate::store::{
    Alert, AuditRecord, Facets, Filter, Idempotency, Inbound, LogPosition, Page, Person, Policies, Snapshot,
    Status, StoreError,
};
use crate::verification::values::{AppName, ChannelName, MessageId, NumberIndex, Timestamp, VerificationId};
use crate::verification::{Event, State};

/// In a list: to look at a live verification, or at the row of a settled one.
const ROW_EFFORT: usize = 1;
/// In a list: to read a verification from the disk and fold it.
const SNAPSHOT_EFFORT: usize = 16;
/// Inbound messages that one read looks at for one page; about a millisecond of the thread.
const INBOUND_VISIT: usize = 500;

pub struct Reader<'a> {
    pub policies: &'a Policies,
    pub memory: &'a Memory,
}

/// A verification that a list comes by, and where it was found.
struct Found {
    id: VerificationId,
    place: Place,
}

enum Place {
    Live(Live),
    /// It is settled: the row of what the filters look at.
    Kept(::sled::IVec),
    /// By its number or by the app's reference.
    Named,
}

impl Found {
    fn facets(&self, row: &[u8]) -> Result<Facets, StoreError> {
        record::decode_small(&keys::facets(self.id), row)
    }
}

impl Reader<'_> {
    fn table(&self) -> &Table {
        &self.memory.table
    }

    pub fn snapshot(&self, id: VerificationId) -> Result<Option<Arc<Snapshot>>, StoreError> {
        match self.memory.live(id) {
            Some(live) => live.snapshot(id, self.policies).map(Some),
            None => Ok(self.table().snapshot(id, u32::MAX, self.policies)?),
        }
    }

    pub fn snapshot_at(&self, id: VerificationId, version: u32) -> Result<Option<Arc<Snapshot>>, StoreError> {
        let Some(live) = self.memory.live(id) else {
            return Ok(self.table().snapshot(id, version, self.policies)?);
        };
        let mut events = live.events(id)?;
        events.truncate(usize::try_from(version).unwrap_or(usize::MAX));
        live::snapshot(id, State::fold(&events), self.policies).map(Some)
    }

    pub fn events(&self, id: VerificationId) -> Result<Vec<Event>, StoreError> {
        match self.memory.live(id) {
            Some(live) => live.events(id),
            None => Ok(self.table().events(id)?),
        }
    }

    pub fn message(
        &self,
        channel: &ChannelName,
        provider_ref: &str,
    ) -> Result<Option<MessageId>, StoreError> {
        Ok(self.memory.message_named(channel, provider_ref)?)
    }

    pub fn idempotency(&self, key: [u8; 16], now: Timestamp) -> Result<Option<Idempotency>, StoreError> {
        Ok(self.table().idempotency(key)?.filter(|known| known.at >= idempotency_limit(now)))
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
        for found in self.newest_first(filter, person.as_ref(), before)? {
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

    /// The verifications that may be asked for, from the newest, or from before one.
    fn newest_first<'a>(
        &'a self,
        filter: &Filter,
        person: Option<&Person>,
        before: Option<VerificationId>,
    ) -> Result<Box<dyn Iterator<Item = Result<Found, StoreError>> + 'a>, StoreError> {
        let since = VerificationId::first_at(filter.since.unwrap_or_default());
        let until = filter.until.map(VerificationId::first_at);
        let until = [before, until].into_iter().flatten().min().unwrap_or(VerificationId::LAST);
        if since >= until {
            return Ok(Box::new(std::iter::empty()));
        }
        let is_asked = move |id: &VerificationId| (since..until).contains(id);
        let (prefixes, live): (Vec<_>, BTreeSet<_>) = match (person, &filter.client_ref) {
            (Some(person), _) => {
                let live = person.names().flat_map(|name| self.memory.live_of_number(name));
                (person.names().map(keys::numbers_of).collect(), live.filter(is_asked).collect())
            }
            (None, Some(client_ref)) => {
                let live = self.memory.live_of_client_ref(client_ref);
                (vec![keys::client_refs_of(client_ref)], live.filter(is_asked).collect())
            }
            (None, None) => {
                let live = self.memory.live_in_order().range(since..until).rev();
                // What is pending is live.
                let kept = match filter.status {
                    Some(Status::Pending) => None,
                    _ => Some(self.table().range_back(&keys::facets(since), &keys::facets(until))?),
                };
                return Ok(Box::new(self.merged(live.copied(), kept.into_iter().flatten())));
            }
        };
        let live = live.into_iter().rev().map(|id| Ok(id.to_bytes()));
        let named = self.newest_of(&prefixes, Some(since.to_bytes()), until.to_bytes(), live)?;
        let found = |id| Found { id: VerificationId::from_bytes(id), place: Place::Named };
        Ok(Box::new(named.map(move |id| id.map(found))))
    }

    /// The ids that end the keys under these prefixes, and `others`, from the last, each once.
    fn newest_of<'a>(
        &'a self,
        prefixes: &[Vec<u8>],
        since: Option<[u8; 16]>,
        until: [u8; 16],
        others: impl Iterator<Item = Result<[u8; 16], StoreError>> + 'a,
    ) -> Result<impl Iterator<Item = Result<[u8; 16], StoreError>> + 'a, StoreError> {
        type Ids<'a> = Box<dyn Iterator<Item = Result<[u8; 16], StoreError>> + 'a>;
        let others: Ids<'a> = Box::new(others);
        let mut all = vec![others.peekable()];
        for prefix in prefixes {
            let bound = |id: &[u8]| [&prefix[..], id].concat();
            let since = since.as_ref().map_or_else(|| prefix.clone(), |since| bound(since));
            let rows = self.table().range_back(&since, &bound(&until))?;
            let id = |row: Result<Entry, StoreError>| {
                let (key, _) = row?;
                keys::trailing_id(&key).ok_or_else(|| record::damaged(&key, "it names nothing"))
            };
            let ids: Ids<'a> = Box::new(rows.map(id));
            all.push(ids.peekable());
        }
        Ok(std::iter::from_fn(move || {
            let mut newest = None;
            for rows in &mut all {
                match rows.peek() {
                    Some(Ok(id)) => newest = newest.max(Some(*id)),
                    Some(Err(_)) => return rows.next(),
                    None => {}
                }
            }
            // It may be under several names.
            for rows in &mut all {
                while rows.next_if(|id| id.as_ref().is_ok_and(|id| Some(*id) == newest)).is_some() {}
            }
            newest.map(Ok)
        }))
    }

    pub fn person(&self, name: NumberIndex) -> Result<Person, StoreError> {
        Person::of(name, |name| Ok(self.memory.all_links(name)?))
    }

    /// The live and the settled ones, both from the newest, as one.
    fn merged<'a>(
        &'a self,
        live: impl Iterator<Item = VerificationId> + 'a,
        kept: impl Iterator<Item = Result<Entry, StoreError>> + 'a,
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
        let until = before.unwrap_or([0xff; 16]);
        let positions = self.newest_of(&prefixes, None, until, std::iter::empty())?;
        for position in positions.take(INBOUND_VISIT) {
            let position = position?;
            visited += 1;
            let missing = || record::damaged(&keys::inbound(position), "the message is missing");
            let message = self.table().inbound_at(position)?.ok_or_else(missing)?;
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
        let prefix = [Row::Alert as u8];
        let until = before.map_or_else(|| end_of(&prefix), keys::alert);
        for row in self.table().range_back(&prefix, &until)? {
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
        let until = keys::audit(before.unwrap_or(u64::MAX));
        for row in self.table().range_back(&keys::audit(0), &until)? {
            let (key, value) = row?;
            if page.items.len() == limit {
                return Ok(page);
            }
            let (seq, link) = Table::audit_link(&key, &value)?;
            let record = link.record(seq)?;
            page.next = Some(record.seq);
            page.items.push(record);
        }
        Ok(Page { next: None, ..page })
    }
}
