//! A real store that fails a few times, or counts calls.
#![allow(dead_code, reason = "each test uses its part")]

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::watch;
use twotick::store::sled::SledStore;
use twotick::store::*;
use twotick::verification::Event;
use twotick::verification::values::*;

pub struct Spy {
    store: SledStore,
    error: StoreError,
    refusals: AtomicU32,
    sweeps: AtomicU32,
}

impl Spy {
    /// Answers the first `times` calls of `execute` with `error`.
    pub fn refusing(store: SledStore, error: StoreError, times: u32) -> Self {
        Self { store, error, refusals: AtomicU32::new(times), sweeps: AtomicU32::new(0) }
    }

    pub fn counting(store: SledStore) -> Self {
        Self::refusing(store, StoreError::Busy, 0)
    }

    pub fn refusals_left(&self) -> u32 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Number of sweeps for missed dues.
    pub fn sweeps(&self) -> u32 {
        self.sweeps.load(Ordering::Relaxed)
    }
}

impl Store for Spy {
    fn execute(&self, orders: Vec<Order>) -> Reply<Vec<Answer>> {
        let refuse = |left: u32| left.checked_sub(1);
        match self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, refuse) {
            Ok(_) => Box::pin(ready(Err(self.error.clone()))),
            Err(_) => self.store.execute(orders),
        }
    }
    fn read(&self, id: VerificationId) -> Reply<Option<Arc<Snapshot>>> {
        self.store.read(id)
    }
    fn version(&self, id: VerificationId, app: &AppName) -> Reply<Option<u32>> {
        self.store.version(id, app)
    }
    fn read_at(&self, id: VerificationId, version: u32) -> Reply<Option<Arc<Snapshot>>> {
        self.store.read_at(id, version)
    }
    fn timeline(&self, id: VerificationId) -> Reply<Vec<Event>> {
        self.store.timeline(id)
    }
    fn find(&self, channel: ChannelName, provider_ref: String) -> Reply<Option<MessageId>> {
        self.store.find(channel, provider_ref)
    }
    fn list(
        &self,
        filter: Filter,
        limit: usize,
        before: Option<VerificationId>,
    ) -> Reply<Page<Arc<Snapshot>, VerificationId>> {
        self.store.list(filter, limit, before)
    }
    fn idempotency(&self, key: [u8; 16]) -> Reply<Option<Idempotency>> {
        self.store.idempotency(key)
    }
    fn person(&self, name: NumberIndex) -> Reply<Person> {
        self.store.person(name)
    }
    fn inbound(
        &self,
        app: Option<AppName>,
        from: Option<NumberIndex>,
        limit: usize,
        before: Option<LogPosition>,
    ) -> Reply<Page<Inbound, LogPosition>> {
        self.store.inbound(app, from, limit, before)
    }
    fn alerts(&self, limit: usize, before: Option<LogPosition>) -> Reply<Page<Alert, LogPosition>> {
        self.store.alerts(limit, before)
    }
    fn audit(&self, limit: usize, before: Option<u64>) -> Reply<Page<AuditRecord, u64>> {
        self.store.audit(limit, before)
    }
    fn watch(&self, id: VerificationId) -> watch::Receiver<u32> {
        self.store.watch(id)
    }
    fn sweep_missed(&self) -> Reply<usize> {
        self.sweeps.fetch_add(1, Ordering::Relaxed);
        self.store.sweep_missed()
    }
    fn sweep_old(&self, before: Retention) -> Reply<Swept> {
        self.store.sweep_old(before)
    }
    fn health(&self) -> Health {
        self.store.health()
    }
    fn size(&self) -> u64 {
        self.store.size()
    }
    fn rest(&self) -> Reply<()> {
        self.store.rest()
    }
    fn close(&self) -> Reply<()> {
        self.store.close()
    }
}
