//! Channels to a phone. A channel turns a message into one HTTP request, the response into an [`Outcome`], and a
//! webhook into [`Report`]s. It makes no decisions and never retries; the state machine does both.
//!
//! Each kind of channel is a file or folder here with a `Provider` implementation, an arm in each `match` of this file,
//! and a settings reader in `config/channels/`. No other module needs to know a channel's kind.

pub mod exchange;
pub mod http_sms;
mod lenient;
pub mod meta;
mod reason;
pub mod receipts;
mod scrub;
pub mod signature;
pub mod sinch;
pub mod status;
mod templates;
#[cfg(test)]
mod testing;
pub mod throttle;
pub mod twilio;
pub mod webhook;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::verification::values::{
    Alias, ChannelName, DeliveryError, ErrorClass, MessageId, Outcome, ProviderRef, Report, Timestamp,
};
use receipts::{Receipt, Receipts};
use signature::BadSignature;
pub use templates::{Template, TemplatesUnknown};
use throttle::Throttle;
use webhook::{Callback, Incoming, SignedDelivery, Webhook, WebhookError};

/// A configured channel.
pub struct Channel {
    name: ChannelName,
    callback: Callback,
    kind: AnyProvider,
    refusals: Refusals,
    receipts: Receipts,
    ignored_lines: Throttle<(Option<String>, IgnoreReason)>,
}

/// A kind of provider, as `kind` names it in the configuration. A closed set: one more provider is one more variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Meta,
    Http,
    Twilio,
    SinchConversation,
    SinchSms,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Meta, Self::Http, Self::Twilio, Self::SinchConversation, Self::SinchSms];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Http => "http",
            Self::Twilio => "twilio",
            Self::SinchConversation => "sinch-conversation",
            Self::SinchSms => "sinch-sms",
        }
    }
}

/// The provider behind a channel, of any kind.
#[allow(
    clippy::large_enum_variant,
    reason = "there are as few of them as channels, and they stay where they are"
)]
enum AnyProvider {
    Meta(meta::Meta),
    Http(http_sms::HttpSms),
    Twilio(twilio::Twilio),
    SinchConversation(sinch::conversation::Conversation),
    SinchSms(sinch::sms::Sms),
}

/// The settings of one kind of channel; [`Basis`] holds those that all kinds share.
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "there are as few of them as channels, and they stay where they are"
)]
pub enum Settings {
    Meta(meta::Settings),
    Http(http_sms::Settings),
    Twilio(twilio::Settings),
    SinchConversation(sinch::conversation::Settings),
    SinchSms(sinch::sms::Settings),
}

/// Evaluates `$use` with `$provider` bound to the provider of a [`Kind`].
macro_rules! provider {
    ($kind:expr, $provider:ident => $use:expr) => {
        match $kind {
            AnyProvider::Meta($provider) => $use,
            AnyProvider::Http($provider) => $use,
            AnyProvider::Twilio($provider) => $use,
            AnyProvider::SinchConversation($provider) => $use,
            AnyProvider::SinchSms($provider) => $use,
        }
    };
}

impl AnyProvider {
    fn new(basis: &Basis, settings: Settings) -> Result<Self, SetupError> {
        Ok(match settings {
            Settings::Meta(settings) => Self::Meta(meta::Meta::new(basis, settings)?),
            Settings::Http(settings) => Self::Http(http_sms::HttpSms::new(basis, settings)?),
            Settings::Twilio(settings) => Self::Twilio(twilio::Twilio::new(basis, settings)?),
            Settings::SinchConversation(settings) => {
                Self::SinchConversation(sinch::conversation::Conversation::new(basis, settings)?)
            }
            Settings::SinchSms(settings) => Self::SinchSms(sinch::sms::Sms::new(basis, settings)?),
        })
    }
}

