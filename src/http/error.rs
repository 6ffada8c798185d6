//! Every refusal is an RFC 9457 problem document. A [`Code`] is what programs branch on; `detail` is for people and
//! never repeats a number, a code or a key.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::StoreError;
use crate::vault::{CannotOpen, CannotSeal};
use crate::verification::Rejection;
use crate::verification::values::{Timestamp, VerificationId};

pub const PROBLEM_JSON: &str = "application/problem+json";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Unauthorized,
    SignatureRefused,
    NotFound,
    MethodNotAllowed,
    HostNotAllowed,
    MalformedBody,
    UnsupportedMediaType,
    BodyTooLarge,
    RequestTimeout,
    InvalidRequest,
    InvalidNumber,
    NotTried,
    UnknownProfile,
    ResendTooEarly,
    ResendLimit,
    NotPending,
    NoNextStep,
    IdempotencyKeyReused,
    IdempotencyKeyInUse,
    ChallengeRefused,
    TooManyWaiting,
    TooManyConnections,
    StoreFull,
    StoreBusy,
    Draining,
    RecordDamaged,
    Internal,
}

impl Code {
    pub const ALL: [Self; 27] = [
        Self::Unauthorized,
        Self::SignatureRefused,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::HostNotAllowed,
        Self::MalformedBody,
        Self::UnsupportedMediaType,
        Self::BodyTooLarge,
        Self::RequestTimeout,
        Self::InvalidRequest,
        Self::InvalidNumber,
        Self::NotTried,
        Self::UnknownProfile,
        Self::ResendTooEarly,
        Self::ResendLimit,
        Self::NotPending,
        Self::NoNextStep,
        Self::IdempotencyKeyReused,
        Self::IdempotencyKeyInUse,
        Self::ChallengeRefused,
        Self::TooManyWaiting,
        Self::TooManyConnections,
        Self::StoreFull,
        Self::StoreBusy,
        Self::Draining,
        Self::RecordDamaged,
        Self::Internal,
    ];

    pub fn as_str(self) -> &'static str {
        self.facts().0
    }

    pub fn status(self) -> StatusCode {
        self.facts().1
    }

    pub fn title(self) -> &'static str {
        self.facts().2
    }

    /// What the caller can do about it.
    pub fn advice(self) -> &'static str {
        self.facts().3
    }

    fn facts(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthorized => (
                "unauthorized",
                StatusCode::UNAUTHORIZED,
                "The API key is missing or wrong",
                "Send `Authorization: Bearer KEY` once, with a key of an app in the configuration.",
            ),
            Self::SignatureRefused => (
                "signature_refused",
                StatusCode::UNAUTHORIZED,
                "The webhook's signature is missing or wrong",
                "Compare the app secret or report secret here with the provider's; sign the raw bytes of the body.",
            ),
            Self::NotFound => (
                "not_found",
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "Check the path and the id. An app sees only its own verifications.",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "This path does not take this method",
                "Use one of the methods in the header `Allow`.",
            ),
            Self::HostNotAllowed => (
                "host_not_allowed",
                StatusCode::MISDIRECTED_REQUEST,
                "The admin listener is not known by this name",
                "Call it by a loopback name or by the host of `console.public_url`, or add the name to `admin_hosts`.",
            ),
            Self::MalformedBody => (
                "malformed_body",
                StatusCode::BAD_REQUEST,
                "The body is not JSON",
                "Send one JSON object in UTF-8.",
            ),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body's type or encoding is not taken",
                "Send `Content-Type: application/json`, uncompressed.",
            ),
            Self::BodyTooLarge => (
                "body_too_large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large",
                "Stay within 64 KiB for the API and 3 MiB for webhooks.",
            ),
            Self::RequestTimeout => (
                "request_timeout",
                StatusCode::REQUEST_TIMEOUT,
                "The body did not arrive in time",
                "Send the whole body within 10 s.",
            ),
            Self::InvalidRequest => (
                "invalid_request",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The request is not valid",
                "Correct the fields named in `errors`.",
            ),
            Self::InvalidNumber => (
                "invalid_number",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The phone number is not valid",
                "Write it in E.164: `+`, country code, number, digits only.",
            ),
            Self::NotTried => (
                "not_a_code",
                StatusCode::UNPROCESSABLE_ENTITY,
                "This cannot be a code",
                "Ask the person to type the code again. It was not compared and does not count as a try.",
            ),
            Self::UnknownProfile => (
                "unknown_profile",
                StatusCode::UNPROCESSABLE_ENTITY,
                "There is no such profile",
                "Name a profile of the configuration.",
            ),
            Self::ResendTooEarly => (
                "resend_too_early",
                StatusCode::TOO_MANY_REQUESTS,
                "It is too early for another send",
                "Wait as many seconds as the header `Retry-After` says.",
            ),
            Self::ResendLimit => (
                "resend_limit",
                StatusCode::TOO_MANY_REQUESTS,
                "No more sends are allowed for this verification",
                "Wait until it has expired, or cancel it, and create a new one.",
            ),
            Self::NotPending => {
                ("not_pending", StatusCode::CONFLICT, "The verification has ended", "Create a new one.")
            }
            Self::NoNextStep => (
                "no_next_step",
                StatusCode::CONFLICT,
                "There is no further step",
                "The last step of the profile is in progress; ask for a resend instead.",
            ),
            Self::IdempotencyKeyReused => (
                "idempotency_key_reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The idempotency key was used for another request",
                "Use a new key for each new request; a key is remembered for 24 h.",
            ),
            Self::IdempotencyKeyInUse => (
                "idempotency_key_in_use",
                StatusCode::CONFLICT,
                "A request with this idempotency key is under way",
                "Ask again in a moment: the first answer comes back.",
            ),
            Self::ChallengeRefused => (
                "challenge_refused",
                StatusCode::FORBIDDEN,
                "The webhook's verify token is missing or wrong",
                "Enter at the provider the verify token of this channel's configuration.",
            ),
            Self::TooManyWaiting => (
                "too_many_waiting",
                StatusCode::TOO_MANY_REQUESTS,
                "Too many long polls and streams are open",
                "Close those that are not needed, or ask without `wait`; try again after `Retry-After`.",
            ),
            Self::TooManyConnections => (
                "too_many_connections",
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many connections are open",
                "Nothing was done; try again after `Retry-After`. Use few connections for many requests.",
            ),
            Self::StoreFull => (
                "store_full",
                StatusCode::SERVICE_UNAVAILABLE,
                "There is no room on the disk",
                "Nothing was done; try again later. The operator has to make room.",
            ),
            Self::StoreBusy => (
                "store_busy",
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many requests are waiting",
                "Nothing was done; try again after `Retry-After`.",
            ),
            Self::Draining => (
                "draining",
                StatusCode::SERVICE_UNAVAILABLE,
                "The server is stopping",
                "Try again after `Retry-After`; another instance or the restarted one will answer.",
            ),
            Self::RecordDamaged => (
                "record_damaged",
                StatusCode::INTERNAL_SERVER_ERROR,
                "A stored record cannot be read",
                "The operator finds the record's key in the log.",
            ),
            Self::Internal => (
                "internal",
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong here",
                "Report it with the `X-Request-Id` of the answer.",
            ),
        }
    }
}

