//! The handsets as a page, as JSON and as a live stream, and the journal.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::player::Player;
use super::scenario::SCENARIOS;

/// Keeps proxies and browsers from closing a quiet stream.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// `GET /`
pub(super) async fn index() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(include_str!("handset.html"))
}

/// `GET /assets/handset.css`
pub(super) async fn style() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(include_str!("handset.css"))
}

/// `GET /assets/handset.js`
pub(super) async fn script() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(include_str!("handset.js"))
}

/// `GET /handsets`: the phones, newest first.
pub(super) async fn handsets(player: web::Data<Player>) -> HttpResponse {
    HttpResponse::Ok().json(player.handsets.list())
}

/// `GET /handsets/{number}`: the messages on this phone, oldest first.
pub(super) async fn handset(player: web::Data<Player>, number: web::Path<String>) -> HttpResponse {
    HttpResponse::Ok().json(player.handsets.entries(&number))
}

/// `GET /handsets/{number}/activity`: network activity of this phone, oldest first.
pub(super) async fn activity(player: web::Data<Player>, number: web::Path<String>) -> HttpResponse {
    HttpResponse::Ok().json(player.handsets.activity(&number))
}

/// `DELETE /handsets`: forgets all phones, and the failures counted for scenario 07.
pub(super) async fn clear(player: web::Data<Player>) -> HttpResponse {
    player.handsets.clear();
    HttpResponse::NoContent().finish()
}

/// `GET /journal`: the provider requests, oldest first.
pub(super) async fn journal(player: web::Data<Player>) -> HttpResponse {
    HttpResponse::Ok().json(player.journal.requests())
}

/// `GET /about`: addresses for the page's introduction.
pub(super) async fn about(player: web::Data<Player>) -> HttpResponse {
    let scenarios: Vec<Value> = SCENARIOS
        .iter()
        .map(|scenario| json!({"number": scenario.number, "plays": scenario.plays, "ends": scenario.ends}))
        .collect();
    HttpResponse::Ok().json(json!({"api": player.api_origin(), "scenarios": scenarios}))
}

/// `GET /events`: server-sent events. `change` carries the number of a changed phone; null means reload everything.
pub(super) async fn events(player: web::Data<Player>, request: HttpRequest) -> HttpResponse {
    let Ok(page) = std::sync::Arc::clone(&player.pages).try_acquire_owned() else {
        tracing::debug!(path = request.path(), "sandbox: too many live pages");
        return HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, "5"))
            .body("too many live pages\n");
    };
    HttpResponse::Ok().content_type("text/event-stream").streaming(changes(player, page))
}

fn changes(
    player: web::Data<Player>,
    page: tokio::sync::OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let news = player.handsets.follow();
    let stopping = player.stopping.clone();
    let opened = Bytes::from_static(b"retry: 1000\n\n");
    stream::unfold((Some(opened), news, stopping, page), |(opened, mut news, stopping, page)| async move {
        if let Some(opened) = opened {
            return Some((Ok(opened), (None, news, stopping, page)));
        }
        let next = stopping.run_until_cancelled(tokio::time::timeout(HEARTBEAT, news.recv())).await?;
        let event = match next {
            Err(_) => Bytes::from_static(b": still here\n\n"),
            Ok(Ok(number)) if !number.is_empty() => change(json!(number)),
            Ok(Ok(_) | Err(RecvError::Lagged(_))) => change(Value::Null),
            Ok(Err(RecvError::Closed)) => return None,
        };
        Some((Ok(event), (None, news, stopping, page)))
    })
}

fn change(number: Value) -> Bytes {
    Bytes::from(format!("event: change\ndata: {}\n\n", json!({ "number": number })))
}
