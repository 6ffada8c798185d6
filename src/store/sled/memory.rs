//! What the store's thread keeps in memory over the table: the live verifications and what finds them, the reports that
//! wait for their message, the positions of alerts, the end of the audit log. It answers the engine's look-ups, and
//! translates changes into the record of a turn and into rows.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::Shared;
use super::codec;
use super::dump::{Novelty, RowChange, UnderWay};
use super::keys::{self, Row};
use super::live::{self, Head, Live};
use super::live_index::LiveIndex;
use super::record;
use super::replay::Replayed;
use super::seen::Seen;
use super::settle;
use super::table::{Absent, Rows, Table, end_of};
use crate::store::audit::Head as AuditHead;
use crate::store::by_id::ById;
use crate::store::dump::Item;
use crate::store::engine::{Change, Grown, Known, Lookup, Need, Next, ParkedReports, Stream, Unknown};
use crate::store::{Idempotency, Link, LogPosition, Snapshot, StoreError, stream};
use crate::verification::due::due_of;
use crate::verification::values::{
    ChannelName, MessageId, NumberIndex, ProviderRef, Timestamp, VerificationId,
};
use crate::verification::{PolicyHash, State, Verification};

pub struct Memory {
    pub table: Table,
    /// What readers see: the live verifications that are durable.
    shared: Arc<Shared>,
    /// The live verifications that turns changed which are not durable yet.
    ahead: ById<Ahead>,
    /// Which verifications each of those turns touched.
    undurable: VecDeque<(u64, Vec<VerificationId>)>,
    found: LiveIndex,
    parked: ParkedReports,
    /// Oldest first.
    alerts: BTreeSet<LogPosition>,
    audit: AuditHead,
    /// Idempotency keys that sled may have.
    keys_seen: Seen,
    /// Names that sled may have links of.
    names_seen: Seen,
    /// The next key that is added to those sets.
    seen_up_to: Vec<u8>,
    /// Reads do not change the rest of it, but a visit of a dump changes how far that is.
    pub dumps: RefCell<UnderWay>,
    turn: TurnRecord,
}

/// Rows of one visit that are added to the sets of keys that sled has: a tenth of a millisecond.
const SEEN_AT_ONCE: usize = 64;

struct Ahead {
    turn: u64,
    /// `None`: it is settled.
    live: Option<Live>,
}

/// What became of a verification at a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// The log is not needed for it.
    Done,
    /// A turn changed it that is not durable yet.
    Later,
}

/// What a turn writes.
#[derive(Default)]
pub struct TurnRecord {
    /// Its place among the turns of this process.
    pub place: u64,
    /// Its number in the log, if it has a record.
    pub number: u64,
    pub record: Vec<u8>,
    pub changed: Vec<Changed>,
    /// Verifications of which only the log has events, since this turn.
    pub logged: Vec<VerificationId>,
}

/// A verification as a turn left it, to be published.
pub struct Changed {
    pub id: VerificationId,
    pub version: u32,
    /// `None`: it is settled.
    pub live: Option<Live>,
}

impl Memory {
    pub fn new(replayed: Replayed, shared: Arc<Shared>) -> Result<Self, StoreError> {
        let Replayed { table, policies, live, parked, alerts, audit, .. } = replayed;
        let mut found = LiveIndex::default();
        for one in &live {
            let State::Known(verification) = one.live.state(one.id)? else { continue };
            found.add(&verification, &one.live.events(one.id)?);
        }
        shared.replace_all(policies, live.into_iter().map(|one| (one.id, one.live)));
        Ok(Self {
            table,
            shared,
            ahead: ById::default(),
            undurable: VecDeque::new(),
            found,
            parked: ParkedReports::found(parked),
            alerts: alerts.into_iter().collect(),
            audit,
            keys_seen: Seen::new(),
            names_seen: Seen::new(),
            seen_up_to: vec![Row::Alias as u8],
            dumps: RefCell::default(),
            turn: TurnRecord::default(),
        })
    }

