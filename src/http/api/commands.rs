//! What an app can ask of a verification.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post, web};
use metrics::counter;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::docs::ApiProblems;
use super::super::error::{Code, Document, Problem};
use super::super::input::{Fields, Presence, Query, read_fields};
use super::super::view::{View, checks_left};
use super::super::{Shared, metrics as names};
use super::{execute, owned, path_id, wrong_answer};
use crate::store::{Answer, Order, Snapshot};
use crate::vault::{CannotOpen, Vault};
use crate::verification::command::Comparison;
use crate::verification::state::{Ending, Phase};
use crate::verification::values::ChannelName;
use crate::verification::{Command, Event, Fact};

/// Try a code
///
/// The count and the result are one commit, and the answer leaves only when that is durable.
#[utoipa::path(
    operation_id = "check_code",
    tag = "verifications",
    params(("id" = String, Path, description = "The verification's id")),
    request_body = CheckCode,
    responses((status = 200, body = Checked), ApiProblems),
    security(("api_key" = [])),
)]
#[post("/v1/verifications/{id}/check")]
pub async fn check(
    shared: web::Data<Shared>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    Query::parse(&request)?.finish()?;
    let snapshot = owned(&shared, &caller, &request).await?;
    let typed = typed_code(read_fields(&request, payload, Presence::Required).await?)?;
    let command = Command::Check(compared(&shared.vault, &snapshot, &typed)?);
    let (snapshot, events) = done(&shared, &caller, &request, command).await?;
    let result = CheckResult::of(&snapshot, &events);
    counter!(names::CHECKS, "result" => result.as_str()).increment(1);
    Ok(HttpResponse::Ok().json(Checked {
        result,
        checks_left: checks_left(&snapshot),
        verification: View::new(&snapshot, &shared.vault)?,
    }))
}

/// Once a verification has ended its code is gone, and no answer depends on it any more.
fn compared(vault: &Vault, snapshot: &Snapshot, typed: &str) -> Result<Comparison, Problem> {
    match vault.code(&snapshot.verification.request, snapshot.policy.code_length) {
        Ok(code) => Ok(Vault::compare(&code, typed)),
        Err(CannotOpen::Removed) if !snapshot.verification.is_pending() => Ok(Comparison::Differ),
        Err(error @ (CannotOpen::Removed | CannotOpen::Damaged)) => Err(error.into()),
    }
}

/// The body of a check.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described; `typed_code` reads the field")]
pub struct CheckCode {
    /// What the person typed.
    #[schema(max_length = 64, example = "493817")]
    code: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CheckedCode)]
struct Checked {
    result: CheckResult,
    /// Wrong codes that may still be tried.
    checks_left: u8,
    verification: View,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CheckResult {
    Approved,
    WrongCode,
    Expired,
    Canceled,
    /// Too many wrong codes, this one among them or an earlier one.
    Exhausted,
    AlreadyApproved,
}

impl CheckResult {
    /// From what is durable: what this check made or, where it made nothing, how the verification had ended before.
    fn of(snapshot: &Snapshot, made: &[Event]) -> Self {
        let has_made = |fact: &Fact| made.iter().any(|event| event.fact == *fact);
        if has_made(&Fact::CheckPassed) {
            return Self::Approved;
        } else if has_made(&Fact::ChecksExhausted) {
            return Self::Exhausted;
        } else if has_made(&Fact::CheckFailed) {
            return Self::WrongCode;
        }
        match snapshot.verification.phase {
            Phase::Pending(_) => Self::WrongCode,
            Phase::Ended { ending: Ending::Approved, .. } => Self::AlreadyApproved,
            Phase::Ended { ending: Ending::Expired, .. } => Self::Expired,
            Phase::Ended { ending: Ending::Canceled, .. } => Self::Canceled,
            Phase::Ended { ending: Ending::Exhausted, .. } => Self::Exhausted,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::WrongCode => "wrong_code",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
            Self::Exhausted => "exhausted",
            Self::AlreadyApproved => "already_approved",
        }
    }
}

const MAX_TYPED_CHARS: usize = 64;

fn typed_code(mut fields: Fields) -> Result<String, Problem> {
    let typed = fields.required_text("code");
    if typed.as_ref().is_some_and(|typed| typed.chars().count() > MAX_TYPED_CHARS) {
        let detail = format!("must have at most {MAX_TYPED_CHARS} characters");
        fields.refuse(Code::InvalidRequest, "/code", detail);
    }
    fields.finish()?;
    Ok(typed.unwrap_or_default())
}

/// Send the same code once more
///
/// The n-th resend waits the n-th entry of the profile's `resend_after` since the last send.
#[utoipa::path(
    operation_id = "resend_code",
    tag = "verifications",
    params(("id" = String, Path, description = "The verification's id")),
    request_body(content = Option<ResendCode>),
    responses(
        (status = 202, body = View),
        (status = 409, description = "`not_pending`", body = Document, content_type = "application/problem+json"),
        (status = 429, description = "`resend_too_early` with `Retry-After`, or `resend_limit`", body = Document, content_type = "application/problem+json"),
        ApiProblems,
    ),
    security(("api_key" = [])),
)]
#[post("/v1/verifications/{id}/resend")]
pub async fn resend(
    shared: web::Data<Shared>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    Query::parse(&request)?.finish()?;
    path_id(&request)?;
    let mut fields = read_fields(&request, payload, Presence::Optional).await?;
    let channel = fields.text("channel");
    if channel.as_ref().is_some_and(|name| !shared.channels.now().contains_key(name)) {
        fields.refuse(Code::InvalidRequest, "/channel", "there is no such channel");
    }
    fields.finish()?;
    let command = Command::Resend { channel: channel.map(|name| ChannelName::new(&name)) };
    let (snapshot, _) = done(&shared, &caller, &request, command).await?;
    Ok(View::new(&snapshot, &shared.vault)?.respond(StatusCode::ACCEPTED))
}