impl Settings {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Meta(_) => Kind::Meta,
            Self::Http(_) => Kind::Http,
            Self::Twilio(_) => Kind::Twilio,
            Self::SinchConversation(_) => Kind::SinchConversation,
            Self::SinchSms(_) => Kind::SinchSms,
        }
    }

    /// The URL that requests go to: the provider's, or a stand-in's.
    pub fn address(&self) -> &str {
        match self {
            Self::Meta(meta) => &meta.graph_url,
            Self::Http(http) => &http.url,
            Self::Twilio(twilio) => &twilio.base_url,
            Self::SinchConversation(sinch) => &sinch.base_url,
            Self::SinchSms(sinch) => &sinch.base_url,
        }
    }

    /// The provider's public URL; `None` for kinds that have one per customer.
    pub fn usual_address(&self) -> Option<&'static str> {
        match self {
            Self::Meta(_) => Some(meta::ADDRESS),
            Self::Http(_) => None,
            Self::Twilio(_) => Some(twilio::ADDRESS),
            Self::SinchConversation(sinch) => Some(sinch.region.address()),
            Self::SinchSms(sinch) => Some(sinch.region.address()),
        }
    }

    /// Content ids of the provider's approved templates by locale, for a channel that sends these. Its steps then name
    /// neither a template nor a text.
    pub fn contents(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::Twilio(twilio) => twilio.content_sids.as_ref(),
            Self::Meta(_) | Self::Http(_) | Self::SinchConversation(_) | Self::SinchSms(_) => None,
        }
    }
}

/// The content that a step must name for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    Template,
    Text,
    /// None: the channel's settings decide ([`Settings::contents`]).
    ById,
}

/// The operations of a kind of channel.
trait Provider {
    /// Makes exactly one request, bounded by the channel's `timeout`, and returns its outcome.
    async fn send(&self, submission: &Submission<'_>) -> Sent;

    /// Authenticates and parses a webhook request. Never fails on unexpected content: unreadable parts are counted in
    /// the [`Delivery`].
    fn receive(&self, webhook: &Webhook<'_>) -> Result<Incoming, WebhookError>;

    /// The configuration key to check when signatures are wrong.
    fn signing_setting(&self) -> &'static str;

    /// The `WWW-Authenticate` scheme for refused webhooks. Some clients send a password only after a challenge.
    fn challenge(&self) -> &'static str {
        "Signature"
    }

    /// The webhook URL, if it differs from the channel's own; it may contain a secret.
    fn webhook_url(&self) -> Option<&Callback> {
        None
    }

    /// All languages of the provider's template `name`; `None` if the provider stores no templates.
    async fn templates(&self, _name: &str) -> Option<Result<Vec<Template>, TemplatesUnknown>> {
        None
    }
}

/// The settings that all kinds of channels share.
#[derive(Debug, Clone)]
pub struct Basis {
    pub name: ChannelName,
    pub timeouts: Timeouts,
    pub callback: Callback,
}

/// Time limits of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// DNS, TCP and TLS together. Capped at half of `whole`, so that an unreachable provider can be distinguished from
    /// a slow one.
    pub connect: Duration,
    /// The whole exchange, to the last byte of the response.
    pub whole: Duration,
}

/// Builds all channels of a configuration. They are built together because a webhook sent to one channel's URL may
/// carry reports for another.
pub fn all(
    settings: impl IntoIterator<Item = (Basis, Settings)>,
) -> Result<BTreeMap<ChannelName, Arc<Channel>>, ChannelError> {
    let mut channels = BTreeMap::new();
    for (basis, settings) in settings {
        let kind = AnyProvider::new(&basis, settings)
            .map_err(|source| ChannelError { channel: basis.name.clone(), source })?;
        let Basis { name, callback, .. } = basis;
        let channel = Channel {
            name: name.clone(),
            callback,
            kind,
            refusals: Refusals::default(),
            receipts: Receipts::default(),
            ignored_lines: Throttle::default(),
        };
        channels.insert(name, channel);
    }
    meta::link_channels(channels.values_mut().filter_map(|channel| match &mut channel.kind {
        AnyProvider::Meta(meta) => Some(meta),
        AnyProvider::Http(_)
        | AnyProvider::Twilio(_)
        | AnyProvider::SinchConversation(_)
        | AnyProvider::SinchSms(_) => None,
    }));
    Ok(channels.into_iter().map(|(name, channel)| (name, Arc::new(channel))).collect())
}

