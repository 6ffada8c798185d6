//! For operators and the programs that watch over the server.

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
/// First the alarms that go on now (`"ongoing": true`), then what providers and twotick reported, unreadable webhooks
/// among it. `twotick explain CODE` says what each means and what to do. Without the evidence: that may hold numbers and
/// texts, and is shown to operators who have signed in to the console.
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

/// A position after the first `shown` alarms that go on, before everything that is stored: no stored alert is of a time
/// as late as this.
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
    /// When it was reported; when an alarm that goes on began.
    at: Time,
    /// Null for an alarm of the whole server.
    #[schema(value_type = Option<String>, example = "whatsapp")]
    channel: Option<ChannelName>,
    /// For `twotick explain`.
    #[schema(example = "unreadable_webhook")]
    code: String,
    title: String,
    /// Whether it is an alarm that goes on now.
    ongoing: bool,
    /// Whether codes do not arrive because of an alarm that goes on, or nobody would know.
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
