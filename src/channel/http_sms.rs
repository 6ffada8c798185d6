//! SMS by any carrier with an HTTP interface. What is asked, how an answer is judged and how reports are proved and read
//! stands in the configuration; without it `{"to", "from", "text", "reference"}` goes out and signed JSON comes in.

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

use super::exchange::{self, After as _, Answer, Confidential, Endpoint, Received, unanswered};
use super::webhook::{self, Callback, Heard, NotHeard, Reply, Told, Webhook};
use super::{
    Basis, Content, Provider, Sent, SetupError, Submission, in_doubt, reason, refused, scrub, wrong_content,
};
use crate::verification::values::{ErrorClass, Outcome};

use proof::Verifier;
pub use proof::{
    Encoding, Hash, Prefix, Proof, SIGNATURE_HEADER, SIGNED_PLACEHOLDERS, Signature, Signed, TOLERANCE,
    TimestampHeader, derived_path_secret,
};
pub use reply::{Pattern, Statuses, Verdict};
pub use report::{FieldPath, Fields, Format, Reading, StatusWords};
use template::Values;
pub use template::{NotATemplate, PLACEHOLDERS, Placeholder, RequestTemplate, UnknownPlaceholder};

/// Shorter ones are no secrets, and masking them would make words unreadable.
const LEAST_SECRET_BYTES: usize = 6;

/// `[channels.NAME]` of kind `http`.
#[derive(Clone)]
pub struct Settings {
    /// Without what stands behind the `?`: there may be a key in it.
    pub url: String,
    pub method: SendMethod,
    /// What stands behind the `?`.
    pub query: Option<RequestTemplate>,
    /// JSON or a form; `None` where everything stands in the query.
    pub body: Option<RequestTemplate>,
    pub authorization: Option<Authorization>,
    /// Names and values that can stand in a request.
    pub headers: Vec<(String, SecretString)>,
    /// What the phone shows as the sender, up to 32 characters.
    pub from: String,
    /// JSON pointer (RFC 6901) to the carrier's message id in its answer, `/id`; empty where it gives none.
    pub id_pointer: String,
    /// The same to its code of an error.
    pub error_pointer: String,
    pub statuses: Statuses,
    pub proof: Proof,
    pub reading: Reading,
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
    /// For a carrier that speaks as documented.
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
            reading: Reading::default(),
        }
    }
}

/// The form of what is sent.
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

/// What proves to the carrier who sends.
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
    /// What the carrier knows from our requests, and may quote.
    secrets: Vec<SecretString>,
    callback: Callback,
    verifier: Verifier,
    reading: Reading,
    signing_setting: &'static str,
}

impl HttpSms {
    pub fn new(basis: &Basis, settings: Settings) -> Result<Self, SetupError> {
        let url = exchange::http_url(&settings.url, "url")?;
        let (headers, mut secrets) = headers(&settings)?;
        let callback = match &settings.proof {
            Proof::PathSecret(secret) => {
                secrets.push(secret.clone());
                basis.callback.behind(secret)
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

    /// A 2xx is accepted whatever its body is like: a carrier that took the message must not get it twice.
    fn outcome(&self, answer: Answer, submission: &Submission<'_>) -> Outcome {
        let received = match unanswered(answer) {
            Ok(received) => received,
            Err(outcome) => return outcome,
        };
        let secrets = self.secrets.iter().map(SecretString::expose_secret);
        let confidential =
            Confidential::new(submission).and(secrets.filter(|secret| secret.len() >= LEAST_SECRET_BYTES));
        let title = || received.words(&confidential);
        let status = received.status.as_u16();
        let outcome = match self.statuses.verdict(status) {
            Some(Verdict::Accepted) => return self.accepted(&received, &confidential),
            Some(Verdict::Retry) => refused(format!("http_{status}"), title(), ErrorClass::Retry),
            Some(Verdict::Refused) => match status {
                400..=499 if ![408, 429, 499].contains(&status) => received.judge_by_status(&confidential),
                _ => refused_for_good(format!("http_{status}"), title()),
            },
            None => match status {
                200..=299 => return self.accepted(&received, &confidential),
                503 => refused("http_503", title(), ErrorClass::Retry),
                // Of a carrier every 4xx means that it does not take the message, however it came to say so.
                408 | 499 => refused(format!("http_{status}"), title(), ErrorClass::Fallback),
                // Nothing says that whoever redirects has not passed the message on.
                300..=399 => {
                    let title = format!(
                        "the carrier answered {} with a redirect, which is not followed",
                        received.status
                    );
                    return in_doubt("redirected", title);
                }
                _ => received.judge_by_status(&confidential),
            },
        };
        self.with_its_code(outcome, &received).after(received.retry_after)
    }

    /// A carrier that gives every message an id, and here gives an error in its place, refused, whatever the status.
    fn accepted(&self, received: &Received, confidential: &Confidential<'_>) -> Outcome {
        let body = received.body.as_deref().unwrap_or_default();
        let provider_ref = reply::message_id(body, &self.id_pointer);
        if provider_ref.is_none()
            && !self.id_pointer.is_empty()
            && let Some(code) = self.error_code(received)
        {
            return refused_for_good(code, received.words(confidential)).after(received.retry_after);
        }
        Outcome::Accepted { provider_ref }
    }

    fn error_code(&self, received: &Received) -> Option<String> {
        let code = reply::error_code(received.body.as_deref()?, &self.error_pointer)?;
        scrub::token(&code)
    }

    /// The carrier's code of a refusal says more than its status.
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
        if reason::is_of_the_account(&title) { ErrorClass::Configuration } else { ErrorClass::Fallback };
    refused(code, title, class)
}

/// What every request has in its head, and what of it is secret.
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
            callback: &self.callback.of_message(submission.reference),
        };
        let mut url = self.url.clone();
        if let Some(query) = &self.query {
            url.set_query(Some(&query.fill(&values)));
        }
        let mut request = self.endpoint.request(self.method.clone(), url).headers(self.headers.clone());
        if let Some(body) = &self.body {
            request = request.body(body.fill(&values));
        }
        self.outcome(self.endpoint.ask(request).await, submission).into()
    }

    fn receive(&self, webhook: &Webhook<'_>) -> Result<Heard, NotHeard> {
        if !self.verifier.is_behind_the_address() {
            webhook.at_the_address_itself()?;
        }
        let content = match (self.reading.format, webhook.method) {
            (Format::Query, _) => webhook.query.unwrap_or_default().as_bytes(),
            (Format::Json | Format::Form, webhook::Method::Post) => webhook.body,
            (Format::Json | Format::Form, webhook::Method::Get) => return Err(NotHeard::Method("POST")),
        };
        self.verifier.verify(webhook, content)?;
        let own = self.reading.read(content, webhook.reference());
        Ok(Heard::Told(Told { own, of_others: Vec::new(), reply: Reply::EMPTY, receipt: None }))
    }

    fn signing_setting(&self) -> &'static str {
        self.signing_setting
    }

    fn challenge(&self) -> &'static str {
        self.verifier.challenge()
    }

    fn report_address(&self) -> Option<&Callback> {
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
