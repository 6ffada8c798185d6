//! SMS via any carrier with an HTTP API. The configuration defines the request, the meaning of the response, and how
//! reports are authenticated and parsed. By default the channel sends `{"to", "from", "text", "reference"}` and expects
//! signed JSON reports.

mod proof;
mod reply;
mod report;
mod template;

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};

use super::exchange::{
    self, Answer, Confidential, Endpoint, Received, WithRetryAfter as _, require_response,
};
use super::webhook::{self, Callback, Incoming, Reply, SignedDelivery, Webhook, WebhookError};
use super::{
    Basis, Content, Provider, Sent, SetupError, Submission, in_doubt, reason, refused, scrub, wrong_content,
};
use crate::verification::values::{ErrorClass, Outcome};

use proof::Verifier;
pub use proof::{
    Encoding, Hash, Prefix, Proof, SIGNATURE_HEADER, SIGNED_PLACEHOLDERS, Signature, SignedContent,
    TOLERANCE, TimestampHeader, derived_path_secret,
};
pub use reply::{Decision, Pattern, Statuses};
pub use report::{FieldPath, Fields, Format, ReportFormat, StatusWords};
use template::Values;
pub use template::{NotATemplate, PLACEHOLDERS, Placeholder, RequestTemplate, UnknownPlaceholder};

/// The minimum length of a secret to mask; masking shorter ones would make texts unreadable.
const MIN_SECRET_BYTES: usize = 6;

/// `[channels.NAME]` of kind `http`.
#[derive(Clone)]
pub struct Settings {
    /// Without the query, which may contain a key.
    pub url: String,
    pub method: SendMethod,
    /// The part after the `?`.
    pub query: Option<RequestTemplate>,
    /// JSON or a form; `None` if the query holds everything.
    pub body: Option<RequestTemplate>,
    pub authorization: Option<Authorization>,
    /// Valid header names and values.
    pub headers: Vec<(String, SecretString)>,
    /// The sender shown on the phone, at most 32 characters.
    pub from: String,
    /// JSON pointer (RFC 6901) to the carrier's message id in its response, such as `/id`; empty if there is none.
    pub id_pointer: String,
    /// JSON pointer to the error code in the response; empty if there is none.
    pub error_pointer: String,
    pub statuses: Statuses,
    pub proof: Proof,
    pub reading: ReportFormat,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("method", &self.method)
            .field("authorization", &self.authorization)
            .field("from", &self.from)
            .field("proof", &self.proof)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// The settings for a carrier that follows the documented default.
    pub fn documented(url: &str, from: &str, bearer: SecretString, report_secret: SecretString) -> Self {
        Self {
            url: url.to_owned(),
            method: SendMethod::Post,
            query: None,
            body: Some(RequestTemplate::documented(BodyType::Json)),
            authorization: Some(Authorization::Bearer(bearer)),
            headers: Vec::new(),
            from: from.to_owned(),
            id_pointer: "/id".to_owned(),
            error_pointer: String::new(),
            statuses: Statuses::default(),
            proof: Proof::Hmac(Signature::documented(report_secret)),
            reading: ReportFormat::default(),
        }
    }
}

/// The encoding of the request's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyType {
    Json,
    Form,
    Query,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendMethod {
    Get,
    Post,
    Put,
    Patch,
}

/// The credentials sent to the carrier.
#[derive(Clone, Debug)]
pub enum Authorization {
    Bearer(SecretString),
    Basic { user: String, password: SecretString },
}

pub struct HttpSms {
    from: String,
    id_pointer: String,
    error_pointer: String,
    statuses: Statuses,
    endpoint: Endpoint,
    url: Url,
    method: Method,
    query: Option<RequestTemplate>,
    body: Option<RequestTemplate>,
    headers: HeaderMap,
    /// Secrets of our requests, which the carrier may quote.
    secrets: Vec<SecretString>,
    callback: Callback,
    verifier: Verifier,
    reading: ReportFormat,
    signing_setting: &'static str,
}