/// The body of a resend; may be left out.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described; `resend` reads the field")]
pub struct ResendCode {
    /// A channel of the profile's steps, instead of that of the step in progress.
    #[schema(example = "sms")]
    channel: Option<String>,
}

/// Start the next step now
#[utoipa::path(
    operation_id = "start_next_step",
    tag = "verifications",
    params(("id" = String, Path, description = "The verification's id")),
    responses(
        (status = 202, body = View),
        (status = 409, description = "`no_next_step` or `not_pending`", body = Document, content_type = "application/problem+json"),
        ApiProblems,
    ),
    security(("api_key" = [])),
)]
#[post("/v1/verifications/{id}/next")]
pub async fn next(
    shared: web::Data<Shared>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    without_fields(&shared, &caller, &request, payload, Command::Next, StatusCode::ACCEPTED).await
}

/// Cancel it
///
/// A message that was not sent yet is dropped. Again on a canceled one is 200 as well.
#[utoipa::path(
    operation_id = "cancel_verification",
    tag = "verifications",
    params(("id" = String, Path, description = "The verification's id")),
    responses(
        (status = 200, body = View),
        (status = 409, description = "`not_pending`", body = Document, content_type = "application/problem+json"),
        ApiProblems,
    ),
    security(("api_key" = [])),
)]
#[post("/v1/verifications/{id}/cancel")]
pub async fn cancel(
    shared: web::Data<Shared>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    without_fields(&shared, &caller, &request, payload, Command::Cancel, StatusCode::OK).await
}

async fn without_fields(
    shared: &Shared,
    caller: &Caller,
    request: &HttpRequest,
    payload: web::Payload,
    command: Command,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    Query::parse(request)?.finish()?;
    path_id(request)?;
    read_fields(request, payload, Presence::Optional).await?.finish()?;
    let (snapshot, _) = done(shared, caller, request, command).await?;
    Ok(View::new(&snapshot, &shared.vault)?.respond(status))
}

/// What the command made of the caller's own verification that the path names.
async fn done(
    shared: &Shared,
    caller: &Caller,
    request: &HttpRequest,
    command: Command,
) -> Result<(Arc<Snapshot>, Vec<Event>), Problem> {
    let id = path_id(request)?;
    let order = Order::Command { id, app: Some(caller.0.clone()), command };
    match execute(shared, order).await? {
        Answer::Done { snapshot, events } => Ok((snapshot, events)),
        Answer::Rejected { rejection, id } => Err(Problem::rejected(&rejection, id, shared.clock.now())),
        Answer::Created(_)
        | Answer::Resent(_)
        | Answer::Replayed(_)
        | Answer::Reported(_)
        | Answer::Kept
        | Answer::Forgotten(_) => Err(wrong_answer("to a command")),
    }
}
