//! The API for apps. A handler authenticates, parses, submits one order to the store, and answers.

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

/// Read a verification
///
/// With `wait` and `If-None-Match`, the request is held until the version changes or the time is over.
#[utoipa::path(
    operation_id = "read_verification",
    tag = "verifications",
    params(
        ("id" = String, Path, description = "Verification id"),
        ("wait" = Option<u8>, Query, minimum = 0, maximum = 60, description = "Seconds to wait for a version that `If-None-Match` does not list"),
        ("If-None-Match" = Option<String>, Header, description = "One or more known `ETag`s"),
    ),
    responses(
        (status = 200, body = View, description = "The verification", headers(("ETag" = String, description = "The version, quoted"))),
        (status = 304, description = "Unchanged: `If-None-Match` lists the current version"),
        (status = 429, description = "`too_many_waiting`: this app has reached its limit of open long polls and streams; with `Retry-After`", body = Document, content_type = "application/problem+json"),
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

/// Reads the verification in the path, if it belongs to the caller.
pub async fn owned(
    shared: &Shared,
    caller: &Caller,
    request: &HttpRequest,
) -> Result<Arc<Snapshot>, Problem> {
    let id = path_id(request)?;
    let snapshot = shared.store.read(id).await?;
    snapshot.filter(|snapshot| snapshot.verification.request.app == caller.0).ok_or_else(Problem::not_found)
}

/// A malformed id gives 404.
fn path_id(request: &HttpRequest) -> Result<VerificationId, Problem> {
    let id = request.match_info().get("id").and_then(|id| id.parse().ok()).ok_or_else(Problem::not_found)?;
    note(request, id);
    Ok(id)
}

/// Adds the verification id to the request's log line.
fn note(request: &HttpRequest, id: VerificationId) {
    request.extensions_mut().insert(id);
}

async fn execute(shared: &Shared, order: Order) -> Result<Answer, Problem> {
    failpoint::reach("request.before");
    let answers = shared.store.execute(vec![order]).await;
    failpoint::reach("request.after");
    // The store returns one answer per order.
    answers?.pop().ok_or_else(|| wrong_answer("none"))
}

/// The store's answer does not fit the order, which is a bug.
fn wrong_answer(answer: &'static str) -> Problem {
    tracing::error!(answer, "unexpected answer of the store");
    Problem::internal()
}
