//! The server's health: its own metrics, sampled every 10 s and kept for 5 minutes, and the alarms derived from them
//! ([`Alarm`]). The console, `/alerts` and `twotick doctor` show these alarms.

mod alarm;
mod sample;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::clock::Clock;
use crate::store::{self, Store};
use crate::verification::values::{ChannelName, Timestamp};

pub use alarm::Alarm;
pub use sample::Breaker;
use sample::{ChannelSample, Sample};

/// Interval between samples.
const BEAT: Duration = Duration::from_secs(10);
/// Period of rates and percentiles.
pub const WINDOW: Duration = Duration::from_secs(5 * 60);
/// One more than intervals in the window.
const SAMPLES: usize = (WINDOW.as_secs() / BEAT.as_secs()) as usize + 1;

/// Samples the metrics and evaluates the alarms.
pub struct Monitor {
    metrics: PrometheusHandle,
    store: Arc<dyn Store>,
    clock: Clock,
    seen: Mutex<Seen>,
}

impl Monitor {
    /// `channels`: all configured channels, so that a silent one is shown too.
    pub fn new(
        metrics: PrometheusHandle,
        store: Arc<dyn Store>,
        clock: Clock,
        channels: impl IntoIterator<Item = ChannelName>,
    ) -> Self {
        let channels = channels.into_iter().map(|name| (name, Unheard::default())).collect();
        Self { metrics, store, clock, seen: Mutex::new(Seen::of(channels)) }
    }

    /// Samples every 10 s until `stop` completes.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                _ = beat.tick() => self.sample(),
                () = &mut stop => return,
            }
        }
    }

    /// Takes the next regular sample.
    pub fn sample(&self) {
        self.take(Cadence::OnBeat);
    }

    /// Current alarms with the time at which each began, the worst first.
    pub fn ongoing(&self) -> Vec<(Alarm, Timestamp)> {
        self.take(Cadence::Between);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let alarms = seen.vitals(now, self.store.health()).alarms;
        let began = |alarm: &Alarm| seen.began.get(&alarm.key()).copied().unwrap_or(now);
        alarms.into_iter().map(|alarm| (alarm.clone(), began(&alarm))).collect()
    }

    fn take(&self, place: Cadence) {
        let sample = Sample::read(&self.metrics.render(), self.clock.now());
        let health = self.store.health();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take(sample, place, health);
    }

    /// State at the last sample.
    pub fn vitals(&self) -> Vitals {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.vitals(self.clock.now(), self.store.health())
    }
}

/// State of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Vitals {
    pub channels: Vec<ChannelVitals>,
    pub store: store::Health,
    /// Live verifications.
    pub live: Option<u64>,
    /// Messages waiting for their channel's rate limit.
    pub waiting: u64,
    /// The 99th percentile of deadline lateness in seconds, possibly infinite; `None` without deadlines.
    pub lateness_p99: Option<f64>,
    /// Bytes.
    pub disk_free: Option<u64>,
    /// Seconds that the clock is ahead, by the provider that agrees with it most.
    pub clock_ahead: Option<f64>,
    /// The worst first.
    pub alarms: Vec<Alarm>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ChannelVitals {
    pub name: ChannelName,
    pub last_webhook: Option<Timestamp>,
    /// Valid webhooks within the window.
    pub webhooks: u64,
    /// Within the window.
    pub signatures_refused: u64,
    pub breaker: Breaker,
    /// Requests with an outcome within the window, except those refused because of the recipient.
    pub sends: u64,
    /// Requests among `sends` that were refused or are in doubt.
    pub failed: u64,
    /// Requests refused because of the recipient.
    pub unreached: u64,
    /// Share of `sends` that failed; `None` if there were none.
    pub error_rate: Option<f64>,
}

/// Kind of a sample.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cadence {
    OnBeat,
    /// Taken on request; the next sample replaces it, so that regular samples still cover the window.
    Between,
}

/// History of the samples.
struct Seen {
    samples: VecDeque<Sample>,
    /// Kind of the newest sample.
    newest: Cadence,
    channels: BTreeMap<ChannelName, Unheard>,
    /// Start of each active alarm.
    began: BTreeMap<(&'static str, Option<ChannelName>), Timestamp>,
}

/// Messages accepted since the last webhook, which may be before the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Unheard {
    sends: u64,
    since: Option<Timestamp>,
}

