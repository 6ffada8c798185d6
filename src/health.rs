//! The server's health: its own metrics, sampled every 10 s and kept for 5 minutes, and the alarms derived from them.
//! The console, `/alerts` and `twotick doctor` show these alarms.
//!
//! The most common outage is silent: messages are sent, but the provider's webhooks do not arrive. It has its own
//! alarm.

mod sample;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::clock::Clock;
use crate::store::{self, Store};
use crate::verification::values::{ChannelName, Timestamp};

pub use sample::Breaker;
use sample::{ChannelSample, Sample};

/// Interval between samples.
const BEAT: Duration = Duration::from_secs(10);
/// Period of rates and percentiles.
pub const WINDOW: Duration = Duration::from_secs(5 * 60);
/// One more than intervals in the window.
const SAMPLES: usize = (WINDOW.as_secs() / BEAT.as_secs()) as usize + 1;
/// Providers report progress within seconds. If nothing is reported for this long …
const SILENCE: Duration = Duration::from_secs(60);
/// … on this many messages, it is not a single slow phone.
const UNHEARD_SENDS: u64 = 3;
/// Fewer requests give no meaningful share.
const FEWEST_SENDS: u64 = 10;
/// Failure rate in percent that raises an alarm. Refusals because of the recipient are normal and do not count.
const MUCH_FAILS: f64 = 10.0;
/// Failure rate in percent at which most codes are not sent.
const MOST_FAILS: f64 = 50.0;
/// In seconds. Fallbacks are a few milliseconds late normally; people notice half a second.
const LATE: f64 = 0.5;
/// In seconds. A `Date` header is accurate to one.
const WRONG_CLOCK: f64 = 5.0;
/// The store stops at 8 MiB; this leaves some days.
const LITTLE_ROOM: u64 = 512 * 1024 * 1024;

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
        self.take(Place::OnBeat);
    }

    /// Current alarms with the time at which each began, the worst first.
    pub fn ongoing(&self) -> Vec<(Alarm, Timestamp)> {
        self.take(Place::Between);
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let alarms = seen.vitals(now, self.store.health()).alarms;
        let began = |alarm: &Alarm| seen.began.get(&alarm.key()).copied().unwrap_or(now);
        alarms.into_iter().map(|alarm| (alarm.clone(), began(&alarm))).collect()
    }

    fn take(&self, place: Place) {
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

/// A condition that needs attention, in order of urgency.
#[derive(Clone, Debug, PartialEq)]
pub enum Alarm {
    /// `sends` messages were accepted, the first at `since`, without a later webhook.
    WebhooksStopped { channel: ChannelName, sends: u64, since: Timestamp },
    /// The store does not accept writes, or not in time.
    StoreNotReady(store::Health),
    /// The provider refused the sender.
    BreakerOpen(ChannelName),
    /// Webhooks with a wrong and with a valid signature.
    SignaturesRefused { channel: ChannelName, times: u64, fitting: u64 },
    /// `share` of `sends` requests failed.
    ErrorRate { channel: ChannelName, share: f64, sends: u64 },
    /// Deadlines were late.
    Late { seconds: f64 },
    /// Free disk space is low.
    LittleRoom { bytes: u64 },
    /// The system clock is off.
    ClockWrong { ahead: f64 },
    /// Templates in use are not approved at Meta.
    TemplatesNotApproved { count: u64 },
}

impl Alarm {
    /// Whether codes do not arrive because of it, or nobody would notice if they did not.
    pub fn is_severe(&self) -> bool {
        match self {
            Self::WebhooksStopped { .. } | Self::StoreNotReady(_) | Self::BreakerOpen(_) => true,
            Self::ErrorRate { share, .. } => percent(*share) > MOST_FAILS,
            // If other webhooks are valid, the invalid ones are a stranger's.
            Self::SignaturesRefused { fitting, .. } => *fitting == 0,
            Self::Late { .. }
            | Self::LittleRoom { .. }
            | Self::ClockWrong { .. }
            | Self::TemplatesNotApproved { .. } => false,
        }
    }

    /// Code for `twotick explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WebhooksStopped { .. } => "webhooks_stopped",
            Self::StoreNotReady(_) => "store_not_ready",
            Self::BreakerOpen(_) => "sender_refused",
            Self::SignaturesRefused { .. } => "signatures_refused",
            Self::ErrorRate { .. } => "high_error_rate",
            Self::Late { .. } => "deadlines_late",
            Self::LittleRoom { .. } => "disk_nearly_full",
            Self::ClockWrong { .. } => "clock_wrong",
            Self::TemplatesNotApproved { .. } => "templates_not_approved",
        }
    }

    fn key(&self) -> (&'static str, Option<ChannelName>) {
        (self.code(), self.channel().cloned())
    }

    /// The channel concerned, if it is only one.
    pub fn channel(&self) -> Option<&ChannelName> {
        match self {
            Self::WebhooksStopped { channel, .. }
            | Self::BreakerOpen(channel)
            | Self::SignaturesRefused { channel, .. }
            | Self::ErrorRate { channel, .. } => Some(channel),
            Self::StoreNotReady(_)
            | Self::Late { .. }
            | Self::LittleRoom { .. }
            | Self::ClockWrong { .. }
            | Self::TemplatesNotApproved { .. } => None,
        }
    }
}

