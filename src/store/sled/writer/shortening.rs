//! What the thread does for sled: gives it what the turns wrote, and keeps its log short. sled notes where everything is
//! only when it is opened, and an opening reads all of the log since then, some hundred megabytes a second from memory
//! and a third of that from a cold disk. So it is closed and opened anew from time to time, beside the turns.

use std::time::Duration;

use super::super::open::{Disk, OpenError, WriteError};
use super::ledger::{NoStep, Step};
use super::{Call, Course, Demand, Look, Opened, READS_A_TURN, Taken, Writer, stop};
use crate::failpoint;
use crate::store::Order;

/// Longer than this the log does not get ...
const LONGEST_LOG: u64 = 128 * 1024 * 1024;
const SHORT_LOG: u64 = 64 * 1024;
/// ... nor longer than one part in so many where nothing has come for [`QUIET_AFTER`].
const QUIET_SHARE: u64 = 4;
pub const QUIET_AFTER: Duration = Duration::from_secs(1);
/// Calls and other jobs that may wait for sled: as many as wait for a thread that does nothing else.
const MOST_HELD: usize = super::super::QUEUE;

/// What needs sled and came while it was away.
#[derive(Default)]
pub struct Held {
    pub calls: Vec<Call>,
    taken: Taken,
}

impl Held {
    pub fn is_empty(&self) -> bool {
        let Self { calls, taken: Taken { reads, attend, sweeps, closings: _ } } = self;
        calls.is_empty() && reads.is_empty() && attend.is_empty() && sweeps.is_empty()
    }

    fn is_full(&self) -> bool {
        self.calls.len() + self.taken.reads.len() >= MOST_HELD
    }

    pub fn hold_reads(&mut self, reads: &mut Vec<Look>) {
        self.taken.reads.append(reads);
    }

    fn hold(&mut self, taken: &mut Taken) {
        self.hold_reads(&mut taken.reads);
        self.taken.attend.append(&mut taken.attend);
        self.taken.sweeps.append(&mut taken.sweeps);
    }

    /// As much as one turn does, what came first before the rest.
    fn release_some(&mut self, taken: &mut Taken) {
        self.hold(taken);
        let reads = self.taken.reads.len().min(READS_A_TURN);
        taken.reads.extend(self.taken.reads.drain(..reads));
        taken.attend.append(&mut self.taken.attend);
        taken.sweeps.append(&mut self.taken.sweeps);
    }
}

impl Writer {
    /// Whether sled is to be opened anew if nothing comes now.
    pub(super) fn is_log_long_for_quiet(&self) -> bool {
        self.has_log_over(longest_log() / QUIET_SHARE)
    }

    /// Has sled closed and opened, where its log has become long.
    pub(super) fn shorten_log(&mut self) {
        let longest = if self.demand == Demand::Quiet { longest_log() / QUIET_SHARE } else { longest_log() };
        if !self.has_log_over(longest) || self.course != Course::Running {
            return;
        }
        self.wait_for_sled();
        failpoint::reach("shorten.before");
        let (path, key_id, lock) = (self.settings.path.clone(), self.settings.key_id, self.lock.clone());
        let open = move |batches| {
            #[cfg(test)]
            super::super::away::stay_while_told(&path);
            match lock {
                Some(lock) => Disk::open_beside_turns(&path, key_id, lock, batches),
                None => Err(OpenError::InUse { path }),
            }
        };
        if let Some(Opened { ledger, .. }) = &mut self.opened
            && let Err(error) = ledger.reopen(open)
        {
            stop(&error.to_string());
        }
    }

