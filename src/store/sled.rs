//! The embedded default: a log and a table in a data folder. One thread owns both and carries out turns; [`SledStore`] is
//! the handle that others hold.
//!
//! A turn is one record of the log, made durable by the syncer before anything of it is published or answered. Live
//! verifications are in memory and in the log only. The table, which is sled, gets the rows of what has settled and of
//! what is looked up, later. A checkpoint keeps the log short.

#[cfg(test)]
mod away;
#[cfg(test)]
mod bounded;
mod checkpoint;
mod codec;
#[cfg(test)]
mod damage;
mod dump;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod index;
mod kept;
mod keys;
mod live;
mod live_index;
mod loaded;
mod lock;
mod log;
mod memory;
#[cfg(test)]
mod moved;
mod offline;
mod open;
mod reader;
#[cfg(test)]
mod rebuilt;
mod record;
mod replay;
mod scratch;
mod seen;
mod settle;
mod sync;
mod syncer;
mod table;
#[cfg(test)]
mod tests;
mod verify;
mod watchers;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use futures_util::future::ready;
use tokio::sync::{mpsc, oneshot, watch};

#[cfg(test)]
pub(crate) use damage::Sled;
pub use dump::{Dumping, GivenUp, Limits as DumpLimits, Visited, dump, import};
pub use error::OpenError;
pub use loaded::{Loaded, load};
pub use log::LogLimits;
pub use offline::{Chain, Progress, Reindexed, reindex, verify_audit};
pub use open::STORE_FORMAT;
pub use scratch::{Scratch, is_in_use, is_store_file};
pub use table::TableLimits;
pub use verify::{Verified, verify};

use super::by_id::ById;
use super::engine::EngineLimits;
use super::{
    Alert, Answer, AuditRecord, Errand, Filter, Health, Idempotency, Inbound, LogPosition, Order, Page,
    Person, Policies, Reply, Retention, Snapshot, Store, StoreError, Swept,
};
use crate::clock::{Clock, Stopwatch};
use crate::verification::values::{AppName, ChannelName, MessageId, NumberIndex, Timestamp, VerificationId};
use crate::verification::{Event, Policy, PolicyHash};
use live::Live;
use reader::Reader;
use watchers::Watchers;
use writer::{Job, ReplyTo};

/// Calls that may wait for the thread. At 128 connections a turn takes them all; this is room for a burst, and more
/// than that is better told to come again.
const QUEUE: usize = 4_096;
/// Parts of the map of live verifications, so that readers and the thread seldom meet.
const SHARDS: usize = 16;
/// A turn that takes longer fails readiness.
const STUCK_AFTER: Duration = Duration::from_secs(5);
/// Rows that one visit to the thread looks at for a list: about a millisecond of its time.
const LIST_VISIT: usize = 512;
/// Overdue verifications that the sweep hands to the thread at once.
const OVERDUE_AT_ONCE: usize = 64;
/// What is due for so long was missed by the agenda, or the thread is that far behind.
const OVERDUE_AFTER: Duration = Duration::from_secs(1);
/// Visits for one page; then the page is short and its cursor goes on.
const LIST_VISITS: usize = 128;

pub struct Settings {
    /// The data folder. Created where it is missing; its parent must exist or be creatable.
    pub path: PathBuf,
    /// Messages a second that each channel may start.
    pub rates: BTreeMap<ChannelName, u32>,
    /// The vault's key id: data that was sealed under another key is not opened.
    pub key_id: [u8; 4],
    pub limits: Limits,
}

/// Sizes that a server leaves at their defaults; tests lower them, so that a few records reach them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    pub log: LogLimits,
    pub table: TableLimits,
    pub engine: EngineLimits,
}

impl Limits {
    /// A log that is checkpointed, and a sled that is opened again, every few turns.
    pub fn short_log() -> Self {
        Self {
            log: LogLimits { segment_bytes: 16 * 1024, segments: 4 },
            table: TableLimits { step_rows: 4, flushed_after: 1024, sled_log_bytes: 64 * 1024 },
            engine: EngineLimits::default(),
        }
    }
}

#[derive(Clone)]
pub struct SledStore {
    jobs: Sender<Job>,
    shared: Arc<Shared>,
    clock: Clock,
}

/// What readers see without asking the thread: durable states only.
struct Shared {
    live: [RwLock<ById<Live>>; SHARDS],
    /// Also those that turns applied which are not durable yet: nothing leads there.
    policies: RwLock<Policies>,
    watchers: Mutex<Watchers>,
    health: AtomicU8,
    size: AtomicU64,
    /// Milliseconds of `uptime` at which the turn in progress began, plus one; 0 between turns.
    turn_began: AtomicU64,
    /// The same of the sync in progress.
    sync_began: AtomicU64,
    uptime: Stopwatch,
}

/// Opens the store and starts its thread. Errands come out of the receiver once their intent is durable.
/// Blocks while the log is read (about 3 s a GB).
pub fn open(
    settings: Settings,
    clock: Clock,
) -> Result<(SledStore, mpsc::UnboundedReceiver<Errand>), OpenError> {
    load(settings)?.start(clock, |_| None)
}

