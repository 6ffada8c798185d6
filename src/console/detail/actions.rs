//! Manual actions of the staff. Each requires a permission and a reason, is one command to the store, and adds an event
//! to the timeline and an entry to the audit log.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{DONE, Detail, Notice, PageOptions};
use crate::console::posted::PostedForm;
use crate::console::preferences::Preferences;
use crate::console::words::case::Words;
use crate::console::{Action, Console, CurrentUser, Refusal};
use crate::store::{Answer, Order};
use crate::verification::values::ChannelName;
use crate::verification::{Command, OperatorAct, Rejection};

/// Enough for a ticket number or a sentence; sealed, it stays within the store's limit.
const MAX_REASON: usize = 240;

/// Shows the full number once; the next page view masks it again.
#[post("/verifications/{id}/reveal")]
pub async fn reveal(
    console: web::Data<Console>,
    request: HttpRequest,
    id: web::Path<String>,
    signed: CurrentUser,
    posted: PostedForm,
) -> Result<HttpResponse, Refusal> {
    signed.require(Action::Reveal)?;
    let detail = Detail::load(&console, &signed, &id).await?;
    if let Err(note) = carry_out(&console, &signed, &posted, &detail, OperatorAct::Reveal).await? {
        return refused(&console, &request, &signed, &posted, &detail, note);
    }
    let revealed = detail.phone(&console)?;
    let detail = Detail::load(&console, &signed, &id).await?;
    detail.show(
        &console,
        &request,
        &signed,
        PageOptions { revealed, ..PageOptions::default() },
        StatusCode::OK,
    )
}

#[post("/verifications/{id}/resend")]
pub async fn resend(
    console: web::Data<Console>,
    request: HttpRequest,
    id: web::Path<String>,
    signed: CurrentUser,
    posted: PostedForm,
) -> Result<HttpResponse, Refusal> {
    signed.require(Action::Resend)?;
    let channel = Some(posted.text("channel")).filter(|channel| !channel.is_empty());
    let act = OperatorAct::Resend { channel: channel.map(ChannelName::new) };
    change(&console, &request, &id, &signed, &posted, act).await
}

#[post("/verifications/{id}/next")]
pub async fn next(
    console: web::Data<Console>,
    request: HttpRequest,
    id: web::Path<String>,
    signed: CurrentUser,
    posted: PostedForm,
) -> Result<HttpResponse, Refusal> {
    signed.require(Action::Next)?;
    change(&console, &request, &id, &signed, &posted, OperatorAct::Next).await
}

#[post("/verifications/{id}/cancel")]
pub async fn cancel(
    console: web::Data<Console>,
    request: HttpRequest,
    id: web::Path<String>,
    signed: CurrentUser,
    posted: PostedForm,
) -> Result<HttpResponse, Refusal> {
    signed.require(Action::Cancel)?;
    change(&console, &request, &id, &signed, &posted, OperatorAct::Cancel).await
}

/// Redirects to the page, so that a reload does not repeat the action.
async fn change(
    console: &Console,
    request: &HttpRequest,
    id: &str,
    signed: &CurrentUser,
    posted: &PostedForm,
    act: OperatorAct,
) -> Result<HttpResponse, Refusal> {
    let detail = Detail::load(console, signed, id).await?;
    if let Err(note) = carry_out(console, signed, posted, &detail, act).await? {
        return refused(console, request, signed, posted, &detail, note);
    }
    let page = format!("/console/verifications/{}?{DONE}", detail.snapshot.verification.id());
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, page)).finish())
}

fn refused(
    console: &Console,
    request: &HttpRequest,
    signed: &CurrentUser,
    posted: &PostedForm,
    detail: &Detail,
    note: Notice,
) -> Result<HttpResponse, Refusal> {
    let reason = posted.text("reason").chars().take(MAX_REASON).collect();
    let shown = PageOptions { note: Some(note), reason, ..PageOptions::default() };
    detail.show(console, request, signed, shown, StatusCode::CONFLICT)
}

/// Executes the action. The inner error is the note that explains why it was not done.
async fn carry_out(
    console: &Console,
    signed: &CurrentUser,
    posted: &PostedForm,
    detail: &Detail,
    act: OperatorAct,
) -> Result<Result<(), Notice>, Refusal> {
    let words = Words::of(signed.preferences.language);
    let reason = posted.text("reason").trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        return Ok(Err(Notice::not_done(words, words.reason_missing)));
    }
    let id = detail.snapshot.verification.id();
    let number = detail.snapshot.verification.request.number;
    let reason = Some(console.vault.seal_reason(id, number, console.clock.now(), reason)?);
    let command = Command::ByOperator { by: signed.name.clone(), reason, act };
    let answers = console.store.execute(vec![Order::Command { id, app: None, command }]).await?;
    match answers.into_iter().next() {
        Some(Answer::Done { .. }) => Ok(Ok(())),
        Some(Answer::Rejected { rejection, .. }) => {
            Ok(Err(Notice::not_done(words, &why(&rejection, words, &signed.preferences)?)))
        }
        Some(
            Answer::Created(_)
            | Answer::Resent(_)
            | Answer::Replayed(_)
            | Answer::Reported(_)
            | Answer::Kept
            | Answer::Forgotten(_),
        )
        | None => {
            tracing::error!(verification = %id, "the store gave an unexpected answer to a command");
            Err(Refusal::Internal)
        }
    }
}

fn why(rejection: &Rejection, words: &Words, preferences: &Preferences) -> Result<String, Refusal> {
    Ok(match rejection {
        Rejection::Unknown => return Err(Refusal::NotFound),
        Rejection::NotPending(_) => words.not_pending.to_owned(),
        Rejection::ResendTooEarly { until } => format!("{} {}.", words.too_early, preferences.clock(*until)),
        Rejection::ResendLimit => words.resend_limit.to_owned(),
        Rejection::NoNextStep => words.no_next_step.to_owned(),
        Rejection::NoStepOnChannel => words.no_step_on_channel.to_owned(),
        Rejection::AlreadyRequested | Rejection::UnknownMessage => {
            tracing::error!(%rejection, "the store gave an unexpected reason for refusing a command");
            return Err(Refusal::Internal);
        }
    })
}
