//! Carries out send attempts. The store emits an [`Errand`] once its intent is durable; the courier makes the one
//! request and returns the outcome as a command. It decides nothing and retries nothing: the state machine does. Only
//! recording the outcome is retried until it succeeds, because it must not be lost.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::task::TaskTracker;

use crate::changing::Changing;
use crate::channel::{self, Channel, Sent, Submission};
use crate::clock::{Clock, Stopwatch};
use crate::failpoint;
use crate::store::{Answer, Errand, Order, Store, StoreError};
use crate::vault::{self, Vault};
use crate::verification::policy::{Content, Step};
use crate::verification::values::{
    ChannelName, DeliveryError, ErrorClass, MessageId, Outcome, ProviderRef, Timestamp, VerificationId,
};
use crate::verification::{Command, Policy};

/// The configured channels by name.
pub type Channels = BTreeMap<ChannelName, Arc<Channel>>;

/// First delay before an outcome that the store could not accept (queue or disk full) is submitted again; …
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// … it doubles up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Cheap to clone: all fields are shared.
#[derive(Clone)]
pub struct Courier {
    store: Arc<dyn Store>,
    channels: Arc<Changing<Channels>>,
    vault: Arc<Vault>,
    clock: Clock,
    open: TaskTracker,
}

impl Courier {
    pub fn new(
        store: Arc<dyn Store>,
        channels: Arc<Changing<Channels>>,
        vault: Arc<Vault>,
        clock: Clock,
    ) -> Self {
        Self { store, channels, vault, clock, open: TaskTracker::new() }
    }

    /// Carries out errands, each in its own task, until the store emits no more. The store bounds their number: it
    /// applies the channel's rate before it emits one.
    pub async fn run(self, mut errands: UnboundedReceiver<Errand>) {
        while let Some(errand) = errands.recv().await {
            let courier = self.clone();
            self.open.spawn(async move { courier.carry_out(&errand).await });
        }
        self.open.close();
        self.open.wait().await;
    }

    /// Makes one attempt: one request, and its outcome recorded. Returns once that is durable.
    pub async fn carry_out(&self, errand: &Errand) {
        // After a panic it is unknown whether the request was sent.
        let attempt = AssertUnwindSafe(self.attempt(errand)).catch_unwind().await;
        let sent = attempt.unwrap_or_else(|_| {
            let message_id = message_id(errand);
            tracing::error!(%message_id, attempt = errand.attempt, "panic during the attempt; its outcome is in doubt");
            metrics::counter!("twotick_panics_total", "part" => "courier").increment(1);
            in_doubt("internal", "twotick failed while the request was under way").into()
        });
        self.hand_back(errand, sent).await;
    }