impl SledStore {
    fn ask<T: Send + 'static>(&self, job: impl FnOnce(ReplyTo<T>) -> Job) -> Reply<T> {
        let (reply, answer) = oneshot::channel();
        match self.jobs.try_send(job(reply)) {
            Ok(()) => Box::pin(async { answer.await.unwrap_or(Err(StoreError::Closed)) }),
            Err(TrySendError::Full(_)) => Box::pin(ready(Err(StoreError::Busy))),
            Err(TrySendError::Disconnected(_)) => Box::pin(ready(Err(StoreError::Closed))),
        }
    }

    /// Reads on the store's thread, after the writes that wait.
    fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Reply<T> {
        self.ask(|reply| {
            Job::Read(Box::new(move |reader| {
                // The caller may have gone.
                let _ = reply.send(reader.map_or(Err(StoreError::Full), look));
            }))
        })
    }

    #[cfg(test)]
    fn lose_timers(&self) -> Reply<()> {
        self.ask(Job::LoseTimers)
    }

    /// Has sled opened again, which takes until something is received.
    #[cfg(test)]
    fn stay_away(&self, until: crossbeam_channel::Receiver<()>) {
        self.jobs.send(Job::StayAway(until)).unwrap();
    }
}

impl Store for SledStore {
    fn execute(&self, orders: Vec<Order>) -> Reply<Vec<Answer>> {
        self.ask(|reply| Job::Orders { orders, reply })
    }

    fn read(&self, id: VerificationId) -> Reply<Option<Arc<Snapshot>>> {
        match self.shared.live(id) {
            Some(live) => Box::pin(ready(live.snapshot(id, &self.shared.policies()).map(Some))),
            None => self.look(move |reader| reader.snapshot(id)),
        }
    }

    fn version(&self, id: VerificationId, app: &AppName) -> Reply<Option<u32>> {
        if let Some(live) = self.shared.live(id) {
            let version = live.head().version;
            return Box::pin(ready(live.app(id).map(|owner| (owner == app.as_str()).then_some(version))));
        }
        let app = app.clone();
        self.look(move |reader| {
            let snapshot = reader.snapshot(id)?.filter(|snapshot| snapshot.verification.request.app == app);
            Ok(snapshot.map(|snapshot| snapshot.verification.version))
        })
    }

    fn read_at(&self, id: VerificationId, version: u32) -> Reply<Option<Arc<Snapshot>>> {
        self.look(move |reader| reader.snapshot_at(id, version))
    }

    fn timeline(&self, id: VerificationId) -> Reply<Vec<Event>> {
        match self.shared.live(id) {
            Some(live) => Box::pin(ready(live.events(id))),
            None => self.look(move |reader| reader.events(id)),
        }
    }

    fn find(&self, channel: ChannelName, provider_ref: String) -> Reply<Option<MessageId>> {
        self.look(move |reader| reader.message(&channel, &provider_ref))
    }

    fn list(
        &self,
        filter: Filter,
        limit: usize,
        before: Option<VerificationId>,
    ) -> Reply<Page<Arc<Snapshot>, VerificationId>> {
        let store = self.clone();
        Box::pin(async move {
            let mut page = Page { items: Vec::new(), next: before };
            for _ in 0..LIST_VISITS {
                // One more than asked for, which tells whether there is another page.
                let (wanted, filter, from) = (limit + 1 - page.items.len(), filter.clone(), page.next);
                let visit = store.look(move |reader| reader.list(&filter, wanted, LIST_VISIT, from)).await?;
                page.items.extend(visit.items);
                page.next = visit.next;
                if page.items.len() > limit {
                    page.items.truncate(limit);
                    page.next = page.items.last().map(|last| last.verification.id());
                    break;
                }
                if page.next.is_none() {
                    break;
                }
            }
            Ok(page)
        })
    }

    fn idempotency(&self, key: [u8; 16]) -> Reply<Option<Idempotency>> {
        let now = self.clock.now();
        self.look(move |reader| reader.idempotency(key, now))
    }

    fn person(&self, name: NumberIndex) -> Reply<Person> {
        self.look(move |reader| reader.person(name))
    }

    fn inbound(
        &self,
        app: Option<AppName>,
        from: Option<NumberIndex>,
        limit: usize,
        before: Option<LogPosition>,
    ) -> Reply<Page<Inbound, LogPosition>> {
        self.look(move |reader| reader.inbound(app.as_ref(), from, limit, before))
    }

    fn alerts(&self, limit: usize, before: Option<LogPosition>) -> Reply<Page<Alert, LogPosition>> {
        self.look(move |reader| reader.alerts(limit, before))
    }

    fn audit(&self, limit: usize, before: Option<u64>) -> Reply<Page<AuditRecord, u64>> {
        self.look(move |reader| reader.audit(limit, before))
    }

    fn watch(&self, id: VerificationId) -> watch::Receiver<u32> {
        let mut watchers = self.shared.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.shared.live(id).map_or(0, |live| live.head().version);
        watchers.subscribe(id, version)
    }

