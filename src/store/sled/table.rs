//! The table of rows: sled, and over it the rows that it was not given yet. sled gets the rows of durable turns only,
//! later and in bounded steps; until then they are found here. While sled is closed and opened again, a look-up that needs
//! it answers [`Absent::Away`]. Nothing in here knows what the rows mean, but for the one that counts the turns.

mod cleaner;
pub mod disk;
mod rows;
mod waker;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::thread;

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use sled::{Batch, IVec};

use super::error::{OpenError, WriteError};
use super::{keys, record};
use crate::clock::Stopwatch;
use crate::failpoint;
use crate::store::StoreError;
pub use disk::{Disk, Entry};
pub use rows::Rows;

/// How far sled may be behind, in bytes of rows, before turns wait for it: more than comes while it is opened again.
const MOST_QUEUED_BYTES: usize = 16 * 1024 * 1024;
/// Queued rows that are worth a step by themselves: given together they cost less.
const WORTH_A_STEP: usize = 128;
/// Priority of the thread that opens sled again: about a third of a processor where others compete for it.
const NICE: i32 = 5;

/// Sizes of the table's steps, which tests lower.
#[derive(Clone, Copy, Debug)]
pub struct TableLimits {
    /// Rows that sled is given at once: a millisecond or two.
    pub step_rows: usize,
    /// Bytes of rows after which sled is told to write: less than its buffer, so that the length of its log is known.
    pub flushed_after: usize,
    /// Bytes of sled's log beyond which it is opened again, so that it writes its snapshot: the next start reads no more.
    pub sled_log_bytes: u64,
}

impl Default for TableLimits {
    fn default() -> Self {
        Self { step_rows: 128, flushed_after: 32 * 1024, sled_log_bytes: 128 * 1024 * 1024 }
    }
}

/// Why a look-up has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// sled is being opened again: ask again when it is back.
    Away,
    Failed(StoreError),
}

impl From<StoreError> for Absent {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<Absent> for StoreError {
    fn from(absent: Absent) -> Self {
        match absent {
            Absent::Away => Self::Busy,
            Absent::Failed(error) => error,
        }
    }
}

pub struct Table {
    place: Place,
    limits: TableLimits,
    /// The newest row of each key that sled does not have yet.
    overlay: BTreeMap<IVec, Overlaid>,
    /// In the order in which they were decided.
    queue: VecDeque<Queued>,
    queued_rows: usize,
    queued_bytes: usize,
    /// The last turn whose rows sled has.
    applied: u64,
}

enum Place {
    Open(Box<Disk>),
    Away(Reopening),
}

struct Reopening {
    opening: Receiver<Result<Disk, OpenError>>,
    took: Stopwatch,
    log_bytes: u64,
}

struct Overlaid {
    turn: u64,
    row: Option<IVec>,
}

struct Queued {
    turn: u64,
    rows: Rows,
}

impl Table {
    /// `applied` is the turn that the row [`keys::TURN`] names.
    pub fn new(disk: Disk, applied: u64, limits: TableLimits) -> Self {
        Self {
            place: Place::Open(Box::new(disk)),
            limits,
            overlay: BTreeMap::new(),
            queue: VecDeque::new(),
            queued_rows: 0,
            queued_bytes: 0,
            applied,
        }
    }

    pub fn disk(&self) -> Option<&Disk> {
        match &self.place {
            Place::Open(disk) => Some(disk),
            Place::Away(_) => None,
        }
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<IVec>, Absent> {
        if let Some(overlaid) = self.overlay.get(key) {
            return Ok(overlaid.row.clone());
        }
        let disk = self.disk().ok_or(Absent::Away)?;
        Ok(disk.get(key)?)
    }

    /// Rows from `from` up to, not including, `until`, in order.
    pub fn range<'a>(
        &'a self,
        from: &[u8],
        until: &[u8],
    ) -> Result<impl Iterator<Item = Result<Entry, StoreError>> + use<'a>, Absent> {
        let disk = self.disk().ok_or(Absent::Away)?;
        let below = |one: &IVec, other: &IVec| one <= other;
        Ok(Merged::new(disk.range(from, until), self.overlaid(from, until), below))
    }

