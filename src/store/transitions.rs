//! Changes of state, reported once they are durable: one log line each, and the metrics of delivery.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use metrics::{Counter, Histogram, counter, histogram};
use tracing::{Level, enabled};

use crate::verification::event::{AbandonReason, FallbackReason, Standing};
use crate::verification::state::Ending;
use crate::verification::values::{
    ChannelName, DeliveryError, ErrorClass, Ordinal, ReportStatus, VerificationId,
};
use crate::verification::{Event, Fact, Request, Verification};

/// Turns whose lines may wait to be written. A reader of the log that stops reading must not stop the store, so what
/// comes after that is dropped and counted.
const TURNS_WAITING: usize = 256;
/// Countries with a label of their own. The countries of one business fit; more of them would multiply the series
/// of each histogram, so they share the label `other`.
const MOST_COUNTRIES: usize = 50;
const OTHER_COUNTRY: &str = "other";
/// The label of numbers that belong to no country.
const NO_COUNTRY: &str = "none";

/// One change of state of a verification or of one of its messages.
#[derive(Debug)]
pub struct Transition {
    request: Arc<Request>,
    message: Option<(Ordinal, ChannelName)>,
    /// From the request of the verification to the change.
    since: Duration,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Requested,
    Queued,
    SendStarted,
    Accepted,
    Refused {
        error: DeliveryError,
        is_final: Finality,
    },
    InDoubt(DeliveryError),
    Sent,
    /// `after`: from the queueing of the message to its delivery; `None` where it was delivered before.
    Delivered {
        after: Option<Duration>,
    },
    Read {
        after: Option<Duration>,
    },
    Failed(DeliveryError),
    FellBack(FallbackReason),
    Skipped,
    GaveUp,
    Resent,
    Replied,
    Disowned,
    Ended(Ending),
    Abandoned(AbandonReason),
    Erased,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finality {
    Retried,
    Final,
}

/// What `events`, which led to `verification`, changed. Reports and replies that changed nothing are left out.
pub fn transitions<'a>(
    verification: &'a Verification,
    events: &'a [Event],
) -> impl Iterator<Item = Transition> + use<'a> {
    let mut delivered = HashSet::new();
    events.iter().filter_map(move |event| {
        let mut first_delivery = |ordinal: Ordinal| {
            let message = verification.message(ordinal)?;
            let is_first = message.delivered_at == Some(event.at) && delivered.insert(ordinal);
            is_first.then(|| event.at.since(message.queued_at))
        };
        let (message, kind) = match &event.fact {
            Fact::Requested { .. } => (None, Kind::Requested),
            Fact::MessageQueued { message, .. } => (Some(*message), Kind::Queued),
            Fact::SendStarted { message, .. } => (Some(*message), Kind::SendStarted),
            Fact::SendAccepted { message, .. } => (Some(*message), Kind::Accepted),
            Fact::SendRefused { message, error, retry_at, .. } => {
                let is_final = if retry_at.is_some() { Finality::Retried } else { Finality::Final };
                (Some(*message), Kind::Refused { error: error.clone(), is_final })
            }
            Fact::SendInDoubt { message, error, .. } => (Some(*message), Kind::InDoubt(error.clone())),
            Fact::Reported { standing: Standing::Stale, .. }
            | Fact::ReplyReceived { standing: Standing::Stale, .. }
            | Fact::CodeDisowned { standing: Standing::Stale, .. }
            | Fact::CheckFailed
            | Fact::OperatorActed { .. } => return None,
            Fact::Reported { message, status, .. } => {
                let kind = match status {
                    ReportStatus::Sent => Kind::Sent,
                    ReportStatus::Delivered => Kind::Delivered { after: first_delivery(*message) },
                    ReportStatus::Read => Kind::Read { after: first_delivery(*message) },
                    ReportStatus::Failed(error) => Kind::Failed(error.clone()),
                    // It changes nothing.
                    ReportStatus::Unknown(_) => return None,
                };
                (Some(*message), kind)
            }
            Fact::FellBack { message, reason, .. } => (Some(*message), Kind::FellBack(*reason)),
            Fact::StepSkipped { message } => (Some(*message), Kind::Skipped),
            Fact::GaveUp => (None, Kind::GaveUp),
            Fact::ResendRequested { .. } => (None, Kind::Resent),
            Fact::ReplyReceived { message, .. } => (*message, Kind::Replied),
            Fact::CodeDisowned { message, .. } => (*message, Kind::Disowned),
            Fact::CheckPassed => (None, Kind::Ended(Ending::Approved)),
            Fact::ChecksExhausted => (None, Kind::Ended(Ending::Exhausted)),
            Fact::Expired => (None, Kind::Ended(Ending::Expired)),
            Fact::Canceled => (None, Kind::Ended(Ending::Canceled)),
            Fact::Abandoned { reason } => (None, Kind::Abandoned(*reason)),
            Fact::Erased => (None, Kind::Erased),
        };
        let channel =
            |ordinal| verification.message(ordinal).map(|message| (ordinal, message.channel.clone()));
        Some(Transition {
            request: Arc::clone(&verification.request),
            message: message.and_then(channel),
            since: event.at.since(verification.created_at),
            kind,
        })
    })
}