    /// Adds some keys that sled has to the sets of them. Whether there are more to add.
    pub fn see_some(&mut self) -> Result<bool, StoreError> {
        if self.keys_seen.is_full() || self.names_seen.is_full() {
            (self.keys_seen, self.names_seen) = (Seen::new(), Seen::new());
            self.seen_up_to = vec![Row::Alias as u8];
        }
        if self.keys_seen.is_complete() || self.table.disk().is_none() {
            return Ok(false);
        }
        let kind = self.seen_up_to.first().copied().unwrap_or(Row::Alias as u8);
        let rows = self.table.range(&self.seen_up_to, &[kind + 1])?.take(SEEN_AT_ONCE);
        let rows: Vec<_> = rows.map(|row| row.map(|(key, _)| key)).collect::<Result<_, _>>()?;
        for key in &rows {
            self.see(key);
        }
        match rows.last() {
            Some(last) => self.seen_up_to = [last, &[0][..]].concat(),
            None if kind == Row::Alias as u8 => {
                self.names_seen.complete();
                self.seen_up_to = vec![Row::Idempotency as u8];
            }
            None => self.keys_seen.complete(),
        }
        Ok(true)
    }

    /// Whether it is known of every key whether sled may have it.
    #[cfg(test)]
    pub fn has_seen_all(&self) -> bool {
        self.keys_seen.is_complete()
    }

    fn see(&mut self, key: &[u8]) {
        let Some(name) = key.get(1..17).and_then(|name| name.try_into().ok()) else { return };
        match key.first() {
            Some(&kind) if kind == Row::Alias as u8 => self.names_seen.add(name),
            Some(&kind) if kind == Row::Idempotency as u8 => self.keys_seen.add(name),
            Some(_) | None => {}
        }
    }

    fn put(&mut self, rows: Rows) {
        for (key, row) in rows.iter() {
            let change = if row.is_some() { RowChange::Written } else { RowChange::Removed };
            if change == RowChange::Written {
                self.see(key);
            }
            self.dumps.get_mut().note_row(key, change);
        }
        self.table.put(self.turn.number, rows);
    }

    /// The changes that are made from now on are those of the turn at `place`, with `number` if it has a record.
    pub fn begin_turn(&mut self, place: u64, number: u64) {
        self.turn = TurnRecord { place, number, ..TurnRecord::default() };
    }

    pub fn take_turn(&mut self) -> TurnRecord {
        std::mem::take(&mut self.turn)
    }

    /// As the last turn left it, durable or not.
    pub fn live(&self, id: VerificationId) -> Option<Live> {
        match self.ahead.get(&id) {
            Some(ahead) => ahead.live.clone(),
            None => self.shared.live(id),
        }
    }

    pub fn live_in_order(&self) -> &BTreeSet<VerificationId> {
        &self.found.in_order
    }

    /// Live verifications of a number, oldest first.
    pub fn live_of_number(&self, number: NumberIndex) -> impl DoubleEndedIterator<Item = VerificationId> {
        let (first, last) = (VerificationId::first_at(Timestamp::default()), VerificationId::LAST);
        self.found.numbers.range((number, first)..=(number, last)).map(|&(_, id)| id)
    }

    /// Live verifications with an app's reference, oldest first.
    pub fn live_of_client_ref(&self, client_ref: &str) -> impl DoubleEndedIterator<Item = VerificationId> {
        let digest = keys::digest(&[client_ref]);
        let (first, last) = (VerificationId::first_at(Timestamp::default()), VerificationId::LAST);
        self.found.client_refs.range((digest, first)..=(digest, last)).map(|&(_, id)| id)
    }

    /// The message of a live or settled verification that a provider calls so.
    pub fn message_named(&self, channel: &ChannelName, name: &str) -> Result<Option<MessageId>, Absent> {
        match self.found.names.get(&keys::digest(&[channel.as_str(), name])) {
            Some(&message) => Ok(Some(message)),
            None => self.table.message(channel, name),
        }
    }

    /// Links of one name, of live verifications as well.
    pub fn all_links(&self, name: NumberIndex) -> Result<Vec<Link>, Absent> {
        let mut links = match self.table.links(name) {
            Err(Absent::Away) if self.names_seen.is_new(name.0) => Vec::new(),
            links => links?,
        };
        for (link, _) in self.found.links.get(&name).into_iter().flatten() {
            if links.iter().all(|known| known.to != link.to) {
                links.push(*link);
            }
        }
        Ok(links)
    }

    /// Turns up to the one at this place are durable, and readers see them.
    pub fn is_durable(&mut self, place: u64) {
        while let Some((done, touched)) = self.undurable.pop_front_if(|(done, _)| *done <= place) {
            for id in touched {
                if self.ahead.get(&id).is_some_and(|ahead| ahead.turn == done) {
                    self.ahead.remove(&id);
                }
            }
        }
    }

