//! Whether a channel may start a message now: its rate, its number of open requests, its breaker.
//! In memory and per process: after a restart a channel begins rested and closed, and two processes on one store each
//! allow the whole rate.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::verification::Readiness;
use crate::verification::values::{AppName, ChannelName, ErrorClass, Timestamp, VerificationId};

/// How long a channel whose sender was refused is left alone before one message probes it.
const BREAKER_OPEN_FOR: Duration = Duration::from_secs(60);
/// How far a start may catch up on a late wake-up: less than 2 % of a second, so that the rate holds in any second.
const CATCH_UP_MICROS: i64 = 15_000;
/// Requests of one channel under way at once. At Meta's 80 a second with a 10 s time-out 800 could be open when
/// it answers nothing; past half of that, waiting is better than opening more sockets to who is not there.
const MAX_OPEN: usize = 400;

#[derive(Default)]
pub struct Gates(BTreeMap<ChannelName, Gate>);

impl Gates {
    /// `rates` in messages a second; a channel without one is only held by its number of open requests.
    pub fn new(rates: &BTreeMap<ChannelName, u32>) -> Self {
        let gate =
            |rate: &u32| Gate { interval_micros: 1_000_000 / i64::from((*rate).max(1)), ..Gate::default() };
        Self(rates.iter().map(|(name, rate)| (name.clone(), gate(rate))).collect())
    }

    pub fn of(&mut self, channel: &ChannelName) -> &mut Gate {
        self.0.entry(channel.clone()).or_default()
    }

    /// When the next message that waits could start.
    pub fn next_start(&self) -> Option<Timestamp> {
        self.0.values().filter_map(Gate::next_start).min()
    }

    /// Shows monitoring how each channel is.
    pub fn measure(&self) {
        for (name, gate) in &self.0 {
            let channel = metrics::SharedString::from(name.as_str().to_owned());
            metrics::gauge!("twotick_messages_waiting", "channel" => channel.clone())
                .set(gate.waiting.count as f64);
            let open = match gate.breaker {
                Breaker::Closed => 0.0,
                Breaker::Open { .. } => 1.0,
            };
            metrics::gauge!("twotick_breaker_open", "channel" => channel).set(open);
        }
    }

    /// One that waits and may start now, or must be told that it may not at all, and before which gate it waited.
    /// `still_waits` says whether one that once waited there still does.
    pub fn next_waiting(
        &mut self,
        now: Timestamp,
        still_waits: impl Fn(&ChannelName, VerificationId) -> bool,
    ) -> Option<VerificationId> {
        self.0.iter_mut().find_map(|(name, gate)| match gate.readiness(now) {
            Readiness::Ready | Readiness::BreakerOpen => gate.waiting.pop(|id| still_waits(name, id)),
            Readiness::Throttled => None,
        })
    }
}

#[derive(Default)]
pub struct Gate {
    interval_micros: i64,
    /// When the next message may start, in microseconds since the epoch.
    next_slot_micros: i64,
    open: usize,
    breaker: Breaker,
    waiting: Waiting,
}

/// Apps take turns, so that the backlog of one does not delay the others: with n apps waiting each has an n-th of the
/// rate. Within an app, first come, first served.
#[derive(Default)]
struct Waiting {
    of_app: HashMap<AppName, VecDeque<VerificationId>>,
    /// The apps that have messages waiting, the next one first.
    turns: VecDeque<AppName>,
    count: usize,
}

impl Waiting {
    fn push(&mut self, app: &AppName, id: VerificationId) {
        self.count += 1;
        match self.of_app.get_mut(app) {
            Some(waiting) => waiting.push_back(id),
            None => {
                self.of_app.insert(app.clone(), VecDeque::from([id]));
                self.turns.push_back(app.clone());
            }
        }
    }

