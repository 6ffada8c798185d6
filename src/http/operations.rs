//! Endpoints for operators and monitoring.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, route, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::api::Cursors;
use super::docs::PublicProblems;
use super::error::{Code, Document, Problem};
use super::input::Query;
use super::view::Time;
use crate::health::Alarm;
use crate::lifecycle::Lifecycle;
use crate::store::{self, Health, LogPosition};
use crate::verification::values::{ChannelName, Timestamp};

/// Liveness
///
/// Depends on nothing else, so that a failing dependency does not lead to a restart.
#[utoipa::path(
    method(get, head), path = "/healthz",
    operation_id = "alive",
    tag = "operation",
    responses((status = 200, body = Condition, description = "The process is alive"), PublicProblems),
)]
#[route("/healthz", method = "GET", method = "HEAD")]
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Condition { status: "alive" })
}

/// Readiness: the store is writable and the server is not stopping
///
/// Does not depend on the providers: if one fails, the other is needed.
#[utoipa::path(
    method(get, head), path = "/readyz",
    operation_id = "ready",
    tag = "operation",
    responses(
        (status = 200, body = Condition, description = "Ready"),
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
        Health::Full => Err(problem(Code::StoreFull, "the disk is full")),
        Health::Stuck => Err(problem(Code::StoreBusy, "a write to the disk has taken more than 5 s")),
        Health::Closed => Err(problem(Code::Draining, "the store is closed")),
    }
}

#[derive(Serialize, ToSchema)]
struct Condition {
    #[schema(example = "ready")]
    status: &'static str,
}

/// Metrics in the Prometheus text format
#[utoipa::path(
    operation_id = "metrics",
    tag = "operation",
    responses((status = 200, body = String, content_type = "text/plain")),
)]
#[get("/metrics")]
pub async fn metrics(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(shared.metrics.render())
}

/// Alarms and alerts, newest first
///
/// First the active alarms (`"ongoing": true`), then alerts by providers and twotick, including unreadable webhooks.
/// `twotick explain CODE` explains each. The evidence is left out, because it may contain numbers and texts; operators
/// see it in the console.
#[utoipa::path(
    operation_id = "list_alerts",
    tag = "operation",
    params(
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = AlertPage, description = "A page of alerts"), PublicProblems),
)]
#[get("/alerts")]
pub async fn alerts(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::parse(&request)?;
    let limit = query.number("limit", 1..=100).unwrap_or(20);
    let cursors = Cursors::new(&shared.vault, "alerts");
    let before = query.parsed("cursor", |text| cursors.open(text));
    query.finish()?;
    let (shown, before) = match before {
        None => (0, None),
        Some(position) => match after_ongoing(&position) {
            Some(shown) => (shown, None),
            None => (usize::MAX, Some(position)),
        },
    };
    let ongoing = if shown == usize::MAX { Vec::new() } else { shared.monitor.ongoing() };
    let mut data: Vec<_> = ongoing.iter().skip(shown).take(limit).map(Alert::ongoing).collect();
    let next = if data.len() == limit {
        Some(ongoing_before(shown + limit))
    } else {
        let page = shared.store.alerts(limit - data.len(), before).await?;
        data.extend(page.items.into_iter().map(Alert::from));
        page.next
    };
    Ok(HttpResponse::Ok().json(AlertPage { data, next_cursor: next.map(|next| cursors.seal(next)) }))
}

/// The list position after `shown` active alarms and before all stored alerts, none of which has a time this late.
fn ongoing_before(shown: usize) -> LogPosition {
    let mut position = [0xff; 16];
    position[15] = u8::try_from(shown).unwrap_or(u8::MAX);
    position
}

fn after_ongoing(position: &LogPosition) -> Option<usize> {
    let (shown, time) = position.split_last()?;
    time.iter().all(|&byte| byte == 0xff).then_some((*shown).into())
}

#[derive(Serialize, ToSchema)]
struct AlertPage {
    data: Vec<Alert>,
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Alert {
    /// When it was reported; when an active alarm began.
    at: Time,
    /// Null for an alarm of the whole server.
    #[schema(value_type = Option<String>, example = "whatsapp")]
    channel: Option<ChannelName>,
    /// Code for `twotick explain`.
    #[schema(example = "unreadable_webhook")]
    code: String,
    title: String,
    /// Whether it is an active alarm.
    ongoing: bool,
    /// Whether an active alarm means that codes do not arrive, or that nobody would notice.
    severe: bool,
}

impl From<store::Alert> for Alert {
    fn from(alert: store::Alert) -> Self {
        Self {
            at: Time(alert.at),
            channel: Some(alert.channel),
            code: alert.code,
            title: alert.title,
            ongoing: false,
            severe: false,
        }
    }
}

impl Alert {
    fn ongoing((alarm, began): &(Alarm, Timestamp)) -> Self {
        Self {
            at: Time(*began),
            channel: alarm.channel().cloned(),
            code: alarm.code().to_owned(),
            title: alarm.to_string(),
            ongoing: true,
            severe: alarm.is_severe(),
        }
    }
}
