//! The thread that owns sled. It takes what is waiting and what is due, gives all of it to the kernel as one record of
//! the write-ahead log, and leaves it to the [`syncer`] to make that durable and only then to publish, answer and hand
//! out errands. sled gets it afterwards.

mod ledger;
mod memory;
mod reader;
mod shortening;
mod syncer;
mod turn;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Select, TryRecvError};
use tokio::sync::{mpsc, oneshot};

use super::load::Found;
use super::open::{Disk, OpenError, WriteError, has_room};
use super::{CLOSED, FULL, READY, Settings, Shared};
use crate::clock::{Clock, Stopwatch};
use crate::failpoint;
use crate::store::{Answer, Errand, Order, Retention, StoreError, Swept};
use crate::verification::Command;
use crate::verification::values::VerificationId;
use ledger::Ledger;
use memory::Memory;
pub use reader::Reader;
use shortening::{Held, QUIET_AFTER};
use syncer::{Finished, Syncer};
use turn::Turn;

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

pub enum Job {
    Orders {
        orders: Vec<Order>,
        reply: Asker<Vec<Answer>>,
    },
    Read(Look),
    /// These should have been attended to; how many of them the agenda had lost.
    Attend {
        overdue: Vec<VerificationId>,
        reply: Asker<usize>,
    },
    SweepOld {
        before: Retention,
        reply: Asker<Swept>,
    },
    Rest(Asker<()>),
    Close(Asker<()>),
    /// A manual clock was moved.
    Wake,
    #[cfg(test)]
    LoseTimer(Asker<()>),
}

/// Where the answer to a job goes.
pub type Asker<T> = oneshot::Sender<Result<T, StoreError>>;
/// Something to be read, which answers by itself.
/// It is told nothing while a disk that was full is opened anew.
pub type Look = Box<dyn FnOnce(Option<&Reader<'_>>) + Send>;

/// What the thread begins with.
pub struct Start {
    pub disk: Disk,
    pub found: Found,
    pub settings: Settings,
    /// What ends before anything else is done.
    pub abandoned: Vec<(VerificationId, Command)>,
}

/// Leaves the store to a thread of its own.
pub fn start(
    Start { disk, found, settings, abandoned: mut at_first }: Start,
    clock: Clock,
    queue: Receiver<Job>,
    shared: Arc<Shared>,
    errands: mpsc::UnboundedSender<Errand>,
) -> Result<(), OpenError> {
    // The last of them come first: an attempt that was interrupted is in doubt before its verification ends.
    // Only one process has a store open, so every other runner is gone.
    let runner = disk.next_runner()?;
    let gone = found.in_progress.iter().filter(|(_, other)| *other < runner);
    at_first.extend(gone.map(|&(id, gone)| (id, Command::Interrupt { gone })));
    let memory = Memory::new(found, runner, &settings.rates, Arc::clone(&shared));
    let path = settings.path.clone();
    let io = |source| OpenError::Io { path: path.clone(), source };
    let lock = Some(disk.platter().lock());
    let ledger = Ledger::new(disk, &settings.path).map_err(io)?;
    let opened = Opened::new(ledger, &clock, &shared, &errands).map_err(io)?;
    let mut writer = Writer {
        opened: Some(opened),
        lock,
        memory,
        settings,
        clock,
        queue,
        shared,
        errands,
        turns: 0,
        waiting: VecDeque::new(),
        held: Held::default(),
        sweeps: VecDeque::new(),
        at_first,
        course: Course::Running,
        agenda: Agenda::Kept,
        demand: Demand::Busy,
    };
    let run = move || {
        let shared = Arc::clone(&writer.shared);
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.run())).is_err() {
            stop("the store's thread panicked");
        }
        shared.health.store(CLOSED, Ordering::Relaxed);
        // The channel would keep what came in after the last look, and who waits for it would wait for ever.
        let queue = writer.queue.clone();
        drop(writer);
        queue.iter().for_each(drop);
    };
    thread::Builder::new().name("store".to_owned()).spawn(run).map_err(io)?;
    Ok(())
}

struct Writer {
    /// `None` only while a disk that was full is opened anew, and in the end.
    opened: Option<Opened>,
    /// Kept while the disk is opened anew, so that nobody else takes the folder then. `None` in the end.
    lock: Option<Arc<File>>,
    memory: Memory,
    settings: Settings,
    clock: Clock,
    queue: Receiver<Job>,
    shared: Arc<Shared>,
    errands: mpsc::UnboundedSender<Errand>,
    /// How many there were since it was opened.
    turns: u64,
    /// Calls whose orders are not all carried out.
    waiting: VecDeque<Call>,
    held: Held,
    /// Visits of the retention sweep that wait until there is nothing else to do.
    sweeps: VecDeque<Sweep>,
    /// What is noted before anything new begins, the last of it first: which attempts were under way when the process
    /// before this one ended, and which verifications cannot go on.
    at_first: Vec<(VerificationId, Command)>,
    course: Course,
    agenda: Agenda,
    demand: Demand,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    Busy,
    /// Nobody asked for anything until something was due, or for a while.
    Quiet,
}

