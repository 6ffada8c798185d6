//! Opening sled 0.34.7 as carefully as it needs: what a kill during an earlier open left behind is removed, what
//! must be on disk is synced, and nothing is ever created anew over something damaged.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::backup::Copying;
use super::chain::Head;
use super::cleaner;
use super::import;
use super::index::INDEX_VERSION;
use super::keys::{self, Row};
use super::live;
use super::offline::Trouble;
use super::platter::Platter;
use super::record::{self, damaged};
use super::waker::Waker;
use super::wal::{self, Missing};
use crate::clock::Stopwatch;
use crate::failpoint;
use crate::store::{Idempotency, Link, LogPosition, Policies, Snapshot, StoreError};
use crate::verification::values::{ChannelName, MessageId, NumberIndex, Runner, VerificationId};
use crate::verification::{Event, Policy, State};

/// The layout of rows that this version reads and writes.
const STORE_FORMAT: u32 = 2;
/// Before the journal: what it holds is valid now, too.
const FORMAT_BEFORE: u32 = 1;
/// Names that one is linked to: more than anybody has, and few enough to be looked through at once.
const MOST_LINKS: usize = 64;
/// What sled may keep of the disk in memory. Its default of 1 GiB is more than a small server has.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Below this much free room nothing is written any more: a turn's rows (at most 2 MiB) and the segments that sled
/// takes for them must fit, for sled does not take another write after one has failed.
const ROOM_NEEDED: u64 = 8 * 1024 * 1024;

/// Rows that are given to sled as one: a few milliseconds of who waits meanwhile.
const ROWS_CAUGHT_UP: usize = if cfg!(test) { 4 } else { 512 };
/// Bytes of rows after which sled is told to write: some hundred kilobytes of its log, and less than its buffer, so that
/// how long the log is stays known.
const FLUSHED_AFTER: usize = if cfg!(test) { 1024 } else { 32 * 1024 };

/// Locked as long as the folder is in use; its content is [`Disk::mark`]'s.
pub const LOCK: &str = "lock";
/// sled gives its own lock back only when the last of its threads is done, a few milliseconds after it was dropped.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);
/// A command that only asks whether the folder is in use holds the lock for some microseconds.
const LOOKED_AT_WITHIN: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{path} is in use by another process, and only one twotick may use a data folder. Stop the server first; \
         `twotick backup`, which also verifies the copy, and `twotick erase` work while it runs"
    )]
    InUse { path: PathBuf },
    #[error("{path} cannot be used: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} is full: twotick needs 8 MiB of free room to start")]
    Full { path: PathBuf },
    #[error(
        "the data in {path} is damaged and was left untouched: {reason}. Restore a backup or an export; \
         do not delete anything before a copy of the folder is safe"
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("the data in {path} has format {found}, this version of twotick reads format {STORE_FORMAT}")]
    Format { path: PathBuf, found: u32 },
    #[error(
        "the data in {path} must be read once before it can be used, because twotick finds things in it differently \
         now, or because that was interrupted: run `twotick reindex`"
    )]
    Unindexed { path: PathBuf },
    #[error("there is no data in {path}")]
    Missing { path: PathBuf },
    #[error("what is read out cannot be written: {0}")]
    Output(io::Error),
    #[error("{reason}")]
    Input { reason: String },
    #[error("an import into {path} was not finished: run it again with the same file")]
    HalfImported { path: PathBuf },
    #[error("the data in {path} was written under another master key: check [keys] master")]
    OtherKey { path: PathBuf },
}

impl OpenError {
    /// The same error of the data in `path`.
    pub fn of(self, path: &Path) -> Self {
        let path = path.to_owned();
        match self {
            Self::InUse { .. } => Self::InUse { path },
            Self::Io { source, .. } => Self::Io { path, source },
            Self::Full { .. } => Self::Full { path },
            Self::Damaged { reason, .. } => Self::Damaged { path, reason },
            Self::Format { found, .. } => Self::Format { path, found },
            Self::Unindexed { .. } => Self::Unindexed { path },
            Self::Missing { .. } => Self::Missing { path },
            Self::HalfImported { .. } => Self::HalfImported { path },
            Self::OtherKey { .. } => Self::OtherKey { path },
            Self::Output(source) => Self::Output(source),
            Self::Input { reason } => Self::Input { reason },
        }
    }
}

