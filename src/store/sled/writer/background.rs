//! What the store's thread does beside turns: it gives sled the rows of durable turns, makes checkpoints, and has sled
//! opened again where its log became long.

use super::super::error::{OpenError, WriteError};
use super::super::open;
use super::super::table::disk;
use super::opened::Open;
use super::{Course, MOST_HELD, QUIET_SHARE, Taken, Writer, stop};
use crate::clock::Stopwatch;
use crate::failpoint;

/// Steps that a checkpoint takes after each turn while the log has more segments than it should.
const STEPS_WHEN_BEHIND: usize = 4;

impl Writer {
    pub(super) fn disk(&self) -> Option<&disk::Disk> {
        self.open.as_ref().and_then(|open| open.memory.table.disk())
    }

    pub(super) fn is_sled_away(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.memory.table.disk().is_none())
    }

    pub(super) fn has_sled_for_held(&self) -> bool {
        let is_held = !self.held.calls.is_empty() || !self.held.reads.is_empty();
        is_held && !self.is_sled_away()
    }

    /// Takes a step in the background. Whether another one may follow at once.
    pub(super) fn step(&mut self) -> bool {
        let course = self.course;
        let Some(open) = &mut self.open else { return false };
        match open.memory.table.come_back() {
            Ok(Some((took, log_bytes))) => self.sled_is_back(&took, log_bytes),
            Ok(None) => {}
            Err(error) => self.opening_failed(&error),
        }
        let Some(open) = &mut self.open else { return false };
        match open.step(course) {
            Ok(is_more) => is_more,
            Err(error) => {
                self.write_failed(error);
                false
            }
        }
    }

    pub(super) fn sled_is_back(&mut self, took: &Stopwatch, log_bytes: u64) {
        if let Some(open) = &mut self.open {
            open.config = open.memory.table.disk().map(disk::Disk::config).unwrap_or_default();
            open.sync_elsewhere();
        }
        let took = took.elapsed();
        metrics::histogram!("twotick_store_reopen_duration_seconds").record(took.as_secs_f64());
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(took_ms, log_bytes, "reopened sled to write its snapshot (bounds the next start)");
    }

    pub(super) fn opening_failed(&mut self, error: &OpenError) {
        match error {
            OpenError::Full { .. } => self.write_failed(WriteError::Full),
            error => stop(&error.to_string()),
        }
    }

    /// Before a turn: releases what sled was waited for, and waits for sled where it is too far behind.
    pub(super) fn keep_sled_up(&mut self, taken: &mut Taken) {
        if self.is_sled_away() {
            self.step();
        }
        let is_held_full = self.held.calls.len() + self.held.reads.len() >= MOST_HELD;
        if is_held_full || !taken.closings.is_empty() {
            self.wait_for_sled();
        }
        let is_far_behind = |open: &Open| open.memory.table.is_far_behind();
        while self.course == Course::Running && self.open.as_ref().is_some_and(is_far_behind) {
            if self.is_sled_away() {
                self.wait_for_sled();
            } else {
                self.wait_for_sync();
                self.step();
            }
        }
        if !self.is_sled_away() {
            self.release_held(taken);
        }
    }

    pub(super) fn release_held(&mut self, taken: &mut Taken) {
        for call in self.held.calls.drain(..).rev() {
            self.waiting.push_front(call);
        }
        taken.reads.splice(..0, self.held.reads.drain(..));
    }

    /// Waits until sled is open and has all rows.
    pub(super) fn wait_for_sled(&mut self) {
        self.wait_for_sync();
        while let Some(open) = &mut self.open
            && matches!(self.course, Course::Running | Course::Closing)
        {
            match open.memory.table.wait() {
                Ok(Some((took, log_bytes))) => self.sled_is_back(&took, log_bytes),
                Ok(None) if open.memory.table.is_caught_up() => return,
                Ok(None) => {
                    let durable = open.durable();
                    if let Err(error) = open.memory.table.step(durable) {
                        self.write_failed(error);
                    } else if let Some(open) = &self.open
                        && !open.memory.table.can_step(durable)
                    {
                        return;
                    }
                }
                Err(error) => self.opening_failed(&error),
            }
        }
    }

    /// Whether there is something to shorten, with one part in `share` of what there may be.
    pub(super) fn has_long_logs(&self, open: &Open, share: u64) -> bool {
        let has_old = open.log.has_old() && !open.checkpoint.is_under_way();
        has_old || open.memory.table.has_long_log(share)
    }

    /// Begins a checkpoint, or has sled opened again, where a log has become long or there is time for it.
    pub(super) fn shorten_logs(&mut self) {
        let is_quiet = self.is_quiet();
        let (path, course) = (self.settings.path.clone(), self.course);
        #[cfg(test)]
        let stay_away = self.stay_away.take();
        let Some(open) = self.open.as_mut().filter(|_| course == Course::Running) else { return };
        if open.log.is_long() || is_quiet && open.log.has_old() {
            open.checkpoint.begin(&mut open.log);
        }
        if open.checkpoint.is_under_way() && open.log.is_long() {
            let steps = if open.log.is_too_long() { STEPS_WHEN_BEHIND } else { 1 };
            for _ in 0..steps {
                self.step();
            }
        }
        let Some(open) = self.open.as_mut() else { return };
        let share = if is_quiet { QUIET_SHARE } else { 1 };
        let is_long = open.memory.table.has_long_log(share);
        #[cfg(test)]
        let is_long = is_long || stay_away.is_some();
        if !is_long || open.checkpoint.synced().is_some() {
            return;
        }
        failpoint::reach("shorten.before");
        let applied = open.memory.table.applied();
        let reopen = move || {
            #[cfg(test)]
            stay_away.map(|until| until.recv());
            open::reopen(&path, applied)
        };
        if let Err(error) = open.memory.table.reopen(reopen) {
            stop(&error.to_string());
        }
    }
}
