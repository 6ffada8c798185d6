//! Twilio's Messages API: SMS, WhatsApp content templates and RCS. Twilio has no field for our message id, so the URL
//! for status callbacks carries it.

mod errors;
mod reply;
mod signature;
mod webhook;

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::exchange::{self, Confidential, Endpoint};
use super::webhook::{self as incoming, Callback, Incoming, Reply, SignedDelivery, Webhook, WebhookError};
use super::{Basis, Content, Provider, Sent, SetupError, Submission, wrong_content};
pub use errors::class_of_code;
use signature::TokenKeys;
pub use signature::{SIGNATURE, sign};

/// Twilio's API.
pub const ADDRESS: &str = "https://api.twilio.com";
/// The configuration key of the signing secrets.
const SECRETS: &str = "auth_tokens";
/// The response to every webhook: Twilio executes instructions in the body.
const NO_INSTRUCTIONS: Reply = Reply {
    content_type: Some("text/xml; charset=utf-8"),
    body: std::borrow::Cow::Borrowed("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>"),
};

/// `[channels.NAME]` of kind `twilio`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Without a trailing slash.
    pub base_url: String,
    /// `AC` and letters or digits, as it becomes part of the URL.
    pub account_sid: String,
    /// Any of them may sign webhooks; the first authenticates requests if there is no API key.
    pub auth_tokens: Vec<SecretString>,
    pub api_key: Option<ApiKey>,
    pub sender: Sender,
    pub via: Via,
    /// Locale → SID of an approved content template. `None`: the channel sends texts.
    pub content_sids: Option<BTreeMap<String, String>>,
}

/// Authenticates requests instead of the account SID and auth token.
#[derive(Debug, Clone)]
pub struct ApiKey {
    pub sid: String,
    pub secret: SecretString,
}

/// The sender of a message.
#[derive(Debug, Clone)]
pub enum Sender {
    /// A number or name, without its channel prefix.
    From(String),
    /// The SID of a messaging service, a pool of senders from which Twilio chooses.
    MessagingService(String),
}

/// The network that delivers the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Sms,
    WhatsApp,
    Rcs,
}

pub struct Twilio {
    endpoint: Endpoint,
    url: Url,
    authorization: HeaderValue,
    keys: TokenKeys,
    callback: Callback,
    sender: (&'static str, String),
    via: Via,
    carries: Carried,
}

/// The kind of content that this channel sends.
#[derive(Clone, Copy)]
enum Carried {
    Texts,
    ContentTemplates,
}

impl Twilio {
    pub fn new(basis: &Basis, settings: Settings) -> Result<Self, SetupError> {
        let Settings { base_url, account_sid, auth_tokens, api_key, sender, via, content_sids } = settings;
        let keys = TokenKeys::new(&auth_tokens, SECRETS)?;
        let url = format!("{base_url}/2010-04-01/Accounts/{account_sid}/Messages.json");
        let url = exchange::http_url(&url, "base_url")?;
        let (user, password) = match &api_key {
            Some(ApiKey { sid, secret }) => (sid, secret),
            None => (&account_sid, auth_tokens.first().ok_or(SetupError::EmptySecret(SECRETS))?),
        };
        let sender = match sender {
            Sender::From(name) => ("From", format!("{}{name}", via.prefix_of_sender())),
            Sender::MessagingService(sid) => ("MessagingServiceSid", sid),
        };
        let carries = if content_sids.is_some() { Carried::ContentTemplates } else { Carried::Texts };
        Ok(Self {
            endpoint: Endpoint::new(basis, &url)?,
            url,
            authorization: basic(user, password)?,
            keys,
            callback: basis.callback.clone(),
            sender,
            via,
            carries,
        })
    }
}

impl Via {
    fn prefix_of_sender(self) -> &'static str {
        match self {
            Self::Sms => "",
            Self::WhatsApp => "whatsapp:",
            Self::Rcs => "rcs:",
        }
    }

    /// A bare number together with an `rcs:` sender restricts the message to RCS.
    fn prefix_of_addressee(self) -> &'static str {
        match self {
            Self::Sms | Self::Rcs => "",
            Self::WhatsApp => "whatsapp:",
        }
    }
}

impl Provider for Twilio {
    async fn send(&self, submission: &Submission<'_>) -> Sent {
        let to = format!("{}{}", self.via.prefix_of_addressee(), submission.to);
        let callback = self.callback.for_message(submission.reference);
        let (name, sender) = &self.sender;
        let mut fields = vec![("To", to.as_str()), (*name, sender.as_str())];
        let variables = serde_json::json!({ "1": submission.code }).to_string();
        match (self.carries, &submission.content) {
            (Carried::Texts, Content::Text(text)) => fields.push(("Body", text)),
            (Carried::ContentTemplates, Content::ById(sid)) => {
                fields.extend([("ContentSid", *sid), ("ContentVariables", variables.as_str())]);
            }
            (Carried::Texts | Carried::ContentTemplates, _) => return wrong_content().into(),
        }
        fields.push(("StatusCallback", callback.as_str()));
        let request = self.endpoint.request(Method::POST, self.url.clone());
        let request = request.header(AUTHORIZATION, self.authorization.clone());
        let answer = self.endpoint.send(exchange::form(request, fields)).await;
        reply::read(answer, &Confidential::new(submission).with_authorization(&self.authorization)).into()
    }

    fn receive(&self, webhook: &Webhook<'_>) -> Result<Incoming, WebhookError> {
        webhook.require_exact_path()?;
        match webhook.method {
            incoming::Method::Get => Err(WebhookError::Method("POST")),
            incoming::Method::Post => {
                self.keys.verify(webhook)?;
                let own = webhook::parse(webhook);
                Ok(Incoming::Delivery(SignedDelivery {
                    own,
                    of_others: Vec::new(),
                    reply: NO_INSTRUCTIONS,
                    receipt: None,
                }))
            }
        }
    }

    fn signing_setting(&self) -> &'static str {
        SECRETS
    }
}

fn basic(user: &str, password: &SecretString) -> Result<HeaderValue, SetupError> {
    let pair = Zeroizing::new(format!("{user}:{}", password.expose_secret()));
    exchange::authorization("Basic", &BASE64_STANDARD.encode(pair.as_bytes()).into(), SECRETS)
}

#[cfg(test)]
mod tests;