/// A channel that cannot be built from its settings.
#[derive(Debug, thiserror::Error)]
#[error("[channels.{channel}]: {source}")]
pub struct ChannelError {
    pub channel: ChannelName,
    pub source: SetupError,
}

impl Channel {
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// The URL for this channel's webhooks.
    pub fn callback(&self) -> &Callback {
        &self.callback
    }

    /// The `WWW-Authenticate` scheme for refused webhooks.
    pub fn challenge(&self) -> &'static str {
        provider!(&self.kind, provider => provider.challenge())
    }

    /// The webhook URL to enter at the provider. It may contain a secret, so never log it.
    pub fn webhook_url(&self) -> &Callback {
        provider!(&self.kind, provider => provider.webhook_url()).unwrap_or(&self.callback)
    }

    /// Makes exactly one request, bounded by the channel's `timeout`, and returns its outcome.
    pub async fn send(&self, submission: &Submission<'_>) -> Sent {
        provider!(&self.kind, provider => provider.send(submission).await)
    }

    /// Authenticates and parses a webhook request; the body may be up to 3 MiB. The caller stores the result durably
    /// and then calls [`Channel::stored`].
    pub fn receive(&self, webhook: &Webhook<'_>) -> Result<Incoming, WebhookError> {
        let heard =
            provider!(&self.kind, provider => provider.receive(webhook)).and_then(|heard| match heard {
                Incoming::Delivery(SignedDelivery { receipt: Some(receipt), .. })
                    if self.receipts.has(&receipt) =>
                {
                    Err(BadSignature::Replayed.into())
                }
                heard => Ok(heard),
            });
        if let Err(WebhookError::Signature(reason)) = heard {
            let setting = provider!(&self.kind, provider => provider.signing_setting());
            self.refusals.count(&self.name, setting, reason, webhook.now);
        }
        heard
    }

    /// Confirms that a signed delivery for this channel is durable. Returns the number of signatures refused since the
    /// previous one.
    ///
    /// The receipt is recorded only now: the provider redelivers what could not be stored, and that must not count as a
    /// replay.
    pub fn stored(&self, receipt: Option<Receipt>, now: Timestamp) -> u64 {
        if let Some(receipt) = receipt {
            self.receipts.remember(receipt, now);
        }
        // Every delivery passes here, so the normal case only reads the counter.
        match self.refused_in_a_row() {
            0 => 0,
            _ => self.refusals.in_a_row.swap(0, Ordering::Relaxed),
        }
    }

    /// Logs the updates of a delivery that belong to no channel, at most once a minute for each id.
    pub fn log_ignored(&self, delivery: &Delivery, now: Timestamp) {
        for Ignored { id, reason, items } in &delivery.ignored {
            let key = (id.clone(), *reason);
            let Some(items) = self.ignored_lines.due(key, *items as u64, now) else { continue };
            let (channel, id) = (&self.name, id.as_deref());
            tracing::warn!(%channel, id, items, reason = reason.as_str(), "webhook updates ignored");
        }
    }

    /// Refused signatures since the last valid delivery.
    pub fn refused_in_a_row(&self) -> u64 {
        self.refusals.in_a_row.load(Ordering::Relaxed)
    }

    /// All languages of the provider's template `name`; `None` if the provider stores no templates. One request,
    /// bounded by the channel's `timeout`.
    pub async fn templates(&self, name: &str) -> Option<Result<Vec<Template>, TemplatesUnknown>> {
        provider!(&self.kind, provider => provider.templates(name).await)
    }
}

/// Counts refused signatures. Anyone can cause them, so log lines are rate-limited.
#[derive(Default)]
struct Refusals {
    in_a_row: AtomicU64,
    lines: Throttle<BadSignature>,
}

