//! How twotick itself is: its own metrics, sampled every 10 s and kept for 5 minutes, and the alarms that follow from
//! them ([`Alarm`]). The console, `/alerts` and `twotick doctor` show these alarms and have no rules of their own.

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

/// Between two samples.
const BEAT: Duration = Duration::from_secs(10);
/// What rates and percentiles are about.
pub const WINDOW: Duration = Duration::from_secs(5 * 60);
/// One more than fit between the window's ends.
const SAMPLES: usize = (WINDOW.as_secs() / BEAT.as_secs()) as usize + 1;

/// Samples the metrics and says how things are.
pub struct Monitor {
    metrics: PrometheusHandle,
    store: Arc<dyn Store>,
    clock: Clock,
    seen: Mutex<Seen>,
}

impl Monitor {
    /// `channels`: all that are configured, so that a silent one shows too.
    pub fn new(
        metrics: PrometheusHandle,
        store: Arc<dyn Store>,
        clock: Clock,
        channels: impl IntoIterator<Item = ChannelName>,
    ) -> Self {
        let channels = channels.into_iter().map(|name| (name, Unheard::default())).collect();
        Self { metrics, store, clock, seen: Mutex::new(Seen::of(channels)) }
    }

    /// Samples every 10 s until `stop` is ready.
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

    /// Takes the next sample of the regular row.
    pub fn sample(&self) {
        self.take(Cadence::OnBeat);
    }

    /// The alarms of this moment, each with the instant at which it began, the worst first.
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

    /// How things were at the last sample.
    pub fn vitals(&self) -> Vitals {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.vitals(self.clock.now(), self.store.health())
    }
}

/// How things are.
#[derive(Clone, Debug, PartialEq)]
pub struct Vitals {
    pub channels: Vec<ChannelVitals>,
    pub store: store::Health,
    /// Verifications under way.
    pub live: Option<u64>,
    /// Messages that wait for the rate of their channel.
    pub waiting: u64,
    /// 99 of 100 deadlines were not later than so many seconds, infinite included; `None` where there was none.
    pub lateness_p99: Option<f64>,
    /// Bytes.
    pub disk_free: Option<u64>,
    /// By how many seconds our clock is ahead, by the provider that agrees with it most.
    pub clock_ahead: Option<f64>,
    /// What somebody should look at, the worst first.
    pub alarms: Vec<Alarm>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ChannelVitals {
    pub name: ChannelName,
    pub last_webhook: Option<Timestamp>,
    /// Rightly signed ones within the window.
    pub webhooks: u64,
    /// Within the window.
    pub signatures_refused: u64,
    pub breaker: Breaker,
    /// Requests with an outcome within the window, but for those refused because of a single recipient.
    pub sends: u64,
    /// How many of them were refused or are in doubt.
    pub failed: u64,
    /// Refused because of a single recipient.
    pub unreached: u64,
    /// Which share of `sends` failed; `None` where there was none.
    pub error_rate: Option<f64>,
}

/// Whether a sample belongs to the regular row, or was taken because somebody asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cadence {
    OnBeat,
    /// The next sample takes its place, so that the row still covers the window.
    Between,
}

/// What the samples have shown so far.
struct Seen {
    samples: VecDeque<Sample>,
    /// Of the newest sample.
    newest: Cadence,
    channels: BTreeMap<ChannelName, Unheard>,
    /// When each alarm that goes on began.
    began: BTreeMap<(&'static str, Option<ChannelName>), Timestamp>,
}

/// What was accepted since the last webhook; it may be longer ago than the window.
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
    /// A webhook ends the silence, whatever went out since the sample before.
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

/// The bound that 99 of 100 of what came between two samples stayed within.
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