/// In English, for `/alerts` and the command line; the console has its own texts in each language.
impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WebhooksStopped { channel, sends, since } => {
                write!(f, "{channel} accepted {sends} messages, but no webhook has come since {since}")
            }
            Self::StoreNotReady(store::Health::Full) => {
                f.write_str("the disk is full: no writes are accepted")
            }
            Self::StoreNotReady(store::Health::Stuck) => {
                f.write_str("a write to the disk has taken more than 5 s")
            }
            Self::StoreNotReady(store::Health::Closed | store::Health::Ready) => {
                f.write_str("the store is closed")
            }
            Self::BreakerOpen(channel) => {
                write!(f, "{channel} refused the sender; retried once a minute")
            }
            Self::SignaturesRefused { channel, times, fitting } => write!(
                f,
                "{channel}: {times} webhooks with a wrong signature in 5 minutes, {fitting} with a valid one"
            ),
            Self::ErrorRate { channel, share, sends } => {
                write!(f, "{channel}: {:.0} % of the last {sends} requests failed", share * 100.0)
            }
            Self::Late { seconds } if seconds.is_finite() => {
                write!(f, "deadlines are up to {seconds} s late")
            }
            Self::Late { .. } => f.write_str("deadlines are more than 10 s late"),
            Self::LittleRoom { bytes } => write!(f, "the disk has {} MB left", bytes / 1_000_000),
            Self::ClockWrong { ahead } if *ahead > 0.0 => {
                write!(f, "the system clock is {ahead:.0} s ahead")
            }
            Self::ClockWrong { ahead } => {
                write!(f, "the system clock is {:.0} s behind", ahead.abs())
            }
            Self::TemplatesNotApproved { count } => {
                write!(f, "{count} templates in use are not approved at Meta")
            }
        }
    }
}

/// Kind of a sample.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    OnBeat,
    /// Taken on request; the next sample replaces it, so that regular samples still cover the window.
    Between,
}

/// History of the samples.
struct Seen {
    samples: VecDeque<Sample>,
    /// Kind of the newest sample.
    newest: Place,
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
        Self { samples: VecDeque::new(), newest: Place::OnBeat, channels, began: BTreeMap::new() }
    }

    fn take(&mut self, sample: Sample, place: Place, store: store::Health) {
        let now = sample.at;
        let before = self.samples.back();
        for (name, now) in &sample.channels {
            let unheard = self.channels.entry(name.clone()).or_default();
            let before = before.and_then(|before| before.channels.get(name));
            unheard.take(before.unwrap_or(&ChannelSample::default()), now, sample.at);
        }
        if self.newest == Place::Between {
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
        vitals.alarms = self.alarms(&vitals, templates, now);
        vitals
    }

    fn alarms(&self, vitals: &Vitals, templates: u64, now: Timestamp) -> Vec<Alarm> {
        let mut alarms: Vec<_> =
            self.channels.iter().filter_map(|(name, unheard)| unheard.alarm(name, now)).collect();
        match vitals.store {
            store::Health::Ready => {}
            store::Health::Full | store::Health::Stuck | store::Health::Closed => {
                alarms.push(Alarm::StoreNotReady(vitals.store));
            }
        }
        let of_channels =
            |alarm: fn(&ChannelVitals) -> Option<Alarm>| vitals.channels.iter().filter_map(alarm);
        alarms.extend(of_channels(|channel| {
            (channel.breaker == Breaker::Open).then(|| Alarm::BreakerOpen(channel.name.clone()))
        }));
        alarms.extend(of_channels(|channel| {
            let times = channel.signatures_refused;
            let (channel, fitting) = (channel.name.clone(), channel.webhooks);
            (times > 0).then_some(Alarm::SignaturesRefused { channel, times, fitting })
        }));
        alarms.extend(of_channels(|channel| {
            let sends = channel.sends;
            let share = channel.error_rate.filter(|_| channel.much_fails() && sends >= FEWEST_SENDS)?;
            Some(Alarm::ErrorRate { channel: channel.name.clone(), share, sends })
        }));
        alarms.extend(vitals.lateness_p99.filter(|&late| late > LATE).map(|seconds| Alarm::Late { seconds }));
        alarms.extend(
            vitals.disk_free.filter(|&free| free < LITTLE_ROOM).map(|bytes| Alarm::LittleRoom { bytes }),
        );
        let wrong = vitals.clock_ahead.filter(|ahead| ahead.abs() > WRONG_CLOCK);
        alarms.extend(wrong.map(|ahead| Alarm::ClockWrong { ahead }));
        if templates > 0 {
            alarms.push(Alarm::TemplatesNotApproved { count: templates });
        }
        alarms
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

    fn alarm(&self, channel: &ChannelName, now: Timestamp) -> Option<Alarm> {
        let since = self.since.filter(|&since| now.since(since) >= SILENCE && self.sends >= UNHEARD_SENDS)?;
        Some(Alarm::WebhooksStopped { channel: channel.clone(), sends: self.sends, since })
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

impl ChannelVitals {
    /// Independent of the number of requests: a bad rate must not look good only because it is too early for an alarm.
    pub fn much_fails(&self) -> bool {
        self.error_rate.is_some_and(|share| percent(share) >= MUCH_FAILS)
    }

    /// Whether all displayed values are good.
    pub fn is_fine(&self) -> bool {
        !self.much_fails() && self.signatures_refused == 0 && self.breaker == Breaker::Closed
    }
}

/// Rounded as displayed, so that a displayed 10 % is judged as 10 %.
fn percent(share: f64) -> f64 {
    (share * 100.0).round()
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