impl Refusals {
    fn count(&self, channel: &ChannelName, setting: &str, reason: BadSignature, now: Timestamp) {
        let in_a_row = self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(times) = self.lines.due(reason, 1, now) else { return };
        let why = reason.as_str();
        match reason {
            BadSignature::Wrong => tracing::warn!(
                %channel, reason = why, times, in_a_row,
                "webhooks were refused: they are signed with a different secret. If the provider sent them, compare \
                 `[channels.{channel}] {setting}` with the secret shown by the provider"
            ),
            BadSignature::Missing
            | BadSignature::Doubled
            | BadSignature::Malformed
            | BadSignature::Stale
            | BadSignature::Replayed => tracing::warn!(
                %channel, reason = why, times, in_a_row, "webhooks were refused: {reason}"
            ),
        }
    }
}

/// A message to send. Not `Debug`, because it holds a number and a code.
pub struct Submission<'a> {
    /// Sent along, and echoed in the provider's reports.
    pub reference: MessageId,
    /// E.164 with `+`.
    pub to: &'a str,
    pub code: &'a str,
    pub content: Content<'a>,
    /// The time in which the message is useful; providers with a validity period do not deliver it later.
    pub valid_for: Duration,
}

/// The result of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub outcome: Outcome,
    /// Other identifiers of the recipient, from the provider's response.
    pub aliases: Vec<Alias>,
}

impl From<Outcome> for Sent {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, aliases: Vec::new() }
    }
}

/// The content of a message; each kind of channel accepts one variant.
pub enum Content<'a> {
    /// An approved authentication template; `language` is Meta's code (`en_US`).
    Template { name: &'a str, language: &'a str },
    /// The complete text, including the code.
    Text(&'a str),
    /// The id of a content template stored at the provider, which inserts the code.
    ById(&'a str),
}

/// The parsed content of one webhook.
#[derive(Debug, Default)]
pub struct Delivery {
    pub reports: Vec<Report<Alias>>,
    pub inbound: Vec<Inbound>,
    pub alerts: Vec<Alert>,
    /// Updates that no channel may have; ignored.
    pub ignored: Vec<Ignored>,
    pub unknown: BTreeMap<Unknown, usize>,
    /// The number of people who opted in or out, according to the provider.
    pub consents: BTreeMap<Consent, usize>,
    pub readable: Readable,
}

impl Delivery {
    fn unreadable(reason: &'static str) -> Self {
        Self { readable: Readable::No(reason), ..Self::default() }
    }

    fn count(&mut self, unknown: Unknown) {
        *self.unknown.entry(unknown).or_default() += 1;
    }

    /// The number of ignored updates.
    pub fn ignored_items(&self) -> usize {
        self.ignored.iter().map(|ignored| ignored.items).sum()
    }

    fn ignore(&mut self, id: Option<&str>, reason: IgnoreReason, items: usize) {
        let id = id.and_then(plain_id);
        let known = self.ignored.iter().position(|known| (known.reason, &known.id) == (reason, &id));
        let is_full = self.ignored.len() >= MAX_IGNORED;
        match known.or(is_full.then_some(0)) {
            Some(place) => self.ignored[place].items += items,
            None => self.ignored.push(Ignored { id, reason, items }),
        }
    }
}

/// Further ids of one delivery are counted under the first.
const MAX_IGNORED: usize = 8;

/// Ignored updates with the same id and reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ignored {
    /// The phone number id or account in the updates.
    pub id: Option<String>,
    pub reason: IgnoreReason,
    pub items: usize,
}

/// Why an update was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IgnoreReason {
    /// No channel has this phone number id or account id.
    Unknown,
    /// A channel has it, but none of its secrets signed the delivery.
    NotSigned,
}

impl IgnoreReason {
    /// For logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "no channel has this phone number id or account",
            Self::NotSigned => "none of its channel's secrets signed the delivery",
        }
    }
}

/// An id in the providers' usual form. Anything else may be personal data.
fn plain_id(id: &str) -> Option<String> {
    let plain = (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| id.to_owned())
}

/// Whether the webhook has a known structure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readable {
    #[default]
    Yes,
    /// The reason, for an operator.
    No(&'static str),
}

/// An opt-in or opt-out that the provider reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consent {
    Given,
    Withdrawn,
}