/// What must be let go of before the folder can be opened again.
struct Opened {
    ledger: Ledger,
    syncer: Syncer,
}

impl Opened {
    fn new(
        ledger: Ledger,
        clock: &Clock,
        shared: &Arc<Shared>,
        errands: &mpsc::UnboundedSender<Errand>,
    ) -> io::Result<Self> {
        let syncer = Syncer::start(ledger.platter(), clock.clone(), Arc::clone(shared), errands.clone())?;
        Ok(Self { ledger, syncer })
    }
}

/// Whether what is due is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Agenda {
    Kept,
    /// The server stops: what is due waits for the next start.
    Rested,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Running,
    /// No room; sled is whole.
    Full,
    /// No room, and sled saw it: it takes no more writes until it is opened anew.
    FullAndStuck,
    Closing,
}

struct Sweep {
    before: Retention,
    reply: Asker<Swept>,
    waited: Stopwatch,
}

struct Call {
    orders: std::vec::IntoIter<Order>,
    answers: Vec<Answer>,
    failed: Option<StoreError>,
    reply: Asker<Vec<Answer>>,
}

impl Call {
    /// Nobody waits any more where the answer cannot be given: the client has gone.
    fn answer(self) {
        let _ = self.reply.send(match self.failed {
            Some(error) => Err(error),
            None => Ok(self.answers),
        });
    }
}

