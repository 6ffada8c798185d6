//! SMS via Sinch's SMS API (XMS): one batch per message, with a report per recipient (Sinch, SMS API reference and SDK
//! for Node.js 1.5.0, 2026).

mod report;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::proof::{self, SECRETS};
use crate::channel::exchange::{self, Answer, Confidential, Endpoint, require_response};
use crate::channel::signature::Keys;
use crate::channel::webhook::{Incoming, Reply, SignedDelivery, Webhook, WebhookError};
use crate::channel::{Basis, Content, Provider, Sent, SetupError, Submission, lenient, wire, wrong_content};
use crate::clock::Clock;
use crate::verification::values::{Outcome, Timestamp};

/// `[channels.NAME]` of kind `sinch-sms`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The region's URL or a stand-in, without a trailing slash.
    pub base_url: String,
    pub region: Region,
    /// Letters, digits, `-` and `_`.
    pub service_plan_id: String,
    /// Visible ASCII.
    pub api_token: SecretString,
    /// The sender shown on the phone.
    pub from: String,
    /// 1 to 16 secrets, any of which may sign webhooks.
    pub webhook_secrets: Vec<SecretString>,
}

/// The region of a service plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    Eu,
    Us,
    Br,
    Ca,
    Au,
}

impl Region {
    pub fn address(self) -> &'static str {
        match self {
            Self::Eu => "https://eu.sms.api.sinch.com",
            Self::Us => "https://us.sms.api.sinch.com",
            Self::Br => "https://br.sms.api.sinch.com",
            Self::Ca => "https://ca.sms.api.sinch.com",
            Self::Au => "https://au.sms.api.sinch.com",
        }
    }
}

pub struct Sms {
    from: String,
    callback: String,
    endpoint: Endpoint,
    url: Url,
    authorization: HeaderValue,
    keys: Keys,
}

impl Sms {
    pub fn new(basis: &Basis, settings: Settings) -> Result<Self, SetupError> {
        let batches = format!("{}/xms/v1/{}/batches", settings.base_url, settings.service_plan_id);
        let url = exchange::http_url(&batches, "base_url")?;
        Ok(Self {
            from: settings.from,
            callback: basis.callback.to_string(),
            endpoint: Endpoint::new(basis, &url)?,
            url,
            authorization: exchange::authorization("Bearer", &settings.api_token, "api_token")?,
            keys: Keys::new(&settings.webhook_secrets, SECRETS)?,
        })
    }

    /// `None` if this channel cannot send the step's content.
    fn body(&self, submission: &Submission<'_>, now: Timestamp) -> Option<Value> {
        let Content::Text(text) = submission.content else { return None };
        Some(json!({
            "from": self.from,
            "to": [submission.to.trim_start_matches('+')],
            "body": text,
            "type": "mt_text",
            "delivery_report": "per_recipient",
            "expire_at": (now + submission.valid_for).to_string(),
            "callback_url": self.callback,
            "client_reference": submission.reference.to_string(),
        }))
    }

    /// A 2xx is accepted whatever its body, so that an accepted message is never sent twice.
    fn outcome(&self, answer: Answer, submission: &Submission<'_>) -> Outcome {
        let received = match require_response(answer) {
            Ok(received) => received,
            Err(outcome) => return outcome,
        };
        if received.status.is_success() {
            let id = |json: &Value| wire::reference(json.get("id")?);
            let provider_ref = received.body.as_deref().and_then(|body| lenient::find(body, id));
            return Outcome::Accepted { provider_ref };
        }
        received.outcome_by_status(&Confidential::new(submission).with_authorization(&self.authorization))
    }
}

impl Provider for Sms {
    async fn send(&self, submission: &Submission<'_>) -> Sent {
        // The system clock even in tests: Sinch compares the time with its own.
        let Some(body) = self.body(submission, Clock::System.now()) else { return wrong_content().into() };
        let request = self.endpoint.request(Method::POST, self.url.clone());
        let request = request.header(AUTHORIZATION, self.authorization.clone());
        self.outcome(self.endpoint.send(exchange::json(request, &body)).await, submission).into()
    }

    fn receive(&self, webhook: &Webhook<'_>) -> Result<Incoming, WebhookError> {
        let receipt = Some(proof::verify(&self.keys, webhook)?);
        let own = report::parse(webhook.body);
        Ok(Incoming::Delivery(SignedDelivery { own, of_others: Vec::new(), reply: Reply::EMPTY, receipt }))
    }

    fn signing_setting(&self) -> &'static str {
        SECRETS
    }
}

#[cfg(test)]
mod tests;
