//! The alarm rules: which figures an operator should look at, and how urgently.
//!
//! The most common outage is silent: messages are sent, but the provider's webhooks do not arrive. It has its own
//! alarm.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::sample::Breaker;
use super::{ChannelVitals, Unheard, Vitals};
use crate::store;
use crate::verification::values::{ChannelName, Timestamp};

/// Providers report within seconds that a message was sent. [`Alarm::WebhooksStopped`] is raised after a silence of
/// this length …
const SILENCE: Duration = Duration::from_secs(60);
/// … about at least this many messages: fewer may be one slow phone.
const UNHEARD_SENDS: u64 = 3;
/// [`Alarm::ErrorRate`] needs at least this many requests: a share of fewer says nothing.
const FEWEST_SENDS: u64 = 10;
/// Percent of failed requests from which [`Alarm::ErrorRate`] is raised. Refusals because of a single recipient happen
/// every day and are not counted.
const MUCH_FAILS: f64 = 10.0;
/// Percent of failed requests above which the alarm is severe: most codes do not go out.
const MOST_FAILS: f64 = 50.0;
/// Seconds. A fallback should be a few milliseconds late; people notice half a second.
const LATE: f64 = 0.5;
/// Seconds. The `Date` of an answer has a resolution of one.
const WRONG_CLOCK: f64 = 5.0;
/// Bytes. The store refuses writes at 8 MiB; this is reached some days earlier.
const LITTLE_ROOM: u64 = 512 * 1024 * 1024;

/// Something that an operator should look at. In order of urgency.
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

    pub(super) fn key(&self) -> (&'static str, Option<ChannelName>) {
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

/// The alarms of this moment, the most urgent first. `unheard` is what each channel accepted since its last webhook,
/// `templates` how many templates in use are not approved.
pub(super) fn alarms(
    vitals: &Vitals,
    unheard: &BTreeMap<ChannelName, Unheard>,
    templates: u64,
    now: Timestamp,
) -> Vec<Alarm> {
    let mut alarms: Vec<_> =
        unheard.iter().filter_map(|(name, unheard)| webhooks_stopped(name, unheard, now)).collect();
    match vitals.store {
        store::Health::Ready => {}
        store::Health::Full | store::Health::Stuck | store::Health::Closed => {
            alarms.push(Alarm::StoreNotReady(vitals.store));
        }
    }
    let of_channels = |alarm: fn(&ChannelVitals) -> Option<Alarm>| vitals.channels.iter().filter_map(alarm);
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
    alarms
        .extend(vitals.disk_free.filter(|&free| free < LITTLE_ROOM).map(|bytes| Alarm::LittleRoom { bytes }));
    let wrong = vitals.clock_ahead.filter(|ahead| ahead.abs() > WRONG_CLOCK);
    alarms.extend(wrong.map(|ahead| Alarm::ClockWrong { ahead }));
    if templates > 0 {
        alarms.push(Alarm::TemplatesNotApproved { count: templates });
    }
    alarms
}

fn webhooks_stopped(channel: &ChannelName, unheard: &Unheard, now: Timestamp) -> Option<Alarm> {
    let since =
        unheard.since.filter(|&since| now.since(since) >= SILENCE && unheard.sends >= UNHEARD_SENDS)?;
    Some(Alarm::WebhooksStopped { channel: channel.clone(), sends: unheard.sends, since })
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