    /// Rows from before `until` down to `from`, in backward order.
    pub fn range_back<'a>(
        &'a self,
        from: &[u8],
        until: &[u8],
    ) -> Result<impl Iterator<Item = Result<Entry, StoreError>> + use<'a>, Absent> {
        let disk = self.disk().ok_or(Absent::Away)?;
        let above = |one: &IVec, other: &IVec| one >= other;
        Ok(Merged::new(disk.range(from, until).rev(), self.overlaid(from, until).rev(), above))
    }

    /// Rows whose keys begin with `prefix`, in order.
    pub fn scan<'a>(
        &'a self,
        prefix: &[u8],
    ) -> Result<impl Iterator<Item = Result<Entry, StoreError>> + use<'a>, Absent> {
        self.range(prefix, &end_of(prefix))
    }

    fn overlaid<'a>(
        &'a self,
        from: &[u8],
        until: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&'a IVec, &'a Overlaid)> + use<'a> {
        let is_range = from < until;
        let bounds = (Bound::Included(from), Bound::Excluded(until));
        is_range.then(|| self.overlay.range::<[u8], _>(bounds)).into_iter().flatten()
    }

    /// Rows of turn `turn`, which is not before any that was put so far.
    pub fn put(&mut self, turn: u64, rows: Rows) {
        if rows.is_empty() {
            return;
        }
        for (key, row) in rows.iter() {
            self.overlay.insert(key.clone(), Overlaid { turn, row: row.clone() });
        }
        self.queued_rows += rows.len();
        self.queued_bytes += rows.bytes();
        match self.queue.back_mut() {
            Some(last) if last.turn == turn => last.rows.append(rows),
            Some(_) | None => self.queue.push_back(Queued { turn, rows }),
        }
    }

    /// The last turn whose rows sled has. Turns without rows count with the next that has some.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Whether sled has all rows.
    pub fn is_caught_up(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether rows of turns up to `turn` wait for sled.
    pub fn has_queued(&self, turn: u64) -> bool {
        self.queue.front().is_some_and(|queued| queued.turn <= turn)
    }

    /// Whether turns have to wait for sled.
    pub fn is_far_behind(&self) -> bool {
        self.queued_bytes >= MOST_QUEUED_BYTES
    }

    /// Whether the queued rows are worth a step by themselves.
    pub fn is_behind(&self) -> bool {
        self.queued_rows >= WORTH_A_STEP
    }

    /// Whether sled can be given rows of turns up to `durable`.
    pub fn can_step(&self, durable: u64) -> bool {
        matches!(self.place, Place::Open(_))
            && self.queue.front().is_some_and(|queued| queued.turn <= durable)
    }

    /// Gives sled some of the rows of turns up to `durable`, if it is open.
    pub fn step(&mut self, durable: u64) -> Result<(), WriteError> {
        let Place::Open(disk) = &self.place else { return Ok(()) };
        let (mut batch, mut rows, mut bytes, mut count, mut turn) = (Batch::default(), 0, 0, 0, self.applied);
        while rows < self.limits.step_rows
            && let Some(queued) = self.queue.get(count).filter(|queued| queued.turn <= durable)
        {
            queued.rows.add_to(&mut batch);
            rows += queued.rows.len();
            bytes += queued.rows.bytes();
            turn = queued.turn;
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        let row =
            record::encode(&keys::TURN, &turn).map_err(|error| WriteError::Failed(error.to_string()))?;
        batch.insert(&keys::TURN, row);
        disk.apply(batch, rows + 1, bytes)?;
        if disk.unflushed() > self.limits.flushed_after {
            disk.flush()?;
        }
        self.applied = turn;
        for queued in self.queue.drain(..count) {
            for (key, _) in queued.rows.iter() {
                if self.overlay.get(key).is_some_and(|overlaid| overlaid.turn == queued.turn) {
                    self.overlay.remove(key);
                }
            }
        }
        (self.queued_rows, self.queued_bytes) = (self.queued_rows - rows, self.queued_bytes - bytes);
        failpoint::reach("table.stepped");
        Ok(())
    }

    /// Gives sled every row and makes them durable. For a store that no server uses, and at the end of one.
    pub fn settle(&mut self) -> Result<(), WriteError> {
        while !self.queue.is_empty() {
            self.step(u64::MAX)?;
        }
        match self.disk() {
            Some(disk) => disk.settle(),
            None => Ok(()),
        }
    }

    /// Whether sled's log has more than one part in `share` of the bytes that it may have.
    pub fn has_long_log(&self, share: u64) -> bool {
        self.disk().is_some_and(|disk| disk.logged() > self.limits.sled_log_bytes / share)
    }

    /// Has a thread of its own close sled and open it again, by `open`.
    pub fn reopen(
        &mut self,
        open: impl FnOnce() -> Result<Disk, OpenError> + Send + 'static,
    ) -> std::io::Result<()> {
        let Place::Open(disk) = &self.place else { return Ok(()) };
        let (done, opening) = bounded(1);
        let reopening = Reopening { opening, took: Stopwatch::start(), log_bytes: disk.logged() };
        let Place::Open(disk) = std::mem::replace(&mut self.place, Place::Away(reopening)) else {
            return Ok(());
        };
        let reopen = move || {
            // Of this thread alone. Where it is not allowed, the others wait a little longer.
            let _ = rustix::process::setpriority_process(None, NICE);
            let flushed = disk.flush().map_err(|error| error.opening(disk.path()));
            drop(disk);
            failpoint::reach("shorten.closed");
            let opened = flushed.and_then(|()| open());
            failpoint::reach("shorten.opened");
            // Nobody receives it if the process ends.
            let _ = done.send(opened);
        };
        thread::Builder::new().name("store-opener".to_owned()).spawn(reopen).map(drop)
    }

    /// Delivers something once sled is open again; `None` if it is open.
    pub fn opening(&self) -> Option<&Receiver<Result<Disk, OpenError>>> {
        match &self.place {
            Place::Open(_) => None,
            Place::Away(reopening) => Some(&reopening.opening),
        }
    }

    /// Takes sled back if it is open again: how long that took and how long its log was.
    pub fn come_back(&mut self) -> Result<Option<(Stopwatch, u64)>, OpenError> {
        match self.opening().map(Receiver::try_recv) {
            None | Some(Err(TryRecvError::Empty)) => Ok(None),
            Some(Err(TryRecvError::Disconnected)) => Err(opener_is_gone()),
            Some(Ok(opened)) => Ok(self.back(opened?)),
        }
    }

    /// Waits until sled is open.
    pub fn wait(&mut self) -> Result<Option<(Stopwatch, u64)>, OpenError> {
        match self.opening().map(Receiver::recv) {
            None => Ok(None),
            Some(Err(_)) => Err(opener_is_gone()),
            Some(Ok(opened)) => Ok(self.back(opened?)),
        }
    }

    fn back(&mut self, disk: Disk) -> Option<(Stopwatch, u64)> {
        match std::mem::replace(&mut self.place, Place::Open(Box::new(disk))) {
            Place::Away(Reopening { took, log_bytes, .. }) => Some((took, log_bytes)),
            Place::Open(_) => None,
        }
    }
}

fn opener_is_gone() -> OpenError {
    OpenError::Input { reason: "the thread that opens sled is gone".to_owned() }
}

/// The first key behind all that begin with `prefix`.
pub fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![u8::MAX; prefix.len() + 1]
}