/// A refusal on its way to the caller.
pub struct Problem(Box<Parts>);

struct Parts {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    verification_id: Option<VerificationId>,
    allow: Option<String>,
    /// The scheme by which a provider may prove itself.
    challenge: &'static str,
}

/// What is wrong with one field or query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, or `/` and the name of a query parameter.
    #[schema(example = "/to")]
    pub pointer: String,
    /// What is allowed.
    #[schema(example = "a number is written in E.164: `+`, country code, number, digits only")]
    pub detail: Cow<'static, str>,
}

/// An RFC 9457 problem document.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document<'a> {
    /// Where this kind of problem is explained.
    #[schema(example = "/problems/resend_too_early")]
    r#type: String,
    title: &'a str,
    #[schema(example = 429)]
    status: u16,
    detail: &'a str,
    /// What programs branch on.
    #[schema(schema_with = codes)]
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// The verification that refused, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "ver_06hzjqd1nbrm4q9a5c2kt7x80g")]
    verification_id: Option<VerificationId>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            verification_id: None,
            allow: None,
            challenge: "Signature",
        }))
    }

    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is no such verification")
    }

    /// A webhook that is not proved; `scheme` is what would prove it.
    pub fn not_proved(scheme: &'static str) -> Self {
        let mut problem = Self::new(Code::SignatureRefused, "nothing of it was read");
        problem.0.challenge = scheme;
        problem
    }

    pub fn method_not_allowed(allow: String) -> Self {
        let mut problem = Self::new(Code::MethodNotAllowed, format!("this path takes {allow}"));
        problem.0.allow = Some(allow);
        problem
    }

    pub fn internal() -> Self {
        Self::new(Code::Internal, "it was logged with this answer's X-Request-Id")
    }

    pub fn field(code: Code, pointer: &str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::fields(code, vec![FieldError { pointer: pointer.to_owned(), detail: detail.into() }])
    }

    pub fn fields(code: Code, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] if only.pointer.is_empty() => only.detail.to_string(),
            [only] => format!("{}: {}", only.pointer, only.detail),
            many => format!("{} fields are wrong", many.len()),
        };
        let mut problem = Self::new(code, detail);
        problem.0.errors = errors;
        problem
    }

    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    pub fn of(mut self, id: Option<VerificationId>) -> Self {
        self.0.verification_id = id;
        self
    }

    /// Why the store refused a command of an app.
    pub fn rejected(rejection: &Rejection, id: Option<VerificationId>, now: Timestamp) -> Self {
        let problem = match rejection {
            Rejection::Unknown => return Self::not_found(),
            Rejection::NotPending(_) => Self::new(Code::NotPending, rejection.to_string()),
            Rejection::ResendTooEarly { until } => {
                Self::new(Code::ResendTooEarly, rejection.to_string()).retry_after(until.since(now))
            }
            Rejection::ResendLimit => Self::new(Code::ResendLimit, rejection.to_string()),
            Rejection::NoNextStep => Self::new(Code::NoNextStep, rejection.to_string()),
            Rejection::NoStepOnChannel => {
                Self::field(Code::InvalidRequest, "/channel", rejection.to_string())
            }
            Rejection::AlreadyRequested | Rejection::UnknownMessage => {
                tracing::error!(%rejection, "the store refused what cannot be refused");
                Self::internal()
            }
        };
        problem.of(id)
    }

    fn build(&self, response: &mut HttpResponseBuilder) {
        let parts = &*self.0;
        response.content_type(PROBLEM_JSON);
        if let Some(wait) = parts.retry_after {
            response.insert_header((header::RETRY_AFTER, whole_seconds(wait)));
        }
        if let Some(allow) = &parts.allow {
            response.insert_header((header::ALLOW, allow.as_str()));
        }
        if parts.code == Code::Unauthorized {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"twotick\""));
        } else if parts.code == Code::SignatureRefused {
            let challenge = format!("{} realm=\"twotick\"", parts.challenge);
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
    }
}

