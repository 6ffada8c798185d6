//! The store's thread. It takes what waits and what is due, has the engine decide it as one turn, gives the turn to the
//! kernel as one record of the log, and leaves it to the [`syncer`](super::syncer) to make that durable and only then to
//! publish, answer and hand out errands. Between turns it gives sled the rows of durable turns.

mod background;
mod job;
mod opened;

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Select, TryRecvError};
use tokio::sync::mpsc;

use super::checkpoint::Checkpoint;
use super::error::{OpenError, WriteError};
use super::lock::has_room;
use super::memory::Memory;
use super::open::Folder;
use super::reader::Reader;
use super::syncer::Finished;
use super::table::disk;
use super::{CLOSED, FULL, READY, Settings, Shared};
use crate::clock::{Clock, Stopwatch};
use crate::failpoint;
use crate::store::engine::{Agenda, Process, Turn, Unknown};
use crate::store::{Errand, StoreError};
use crate::verification::Command;
use crate::verification::values::{Runner, VerificationId};
pub use job::{Call, Job, Read, ReplyTo};
use job::{Held, Sweep, Taken};
use opened::Open;

/// Commands of one turn. Up to here a larger group costs less for each; beyond it only waits longer.
const ORDERS_A_TURN: usize = 64;
/// Dues of one turn, beside its commands, so that neither starves the other.
const DUES_A_TURN: usize = 64;
/// Reads of one turn: they come after the writes that wait, and may not hold up the next ones.
const READS_A_TURN: usize = 64;
/// A sweep waits until the thread has nothing else to do, or for so long: then it takes one visit all the same.
const SWEEP_PATIENCE: Duration = Duration::from_millis(100);
/// While the disk is full: how often to look whether there is room again.
const ROOM_CHECK: Duration = Duration::from_millis(250);
/// With nothing to do for so long there is time for a checkpoint and for sled to be opened again.
const QUIET_AFTER: Duration = Duration::from_secs(1);
/// When there is time, sled is opened again with one part in so many of the log that it may have.
const QUIET_SHARE: u64 = 4;
/// How soon rows that wait for their turn's sync are looked at again.
const ROWS_WAIT: Duration = Duration::from_millis(2);
/// Calls and reads that may wait for sled.
const MOST_HELD: usize = super::QUEUE;

/// Leaves the store to a thread of its own. `abandoned` end before anything else is done.
pub fn start(
    mut folder: Folder,
    settings: Settings,
    abandoned: Vec<(VerificationId, Command)>,
    clock: Clock,
    queue: Receiver<Job>,
    shared: Arc<Shared>,
    errands: mpsc::UnboundedSender<Errand>,
) -> Result<(), OpenError> {
    let path = settings.path.clone();
    let mut at_first = abandoned;
    // The last of them come first: an attempt that was interrupted is in doubt before its verification ends.
    // Only one process has a store open, so every other runner is gone.
    let runner = folder.next_runner()?;
    let gone = folder.replayed.in_progress.iter().filter(|(_, other)| *other < runner);
    at_first.extend(gone.map(|&(id, gone)| (id, Command::Interrupt { gone })));
    let process = process_of(&folder, &settings, runner);
    let lock = Arc::clone(&folder.lock);
    let open = Open::new(folder, &clock, &shared, &errands)?;
    let mut writer = Writer {
        open: Some(open),
        lock: Some(lock),
        process,
        settings,
        clock,
        queue,
        shared,
        errands,
        places: 0,
        waiting: VecDeque::new(),
        held: Held::default(),
        sweeps: VecDeque::new(),
        at_first,
        course: Course::Running,
        agenda: Agenda::Kept,
        idle: Stopwatch::start(),
        #[cfg(test)]
        stay_away: None,
    };
    let run = move || {
        let shared = Arc::clone(&writer.shared);
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.run())).is_err() {
            stop("the store's thread panicked");
        }
        shared.health.store(CLOSED, Ordering::Relaxed);
        // The channel would keep what came in after the last look, and its callers would wait for ever.
        let queue = writer.queue.clone();
        drop(writer);
        queue.iter().for_each(drop);
    };
    let io = |source| OpenError::Io { path, source };
    thread::Builder::new().name("store".to_owned()).spawn(run).map_err(io)?;
    Ok(())
}

