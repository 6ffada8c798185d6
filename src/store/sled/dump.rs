//! Dumps of a store on sled, and imports into one. Everything that a dump needs to know about rows stands here.

mod import;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::{OpenError, Trouble};
use super::keys::{self, Row};
use super::live::Live;
use super::memory::Memory;
use super::open::{Folder, guarded};
use super::table::Table;
use super::{SledStore, record};
use crate::clock::Stopwatch;
use crate::store::dump::{Counts, Heading, Item, Line, ParkedName, Writer};
use crate::store::{Reply, StoreError};
use crate::verification::PolicyHash;
use crate::verification::values::{ChannelName, VerificationId};

#[cfg(test)]
pub use import::import_in_steps;
pub use import::{import, is_half_imported};

/// How long one visit may take of the store's thread.
const VISIT: Duration = Duration::from_millis(1);
/// Items between two looks at the time.
const ITEMS_A_LOOK: usize = 16;
/// The kinds of rows that a dump holds, in the order of [`Item`].
const KINDS: [Row; 7] =
    [Row::Policy, Row::Events, Row::Inbound, Row::Alert, Row::Idempotency, Row::Parked, Row::Audit];

/// Bounds of a dump of a running store.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Items of one visit.
    pub items: usize,
    /// Items of the last visit, whose copy is of one moment. It takes some milliseconds.
    pub items_at_last: usize,
    /// Changes that are noted. Where there are more, the dump is given up: nobody reads it, or not fast enough.
    pub changes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { items: 1_024, items_at_last: 4_096, changes: 1_000_000 }
    }
}

/// Whether a changed item was there before its change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    New,
    Known,
}

/// What a turn does to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowChange {
    Written,
    Removed,
}

/// The dump of a store, between visits to it.
pub struct Dump {
    number: u64,
    limits: Limits,
    /// The item that was written last, in order.
    at: Option<Item>,
    /// Every item was written once.
    is_round: bool,
    /// Items up to `at` that changed since they were written, or that are new.
    changed: BTreeMap<Item, Novelty>,
    counts: Counts,
}

/// What one visit found.
#[derive(Default)]
pub struct Visited {
    found: Vec<Found>,
    /// Of the whole dump, after the last visit.
    pub end: Option<Counts>,
}

/// Becomes a line on the thread that writes it.
enum Found {
    Line(Line),
    Live(VerificationId, Live),
}

impl Visited {
    /// Appends its lines to `out`; after the last visit also the end of the dump.
    ///
    /// # Errors
    /// Where events cannot be read. What comes before them is written.
    pub fn write(self, writer: &mut Writer, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let unwritable = |error: serde_json::Error| record::damaged(b"", &error.to_string());
        for found in self.found {
            let line = match found {
                Found::Line(line) => line,
                Found::Live(id, live) => Line::verification(id, live.events(id)?),
            };
            writer.write(&line, out).map_err(unwritable)?;
        }
        match self.end {
            Some(counts) => writer.end(counts, out).map_err(unwritable),
            None => Ok(()),
        }
    }
}

impl Dump {
    fn new(number: u64, limits: Limits) -> Self {
        let (at, changed, counts) = (None, BTreeMap::new(), Counts::default());
        Self { number, limits, at, is_round: false, changed, counts }
    }

    /// Notes a change, unless the item comes later anyway.
    fn note(&mut self, item: Item, novelty: Novelty) {
        if self.is_round || Some(&item) <= self.at.as_ref() {
            // An item that was never written stays new.
            self.changed.entry(item).or_insert(novelty);
        }
    }

    fn visit(&mut self, store: &Contents<'_>) -> Result<Visited, StoreError> {
        let (mut visited, took) = (Visited::default(), Stopwatch::start());
        let mut items = 0;
        loop {
            let is_last = self.is_round && self.changed.len() <= self.limits.items_at_last;
            let is_late = items % ITEMS_A_LOOK == 0 && took.elapsed() >= VISIT;
            if !is_last && items > 0 && (items >= self.limits.items || is_late) {
                return Ok(visited);
            }
            let Some((item, novelty)) = self.next(store)? else { break };
            items += 1;
            match (store.find(&item)?, novelty) {
                (Some(found), novelty) => {
                    if novelty == Novelty::New
                        && let Some(count) = self.counter(&item)
                    {
                        *count += 1;
                    }
                    visited.found.push(found);
                }
                (None, Novelty::New) => {}
                (None, Novelty::Known) => {
                    if let Some(count) = self.counter(&item) {
                        *count = count.saturating_sub(1);
                    }
                    visited.found.push(Found::Line(Line::Gone(item)));
                }
            }
        }
        visited.found.push(Found::Line(Line::AuditAnchor(store.table.audit_anchor()?)));
        visited.found.push(Found::Line(Line::AuditHead(store.table.audit_head()?)));
        visited.end = Some(self.counts);
        Ok(visited)
    }

