//! SMS by any carrier with an HTTP interface: `{"to", "from", "text", "reference"}` out, signed reports in.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::exchange::{self, After as _, Answer, Endpoint, unanswered};
use super::signature::Keys;
use super::webhook::{self, Heard, NotHeard, Reply, Told, Webhook};
use super::wire::Text;
use super::{
    Basis, Content, Delivery, Provider, Sent, SetupError, Submission, Unknown, in_doubt, refused, scrub,
    wrong_content,
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
    /// JSON pointer (RFC 6901) to the carrier's message id in its answer, `/id`.
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

    fn outcome(&self, answer: Answer) -> Outcome {
        let received = match unanswered(answer) {
            Ok(received) => received,
            Err(outcome) => return outcome,
        };
        let title = || format!("the carrier answered {}", received.status);
        match received.status.as_u16() {
            200..=299 => {}
            503 => return refused("http_503", title(), ErrorClass::Retry).after(received.retry_after),
            // Of a carrier every 4xx means that it does not take the message, however it came to say so.
            status @ (408 | 499) => {
                return refused(format!("http_{status}"), title(), ErrorClass::Fallback);
            }
            // Nothing says that whoever redirects has not passed the message on.
            300..=399 => {
                return in_doubt("redirected", format!("{} with a redirect, which is not followed", title()));
            }
            _ => return received.judge_by_status(),
        }
        match received.body.as_deref().and_then(|body| self.message_id(body)) {
            Some(provider_ref) => Outcome::Accepted { provider_ref },
            None => {
                let title = format!("the carrier answered {} without a message id", received.status);
                in_doubt("unreadable_answer", title)
            }
        }
    }

    fn message_id(&self, body: &[u8]) -> Option<ProviderRef> {
        let json: Value = serde_json::from_slice(body).ok()?;
        let id = match json.pointer(&self.id_pointer)? {
            Value::String(id) => id.clone(),
            Value::Number(id) if !id.is_f64() => id.to_string(),
            _ => return None,
        };
        ProviderRef::parse(&id).ok()
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
        self.outcome(self.endpoint.ask(exchange::json(request, &body)).await).into()
    }

    fn receive(&self, webhook: &Webhook<'_>) -> Result<Heard, NotHeard> {
        webhook.at_the_address_itself()?;
        match webhook.method {
            webhook::Method::Get => Err(NotHeard::Method("POST")),
            webhook::Method::Post => {
                self.keys.verify(webhook.only(SIGNATURE)?, webhook.body)?;
                let own = parse(webhook.body);
                Ok(Heard::Told(Told { own, of_others: Vec::new(), reply: Reply::EMPTY }))
            }
        }
    }

    fn signing_setting(&self) -> &'static str {
        SECRET
    }
}

fn parse(body: &[u8]) -> Delivery {
    match serde_json::from_slice(body) {
        Ok(report) => delivery(&report),
        Err(_) => Delivery::unreadable("it is not a JSON object"),
    }
}

#[cfg(fuzzing)]
impl HttpSms {
    pub fn outcome_of(&self, answer: Answer) -> Outcome {
        self.outcome(answer)
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
    let reference = report.reference.get().and_then(|text| text.parse().ok());
    if provider_ref.is_none() && reference.is_none() {
        return Delivery::unreadable("it names no message: neither `id` nor `reference` can be read");
    }
    let status = match report.status.get() {
        Some("sent") => ReportStatus::Sent,
        Some("delivered") => ReportStatus::Delivered,
        Some("failed") => ReportStatus::Failed(failure(report.error)),
        None => return Delivery::unreadable("it has no `status`"),
        Some(status) => {
            tracing::debug!(status = scrub::unknown_word(status), "unknown delivery status");
            let mut delivery = Delivery::default();
            delivery.count(Unknown::Status);
            return delivery;
        }
    };
    let reported_at = report.at.get().and_then(|text| text.parse::<Timestamp>().ok());
    let report = Report { status, reported_at, provider_ref, reference, aliases: Vec::new() };
    Delivery { reports: vec![report], ..Delivery::default() }
}

#[derive(Deserialize, Default)]
struct CarrierError<'a> {
    #[serde(borrow, default)]
    code: Text<'a>,
    #[serde(borrow, default)]
    title: Text<'a>,
}

/// Carriers' codes have no common meaning, so every failure leads to the next step.
fn failure(error: Option<&RawValue>) -> DeliveryError {
    let error: CarrierError<'_> =
        error.and_then(|error| serde_json::from_str(error.get()).ok()).unwrap_or_default();
    let code = error.code.get().and_then(scrub::token);
    let title = error.title.get().map(scrub::title).and_then(scrub::legible);
    DeliveryError {
        code: code.unwrap_or_else(|| "no_reason".to_owned()),
        title: title.unwrap_or_else(|| "the carrier gave no reason".to_owned()),
        class: ErrorClass::Fallback,
    }
}

#[cfg(test)]
mod tests;
