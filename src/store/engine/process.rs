//! What one process keeps in memory between turns: its agenda, the rates and breakers of its channels, and what it told
//! lately. Nothing of it is stored; a process that starts begins with the agenda alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::gate::Gates;
use super::inflow::Writers;
use crate::store::by_id::ById;
use crate::verification::State;
use crate::verification::state::{Message, Progress};
use crate::verification::values::{AppName, ChannelName, Runner, Timestamp, VerificationId};

/// The same alert of the same channel is raised once in this time.
const ALERT_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Different alerts that are raised in that time; a provider chooses its codes.
const MOST_ALERTED: usize = 1_000;

/// Whether a turn serves what is due.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Agenda {
    Kept,
    /// The server stops: what is due waits for the next start.
    Rested,
}

/// Per process: another process on the same store has its own rates and breakers, and raises an alert once more.
pub struct Process {
    /// This process, as the attempts that it starts name it.
    pub runner: Runner,
    pub gates: Gates,
    pub writers: Writers,
    pub alerts_told: AlertsTold,
    /// Verifications that wait for the rate limit of a channel; their agenda entry excludes the send. One that went on
    /// to another channel keeps its place in the first queue and is skipped there.
    throttled: ById<ChannelName>,
    due: BTreeSet<(Timestamp, VerificationId)>,
    alerted: HashMap<(ChannelName, String), Timestamp>,
}

impl Process {
    /// `rates` in messages a second; `due` are the live verifications.
    pub fn new(
        runner: Runner,
        rates: &BTreeMap<ChannelName, u32>,
        due: impl Iterator<Item = (Timestamp, VerificationId)>,
    ) -> Self {
        Self {
            runner,
            gates: Gates::new(rates),
            writers: Writers::default(),
            alerts_told: AlertsTold::default(),
            throttled: ById::default(),
            due: due.collect(),
            alerted: HashMap::new(),
        }
    }

    /// When there is something to do next.
    pub fn next_due(&self) -> Option<Timestamp> {
        let agenda = self.due.first().map(|&(at, _)| at);
        [agenda, self.gates.next_start()].into_iter().flatten().min()
    }

    pub fn is_in_agenda(&self, id: VerificationId, due: Timestamp) -> bool {
        self.due.contains(&(due, id))
    }

    #[cfg(test)]
    pub fn lose_timers(&mut self) {
        self.due.clear();
    }

    /// The agenda entry of a verification moves.
    pub(super) fn move_due(
        &mut self,
        id: VerificationId,
        before: Option<Timestamp>,
        after: Option<Timestamp>,
    ) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.due.remove(&(before, id));
        }
        if let Some(after) = after {
            self.due.insert((after, id));
        }
    }

    /// The verifications that are due, the earliest first.
    pub(super) fn due_by(&self, now: Timestamp, limit: usize) -> Vec<VerificationId> {
        self.due.iter().take_while(|(at, _)| *at <= now).take(limit).map(|&(_, id)| id).collect()
    }

    pub(super) fn throttle(&mut self, app: &AppName, id: VerificationId, channel: &ChannelName) {
        self.throttled.insert(id, channel.clone());
        self.gates.of(channel).wait(app, id);
    }

    pub(super) fn waits_for(&self, id: VerificationId, channel: &ChannelName) -> bool {
        self.throttled.get(&id) == Some(channel)
    }

    /// Whether the message that is queued waits for its channel's rate limit.
    pub(super) fn is_throttled(&self, state: &State) -> bool {
        let State::Known(verification) = state else { return false };
        let queued = |message: &&Message| matches!(message.progress, Progress::Queued { .. });
        let queued = verification.messages.iter().find(queued);
        queued.is_some_and(|message| self.waits_for(verification.id(), &message.channel))
    }

    /// The next verification that waited for a rate limit and may go on.
    pub(super) fn next_through_gate(&mut self, now: Timestamp) -> Option<VerificationId> {
        let throttled = &self.throttled;
        let next = self.gates.next_waiting(now, |channel, id| throttled.get(&id) == Some(channel))?;
        self.throttled.remove(&next);
        Some(next)
    }

    /// Whether this alert was not raised a moment ago. If so, it counts as raised now.
    pub(super) fn is_news(&mut self, channel: &ChannelName, code: &str, now: Timestamp) -> bool {
        self.alerted.retain(|_, told| now.since(*told) < ALERT_AGAIN_AFTER);
        let key = (channel.clone(), code.to_owned());
        if self.alerted.contains_key(&key) || self.alerted.len() >= MOST_ALERTED {
            return false;
        }
        self.alerted.insert(key, now);
        true
    }
}

/// Fingerprints of alerts that providers raised a short while ago: a repeated webhook may not say when it was first sent.
#[derive(Default)]
pub struct AlertsTold {
    known: HashSet<(ChannelName, String)>,
    order: VecDeque<(Timestamp, (ChannelName, String))>,
}

/// Meta repeats a webhook whose answer it missed after seconds to minutes; what comes later may be news.
const TOLD_AGAIN_WITHIN: Duration = Duration::from_secs(60 * 60);
/// More than any account raises in that time.
const MOST_TOLD: usize = 4_096;

impl AlertsTold {
    pub fn is_first(&mut self, channel: &ChannelName, fingerprint: &str, now: Timestamp) -> bool {
        while let Some((at, _)) = self.order.front()
            && (now.since(*at) >= TOLD_AGAIN_WITHIN || self.order.len() >= MOST_TOLD)
            && let Some((_, old)) = self.order.pop_front()
        {
            self.known.remove(&old);
        }
        let alert = (channel.clone(), fingerprint.to_owned());
        let first = self.known.insert(alert.clone());
        if first {
            self.order.push_back((now, alert));
        }
        first
    }
}
