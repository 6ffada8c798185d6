//! How twotick itself is: its own metrics, sampled every 10 s and kept for 5 minutes, and the alarms that follow from
//! them. The console, `/alerts` and `twotick doctor` show these alarms; the rules stand here alone.
//!
//! The most common outage is a silent one: messages go out, and the provider's webhooks no longer come in. It has an
//! alarm of its own.

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

/// Between two samples.
const BEAT: Duration = Duration::from_secs(10);
/// What rates and percentiles are about.
pub const WINDOW: Duration = Duration::from_secs(5 * 60);
/// One more than fit between the window's ends.
const SAMPLES: usize = (WINDOW.as_secs() / BEAT.as_secs()) as usize + 1;
/// Providers report within seconds that a message went on; after so long without a word …
const SILENCE: Duration = Duration::from_secs(60);
/// … about so many, it is not one slow phone.
const UNHEARD_SENDS: u64 = 3;
/// Below this a share says nothing.
const FEWEST_SENDS: u64 = 10;
/// Numbers that a channel cannot reach are refused every day and are not counted; when so many percent of the others
/// fail, somebody should look …
const MUCH_FAILS: f64 = 10.0;
/// … and when so many fail, most codes do not go out.
const MOST_FAILS: f64 = 50.0;
/// In seconds. A fallback is meant to be a few milliseconds late; people notice half a second.
const LATE: f64 = 0.5;
/// In seconds. A `Date` is only good to one.
const WRONG_CLOCK: f64 = 5.0;
/// The store stops at 8 MiB; this is some days before.
const LITTLE_ROOM: u64 = 512 * 1024 * 1024;

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

/// Something that somebody should look at. In order of urgency.
#[derive(Clone, Debug, PartialEq)]
pub enum Alarm {
    /// So many messages were accepted, the first of them at `since`, and no webhook came after that.
    WebhooksStopped { channel: ChannelName, sends: u64, since: Timestamp },
    /// The store takes nothing, or not in time.
    StoreNotReady(store::Health),
    /// Our sender was refused.
    BreakerOpen(ChannelName),
    /// So many webhooks were not signed by our secret, and so many were.
    SignaturesRefused { channel: ChannelName, times: u64, fitting: u64 },
    /// `share` of `sends` requests failed.
    ErrorRate { channel: ChannelName, share: f64, sends: u64 },
    /// Deadlines came so many seconds late.
    Late { seconds: f64 },
    /// So many bytes are free.
    LittleRoom { bytes: u64 },
    /// By so many seconds.
    ClockWrong { ahead: f64 },
    /// Meta has not approved so many of the templates that profiles need.
    TemplatesNotApproved { count: u64 },
}

impl Alarm {
    /// Whether codes do not arrive because of it, or we would not know.
    pub fn is_severe(&self) -> bool {
        match self {
            Self::WebhooksStopped { .. } | Self::StoreNotReady(_) | Self::BreakerOpen(_) => true,
            Self::ErrorRate { share, .. } => percent(*share) > MOST_FAILS,
            // Beside webhooks that fit, the others are a stranger's.
            Self::SignaturesRefused { fitting, .. } => *fitting == 0,
            Self::Late { .. }
            | Self::LittleRoom { .. }
            | Self::ClockWrong { .. }
            | Self::TemplatesNotApproved { .. } => false,
        }
    }

    /// What `twotick explain` knows it by.
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

    /// Of one channel alone.
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

/// In English, for `/alerts` and the command line; the console has its own words in each language.
impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WebhooksStopped { channel, sends, since } => {
                write!(f, "{channel} accepted {sends} messages, but no webhook has come since {since}")
            }
            Self::StoreNotReady(store::Health::Full) => f.write_str("the disk is full: no writes are taken"),
            Self::StoreNotReady(store::Health::Stuck) => {
                f.write_str("the disk has not answered for more than 5 s")
            }
            Self::StoreNotReady(store::Health::Closed | store::Health::Ready) => {
                f.write_str("the store is closed")
            }
            Self::BreakerOpen(channel) => {
                write!(f, "{channel} refused our sender; it is tried again once a minute")
            }
            Self::SignaturesRefused { channel, times, fitting } => write!(
                f,
                "{channel}: {times} webhooks with a wrong signature in 5 minutes, {fitting} with the right one"
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
                write!(f, "the clock of this machine is {ahead:.0} s ahead")
            }
            Self::ClockWrong { ahead } => {
                write!(f, "the clock of this machine is {:.0} s behind", ahead.abs())
            }
            Self::TemplatesNotApproved { count } => {
                write!(f, "{count} templates in use are not approved at Meta")
            }
        }
    }
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
    /// However few were sent: a bad figure never looks good, also where it is too early for an alarm.
    pub fn much_fails(&self) -> bool {
        self.error_rate.is_some_and(|share| percent(share) >= MUCH_FAILS)
    }

    /// Whether nothing that is shown of it is bad.
    pub fn is_fine(&self) -> bool {
        !self.much_fails() && self.signatures_refused == 0 && self.breaker == Breaker::Closed
    }
}

/// As it is shown, so that what is shown as 10 % is judged as 10 %.
fn percent(share: f64) -> f64 {
    (share * 100.0).round()
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
