//! What the thread knows by heart, rebuilt from the rows at start: the live verifications, which of them is pending
//! for a number, what is due when, and the reports that wait for their message.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::super::Shared;
use super::super::by_id::ById;
use super::super::chain::Head;
use super::super::journal::Journal;
use super::super::live::Live;
use super::super::load::Found;
use crate::store::LogPosition;
use crate::store::gate::Gates;
use crate::store::inflow::Writers;
use crate::store::parked::ParkedReports;
use crate::verification::State;
use crate::verification::Verification;
use crate::verification::state::{Message, Progress};
use crate::verification::values::{AppName, ChannelName, NumberIndex, Runner, Timestamp, VerificationId};

/// The same alert of the same channel is raised once in this time.
const ALERT_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Different alerts that are raised in that time; a provider chooses its codes.
const MOST_ALERTED: usize = 1_000;

pub struct Memory {
    /// What readers see, and so the live verifications as they are on the disk.
    shared: Arc<Shared>,
    /// As turns left them that are not durable yet.
    ahead: ById<Ahead>,
    /// Which verifications each of those turns touched.
    undurable: VecDeque<(u64, Vec<VerificationId>)>,
    /// The live ones in order of their ids, to be listed.
    pub live_in_order: BTreeSet<VerificationId>,
    pub gates: Gates,
    /// This process, as it stands in the attempts that it starts.
    pub runner: Runner,
    /// Who stands before which gate. They are in the agenda only for what else they want. One that has gone on to
    /// another channel leaves its place there to nobody.
    pub throttled: ById<ChannelName>,
    pub parked: ParkedReports,
    /// Where the alerts stand, the oldest first.
    pub alerts: BTreeSet<LogPosition>,
    pub writers: Writers,
    /// The end of the audit log.
    pub audit: Head,
    pub journal: Journal,
    pending: BTreeSet<(NumberIndex, VerificationId)>,
    agenda: BTreeSet<(Timestamp, VerificationId)>,
    /// Per process: another process on the same store raises the same alert once more.
    alerted: HashMap<(ChannelName, String), Timestamp>,
    pub alerts_told: AlertsTold,
}

struct Ahead {
    turn: u64,
    /// `None`: it wants nothing more.
    live: Option<Live>,
}

impl Memory {
    pub fn new(
        found: Found,
        runner: Runner,
        rates: &BTreeMap<ChannelName, u32>,
        shared: Arc<Shared>,
    ) -> Self {
        let mut memory = Self {
            shared,
            ahead: ById::default(),
            undurable: VecDeque::new(),
            live_in_order: found.live.iter().map(|found| found.id).collect(),
            gates: Gates::new(rates),
            runner,
            throttled: ById::default(),
            parked: ParkedReports::default(),
            alerts: found.alerts.into_iter().collect(),
            writers: Writers::default(),
            audit: found.audit,
            journal: found.journal,
            pending: BTreeSet::new(),
            agenda: found.live.iter().map(|found| (found.live.head().due, found.id)).collect(),
            alerted: HashMap::new(),
            alerts_told: AlertsTold::default(),
        };
        memory.pending.extend(found.live.iter().filter_map(|found| Some((found.pending_for?, found.id))));
        memory.shared.replace_all(found.policies, found.live.into_iter().map(|found| (found.id, found.live)));
        let mut parked = found.parked;
        parked.sort_by_key(|report| report.at);
        memory.parked = ParkedReports::found(parked);
        memory
    }

    /// As the last turn left it, durable or not.
    pub fn live(&self, id: VerificationId) -> Option<Live> {
        match self.ahead.get(&id) {
            Some(ahead) => ahead.live.clone(),
            None => self.shared.live(id),
        }
    }

    pub fn is_live(&self, id: VerificationId) -> bool {
        self.live_in_order.contains(&id)
    }

    /// Whether somebody was told to carry out an attempt of it.
    pub fn has_open_attempt(&self, id: VerificationId) -> bool {
        let state = self.live(id).and_then(|live| live.state(id).ok());
        matches!(state, Some(State::Known(known)) if known.messages.iter().any(|one| one.open_attempt.is_some()))
    }

