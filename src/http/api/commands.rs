//! What an app can ask of a verification.

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

/// Try a code
///
/// Admit the person if `result` is `approved` or `already_approved`, and in no other case. `already_approved` is the
/// answer to the right code once more, so that a request can be repeated whose answer was lost; any other code is
/// `wrong_code` after an approval too. The count and the result are one commit, and the answer leaves only when that is
/// durable.
///
/// Digits of any script count as digits, and blanks, hyphens, dots and invisible marks between them are dropped; an
/// app's own code is compared as it is, without blanks at its ends. An input that cannot be a code of this profile is
/// refused with 422 `not_a_code` and does not count as a try.
#[utoipa::path(
    operation_id = "check_code",
    tag = "verifications",
    params(("id" = String, Path, description = "The verification's id")),
    request_body = CheckCode,
    responses(
        (status = 200, body = Checked, description = "What became of the try"),
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

/// `None` where the verification has ended so long ago that its code is gone: then nothing admits anybody.
fn compared(vault: &Vault, snapshot: &Snapshot, typed: &SecretString) -> Result<Option<Comparison>, Problem> {
    match vault.code(&snapshot.verification.request, snapshot.policy.code_length) {
        Ok(code) => Ok(Some(Vault::compare(&code, typed.expose_secret()))),
        Err(CannotOpen::Removed) if !snapshot.verification.is_pending() => Ok(None),
        Err(error @ (CannotOpen::Removed | CannotOpen::Damaged)) => Err(error.into()),
    }
}

/// The body of a check.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described; `typed_code` reads the field")]
pub struct CheckCode {
    /// What the person typed, as it was typed.
    #[schema(example = "493 817")]
    code: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CheckedCode)]
struct Checked {
    result: CheckResult,
    /// Wrong codes that may still be tried. After an approval: that are still compared.
    checks_left: u8,
    verification: View,
}

/// `approved` and `already_approved` admit the person, nothing else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CheckResult {
    /// The code is right.
    Approved,
    /// The code is wrong.
    WrongCode,
    /// The time of the code is over. Says nothing about the code.
    Expired,
    /// The verification was canceled. Says nothing about the code.
    Canceled,
    /// Too many wrong codes, this one among them or an earlier one. Says nothing about the code.
    Exhausted,
    /// The code is right, and was approved before.
    AlreadyApproved,
}

impl CheckResult {
    /// From what is durable: what this check made or, where it made nothing, how the verification had ended before.
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
    // Without a code, `finish` has refused.
    code.and_then(Result::ok).ok_or_else(Problem::internal)
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
        (status = 202, body = View, description = "The verification; the code goes out once more"),
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

/// Cancel it
///
/// A message that was not sent yet is dropped. Again on a canceled one is 200 as well.
#[utoipa::path(
    operation_id = "cancel_verification",
    tag = "verifications",
    params(("id" = String, Path, description = "The verification's id")),
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