/// What was taken from the queue for one turn, beside the calls.
#[derive(Default)]
struct Taken {
    reads: Vec<Look>,
    attend: Vec<(Vec<VerificationId>, Asker<usize>)>,
    sweeps: Vec<(Retention, Asker<Swept>)>,
    closings: Vec<Asker<()>>,
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
            self.mind_sled(&mut taken);
            self.mind_the_room();
            if matches!(self.course, Course::Full | Course::FullAndStuck) {
                self.refuse_writes(&mut taken);
            } else {
                self.turn(&mut taken);
            }
            self.read(&mut taken.reads);
            self.memory.measure();
            if taken.closings.is_empty() {
                self.shorten_log();
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

    /// Gives the folder back.
    fn close(&mut self) {
        self.wait_for_sled();
        if let Some(Opened { ledger, .. }) = self.opened.take()
            && let Err(WriteError::Failed(reason)) = ledger.close()
        {
            stop(&reason);
        }
        self.lock = None;
    }

    /// Sleeps until a job comes or something is due. `false`: nobody can ask any more.
    fn wait_for_work(&mut self, taken: &mut Taken) -> bool {
        let has_work = !self.waiting.is_empty() || !self.at_first.is_empty() || !self.sweeps.is_empty();
        match self.course {
            Course::Running | Course::Closing if has_work => return true,
            Course::Running | Course::Closing | Course::Full | Course::FullAndStuck => {}
        }
        if let Some(is_job) = self.use_the_time_for_sled(taken) {
            return is_job;
        }
        let sleep = match self.sleep() {
            Some(Duration::ZERO) => return true,
            Some(sleep) if self.is_log_long_for_quiet() => Some(sleep.min(QUIET_AFTER)),
            None if self.is_log_long_for_quiet() => Some(QUIET_AFTER),
            sleep => sleep,
        };
        match self.next_job(sleep) {
            Ok(job) => {
                self.demand = Demand::Busy;
                self.take(job, taken);
                true
            }
            Err(RecvTimeoutError::Timeout) => {
                self.demand = Demand::Quiet;
                true
            }
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// While nobody asks for anything. `None`: sled has everything, or is away.
    fn use_the_time_for_sled(&mut self, taken: &mut Taken) -> Option<bool> {
        while self.has_work_for_sled() {
            match self.queue.try_recv() {
                Ok(job) => {
                    self.demand = Demand::Busy;
                    self.take(job, taken);
                    return Some(true);
                }
                Err(TryRecvError::Disconnected) => return Some(false),
                Err(TryRecvError::Empty) if self.has_held_enough() => return Some(true),
                Err(TryRecvError::Empty) => self.give_to_sled(),
            }
        }
        None
    }

    fn next_job(&self, sleep: Option<Duration>) -> Result<Job, RecvTimeoutError> {
        let Some(opening) = self.opened.as_ref().and_then(|opened| opened.ledger.opening()) else {
            return match sleep {
                Some(sleep) => self.queue.recv_timeout(sleep),
                None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
        };
        // That sled is open is as much of a reason to go on.
        let mut either = Select::new();
        either.recv(&self.queue);
        either.recv(opening);
        match sleep {
            Some(sleep) => drop(either.ready_timeout(sleep)),
            None => drop(either.ready()),
        }
        self.queue.try_recv().map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    fn sleep(&self) -> Option<Duration> {
        match self.course {
            Course::Full | Course::FullAndStuck => Some(ROOM_CHECK),
            Course::Running | Course::Closing if self.agenda == Agenda::Rested => None,
            Course::Running | Course::Closing => {
                let next = self.memory.next_due()?;
                if next <= self.clock.now() { Some(Duration::ZERO) } else { self.clock.until(next) }
            }
        }
    }

    fn take_more(&mut self, taken: &mut Taken) {
        while self.orders_waiting() < ORDERS_A_TURN && taken.reads.len() < READS_A_TURN {
            let Ok(job) = self.queue.try_recv() else { break };
            self.take(job, taken);
        }
    }

    fn take(&mut self, job: Job, taken: &mut Taken) {
        match job {
            Job::Orders { orders, reply } => self.waiting.push_back(Call {
                answers: Vec::with_capacity(orders.len()),
                orders: orders.into_iter(),
                failed: None,
                reply,
            }),
            Job::Read(look) => taken.reads.push(look),
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
            Job::LoseTimer(reply) => {
                self.memory.lose_timer();
                let _ = reply.send(Ok(()));
            }
        }
    }

    fn admit_sweep(&mut self, taken: &mut Taken) {
        let is_idle = self.waiting.is_empty() && taken.reads.is_empty() && self.queue.is_empty();
        let may_go = |sweep: &Sweep| is_idle || sweep.waited.elapsed() >= SWEEP_PATIENCE;
        if self.sweeps.front().is_some_and(may_go)
            && let Some(Sweep { before, reply, .. }) = self.sweeps.pop_front()
        {
            taken.sweeps.push((before, reply));
        }
    }

    fn orders_waiting(&self) -> usize {
        self.waiting.iter().map(|call| call.orders.len()).sum()
    }

    fn turn(&mut self, taken: &mut Taken) {
        if let Err(error) = self.note_what_was_found() {
            self.write_failed(error);
            return self.refuse_writes(taken);
        }
        let last = !taken.closings.is_empty();
        loop {
            let took = Stopwatch::start();
            let mut waiting = std::mem::take(&mut self.waiting);
            let Some(mut turn) = self.begin_turn() else { return };
            let (calls, held) = carry_out(&mut waiting, &mut turn);
            let attended: Vec<usize> =
                taken.attend.iter().map(|(overdue, _)| turn.attend_overdue(overdue)).collect();
            turn.attend_due(DUES_A_TURN);
            let swept: Vec<_> = taken.sweeps.iter().map(|(before, _)| turn.sweep_old(*before)).collect();
            let written = turn.write();
            self.end_if_sled_failed();
            self.waiting = waiting;
            self.held.calls.extend(held);
            let written = match written {
                Ok(written) => written,
                Err(error) => {
                    self.write_failed(error);
                    // What a call was told by the turns before does not count without the rest of it.
                    self.waiting.extend(calls);
                    return self.refuse_writes(taken);
                }
            };
            let attended = taken.attend.drain(..).map(|(_, reply)| reply).zip(attended).collect();
            let swept = taken.sweeps.drain(..).map(|(_, reply)| reply).zip(swept).collect();
            failpoint::reach("turn.written");
            self.hand_to_syncer(Finished { written, calls, attended, swept, took });
            self.keep_sled_up();
            // On closing, every call that was accepted is carried out first.
            if !last || self.waiting.is_empty() || self.course != Course::Running {
                return;
            }
            self.wait_for_sled();
        }
    }

    /// `None` only while a disk that was full is opened anew.
    fn begin_turn(&mut self) -> Option<Turn<'_>> {
        let Opened { ledger, syncer } = self.opened.as_mut()?;
        self.memory.is_durable(syncer.durable());
        self.turns += 1;
        Some(Turn::new(self.turns, ledger, &mut self.memory, &self.shared, self.agenda, self.clock.now()))
    }

    /// Before anything else: what is started from now on was not interrupted.
    fn note_what_was_found(&mut self) -> Result<(), WriteError> {
        while !self.at_first.is_empty() {
            let took = Stopwatch::start();
            let some = self.at_first.split_off(self.at_first.len().saturating_sub(DUES_A_TURN));
            let Some(mut turn) = self.begin_turn() else { return Ok(()) };
            turn.note_what_was_found(&some);
            let written = match turn.write() {
                Ok(written) => written,
                Err(error) => {
                    self.at_first.extend(some);
                    return Err(error);
                }
            };
            let (calls, attended, swept) = Default::default();
            self.hand_to_syncer(Finished { written, calls, attended, swept, took });
        }
        Ok(())
    }

    fn hand_to_syncer(&self, turn: Finished) {
        if let Some(Opened { syncer, .. }) = &self.opened {
            syncer.hand_over(turn);
        }
    }

    /// Until everything so far is durable and answered.
    fn wait_for_sync(&self) {
        if let Some(Opened { syncer, .. }) = &self.opened {
            syncer.wait();
        }
    }

    /// What is read is durable: turns that are not yet are waited for.
    fn read(&mut self, reads: &mut Vec<Look>) {
        if reads.is_empty() {
            return;
        }
        if self.sled().is_none() {
            self.give_to_sled();
        }
        if self.opened.is_some() && self.sled().is_none() {
            return self.held.hold_reads(reads);
        }
        self.end_if_sled_failed();
        self.wait_for_sync();
        let (policies, memory) = (&*self.shared.policies(), &self.memory);
        let reader = self.sled().map(|disk| Reader { disk, policies, memory });
        reads.drain(..).for_each(|look| look(reader.as_ref()));
    }

    /// A write in its background failed: what it says from then on is told to nobody.
    fn end_if_sled_failed(&self) {
        if let Some(Opened { ledger, .. }) = &self.opened
            && let Err(WriteError::Failed(reason)) = ledger.platter().check()
        {
            stop(&reason);
        }
    }

    fn write_failed(&mut self, error: WriteError) {
        // The turns before it are whole.
        self.wait_for_sync();
        match error {
            WriteError::Full => {
                self.give_up_sled();
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

    fn mind_the_room(&mut self) {
        if let Some(disk) = self.sled() {
            self.shared.size.store(disk.size(), Ordering::Relaxed);
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
                // It can be read. Whether there still is room to write is looked for anew.
                Ok(()) => {
                    self.course = Course::Full;
                    self.mind_the_room();
                }
                // Of a disk that is full, or that the sled before has not let go of yet, later.
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

    /// What of the last batch became durable is known only to the log, so memory is made anew from it.
    fn recover(&mut self) -> Result<(), OpenError> {
        let disk = self.open_again()?;
        let found = disk.load()?;
        let io = |source| OpenError::Io { path: self.settings.path.clone(), source };
        let ledger = Ledger::new(disk, &self.settings.path).map_err(io)?;
        let opened = Opened::new(ledger, &self.clock, &self.shared, &self.errands).map_err(io)?;
        self.turns = 0;
        // Attempts whose intent turned out to be durable although nobody was told to carry them out.
        let was_handed_out = |id: &VerificationId| self.memory.has_open_attempt(*id);
        let interrupted = found.in_progress.iter().filter(|(id, _)| !was_handed_out(id));
        self.at_first.extend(interrupted.map(|&(id, gone)| (id, Command::Interrupt { gone })));
        self.memory = Memory::new(found, self.memory.runner, &self.settings.rates, Arc::clone(&self.shared));
        self.opened = Some(opened);
        Ok(())
    }

    fn open_again(&mut self) -> Result<Disk, OpenError> {
        self.opened = None;
        let (path, key_id) = (&self.settings.path, self.settings.key_id);
        match &self.lock {
            Some(lock) => Disk::open_again(path, key_id, Arc::clone(lock)),
            None => Disk::open(path, key_id),
        }
    }

    fn refuse_writes(&mut self, taken: &mut Taken) {
        for mut call in self.waiting.drain(..) {
            call.failed = Some(StoreError::Full);
            call.answer();
        }
        taken.attend.drain(..).for_each(|(_, reply)| drop(reply.send(Err(StoreError::Full))));
        taken.sweeps.drain(..).for_each(|(_, reply)| drop(reply.send(Err(StoreError::Full))));
    }
}

/// Up to [`ORDERS_A_TURN`] orders. The calls that are complete with them, and those that have to wait for sled.
fn carry_out(waiting: &mut VecDeque<Call>, turn: &mut Turn<'_>) -> (Vec<Call>, Vec<Call>) {
    let (mut finished, mut held) = (Vec::new(), Vec::new());
    for _ in 0..ORDERS_A_TURN {
        let Some(call) = waiting.front_mut() else { break };
        if call.orders.as_slice().first().is_some_and(|order| !turn.can_carry_out(order)) {
            held.extend(waiting.pop_front());
            continue;
        }
        if let Some(order) = call.orders.next() {
            match turn.carry_out(order) {
                Ok(answer) => call.answers.push(answer),
                Err(error) => call.failed = Some(error),
            }
        }
        if call.orders.len() == 0 {
            finished.extend(waiting.pop_front());
        }
    }
    (finished, held)
}

/// The end: nothing is known of what was not answered, so nothing more may be answered.
fn stop(reason: &str) -> ! {
    tracing::error!(reason, "the store failed; stopping without answering what is not durable");
    std::process::exit(1)
}
