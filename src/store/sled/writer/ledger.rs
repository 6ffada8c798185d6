//! Where turns are written: into sled or, while it is opened anew, into the interim log.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::super::interim::{Interim, Missing};
use super::super::open::{Disk, OpenError, WriteError};
use super::super::platter::Platter;
use super::super::rows::Rows;
use crate::clock::Stopwatch;
use crate::failpoint;
use crate::store::StoreError;

pub enum Ledger {
    Sled(Box<Disk>),
    Interim(Box<Reopening>),
}

impl Ledger {
    /// What can be read. Who finds it away has to come again.
    pub fn sled(&self) -> Result<&Disk, StoreError> {
        match self {
            Self::Sled(disk) => Ok(disk),
            Self::Interim(_) => Err(StoreError::Busy),
        }
    }

    /// A row is written or removed by the batch that is handed over next.
    pub fn changes(&self, key: &[u8]) {
        match self {
            Self::Sled(disk) => disk.changes(key),
            // It is not opened anew while it is copied.
            Self::Interim(_) => {}
        }
    }

    /// Gives `rows` to the kernel, as one: durable once the [`Platter`] has synced the number that
    /// [`Ledger::batches`] gives then.
    pub fn hand_over(&mut self, rows: Rows) -> Result<(), WriteError> {
        match self {
            Self::Sled(disk) => {
                let (count, mut batch) = (rows.len(), sled::Batch::default());
                rows.add_to(&mut batch);
                disk.hand_over(batch, count)
            }
            Self::Interim(reopening) => reopening.hand_over(rows),
        }
    }

    /// How many batches were handed over since the store was made.
    pub fn batches(&self) -> u64 {
        match self {
            Self::Sled(disk) => disk.batches(),
            Self::Interim(reopening) => reopening.batches,
        }
    }

    /// The number of the batch that is handed over next.
    pub fn next_batch(&self) -> u64 {
        self.batches() + 1
    }

    pub fn platter(&self) -> Platter {
        match self {
            Self::Sled(disk) => disk.platter(),
            Self::Interim(reopening) => reopening.interim.platter(Arc::clone(&reopening.lock)),
        }
    }
}

/// sled is closed and opened by a thread of its own. What was written meanwhile it gets afterwards, a part at a time,
/// while turns go on; it is read again when nothing is missing.
pub struct Reopening {
    interim: Interim,
    lock: Arc<File>,
    /// What the interim log holds and sled does not, oldest first.
    missing: VecDeque<Missing>,
    batches: u64,
    /// Bytes that the interim log may have.
    limit: u64,
    opening: Receiver<Result<Disk, OpenError>>,
    opened: Option<Disk>,
    pub took: Stopwatch,
    /// Bytes of the log that is being read.
    pub log_bytes: u64,
}

/// What one step towards sled came to.
pub enum Step {
    /// It is not open yet.
    Waits,
    CatchesUp,
    /// Nothing is missing.
    CaughtUp,
}

/// Why there is no step.
pub enum NoStep {
    Opening(OpenError),
    Writing(WriteError),
    /// The thread that opens it is gone.
    Nobody,
}

impl Reopening {
    /// `limit` is in bytes, of what may be written meanwhile.
    pub fn start(
        disk: Disk,
        interim: Interim,
        limit: u64,
        path: PathBuf,
        key_id: [u8; 4],
    ) -> io::Result<Self> {
        let (batches, log_bytes, lock) = (disk.batches(), disk.logged(), disk.platter().lock());
        let (done, opening) = bounded(1);
        let kept_by_sled = Arc::clone(&lock);
        let open = move || {
            drop(disk);
            failpoint::reach("shorten.closed");
            let opened = Disk::open_beside_turns(&path, key_id, kept_by_sled, batches);
            failpoint::reach("shorten.opened");
            // Nobody waits any more where the process ends.
            let _ = done.send(opened);
        };
        thread::Builder::new().name("store-opener".to_owned()).spawn(open)?;
        let (missing, took) = (VecDeque::new(), Stopwatch::start());
        Ok(Self { interim, lock, missing, batches, limit, opening, opened: None, took, log_bytes })
    }

    fn hand_over(&mut self, rows: Rows) -> Result<(), WriteError> {
        let missing = Missing { batch: self.batches + 1, rows };
        self.interim.append(&missing)?;
        self.batches = missing.batch;
        self.missing.push_back(missing);
        Ok(())
    }

    /// Whether turns have to wait now.
    pub fn is_full(&self) -> bool {
        self.interim.bytes() >= self.limit
    }

    /// Whether it can take a step without waiting.
    pub fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Says something once sled is open.
    pub fn opening(&self) -> &Receiver<Result<Disk, OpenError>> {
        &self.opening
    }

    /// Waits until sled is open.
    pub fn wait(&mut self) -> Result<(), NoStep> {
        if self.opened.is_none() {
            let opened = self.opening.recv().map_err(|_| NoStep::Nobody)?;
            self.opened = Some(opened.map_err(NoStep::Opening)?);
        }
        Ok(())
    }

    pub fn step(&mut self) -> Result<Step, NoStep> {
        let disk = match (&self.opened, self.opening.try_recv()) {
            (Some(disk), _) => disk,
            (None, Ok(opened)) => self.opened.insert(opened.map_err(NoStep::Opening)?),
            (None, Err(TryRecvError::Empty)) => return Ok(Step::Waits),
            (None, Err(TryRecvError::Disconnected)) => return Err(NoStep::Nobody),
        };
        disk.catch_up(&mut self.missing).map_err(NoStep::Writing)?;
        failpoint::reach("shorten.caught_up");
        Ok(if self.missing.is_empty() { Step::CaughtUp } else { Step::CatchesUp })
    }

    /// Makes durable in sled what it has caught up with, and only then forgets it elsewhere. `None`: it is not open.
    pub fn finish(self) -> Result<Option<Disk>, WriteError> {
        let Some(disk) = self.opened else { return Ok(None) };
        disk.platter().sync(disk.batches())?;
        failpoint::reach("shorten.durable");
        self.interim.empty().map_err(|error| WriteError::Failed(format!("the interim log: {error}")))?;
        failpoint::reach("shorten.after");
        Ok(Some(disk))
    }
}