/// sled, with the descriptor by which its file is synced.
///
/// sled takes a part of its log that it cannot read for a write that a crash cut short, and goes on without it and
/// all that came after. So the batches are counted, in a row and, once they are durable, outside of sled: a database
/// that knows of fewer than that has lost some.
pub struct Disk {
    waker: Waker,
    db: ::sled::Db,
    path: PathBuf,
    batches: Cell<u64>,
    /// Bytes that sled has added to its log since it was opened.
    logged: Cell<u64>,
    /// Bytes of rows that it was given since the last flush.
    unflushed: Cell<usize>,
    platter: Platter,
    /// The copy that is being taken, if one is.
    pub copying: RefCell<Option<Copying>>,
}

/// Why a batch did not become durable.
pub enum WriteError {
    /// No room. What was written of the batch may or may not count.
    Full,
    /// The disk did not do what it was asked. Nothing is known any more.
    Failed(String),
}

impl Disk {
    /// For a server: made where it is missing.
    pub fn open(path: &Path, key_id: [u8; 4]) -> Result<Self, OpenError> {
        Self::open_unindexed(path, key_id)?.for_serving()
    }

    /// Once more, by who has never let go of `lock`, which [`Platter`] gave. Also where room is short by now, because
    /// what is open can be read.
    pub fn open_again(path: &Path, key_id: [u8; 4], lock: Arc<File>) -> Result<Self, OpenError> {
        remove_unfinished_snapshots(path)
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Self::open_whole(path, key_id, lock)?.for_serving()
    }

    /// Once more, while turns go on in the write-ahead log. It must hold `batches` batches.
    pub fn open_beside_turns(
        path: &Path,
        key_id: [u8; 4],
        lock: Arc<File>,
        batches: u64,
    ) -> Result<Self, OpenError> {
        let disk = Self::open_locked(path, key_id, lock)?;
        disk.expect_batches(disk.batches(), batches)?;
        disk.for_serving()
    }

    fn for_serving(self) -> Result<Self, OpenError> {
        let disk = self;
        let path = &disk.path;
        if import::is_half_done(&disk).map_err(|error| disk.unreadable(&error))? {
            return Err(OpenError::HalfImported { path: path.clone() });
        }
        let version = disk
            .get(&keys::INDEX)
            .and_then(|row| row.map(|row| record::decode::<u32>(&keys::INDEX, &row)).transpose());
        match version.map_err(|error| disk.unreadable(&error))? {
            Some(INDEX_VERSION) => Ok(disk),
            Some(_) | None => Err(OpenError::Unindexed { path: path.clone() }),
        }
    }

    /// For what is done while no server runs; whether its derived rows are whole is no matter.
    pub fn open_existing(path: &Path, key_id: [u8; 4]) -> Result<Self, OpenError> {
        if path.join("db").exists() {
            Self::open_unindexed(path, key_id)
        } else {
            Err(OpenError::Missing { path: path.to_owned() })
        }
    }

    /// To read an export into: made where it is missing.
    pub fn open_for_import(path: &Path, key_id: [u8; 4]) -> Result<Self, OpenError> {
        Self::open_unindexed(path, key_id)
    }

    /// Whether nothing was ever kept in it: there are only the rows of its beginning.
    pub fn is_unused(&self) -> Result<bool, StoreError> {
        let mut rows = self.range(Vec::new(), vec![0xff]);
        rows.try_fold(true, |unused, row| Ok(unused && row?.0.first() == Some(&(Row::Meta as u8))))
    }

