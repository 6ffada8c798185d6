//! What the thread keeps in memory, rebuilt from the rows at start: the live verifications, which of them is pending
//! for a number, what is due when, and the reports that wait for their message.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::super::Shared;
use super::super::by_id::ById;
use super::super::chain::Head;
use super::super::open::{Found, Parked};
use crate::store::gate::Gates;
use crate::store::{Policies, Snapshot};
use crate::verification::State;
use crate::verification::due::due_of;
use crate::verification::state::{Message, Progress};
use crate::verification::values::{ChannelName, NumberIndex, ProviderRef, Timestamp, VerificationId};

/// The same alert of the same channel is raised once in this time.
const ALERT_AGAIN_AFTER: Duration = Duration::from_secs(60);

pub struct Memory {
    pub policies: Policies,
    pub live: ById<Live>,
    /// The same ones in order of their ids, to be listed.
    pub live_in_order: BTreeSet<VerificationId>,
    pub gates: Gates,
    /// Who stands before which gate. They are in the agenda only for what else they want. One that has gone on to
    /// another channel leaves its place there to nobody.
    pub throttled: ById<ChannelName>,
    pub parked: ParkedReports,
    /// The end of the audit log.
    pub audit: Head,
    pending: HashMap<NumberIndex, Vec<VerificationId>>,
    agenda: BTreeSet<(Timestamp, VerificationId)>,
    alerted: HashMap<(ChannelName, String), Timestamp>,
}

pub struct Live {
    pub snapshot: Arc<Snapshot>,
    /// Where it stands in the agenda.
    due: Timestamp,
}

impl Memory {
    pub fn new(found: Found, rates: &BTreeMap<ChannelName, u32>) -> Self {
        let mut memory = Self {
            policies: found.policies,
            live: ById::default(),
            live_in_order: BTreeSet::new(),
            gates: Gates::new(rates),
            throttled: ById::default(),
            parked: ParkedReports::default(),
            audit: found.audit,
            pending: HashMap::new(),
            agenda: BTreeSet::new(),
            alerted: HashMap::new(),
        };
        for snapshot in found.live {
            let verification = &snapshot.verification;
            if verification.is_pending() {
                memory.note_pending(verification.request.number, verification.id());
            }
            let wanted = due_of(verification);
            memory.put(snapshot, wanted.map(|(at, _)| at));
        }
        let mut parked = found.parked;
        parked.sort_by_key(|report| report.at);
        parked.into_iter().for_each(|report| memory.parked.put(report));
        memory
    }

    pub fn publish_all(&self, shared: &Shared) {
        for (&id, live) in &self.live {
            shared.publish(id, live.snapshot.verification.version, Some(Arc::clone(&live.snapshot)));
        }
    }

    /// Those that had an attempt under way.
    pub fn open_attempts(&self) -> Vec<VerificationId> {
        let has_open = |live: &Live| {
            live.snapshot.verification.messages.iter().any(|message| message.open_attempt.is_some())
        };
        self.live.iter().filter(|(_, live)| has_open(live)).map(|(&id, _)| id).collect()
    }

    /// Its state is durable: it stands in memory and in the agenda while it wants something.
    pub fn put(&mut self, snapshot: Arc<Snapshot>, due: Option<Timestamp>) {
        let (id, number) = (snapshot.verification.id(), snapshot.verification.request.number);
        if !snapshot.verification.is_pending() {
            self.forget_pending(number, id);
        }
        let before = match due {
            Some(due) => {
                self.agenda.insert((due, id));
                self.live.insert(id, Live { snapshot, due })
            }
            None => self.live.remove(&id),
        };
        match (before, due) {
            (Some(before), due) if Some(before.due) != due => {
                self.agenda.remove(&(before.due, id));
                if due.is_none() {
                    self.live_in_order.remove(&id);
                }
            }
            (None, Some(_)) => {
                self.live_in_order.insert(id);
            }
            (Some(_) | None, _) => {}
        }
    }