impl HttpSms {
    pub fn new(basis: &Basis, settings: Settings) -> Result<Self, SetupError> {
        let url = exchange::http_url(&settings.url, "url")?;
        let (headers, mut secrets) = headers(&settings)?;
        let callback = match &settings.proof {
            Proof::PathSecret(secret) => {
                secrets.push(secret.clone());
                basis.callback.with_secret(secret)
            }
            Proof::Hmac(_) | Proof::Basic { .. } => basis.callback.clone(),
        };
        Ok(Self {
            from: settings.from,
            id_pointer: settings.id_pointer,
            error_pointer: settings.error_pointer,
            statuses: settings.statuses,
            endpoint: Endpoint::new(basis, &url)?,
            url,
            method: match settings.method {
                SendMethod::Get => Method::GET,
                SendMethod::Post => Method::POST,
                SendMethod::Put => Method::PUT,
                SendMethod::Patch => Method::PATCH,
            },
            query: settings.query,
            body: settings.body,
            headers,
            secrets,
            callback,
            verifier: Verifier::new(&settings.proof)?,
            reading: settings.reading,
            signing_setting: settings.proof.setting(),
        })
    }

    /// A 2xx is accepted whatever its body, so that an accepted message is never sent twice.
    fn outcome(&self, answer: Answer, submission: &Submission<'_>) -> Outcome {
        let received = match require_response(answer) {
            Ok(received) => received,
            Err(outcome) => return outcome,
        };
        let secrets = self.secrets.iter().map(SecretString::expose_secret);
        let confidential = Confidential::new(submission)
            .with_secrets(secrets.filter(|secret| secret.len() >= MIN_SECRET_BYTES));
        let title = || received.error_text(&confidential);
        let status = received.status.as_u16();
        let outcome = match self.statuses.verdict(status) {
            Some(Decision::Accepted) => return self.accepted(&received, &confidential),
            Some(Decision::Retry) => refused(format!("http_{status}"), title(), ErrorClass::Retry),
            Some(Decision::Refused) => match status {
                400..=499 if ![408, 429, 499].contains(&status) => received.outcome_by_status(&confidential),
                _ => refused_for_good(format!("http_{status}"), title()),
            },
            None => match status {
                200..=299 => return self.accepted(&received, &confidential),
                503 => refused("http_503", title(), ErrorClass::Retry),
                // From a carrier, any other 4xx means that the message was not accepted.
                408 | 499 => refused(format!("http_{status}"), title(), ErrorClass::Fallback),
                // A redirecting server may have passed the message on.
                300..=399 => {
                    let title = format!(
                        "the carrier answered {} with a redirect, which twotick does not follow",
                        received.status
                    );
                    return in_doubt("redirected", title);
                }
                _ => received.outcome_by_status(&confidential),
            },
        };
        self.with_its_code(outcome, &received).with_retry_after(received.retry_after)
    }

    /// Handles a response with an accepting status. It is still a refusal if the carrier normally returns a message id
    /// and this response holds an error code instead.
    fn accepted(&self, received: &Received, confidential: &Confidential<'_>) -> Outcome {
        let body = received.body.as_deref().unwrap_or_default();
        let provider_ref = reply::message_id(body, &self.id_pointer);
        if provider_ref.is_none()
            && !self.id_pointer.is_empty()
            && let Some(code) = self.error_code(received)
        {
            return refused_for_good(code, received.error_text(confidential))
                .with_retry_after(received.retry_after);
        }
        Outcome::Accepted { provider_ref }
    }

    fn error_code(&self, received: &Received) -> Option<String> {
        let code = reply::error_code(received.body.as_deref()?, &self.error_pointer)?;
        scrub::token(&code)
    }

    /// Replaces the HTTP status in a refusal by the carrier's more specific code.
    fn with_its_code(&self, outcome: Outcome, received: &Received) -> Outcome {
        match (outcome, self.error_code(received)) {
            (Outcome::Refused { mut error, retry_after }, Some(code)) => {
                error.code = code;
                Outcome::Refused { error, retry_after }
            }
            (outcome, _) => outcome,
        }
    }
}

