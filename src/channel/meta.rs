//! WhatsApp via Meta's Cloud API.

mod errors;
mod owners;
pub mod reply;
pub mod request;
mod templates;
mod webhook;

use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::exchange::{self, Confidential, Endpoint};
use super::signature::Keys;
use super::webhook::{self as incoming, Incoming, Reply, Webhook, WebhookError};
use super::{
    Basis, Content, Provider, Sent, SetupError, Submission, Template, TemplatesUnknown, wrong_content,
};
pub use errors::class_of_code;
use owners::{Member, Other, Owners};

/// Meta's Graph API.
pub const ADDRESS: &str = "https://graph.facebook.com";
/// The webhook header with the signature.
const SIGNATURE: &str = "x-hub-signature-256";
/// Meta's challenges have about ten digits.
const MAX_CHALLENGE_BYTES: usize = 512;

/// `[channels.NAME]` of kind `meta`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// [`ADDRESS`] or a stand-in, without version and trailing slash.
    pub graph_url: String,
    /// Such as `v25.0`.
    pub graph_version: String,
    /// Digits.
    pub phone_number_id: String,
    /// Digits.
    pub business_account_id: String,
    /// Visible ASCII.
    pub access_token: SecretString,
    /// 1 to 16 secrets of at least 16 bytes each; any of them may sign webhooks.
    pub app_secrets: Vec<SecretString>,
    /// At least 8 bytes.
    pub verify_token: SecretString,
}

pub struct Meta {
    me: Arc<Member>,
    /// The other channels of this kind. Meta delivers webhooks for all numbers of an app to one URL.
    others: Vec<Other>,
    endpoint: Endpoint,
    authorization: HeaderValue,
    messages_url: Url,
    templates_url: Url,
    verify_token: [u8; 32],
}

impl Meta {
    pub fn new(basis: &Basis, settings: Settings) -> Result<Self, SetupError> {
        if settings.verify_token.expose_secret().is_empty() {
            return Err(SetupError::EmptySecret("verify_token"));
        }
        let graph = format!("{}/{}", settings.graph_url.trim_end_matches('/'), settings.graph_version);
        let url = |id: &str, edge: &str| exchange::http_url(&format!("{graph}/{id}/{edge}"), "graph_url");
        let messages_url = url(&settings.phone_number_id, "messages")?;
        Ok(Self {
            others: Vec::new(),
            endpoint: Endpoint::new(basis, &messages_url)?,
            authorization: exchange::authorization("Bearer", &settings.access_token, "access_token")?,
            messages_url,
            templates_url: url(&settings.business_account_id, "message_templates")?,
            verify_token: digest(settings.verify_token.expose_secret()),
            me: Arc::new(Member {
                name: basis.name.clone(),
                phone_number_id: settings.phone_number_id,
                business_account_id: settings.business_account_id,
                keys: Keys::new(&settings.app_secrets, SECRETS)?,
            }),
        })
    }

    /// The response to Meta's challenge if the verify token is ours. Comparing digests hides even the token's length
    /// from timing.
    fn answer(&self, webhook: &Webhook<'_>) -> Option<Reply> {
        let value =
            |wanted: &str| webhook.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let known = digest(&value("hub.verify_token")?).ct_eq(&self.verify_token);
        let text = value("hub.challenge")?;
        let harmless = (1..=MAX_CHALLENGE_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        let asked = bool::from(known) && value("hub.mode")? == "subscribe" && harmless;
        asked.then(|| Reply::text(text.into_owned()))
    }
}

/// The configuration key of the signing secrets.
const SECRETS: &str = "app_secrets";

impl Provider for Meta {
    async fn send(&self, submission: &Submission<'_>) -> Sent {
        let Content::Template { name, language } = submission.content else {
            return wrong_content().into();
        };
        let request = self.endpoint.request(Method::POST, self.messages_url.clone());
        let request = request.header(AUTHORIZATION, self.authorization.clone());
        let request = exchange::json(request, &request::body(submission, name, language));
        let confidential = Confidential::new(submission).with_authorization(&self.authorization);
        reply::read(self.endpoint.send(request).await, &confidential)
    }

    fn receive(&self, webhook: &Webhook<'_>) -> Result<Incoming, WebhookError> {
        webhook.require_exact_path()?;
        match webhook.method {
            incoming::Method::Get => {
                self.answer(webhook).map(Incoming::Challenge).ok_or(WebhookError::Challenge)
            }
            incoming::Method::Post => {
                let header = webhook.single_header(SIGNATURE)?;
                let owners = Owners::verify(&self.me, &self.others, header, webhook.body)?;
                Ok(Incoming::Delivery(webhook::parse(webhook.body, owners)))
            }
        }
    }

    fn signing_setting(&self) -> &'static str {
        SECRETS
    }

    async fn templates(&self, name: &str) -> Option<Result<Vec<Template>, TemplatesUnknown>> {
        Some(self.fetch_templates(name).await)
    }
}

/// Makes the channels of this kind known to each other.
pub fn link_channels<'a>(channels: impl Iterator<Item = &'a mut Meta>) {
    let mut channels: Vec<_> = channels.collect();
    let all: Vec<_> = channels.iter().map(|channel| Arc::clone(&channel.me)).collect();
    for (place, channel) in channels.iter_mut().enumerate() {
        let others = all.iter().enumerate().filter(|(other, _)| *other != place);
        channel.others = others.map(|(_, other)| Other::new(&channel.me, Arc::clone(other))).collect();
    }
}

#[cfg(fuzzing)]
impl Meta {
    pub fn sent_of(answer: super::exchange::Answer, submission: &Submission<'_>) -> Sent {
        reply::read(answer, &Confidential::new(submission))
    }

    /// Parses a webhook with both parsers, if both accept it.
    pub fn parse_both_ways(&self, header: &[u8], body: &[u8]) -> Option<[super::Delivery; 2]> {
        let owners = || Owners::verify(&self.me, &self.others, header, body);
        webhook::both_ways(body, owners().ok()?, owners().ok()?)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests;
