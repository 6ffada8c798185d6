//! Where turns are written: into the write-ahead log, and from there into sled, which may lag behind it.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::thread;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::super::dump::{Novelty, RowChange};
use super::super::open::{Disk, OpenError, WriteError};
use super::super::platter::Platter;
use super::super::record;
use super::super::rows::Rows;
use super::super::wal::{Missing, Wal};
use crate::clock::Stopwatch;
use crate::failpoint;
use crate::store::StoreError;
use crate::store::dump::Item;

/// The log of what sled was given is turned over when it is so long: an opening that finds it reads it in a moment.
const LONG_WAL: u64 = 4 * 1024 * 1024;
const SHORT_WAL: u64 = 16 * 1024;
/// Rows that wait for sled while nobody needs it: given together they cost less, and a few milliseconds of who does.
const WORTH_A_STEP: usize = 128;
/// How much sled's opening gives way to reports and deadlines: about a third of a processor is left to it where there
/// is more to do than there are processors, for creates and lists wait for it.
const NICE: i32 = 5;
/// What sled may lag behind, in bytes of rows: two seconds of 10,000 reports each.
const MOST_MISSING: usize = 4 * 1024 * 1024;

pub struct Ledger {
    wal: Wal,
    /// Of the write-ahead log.
    platter: Platter,
    batches: u64,
    /// What sled was not given yet, oldest first.
    missing: VecDeque<Missing>,
    missing_rows: usize,
    missing_bytes: usize,
    sled: Sled,
    /// Says when sled has durably what the other file of the log holds.
    settling: Option<Receiver<io::Result<()>>>,
}

enum Sled {
    Here(Box<Disk>),
    /// It is opened anew by a thread of its own.
    Away(Reopening),
}

struct Reopening {
    opening: Receiver<Result<Disk, OpenError>>,
    took: Stopwatch,
    log_bytes: u64,
}

/// What one step of sled's came to.
pub enum Step {
    Taken,
    /// From now on the log is another file.
    TurnedOver,
    /// It is open again.
    Back {
        took: Stopwatch,
        log_bytes: u64,
    },
}

/// Why sled cannot go on.
pub enum NoStep {
    Opening(OpenError),
    Writing(WriteError),
    /// A thread that works for it is gone.
    Nobody,
}

impl From<WriteError> for NoStep {
    fn from(error: WriteError) -> Self {
        Self::Writing(error)
    }
}

impl Ledger {
    /// `disk` has all that was durable.
    pub fn new(disk: Disk, folder: &Path) -> io::Result<Self> {
        let wal = Wal::begin(folder)?;
        Ok(Self {
            platter: disk.platter().of(wal.file()),
            wal,
            batches: disk.batches(),
            missing: VecDeque::new(),
            missing_rows: 0,
            missing_bytes: 0,
            sled: Sled::Here(Box::new(disk)),
            settling: None,
        })
    }

    /// What can be read. Who finds that it lags behind has to come again.
    pub fn sled(&self) -> Result<&Disk, StoreError> {
        match &self.sled {
            Sled::Here(disk) if self.missing.is_empty() => Ok(disk),
            Sled::Here(_) | Sled::Away(_) => Err(StoreError::Busy),
        }
    }

    /// Whether sled's log is longer than this, in bytes, and it may be opened anew.
    pub fn has_log_over(&self, longest: u64) -> bool {
        match &self.sled {
            Sled::Here(disk) => disk.logged() > longest && !disk.is_being_dumped(),
            Sled::Away(_) => false,
        }
    }

    /// A row that batch `batch` wrote. `None` also where sled does not have that batch, or is away.
    pub fn row_of(&self, batch: u64, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        match &self.sled {
            Sled::Here(disk) if batch <= disk.batches() => match disk.get(key)? {
                Some(row) => Ok(Some(row)),
                None => Err(record::damaged(key, "it is missing")),
            },
            Sled::Here(_) | Sled::Away(_) => Ok(None),
        }
    }

    /// Notes for a dump that the batch which is handed over next changes a row.
    pub fn note_row(&self, key: &[u8], change: RowChange) {
        if let Sled::Here(disk) = &self.sled {
            disk.note_row(key, change);
        }
    }

    /// Notes the same of an item. Sled is not reopened during a dump.
    pub fn note_change(&self, item: Item, novelty: Novelty) {
        if let Sled::Here(disk) = &self.sled {
            disk.note_change(item, novelty);
        }
    }

    /// Gives `rows` to the kernel, as one: durable once the [`Platter`] has synced the number that
    /// [`Ledger::batches`] gives then.
    pub fn hand_over(&mut self, rows: Rows) -> Result<(), WriteError> {
        self.platter.check()?;
        let missing = Missing { batch: self.batches + 1, rows };
        self.wal.append(&missing)?;
        self.batches = missing.batch;
        self.missing_rows += missing.rows.len();
        self.missing_bytes += missing.rows.bytes();
        self.missing.push_back(missing);
        Ok(())
    }

    /// How many batches were handed over since the store was made.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// The number of the batch that is handed over next.
    pub fn next_batch(&self) -> u64 {
        self.batches + 1
    }

    /// What makes durable what is handed over now.
    pub fn platter(&self) -> Platter {
        self.platter.clone()
    }

    /// Whether turns have to wait for sled.
    pub fn is_far_behind(&self) -> bool {
        self.missing_bytes >= MOST_MISSING
    }

    /// Whether what sled lacks is worth a step by itself.
    pub fn is_behind(&self) -> bool {
        self.missing_rows >= WORTH_A_STEP || self.opening().is_some()
    }

