//! The API for apps. Each handler: who calls, what do they want, one order to the store, the answer.

mod commands;
mod creation;
mod lists;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, get, web};
use std::sync::Arc;

pub use commands::{cancel, check, next, resend};
pub use creation::create;
pub use lists::{Cursors, inbound, list};

use super::Shared;
use super::auth::Caller;
use super::docs::ApiProblems;
use super::error::Problem;
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
        (status = 200, body = View, headers(("ETag" = String, description = "The version, quoted"))),
        (status = 304, description = "Still the version that `If-None-Match` names"),
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
    if request.headers().contains_key(header::IF_NONE_MATCH) {
        let known = KnownVersions(&request);
        let version = stream::other_version(&shared, &caller, path_id(&request)?, &known, wait).await?;
        if known.contain(version) {
            return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag(version))).finish());
        }
    }
    let snapshot = owned(&shared, &caller, &request).await?;
    Ok(View::new(&snapshot, &shared.vault)?.respond(StatusCode::OK))
}

/// The versions that an `If-None-Match` names. Without the quotes that RFC 9110 asks for they are understood as well.
pub struct KnownVersions<'a>(&'a HttpRequest);

impl KnownVersions<'_> {
    pub fn contain(&self, version: u32) -> bool {
        let (quoted, bare) = (etag(version), version.to_string());
        let values = self.0.headers().get_all(header::IF_NONE_MATCH);
        let tags = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let mut tags = tags.map(|tag| tag.trim().trim_start_matches("W/"));
        tags.any(|tag| tag == "*" || tag == quoted || tag == bare)
    }
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