/// Rounded up, at least one: asked again at once, a caller would only be refused again.
fn whole_seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1)
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let parts = &*self.0;
        let mut response = HttpResponse::build(parts.code.status());
        self.build(&mut response);
        response.body(
            serde_json::to_vec(&Document {
                r#type: format!("/problems/{}", parts.code.as_str()),
                title: parts.code.title(),
                status: parts.code.status().as_u16(),
                detail: &parts.detail,
                code: parts.code.as_str(),
                errors: &parts.errors,
                verification_id: parts.verification_id,
            })
            // A struct of strings and numbers has no part that cannot be written.
            .unwrap_or_default(),
        )
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({})", self.0.code.as_str())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code.title())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => {
                Self::new(Code::StoreBusy, error.to_string()).retry_after(Duration::from_secs(1))
            }
            StoreError::Full => {
                Self::new(Code::StoreFull, error.to_string()).retry_after(Duration::from_secs(5))
            }
            StoreError::Closed => {
                Self::new(Code::Draining, error.to_string()).retry_after(Duration::from_secs(5))
            }
            StoreError::TooLarge => Self::new(Code::BodyTooLarge, error.to_string()),
            StoreError::Damaged { key, reason } => {
                tracing::error!(key, reason, "a stored record is damaged");
                Self::new(Code::RecordDamaged, "a record that this answer needs is damaged")
            }
        }
    }
}

impl From<CannotOpen> for Problem {
    fn from(error: CannotOpen) -> Self {
        tracing::error!("{error}");
        Self::new(Code::RecordDamaged, "a record that this answer needs cannot be opened")
    }
}

impl From<CannotSeal> for Problem {
    fn from(error: CannotSeal) -> Self {
        tracing::error!("{error}");
        Self::from(StoreError::Full)
    }
}

fn codes() -> utoipa::openapi::schema::Object {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .enum_values(Some(Code::ALL.map(Code::as_str)))
        .build()
}

/// What a problem's `type` leads to: the kind of problem in words.
#[utoipa::path(
    tag = "operation",
    params(("code" = String, Path, description = "The `code` of a problem document")),
    responses((status = 200, content_type = "text/plain", body = String, description = "What it means and what to do"),
              super::docs::PublicProblems),
)]
#[get("/problems/{code}")]
pub async fn explanation(code: web::Path<String>) -> Result<HttpResponse, Problem> {
    let known = Code::ALL.into_iter().find(|known| known.as_str() == *code);
    let known = known.ok_or_else(|| Problem::new(Code::NotFound, "there is no such problem code"))?;
    let text = format!(
        "{} ({})\n\n{}.\n{}\n",
        known.as_str(),
        known.status().as_u16(),
        known.title(),
        known.advice()
    );
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds_rounded_up() {
        for (millis, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (29_999, 30)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }

    #[test]
    fn every_code_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> = Code::ALL.map(Code::as_str).into();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
