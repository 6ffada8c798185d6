//! A checkpoint makes the oldest segment of the log superfluous: the live verifications of which only that segment has
//! events get rows, the table has the rows of all its turns, and sled has both durably. It goes in small steps between
//! turns.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::error::WriteError;
use super::keys;
use super::log::Log;
use super::memory::{Memory, Saved};
use super::record;
use super::table::Rows;
use crate::failpoint;
use crate::verification::values::VerificationId;

/// Verifications that get rows in one step: about a millisecond.
const SAVED_AT_ONCE: usize = 64;

#[derive(Default)]
pub enum Checkpoint {
    #[default]
    None,
    /// Verifications that may need the oldest segment, whose last turn is `last`.
    Saving {
        last: u64,
        holders: Vec<VerificationId>,
    },
    /// All rows are on their way to sled; the last of them is of turn `turn`.
    Applying {
        turn: u64,
    },
    Syncing(Receiver<io::Result<()>>),
}

impl Checkpoint {
    pub fn is_under_way(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Stages and verifications that are left, to see whether a step got anywhere.
    pub fn left(&self) -> (u8, usize) {
        match self {
            Self::None => (0, 0),
            Self::Syncing(_) => (1, 0),
            Self::Applying { .. } => (2, 0),
            Self::Saving { holders, .. } => (3, holders.len()),
        }
    }

    /// Delivers something once sled has the rows durably.
    pub fn synced(&self) -> Option<&Receiver<io::Result<()>>> {
        match self {
            Self::Syncing(synced) => Some(synced),
            Self::None | Self::Saving { .. } | Self::Applying { .. } => None,
        }
    }

    /// Begins with the oldest segment, if there is one beside the one that is written.
    pub fn begin(&mut self, log: &mut Log) {
        if !self.is_under_way()
            && let Some((last, holders)) = log.take_holders()
        {
            *self = Self::Saving { last, holders };
        }
    }

    /// Takes one step; `turn` is the last turn in the log. It does not wait for the disk, nor for a turn to be durable.
    pub fn step(&mut self, log: &mut Log, memory: &mut Memory, turn: u64) -> Result<(), WriteError> {
        match self {
            Self::None => {}
            // What was saved last reaches sled first, so that nothing has to wait for a long queue.
            Self::Saving { .. } if memory.table.is_behind() => {}
            Self::Saving { last, holders } => {
                let last = *last;
                let mut later = Vec::new();
                let some = holders.split_off(holders.len().saturating_sub(SAVED_AT_ONCE));
                for id in some {
                    let saved = memory.save(id, last, turn);
                    if saved.map_err(|error| WriteError::Failed(error.to_string()))? == Saved::Later {
                        later.push(id);
                    }
                }
                holders.extend(later);
                if holders.is_empty() {
                    let row = record::encode(&keys::LOG_FROM, &(last + 1));
                    let mut rows = Rows::default();
                    rows.insert(
                        &keys::LOG_FROM,
                        &row.map_err(|error| WriteError::Failed(error.to_string()))?,
                    );
                    memory.table.put(turn, rows);
                    *self = Self::Applying { turn };
                }
            }
            Self::Applying { turn } => {
                if memory.table.applied() >= *turn
                    && !memory.table.has_queued(*turn)
                    && let Some(disk) = memory.table.disk()
                {
                    disk.flush()?;
                    failpoint::reach("wal.given");
                    *self = Self::Syncing(sync(disk.file()).map_err(failed)?);
                }
            }
            Self::Syncing(synced) => match synced.try_recv() {
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    return Err(WriteError::Failed("the thread that syncs a checkpoint is gone".to_owned()));
                }
                Ok(done) => {
                    done.map_err(failed)?;
                    log.release_oldest().map_err(failed)?;
                    failpoint::reach("wal.released");
                    *self = Self::None;
                }
            },
        }
        Ok(())
    }
}

fn sync(file: Arc<File>) -> io::Result<Receiver<io::Result<()>>> {
    let (done, synced) = bounded(1);
    let sync = move || {
        let synced = file.sync_data();
        failpoint::reach("wal.settled");
        // Nobody receives it if the process ends.
        let _ = done.send(synced);
    };
    thread::Builder::new().name("store-checkpoint".to_owned()).spawn(sync)?;
    Ok(synced)
}

fn failed(error: io::Error) -> WriteError {
    WriteError::Failed(format!("a checkpoint: {error}"))
}