impl Seen {
    fn of(channels: BTreeMap<ChannelName, Unheard>) -> Self {
        Self { samples: VecDeque::new(), newest: Cadence::OnBeat, channels, began: BTreeMap::new() }
    }

    fn take(&mut self, sample: Sample, place: Cadence, store: store::Health) {
        let now = sample.at;
        let before = self.samples.back();
        for (name, now) in &sample.channels {
            let unheard = self.channels.entry(name.clone()).or_default();
            let before = before.and_then(|before| before.channels.get(name));
            unheard.take(before.unwrap_or(&ChannelSample::default()), now, sample.at);
        }
        if self.newest == Cadence::Between {
            self.samples.pop_back();
        }
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        self.newest = place;
        let alarms = self.vitals(now, store).alarms;
        let mut before = std::mem::take(&mut self.began);
        self.began =
            alarms.iter().map(|alarm| (alarm.key(), before.remove(&alarm.key()).unwrap_or(now))).collect();
    }

    fn vitals(&self, now: Timestamp, store: store::Health) -> Vitals {
        let newest = self.samples.back();
        let oldest = self.samples.front();
        let channels: Vec<_> = self
            .channels
            .keys()
            .map(|name| {
                let of = |sample: Option<&Sample>| {
                    sample.and_then(|sample| sample.channels.get(name)).cloned().unwrap_or_default()
                };
                ChannelVitals::between(name, &of(oldest), &of(newest))
            })
            .collect();
        let mut vitals = Vitals {
            store,
            live: newest.and_then(|newest| newest.live),
            waiting: newest.map_or(0, |newest| newest.channels.values().map(|channel| channel.waiting).sum()),
            lateness_p99: oldest
                .zip(newest)
                .and_then(|(oldest, newest)| p99(&oldest.lateness, &newest.lateness)),
            disk_free: newest.and_then(|newest| newest.disk_free),
            clock_ahead: newest.and_then(|newest| {
                let ahead = newest.channels.values().filter_map(|channel| channel.clock_ahead);
                ahead.min_by(|one, other| one.abs().total_cmp(&other.abs()))
            }),
            channels,
            alarms: Vec::new(),
        };
        let templates = newest.map_or(0, |newest| newest.templates_not_approved);
        vitals.alarms = alarm::alarms(&vitals, &self.channels, templates, now);
        vitals
    }
}

impl Unheard {
    /// A webhook ends the silence, whatever was sent since the previous sample.
    fn take(&mut self, before: &ChannelSample, now: &ChannelSample, at: Timestamp) {
        if now.webhooks > before.webhooks {
            *self = Self::default();
            return;
        }
        let accepted = now.accepted.saturating_sub(before.accepted);
        if accepted > 0 {
            self.sends += accepted;
            self.since.get_or_insert(at);
        }
    }
}

impl ChannelVitals {
    fn between(name: &ChannelName, oldest: &ChannelSample, newest: &ChannelSample) -> Self {
        let failed = newest.failed.saturating_sub(oldest.failed);
        let sends = failed + newest.accepted.saturating_sub(oldest.accepted);
        Self {
            name: name.clone(),
            last_webhook: newest.last_webhook,
            webhooks: newest.webhooks.saturating_sub(oldest.webhooks),
            signatures_refused: newest.signatures_refused.saturating_sub(oldest.signatures_refused),
            breaker: newest.breaker,
            sends,
            failed,
            unreached: newest.unreached.saturating_sub(oldest.unreached),
            error_rate: (sends > 0).then(|| failed as f64 / sends as f64),
        }
    }
}

/// Upper bound of the 99th percentile between two samples.
fn p99(oldest: &[(f64, u64)], newest: &[(f64, u64)]) -> Option<f64> {
    let before = |bound: f64| oldest.iter().find(|(known, _)| *known == bound).map_or(0, |&(_, count)| count);
    let since: Vec<_> =
        newest.iter().map(|&(bound, count)| (bound, count.saturating_sub(before(bound)))).collect();
    let &(_, all) = since.last().filter(|(_, all)| *all > 0)?;
    let enough = (all * 99).div_ceil(100);
    since.iter().find(|(_, count)| *count >= enough).map(|&(bound, _)| bound)
}

#[cfg(test)]
mod tests;