    /// Writes rows for the events of a live verification, if the log has some since turn `last` or before. They reach
    /// sled with the rows of `turn`.
    pub fn save(&mut self, id: VerificationId, last: u64, turn: u64) -> Result<Saved, StoreError> {
        let Some(live) = self.live(id) else { return Ok(Saved::Done) };
        if live.head().logged_since.is_none_or(|since| since > last) {
            return Ok(Saved::Done);
        }
        if self.ahead.contains_key(&id) {
            return Ok(Saved::Later);
        }
        let mut rows = Rows::default();
        settle::saves(&mut rows, id, &live)?;
        self.table.put(turn, rows);
        self.shared.save(id, live.saved());
        Ok(Saved::Done)
    }

    pub fn measure(&self) {
        metrics::gauge!("twotick_verifications_live").set(self.found.in_order.len() as f64);
        metrics::gauge!("twotick_parked_reports").set(self.parked.count() as f64);
    }

    fn grow(&mut self, grown: &Grown) -> Result<(), StoreError> {
        let (id, verification) = (grown.id(), &grown.snapshot.verification);
        if !grown.events.is_empty() {
            let novelty = if grown.expected_version() == 0 { Novelty::New } else { Novelty::Known };
            self.dumps.get_mut().note_change(Item::Verification(id), novelty);
        }
        let before = self.live(id);
        let mut added = Vec::with_capacity(64 * grown.events.len());
        stream::append(&mut added, &grown.events);
        let mut rows = Rows::default();
        let growing = match before.clone() {
            Some(live) => Some(live),
            None if grown.expected_version() == 0 => Some(Live::new(Head::default(), &[], &[])),
            None => self.grow_settled(grown, &mut rows)?,
        };
        let after = growing.map(|live| {
            let mut head = Head { version: verification.version, ..live.head() };
            if !grown.events.is_empty() && head.logged_since.is_none() {
                head.logged_since = Some(self.turn.number);
                self.turn.logged.push(id);
            }
            if let Next::Due(due) = grown.next {
                head.due = due;
            }
            Live::new(head, live.commits(), &added)
        });
        let live = match (after, grown.next) {
            (Some(live), Next::Due(_)) => {
                self.found.add(verification, &grown.events);
                Some(live)
            }
            (Some(live), Next::Settled) => {
                settle::live_settles(&mut rows, &live, &grown.snapshot)?;
                self.found.remove(verification, &live.events(id)?);
                None
            }
            (None, _) => None,
        };
        self.put(rows);
        self.ahead.insert(id, Ahead { turn: self.turn.place, live: live.clone() });
        match self.undurable.back_mut() {
            Some((last, touched)) if *last == self.turn.place => touched.push(id),
            Some(_) | None => self.undurable.push_back((self.turn.place, vec![id])),
        }
        self.turn.changed.push(Changed { id, version: verification.version, live });
        Ok(())
    }

    /// A settled verification grows. `None`: it stays settled.
    fn grow_settled(&mut self, grown: &Grown, rows: &mut Rows) -> Result<Option<Live>, StoreError> {
        let id = grown.id();
        let events = self.table.events(id)?;
        let before = live::snapshot(id, State::fold(&events), &self.shared.policies())?;
        if before.verification.version != grown.expected_version() {
            return Err(record::damaged(&keys::events_of(id), "its rows are of another version"));
        }
        match grown.next {
            Next::Due(due) => {
                let live = settle::revives(rows, (&before, &events), due)?;
                self.found.add(&before.verification, &events);
                Ok(Some(live))
            }
            Next::Settled => {
                settle::settled_grows(rows, (&before, &events), &grown.snapshot, &grown.events)?;
                Ok(None)
            }
        }
    }
}

/// A look-up that sled cannot answer now is repeated when it is back.
fn known<T>(answer: Result<T, Absent>, need: impl FnOnce() -> Need) -> Known<T> {
    answer.map_err(|absent| match absent {
        Absent::Away => Unknown::Missing(need()),
        Absent::Failed(error) => Unknown::Failed(error),
    })
}

impl Lookup for Memory {
    fn stream(&mut self, id: VerificationId) -> Known<Option<Stream>> {
        let (snapshot, due) = match self.live(id) {
            Some(live) => (live.snapshot(id, &self.shared.policies())?, Some(live.head().due)),
            None => {
                let kept = self.table.snapshot(id, u32::MAX, &self.shared.policies());
                let Some(snapshot) = known(kept, || Need::Stream(id))? else { return Ok(None) };
                (snapshot, None)
            }
        };
        let Snapshot { verification, policy } = Arc::unwrap_or_clone(snapshot);
        Ok(Some(Stream { state: State::Known(Box::new(verification)), policy, due }))
    }