    /// Waits until all outcomes are recorded, at most `patience`; attempts still open are in doubt after the next
    /// start. Returns whether all were recorded. The store must not start sends meanwhile.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.open.close();
        tokio::time::timeout(patience, self.open.wait()).await.is_ok()
    }

    async fn attempt(&self, errand: &Errand) -> Sent {
        match self.letter(errand) {
            Ok(letter) => self.send(errand, &letter).await,
            Err(outcome) => {
                let message_id = message_id(errand);
                if let Outcome::Refused { error, .. } = &outcome {
                    tracing::error!(%message_id, code = error.code, "nothing was sent: {}", error.title);
                }
                outcome.into()
            }
        }
    }

    async fn send(&self, errand: &Errand, letter: &Letter<'_>) -> Sent {
        let submission = Submission {
            reference: message_id(errand),
            to: letter.to.expose_secret(),
            code: letter.code.expose_secret(),
            content: letter.content.as_channel(),
            valid_for: letter.valid_for,
        };
        let name = letter.channel.name().to_string();
        let watch = Stopwatch::start();
        failpoint::reach("send.before");
        let sent = letter.channel.send(&submission).await;
        failpoint::reach("send.after");
        let took = watch.elapsed();
        metrics::counter!("twotick_sends_total", "channel" => name.clone(), "outcome" => word(&sent.outcome), "class" => class(&sent.outcome))
            .increment(1);
        metrics::histogram!("twotick_send_duration_seconds", "channel" => name.clone()).record(took);
        log(errand, &name, &sent.outcome, took);
        sent
    }

    /// Assembles the request. `Err` if it cannot be made or must not be sent.
    fn letter<'a>(&'a self, errand: &'a Errand) -> Result<Letter<'a>, Outcome> {
        let verification = &errand.snapshot.verification;
        let policy = &*errand.snapshot.policy;
        let now = self.clock.now();
        if now >= verification.expires_at {
            let title = "the code expired before it could be sent";
            return Err(refused("expired_before_send", title, ErrorClass::Fallback));
        }
        let request = &*verification.request;
        let (channel, step) = self.step(errand)?;
        let unreadable = |_| {
            let title = "the number or the code cannot be decrypted: wrong master key or damaged data";
            refused("record_damaged", title, ErrorClass::Configuration)
        };
        let person = self.vault.person(verification).map_err(unreadable)?;
        let code = self.vault.code(request, policy.code_length).map_err(unreadable)?;
        let minutes = minutes_left(now, verification.expires_at);
        let content = content(step, policy, request.locale.as_deref(), &code, minutes)?;
        let until_expiry = verification.expires_at.since(now);
        let valid_for = step.deliver_within.map_or(until_expiry, |within| within.min(until_expiry));
        Ok(Letter { channel, to: SecretString::from(person.to), code, content, valid_for })
    }

    fn step<'a>(&self, errand: &'a Errand) -> Result<(Arc<Channel>, &'a Step), Outcome> {
        let message = errand.snapshot.verification.message(errand.message);
        let step = message.and_then(|message| errand.snapshot.policy.steps.get(usize::from(message.step)));
        let channel = step.and_then(|step| self.channels.now().get(&step.channel).cloned());
        channel.zip(step).ok_or_else(|| {
            let title = "the channel of this step is no longer configured";
            refused("unknown_channel", title, ErrorClass::Configuration)
        })
    }

    /// Hashes a provider id that may reveal the person.
    fn hidden(&self, errand: &Errand, reference: ProviderRef) -> ProviderRef {
        let (request, now) = (&errand.snapshot.verification.request, self.clock.now());
        self.vault.sealed_ref(request.id, request.number, now, reference.clone()).unwrap_or_else(|error| {
            tracing::error!("{error}");
            self.vault.hidden_ref(reference)
        })
    }

    /// Submits the outcome until the store accepts it. If the store is closed, the attempt is found open at the next
    /// start and is in doubt.
    async fn hand_back(&self, errand: &Errand, sent: Sent) {
        let id = errand.snapshot.verification.id();
        let aliases = sent.aliases.iter().map(|alias| self.vault.known_as(alias)).collect();
        let outcome = match sent.outcome {
            Outcome::Accepted { provider_ref } => {
                let provider_ref = provider_ref.map(|provider_ref| self.hidden(errand, provider_ref));
                Outcome::Accepted { provider_ref }
            }
            Outcome::Held { provider_ref } => {
                Outcome::Held { provider_ref: self.hidden(errand, provider_ref) }
            }
            outcome @ (Outcome::Refused { .. } | Outcome::InDoubt { .. }) => outcome,
        };
        let jitter = vault::jitter();
        let command = Command::SendReported {
            message: errand.message,
            attempt: errand.attempt,
            outcome,
            aliases,
            jitter,
        };
        let mut wait = FIRST_WAIT;
        loop {
            let order = Order::Command { id, app: None, command: command.clone() };
            match self.store.execute(vec![order]).await {
                Ok(answers) => {
                    failpoint::reach("outcome.recorded");
                    return note_rejection(id, &answers);
                }
                Err(StoreError::Busy | StoreError::Full) => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(error @ (StoreError::Closed | StoreError::TooLarge | StoreError::Damaged { .. })) => {
                    let message_id = message_id(errand);
                    tracing::error!(%message_id, attempt = errand.attempt, %error, "outcome not recorded");
                    return;
                }
            }
        }
    }
}

/// Content of one request. No `Debug`, because it holds a number and a code.
struct Letter<'a> {
    channel: Arc<Channel>,
    to: SecretString,
    code: SecretString,
    content: Rendered<'a>,
    valid_for: Duration,
}

enum Rendered<'a> {
    Template { name: &'a str, language: &'a str },
    Text(SecretString),
    ById(&'a str),
}