/// sled's rows and those over it, as one.
struct Merged<D: Iterator, O: Iterator> {
    disk: std::iter::Peekable<D>,
    overlay: std::iter::Peekable<O>,
    /// Whether the first key comes no later than the second in the order of the walk.
    is_first: fn(&IVec, &IVec) -> bool,
}

impl<'a, D, O> Merged<D, O>
where
    D: Iterator<Item = Result<Entry, StoreError>>,
    O: Iterator<Item = (&'a IVec, &'a Overlaid)>,
{
    fn new(disk: D, overlay: O, is_first: fn(&IVec, &IVec) -> bool) -> Self {
        Self { disk: disk.peekable(), overlay: overlay.peekable(), is_first }
    }
}

impl<'a, D, O> Iterator for Merged<D, O>
where
    D: Iterator<Item = Result<Entry, StoreError>>,
    O: Iterator<Item = (&'a IVec, &'a Overlaid)>,
{
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(&(over, overlaid)) = self.overlay.peek() else { return self.disk.next() };
            match self.disk.peek() {
                Some(Err(_)) => return self.disk.next(),
                Some(Ok((key, _))) if key != over && (self.is_first)(key, over) => return self.disk.next(),
                Some(Ok((key, _))) if key == over => drop(self.disk.next()),
                Some(Ok(_)) | None => {}
            }
            self.overlay.next();
            if let Some(row) = &overlaid.row {
                return Some(Ok((over.clone(), row.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(folder: &std::path::Path) -> Table {
        Table::new(Disk::open(folder).unwrap(), 0, TableLimits::default())
    }

    fn rows(all: &[(&str, Option<&str>)]) -> Rows {
        let mut rows = Rows::default();
        for (key, row) in all {
            match row {
                Some(row) => rows.insert(key.as_bytes(), row.as_bytes()),
                None => rows.remove(key.as_bytes()),
            }
        }
        rows
    }

    fn seen(rows: impl Iterator<Item = Result<Entry, StoreError>>) -> String {
        let text = |bytes: &IVec| String::from_utf8(bytes.to_vec()).unwrap();
        let rows = rows.map(Result::unwrap).filter(|(key, _)| key != &keys::TURN[..]);
        rows.map(|(key, row)| format!("{}={} ", text(&key), text(&row))).collect()
    }

    #[test]
    fn rows_that_sled_lacks_are_found_over_those_that_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = table(folder.path());
        table.put(1, rows(&[("a", Some("1")), ("b", Some("1")), ("c", Some("1")), ("e", Some("1"))]));
        table.step(1).unwrap();
        table.put(2, rows(&[("b", None), ("c", Some("2")), ("d", Some("2"))]));
        table.put(3, rows(&[("d", Some("3")), ("f", Some("3"))]));
        for durable in [1, 2, 3] {
            assert_eq!(seen(table.range(b"a", b"z").unwrap()), "a=1 c=2 d=3 e=1 f=3 ");
            assert_eq!(seen(table.range_back(b"b", b"f").unwrap()), "e=1 d=3 c=2 ");
            assert_eq!(table.get(b"b").unwrap(), None);
            assert_eq!(table.get(b"d").unwrap().unwrap(), b"3");
            assert_eq!(
                table.applied(),
                durable - 1 + u64::from(durable == 1),
                "sled gets durable turns only"
            );
            table.step(durable).unwrap();
        }
        assert!(table.is_caught_up() && table.overlay.is_empty());
        assert_eq!((table.queued_rows, table.queued_bytes, table.applied()), (0, 0, 3));
        assert_eq!(seen(table.range(b"z", b"a").unwrap()), "");
    }

    #[test]
    fn while_sled_is_away_only_rows_that_it_lacks_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = table(folder.path());
        table.put(1, rows(&[("a", Some("1"))]));
        table.step(1).unwrap();
        table.put(2, rows(&[("b", Some("2"))]));
        let (go_on, held) = bounded::<()>(0);
        let path = folder.path().to_owned();
        let open = move || {
            let _ = held.recv();
            Disk::open(&path)
        };
        table.reopen(open).unwrap();
        assert_eq!(table.get(b"a"), Err(Absent::Away));
        assert_eq!(table.get(b"b").unwrap().unwrap(), b"2");
        assert!(table.range(b"a", b"z").is_err() && !table.can_step(9));
        assert!(table.come_back().unwrap().is_none());
        go_on.send(()).unwrap();
        assert!(table.wait().unwrap().is_some());
        assert_eq!(seen(table.scan(b"").unwrap()).matches('=').count(), 2);
    }

    #[test]
    fn the_end_of_a_prefix_is_behind_all_of_it() {
        for (prefix, end) in [(&b"a"[..], &b"b"[..]), (b"a\xff", b"b"), (b"\xff\xff", b"\xff\xff\xff")] {
            assert_eq!(end_of(prefix), end);
        }
    }
}
