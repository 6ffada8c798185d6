//! The thread that waits for the disk, so that the store's thread need not: while it makes one turn durable, the next is
//! decided. It publishes, answers and hands out errands in the order of the turns, and only when they are durable. It never
//! touches sled.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::mpsc;

use super::Shared;
use super::error::WriteError;
use super::memory::Changed;
use super::sync::SyncHandle;
use super::writer::{Call, ReplyTo, stop};
use crate::clock::{Clock, Stopwatch};
use crate::failpoint;
use crate::store::engine::Made;
use crate::store::transitions::Publisher;
use crate::store::{Errand, StoreError, Swept};

/// Turns that wait for the disk at once. One sync is for all that wait, so more would only wait longer.
const TURNS_AHEAD: usize = 4;

pub struct Syncer {
    steps: Sender<Step>,
    durable: Arc<Durable>,
    thread: Option<JoinHandle<()>>,
}

enum Step {
    Turn(Box<Finished>),
    /// What comes after it is synced by this.
    GoOnWith(Box<SyncHandle>),
    /// Answered when everything before it is done.
    Fence(Sender<()>),
    End,
}

/// What is durable, and seen by readers.
#[derive(Default)]
struct Durable {
    place: AtomicU64,
    turn: AtomicU64,
}

/// A turn that the kernel has, and the callers that wait for it.
pub struct Finished {
    /// Its place among the turns of this process.
    pub place: u64,
    /// The turn of the log that must be durable for it.
    pub turn: u64,
    pub made: Made,
    pub changed: Vec<Changed>,
    pub calls: Vec<Call>,
    pub attended: Vec<(ReplyTo<usize>, usize)>,
    pub swept: Vec<(ReplyTo<Swept>, Result<Swept, StoreError>)>,
    pub took: Stopwatch,
}

impl Syncer {
    pub fn start(
        file: SyncHandle,
        clock: Clock,
        shared: Arc<Shared>,
        errands: mpsc::UnboundedSender<Errand>,
    ) -> io::Result<Self> {
        let (steps, queue) = bounded(TURNS_AHEAD);
        let durable = Arc::new(Durable::default());
        let publisher = Publisher::start()?;
        let work = Work { file, clock, shared, errands, durable: Arc::clone(&durable), publisher, synced: 0 };
        let thread = thread::Builder::new().name("store-sync".to_owned()).spawn(move || {
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work.run(&queue))).is_err() {
                stop("the thread that syncs the store panicked");
            }
        })?;
        Ok(Self { steps, durable, thread: Some(thread) })
    }

    /// Waits only where too many turns wait already.
    pub fn hand_over(&self, turn: Finished) {
        if self.steps.send(Step::Turn(Box::new(turn))).is_err() {
            stop("the thread that syncs the store is gone");
        }
    }

    /// Turns that are handed over from now on are in `file`.
    pub fn go_on_with(&self, file: SyncHandle) {
        if self.steps.send(Step::GoOnWith(Box::new(file))).is_err() {
            stop("the thread that syncs the store is gone");
        }
    }

    /// Waits until everything that was handed over is durable and answered.
    pub fn wait(&self) {
        let (done, is_done) = bounded(1);
        if self.steps.send(Step::Fence(done)).is_err() || is_done.recv().is_err() {
            stop("the thread that syncs the store is gone");
        }
    }

    /// The place of the last turn that is durable and that readers see.
    pub fn durable_place(&self) -> u64 {
        self.durable.place.load(Ordering::Acquire)
    }

    /// The last turn of the log that is durable; 0 before the first one of this process.
    pub fn durable_turn(&self) -> u64 {
        self.durable.turn.load(Ordering::Acquire)
    }
}

/// It ends when it has done all that was handed over, and lets go of the files.
impl Drop for Syncer {
    fn drop(&mut self) {
        if self.steps.send(Step::End).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

struct Work {
    file: SyncHandle,
    clock: Clock,
    shared: Arc<Shared>,
    errands: mpsc::UnboundedSender<Errand>,
    durable: Arc<Durable>,
    publisher: Publisher,
    /// The last turn that is durable.
    synced: u64,
}

impl Work {
    fn run(mut self, queue: &Receiver<Step>) {
        while let Ok(first) = queue.recv() {
            let steps: Vec<Step> = std::iter::once(first).chain(queue.try_iter()).collect();
            self.shared.sync_begins();
            self.sync(&steps);
            let is_end = steps.iter().any(|step| matches!(step, Step::End));
            steps.into_iter().for_each(|step| self.finish(step));
            self.shared.sync_ends();
            if is_end {
                break;
            }
        }
    }

    /// One sync for all that wait, but where they stand in two files.
    fn sync(&mut self, steps: &[Step]) {
        let mut newest = self.synced;
        for step in steps {
            match step {
                Step::Turn(turn) => newest = newest.max(turn.turn),
                Step::GoOnWith(file) => {
                    self.sync_up_to(newest);
                    self.file = SyncHandle::clone(file);
                }
                Step::Fence(_) | Step::End => {}
            }
        }
        self.sync_up_to(newest);
    }

    fn sync_up_to(&mut self, newest: u64) {
        if newest <= self.synced {
            return;
        }
        match self.file.sync(newest) {
            Ok(()) => self.synced = newest,
            Err(WriteError::Full) => stop("no room where a sync cannot need any"),
            Err(WriteError::Failed(reason)) => stop(&reason),
        }
    }

    fn finish(&mut self, step: Step) {
        let turn = match step {
            Step::Turn(turn) => *turn,
            Step::Fence(done) => {
                let _ = done.send(());
                return;
            }
            Step::GoOnWith(_) | Step::End => return,
        };
        failpoint::reach("publish.before");
        let now = self.clock.now();
        let Made { errands, deadlines, transitions } = turn.made;
        if !deadlines.is_empty() {
            let lateness = metrics::histogram!("twotick_deadline_lateness_seconds");
            deadlines.iter().for_each(|&due| lateness.record(now.since(due).as_secs_f64()));
        }
        for Changed { id, version, live } in turn.changed {
            self.shared.publish(id, version, live);
        }
        self.publisher.publish(transitions);
        self.durable.turn.store(turn.turn, Ordering::Release);
        self.durable.place.store(turn.place, Ordering::Release);
        failpoint::reach("answer.before");
        // Nobody waits any more where an answer cannot be given: the client has gone.
        turn.calls.into_iter().for_each(Call::answer);
        failpoint::reach("answer.after");
        // A courier that has stopped leaves its attempts to the next start, which finds them in doubt.
        errands.into_iter().for_each(|errand| drop(self.errands.send(errand)));
        failpoint::reach("errands.after");
        turn.attended.into_iter().for_each(|(reply, lost)| drop(reply.send(Ok(lost))));
        turn.swept.into_iter().for_each(|(reply, swept)| drop(reply.send(swept)));
        metrics::histogram!("twotick_store_turn_duration_seconds").record(turn.took.elapsed().as_secs_f64());
    }
}
