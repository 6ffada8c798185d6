//! An open data folder, as the store's thread has it.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::super::Shared;
use super::super::checkpoint::Checkpoint;
use super::super::error::{OpenError, WriteError};
use super::super::log::Log;
use super::super::memory::Memory;
use super::super::open::{self, Folder};
use super::super::sync::SyncHandle;
use super::super::syncer::Syncer;
use super::super::table::disk;
use super::Course;
use crate::clock::Clock;
use crate::store::Errand;
use crate::verification::values::VerificationId;

pub struct Open {
    pub memory: Memory,
    pub log: Log,
    /// The last turn of the log.
    pub turn: u64,
    /// The file of the log that the syncer syncs.
    file: Arc<File>,
    lock: Arc<File>,
    pub config: ::sled::Config,
    pub syncer: Syncer,
    pub checkpoint: Checkpoint,
}

impl Open {
    pub fn new(
        mut folder: Folder,
        clock: &Clock,
        shared: &Arc<Shared>,
        errands: &mpsc::UnboundedSender<Errand>,
    ) -> Result<Self, OpenError> {
        let path = folder.path.clone();
        let io = |source| OpenError::Io { path: path.clone(), source };
        let log = folder.begin_log().map_err(io)?;
        let Folder { replayed, lock, .. } = folder;
        let turn = replayed.log.last;
        let memory = open::guarded(&path, || Ok(Memory::new(replayed, Arc::clone(shared))?))?;
        let missing = || io(io::Error::other("there is no file of the log"));
        let file = log.file().ok_or_else(missing)?;
        let config = memory.table.disk().map(disk::Disk::config).unwrap_or_default();
        let handle = SyncHandle::new(Arc::clone(&file), Arc::clone(&lock), config.clone());
        let syncer = Syncer::start(handle, clock.clone(), Arc::clone(shared), errands.clone()).map_err(io)?;
        Ok(Self { memory, log, turn, file, lock, config, syncer, checkpoint: Checkpoint::None })
    }

    /// Gives the record of a turn to the kernel, if it has one.
    pub fn append(&mut self, record: &[u8], logged: &[VerificationId]) -> Result<(), WriteError> {
        disk::check(&self.config)?;
        if record.is_empty() {
            return Ok(());
        }
        self.log.append(self.turn + 1, record)?;
        self.turn += 1;
        logged.iter().for_each(|&id| self.log.hold(self.turn, id));
        if let Some(file) = self.log.file().filter(|file| !Arc::ptr_eq(file, &self.file)) {
            self.file = file;
            self.sync_elsewhere();
        }
        Ok(())
    }

    pub fn sync_elsewhere(&self) {
        let (file, lock) = (Arc::clone(&self.file), Arc::clone(&self.lock));
        self.syncer.go_on_with(SyncHandle::new(file, lock, self.config.clone()));
    }

    /// The last turn whose rows sled may be given.
    pub fn durable(&self) -> u64 {
        self.syncer.durable_turn()
    }

    /// One step in the background. Whether there was one that did not have to wait.
    pub fn step(&mut self, course: Course) -> Result<bool, WriteError> {
        match course {
            Course::Running | Course::Closing => {}
            Course::Full | Course::FullAndStuck => return Ok(false),
        }
        let durable = self.durable();
        if self.memory.table.can_step(durable) {
            self.memory.table.step(durable)?;
            return Ok(true);
        }
        self.memory.is_durable(self.syncer.durable_place());
        let before = self.checkpoint.left();
        self.checkpoint.step(&mut self.log, &mut self.memory, self.turn)?;
        if self.checkpoint.left() != before {
            return Ok(true);
        }
        self.memory.see_some().map_err(|error| WriteError::Failed(error.to_string()))
    }
}