    fn sweep_missed(&self) -> Reply<usize> {
        let (store, now) = (self.clone(), self.clock.now());
        Box::pin(async move {
            let shared = Arc::clone(&store.shared);
            // A million live verifications take some 50 ms to look at.
            let overdue = tokio::task::spawn_blocking(move || shared.overdue(now)).await.unwrap_or_default();
            let mut lost = 0;
            for some in overdue.chunks(OVERDUE_AT_ONCE) {
                lost += store.ask(|reply| Job::Attend { overdue: some.to_vec(), reply }).await?;
            }
            Ok(lost)
        })
    }

    fn sweep_old(&self, before: Retention) -> Reply<Swept> {
        self.ask(|reply| Job::SweepOld { before, reply })
    }

    fn health(&self) -> Health {
        let is_stuck = |began: &AtomicU64| {
            let began = began.load(Ordering::Relaxed);
            began != 0 && Duration::from_millis(self.shared.uptime_ms().saturating_sub(began)) > STUCK_AFTER
        };
        match self.shared.health.load(Ordering::Relaxed) {
            FULL => Health::Full,
            CLOSED => Health::Closed,
            _ if is_stuck(&self.shared.turn_began) || is_stuck(&self.shared.sync_began) => Health::Stuck,
            _ => Health::Ready,
        }
    }

    fn size(&self) -> u64 {
        self.shared.size.load(Ordering::Relaxed)
    }

    fn rest(&self) -> Reply<()> {
        self.ask(Job::Rest)
    }

    fn close(&self) -> Reply<()> {
        self.ask(Job::Close)
    }
}

const READY: u8 = 0;
const FULL: u8 = 1;
const CLOSED: u8 = 2;

impl Shared {
    fn new() -> Self {
        Self {
            live: Default::default(),
            policies: RwLock::default(),
            watchers: Mutex::default(),
            health: AtomicU8::new(READY),
            size: AtomicU64::new(0),
            turn_began: AtomicU64::new(0),
            sync_began: AtomicU64::new(0),
            uptime: Stopwatch::start(),
        }
    }

    fn live(&self, id: VerificationId) -> Option<Live> {
        self.live[shard_of(id)].read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn policies(&self) -> RwLockReadGuard<'_, Policies> {
        self.policies.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_policy(&self, hash: PolicyHash, policy: Arc<Policy>) {
        self.policies.write().unwrap_or_else(PoisonError::into_inner).insert(hash, policy);
    }

    /// Everything that there is, at the start and after the folder was opened again.
    fn replace_all(&self, policies: Policies, all: impl Iterator<Item = (VerificationId, Live)>) {
        *self.policies.write().unwrap_or_else(PoisonError::into_inner) = policies;
        let mut shards: [ById<Live>; SHARDS] = Default::default();
        all.for_each(|(id, live)| drop(shards[shard_of(id)].insert(id, live)));
        for (shard, found) in self.live.iter().zip(shards) {
            *shard.write().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }

    /// A durable change. `None`: it is settled.
    fn publish(&self, id: VerificationId, version: u32, live: Option<Live>) {
        {
            let mut shard = self.live[shard_of(id)].write().unwrap_or_else(PoisonError::into_inner);
            match live {
                Some(live) => shard.insert(id, live),
                None => shard.remove(&id),
            };
        }
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner).tell(id, version);
    }

    /// A checkpoint gave it rows. A verification that is not live any more stays so.
    fn save(&self, id: VerificationId, saved: Live) {
        let mut shard = self.live[shard_of(id)].write().unwrap_or_else(PoisonError::into_inner);
        if let Some(live) = shard.get_mut(&id) {
            *live = saved;
        }
    }

    /// Verifications that were due more than a second before `now`.
    fn overdue(&self, now: Timestamp) -> Vec<VerificationId> {
        let is_overdue = |live: &Live| live.head().due + OVERDUE_AFTER < now;
        let mut overdue = Vec::new();
        for shard in &self.live {
            let live = shard.read().unwrap_or_else(PoisonError::into_inner);
            overdue.extend(live.iter().filter(|(_, live)| is_overdue(live)).map(|(&id, _)| id));
        }
        overdue
    }

    fn uptime_ms(&self) -> u64 {
        u64::try_from(self.uptime.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn turn_begins(&self) {
        self.turn_began.store(self.uptime_ms() + 1, Ordering::Relaxed);
    }

    fn turn_ends(&self) {
        self.turn_began.store(0, Ordering::Relaxed);
    }

    fn sync_begins(&self) {
        self.sync_began.store(self.uptime_ms() + 1, Ordering::Relaxed);
    }

    fn sync_ends(&self) {
        self.sync_began.store(0, Ordering::Relaxed);
    }
}

/// By four random bits of its id.
fn shard_of(id: VerificationId) -> usize {
    usize::from(id.to_bytes()[15] >> 6) | usize::from(id.to_bytes()[14] & 3) << 2
}
