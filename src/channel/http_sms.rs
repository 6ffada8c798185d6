//! SMS by any carrier with an HTTP interface: `{"to", "from", "text", "reference"}` out, signed reports in.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::exchange::{self, After as _, Answer, Confidential, Endpoint, unanswered};
use super::signature::Keys;
use super::status::{self, Meaning};
use super::webhook::{self, Heard, NotHeard, Reply, Told, Webhook};
use super::wire::{self, Text};
use super::{
    Basis, Content, Delivery, Provider, Sent, SetupError, Submission, Unknown, in_doubt, lenient, reason,
    refused, scrub, wrong_content,
};
use crate::verification::values::{
    DeliveryError, ErrorClass, Outcome, ProviderRef, Report, ReportStatus, Timestamp,
};

/// The header of a report that holds its signature.
const SIGNATURE: &str = "x-signature-256";
/// What the configuration calls the secret that signs.
const SECRET: &str = "report_secret";

/// `[channels.NAME]` of kind `http`.
#[derive(Debug, Clone)]
pub struct Settings {
    pub url: String,
    /// What the phone shows as the sender, 1 to 32 characters.
    pub from: String,
    /// Visible ASCII.
    pub bearer: SecretString,
    /// JSON pointer (RFC 6901) to the carrier's message id in its answer, `/id`; empty where it gives none.
    pub id_pointer: String,
    /// Signs the carrier's reports; at least 16 bytes.
    pub report_secret: SecretString,
}

pub struct HttpSms {
    from: String,
    id_pointer: String,
    endpoint: Endpoint,
    url: Url,
    authorization: HeaderValue,
    keys: Keys,
}

/// The body of a send. The sandbox reads with it what the channel writes.
#[derive(Serialize, Deserialize)]
pub struct SendRequest<'a> {
    pub to: std::borrow::Cow<'a, str>,
    pub from: std::borrow::Cow<'a, str>,
    pub text: std::borrow::Cow<'a, str>,
    pub reference: std::borrow::Cow<'a, str>,
}

impl HttpSms {
    pub fn new(basis: &Basis, settings: Settings) -> Result<Self, SetupError> {
        let url = exchange::http_url(&settings.url, "url")?;
        Ok(Self {
            from: settings.from,
            id_pointer: settings.id_pointer,
            endpoint: Endpoint::new(basis, &url)?,
            url,
            authorization: exchange::authorization("Bearer", &settings.bearer, "bearer")?,
            keys: Keys::new(&[settings.report_secret], SECRET)?,
        })
    }

    /// A 2xx is accepted whatever its body is like: a carrier that took the message must not get it twice.
    fn outcome(&self, answer: Answer, submission: &Submission<'_>) -> Outcome {
        let received = match unanswered(answer) {
            Ok(received) => received,
            Err(outcome) => return outcome,
        };
        let confidential = Confidential::new(submission).by(&self.authorization);
        let title = || received.words(&confidential);
        match received.status.as_u16() {
            200..=299 => Outcome::Accepted {
                provider_ref: received.body.as_deref().and_then(|body| self.message_id(body)),
            },
            503 => refused("http_503", title(), ErrorClass::Retry).after(received.retry_after),
            // Of a carrier every 4xx means that it does not take the message, however it came to say so.
            status @ (408 | 499) => refused(format!("http_{status}"), title(), ErrorClass::Fallback),
            // Nothing says that whoever redirects has not passed the message on.
            300..=399 => {
                let title = format!(
                    "the carrier answered {} with a redirect, which is not followed",
                    received.status
                );
                in_doubt("redirected", title)
            }
            _ => received.judge_by_status(&confidential),
        }
    }

    fn message_id(&self, body: &[u8]) -> Option<ProviderRef> {
        if self.id_pointer.is_empty() {
            return None;
        }
        lenient::find(body, |json| wire::reference(json.pointer(&self.id_pointer)?))
    }
}