    fn open_unindexed(path: &Path, key_id: [u8; 4]) -> Result<Self, OpenError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        let lock = lock(path)?;
        failpoint::reach("open.locked");
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        remove_unfinished_snapshots(path).map_err(io)?;
        if free_room(path).map_err(io)? < ROOM_NEEDED {
            return Err(OpenError::Full { path: path.to_owned() });
        }
        Self::open_whole(path, key_id, Arc::new(lock))
    }

    /// With everything that is durable.
    fn open_whole(path: &Path, key_id: [u8; 4], lock: Arc<File>) -> Result<Self, OpenError> {
        let disk = Self::open_locked(path, key_id, lock)?;
        disk.take_over_wal()?;
        disk.adopt()?;
        failpoint::reach("open.done");
        Ok(disk)
    }

    fn open_locked(path: &Path, key_id: [u8; 4], lock: Arc<File>) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let (config, db) = open_sled_once_it_is_free(path)?;
        failpoint::reach("open.read");
        let waker = Waker::start(config.clone(), db.clone()).map_err(io)?;
        let file = File::open(path.join("db")).map_err(io)?;
        let folder_of_folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        for synced in [&path.join("conf"), path, folder_of_folder.unwrap_or(Path::new("."))] {
            File::open(synced).and_then(|file| file.sync_all()).map_err(io)?;
        }
        let platter = Platter::new(Arc::new(file), lock, config);
        let disk = Self {
            waker,
            db,
            path: path.to_owned(),
            batches: Cell::new(0),
            logged: Cell::new(0),
            unflushed: Cell::new(0),
            platter,
            copying: RefCell::default(),
        };
        failpoint::reach("open.synced");
        disk.check_format(key_id)?;
        Ok(disk)
    }

    /// sled panics on some kinds of damage where others are errors.
    pub fn guarded<T>(&self, work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, OpenError> {
        match std::panic::catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Trouble::Unreadable(StoreError::Full)))
            | Ok(Err(Trouble::Unwritable(WriteError::Full))) => {
                Err(OpenError::Full { path: self.path.clone() })
            }
            Ok(Err(Trouble::Unreadable(error))) => Err(self.unreadable(&error)),
            Ok(Err(Trouble::Unwritable(WriteError::Failed(reason)))) => {
                Err(OpenError::Io { path: self.path.clone(), source: io::Error::other(reason) })
            }
            Ok(Err(Trouble::Output(source))) => Err(OpenError::Output(source)),
            Ok(Err(Trouble::Input(reason))) => Err(OpenError::Input { reason }),
            Err(_) => Err(senseless(&self.path)),
        }
    }

    /// Bytes of sled's file, which holds all but a few pages of notes.
    pub fn size(&self) -> u64 {
        self.platter.size()
    }

    /// Makes `batch`, of `rows` rows, survive the loss of power.
    pub fn write(&self, batch: ::sled::Batch, rows: usize) -> Result<(), WriteError> {
        self.hand_over(batch, rows)?;
        self.platter.sync(self.batches())
    }

    /// Gives `batch`, of `rows` rows, to the kernel, as one: durable once the [`Platter`] has synced the number that
    /// [`Disk::batches`] gives then.
    pub fn hand_over(&self, batch: ::sled::Batch, rows: usize) -> Result<(), WriteError> {
        self.apply(self.next_batch(), batch, rows, cleaner::pages_after(rows))?;
        self.flush()
    }

    /// The first few of these, as one; they are no longer missing then. The kernel has them after [`Disk::flush`].
    pub fn catch_up(&self, missing: &mut VecDeque<Missing>) -> Result<(), WriteError> {
        let (mut batch, mut rows, mut bytes, mut batches, mut pages) = (::sled::Batch::default(), 0, 0, 0, 0);
        while rows < ROWS_CAUGHT_UP
            && let Some(next) = missing.get(batches)
        {
            next.rows.add_to(&mut batch);
            rows += next.rows.len();
            bytes += next.rows.bytes();
            pages += cleaner::pages_after(next.rows.len());
            batches += 1;
        }
        if batches == 0 {
            return Ok(());
        }
        self.apply(self.batches() + batches as u64, batch, rows, pages)?;
        missing.drain(..batches);
        self.unflushed.set(self.unflushed.get() + bytes);
        if self.unflushed.get() > FLUSHED_AFTER { self.flush() } else { Ok(()) }
    }

    /// As batch `number`, which stands for those before it as well; `pages` are moved because of it.
    fn apply(
        &self,
        number: u64,
        mut batch: ::sled::Batch,
        rows: usize,
        pages: usize,
    ) -> Result<(), WriteError> {
        let row = record::encode(&keys::BATCHES, &number);
        batch.insert(&keys::BATCHES, row.map_err(|error| WriteError::Failed(error.to_string()))?);
        failpoint::reach("commit.begins");
        let applied = self.waker.watch(|| {
            self.db.apply_batch(batch)?;
            failpoint::reach("commit.applied");
            cleaner::clean(&self.db, pages)
        });
        applied.map_err(write_error)?;
        free_what_was_replaced(rows);
        self.batches.set(number);
        Ok(())
    }

    /// Gives the kernel everything that it does not have yet.
    pub fn flush(&self) -> Result<(), WriteError> {
        let logged = self.waker.watch(|| self.db.flush()).map_err(write_error)?;
        self.logged.set(self.logged.get() + logged as u64);
        self.unflushed.set(0);
        failpoint::reach("commit.after");
        Ok(())
    }

    /// About how many bytes sled has added to its log since it was opened, which the next opening reads: what it wrote by
    /// itself between two flushes is not counted.
    pub fn logged(&self) -> u64 {
        self.logged.get()
    }

    /// How many batches it was given since the store was made.
    pub fn batches(&self) -> u64 {
        self.batches.get()
    }

    /// The number of the next batch.
    pub fn next_batch(&self) -> u64 {
        self.batches.get() + 1
    }

    pub fn platter(&self) -> Platter {
        self.platter.clone()
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<::sled::IVec>, StoreError> {
        self.db.get(key).map_err(|error| read_error(key, &error))
    }

    /// Rows whose keys begin with `prefix`, both ends open to iteration.
    pub fn scan(
        &self,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(::sled::IVec, ::sled::IVec), StoreError>> + use<> {
        let place = prefix.to_vec();
        self.db.scan_prefix(prefix).map(move |row| row.map_err(|error| read_error(&place, &error)))
    }

    /// Rows from `from` up to, not including, `until`.
    pub fn range(
        &self,
        from: Vec<u8>,
        until: Vec<u8>,
    ) -> impl DoubleEndedIterator<Item = Result<(::sled::IVec, ::sled::IVec), StoreError>> + use<> {
        let place = from.clone();
        self.db.range(from..until).map(move |row| row.map_err(|error| read_error(&place, &error)))
    }

    /// The other names that one is linked to, each once however often it was taught.
    pub fn links(&self, name: NumberIndex) -> Result<Vec<Link>, StoreError> {
        let (mut links, mut from) = (Vec::new(), keys::aliases_of(name));
        let until = [&from[..], &[0xff; 33]].concat();
        while links.len() < MOST_LINKS
            && let Some(row) = self.range(from, until.clone()).next()
        {
            let (key, row) = row?;
            let to = keys::aliased(&key)?;
            links.push(Link { to, tail: record::decode_small(&key, &row)? });
            from = keys::alias(name, to, [0xff; 16]);
            from.push(0);
        }
        Ok(links)
    }

    /// Where an inbound message stands that a provider calls so.
    pub fn inbound_by_ref(&self, key: &[u8]) -> Result<Option<LogPosition>, StoreError> {
        let Some(row) = self.get(key)? else { return Ok(None) };
        let position = record::decode_compact(key, &row)?.try_into();
        position.map(Some).map_err(|_| record::damaged(key, "it is no position"))
    }

    /// Everything that happened to a verification, in order.
    pub fn events(&self, id: VerificationId) -> Result<Vec<Event>, StoreError> {
        let mut events = Vec::new();
        for row in self.scan(&keys::events_of(id)) {
            let (key, value) = row?;
            let first = key.get(17..).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
            if first != u32::try_from(events.len()).ok().map(|count| count + 1) {
                return Err(damaged(&key, "events before it are missing"));
            }
            events.extend(record::decode_events(&key, &value)?);
        }
        Ok(events)
    }

    /// Which message a provider calls so.
    pub fn message(
        &self,
        channel: &ChannelName,
        provider_ref: &str,
    ) -> Result<Option<MessageId>, StoreError> {
        let key = keys::provider_ref(channel, provider_ref);
        self.get(&key)?.map(|value| record::decode_small(&key, &value)).transpose()
    }

    /// The memory of an idempotency key, however old.
    pub fn idempotency(&self, key: [u8; 16]) -> Result<Option<Idempotency>, StoreError> {
        let key = keys::idempotency(key);
        self.get(&key)?.map(|value| record::decode(&key, &value)).transpose()
    }

    /// The fold of the first `version` events, with the policy that was applied.
    pub fn snapshot(
        &self,
        id: VerificationId,
        version: u32,
        policies: &Policies,
    ) -> Result<Option<Arc<Snapshot>>, StoreError> {
        let events = self.events(id)?;
        let versions = usize::try_from(version).unwrap_or(usize::MAX).min(events.len());
        if versions == 0 {
            return Ok(None);
        }
        live::snapshot(id, State::fold(&events[..versions]), policies).map(Some)
    }

    /// The verification after this one in order of time, or the first of all.
    pub fn first_after(&self, before: Option<VerificationId>) -> Result<Option<VerificationId>, StoreError> {
        let from = match before {
            Some(id) => keys::events(id, u32::MAX),
            None => vec![Row::Events as u8],
        };
        match self.range(from, vec![Row::Events as u8 + 1]).next() {
            Some(row) => Ok(keys::verification_of(&row?.0)),
            None => Ok(None),
        }
    }

    /// The last verification in order of time.
    pub fn newest(&self) -> Result<Option<VerificationId>, StoreError> {
        match self.scan(&[Row::Events as u8]).next_back() {
            Some(row) => Ok(keys::verification_of(&row?.0)),
            None => Ok(None),
        }
    }

    pub fn policies(&self) -> Result<Policies, StoreError> {
        let mut policies = BTreeMap::new();
        for row in self.scan(&[Row::Policy as u8]) {
            let (key, value) = row?;
            let policy: Policy = record::decode(&key, &value)?;
            policies.insert(policy.hash(), Arc::new(policy));
        }
        Ok(policies)
    }

    /// The end of the audit log, without a look at the log: one that is damaged is the auditor's to find.
    pub fn audit_head(&self) -> Result<Head, StoreError> {
        let row = self.get(&keys::AUDIT_HEAD)?;
        row.map_or(Ok(Head::default()), |row| record::decode(&keys::AUDIT_HEAD, &row))
    }

    /// What the oldest record of the audit log follows.
    pub fn audit_anchor(&self) -> Result<Head, StoreError> {
        let row = self.get(&keys::AUDIT_ANCHOR)?;
        row.map_or(Ok(Head::default()), |row| record::decode(&keys::AUDIT_ANCHOR, &row))
    }

    fn check_format(&self, key_id: [u8; 4]) -> Result<(), OpenError> {
        match self.format()? {
            None if self.db.is_empty() && self.platter.marked(&self.path)?.is_none() => self.begin(key_id),
            None => Err(self.unreadable(&damaged(&keys::FORMAT, "the format of the store is missing"))),
            Some(found) => {
                let key = self
                    .get(&keys::KEY_ID)
                    .map_err(|error| self.unreadable(&error))?
                    .ok_or_else(|| damaged(&keys::KEY_ID, "the name of its master key is missing"))
                    .and_then(|value| record::decode::<[u8; 4]>(&keys::KEY_ID, &value))
                    .map_err(|error| self.unreadable(&error))?;
                let path = self.path.clone();
                if !matches!(found, FORMAT_BEFORE | STORE_FORMAT) {
                    return Err(OpenError::Format { path, found });
                }
                if key != key_id {
                    return Err(OpenError::OtherKey { path });
                }
                self.count_batches()
            }
        }
    }

    fn begin(&self, key_id: [u8; 4]) -> Result<(), OpenError> {
        let mut facts = ::sled::Batch::default();
        for (key, row) in [
            (keys::FORMAT, record::encode(&keys::FORMAT, &STORE_FORMAT)),
            (keys::KEY_ID, record::encode(&keys::KEY_ID, &key_id)),
            (keys::INDEX, record::encode(&keys::INDEX, &INDEX_VERSION)),
        ] {
            facts.insert(&key, row.map_err(|error| self.unreadable(&error))?);
        }
        self.note(facts, 3)
    }

    /// What the format before wrote is valid in this one.
    fn adopt(&self) -> Result<(), OpenError> {
        if self.format()? != Some(FORMAT_BEFORE) {
            return Ok(());
        }
        let mut facts = ::sled::Batch::default();
        let row = record::encode(&keys::FORMAT, &STORE_FORMAT).map_err(|error| self.unreadable(&error))?;
        facts.insert(&keys::FORMAT, row);
        self.note(facts, 1)
    }

    /// Notes facts about the store itself, as many as there are in `facts`.
    fn note(&self, facts: ::sled::Batch, count: usize) -> Result<(), OpenError> {
        self.write(facts, count).map_err(|error| self.unwritable(error))
    }

    /// The runner that this process is: its epoch is one more than that of the process before, and durable.
    pub fn next_runner(&self) -> Result<Runner, OpenError> {
        let row = self.get(&keys::EPOCH);
        let last =
            row.and_then(|row| row.map(|row| record::decode::<Runner>(&keys::EPOCH, &row)).transpose());
        let Runner(last) = last.map_err(|error| self.unreadable(&error))?.unwrap_or(Runner(0));
        let runner = Runner(last.saturating_add(1));
        let mut facts = ::sled::Batch::default();
        let row = record::encode(&keys::EPOCH, &runner).map_err(|error| self.unreadable(&error))?;
        facts.insert(&keys::EPOCH, row);
        self.note(facts, 1)?;
        Ok(runner)
    }

    fn format(&self) -> Result<Option<u32>, OpenError> {
        let row = self.get(&keys::FORMAT);
        let format = row.and_then(|row| row.map(|row| record::decode(&keys::FORMAT, &row)).transpose());
        format.map_err(|error| self.unreadable(&error))
    }

    fn count_batches(&self) -> Result<(), OpenError> {
        let row = self
            .get(&keys::BATCHES)
            .and_then(|row| row.ok_or_else(|| damaged(&keys::BATCHES, "the count of batches is missing")));
        let batches = row.and_then(|row| record::decode(&keys::BATCHES, &row));
        self.batches.set(batches.map_err(|error| self.unreadable(&error))?);
        Ok(())
    }

    /// Gives sled what the process before left in the write-ahead log. Nothing is touched where batches that were durable
    /// are neither here nor there.
    fn take_over_wal(&self) -> Result<(), OpenError> {
        let io = |source| OpenError::Io { path: self.path.clone(), source };
        let mut missing = VecDeque::from(wal::read(&self.path, self.batches()).map_err(io)?);
        let there = missing.back().map_or(self.batches(), |newest| newest.batch);
        self.expect_batches(there, self.platter.marked(&self.path)?.unwrap_or(0))?;
        while !missing.is_empty() {
            self.catch_up(&mut missing).map_err(|error| self.unwritable(error))?;
            failpoint::reach("open.caught_up");
        }
        self.settle().map_err(|error| self.unwritable(error))
    }

    /// Makes everything that it was given survive the loss of power.
    pub fn settle(&self) -> Result<(), WriteError> {
        self.flush()?;
        self.platter.sync(self.batches())
    }

    /// `batches` are there, and at least `durable` must be.
    fn expect_batches(&self, batches: u64, durable: u64) -> Result<(), OpenError> {
        if batches < durable {
            let reason = format!("of {durable} batches that were durable only {batches} are there");
            return Err(OpenError::Damaged { path: self.path.clone(), reason });
        }
        Ok(())
    }

    pub fn unwritable(&self, error: WriteError) -> OpenError {
        match error {
            WriteError::Full => OpenError::Full { path: self.path.clone() },
            WriteError::Failed(reason) => {
                OpenError::Io { path: self.path.clone(), source: io::Error::other(reason) }
            }
        }
    }

    fn unreadable(&self, error: &StoreError) -> OpenError {
        OpenError::Damaged { path: self.path.clone(), reason: error.to_string() }
    }
}

/// A kill while sled writes its snapshot leaves one that it would take for whole and then refuse to open.
fn remove_unfinished_snapshots(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Nobody else has the folder, so where sled finds it locked the one before, of this process, is still letting go.
pub fn open_sled_once_it_is_free(path: &Path) -> Result<(::sled::Config, ::sled::Db), OpenError> {
    let waiting = Stopwatch::start();
    loop {
        match open_sled(path) {
            Err(OpenError::InUse { .. }) if waiting.elapsed() < LET_GO_WITHIN => {
                std::thread::sleep(Duration::from_millis(2));
            }
            opened => return opened,
        }
    }
}

fn open_sled(path: &Path) -> Result<(::sled::Config, ::sled::Db), OpenError> {
    let config = ::sled::Config::new()
        .path(path)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None)
        .use_compression(false);
    // sled panics on some kinds of damage where others are errors.
    match std::panic::catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(db)) => Ok((config, db)),
        Ok(Err(::sled::Error::Io(error))) => Err(match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::InUse { path: path.to_owned() },
            // sled wraps the refusal of its lock in an error of its own making.
            io::ErrorKind::Other if error.to_string().contains("lock") => {
                OpenError::InUse { path: path.to_owned() }
            }
            io::ErrorKind::StorageFull => OpenError::Full { path: path.to_owned() },
            _ => OpenError::Io { path: path.to_owned(), source: error },
        }),
        Ok(Err(error)) => Err(OpenError::Damaged { path: path.to_owned(), reason: error.to_string() }),
        Err(_) => Err(senseless(path)),
    }
}