/// Takes the transitions of each durable turn. Belongs to the thread that publishes turns.
pub struct Publisher {
    meters: Meters,
    lines: Option<Sender<Vec<Transition>>>,
    writer: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Starts the thread that writes the lines: a line takes longer than the rest of a change.
    pub fn start() -> io::Result<Self> {
        let (lines, waiting) = bounded(TURNS_WAITING);
        let writer =
            thread::Builder::new().name("store-log".to_owned()).spawn(move || write_lines(&waiting))?;
        Ok(Self { meters: Meters::default(), lines: Some(lines), writer: Some(writer) })
    }

    pub fn publish(&mut self, transitions: Vec<Transition>) {
        if transitions.is_empty() {
            return;
        }
        transitions.iter().for_each(|change| self.meters.count(change));
        if !enabled!(Level::INFO) {
            return;
        }
        if let Some(lines) = &self.lines
            && let Err(TrySendError::Full(dropped) | TrySendError::Disconnected(dropped)) =
                lines.try_send(transitions)
        {
            counter!("twotick_log_lines_dropped_total").increment(dropped.len() as u64);
        }
    }
}

/// Every line that was taken is written before the thread ends.
impl Drop for Publisher {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write_lines(waiting: &Receiver<Vec<Transition>>) {
    waiting.iter().flatten().for_each(|change| change.write());
}

impl Transition {
    fn write(&self) {
        let id: VerificationId = self.request.id;
        let message_id = self.message.as_ref().map(|(ordinal, _)| id.message(*ordinal));
        let error = self.kind.error();
        tracing::info!(
            event = self.kind.name(),
            verification = %id,
            message_id = message_id.as_ref().map(tracing::field::display),
            channel = self.message.as_ref().map(|(_, channel)| channel.as_str()),
            app = self.request.app.as_str(),
            country = self.request.country.as_deref(),
            since_ms = u64::try_from(self.since.as_millis()).unwrap_or(u64::MAX),
            reason = self.kind.reason(),
            code = error.map(|error| error.code.as_str()),
            class = error.map(|error| error.class.as_str()),
            "{}",
            self.kind.sentence()
        );
    }
}

impl Kind {
    /// As the timeline calls it.
    fn name(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Queued => "message_queued",
            Self::SendStarted => "send_started",
            Self::Accepted => "send_accepted",
            Self::Refused { .. } => "send_refused",
            Self::InDoubt(_) => "send_in_doubt",
            Self::Sent => "status_sent",
            Self::Delivered { .. } => "status_delivered",
            Self::Read { .. } => "status_read",
            Self::Failed(_) => "status_failed",
            Self::FellBack(_) => "fell_back",
            Self::Skipped => "step_skipped",
            Self::GaveUp => "gave_up",
            Self::Resent => "resend_requested",
            Self::Replied => "reply_received",
            Self::Disowned => "code_disowned",
            Self::Ended(Ending::Approved) => "check_passed",
            Self::Ended(Ending::Exhausted) => "checks_exhausted",
            Self::Ended(Ending::Expired) => "expired",
            Self::Ended(Ending::Canceled) | Self::Abandoned(_) => "canceled",
            Self::Erased => "erased",
        }
    }

    fn sentence(&self) -> &'static str {
        match self {
            Self::Requested => "verification requested",
            Self::Queued => "message queued",
            Self::SendStarted => "request to the provider started",
            Self::Accepted => "provider accepted the message",
            Self::Refused { is_final: Finality::Retried, .. } => "provider refused the message for now",
            Self::Refused { is_final: Finality::Final, .. } => "provider refused the message",
            Self::InDoubt(_) => "outcome of the request unknown",
            Self::Sent => "message sent",
            Self::Delivered { .. } => "message delivered",
            Self::Read { .. } => "message read",
            Self::Failed(_) => "message failed",
            Self::FellBack(_) => "fell back to the next step",
            Self::Skipped => "step skipped",
            Self::GaveUp => "every step failed",
            Self::Resent => "resend requested",
            Self::Replied => "reply received",
            Self::Disowned => "person did not request the code",
            Self::Ended(Ending::Approved) => "verification approved",
            Self::Ended(Ending::Exhausted) => "verification exhausted by wrong codes",
            Self::Ended(Ending::Expired) => "verification expired",
            Self::Ended(Ending::Canceled) | Self::Abandoned(_) => "verification canceled",
            Self::Erased => "personal data erased",
        }
    }

    fn error(&self) -> Option<&DeliveryError> {
        match self {
            Self::Refused { error, .. } | Self::InDoubt(error) | Self::Failed(error) => Some(error),
            Self::Requested
            | Self::Queued
            | Self::SendStarted
            | Self::Accepted
            | Self::Sent
            | Self::Delivered { .. }
            | Self::Read { .. }
            | Self::FellBack(_)
            | Self::Skipped
            | Self::GaveUp
            | Self::Resent
            | Self::Replied
            | Self::Disowned
            | Self::Ended(_)
            | Self::Abandoned(_)
            | Self::Erased => None,
        }
    }

    fn reason(&self) -> Option<&'static str> {
        if let Self::FellBack(reason) = self {
            Some(reason.as_str())
        } else if let Self::Abandoned(reason) = self {
            Some(reason.as_str())
        } else {
            None
        }
    }
}