    /// Whether sled can be given something without waiting.
    pub fn can_step(&self) -> bool {
        matches!(self.sled, Sled::Here(_)) && !self.missing.is_empty()
    }

    /// Says something once sled is open, where it is opened anew.
    pub fn opening(&self) -> Option<&Receiver<Result<Disk, OpenError>>> {
        match &self.sled {
            Sled::Here(_) => None,
            Sled::Away(reopening) => Some(&reopening.opening),
        }
    }

    /// Has a thread of its own close sled and open it again, by `open`, which is told how many batches must be there.
    pub fn reopen(
        &mut self,
        open: impl FnOnce(u64) -> Result<Disk, OpenError> + Send + 'static,
    ) -> io::Result<()> {
        let (done, opening) = bounded(1);
        let batches = self.batches;
        let Sled::Here(disk) = &self.sled else { return Ok(()) };
        let reopening = Reopening { opening, took: Stopwatch::start(), log_bytes: disk.logged() };
        let Sled::Here(disk) = std::mem::replace(&mut self.sled, Sled::Away(reopening)) else {
            return Ok(());
        };
        let reopen = move || {
            // Of this thread alone. Where it is not allowed who asks meanwhile waits a little longer.
            let _ = rustix::process::setpriority_process(None, NICE);
            let flushed = disk.flush().map_err(|error| disk.unwritable(error));
            drop(disk);
            failpoint::reach("shorten.closed");
            let opened = flushed.and_then(|()| open(batches));
            failpoint::reach("shorten.opened");
            // Nobody waits any more where the process ends.
            let _ = done.send(opened);
        };
        thread::Builder::new().name("store-opener".to_owned()).spawn(reopen).map(drop)
    }

    /// Waits until sled is open.
    pub fn wait(&mut self) -> Result<Step, NoStep> {
        match self.opening().map(Receiver::recv) {
            None => Ok(Step::Taken),
            Some(Err(_)) => Err(NoStep::Nobody),
            Some(Ok(opened)) => self.back(opened),
        }
    }

    /// Gives sled some of what it has not, if it is open, and turns the log over where that is long.
    pub fn step(&mut self) -> Result<Step, NoStep> {
        match self.opening().map(Receiver::try_recv) {
            None => {}
            Some(Ok(opened)) => return self.back(opened),
            Some(Err(TryRecvError::Empty)) => return Ok(Step::Taken),
            Some(Err(TryRecvError::Disconnected)) => return Err(NoStep::Nobody),
        }
        let Sled::Here(disk) = &self.sled else { return Ok(Step::Taken) };
        disk.catch_up(&mut self.missing)?;
        let (rows, bytes) = (self.missing.iter().map(|missing| &missing.rows))
            .fold((0, 0), |sum, rows| (sum.0 + rows.len(), sum.1 + rows.bytes()));
        (self.missing_rows, self.missing_bytes) = (rows, bytes);
        self.turn_over()
    }

    fn back(&mut self, opened: Result<Disk, OpenError>) -> Result<Step, NoStep> {
        let disk = opened.map_err(NoStep::Opening)?;
        self.platter = disk.platter().of(self.wal.file());
        let before = std::mem::replace(&mut self.sled, Sled::Here(Box::new(disk)));
        Ok(match before {
            Sled::Away(Reopening { took, log_bytes, .. }) => Step::Back { took, log_bytes },
            Sled::Here(_) => Step::Taken,
        })
    }

    /// Has what the log holds made durable in sled by a thread of its own, and goes on in the other file.
    fn turn_over(&mut self) -> Result<Step, NoStep> {
        match self.settling.as_ref().map(Receiver::try_recv) {
            Some(Err(TryRecvError::Empty)) => return Ok(Step::Taken),
            Some(Err(TryRecvError::Disconnected)) => return Err(NoStep::Nobody),
            Some(Ok(settled)) => {
                settled.map_err(failed)?;
                self.settling = None;
            }
            None => {}
        }
        let Ok(disk) = self.sled() else { return Ok(Step::Taken) };
        if self.wal.bytes() < long_wal() {
            return Ok(Step::Taken);
        }
        disk.flush()?;
        failpoint::reach("wal.given");
        let file = disk.platter().file();
        let (done, settling) = bounded(1);
        let settle = move || {
            let settled = file.sync_data();
            failpoint::reach("wal.settled");
            // Nobody waits any more where the process ends.
            let _ = done.send(settled);
        };
        thread::Builder::new().name("store-settler".to_owned()).spawn(settle).map_err(failed)?;
        self.settling = Some(settling);
        self.wal.turn_over();
        self.platter = self.platter.of(self.wal.file());
        Ok(Step::TurnedOver)
    }

    /// Leaves everything in sled and nothing in the log. Everything was synced.
    pub fn close(self) -> Result<(), WriteError> {
        let disk = match self.sled {
            Sled::Here(disk) if self.missing.is_empty() => disk,
            // The next opening finds it in the log.
            Sled::Here(_) | Sled::Away(_) => return Ok(()),
        };
        disk.settle()?;
        failpoint::reach("close.settled");
        self.wal.empty().map_err(|error| WriteError::Failed(format!("the write-ahead log: {error}")))
    }
}

/// Bytes that the log has when it is turned over.
fn long_wal() -> u64 {
    if cfg!(test) || failpoint::log_is_short() { SHORT_WAL } else { LONG_WAL }
}

fn failed(error: io::Error) -> NoStep {
    NoStep::Writing(WriteError::Failed(format!("the store's files: {error}")))
}