    fn is_live(&self, id: VerificationId) -> bool {
        self.found.in_order.contains(&id)
    }

    fn has_policy(&self, hash: PolicyHash) -> bool {
        self.shared.policies().contains_key(&hash)
    }

    fn message(&mut self, channel: &ChannelName, provider_ref: &ProviderRef) -> Known<Option<MessageId>> {
        let found = self.message_named(channel, provider_ref.name());
        known(found, || Need::Message(channel.clone(), provider_ref.clone()))
    }

    fn idempotency(&mut self, key: [u8; 16]) -> Known<Option<Idempotency>> {
        match self.table.idempotency(key) {
            Err(Absent::Away) if self.keys_seen.is_new(key) => Ok(None),
            kept => known(kept, || Need::Idempotency(key)),
        }
    }

    fn links(&mut self, name: NumberIndex) -> Known<Vec<Link>> {
        known(self.all_links(name), || Need::Person(name))
    }

    fn live_of(&self, number: NumberIndex) -> Vec<VerificationId> {
        self.live_of_number(number).collect()
    }

    fn verifications_of(
        &mut self,
        number: NumberIndex,
        since: VerificationId,
        most: usize,
    ) -> Known<Vec<VerificationId>> {
        let mut ids: BTreeSet<_> =
            self.live_of_number(number).rev().take_while(|id| *id >= since).take(most).collect();
        let until = end_of(&keys::numbers_of(number));
        let from = keys::number(number, since);
        let rows = known(self.table.range_back(&from, &until), || Need::VerificationsOf(number))?;
        for row in rows.take(most) {
            ids.insert(keys::named(&row?.0)?);
        }
        Ok(ids.into_iter().rev().take(most).collect())
    }

    fn known_inbound(
        &mut self,
        channel: &ChannelName,
        provider_ref: &str,
    ) -> Known<Option<Option<VerificationId>>> {
        let position = known(self.table.inbound_by_ref(channel, provider_ref), || Need::Inbound)?;
        let Some(position) = position else { return Ok(None) };
        let message = known(self.table.inbound_at(position), || Need::Inbound)?;
        let missing = || record::damaged(&keys::inbound(position), "the message is missing");
        Ok(Some(message.ok_or_else(missing)?.verification))
    }

    fn last_arrival(&mut self, at: Timestamp) -> Known<Option<u32>> {
        let prefix = keys::inbounds_arrived(at);
        let mut rows = known(self.table.range_back(&prefix, &end_of(&prefix)), || Need::Inbound)?;
        let last = rows.next().transpose()?;
        Ok(last.and_then(|(key, _)| keys::arrived(&key)).map(|(_, place)| place))
    }

    fn inbound_of(&mut self, name: NumberIndex, most: usize) -> Known<Vec<LogPosition>> {
        let mut positions = Vec::new();
        for row in known(self.table.scan(&keys::inbounds_of(name)), || Need::Inbound)?.take(most) {
            positions.extend(keys::trailing_id(&row?.0));
        }
        Ok(positions)
    }

    fn taught_by(&mut self, name: NumberIndex, through: NumberIndex) -> Known<Option<[u8; 16]>> {
        let prefix = keys::aliases_between(name, through);
        let mut rows = known(self.table.range_back(&prefix, &end_of(&prefix)), || Need::Person(name))?;
        if let Some(row) = rows.next() {
            return Ok(keys::trailing_id(&row?.0));
        }
        let links = self.found.links.get(&name).into_iter().flatten();
        Ok(links.filter(|(link, _)| link.to == through).map(|(_, id)| id.to_bytes()).max())
    }

    fn parked(&mut self) -> &mut ParkedReports {
        &mut self.parked
    }

    fn surplus_alerts(&mut self, kept: usize, most: usize) -> Vec<LogPosition> {
        let surplus = self.alerts.len().saturating_sub(kept).min(most);
        self.alerts.iter().take(surplus).copied().collect()
    }

    fn audit_head(&mut self) -> AuditHead {
        self.audit
    }

    fn old_idempotency(&mut self, before: Timestamp, most: usize) -> Known<Vec<(Timestamp, [u8; 16])>> {
        self.old(Row::IdempotencyByTime, 8, before, most, keys::trailing_id)
    }

