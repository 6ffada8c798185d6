//! The thread that waits for the disk, so that the one that owns sled need not: while it makes one turn durable, the
//! next is decided. What a turn left is published, answered and handed out here, in the order of the turns, and
//! only when it is durable. It never touches sled.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::mpsc;

use super::super::Shared;
use super::super::open::WriteError;
use super::super::platter::Platter;
use super::turn::Written;
use super::{Asker, Call, stop};
use crate::clock::{Clock, Stopwatch};
use crate::failpoint;
use crate::store::changes::Publisher;
use crate::store::{Errand, StoreError, Swept};

/// Turns that wait for the disk at once. One sync is for all that wait, so more would only wait longer.
const TURNS_AHEAD: usize = 4;

pub struct Syncer {
    steps: Sender<Step>,
    durable: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

enum Step {
    Turn(Box<Finished>),
    /// What comes after it is synced by this.
    GoOnWith(Box<Platter>),
    /// Is answered when everything before it is done.
    Fence(Sender<()>),
    End,
}

/// A turn that the kernel has, and who waits for it.
pub struct Finished {
    pub written: Written,
    pub calls: Vec<Call>,
    pub attended: Vec<(Asker<usize>, usize)>,
    pub swept: Vec<(Asker<Swept>, Result<Swept, StoreError>)>,
    pub took: Stopwatch,
}

impl Syncer {
    pub fn start(
        platter: Platter,
        clock: Clock,
        shared: Arc<Shared>,
        errands: mpsc::UnboundedSender<Errand>,
    ) -> io::Result<Self> {
        let (steps, queue) = bounded(TURNS_AHEAD);
        let durable = Arc::new(AtomicU64::new(0));
        let publisher = Publisher::start()?;
        let work =
            Work { platter, clock, shared, errands, durable: Arc::clone(&durable), publisher, synced: 0 };
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

    /// Turns that are handed over from now on are made durable by `platter`.
    pub fn go_on_with(&self, platter: Platter) {
        if self.steps.send(Step::GoOnWith(Box::new(platter))).is_err() {
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

    /// The last turn that is durable and that readers see.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
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
    platter: Platter,
    clock: Clock,
    shared: Arc<Shared>,
    errands: mpsc::UnboundedSender<Errand>,
    durable: Arc<AtomicU64>,
    publisher: Publisher,
    /// The last batch that is durable.
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
                Step::Turn(turn) => newest = newest.max(turn.written.batch),
                Step::GoOnWith(platter) => {
                    self.sync_up_to(newest);
                    self.platter = Platter::clone(platter);
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
        match self.platter.sync(newest) {
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
        let number = turn.written.number;
        failpoint::reach("publish.before");
        let errands = turn.written.publish(&self.shared, &mut self.publisher, self.clock.now());
        self.durable.store(number, Ordering::Release);
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