    /// What `turn` left of it stands here, and in the agenda while it wants something. `before` is how it was.
    pub fn put(&mut self, turn: u64, before: Option<&Live>, verification: &Verification, live: Option<Live>) {
        let id = verification.id();
        if !verification.is_pending() {
            self.pending.remove(&(verification.request.number, id));
        }
        let due_before = before.map(|live| live.head().due);
        let due = live.as_ref().map(|live| live.head().due);
        if due_before != due {
            if let Some(due) = due_before {
                self.agenda.remove(&(due, id));
            }
            if let Some(due) = due {
                self.agenda.insert((due, id));
            }
        }
        match (due_before, due) {
            (None, Some(_)) => {
                self.live_in_order.insert(id);
            }
            (Some(_), None) => {
                self.live_in_order.remove(&id);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        self.ahead.insert(id, Ahead { turn, live });
        match self.undurable.back_mut() {
            Some((last, touched)) if *last == turn => touched.push(id),
            Some(_) | None => self.undurable.push_back((turn, vec![id])),
        }
    }

    /// What turns up to this one left is durable and seen by readers.
    pub fn is_durable(&mut self, turn: u64) {
        while let Some((done, touched)) = self.undurable.pop_front_if(|(done, _)| *done <= turn) {
            for id in touched {
                if self.ahead.get(&id).is_some_and(|ahead| ahead.turn == done) {
                    self.ahead.remove(&id);
                }
            }
        }
    }

    /// It waits before a gate: the agenda holds it only for what else is due.
    pub fn throttle(&mut self, app: &AppName, id: VerificationId, channel: &ChannelName) {
        self.throttled.insert(id, channel.clone());
        self.gates.of(channel).wait(app, id);
    }

    /// Whether what it wants to send waits for its channel.
    pub fn stands_at_gate(&self, state: &State) -> bool {
        let State::Known(verification) = state else { return false };
        let queued = |message: &&Message| matches!(message.progress, Progress::Queued { .. });
        let queued = verification.messages.iter().find(queued);
        queued.is_some_and(|message| self.throttled.get(&verification.id()) == Some(&message.channel))
    }

    /// One that stood before a gate and may pass it now.
    pub fn next_through_gate(&mut self, now: Timestamp) -> Option<VerificationId> {
        let throttled = &self.throttled;
        let next = self.gates.next_waiting(now, |channel, id| throttled.get(&id) == Some(channel))?;
        self.throttled.remove(&next);
        Some(next)
    }

    /// Shows monitoring what is under way.
    pub fn measure(&self) {
        metrics::gauge!("twotick_verifications_live").set(self.live_in_order.len() as f64);
        metrics::gauge!("twotick_parked_reports").set(self.parked.len() as f64);
        self.gates.measure();
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        let agenda = self.agenda.first().map(|&(at, _)| at);
        [agenda, self.gates.next_start()].into_iter().flatten().min()
    }

    /// Whether the agenda will come back to it by itself.
    pub fn is_in_agenda(&self, id: VerificationId) -> bool {
        self.live(id).is_some_and(|live| self.agenda.contains(&(live.head().due, id)))
    }

    /// Those that are due, the earliest first.
    pub fn due_by(&self, now: Timestamp, limit: usize) -> Vec<VerificationId> {
        self.agenda.iter().take_while(|(at, _)| *at <= now).take(limit).map(|&(_, id)| id).collect()
    }

    pub fn note_pending(&mut self, number: NumberIndex, id: VerificationId) {
        self.pending.insert((number, id));
    }

    /// Verifications of this number that were pending when last seen, the newest last.
    pub fn pending_of(&self, number: NumberIndex) -> Vec<VerificationId> {
        let (first, last) = (VerificationId::first_at(Timestamp::default()), VerificationId::LAST);
        self.pending.range((number, first)..=(number, last)).map(|&(_, id)| id).collect()
    }

    /// Whether an alert is news, and if so that it has been told.
    pub fn is_news(&mut self, channel: &ChannelName, code: &str, now: Timestamp) -> bool {
        self.alerted.retain(|_, told| now.since(*told) < ALERT_AGAIN_AFTER);
        let key = (channel.clone(), code.to_owned());
        if self.alerted.contains_key(&key) || self.alerted.len() >= MOST_ALERTED {
            return false;
        }
        self.alerted.insert(key, now);
        true
    }

    #[cfg(test)]
    pub fn lose_timer(&mut self) {
        self.agenda.clear();
    }
}

/// What providers told operators a short while ago: a webhook that comes again may not say when it was first sent.
#[derive(Default)]
pub struct AlertsTold {
    known: HashSet<(ChannelName, String)>,
    order: VecDeque<(Timestamp, (ChannelName, String))>,
}

/// Meta repeats a webhook whose answer it missed after seconds to minutes; what comes later may be news.
const TOLD_AGAIN_WITHIN: Duration = Duration::from_secs(60 * 60);
/// More than any account has to tell in that time.
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
