//! Ways to reach a person. A channel turns a message into one HTTP request, the answer into an [`Outcome`] and a
//! webhook into [`Report`]s. It decides nothing and retries nothing: that is the machine's.
//!
//! A kind of channel is a folder or file here with a `Provider`, a row in each list of this file, and a reader of its
//! settings in `config/channels/`. Nothing outside asks which kind a channel is.

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
use webhook::{Callback, Heard, NotHeard, Told, Webhook};

/// A configured channel.
pub struct Channel {
    name: ChannelName,
    callback: Callback,
    kind: AnyProvider,
    refusals: Refusals,
    receipts: Receipts,
    strangers: Throttle<(Option<String>, Stray)>,
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

/// What the configuration says about a channel beside what every kind has.
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

/// `$use` with the provider behind a kind.
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

    /// Where requests go: an address at the provider, or at what stands in for it.
    pub fn address(&self) -> &str {
        match self {
            Self::Meta(meta) => &meta.graph_url,
            Self::Http(http) => &http.url,
            Self::Twilio(twilio) => &twilio.base_url,
            Self::SinchConversation(sinch) => &sinch.base_url,
            Self::SinchSms(sinch) => &sinch.base_url,
        }
    }

    /// The provider's own address; `None` where every customer has another.
    pub fn usual_address(&self) -> Option<&'static str> {
        match self {
            Self::Meta(_) => Some(meta::ADDRESS),
            Self::Http(_) => None,
            Self::Twilio(_) => Some(twilio::ADDRESS),
            Self::SinchConversation(sinch) => Some(sinch.region.address()),
            Self::SinchSms(sinch) => Some(sinch.region.address()),
        }
    }

    /// The id of the provider's approved content for each locale, where that is what the channel sends: its steps name
    /// neither template nor text.
    pub fn contents(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::Twilio(twilio) => twilio.content_sids.as_ref(),
            Self::Meta(_) | Self::Http(_) | Self::SinchConversation(_) | Self::SinchSms(_) => None,
        }
    }
}

/// What a step may name for a channel to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    Template,
    Text,
    /// Nothing: the channel itself says what it sends ([`Settings::contents`]).
    ById,
}

/// What every kind of channel does.
trait Provider {
    /// Makes exactly one request and says what became of it, within the channel's `timeout`.
    async fn send(&self, submission: &Submission<'_>) -> Sent;

    /// Checks that the provider sent this, and says what it is. Total: what cannot be read is counted in the
    /// [`Delivery`].
    fn receive(&self, webhook: &Webhook<'_>) -> Result<Heard, NotHeard>;

    /// The key of the configuration to compare where signatures are wrong.
    fn signing_setting(&self) -> &'static str;

    /// The scheme by which a report is proved, as `WWW-Authenticate` has it: some clients show a password only to who
    /// asks for one.
    fn challenge(&self) -> &'static str {
        "Signature"
    }

    /// Where it reports to this channel, if that is not the channel's address itself: behind it may be a secret.
    fn report_address(&self) -> Option<&Callback> {
        None
    }

    /// Every language in which the provider knows the template `name`; `None` where it keeps no templates.
    async fn templates(&self, _name: &str) -> Option<Result<Vec<Template>, TemplatesUnknown>> {
        None
    }
}

/// What a channel has whatever its kind.
#[derive(Debug, Clone)]
pub struct Basis {
    pub name: ChannelName,
    pub timeouts: Timeouts,
    pub callback: Callback,
}

/// How long a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For name, connection and TLS together. At most half of `whole` is used, so that a provider that cannot be
    /// reached is told apart from one that does not answer.
    pub connect: Duration,
    /// For everything, to the last byte of the answer.
    pub whole: Duration,
}

/// The channels of one configuration. They are made together because a provider may report on one of them at the
/// address of another.
pub fn all(
    settings: impl IntoIterator<Item = (Basis, Settings)>,
) -> Result<BTreeMap<ChannelName, Arc<Channel>>, Unusable> {
    let mut channels = BTreeMap::new();
    for (basis, settings) in settings {
        let kind = AnyProvider::new(&basis, settings)
            .map_err(|source| Unusable { channel: basis.name.clone(), source })?;
        let Basis { name, callback, .. } = basis;
        let channel = Channel {
            name: name.clone(),
            callback,
            kind,
            refusals: Refusals::default(),
            receipts: Receipts::default(),
            strangers: Throttle::default(),
        };
        channels.insert(name, channel);
    }
    meta::introduce(channels.values_mut().filter_map(|channel| match &mut channel.kind {
        AnyProvider::Meta(meta) => Some(meta),
        AnyProvider::Http(_)
        | AnyProvider::Twilio(_)
        | AnyProvider::SinchConversation(_)
        | AnyProvider::SinchSms(_) => None,
    }));
    Ok(channels.into_iter().map(|(name, channel)| (name, Arc::new(channel))).collect())
}