impl Provider for HttpSms {
    async fn send(&self, submission: &Submission<'_>) -> Sent {
        let Content::Text(text) = submission.content else {
            return wrong_content().into();
        };
        let body = SendRequest {
            to: submission.to.into(),
            from: self.from.as_str().into(),
            text: text.into(),
            reference: submission.reference.to_string().into(),
        };
        let request = self.endpoint.request(Method::POST, self.url.clone());
        let request = request.header(AUTHORIZATION, self.authorization.clone());
        self.outcome(self.endpoint.ask(exchange::json(request, &body)).await, submission).into()
    }

    fn receive(&self, webhook: &Webhook<'_>) -> Result<Heard, NotHeard> {
        webhook.at_the_address_itself()?;
        match webhook.method {
            webhook::Method::Get => Err(NotHeard::Method("POST")),
            webhook::Method::Post => {
                self.keys.verify(webhook.only(SIGNATURE)?, webhook.body)?;
                let own = parse(webhook.body);
                Ok(Heard::Told(Told { own, of_others: Vec::new(), reply: Reply::EMPTY, receipt: None }))
            }
        }
    }

    fn signing_setting(&self) -> &'static str {
        SECRET
    }
}

fn parse(body: &[u8]) -> Delivery {
    let text = lenient::mended(body).unwrap_or_default();
    match serde_json::from_str(&text) {
        Ok(report) => delivery(&report),
        Err(_) => Delivery::unreadable("it is not a JSON object"),
    }
}

#[cfg(fuzzing)]
impl HttpSms {
    pub fn outcome_of(&self, answer: Answer, submission: &Submission<'_>) -> Outcome {
        self.outcome(answer, submission)
    }
}

#[derive(Deserialize)]
struct CarrierReport<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    reference: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    at: Text<'a>,
}

fn delivery(report: &CarrierReport<'_>) -> Delivery {
    let provider_ref = report.id.provider_ref();
    let reference = report.reference.message_id();
    if provider_ref.is_none() && reference.is_none() {
        return Delivery::unreadable("it names no message: neither `id` nor `reference` can be read");
    }
    let Some(word) = report.status.get() else {
        return Delivery::unreadable("it has no `status`");
    };
    let mut delivery = Delivery::default();
    let status = match status::meaning(word) {
        Some(Meaning::Sent) => Some(ReportStatus::Sent),
        Some(Meaning::Delivered) => Some(ReportStatus::Delivered),
        Some(Meaning::Read) => Some(ReportStatus::Read),
        Some(Meaning::Failed) => Some(ReportStatus::Failed(failure(report.error, word))),
        None => {
            delivery.count(Unknown::Status);
            status::unknown(word)
        }
    };
    let reported_at =
        report.at.get().and_then(|text| text.parse::<Timestamp>().ok()).or(report.at.unix_time());
    let aliases = Vec::new();
    delivery.reports.extend(status.map(|status| Report {
        status,
        reported_at,
        provider_ref,
        reference,
        aliases,
    }));
    delivery
}

/// Carriers' codes have no common meaning, so every failure leads to the next step; only where the words tell of our
/// account has an operator to act.
fn failure(error: Option<&RawValue>, word: &str) -> DeliveryError {
    let error: Value = error.and_then(|error| serde_json::from_str(error.get()).ok()).unwrap_or_default();
    let code = match &error {
        Value::Object(fields) => fields.get("code").and_then(wire::word),
        bare @ (Value::String(_) | Value::Number(_)) => wire::word(bare).filter(|code| !code.contains(' ')),
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    };
    let words = match &error {
        Value::Object(fields) => {
            fields.get("title").and_then(wire::word).or_else(|| reason::of_value(&error))
        }
        Value::String(text) if text.contains(' ') => Some(text.clone()),
        Value::Array(_) => reason::of_value(&error),
        Value::String(_) | Value::Number(_) | Value::Null | Value::Bool(_) => None,
    };
    let title = words.map(|words| scrub::title(&words)).and_then(scrub::legible);
    let class = match &title {
        Some(title) if reason::is_of_the_account(title) => ErrorClass::Configuration,
        Some(_) | None => ErrorClass::Fallback,
    };
    DeliveryError {
        code: code.as_deref().and_then(scrub::token).unwrap_or_else(|| "no_reason".to_owned()),
        title: title.unwrap_or_else(|| status::unexplained("the carrier", word)),
        class,
    }
}

#[cfg(test)]
mod tests;
