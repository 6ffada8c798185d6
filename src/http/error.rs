//! Every refusal is an RFC 9457 problem document. A [`Code`] is what programs branch on; `detail` is for people and
//! never repeats a number, a code or a key.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::explain::{Origin, Text};
use crate::language::Language;
use crate::store::StoreError;
use crate::vault::{CannotOpen, CannotSeal};
use crate::verification::Rejection;
use crate::verification::values::{Timestamp, VerificationId};

pub const PROBLEM_JSON: &str = "application/problem+json";

/// Declares [`Code`]: a variant, its name and its HTTP status on each line.
macro_rules! codes {
    ($($variant:ident = $name:literal, $status:ident;)+) => {
        /// A kind of refusal. `explain/api.toml` has its title and its explanation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $($variant,)+
        }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)+
                }
            }
        }
    };
}

codes! {
    Unauthorized = "unauthorized", UNAUTHORIZED;
    SignatureRefused = "signature_refused", UNAUTHORIZED;
    NotFound = "not_found", NOT_FOUND;
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    HostNotAllowed = "host_not_allowed", MISDIRECTED_REQUEST;
    MalformedBody = "malformed_body", BAD_REQUEST;
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE;
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE;
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT;
    InvalidRequest = "invalid_request", UNPROCESSABLE_ENTITY;
    InvalidNumber = "invalid_number", UNPROCESSABLE_ENTITY;
    NotTried = "not_a_code", UNPROCESSABLE_ENTITY;
    UnknownProfile = "unknown_profile", UNPROCESSABLE_ENTITY;
    ResendTooEarly = "resend_too_early", TOO_MANY_REQUESTS;
    ResendLimit = "resend_limit", TOO_MANY_REQUESTS;
    NotPending = "not_pending", CONFLICT;
    NoNextStep = "no_next_step", CONFLICT;
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY;
    IdempotencyKeyInUse = "idempotency_key_in_use", CONFLICT;
    ChallengeRefused = "challenge_refused", FORBIDDEN;
    TooManyWaiting = "too_many_waiting", TOO_MANY_REQUESTS;
    TooManyConnections = "too_many_connections", SERVICE_UNAVAILABLE;
    StoreFull = "store_full", SERVICE_UNAVAILABLE;
    StoreBusy = "store_busy", SERVICE_UNAVAILABLE;
    Draining = "draining", SERVICE_UNAVAILABLE;
    RecordDamaged = "record_damaged", INTERNAL_SERVER_ERROR;
    Internal = "internal", INTERNAL_SERVER_ERROR;
}

impl Code {
    pub fn title(self) -> &'static str {
        self.text().title
    }

    fn text(self) -> Text {
        let mut entries = Origin::Api.entries().iter();
        let entry = entries.find(|entry| entry.code() == self.as_str());
        entry.expect("a test compares the codes with those of the file").text(Language::English)
    }
}

/// A refusal, answered as a problem document.
pub struct Problem(Box<Parts>);

struct Parts {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    verification_id: Option<VerificationId>,
    allow: Option<String>,
    /// The authentication scheme of a webhook, for `WWW-Authenticate`.
    challenge: &'static str,
}

/// A problem with one field or query parameter.
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
    /// The address of the explanation of this `code`.
    #[schema(example = "/problems/resend_too_early")]
    r#type: String,
    title: &'a str,
    #[schema(example = 429)]
    status: u16,
    detail: &'a str,
    /// The name of the problem, for programs.
    #[schema(schema_with = codes)]
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// The verification concerned, if there is one.
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

    /// A webhook whose signature is missing or wrong. `scheme` is the authentication scheme of its channel.
    pub fn not_proved(scheme: &'static str) -> Self {
        let mut problem = Self::new(Code::SignatureRefused, "the webhook was not read");
        problem.0.challenge = scheme;
        problem
    }

    pub fn method_not_allowed(allow: String) -> Self {
        let mut problem = Self::new(Code::MethodNotAllowed, format!("this path takes {allow}"));
        problem.0.allow = Some(allow);
        problem
    }

    pub fn internal() -> Self {
        Self::new(Code::Internal, "the log has a line with this answer's X-Request-Id")
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

    /// The problem for an app whose command was rejected.
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
                tracing::error!(%rejection, "a command was rejected for an unexpected reason");
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

/// For `Retry-After`: rounded up and at least 1, so that a caller who waits that long is not refused for the same reason.
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
            // Strings and numbers always serialize.
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
                Self::new(Code::RecordDamaged, "a record needed for this answer is damaged")
            }
        }
    }
}

impl From<CannotOpen> for Problem {
    fn from(error: CannotOpen) -> Self {
        tracing::error!("{error}");
        Self::new(Code::RecordDamaged, "a record needed for this answer cannot be decrypted")
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
        .enum_values(Some(Code::ALL.iter().map(|code| code.as_str())))
        .build()
}

/// Explains a problem code. The `type` of a problem document leads here.
#[utoipa::path(
    tag = "operation",
    params(("code" = String, Path, description = "`code` of a problem document")),
    responses((status = 200, content_type = "text/plain", body = String, description = "Meaning and advice"),
              super::docs::PublicProblems),
)]
#[get("/problems/{code}")]
pub async fn explanation(code: web::Path<String>) -> Result<HttpResponse, Problem> {
    let known = Code::ALL.iter().copied().find(|known| known.as_str() == *code);
    let known = known.ok_or_else(|| Problem::new(Code::NotFound, "there is no such problem code"))?;
    let (status, Text { title, cause, fix }) = (known.status().as_u16(), known.text());
    let text = format!("{} ({status})\n\n{title}.\n{cause}\n{fix}\n", known.as_str());
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::explain::Explanation;

    #[test]
    fn a_wait_is_in_whole_seconds_rounded_up() {
        for (millis, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (29_999, 30)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }

    /// The codes that the server can answer, that its description lists, and that `twotick explain` knows.
    #[test]
    fn every_code_is_described_and_explained_and_no_other() {
        let answered: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let described = serde_json::to_value(crate::http::docs::document()).unwrap();
        assert_eq!(
            described["components"]["schemas"]["Problem"]["properties"]["code"]["enum"],
            json!(answered)
        );
        let answered: BTreeSet<_> = answered.into_iter().collect();
        assert_eq!(answered.len(), Code::ALL.len(), "a name is used twice");
        let explained: BTreeSet<_> = Origin::Api.entries().iter().map(Explanation::code).collect();
        assert_eq!(answered, explained);
    }

    #[test]
    fn every_code_is_described_at_a_response_of_its_status() {
        let described = serde_json::to_value(crate::http::docs::document()).unwrap();
        let operations = described["paths"].as_object().unwrap().values().flat_map(members);
        let responses = operations.flat_map(|(_, operation)| members(&operation["responses"]));
        let mut undescribed: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        for (status, response) in
            responses.filter(|(_, response)| response["content"].get(PROBLEM_JSON).is_some())
        {
            for name in response["description"].as_str().unwrap().split('`').skip(1).step_by(2) {
                match Code::ALL.iter().find(|code| code.as_str() == name) {
                    Some(code) => assert_eq!(code.status().as_str(), status, "{name}"),
                    None => assert!(!name.contains('_'), "there is no code {name}"),
                }
                undescribed.remove(name);
            }
        }
        // Only the admin listener answers it.
        assert_eq!(undescribed, ["host_not_allowed"].into());
    }

    fn members(object: &Value) -> serde_json::map::Iter<'_> {
        object.as_object().unwrap().iter()
    }
}
