//! SMS by any carrier with an HTTP interface: `{"to", "from", "text", "reference"}` out, signed reports in.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::exchange::{Address, After as _, Answer, Endpoint, unanswered};
use super::signature::{BadSignature, Keys};
use super::wire::Text;
use super::{Content, Delivery, SetupError, Submission, Unknown, in_doubt, refused, scrub, wrong_content};
use crate::verification::values::{
    ChannelName, DeliveryError, ErrorClass, Outcome, ProviderRef, Report, ReportStatus, Timestamp,
};

/// `[channels.NAME]` of kind `http`.
pub struct Settings {
    pub name: ChannelName,
    pub url: String,
    /// What the phone shows as the sender.
    pub from: String,
    pub bearer: SecretString,
    /// JSON pointer to the carrier's message id in its answer, `/id`.
    pub id_pointer: String,
    pub report_secret: SecretString,
    /// At most half of `timeout` is used.
    pub connect_timeout: Duration,
    /// For one request, to the last byte of its answer.
    pub timeout: Duration,
}

pub struct HttpSms {
    name: ChannelName,
    from: String,
    id_pointer: String,
    endpoint: Endpoint,
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
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let endpoint = Endpoint::new(&Address {
            channel: &settings.name,
            url: &settings.url,
            url_setting: "url",
            bearer: &settings.bearer,
            bearer_setting: "bearer",
            connect_timeout: settings.connect_timeout,
            timeout: settings.timeout,
        })?;
        Ok(Self {
            name: settings.name,
            from: settings.from,
            id_pointer: settings.id_pointer,
            endpoint,
            keys: Keys::new(&[settings.report_secret], "report_secret")?,
        })
    }

    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    pub async fn send(&self, submission: &Submission<'_>) -> Outcome {
        let Content::Text(text) = submission.content else {
            return wrong_content();
        };
        let request = SendRequest {
            to: submission.to.into(),
            from: self.from.as_str().into(),
            text: text.into(),
            reference: submission.reference.to_string().into(),
        };
        let body = serde_json::to_vec(&request).expect("strings in a struct always serialize"); // nothing else in it
        self.outcome(self.endpoint.post(body).await)
    }

    pub fn verify(&self, signature_headers: &[&[u8]], body: &[u8]) -> Result<(), BadSignature> {
        self.keys.verify(signature_headers, body)
    }

    pub fn parse(&self, body: &[u8]) -> Delivery {
        match serde_json::from_slice(body) {
            Ok(report) => delivery(&report),
            Err(_) => Delivery::unreadable("it is not a JSON object"),
        }
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
            tracing::debug!(?status, "unknown delivery status");
            let mut delivery = Delivery::default();
            delivery.count(Unknown::Status);
            return delivery;
        }
    };
    let reported_at = report.at.get().and_then(|text| text.parse::<Timestamp>().ok());
    let report = Report { status, reported_at, provider_ref, reference };
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
