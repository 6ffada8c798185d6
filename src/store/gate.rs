//! Whether a channel may start a message now: its rate, its number of open requests, its breaker.
//! In memory only: after a restart a channel begins rested and closed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::verification::Readiness;
use crate::verification::values::{ChannelName, ErrorClass, Timestamp, VerificationId};

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
                .set(gate.waiting.len() as f64);
            let open = match gate.breaker {
                Breaker::Closed => 0.0,
                Breaker::Open { .. } => 1.0,
            };
            metrics::gauge!("twotick_breaker_open", "channel" => channel).set(open);
        }
    }

    /// One that waits and may start now, or must be told that it may not at all, and before which gate it stood.
    pub fn next_waiting(&mut self, now: Timestamp) -> Option<(ChannelName, VerificationId)> {
        self.0.iter_mut().find_map(|(name, gate)| match gate.readiness(now) {
            Readiness::Ready | Readiness::BreakerOpen => {
                gate.waiting.pop_front().map(|id| (name.clone(), id))
            }
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
    /// First come, first served.
    waiting: VecDeque<VerificationId>,
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
        !self.waiting.is_empty()
    }

    pub fn wait(&mut self, id: VerificationId) {
        self.waiting.push_back(id);
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
        assert_eq!(shown(|gate| gate.wait(VerificationId::new(at(0), Bucket::new(1), 1))), [true, true]);
        assert_eq!(shown(|gate| gate.finished(Finished::Accepted, at(1))), [false, true]);
    }

    #[test]
    fn open_requests_are_bounded_and_who_waits_is_served_in_order() {
        let mut gates = Gates::default();
        let channel = ChannelName::new("sms");
        for _ in 0..MAX_OPEN {
            assert_eq!(gates.of(&channel).readiness(at(0)), Readiness::Ready);
            gates.of(&channel).started(at(0));
        }
        assert_eq!(gates.of(&channel).readiness(at(0)), Readiness::Throttled);
        let ids: Vec<_> = (1..3).map(|n| VerificationId::new(at(0), Bucket::new(1), n)).collect();
        ids.iter().for_each(|&id| gates.of(&channel).wait(id));
        assert_eq!(gates.next_waiting(at(0)), None);
        gates.of(&channel).finished(Finished::InDoubt, at(0));
        assert_eq!(gates.next_waiting(at(0)), Some((channel, ids[0])));
    }
}