impl Rendered<'_> {
    fn as_channel(&self) -> channel::Content<'_> {
        match self {
            Self::Template { name, language } => channel::Content::Template { name, language },
            Self::Text(text) => channel::Content::Text(text.expose_secret()),
            Self::ById(id) => channel::Content::ById(id),
        }
    }
}

fn content<'a>(
    step: &'a Step,
    policy: &'a Policy,
    locale: Option<&str>,
    code: &SecretString,
    minutes: u64,
) -> Result<Rendered<'a>, Outcome> {
    let (_, wording) = step.content.in_locale(locale, &policy.default_locale).ok_or_else(|| {
        let title = "the step has no text for the profile's default locale";
        refused("no_wording", title, ErrorClass::Configuration)
    })?;
    Ok(match &step.content {
        Content::Template { name, .. } => Rendered::Template { name, language: wording },
        Content::Text { .. } => Rendered::Text(render(wording, code, &policy.brand, minutes)),
        Content::ById { .. } => Rendered::ById(wording),
    })
}

/// Replaces `{code}`, `{brand}` and `{minutes}` in one pass, so that a brand that looks like a placeholder stays
/// unchanged.
fn render(wording: &str, code: &SecretString, brand: &str, minutes: u64) -> SecretString {
    let minutes = minutes.to_string();
    let fillings = [("{code}", code.expose_secret()), ("{brand}", brand), ("{minutes}", minutes.as_str())];
    // Allocated large enough, so that growing leaves no copy of the code in freed memory.
    let longest = fillings.iter().map(|(_, filling)| filling.len()).max().unwrap_or_default();
    let mut text = String::with_capacity(wording.len() + wording.matches('{').count() * longest);
    let mut rest = wording;
    while let Some(brace) = rest.find('{') {
        let (before, at_brace) = rest.split_at(brace);
        text.push_str(before);
        let filling = fillings.iter().find(|(placeholder, _)| at_brace.starts_with(placeholder));
        let (placeholder, filling) = filling.copied().unwrap_or(("{", "{"));
        text.push_str(filling);
        rest = &at_brace[placeholder.len()..];
    }
    text.push_str(rest);
    SecretString::from(text)
}

/// Whole minutes, rounded up, at least 1.
fn minutes_left(now: Timestamp, expires_at: Timestamp) -> u64 {
    expires_at.since(now).as_millis().div_ceil(60_000).try_into().unwrap_or(u64::MAX).max(1)
}

fn message_id(errand: &Errand) -> MessageId {
    errand.snapshot.verification.message_id(errand.message)
}

fn error(code: &str, title: &str, class: ErrorClass) -> DeliveryError {
    DeliveryError { code: code.to_owned(), title: title.to_owned(), class }
}

fn refused(code: &str, title: &str, class: ErrorClass) -> Outcome {
    Outcome::Refused { error: error(code, title, class), retry_after: None }
}

fn in_doubt(code: &str, title: &str) -> Outcome {
    Outcome::InDoubt { error: error(code, title, ErrorClass::InDoubt) }
}

/// Error class of a refusal, for metrics.
fn class(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Refused { error, .. } => error.class.as_str(),
        Outcome::Accepted { .. } | Outcome::Held { .. } | Outcome::InDoubt { .. } => "none",
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { .. } => "accepted",
        Outcome::Held { .. } => "held",
        Outcome::Refused { .. } => "refused",
        Outcome::InDoubt { .. } => "in_doubt",
    }
}

/// Logs the duration of the request. The store logs the resulting events once they are durable.
fn log(errand: &Errand, channel: &str, outcome: &Outcome, took: Duration) {
    // Without the provider's id: a wamid contains the number in base64.
    tracing::debug!(
        message_id = %message_id(errand),
        attempt = errand.attempt,
        channel,
        outcome = word(outcome),
        duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "request to the provider finished"
    );
}

/// The state machine accepts every outcome of an attempt that it started; anything else is a bug.
fn note_rejection(id: VerificationId, answers: &[Answer]) {
    if let Some(Answer::Rejected { rejection, .. }) = answers.first() {
        tracing::error!(verification = %id, %rejection, "the state machine rejected the outcome of an attempt");
    }
}
