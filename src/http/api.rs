//! The API for apps. Each handler: who calls, what do they want, one order to the store, the answer.

mod commands;
mod creation;
mod lists;
mod typed;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, get, web};
use std::sync::Arc;

pub use commands::{cancel, check, next, resend};
pub use creation::create;
pub use lists::{Cursors, inbound, list};

use super::Shared;
use super::auth::Caller;
use super::conditional::KnownVersions;
use super::docs::ApiProblems;
use super::error::{Document, Problem};
use super::input::Query;
use super::stream;
use super::view::{View, etag};
use crate::failpoint;
use crate::store::{Answer, Order, Snapshot};
use crate::verification::values::VerificationId;

/// A verification as it is now
///
/// With `wait` and `If-None-Match` the answer is held back until the version is another one or the time is over.
#[utoipa::path(
    operation_id = "read_verification",
    tag = "verifications",
    params(
        ("id" = String, Path, description = "The verification's id"),
        ("wait" = Option<u8>, Query, minimum = 0, maximum = 60, description = "Seconds to wait for another version than `If-None-Match` names"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that is known, or several"),
    ),
    responses(
        (status = 200, body = View, description = "The verification", headers(("ETag" = String, description = "The version, quoted"))),
        (status = 304, description = "Still the version that `If-None-Match` names"),
        (status = 429, description = "`too_many_waiting`: this app has as many long polls and streams open as it may; with `Retry-After`", body = Document, content_type = "application/problem+json"),
        ApiProblems,
    ),
    security(("api_key" = [])),
)]
#[get("/v1/verifications/{id}")]
pub async fn read(
    shared: web::Data<Shared>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::parse(&request)?;
    let wait = query.number("wait", 0..=stream::MAX_WAIT_SECONDS).unwrap_or(0);
    query.finish()?;
    if let Some(known) = KnownVersions::of(&request) {
        let id = path_id(&request)?;
        if let Some(version) = stream::still_known(&shared, &caller, id, &known, wait).await? {
            return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag(version))).finish());
        }
    }
    let snapshot = owned(&shared, &caller, &request).await?;
    Ok(View::new(&snapshot, &shared.vault)?.respond(StatusCode::OK))
}

/// The verification that the path names, if it is the caller's own.
pub async fn owned(
    shared: &Shared,
    caller: &Caller,
    request: &HttpRequest,
) -> Result<Arc<Snapshot>, Problem> {
    let id = path_id(request)?;
    let snapshot = shared.store.read(id).await?;
    snapshot.filter(|snapshot| snapshot.verification.request.app == caller.0).ok_or_else(Problem::not_found)
}

/// An id that cannot be one names nothing.
fn path_id(request: &HttpRequest) -> Result<VerificationId, Problem> {
    let id = request.match_info().get("id").and_then(|id| id.parse().ok()).ok_or_else(Problem::not_found)?;
    note(request, id);
    Ok(id)
}

/// For the log line of this request.
fn note(request: &HttpRequest, id: VerificationId) {
    request.extensions_mut().insert(id);
}

async fn execute(shared: &Shared, order: Order) -> Result<Answer, Problem> {
    failpoint::reach("request.before");
    let answers = shared.store.execute(vec![order]).await;
    failpoint::reach("request.after");
    // One answer for each order, says the store.
    answers?.pop().ok_or_else(|| wrong_answer("none"))
}

/// The store answered what this order cannot be answered with.
fn wrong_answer(answer: &'static str) -> Problem {
    tracing::error!(answer, "the store gave an answer that does not fit");
    Problem::internal()
}
