//! WhatsApp, SMS and RCS via Sinch's Conversation API. Each message names one channel (`DISPATCH_ONLY`), so that Sinch
//! does not fall back on its own (Sinch, Conversation API reference and SDK for Node.js 1.5.0, 2026).

mod errors;
mod report;
mod request;
mod token;

use std::sync::Arc;

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, StatusCode, Url};
use secrecy::SecretString;
use serde_json::Value;

use super::proof::{self, SECRETS};
use crate::channel::exchange::{self, Answer, Confidential, Endpoint, require_response};
use crate::channel::signature::Keys;
use crate::channel::webhook::{Incoming, Reply, SignedDelivery, Webhook, WebhookError};
use crate::channel::{
    Basis, Provider, Sent, SetupError, Submission, Timeouts, lenient, refused, wire, wrong_content,
};
use crate::clock::Stopwatch;
use crate::verification::values::{ErrorClass, Outcome};
use token::{Token, Tokens};

/// Sinch's OAuth2 server, for all regions.
pub const AUTH_ADDRESS: &str = "https://auth.sinch.com";

/// `[channels.NAME]` of kind `sinch-conversation`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The region's URL or a stand-in, without a trailing slash.
    pub base_url: String,
    /// [`AUTH_ADDRESS`] or a stand-in, without a trailing slash.
    pub auth_url: String,
    pub region: Region,
    /// Letters, digits, `-` and `_`.
    pub project_id: String,
    pub app_id: String,
    /// Must not contain a colon.
    pub key_id: String,
    pub key_secret: SecretString,
    pub via: Via,
    /// The sender of an SMS; `None` for the app's default.
    pub sender: Option<String>,
    /// 1 to 16 secrets, any of which may sign webhooks.
    pub webhook_secrets: Vec<SecretString>,
}

/// The region of an app; other regions answer 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    Eu,
    Us,
    Br,
}

impl Region {
    pub fn address(self) -> &'static str {
        match self {
            Self::Eu => "https://eu.conversation.api.sinch.com",
            Self::Us => "https://us.conversation.api.sinch.com",
            Self::Br => "https://br.conversation.api.sinch.com",
        }
    }
}

/// The Sinch channel that carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Whatsapp,
    Sms,
    Rcs,
}

impl Via {
    /// The name in Sinch's API.
    fn as_str(self) -> &'static str {
        match self {
            Self::Whatsapp => "WHATSAPP",
            Self::Sms => "SMS",
            Self::Rcs => "RCS",
        }
    }
}

pub struct Conversation {
    app_id: String,
    via: Via,
    sender: Option<String>,
    callback: String,
    timeouts: Timeouts,
    endpoint: Endpoint,
    url: Url,
    tokens: Tokens,
    keys: Keys,
}

impl Conversation {
    pub fn new(basis: &Basis, settings: Settings) -> Result<Self, SetupError> {
        let send = format!("{}/v1/projects/{}/messages:send", settings.base_url, settings.project_id);
        let url = exchange::http_url(&send, "base_url")?;
        let auth = exchange::http_url(&format!("{}/oauth2/token", settings.auth_url), "auth_url")?;
        let basic = exchange::basic(&settings.key_id, &settings.key_secret, "key_secret")?;
        // Leaves more time than connecting may take, so that an unreachable provider can still be distinguished from a
        // slow one.
        let patience = basis.timeouts.whole / 3;
        Ok(Self {
            app_id: settings.app_id,
            via: settings.via,
            sender: settings.sender,
            callback: basis.callback.to_string(),
            timeouts: basis.timeouts,
            endpoint: Endpoint::new(basis, &url)?,
            url,
            tokens: Tokens::new(basis, auth, basic, patience)?,
            keys: Keys::new(&settings.webhook_secrets, SECRETS)?,
        })
    }

    /// Sends with a token; after a 401, once more with a new token. Sinch checks the token before it accepts a message,
    /// so this never sends twice.
    async fn submit(&self, submission: &Submission<'_>, body: &Value) -> Result<Outcome, Outcome> {
        let watch = Stopwatch::start();
        let token = self.tokens.get(None, submission).await?;
        let answer = self.ask(&token, body, &watch).await;
        if !matches!(&answer, Answer::Received(received) if received.status == StatusCode::UNAUTHORIZED) {
            return Ok(outcome(answer, &token, submission));
        }
        let newer = self.tokens.get(Some(&token), submission).await?;
        if watch.elapsed() > self.timeouts.whole / 2 {
            return Err(token::unavailable("the provider issued a new token too late for this attempt"));
        }
        Ok(outcome(self.ask(&newer, body, &watch).await, &newer, submission))
    }

    async fn ask(&self, token: &Token, body: &Value, watch: &Stopwatch) -> Answer {
        let request = self.endpoint.request(Method::POST, self.url.clone());
        let request = request.header(AUTHORIZATION, token.authorization.clone());
        let left = self.timeouts.whole.saturating_sub(watch.elapsed());
        self.endpoint.send(exchange::json(request, body).timeout(left)).await
    }
}

/// A 2xx is accepted whatever its body, so that an accepted message is never sent twice.
fn outcome(answer: Answer, token: &Arc<Token>, submission: &Submission<'_>) -> Outcome {
    let received = match require_response(answer) {
        Ok(received) => received,
        Err(outcome) => return outcome,
    };
    let confidential = Confidential::new(submission).with_authorization(&token.authorization);
    match received.status.as_u16() {
        200..=299 => {
            let id = |json: &Value| wire::reference(json.get("message_id")?);
            let provider_ref = received.body.as_deref().and_then(|body| lenient::find(body, id));
            Outcome::Accepted { provider_ref }
        }
        // Sinch's validation failed: a fault of our request, not of the recipient.
        400 => refused("http_400", received.error_text(&confidential), ErrorClass::Configuration),
        _ => received.outcome_by_status(&confidential),
    }
}

impl Provider for Conversation {
    async fn send(&self, submission: &Submission<'_>) -> Sent {
        let Some(body) = self.body(submission) else { return wrong_content().into() };
        self.submit(submission, &body).await.unwrap_or_else(|refused| refused).into()
    }

    fn receive(&self, webhook: &Webhook<'_>) -> Result<Incoming, WebhookError> {
        let receipt = Some(proof::verify(&self.keys, webhook)?);
        let own = report::parse(webhook.body, &self.app_id);
        Ok(Incoming::Delivery(SignedDelivery { own, of_others: Vec::new(), reply: Reply::EMPTY, receipt }))
    }

    fn signing_setting(&self) -> &'static str {
        SECRETS
    }
}

#[cfg(test)]
mod tests;
