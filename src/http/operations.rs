//! For operators and the programs that watch over the server.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, route, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Cursors;
use super::docs::PublicProblems;
use super::error::{Code, Document, Problem};
use super::input::Query;
use super::view::Time;
use super::{Lifecycle, Shared};
use crate::store::{self, Health};
use crate::verification::values::ChannelName;

/// Whether the process is alive
///
/// Asks nobody: what should not be restarted for is not alive's business.
#[utoipa::path(
    method(get, head), path = "/healthz",
    operation_id = "alive",
    tag = "operation",
    responses((status = 200, body = Condition, description = "It is alive"), PublicProblems),
)]
#[route("/healthz", method = "GET", method = "HEAD")]
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Condition { status: "alive" })
}

/// Whether it takes work: the store is writable and the server is not stopping
///
/// Independent of the providers: an outage of one is when the other is needed.
#[utoipa::path(
    method(get, head), path = "/readyz",
    operation_id = "ready",
    tag = "operation",
    responses(
        (status = 200, body = Condition, description = "It takes work"),
        (status = 503, description = "`store_full`, `store_busy` or `draining`", body = Document, content_type = "application/problem+json"),
        PublicProblems,
    ),
)]
#[route("/readyz", method = "GET", method = "HEAD")]
pub async fn ready(shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    let problem = |code, detail| Problem::new(code, detail).retry_after(Duration::from_secs(5));
    match *shared.lifecycle.borrow() {
        Lifecycle::Serving => {}
        Lifecycle::Draining => return Err(problem(Code::Draining, "the server is stopping")),
    }
    match shared.store.health() {
        Health::Ready => Ok(HttpResponse::Ok().json(Condition { status: "ready" })),
        Health::Full => Err(problem(Code::StoreFull, "there is no room on the disk")),
        Health::Stuck => Err(problem(Code::StoreBusy, "the disk has not answered for more than 5 s")),
        Health::Closed => Err(problem(Code::Draining, "the store is closed")),
    }
}

#[derive(Serialize, ToSchema)]
struct Condition {
    #[schema(example = "ready")]
    status: &'static str,
}

/// Metrics in Prometheus' text format
#[utoipa::path(
    operation_id = "metrics",
    tag = "operation",
    responses((status = 200, body = String, content_type = "text/plain")),
)]
#[get("/metrics")]
pub async fn metrics(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(shared.metrics.render())
}

/// What an operator should know, newest first
///
/// Without the evidence: that may hold numbers and texts, and is shown to operators who have signed in to the console.
#[utoipa::path(
    operation_id = "list_alerts",
    tag = "operation",
    params(
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = AlertPage, description = "A page of them"), PublicProblems),
)]
#[get("/alerts")]
pub async fn alerts(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::parse(&request)?;
    let limit = query.number("limit", 1..=100).unwrap_or(20);
    let cursors = Cursors::new(&shared.vault, "alerts");
    let before = query.parsed("cursor", |text| cursors.open(text));
    query.finish()?;
    let page = shared.store.alerts(limit, before).await?;
    Ok(HttpResponse::Ok().json(AlertPage {
        data: page.items.into_iter().map(Alert::from).collect(),
        next_cursor: page.next.map(|next| cursors.seal(next)),
    }))
}

#[derive(Serialize, ToSchema)]
struct AlertPage {
    data: Vec<Alert>,
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Alert {
    at: Time,
    #[schema(value_type = String, example = "whatsapp")]
    channel: ChannelName,
    /// For `twotick explain`.
    #[schema(example = "unreadable_webhook")]
    code: String,
    title: String,
}

impl From<store::Alert> for Alert {
    fn from(alert: store::Alert) -> Self {
        Self { at: Time(alert.at), channel: alert.channel, code: alert.code, title: alert.title }
    }
}
