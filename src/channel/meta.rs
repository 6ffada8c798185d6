//! WhatsApp through Meta's Cloud API.

mod errors;
pub mod reply;
pub mod request;
pub mod templates;
mod webhook;

use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::exchange::{Address, Endpoint};
use super::signature::{BadSignature, Keys};
use super::{Challenge, Content, Delivery, SetupError, Submission, wrong_content};
use crate::verification::values::{ChannelName, Outcome};

/// A challenge of Meta's is about ten digits; what is longer is not answered.
const MAX_CHALLENGE_BYTES: usize = 512;

/// `[channels.NAME]` of kind `meta`.
pub struct Settings {
    pub name: ChannelName,
    /// `https://graph.facebook.com`, without the version.
    pub graph_url: String,
    /// `v25.0`
    pub graph_version: String,
    pub phone_number_id: String,
    pub business_account_id: String,
    pub access_token: SecretString,
    /// Any of them may have signed a webhook.
    pub app_secrets: Vec<SecretString>,
    pub verify_token: SecretString,
    /// At most half of `timeout` is used.
    pub connect_timeout: Duration,
    /// For one request, to the last byte of its answer.
    pub timeout: Duration,
}

pub struct Meta {
    name: ChannelName,
    ours: Ours,
    endpoint: Endpoint,
    templates_url: Url,
    keys: Keys,
    verify_token: [u8; 32],
}

/// Which updates are about us.
struct Ours {
    phone_number_id: String,
    business_account_id: String,
}

impl Meta {
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        if settings.verify_token.expose_secret().is_empty() {
            return Err(SetupError::EmptySecret("verify_token"));
        }
        let graph = format!("{}/{}", settings.graph_url.trim_end_matches('/'), settings.graph_version);
        let url = format!("{graph}/{}/messages", settings.phone_number_id);
        let templates_url = format!("{graph}/{}/message_templates", settings.business_account_id);
        let templates_url = Url::parse(&templates_url).map_err(|_| SetupError::Url("graph_url"))?;
        let endpoint = Endpoint::new(&Address {
            channel: &settings.name,
            url: &url,
            url_setting: "graph_url",
            bearer: &settings.access_token,
            bearer_setting: "access_token",
            connect_timeout: settings.connect_timeout,
            timeout: settings.timeout,
        })?;
        Ok(Self {
            name: settings.name,
            ours: Ours {
                phone_number_id: settings.phone_number_id,
                business_account_id: settings.business_account_id,
            },
            endpoint,
            templates_url,
            keys: Keys::new(&settings.app_secrets, "app_secrets")?,
            verify_token: digest(settings.verify_token.expose_secret()),
        })
    }

    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    pub async fn send(&self, submission: &Submission<'_>) -> Outcome {
        let Content::Template { name, language } = submission.content else {
            return wrong_content();
        };
        let body = request::body(submission, name, language);
        reply::outcome(self.endpoint.post(body).await, submission)
    }

    pub fn verify(&self, signature_headers: &[&[u8]], body: &[u8]) -> Result<(), BadSignature> {
        self.keys.verify(signature_headers, body)
    }

    pub fn parse(&self, body: &[u8]) -> Delivery {
        webhook::parse(body, &self.ours)
    }

    /// The challenge, if it comes with our token. Compared as digests, so that the time says nothing about the
    /// token, not even its length.
    pub fn answer_challenge<'a>(&self, challenge: &Challenge<'a>) -> Option<&'a str> {
        let known = digest(challenge.verify_token).ct_eq(&self.verify_token);
        let text = challenge.challenge;
        let harmless = (1..=MAX_CHALLENGE_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        (bool::from(known) && challenge.mode == "subscribe" && harmless).then_some(text)
    }
}

#[cfg(fuzzing)]
impl Meta {
    pub fn outcome_of(answer: super::exchange::Answer, submission: &Submission<'_>) -> Outcome {
        reply::outcome(answer, submission)
    }

    /// The two ways of reading one webhook, where both may be gone.
    pub fn parse_both_ways(&self, body: &[u8]) -> Option<[Delivery; 2]> {
        webhook::both_ways(body, &self.ours)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests;