    fn old_inbound(&mut self, before: Timestamp, most: usize) -> Known<Vec<(Timestamp, LogPosition)>> {
        self.old(Row::InboundByArrival, 6, before, most, |key| {
            keys::arrived(key).map(|(position, _)| position)
        })
    }

    fn old_alerts(&mut self, before: Timestamp, most: usize) -> Known<Vec<(Timestamp, LogPosition)>> {
        self.old(Row::Alert, 6, before, most, keys::trailing_id)
    }

    fn old_audit(&mut self, before: Timestamp, most: usize) -> Known<Vec<(Timestamp, AuditHead)>> {
        let mut old = Vec::new();
        for row in known(self.table.scan(&[Row::Audit as u8]), || Need::Old)?.take(most) {
            let (key, row) = row?;
            let (seq, link) = Table::audit_link(&key, &row)?;
            let record = link.record(seq)?;
            if record.entry.at >= before {
                break;
            }
            old.push((record.entry.at, AuditHead { seq, hash: record.hash }));
        }
        Ok(old)
    }

    fn old_verifications(&mut self, before: Timestamp, most: usize) -> Known<Vec<VerificationId>> {
        let mut old = Vec::new();
        let mut next = known(self.table.first_after(None), || Need::Old)?;
        while let Some(id) = next.filter(|id| id.created_at() < before && old.len() < most) {
            if !self.is_live(id) {
                old.push(id);
            }
            next = known(self.table.first_after(Some(id)), || Need::Old)?;
        }
        Ok(old)
    }

    fn make(&mut self, change: Change) -> Result<(), StoreError> {
        let mut rows = Rows::default();
        match &change {
            Change::Stream(grown) => {
                self.grow(grown)?;
                if grown.events.is_empty() && grown.next != Next::Settled {
                    return Ok(());
                }
            }
            Change::StreamRemoved(id) => {
                settle::stream_removed(&mut rows, &self.table, *id, &self.shared.policies())?;
            }
            Change::Policy(hash, policy) => {
                settle::policy(&mut rows, policy)?;
                self.shared.add_policy(*hash, Arc::clone(policy));
            }
            Change::Idempotency(known) => settle::idempotency(&mut rows, known)?,
            Change::IdempotencyRemoved { key, at } => {
                settle::idempotency_removed(&mut rows, &self.table, *key, *at)?;
            }
            Change::Parked(parked) => {
                settle::parked(&mut rows, parked)?;
                self.parked.add((**parked).clone());
            }
            Change::ParkedRemoved(parked) => {
                settle::parked_removed(&mut rows, parked);
                self.parked.remove(parked);
            }
            Change::Inbound(message) => drop(settle::inbound(&mut rows, message)?),
            Change::InboundRemoved(position) => {
                settle::inbound_removed(&mut rows, &self.table, *position)?;
            }
            Change::Alert(alert) => drop(self.alerts.insert(settle::alert(&mut rows, alert)?)),
            Change::AlertRemoved(position) => {
                settle::alert_removed(&mut rows, *position);
                self.alerts.remove(position);
            }
            Change::Audit(head, link) => {
                settle::audit(&mut rows, *head, link)?;
                self.audit = *head;
            }
            Change::AuditRemoved(until) => settle::audit_removed(&mut rows, &self.table, *until)?,
        }
        codec::append(&mut self.turn.record, &change)?;
        self.put(rows);
        Ok(())
    }
}

impl Memory {
    /// Records whose keys begin with their time, of `width` bytes, before `before`.
    fn old<T>(
        &self,
        row: Row,
        width: usize,
        before: Timestamp,
        most: usize,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Known<Vec<(Timestamp, T)>> {
        let mut until = vec![row as u8];
        until.extend_from_slice(&before.as_millis().to_be_bytes()[8 - width..]);
        let mut old = Vec::new();
        for row in known(self.table.range(&[row as u8], &until), || Need::Old)?.take(most) {
            let (key, _) = row?;
            let mut millis = [0; 8];
            let time = key.get(1..=width);
            millis[8 - width..].copy_from_slice(time.ok_or_else(|| record::damaged(&key, "it has no time"))?);
            let at = Timestamp::from_millis(i64::from_be_bytes(millis));
            old.push((at, read(&key).ok_or_else(|| record::damaged(&key, "it names nothing"))?));
        }
        Ok(old)
    }
}

/// When a live verification is due; one that is not due at all is attended to at once, and settles.
pub fn due_or_now(verification: &Verification) -> Timestamp {
    due_of(verification).map_or(Timestamp::default(), |(at, _)| at)
}