/// A channel that cannot be made of its settings.
#[derive(Debug, thiserror::Error)]
#[error("[channels.{channel}]: {source}")]
pub struct Unusable {
    pub channel: ChannelName,
    pub source: SetupError,
}

impl Channel {
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Where its provider reports to it.
    pub fn callback(&self) -> &Callback {
        &self.callback
    }

    /// The scheme that a report must have, as `WWW-Authenticate` has it.
    pub fn challenge(&self) -> &'static str {
        provider!(&self.kind, provider => provider.challenge())
    }

    /// The address to enter at the provider. There may be a secret in it, so it belongs into no log.
    pub fn report_address(&self) -> &Callback {
        provider!(&self.kind, provider => provider.report_address()).unwrap_or(&self.callback)
    }

    /// Makes exactly one request and says what became of it, within the channel's `timeout`.
    pub async fn send(&self, submission: &Submission<'_>) -> Sent {
        provider!(&self.kind, provider => provider.send(submission).await)
    }

    /// What a request to its webhook address says, once it is known that the provider sent it. The caller has bounded
    /// the body (3 MiB), stores what was told and calls [`Channel::stored`].
    pub fn receive(&self, webhook: &Webhook<'_>) -> Result<Heard, NotHeard> {
        let heard =
            provider!(&self.kind, provider => provider.receive(webhook)).and_then(|heard| match heard {
                Heard::Told(Told { receipt: Some(receipt), .. }) if self.receipts.has(&receipt) => {
                    Err(BadSignature::Replayed.into())
                }
                heard => Ok(heard),
            });
        if let Err(NotHeard::Signature(reason)) = heard {
            let setting = provider!(&self.kind, provider => provider.signing_setting());
            self.refusals.count(&self.name, setting, reason, webhook.now);
        }
        heard
    }

    /// Says that a signed delivery for this channel is durable. How many signatures were refused since the one before.
    ///
    /// Only now is its receipt remembered: what could not be stored is delivered again, and must be let in then.
    pub fn stored(&self, receipt: Option<Receipt>, now: Timestamp) -> u64 {
        if let Some(receipt) = receipt {
            self.receipts.remember(receipt, now);
        }
        // Only read as long as all is well: every delivery comes by here.
        match self.refused_in_a_row() {
            0 => 0,
            _ => self.refusals.in_a_row.swap(0, Ordering::Relaxed),
        }
    }

    /// Writes into the log what a delivery to this channel's address had for nobody.
    pub fn note_foreign(&self, delivery: &Delivery, now: Timestamp) {
        for Foreign { id, reason, items } in &delivery.foreign {
            let key = (id.clone(), *reason);
            let Some(items) = self.strangers.due(key, *items as u64, now) else { continue };
            let (channel, id) = (&self.name, id.as_deref());
            tracing::warn!(%channel, id, items, reason = reason.as_str(), "updates were left alone");
        }
    }

    /// Signatures that were refused since the last delivery that was right.
    pub fn refused_in_a_row(&self) -> u64 {
        self.refusals.in_a_row.load(Ordering::Relaxed)
    }

    /// Every language in which the provider knows the template `name`; `None` where it keeps no templates. One request,
    /// within the channel's `timeout`.
    pub async fn templates(&self, name: &str) -> Option<Result<Vec<Template>, TemplatesUnknown>> {
        provider!(&self.kind, provider => provider.templates(name).await)
    }
}

/// Deliveries whose signature was refused. Anybody can send as many as they like, so the log gets a summary.
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
                "webhooks were refused: their signature is of another secret. If they are the provider's, compare \
                 `[channels.{channel}] {setting}` with the secret that the provider shows"
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

/// One message to hand to a provider. Without `Debug`, because it holds a number and a code.
pub struct Submission<'a> {
    /// Given to the provider, which gives it back in its reports.
    pub reference: MessageId,
    /// E.164 with `+`.
    pub to: &'a str,
    pub code: &'a str,
    pub content: Content<'a>,
    /// How long the message is of use: a provider that can be told so does not deliver it later.
    pub of_use: Duration,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub outcome: Outcome,
    /// What the provider's answer calls the person.
    pub aliases: Vec<Alias>,
}

impl From<Outcome> for Sent {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, aliases: Vec::new() }
    }
}