/// Metrics that are looked up once and then held: a look-up by name and labels costs more than the rest of a change.
#[derive(Default)]
struct Meters {
    countries: HashSet<String>,
    messages: HashMap<(ChannelName, String, &'static str), Counter>,
    delivery: HashMap<(ChannelName, String), Histogram>,
    errors: HashMap<(ChannelName, ErrorClass), Counter>,
}

impl Meters {
    fn count(&mut self, change: &Transition) {
        if let Kind::Ended(ending) = change.kind {
            counter!("twotick_verifications_ended_total", "status" => ending.as_str()).increment(1);
        }
        if let Kind::Abandoned(_) = change.kind {
            let status = Ending::Canceled.as_str();
            counter!("twotick_verifications_ended_total", "status" => status).increment(1);
        }
        if let Kind::FellBack(reason) = change.kind {
            counter!("twotick_fallbacks_total", "reason" => reason.as_str()).increment(1);
        }
        let Some((_, channel)) = &change.message else { return };
        if let Some(error) = change.kind.error() {
            let meter = self.errors.entry((channel.clone(), error.class)).or_insert_with(|| {
                let (channel, class) = (channel.to_string(), error.class.as_str());
                counter!("twotick_message_errors_total", "channel" => channel, "class" => class)
            });
            meter.increment(1);
        }
        let (outcome, after) = match change.kind {
            Kind::Delivered { after: Some(after) } | Kind::Read { after: Some(after) } => {
                ("delivered", Some(after))
            }
            Kind::Failed(_) | Kind::Refused { is_final: Finality::Final, .. } => ("failed", None),
            Kind::InDoubt(_) => ("in_doubt", None),
            Kind::Requested
            | Kind::Queued
            | Kind::SendStarted
            | Kind::Accepted
            | Kind::Refused { is_final: Finality::Retried, .. }
            | Kind::Sent
            | Kind::Delivered { after: None }
            | Kind::Read { after: None }
            | Kind::FellBack(_)
            | Kind::Skipped
            | Kind::GaveUp
            | Kind::Resent
            | Kind::Replied
            | Kind::Disowned
            | Kind::Ended(_)
            | Kind::Abandoned(_)
            | Kind::Erased => return,
        };
        let country = self.country(change.request.country.as_deref());
        let meter = self.messages.entry((channel.clone(), country.clone(), outcome)).or_insert_with(|| {
            let (channel, country) = (channel.to_string(), country.clone());
            counter!("twotick_messages_total", "channel" => channel, "country" => country, "outcome" => outcome)
        });
        meter.increment(1);
        if let Some(after) = after {
            let meter =
                self.delivery.entry((channel.clone(), country)).or_insert_with_key(|(channel, country)| {
                    let (channel, country) = (channel.to_string(), country.clone());
                    histogram!("twotick_delivery_seconds", "channel" => channel, "country" => country)
                });
            meter.record(after.as_secs_f64());
        }
    }

    /// The label of a country: the first [`MOST_COUNTRIES`] have their own.
    fn country(&mut self, country: Option<&str>) -> String {
        let country = country.unwrap_or(NO_COUNTRY);
        if self.countries.contains(country) || self.countries.len() < MOST_COUNTRIES {
            self.countries.insert(country.to_owned());
            country.to_owned()
        } else {
            OTHER_COUNTRY.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_beyond_the_bound_share_a_label() {
        let mut meters = Meters::default();
        let codes: Vec<String> = (b'A'..=b'Z')
            .flat_map(|one| [b'A', b'B', b'C'].map(|two| format!("{}{}", one as char, two as char)))
            .collect();
        let labels: HashSet<String> = codes.iter().map(|code| meters.country(Some(code))).collect();
        assert_eq!(labels.len(), MOST_COUNTRIES + 1);
        assert!(labels.contains(OTHER_COUNTRY));
        assert_eq!(meters.country(Some(&codes[0])), codes[0], "a known country keeps its label");
        assert_eq!(meters.country(None), OTHER_COUNTRY);
    }
}