fn process_of(folder: &Folder, settings: &Settings, runner: Runner) -> Process {
    let due = folder.replayed.live.iter().map(|found| (found.live.head().due, found.id));
    Process::new(runner, &settings.rates, due)
}

struct Writer {
    /// `None` only while a disk that was full is opened again, and in the end.
    open: Option<Open>,
    /// Kept while the folder is opened again, so that nobody else takes it then. `None` in the end.
    lock: Option<Arc<File>>,
    process: Process,
    settings: Settings,
    clock: Clock,
    queue: Receiver<Job>,
    shared: Arc<Shared>,
    errands: mpsc::UnboundedSender<Errand>,
    /// Turns of this process.
    places: u64,
    /// Calls whose orders are not all carried out.
    waiting: VecDeque<Call>,
    held: Held,
    /// Visits of the retention sweep that wait until there is nothing else to do.
    sweeps: VecDeque<Sweep>,
    /// Recorded before anything new begins, the last of it first: attempts that were under way when the process before this
    /// one ended, and verifications that cannot go on.
    at_first: Vec<(VerificationId, Command)>,
    course: Course,
    agenda: Agenda,
    /// Since the last job.
    idle: Stopwatch,
    #[cfg(test)]
    stay_away: Option<Receiver<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Running,
    /// No room; what is open can be read.
    Full,
    /// A write found no room: the folder has to be opened again.
    FullAndStuck,
    Closing,
}

impl Writer {
    fn run(&mut self) {
        loop {
            let mut taken = Taken::default();
            if !self.wait_for_work(&mut taken) {
                break;
            }
            self.take_more(&mut taken);
            self.admit_sweep(&mut taken);
            self.shared.turn_begins();
            self.keep_sled_up(&mut taken);
            self.check_room();
            if matches!(self.course, Course::Full | Course::FullAndStuck) {
                self.refuse_writes(&mut taken);
            } else {
                self.turn(&mut taken);
            }
            self.read(&mut taken.reads);
            self.measure();
            if taken.closings.is_empty() {
                self.shorten_logs();
            }
            self.shared.turn_ends();
            if !taken.closings.is_empty() {
                self.course = Course::Closing;
                self.wait_for_sync();
                self.shared.health.store(CLOSED, Ordering::Relaxed);
                failpoint::reach("close.before");
                self.close();
                failpoint::reach("close.after");
                taken.closings.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
                break;
            }
        }
    }

    /// Gives sled every row and the folder back.
    fn close(&mut self) {
        self.wait_for_sled();
        if let Some(mut open) = self.open.take()
            && let Err(WriteError::Failed(reason)) = open.memory.table.settle()
        {
            stop(&reason);
        }
        failpoint::reach("close.settled");
        self.lock = None;
    }