    /// It stands before a gate: the agenda holds it only for what else it wants.
    pub fn throttle(&mut self, id: VerificationId, channel: &ChannelName) {
        self.throttled.insert(id, channel.clone());
        self.gates.of(channel).wait(id);
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
        while let Some((channel, id)) = self.gates.next_waiting(now) {
            if self.throttled.get(&id) == Some(&channel) {
                self.throttled.remove(&id);
                return Some(id);
            }
        }
        None
    }

    /// Shows monitoring what is under way.
    pub fn measure(&self) {
        metrics::gauge!("twotick_verifications_live").set(self.live.len() as f64);
        self.gates.measure();
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        let agenda = self.agenda.first().map(|&(at, _)| at);
        [agenda, self.gates.next_start()].into_iter().flatten().min()
    }

    /// Whether the agenda will come back to it by itself.
    pub fn is_in_agenda(&self, id: VerificationId) -> bool {
        self.live.get(&id).is_some_and(|live| self.agenda.contains(&(live.due, id)))
    }

    /// Those that are due, the earliest first.
    pub fn due_by(&self, now: Timestamp, limit: usize) -> Vec<VerificationId> {
        self.agenda.iter().take_while(|(at, _)| *at <= now).take(limit).map(|&(_, id)| id).collect()
    }

    pub fn note_pending(&mut self, number: NumberIndex, id: VerificationId) {
        self.pending.entry(number).or_default().push(id);
    }

    fn forget_pending(&mut self, number: NumberIndex, id: VerificationId) {
        if let Some(ids) = self.pending.get_mut(&number) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.pending.remove(&number);
            }
        }
    }

    /// Verifications of this number that were pending when last seen, the newest last.
    pub fn pending_of(&self, number: NumberIndex) -> Vec<VerificationId> {
        self.pending.get(&number).cloned().unwrap_or_default()
    }

    /// Whether an alert is news, and if so that it has been told.
    pub fn is_news(&mut self, channel: &ChannelName, code: &str, now: Timestamp) -> bool {
        self.alerted.retain(|_, told| now.since(*told) < ALERT_AGAIN_AFTER);
        let key = (channel.clone(), code.to_owned());
        if self.alerted.contains_key(&key) {
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

/// Reports that came before the send that they tell of was recorded, by what the provider calls its message.
#[derive(Default)]
pub struct ParkedReports {
    waiting: HashMap<(ChannelName, ProviderRef), Vec<Parked>>,
    /// In the order in which they came.
    order: VecDeque<(Timestamp, ChannelName, ProviderRef)>,
}

/// An answer takes a minute at most, and then nothing can match by the provider's id alone any more.
const PARKED_FOR: Duration = Duration::from_secs(60 * 60);
/// A number that also sends what is not ours brings reports that never match: no more than this are kept.
const MOST_PARKED: usize = 50_000;

impl ParkedReports {
    pub fn put(&mut self, report: Parked) {
        let (at, channel, provider_ref) = (report.at, report.channel.clone(), report.provider_ref.clone());
        self.waiting.entry((channel.clone(), provider_ref.clone())).or_default().push(report);
        self.order.push_back((at, channel, provider_ref));
    }

    /// Whether the same report waits already.
    pub fn holds(&self, report: &Parked) -> bool {
        self.waiting
            .get(&(report.channel.clone(), report.provider_ref.clone()))
            .is_some_and(|reports| reports.iter().any(|other| other.report.status == report.report.status))
    }

    /// What waits for this message, in the order in which it came.
    pub fn take(&mut self, channel: &ChannelName, provider_ref: &ProviderRef) -> Vec<Parked> {
        self.waiting.remove(&(channel.clone(), provider_ref.clone())).unwrap_or_default()
    }

    /// What will never match, at most `limit`.
    pub fn take_old(&mut self, now: Timestamp, limit: usize) -> Vec<Parked> {
        let mut old = Vec::new();
        while old.len() < limit
            && let Some((at, _, _)) = self.order.front()
            && (now.since(*at) > PARKED_FOR || self.order.len() > MOST_PARKED)
            && let Some((_, channel, provider_ref)) = self.order.pop_front()
        {
            old.extend(self.take(&channel, &provider_ref));
        }
        old
    }
}