/// What is sent: each kind of channel carries one of them.
pub enum Content<'a> {
    /// An authentication template, as approved at Meta; `language` is Meta's (`en_US`).
    Template { name: &'a str, language: &'a str },
    /// The whole text with the code in it.
    Text(&'a str),
    /// The id of a content that the provider keeps and fills the code in.
    ById(&'a str),
}

/// Everything one webhook says.
#[derive(Debug, Default)]
pub struct Delivery {
    pub reports: Vec<Report<Alias>>,
    pub inbound: Vec<Inbound>,
    pub alerts: Vec<Alert>,
    /// Updates that belong to no channel which may have them, left alone.
    pub foreign: Vec<Foreign>,
    pub unknown: BTreeMap<Unknown, usize>,
    /// How many people the provider says opted in or out.
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

    /// How many updates were left alone.
    pub fn foreign_items(&self) -> usize {
        self.foreign.iter().map(|foreign| foreign.items).sum()
    }

    fn leave_alone(&mut self, id: Option<&str>, reason: Stray, items: usize) {
        let id = id.and_then(plain_id);
        let known = self.foreign.iter().position(|known| (known.reason, &known.id) == (reason, &id));
        let is_full = self.foreign.len() >= MOST_FOREIGN;
        match known.or(is_full.then_some(0)) {
            Some(place) => self.foreign[place].items += items,
            None => self.foreign.push(Foreign { id, reason, items }),
        }
    }
}

/// A provider with more numbers than that in one delivery is counted all the same, under the first of them.
const MOST_FOREIGN: usize = 8;

/// Updates about something that is not a channel's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign {
    /// The phone number id or account that they name.
    pub id: Option<String>,
    pub reason: Stray,
    pub items: usize,
}

/// Why an update was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stray {
    /// No channel has this phone number id or account.
    Unknown,
    /// A channel has it, but the delivery is signed by none of that channel's secrets.
    NotSigned,
}

impl Stray {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "no channel has this phone number id or account",
            Self::NotSigned => "none of its channel's secrets signed the delivery",
        }
    }
}

/// An id as providers write them; anything else may be a person's.
fn plain_id(id: &str) -> Option<String> {
    let plain = (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| id.to_owned())
}

/// Whether a webhook had a known shape at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readable {
    #[default]
    Yes,
    /// Why not, in words for an operator.
    No(&'static str),
}

/// What a person told the provider about messages from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consent {
    Given,
    Withdrawn,
}

impl Consent {
    /// For a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What was met that this version does not know. Accepted and counted, never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unknown {
    /// A webhook field, as Meta calls the subject of a change.
    Field,
    /// An event of a known field.
    Event,
    /// A type of inbound message; the message is kept all the same.
    MessageType,
    /// A delivery status.
    Status,
    /// An entry, change, status or message whose form is broken.
    Item,
}

impl Unknown {
    /// For a metric's label.
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

/// A message that a person wrote to the business number, or a button they pressed.
pub struct Inbound {
    pub provider_ref: ProviderRef,
    /// E.164 with `+`; missing where the person hides it behind a username.
    pub from: Option<String>,
    /// Meta's business-scoped user id, at most [`Inbound::MAX_NAME_CHARS`].
    pub user_id: Option<String>,
    /// At most [`Inbound::MAX_NAME_CHARS`].
    pub profile_name: Option<String>,
    /// When the provider says it was sent.
    pub at: Option<Timestamp>,
    /// The provider's word: `text`, `button`, `image`, …
    pub kind: String,
    /// What the person wrote or pressed, at most [`Inbound::MAX_TEXT_CHARS`].
    pub text: Option<String>,
    pub in_reply_to: Option<ProviderRef>,
    pub intent: Intent,
}

impl Inbound {
    /// WhatsApp's own limit for a text, so that nothing a person can write is cut.
    pub const MAX_TEXT_CHARS: usize = 4096;
    /// Profile names are 25 characters at Meta, user ids some 20; the bound only keeps a broken one small, because what
    /// does not fit into a record of the store would be refused with all that came beside it.
    pub const MAX_NAME_CHARS: usize = 256;
}

/// Shows ids only: who wrote what stays out of logs.
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

/// What an inbound message asks of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    Reply,
    /// The button "I didn't request a code" of the message that `in_reply_to` names.
    CodeDisowned,
}

/// Something an operator should hear that belongs to no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// For `twotick explain`: Meta's number, or a name of ours such as `template_paused`.
    pub code: String,
    /// The provider's words, cut to 200 characters, never with a phone number in them.
    pub title: String,
    /// What it is about: a template's name and language, the end of a phone number, a kind of alert.
    pub subject: Option<String>,
    pub severity: Severity,
    pub at: Option<Timestamp>,
    /// A hash of the provider's item and how many equal ones came before it in the same webhook: what is shown of two
    /// items may be the same. `None`: each is one of its own.
    pub fingerprint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Notice,
    Warning,
    /// Codes are not going out on this channel, or will soon not be.
    Critical,
}

/// Settings from which no channel can be made. Never quotes a secret.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("`{0}` is not an http or https address")]
    Url(&'static str),
    #[error("`{0}` holds characters that cannot stand in an HTTP header")]
    Header(&'static str),
    #[error("`{0}` must not be empty: without it anybody could send reports")]
    EmptySecret(&'static str),
    #[error(
        "no HTTPS client could be made; are the system's CA certificates installed (package ca-certificates)?"
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

/// The configuration lets no step through whose content is not its channel's; should one come, it fails loudly
/// instead of sending something else.
fn wrong_content() -> Outcome {
    refused("wrong_content", "this channel cannot carry what its step names", ErrorClass::Configuration)
}
