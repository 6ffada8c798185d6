//! Keeping sled's log short. sled notes where everything is only when it is opened, and an opening reads all of the log
//! since then, some hundred megabytes a second from memory and a third of that from a cold disk. So it is closed and
//! opened anew from time to time, beside the turns, which write into the interim log until it is back.

use std::time::Duration;

use super::super::interim::Interim;
use super::super::open::{OpenError, WriteError, has_room_for};
use super::ledger::{Ledger, NoStep, Reopening, Step};
use super::{Call, Course, Demand, Opened, READS_A_TURN, Taken, Writer, stop};
use crate::failpoint;

/// Longer than this the log does not get ...
const LONGEST_LOG: u64 = 256 * 1024 * 1024;
const SHORT_LOG: u64 = 64 * 1024;
/// ... nor longer than one part in so many where nothing has come for [`QUIET_AFTER`].
const QUIET_SHARE: u64 = 8;
pub const QUIET_AFTER: Duration = Duration::from_secs(1);
/// Calls and other jobs that may wait for sled: as many as wait for a thread that does nothing else.
const MOST_HELD: usize = super::super::QUEUE;
/// What turns may write while sled is away: two seconds of 10,000 reports each.
const MOST_INTERIM: u64 = 4 * 1024 * 1024;

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

    fn hold(&mut self, taken: &mut Taken) {
        self.taken.reads.append(&mut taken.reads);
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
        let disk = self.opened.as_ref().and_then(|opened| opened.ledger.sled().ok());
        disk.is_some_and(|disk| disk.logged() > longest_log() / QUIET_SHARE)
    }

    /// Has sled closed and opened, where its log has become long.
    pub(super) fn shorten_log(&mut self) {
        let longest = if self.demand == Demand::Quiet { longest_log() / QUIET_SHARE } else { longest_log() };
        let is_long = |opened: &Opened| {
            opened.ledger.sled().is_ok_and(|disk| disk.logged() > longest && !disk.is_being_copied())
        };
        if !self.opened.as_ref().is_some_and(is_long) || self.course != Course::Running {
            return;
        }
        self.wait_for_sync();
        self.memory.is_durable(self.turns);
        failpoint::reach("shorten.before");
        let Some(Opened { ledger: Ledger::Sled(disk), .. }) = self.opened.take() else { return };
        let path = self.settings.path.clone();
        // What is in there must find room in sled afterwards.
        let limit = if has_room_for(2 * MOST_INTERIM, &path) { MOST_INTERIM } else { 0 };
        let away = Interim::begin(&path)
            .and_then(|interim| Reopening::start(*disk, interim, limit, path, self.settings.key_id))
            .map_err(|source| OpenError::Io { path: self.settings.path.clone(), source });
        match away.and_then(|away| self.opened(Ledger::Interim(Box::new(away)))) {
            Ok(opened) => self.opened = Some(opened),
            Err(error) => stop(&error.to_string()),
        }
    }

    pub(super) fn reopening(&self) -> Option<&Reopening> {
        match &self.opened {
            Some(Opened { ledger: Ledger::Interim(reopening), .. }) => Some(reopening),
            Some(Opened { ledger: Ledger::Sled(_), .. }) | None => None,
        }
    }

    /// Takes a step towards sled if it is away, or all of them where that cannot wait. What needs sled is held back
    /// until then.
    pub(super) fn go_on_shortening(&mut self, taken: &mut Taken) {
        if let Some(reopening) = self.reopening() {
            if reopening.is_full() || self.held.is_full() || !taken.closings.is_empty() {
                self.end_shortening();
            } else {
                self.step_towards_sled();
            }
        }
        if self.reopening().is_some() {
            self.held.hold(taken);
        } else {
            self.waiting.extend(self.held.calls.drain(..));
            self.held.release_some(taken);
        }
    }

    /// Waits until sled is back.
    pub(super) fn end_shortening(&mut self) {
        while let Some(Opened { ledger: Ledger::Interim(reopening), .. }) = &mut self.opened {
            match reopening.wait() {
                Ok(()) => self.step_towards_sled(),
                Err(reason) => self.cannot_step(reason),
            }
        }
    }

    /// The disk is full: what sled does not have yet stands in the interim log, which is read when there is room.
    pub(super) fn give_up_shortening(&mut self) {
        if let Some(Opened { ledger: Ledger::Interim(reopening), .. }) = &mut self.opened {
            // Whatever came of it, nobody else may have the folder when it is opened next.
            let _ = reopening.wait();
            self.opened = None;
        }
    }

    fn step_towards_sled(&mut self) {
        let Some(Opened { ledger: Ledger::Interim(reopening), .. }) = &mut self.opened else { return };
        match reopening.step() {
            Ok(Step::Waits | Step::CatchesUp) => {}
            Ok(Step::CaughtUp) => self.return_to_sled(),
            Err(reason) => self.cannot_step(reason),
        }
    }

    fn return_to_sled(&mut self) {
        self.wait_for_sync();
        self.memory.is_durable(self.turns);
        let Some(Opened { ledger: Ledger::Interim(reopening), .. }) = self.opened.take() else { return };
        let (took, log_bytes) = (reopening.took.elapsed(), reopening.log_bytes);
        let disk = match reopening.finish() {
            Ok(Some(disk)) => disk,
            Ok(None) => return,
            Err(error) => return self.write_failed(error),
        };
        match self.opened(Ledger::Sled(Box::new(disk))) {
            Ok(opened) => self.opened = Some(opened),
            Err(error) => stop(&error.to_string()),
        }
        metrics::histogram!("twotick_store_reopen_duration_seconds").record(took.as_secs_f64());
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(took_ms, log_bytes, "sled was opened anew, so that the next start is quick");
    }

    fn cannot_step(&mut self, reason: NoStep) {
        match reason {
            NoStep::Opening(OpenError::Full { .. }) => self.write_failed(WriteError::Full),
            NoStep::Opening(error) => stop(&error.to_string()),
            NoStep::Writing(error) => self.write_failed(error),
            NoStep::Nobody => stop("the thread that opens sled anew is gone"),
        }
    }
}

/// Bytes that sled's log may get long.
fn longest_log() -> u64 {
    if cfg!(test) || failpoint::log_is_short() { SHORT_LOG } else { LONGEST_LOG }
}