    /// The next one that still waits. Those that do not are dropped, and cost their app no turn.
    fn pop(&mut self, still_waits: impl Fn(VerificationId) -> bool) -> Option<VerificationId> {
        while let Some(app) = self.turns.pop_front() {
            let Some(waiting) = self.of_app.get_mut(&app) else { continue };
            let before = waiting.len();
            let found = std::iter::from_fn(|| waiting.pop_front()).find(|&id| still_waits(id));
            self.count -= before - waiting.len();
            if waiting.is_empty() {
                self.of_app.remove(&app);
            } else {
                self.turns.push_back(app);
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Breaker {
    #[default]
    Closed,
    /// Nothing starts before `until`; then one message probes, and the others go on being skipped until its outcome.
    Open { until: Timestamp },
}

impl Gate {
    /// Changes nothing; [`Gate::started`] takes the slot.
    pub fn readiness(&self, now: Timestamp) -> Readiness {
        match self.breaker {
            Breaker::Open { until } if now < until => Readiness::BreakerOpen,
            Breaker::Open { .. } | Breaker::Closed
                if micros(now) < self.next_slot_micros || self.open >= MAX_OPEN =>
            {
                Readiness::Throttled
            }
            Breaker::Open { .. } | Breaker::Closed => Readiness::Ready,
        }
    }

    /// `true` where somebody stands before it.
    pub fn has_waiting(&self) -> bool {
        self.waiting.count > 0
    }

    pub fn wait(&mut self, app: &AppName, id: VerificationId) {
        self.waiting.push(app, id);
    }

    pub fn started(&mut self, now: Timestamp) {
        self.open += 1;
        self.next_slot_micros =
            self.next_slot_micros.max(micros(now) - CATCH_UP_MICROS) + self.interval_micros;
        if let Breaker::Open { until } = &mut self.breaker {
            *until = now + BREAKER_OPEN_FOR;
        }
    }

    /// An attempt has an outcome; `refused` is the class of its refusal.
    pub fn finished(&mut self, outcome: Finished, now: Timestamp) {
        self.open = self.open.saturating_sub(1);
        match outcome {
            Finished::Refused(ErrorClass::Sender) => self.open_breaker(now),
            Finished::Accepted
            | Finished::Refused(
                ErrorClass::Fallback
                | ErrorClass::Recipient
                | ErrorClass::Configuration
                | ErrorClass::InDoubt,
            ) => self.breaker = Breaker::Closed,
            Finished::Refused(ErrorClass::Retry) | Finished::InDoubt => {}
        }
    }

    pub fn open_breaker(&mut self, now: Timestamp) {
        self.breaker = Breaker::Open { until: now + BREAKER_OPEN_FOR };
    }

    fn next_start(&self) -> Option<Timestamp> {
        // One that waits for an open request to end is served in the turn that records its outcome.
        let held_by_rate = self.has_waiting() && self.open < MAX_OPEN;
        held_by_rate.then(|| Timestamp::from_millis((self.next_slot_micros + 999) / 1_000))
    }
}

/// What an attempt came to, as far as its channel is concerned.
#[derive(Clone, Copy)]
pub enum Finished {
    Accepted,
    Refused(ErrorClass),
    InDoubt,
}

fn micros(at: Timestamp) -> i64 {
    at.as_millis().saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::values::Bucket;

    fn shop() -> AppName {
        AppName::new("shop")
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + millis)
    }

    #[test]
    fn the_rate_holds_within_two_percent_however_late_the_wake_ups_are() {
        for lateness in [0, 3, 7, 14] {
            let mut gate = Gate { interval_micros: 12_500, ..Gate::default() };
            let (mut now, mut starts) = (0, Vec::new());
            while now < 10_000 {
                while gate.readiness(at(now)) == Readiness::Ready {
                    gate.started(at(now));
                    gate.finished(Finished::Accepted, at(now));
                    starts.push(now);
                }
                now = (gate.next_slot_micros + 999) / 1_000 - at(0).as_millis() + lateness;
            }
            let most = (0..9_000)
                .map(|from| starts.iter().filter(|&&s| s >= from && s < from + 1_000).count())
                .max();
            assert!((784..=816).contains(&starts.len()), "{} in 10 s when {lateness} ms late", starts.len());
            assert!(most <= Some(82), "{most:?} in one second when {lateness} ms late");
        }
    }

    #[test]
    fn a_refused_sender_rests_for_a_minute_and_then_one_message_probes() {
        let mut gate = Gate::default();
        gate.started(at(0));
        gate.finished(Finished::Refused(ErrorClass::Sender), at(0));
        assert_eq!(gate.readiness(at(59_999)), Readiness::BreakerOpen);
        assert_eq!(gate.readiness(at(60_000)), Readiness::Ready);
        gate.started(at(60_000));
        assert_eq!(gate.readiness(at(60_001)), Readiness::BreakerOpen, "one probe, not many");
        gate.finished(Finished::Accepted, at(60_100));
        assert_eq!(gate.readiness(at(60_100)), Readiness::Ready);
    }

    #[test]
    fn monitoring_sees_the_breaker_and_who_waits() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let channel = ChannelName::new("whatsapp");
        let mut gates = Gates::default();
        let mut shown = |change: fn(&mut Gate)| {
            change(gates.of(&channel));
            metrics::with_local_recorder(&recorder, || gates.measure());
            let text = recorder.handle().render();
            ["breaker_open", "messages_waiting"].map(|name| {
                let line = format!("twotick_{name}{{channel=\"whatsapp\"}} ");
                text.split_once(&line).map(|(_, value)| value.starts_with('1')).expect(name)
            })
        };
        assert_eq!(shown(|_| {}), [false, false]);
        assert_eq!(shown(|gate| gate.open_breaker(at(0))), [true, false]);
        assert_eq!(
            shown(|gate| gate.wait(&shop(), VerificationId::new(at(0), Bucket::new(1), 1))),
            [true, true]
        );
        assert_eq!(shown(|gate| gate.finished(Finished::Accepted, at(1))), [false, true]);
    }

    #[test]
    fn open_requests_are_bounded_and_one_app_is_served_in_order() {
        let mut gates = Gates::default();
        let channel = ChannelName::new("sms");
        for _ in 0..MAX_OPEN {
            assert_eq!(gates.of(&channel).readiness(at(0)), Readiness::Ready);
            gates.of(&channel).started(at(0));
        }
        assert_eq!(gates.of(&channel).readiness(at(0)), Readiness::Throttled);
        let ids: Vec<_> = (1..3).map(|n| VerificationId::new(at(0), Bucket::new(1), n)).collect();
        ids.iter().for_each(|&id| gates.of(&channel).wait(&shop(), id));
        assert_eq!(gates.next_waiting(at(0), |_, _| true), None);
        gates.of(&channel).finished(Finished::InDoubt, at(0));
        assert_eq!(gates.next_waiting(at(0), |_, _| true), Some(ids[0]));
    }

    #[test]
    fn apps_take_turns_and_what_waits_no_more_costs_no_turn() {
        let id = |n: u64| VerificationId::new(at(0), Bucket::new(1), n);
        let (mut waiting, bank) = (Waiting::default(), AppName::new("bank"));
        (0..6).for_each(|n| waiting.push(&shop(), id(n)));
        (10..12).for_each(|n| waiting.push(&bank, id(n)));
        let gone = [id(1), id(2)];
        let mut served = Vec::new();
        while let Some(next) = waiting.pop(|id| !gone.contains(&id)) {
            served.push(next);
        }
        assert_eq!(served, [0, 10, 3, 11, 4, 5].map(id));
        assert_eq!((waiting.count, waiting.of_app.len(), waiting.turns.len()), (0, 0, 0));
    }
}