    /// The next item: in order, and then what changed.
    fn next(&mut self, store: &Contents<'_>) -> Result<Option<(Item, Novelty)>, StoreError> {
        // A policy comes before the verifications that need it.
        if let Some(first) = self.changed.first_entry()
            && (self.is_round || matches!(first.key(), Item::Policy(_)))
        {
            return Ok(Some(first.remove_entry()));
        }
        if self.is_round {
            return Ok(None);
        }
        match store.first_after(self.at.as_ref())? {
            Some(item) => {
                self.at = Some(item.clone());
                Ok(Some((item, Novelty::New)))
            }
            None => {
                self.is_round = true;
                Ok(self.changed.pop_first())
            }
        }
    }

    fn counter(&mut self, item: &Item) -> Option<&mut u64> {
        match item {
            Item::Verification(_) => Some(&mut self.counts.verifications),
            Item::Inbound(_) => Some(&mut self.counts.inbound),
            Item::Audit(_) => Some(&mut self.counts.audit),
            Item::Policy(_) | Item::Alert(_) | Item::Idempotency(_) | Item::Parked(_) => None,
        }
    }
}

/// The dump that is under way of a running store, if one is.
#[derive(Default)]
pub struct UnderWay {
    dump: Option<Dump>,
    /// The dump that was given up last because of its changes.
    overrun: Option<u64>,
}

/// Why a dump was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GivenUp {
    #[error(
        "more items changed during the dump than the server keeps track of: its lines are not read fast enough"
    )]
    TooManyChanges,
    #[error("another dump was begun, or the store was reopened because its disk was full")]
    Replaced,
}

/// Numbers dumps of running stores, so that one is not taken for another.
static BEGUN: AtomicU64 = AtomicU64::new(1);

impl UnderWay {
    /// Notes for the dump that is under way that a turn changes a row. Events are noted by verification, with
    /// [`UnderWay::note_change`]; here only their removal counts.
    pub fn note_row(&mut self, key: &[u8], change: RowChange) {
        let Some(item) = self.dump.is_some().then(|| item_of(key)).flatten() else { return };
        match (&item, change) {
            (Item::Verification(_), RowChange::Written) => {}
            (Item::Inbound(_) | Item::Audit(_), RowChange::Written) => self.note_change(item, Novelty::New),
            (_, RowChange::Written | RowChange::Removed) => self.note_change(item, Novelty::Known),
        }
    }

    /// Notes a change for the dump that is under way; a dump with too many changes is given up.
    pub fn note_change(&mut self, item: Item, novelty: Novelty) {
        if let Some(under_way) = &mut self.dump {
            under_way.note(item, novelty);
            if under_way.changed.len() > under_way.limits.changes {
                self.overrun = Some(under_way.number);
                self.dump = None;
            }
        }
    }

    #[cfg(test)]
    pub fn is_under_way(&self) -> bool {
        self.dump.is_some()
    }

    fn begin(&mut self, limits: Limits) -> u64 {
        let number = BEGUN.fetch_add(1, Ordering::Relaxed);
        self.dump = Some(Dump::new(number, limits));
        number
    }

    fn end(&mut self, number: u64) {
        self.dump.take_if(|dump| dump.number == number);
    }
}

/// A dump of a running store. It ends when this is dropped.
pub struct Dumping {
    store: SledStore,
    number: u64,
}

impl SledStore {
    /// Begins a dump. A dump that was begun before is given up.
    pub fn begin_dump(&self, limits: Limits) -> Reply<Dumping> {
        let (store, begun) =
            (self.clone(), self.look(move |reader| Ok(reader.memory.dumps.borrow_mut().begin(limits))));
        Box::pin(async move { Ok(Dumping { number: begun.await?, store }) })
    }
}

impl Dumping {
    /// The next part, found in one bounded visit to the store's thread.
    pub fn visit(&self) -> Reply<Result<Visited, GivenUp>> {
        let number = self.number;
        self.store.look(move |reader| {
            let UnderWay { dump: under_way, overrun } = &mut *reader.memory.dumps.borrow_mut();
            let Some(dump) = under_way.as_mut().filter(|dump| dump.number == number) else {
                let is_overrun = *overrun == Some(number);
                return Ok(Err(if is_overrun { GivenUp::TooManyChanges } else { GivenUp::Replaced }));
            };
            let visited =
                dump.visit(&Contents { table: &reader.memory.table, memory: Some(reader.memory) })?;
            if visited.end.is_some() {
                *under_way = None;
            }
            Ok(Ok(visited))
        })
    }
}

impl Drop for Dumping {
    fn drop(&mut self) {
        let number = self.number;
        // A full queue loses this; then the dump ends with the next one, or with its number of changes.
        drop(self.store.look(move |reader| {
            reader.memory.dumps.borrow_mut().end(number);
            Ok(())
        }));
    }
}

