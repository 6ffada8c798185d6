//! Ways to reach a person. A channel turns a message into one HTTP request, the answer into an [`Outcome`] and a
//! webhook into [`Report`]s. It decides nothing and retries nothing: that is the machine's.

pub mod exchange;
pub mod http_sms;
pub mod meta;
mod scrub;
pub mod signature;
#[cfg(test)]
mod testing;
mod wire;

use std::collections::BTreeMap;
use std::fmt;

use crate::verification::values::{
    ChannelName, DeliveryError, ErrorClass, MessageId, Outcome, ProviderRef, Report, Timestamp,
};
use signature::BadSignature;

/// A configured channel. The kinds are a closed set: one more provider is one more variant.
pub enum Channel {
    Meta(meta::Meta),
    Http(http_sms::HttpSms),
}

impl Channel {
    pub fn name(&self) -> &ChannelName {
        match self {
            Self::Meta(meta) => meta.name(),
            Self::Http(http) => http.name(),
        }
    }

    /// Makes exactly one HTTP request and says what became of it, within the channel's `timeout`.
    pub async fn send(&self, submission: &Submission<'_>) -> Outcome {
        match self {
            Self::Meta(meta) => meta.send(submission).await,
            Self::Http(http) => http.send(submission).await,
        }
    }

    /// Whether the provider signed these very bytes. `signature_headers` is every value of the header named by
    /// [`Channel::signature_header`]: two of them are as bad as none.
    pub fn verify(&self, signature_headers: &[&[u8]], body: &[u8]) -> Result<(), BadSignature> {
        match self {
            Self::Meta(meta) => meta.verify(signature_headers, body),
            Self::Http(http) => http.verify(signature_headers, body),
        }
    }

    /// In lower case, as header maps look names up.
    pub fn signature_header(&self) -> &'static str {
        match self {
            Self::Meta(_) => "x-hub-signature-256",
            Self::Http(_) => "x-signature-256",
        }
    }

    /// What a webhook says. Total: whatever cannot be read is counted in the [`Delivery`].
    /// The caller has verified the signature and bounded the body (3 MiB).
    pub fn parse(&self, body: &[u8]) -> Delivery {
        match self {
            Self::Meta(meta) => meta.parse(body),
            Self::Http(http) => http.parse(body),
        }
    }

    /// The text to answer a provider with that asks whether this webhook is ours, or `None` to refuse it.
    /// To be sent as plain text: it is the caller's own words.
    pub fn answer_challenge<'a>(&self, challenge: &Challenge<'a>) -> Option<&'a str> {
        match self {
            Self::Meta(meta) => meta.answer_challenge(challenge),
            Self::Http(_) => None,
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
}

/// What is sent: each kind of channel carries one of them.
pub enum Content<'a> {
    /// An authentication template, as approved at Meta; `language` is Meta's (`en_US`).
    Template { name: &'a str, language: &'a str },
    /// The whole text with the code in it.
    Text(&'a str),
}

/// The query of Meta's `GET` on a webhook (`hub.mode`, `hub.verify_token`, `hub.challenge`).
pub struct Challenge<'a> {
    pub mode: &'a str,
    pub verify_token: &'a str,
    pub challenge: &'a str,
}

/// Everything one webhook says.
#[derive(Debug, Default)]
pub struct Delivery {
    pub reports: Vec<Report>,
    pub inbound: Vec<Inbound>,
    pub alerts: Vec<Alert>,
    /// Updates for a phone number or business account that is not ours, left alone.
    pub foreign: usize,
    pub unknown: BTreeMap<Unknown, usize>,
    pub readable: Readable,
}

impl Delivery {
    fn unreadable(reason: &'static str) -> Self {
        Self { readable: Readable::No(reason), ..Self::default() }
    }

    fn count(&mut self, unknown: Unknown) {
        *self.unknown.entry(unknown).or_default() += 1;
    }
}

/// Whether a webhook had a known shape at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readable {
    #[default]
    Yes,
    /// Why not, in words for an operator.
    No(&'static str),
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