    /// Sleeps until a job comes or something is due. `false`: nobody can ask any more.
    fn wait_for_work(&mut self, taken: &mut Taken) -> bool {
        let has_work = !self.waiting.is_empty() || !self.at_first.is_empty() || self.may_sweep();
        match self.course {
            Course::Running | Course::Closing if has_work => return true,
            Course::Running | Course::Closing | Course::Full | Course::FullAndStuck => {}
        }
        loop {
            match self.queue.try_recv() {
                Ok(job) => {
                    self.take(job, taken);
                    return true;
                }
                Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => {}
            }
            if self.is_something_due() || self.has_sled_for_held() {
                return true;
            }
            if !self.step() {
                break;
            }
        }
        match self.next_job(self.sleep()) {
            Ok(job) => {
                self.take(job, taken);
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    fn is_something_due(&self) -> bool {
        match self.course {
            Course::Full | Course::FullAndStuck => false,
            Course::Running | Course::Closing => {
                self.agenda == Agenda::Kept
                    && self.process.next_due().is_some_and(|due| due <= self.clock.now())
            }
        }
    }

    fn next_job(&self, sleep: Option<Duration>) -> Result<Job, RecvTimeoutError> {
        let opening = self.open.as_ref().and_then(|open| open.memory.table.opening());
        let synced = self.open.as_ref().and_then(|open| open.checkpoint.synced());
        if opening.is_none() && synced.is_none() {
            return match sleep {
                Some(sleep) => self.queue.recv_timeout(sleep),
                None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
        }
        // That sled is open, or durable, is as much of a reason to go on.
        let mut any = Select::new();
        any.recv(&self.queue);
        opening.into_iter().for_each(|opening| _ = any.recv(opening));
        synced.into_iter().for_each(|synced| _ = any.recv(synced));
        match sleep {
            Some(sleep) => drop(any.ready_timeout(sleep)),
            None => drop(any.ready()),
        }
        self.queue.try_recv().map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    fn sleep(&self) -> Option<Duration> {
        let (until_due, background) = match (self.course, &self.open) {
            (Course::Full | Course::FullAndStuck, _) | (_, None) => return Some(ROOM_CHECK),
            (Course::Running | Course::Closing, Some(open)) => {
                let due = self.process.next_due().filter(|_| self.agenda == Agenda::Kept);
                let until_due = due.and_then(|due| match due <= self.clock.now() {
                    true => Some(Duration::ZERO),
                    false => self.clock.until(due),
                });
                let is_waiting = open.memory.table.disk().is_some() && !open.memory.table.is_caught_up()
                    || matches!(open.checkpoint, Checkpoint::Saving { .. });
                let wants_quiet = !self.is_quiet() && self.has_long_logs(open, QUIET_SHARE);
                let background = match (is_waiting, wants_quiet) {
                    (true, _) => Some(ROWS_WAIT),
                    (false, true) => Some(QUIET_AFTER.saturating_sub(self.idle.elapsed())),
                    (false, false) => None,
                };
                (until_due, background)
            }
        };
        [until_due, background].into_iter().flatten().min()
    }

    fn is_quiet(&self) -> bool {
        self.idle.elapsed() >= QUIET_AFTER
    }

    fn take_more(&mut self, taken: &mut Taken) {
        while self.orders_waiting() < ORDERS_A_TURN && taken.reads.len() < READS_A_TURN {
            let Ok(job) = self.queue.try_recv() else { break };
            self.take(job, taken);
        }
    }

    fn take(&mut self, job: Job, taken: &mut Taken) {
        if !matches!(job, Job::Wake) {
            self.idle = Stopwatch::start();
        }
        match job {
            Job::Orders { orders, reply } => self.waiting.push_back(Call {
                answers: Vec::with_capacity(orders.len()),
                orders: orders.into_iter(),
                failed: None,
                reply,
            }),
            Job::Read(read) => taken.reads.push(read),
            Job::Attend { overdue, reply } => taken.attend.push((overdue, reply)),
            Job::SweepOld { before, reply } => {
                self.sweeps.push_back(Sweep { before, reply, waited: Stopwatch::start() });
            }
            Job::Rest(reply) => {
                self.agenda = Agenda::Rested;
                let _ = reply.send(Ok(()));
            }
            Job::Close(reply) => {
                self.agenda = Agenda::Rested;
                taken.closings.push(reply);
            }
            Job::Wake => {}
            #[cfg(test)]
            Job::LoseTimers(reply) => {
                self.process.lose_timers();
                let _ = reply.send(Ok(()));
            }
            #[cfg(test)]
            Job::StayAway(until) => self.stay_away = Some(until),
        }
    }

    /// A sweep reads rows, so it waits for sled.
    fn may_sweep(&self) -> bool {
        !self.sweeps.is_empty() && self.disk().is_some()
    }

    fn admit_sweep(&mut self, taken: &mut Taken) {
        let is_idle = self.waiting.is_empty() && taken.reads.is_empty() && self.queue.is_empty();
        let may_go = |sweep: &Sweep| is_idle || sweep.waited.elapsed() >= SWEEP_PATIENCE;
        if self.may_sweep()
            && self.sweeps.front().is_some_and(may_go)
            && let Some(Sweep { before, reply, .. }) = self.sweeps.pop_front()
        {
            taken.sweeps.push((before, reply));
        }
    }

    fn orders_waiting(&self) -> usize {
        self.waiting.iter().map(|call| call.orders.len()).sum()
    }

    fn turn(&mut self, taken: &mut Taken) {
        if let Err(error) = self.record_found() {
            self.write_failed(error);
            return self.refuse_writes(taken);
        }
        let last = !taken.closings.is_empty();
        loop {
            let took = Stopwatch::start();
            self.places += 1;
            let Some(open) = &mut self.open else { return };
            open.memory.is_durable(open.syncer.durable_place());
            open.memory.begin_turn(self.places, open.turn + 1);
            let (limits, now) = (self.settings.limits.engine, self.clock.now());
            let mut turn = Turn::new(&mut open.memory, &mut self.process, limits, self.agenda, now);
            let calls = carry_out(&mut self.waiting, &mut self.held.calls, &mut turn);
            let attended: Vec<usize> =
                taken.attend.iter().map(|(overdue, _)| turn.attend_overdue(overdue)).collect();
            turn.attend_due(DUES_A_TURN);
            let swept: Vec<_> = taken.sweeps.iter().map(|(before, _)| turn.sweep_old(*before)).collect();
            let made = turn.finish();
            let record = open.memory.take_turn();
            let written = match made {
                Ok(made) => open.append(&record.record, &record.logged).map(|()| made),
                Err(error) => Err(WriteError::Failed(error.to_string())),
            };
            let made = match written {
                Ok(made) => made,
                Err(error) => {
                    self.write_failed(error);
                    // The answers of the turns before count only with the rest of the call.
                    self.waiting.extend(calls);
                    return self.refuse_writes(taken);
                }
            };
            let attended = taken.attend.drain(..).map(|(_, reply)| reply).zip(attended).collect();
            let swept = taken.sweeps.drain(..).map(|(_, reply)| reply).zip(swept).collect();
            failpoint::reach("turn.written");
            let (place, turn, changed) = (self.places, open.turn, record.changed);
            open.syncer.hand_over(Finished { place, turn, made, changed, calls, attended, swept, took });
            if open.memory.table.is_behind() {
                self.step();
            }
            // On closing, every accepted call is carried out first.
            if !last
                || self.waiting.is_empty() && self.held.calls.is_empty()
                || self.course != Course::Running
            {
                return;
            }
            self.wait_for_sled();
            self.release_held(taken);
        }
    }

    /// Before anything else: what is started from now on was not interrupted.
    fn record_found(&mut self) -> Result<(), WriteError> {
        while !self.at_first.is_empty() {
            let took = Stopwatch::start();
            let some = self.at_first.split_off(self.at_first.len().saturating_sub(DUES_A_TURN));
            self.places += 1;
            let Some(open) = &mut self.open else { return Ok(()) };
            open.memory.begin_turn(self.places, open.turn + 1);
            let (limits, now) = (self.settings.limits.engine, self.clock.now());
            let mut turn = Turn::new(&mut open.memory, &mut self.process, limits, self.agenda, now);
            turn.record_found(&some);
            let made = turn.finish();
            let record = open.memory.take_turn();
            let made = made.map_err(|error| WriteError::Failed(error.to_string()))?;
            if let Err(error) = open.append(&record.record, &record.logged) {
                self.at_first.extend(some);
                return Err(error);
            }
            let (place, turn, changed) = (self.places, open.turn, record.changed);
            let (calls, attended, swept) = Default::default();
            open.syncer.hand_over(Finished { place, turn, made, changed, calls, attended, swept, took });
        }
        Ok(())
    }

    /// Until everything so far is durable and answered.
    fn wait_for_sync(&self) {
        if let Some(open) = &self.open {
            open.syncer.wait();
        }
    }

    /// Reads see durable states only: turns that are not durable yet are waited for.
    fn read(&mut self, reads: &mut Vec<Read>) {
        if reads.is_empty() {
            return;
        }
        if self.is_sled_away() {
            return self.held.reads.append(reads);
        }
        self.end_if_sled_failed();
        self.wait_for_sync();
        let policies = &*self.shared.policies();
        let reader = self.open.as_ref().map(|open| Reader { policies, memory: &open.memory });
        reads.drain(..).for_each(|read| read(reader.as_ref()));
    }

    /// Exits if a background write of sled failed: its answers can no longer be trusted.
    fn end_if_sled_failed(&self) {
        if let Some(open) = &self.open
            && let Err(WriteError::Failed(reason)) = disk::check(&open.config)
        {
            stop(&reason);
        }
    }

    fn measure(&self) {
        if let Some(open) = &self.open {
            open.memory.measure();
        }
        self.process.gates.measure();
    }

    fn write_failed(&mut self, error: WriteError) {
        // The turns before it are whole.
        self.wait_for_sync();
        match error {
            WriteError::Full => {
                // Memory is ahead of what is durable.
                self.open = None;
                self.course = Course::FullAndStuck;
                self.shared.health.store(FULL, Ordering::Relaxed);
                tracing::error!(
                    path = %self.settings.path.display(),
                    "the disk is full: nothing is written until there is room"
                );
            }
            WriteError::Failed(reason) => stop(&reason),
        }
    }

    fn check_room(&mut self) {
        if let Some(open) = &self.open {
            let table = open.memory.table.disk().map_or(0, disk::Disk::size);
            if table > 0 {
                self.shared.size.store(table + open.log.size(), Ordering::Relaxed);
            }
        }
        match (self.course, has_room(&self.settings.path)) {
            (Course::Running | Course::Closing, true) | (Course::Full | Course::FullAndStuck, false) => {}
            (Course::Running | Course::Closing, false) => {
                self.course = Course::Full;
                self.shared.health.store(FULL, Ordering::Relaxed);
                tracing::error!(
                    path = %self.settings.path.display(),
                    "the disk is nearly full: nothing is written until there is room"
                );
            }
            (Course::Full, true) => self.resume(),
            (Course::FullAndStuck, true) => match self.recover() {
                // It can be read. The next look tells whether there is still room to write.
                Ok(()) => {
                    self.course = Course::Full;
                    self.check_room();
                }
                // Later: the disk is full, or the sled before has not let go of the folder yet.
                Err(OpenError::Full { .. } | OpenError::InUse { .. }) => {}
                Err(error) => stop(&error.to_string()),
            },
        }
    }

    fn resume(&mut self) {
        self.course = Course::Running;
        self.shared.health.store(READY, Ordering::Relaxed);
        tracing::info!(path = %self.settings.path.display(), "there is room on the disk again");
    }

    /// Reads the folder again. Every durable attempt of this process was handed out, so none is interrupted.
    fn recover(&mut self) -> Result<(), OpenError> {
        self.open = None;
        let (path, key_id, limits) = (&self.settings.path, self.settings.key_id, self.settings.limits);
        let folder = match &self.lock {
            Some(lock) => Folder::open_again(path, key_id, limits, Arc::clone(lock))?,
            None => Folder::open(path, key_id, limits)?,
        };
        self.process = process_of(&folder, &self.settings, self.process.runner);
        self.places = 0;
        self.open = Some(Open::new(folder, &self.clock, &self.shared, &self.errands)?);
        Ok(())
    }

    fn refuse_writes(&mut self, taken: &mut Taken) {
        for mut call in self.waiting.drain(..).chain(self.held.calls.drain(..)) {
            call.failed = Some(StoreError::Full);
            call.answer();
        }
        taken.attend.drain(..).for_each(|(_, reply)| drop(reply.send(Err(StoreError::Full))));
        taken.sweeps.drain(..).for_each(|(_, reply)| drop(reply.send(Err(StoreError::Full))));
    }
}

/// Up to [`ORDERS_A_TURN`] orders. Returns the calls that are complete with them; those that need sled while it is away are
/// held.
fn carry_out(waiting: &mut VecDeque<Call>, held: &mut Vec<Call>, turn: &mut Turn<'_, Memory>) -> Vec<Call> {
    let mut finished = Vec::new();
    for _ in 0..ORDERS_A_TURN {
        let Some(call) = waiting.front_mut() else { break };
        if let Some(order) = call.orders.as_slice().first() {
            match turn.carry_out(order) {
                Ok(answer) => call.answers.push(answer),
                Err(Unknown::Failed(error)) => call.failed = Some(error),
                Err(Unknown::Missing(need)) => {
                    tracing::debug!(?need, "a call waits until sled is open again");
                    held.extend(waiting.pop_front());
                    continue;
                }
            }
            call.orders.next();
        }
        if call.orders.len() == 0 {
            finished.extend(waiting.pop_front());
        }
    }
    finished
}

/// The end: nothing is known of what was not answered, so nothing more may be answered.
pub fn stop(reason: &str) -> ! {
    tracing::error!(reason, "the store failed; stopping without answering what is not durable");
    std::process::exit(1)
}