impl Consent {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Unknown items in a webhook. They are accepted and counted, never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unknown {
    /// A webhook field, Meta's term for the topic of a change.
    Field,
    /// An unknown event of a known field.
    Event,
    /// A type of inbound message. The message is stored anyway.
    MessageType,
    /// A delivery status.
    Status,
    /// A malformed entry, change, status or message.
    Item,
}

impl Unknown {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Event => "event",
            Self::MessageType => "message_type",
            Self::Status => "status",
            Self::Item => "item",
        }
    }
}

/// A message or button press from a person to the business number.
pub struct Inbound {
    pub provider_ref: ProviderRef,
    /// E.164 with `+`; `None` if the person hides it behind a username.
    pub from: Option<String>,
    /// Meta's business-scoped user id, at most [`Inbound::MAX_NAME_CHARS`].
    pub user_id: Option<String>,
    /// At most [`Inbound::MAX_NAME_CHARS`].
    pub profile_name: Option<String>,
    /// The provider's timestamp.
    pub at: Option<Timestamp>,
    /// The provider's message type: `text`, `button`, `image`, …
    pub kind: String,
    /// The text, or the label of the button, at most [`Inbound::MAX_TEXT_CHARS`].
    pub text: Option<String>,
    pub in_reply_to: Option<ProviderRef>,
    pub intent: Intent,
}

impl Inbound {
    /// WhatsApp's own limit, so no text is truncated.
    pub const MAX_TEXT_CHARS: usize = 4096;
    /// Meta limits profile names to 25 characters, and user ids have about 20. The bound guards against broken ones: an
    /// item too large for a record of the store would fail its whole delivery.
    pub const MAX_NAME_CHARS: usize = 256;
}

/// Prints ids only, to keep personal data out of logs.
impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("provider_ref", &self.provider_ref)
            .field("kind", &self.kind)
            .field("at", &self.at)
            .field("in_reply_to", &self.in_reply_to)
            .field("intent", &self.intent)
            .finish_non_exhaustive()
    }
}

/// The intent of an inbound message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    Reply,
    /// The person pressed "I didn't request a code" below the message in `in_reply_to`.
    CodeDisowned,
}

/// An account-level problem or notice for operators; it concerns no single message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The code for `twotick explain`: Meta's number, or one of ours such as `template_paused`.
    pub code: String,
    /// The provider's text, at most 200 characters, phone numbers masked.
    pub title: String,
    /// The object concerned: a template's name and language, the last digits of a phone number, a kind of alert.
    pub subject: Option<String>,
    pub severity: Severity,
    pub at: Option<Timestamp>,
    /// Identifies the provider's item across redeliveries: a hash of it, and its position among equal items of one
    /// webhook. The visible fields of two items may be equal. `None` disables deduplication.
    pub fingerprint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Notice,
    Warning,
    /// The channel cannot send codes, or soon will not be able to.
    Critical,
}

/// Settings that make no usable channel. Never quotes a secret.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("`{0}` is not an http or https address")]
    Url(&'static str),
    #[error("`{0}` contains characters that are not allowed in an HTTP header")]
    Header(&'static str),
    #[error("`{0}` must not be empty: anyone could send reports")]
    EmptySecret(&'static str),
    #[error(
        "the HTTPS client could not be created; are the system's CA certificates installed (package ca-certificates)?"
    )]
    Tls(#[source] reqwest::Error),
}

fn refused(code: impl Into<String>, title: impl Into<String>, class: ErrorClass) -> Outcome {
    Outcome::Refused {
        error: DeliveryError { code: code.into(), title: title.into(), class },
        retry_after: None,
    }
}

fn in_doubt(code: &str, title: impl Into<String>) -> Outcome {
    Outcome::InDoubt {
        error: DeliveryError { code: code.to_owned(), title: title.into(), class: ErrorClass::InDoubt },
    }
}

/// The configuration check guarantees matching content. A mismatch fails the message instead of sending something else.
fn wrong_content() -> Outcome {
    refused("wrong_content", "this channel cannot send the content of its step", ErrorClass::Configuration)
}
