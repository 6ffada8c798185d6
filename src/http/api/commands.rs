//! Commands on a verification.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post, web};
use metrics::counter;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::super::auth::Caller;
use super::super::docs::ApiProblems;
use super::super::error::{Code, Document, Problem};
use super::super::input::{Fields, Presence, Query, read_fields};
use super::super::view::{View, checks_left};
use super::super::{Shared, metrics as names};
use super::{execute, owned, path_id, typed, wrong_answer};
use crate::store::{Answer, Order, Snapshot};
use crate::vault::{CannotOpen, Vault};
use crate::verification::command::Comparison;
use crate::verification::state::{Ending, Phase};
use crate::verification::values::ChannelName;
use crate::verification::{Command, Event, Fact};

/// Check a code
///
/// Admit the person only if `result` is `approved` or `already_approved`. `already_approved` answers the right code
/// after an approval, so that a request whose answer was lost can be repeated; any other code is `wrong_code`, after an
/// approval too. The count and the result are one commit, and the answer is sent once that is durable.
///
/// Digits of any script are accepted, and spaces, hyphens, dots and invisible characters between digits are ignored. A
/// custom code is compared unchanged, except for spaces at its ends. An input that cannot be a code of this profile is
/// refused with 422 `not_a_code` and does not count as a try.
#[utoipa::path(
    operation_id = "check_code",
    tag = "verifications",
    params(("id" = String, Path, description = "Verification id")),
    request_body = CheckCode,
    responses(
        (status = 200, body = Checked, description = "The result"),
        ApiProblems,
    ),
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
    let fields = read_fields(&request, payload, Presence::Required).await?;
    let typed = typed_code(fields, &snapshot)?;
    let (snapshot, result) = match compared(&shared.vault, &snapshot, &typed)? {
        Some(comparison) => {
            let command = Command::Check(comparison);
            let (snapshot, events) = done(&shared, &caller, &request, command).await?;
            let result = CheckResult::of(&snapshot, &events, comparison);
            (snapshot, result)
        }
        None => {
            let result = CheckResult::of(&snapshot, &[], Comparison::Differ);
            (snapshot, result)
        }
    };
    counter!(names::CHECKS, "result" => result.as_str()).increment(1);
    Ok(HttpResponse::Ok().json(Checked {
        result,
        checks_left: checks_left(&snapshot),
        verification: View::new(&snapshot, &shared.vault)?,
    }))
}

/// `None` if the verification ended so long ago that its code is gone: then no code is accepted.
fn compared(vault: &Vault, snapshot: &Snapshot, typed: &SecretString) -> Result<Option<Comparison>, Problem> {
    match vault.code(&snapshot.verification.request, snapshot.policy.code_length) {
        Ok(code) => Ok(Some(Vault::compare(&code, typed.expose_secret()))),
        Err(CannotOpen::Removed) if !snapshot.verification.is_pending() => Ok(None),
        Err(error @ (CannotOpen::Removed | CannotOpen::Damaged)) => Err(error.into()),
    }
}

/// Body of a check.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described; `typed_code` reads the field")]
pub struct CheckCode {
    /// The input of the person, unchanged.
    #[schema(example = "493 817")]
    code: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CheckedCode)]
struct Checked {
    result: CheckResult,
    /// Wrong codes still allowed; after an approval, comparisons still allowed.
    checks_left: u8,
    verification: View,
}

/// Only `approved` and `already_approved` admit the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CheckResult {
    /// The code is right.
    Approved,
    /// The code is wrong.
    WrongCode,
    /// The code has expired. Does not reveal whether it is right.
    Expired,
    /// The verification was canceled. Does not reveal whether the code is right.
    Canceled,
    /// Too many wrong codes, by this or earlier checks. Does not reveal whether the code is right.
    Exhausted,
    /// The code is right and was approved before.
    AlreadyApproved,
}

impl CheckResult {
    /// Derived from durable state only: the events of this check or, if there are none, the verification's earlier end.
    fn of(snapshot: &Snapshot, made: &[Event], comparison: Comparison) -> Self {
        let has_made = |fact: &Fact| made.iter().any(|event| event.fact == *fact);
        if has_made(&Fact::CheckPassed) {
            return Self::Approved;
        } else if has_made(&Fact::ChecksExhausted) {
            return Self::Exhausted;
        } else if has_made(&Fact::CheckFailed) {
            return Self::WrongCode;
        }
        let verification = &snapshot.verification;
        match verification.phase {
            Phase::Pending(_) => Self::WrongCode,
            Phase::Ended { ending: Ending::Approved, .. } => match comparison {
                Comparison::Match if verification.may_compare(&snapshot.policy) => Self::AlreadyApproved,
                Comparison::Match | Comparison::Differ => Self::WrongCode,
            },
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

fn typed_code(mut fields: Fields, snapshot: &Snapshot) -> Result<SecretString, Problem> {
    let typed = fields.required_text("code").map(Zeroizing::new);
    let request = &snapshot.verification.request;
    let code = typed.map(|typed| typed::code(request, snapshot.policy.code_length, &typed));
    if let Some(Err(form)) = &code {
        fields.refuse(Code::NotTried, "/code", form.clone());
    }
    fields.finish()?;
    // Without a code, `finish` has returned an error.
    code.and_then(Result::ok).ok_or_else(Problem::internal)
}

/// Resend the code
///
/// The n-th resend must wait for the n-th entry of the profile's `resend_after` since the last send.
#[utoipa::path(
    operation_id = "resend_code",
    tag = "verifications",
    params(("id" = String, Path, description = "Verification id")),
    request_body(content = Option<ResendCode>),
    responses(
        (status = 202, body = View, description = "The verification; the same code is sent again"),
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
        fields.refuse(Code::InvalidRequest, "/channel", "no such channel in the profile's steps");
    }
    fields.finish()?;
    let command = Command::Resend { channel: channel.map(|name| ChannelName::new(&name)) };
    let (snapshot, _) = done(&shared, &caller, &request, command).await?;
    Ok(View::new(&snapshot, &shared.vault)?.respond(StatusCode::ACCEPTED))
}

/// Body of a resend; may be left out.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described; `resend` reads the field")]
pub struct ResendCode {
    /// A channel of the profile's steps, instead of the current step's.
    #[schema(example = "sms")]
    channel: Option<String>,
}

/// Start the next step now
#[utoipa::path(
    operation_id = "start_next_step",
    tag = "verifications",
    params(("id" = String, Path, description = "Verification id")),
    responses(
        (status = 202, body = View, description = "The verification, at its next step"),
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

/// Cancel a verification
///
/// Drops messages that were not sent yet. Canceling a canceled verification returns 200 too.
#[utoipa::path(
    operation_id = "cancel_verification",
    tag = "verifications",
    params(("id" = String, Path, description = "Verification id")),
    responses(
        (status = 200, body = View, description = "The canceled verification"),
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

/// The answer to a command on the caller's own verification.
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