/// Writes a dump of a store that no server uses to `out`.
///
/// # Errors
/// Where the store is in use, cannot be opened, or a record cannot be read; or `out` cannot be written.
pub fn dump(path: &Path, heading: Heading, out: &mut dyn Write) -> Result<(), OpenError> {
    let (table, held) = Folder::open_existing(path, heading.key_id)?.saved()?;
    guarded(&held.path, || {
        let (mut dump, mut writer) = (Dump::new(0, Limits::default()), Writer::default());
        out.write_all(&writer.begin(heading)).map_err(Trouble::Output)?;
        loop {
            let visited = dump.visit(&Contents { table: &table, memory: None })?;
            let (is_last, mut lines) = (visited.end.is_some(), Vec::new());
            visited.write(&mut writer, &mut lines)?;
            out.write_all(&lines).map_err(Trouble::Output)?;
            if is_last {
                return Ok(());
            }
        }
    })
}

/// What a dump reads: rows, and the live verifications of a running store.
struct Contents<'a> {
    table: &'a Table,
    memory: Option<&'a Memory>,
}

impl Contents<'_> {
    fn first_after(&self, at: Option<&Item>) -> Result<Option<Item>, StoreError> {
        let after = at.map(key_of);
        let is_kind = |key: &Vec<u8>, kind: Row| key.first() == Some(&(kind as u8));
        let first = after.as_ref().and_then(|key| KINDS.iter().position(|&kind| is_kind(key, kind)));
        for &kind in &KINDS[first.unwrap_or(0)..] {
            let after = after.as_ref().filter(|key| is_kind(key, kind));
            let found = match kind {
                Row::Events => self.verification_after(at)?.map(Item::Verification),
                _other => {
                    let from = after.map_or(vec![kind as u8], |key| [&key[..], &[0]].concat());
                    let row = self.table.range(&from, &[kind as u8 + 1])?.next().transpose()?;
                    let unknown = |key: &[u8]| record::damaged(key, "its key is unknown");
                    row.map(|(key, _)| item_of(&key).ok_or_else(|| unknown(&key))).transpose()?
                }
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn verification_after(&self, at: Option<&Item>) -> Result<Option<VerificationId>, StoreError> {
        let after = match at {
            Some(&Item::Verification(id)) => Some(id),
            _other => None,
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let live = self
            .memory
            .and_then(|memory| memory.live_in_order().range((from, Bound::Unbounded)).next().copied());
        let settled = self.table.first_after(after)?;
        Ok(live.into_iter().chain(settled).min())
    }

    fn find(&self, item: &Item) -> Result<Option<Found>, StoreError> {
        if let Item::Verification(id) = item {
            if let Some(live) = self.memory.and_then(|memory| memory.live(*id)) {
                return Ok(Some(Found::Live(*id, live)));
            }
            let events = self.table.events(*id)?;
            return Ok((!events.is_empty()).then(|| Found::Line(Line::verification(*id, events))));
        }
        let key = key_of(item);
        let Some(row) = self.table.get(&key)? else { return Ok(None) };
        Ok(Some(Found::Line(match item {
            Item::Verification(_) => return Ok(None),
            Item::Policy(_) => Line::Policy(record::decode(&key, &row)?),
            Item::Inbound(_) => Line::Inbound(record::decode(&key, &row)?),
            Item::Alert(_) => Line::Alert(record::decode(&key, &row)?),
            Item::Idempotency(_) => Line::Idempotency(record::decode(&key, &row)?),
            Item::Parked(_) => Line::Parked(record::decode(&key, &row)?),
            &Item::Audit(seq) => Line::Audit { seq, link: record::decode(&key, &row)? },
        })))
    }
}

/// The key of an item's row; of a verification, what the keys of its events begin with.
fn key_of(item: &Item) -> Vec<u8> {
    match item {
        Item::Policy(hash) => keys::policy(*hash),
        Item::Verification(id) => keys::events_of(*id),
        Item::Inbound(position) => keys::inbound(*position),
        Item::Alert(position) => keys::alert(*position),
        Item::Idempotency(key) => keys::idempotency(*key),
        Item::Parked(name) => {
            keys::parked(&ChannelName::new(&name.channel), &name.provider_ref, &name.status)
        }
        Item::Audit(seq) => keys::audit(*seq),
    }
}

/// The item that a row belongs to. `None`: the row follows from others, or is about the store itself.
fn item_of(key: &[u8]) -> Option<Item> {
    let kind = KINDS.into_iter().find(|&kind| key.first() == Some(&(kind as u8)))?;
    match kind {
        Row::Policy => Some(Item::Policy(PolicyHash(keys::trailing_id(key)?))),
        Row::Events => Some(Item::Verification(keys::verification_of(key)?)),
        Row::Inbound => Some(Item::Inbound(keys::trailing_id(key)?)),
        Row::Alert => Some(Item::Alert(keys::trailing_id(key)?)),
        Row::Idempotency => Some(Item::Idempotency(keys::trailing_id(key)?)),
        Row::Parked => {
            let mut names =
                key[1..].splitn(3, |&byte| byte == 0).map(|name| String::from_utf8(name.to_vec()).ok());
            let (channel, provider_ref, status) = (names.next()??, names.next()??, names.next()??);
            Some(Item::Parked(Box::new(ParkedName { channel, provider_ref, status })))
        }
        Row::Audit => Some(Item::Audit(keys::audit_seq(key)?)),
        _other => None,
    }
}