    fn has_log_over(&self, longest: u64) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.ledger.has_log_over(longest))
    }

    /// Sled, where it has everything.
    pub(super) fn sled(&self) -> Option<&Disk> {
        self.opened.as_ref().and_then(|opened| opened.ledger.sled().ok())
    }

    /// Whether there is something to do for sled, or for who waits for it.
    pub(super) fn has_work_for_sled(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.ledger.can_step()) || self.has_held_enough()
    }

    /// Whether who waits for sled need not wait any more.
    pub(super) fn has_held_enough(&self) -> bool {
        let is_there = self.opened.as_ref().is_none_or(|opened| opened.ledger.sled().is_ok());
        !self.held.is_empty() && is_there
    }

    /// Before a turn: sled takes a step if it lags behind, or all of them where that cannot wait. What needs it is held
    /// back until then.
    pub(super) fn mind_sled(&mut self, taken: &mut Taken) {
        let is_far_behind = self.opened.as_ref().is_some_and(|opened| opened.ledger.is_far_behind());
        if is_far_behind || self.held.is_full() || !taken.closings.is_empty() {
            self.wait_for_sled();
        } else if self.sled().is_none() && self.needs_sled(taken) {
            self.give_to_sled();
        }
        if self.opened.is_some() && self.sled().is_none() {
            self.held.hold(taken);
        } else {
            self.waiting.extend(self.held.calls.drain(..));
            self.held.release_some(taken);
        }
    }

    /// Whether somebody waits for something that perhaps only sled knows, or nobody for anything.
    fn needs_sled(&self, taken: &Taken) -> bool {
        let looks = |call: &Call| !matches!(call.orders.as_slice().first(), Some(Order::Report { .. }));
        let Taken { reads, attend, sweeps, closings: _ } = taken;
        let is_asked = !reads.is_empty() || !attend.is_empty() || !sweeps.is_empty();
        is_asked || !self.held.is_empty() || self.waiting.is_empty() || self.waiting.iter().any(looks)
    }

    /// After a turn: sled takes a step, if there is enough for one.
    pub(super) fn keep_sled_up(&mut self) {
        if self.opened.as_ref().is_some_and(|opened| opened.ledger.is_behind()) {
            self.give_to_sled();
        }
    }

    pub(super) fn give_to_sled(&mut self) {
        let Some(Opened { ledger, .. }) = &mut self.opened else { return };
        let step = ledger.step();
        self.stepped(step);
    }

    /// Waits until sled has everything.
    pub(super) fn wait_for_sled(&mut self) {
        while let Some(Opened { ledger, .. }) = &mut self.opened
            && ledger.sled().is_err()
        {
            let step = if ledger.can_step() { ledger.step() } else { ledger.wait() };
            self.stepped(step);
        }
    }

    /// The disk is full. Where sled can have everything all the same it can be read; what it does not have stands in the
    /// write-ahead log, which is read when there is room.
    pub(super) fn give_up_sled(&mut self) {
        let Some(Opened { ledger, .. }) = &mut self.opened else { return };
        // Whatever comes of it, nobody else may have the folder when it is opened next.
        let mut step = ledger.wait();
        while step.is_ok() && ledger.can_step() {
            step = ledger.step();
        }
        if step.is_err() || ledger.sled().is_err() {
            self.opened = None;
        }
        self.sync_elsewhere();
    }

    fn stepped(&mut self, step: Result<Step, NoStep>) {
        match step {
            Ok(Step::Taken) => {}
            Ok(Step::TurnedOver) => self.sync_elsewhere(),
            Ok(Step::Back { took, log_bytes }) => {
                self.sync_elsewhere();
                let took = took.elapsed();
                metrics::histogram!("twotick_store_reopen_duration_seconds").record(took.as_secs_f64());
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(took_ms, log_bytes, "sled was opened anew, so that the next start is quick");
            }
            Err(NoStep::Opening(OpenError::Full { .. })) => self.write_failed(WriteError::Full),
            Err(NoStep::Opening(error)) => stop(&error.to_string()),
            Err(NoStep::Writing(error)) => self.write_failed(error),
            Err(NoStep::Nobody) => stop("a thread that works for the store is gone"),
        }
    }

    fn sync_elsewhere(&self) {
        if let Some(Opened { ledger, syncer }) = &self.opened {
            syncer.go_on_with(ledger.platter());
        }
    }
}

/// Bytes that sled's log may get long.
fn longest_log() -> u64 {
    if cfg!(test) || failpoint::log_is_short() { SHORT_LOG } else { LONGEST_LOG }
}