fn senseless(path: &Path) -> OpenError {
    let reason = "sled could not make sense of its own files".to_owned();
    OpenError::Damaged { path: path.to_owned(), reason }
}

/// Held as long as the folder is in use, and before anything in it is touched: sled has a lock of its own, but takes
/// it after unfinished snapshots must be gone, and one that another process is just writing must stay.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK));
    let file = file.map_err(|source| match source.kind() {
        io::ErrorKind::StorageFull => OpenError::Full { path: path.to_owned() },
        _ => OpenError::Io { path: path.to_owned(), source },
    })?;
    let waiting = Stopwatch::start();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if waiting.elapsed() < LOOKED_AT_WITHIN => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(OpenError::Io { path: path.to_owned(), source }),
        }
    }
}

/// Whether the disk of `path` has room for a turn.
pub fn has_room(path: &Path) -> bool {
    free_room(path).is_ok_and(|room| {
        metrics::gauge!("twotick_disk_free_bytes").set(room as f64);
        room >= ROOM_NEEDED
    })
}

/// Room on the disk of `path` for who is not root, in bytes.
pub fn free_room(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// sled leaves the pages that a batch replaced, about two a row, and those that a scan pushed out of its cache to
/// crossbeam's collector. That looks at some of its bags, each of 64, once in 128 pins; but a whole batch is one pin,
/// so left alone they would grow without bound.
pub fn free_what_was_replaced(rows: usize) {
    // One look is for 8 bags, and frees what was left two looks ago.
    for _ in 0..1 + rows / 128 {
        crossbeam_epoch::pin().flush();
    }
}

pub fn write_error(error: ::sled::Error) -> WriteError {
    if is_out_of_room(&error) { WriteError::Full } else { WriteError::Failed(format!("sled: {error}")) }
}

/// After a write that found no room sled answers every call with that, until it is opened anew.
fn read_error(key: &[u8], error: &::sled::Error) -> StoreError {
    if is_out_of_room(error) { StoreError::Full } else { damaged(key, &format!("sled: {error}")) }
}

fn is_out_of_room(error: &::sled::Error) -> bool {
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    matches!(error, ::sled::Error::Io(error) if kinds.contains(&error.kind()))
}