fn refused_for_good(code: String, title: String) -> Outcome {
    let class =
        if reason::concerns_account(&title) { ErrorClass::Configuration } else { ErrorClass::Fallback };
    refused(code, title, class)
}

/// The headers of every request, and the secrets in them.
fn headers(settings: &Settings) -> Result<(HeaderMap, Vec<SecretString>), SetupError> {
    let mut headers = HeaderMap::new();
    let mut secrets = Vec::new();
    let content_type = match settings.body.as_ref().map(RequestTemplate::body_type) {
        Some(BodyType::Json) => Some("application/json"),
        Some(BodyType::Form) => Some("application/x-www-form-urlencoded"),
        Some(BodyType::Query) | None => None,
    };
    headers.extend(content_type.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind))));
    for (name, value) in &settings.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| SetupError::Header("headers"))?;
        let mut header =
            HeaderValue::from_str(value.expose_secret()).map_err(|_| SetupError::Header("headers"))?;
        header.set_sensitive(true);
        headers.insert(name, header);
        secrets.push(value.clone());
    }
    match &settings.authorization {
        Some(Authorization::Bearer(token)) => {
            headers.insert(AUTHORIZATION, exchange::authorization("Bearer", token, "bearer")?);
            secrets.push(token.clone());
        }
        Some(Authorization::Basic { user, password }) => {
            let both: SecretString =
                BASE64_STANDARD.encode(format!("{user}:{}", password.expose_secret())).into();
            headers.insert(AUTHORIZATION, exchange::authorization("Basic", &both, "basic")?);
            secrets.extend([both, password.clone()]);
        }
        None => {}
    }
    Ok((headers, secrets))
}

impl Provider for HttpSms {
    async fn send(&self, submission: &Submission<'_>) -> Sent {
        let Content::Text(text) = submission.content else {
            return wrong_content().into();
        };
        let reference = submission.reference.to_string();
        let values = Values {
            to: submission.to,
            from: &self.from,
            text,
            reference: &reference,
            callback: &self.callback.for_message(submission.reference),
        };
        let mut url = self.url.clone();
        if let Some(query) = &self.query {
            url.set_query(Some(&query.fill(&values)));
        }
        let mut request = self.endpoint.request(self.method.clone(), url).headers(self.headers.clone());
        if let Some(body) = &self.body {
            request = request.body(body.fill(&values));
        }
        self.outcome(self.endpoint.send(request).await, submission).into()
    }

    fn receive(&self, webhook: &Webhook<'_>) -> Result<Incoming, WebhookError> {
        if !self.verifier.uses_path_secret() {
            webhook.require_exact_path()?;
        }
        let content = match (self.reading.format, webhook.method) {
            (Format::Query, _) => webhook.query.unwrap_or_default().as_bytes(),
            (Format::Json | Format::Form, webhook::Method::Post) => webhook.body,
            (Format::Json | Format::Form, webhook::Method::Get) => return Err(WebhookError::Method("POST")),
        };
        self.verifier.verify(webhook, content)?;
        let own = self.reading.read(content, webhook.reference());
        Ok(Incoming::Delivery(SignedDelivery {
            own,
            of_others: Vec::new(),
            reply: Reply::EMPTY,
            receipt: None,
        }))
    }

    fn signing_setting(&self) -> &'static str {
        self.signing_setting
    }

    fn challenge(&self) -> &'static str {
        self.verifier.challenge()
    }

    fn webhook_url(&self) -> Option<&Callback> {
        Some(&self.callback)
    }
}

#[cfg(fuzzing)]
impl HttpSms {
    pub fn outcome_of(&self, answer: Answer, submission: &Submission<'_>) -> Outcome {
        self.outcome(answer, submission)
    }
}

#[cfg(test)]
mod tests;
