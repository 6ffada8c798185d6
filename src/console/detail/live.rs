//! Live updates of the page: new rows and changed parts, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Detail;
use super::parts::{ClientState, Parts};
use crate::console::lookups::Lookup;
use crate::console::streams::StreamPermit;
use crate::console::{BackgroundUser, Console, Refusal};
use crate::http::Lifecycle;
use crate::verification::values::VerificationId;

/// The summary and the bar of a pending verification change with time alone.
const BEAT: Duration = Duration::from_secs(5);
/// Streams end after this many beats; the browser reconnects, so that no abandoned stream stays open.
const BEATS: u32 = 12 * 60;

/// Streams new rows and changed parts, starting with those that the page lacks.
#[get("/verifications/{id}/live")]
pub async fn events(
    console: web::Data<Console>,
    request: HttpRequest,
    id: web::Path<String>,
    watching: BackgroundUser,
) -> Result<HttpResponse, Refusal> {
    let detail = Detail::load(&console, &watching.0, &id).await?;
    let id = detail.snapshot.verification.id();
    console.record_lookup(&watching.0, Lookup::Verification(id)).await?;
    let place = console.streams.take(&watching.0.name).ok_or(Refusal::Busy(BEAT))?;
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.reset();
    let known = known(&request)?;
    let stream = LiveStream {
        versions: console.store.watch(id),
        lifecycle: console.lifecycle.clone(),
        console,
        watching,
        id,
        known,
        sent: SentParts::default(),
        beat,
        beats_left: BEATS,
        _place: place,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Keeps nginx from buffering the events.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(unfold(Some(stream), |stream| async move {
            let (text, stream) = stream?.next().await;
            Some((Ok::<_, Infallible>(web::Bytes::from(text)), stream))
        })))
}

/// The number of rows on the page: the last event's id, or the initial number.
fn known(request: &HttpRequest) -> Result<u32, Refusal> {
    let last = request.headers().get("last-event-id").map(|value| value.to_str().unwrap_or(""));
    let since = request.query_string().strip_prefix("since=");
    last.or(since).unwrap_or("0").parse().map_err(|_| Refusal::BadRequest)
}

struct LiveStream {
    console: web::Data<Console>,
    watching: BackgroundUser,
    id: VerificationId,
    versions: watch::Receiver<u32>,
    lifecycle: watch::Receiver<Lifecycle>,
    known: u32,
    sent: SentParts,
    beat: Interval,
    beats_left: u32,
    /// The permit for an open stream.
    _place: StreamPermit,
}

/// The parts that change with time, as last sent.
#[derive(Default, PartialEq, Eq)]
struct SentParts {
    verdict: String,
    bar: String,
}

/// The update that the script inserts: HTML from the same templates as the page.
#[derive(Serialize)]
struct Update<'a> {
    verdict: &'a str,
    bar: &'a str,
    rows: &'a str,
    facts: &'a str,
    actions: &'a str,
}

impl LiveStream {
    /// The next part of the stream. Without a stream it is the last.
    async fn next(mut self) -> (String, Option<Self>) {
        loop {
            match self.update().await {
                Ok(Some(text)) => return (text, Some(self)),
                Ok(None) => {}
                Err(_) => return (bye(), None),
            }
            tokio::select! {
                changed = self.versions.changed() => if changed.is_err() { return (bye(), None) },
                () = draining(&mut self.lifecycle) => return (bye(), None),
                _ = self.beat.tick() => {
                    self.beats_left = self.beats_left.saturating_sub(1);
                    let signed = self.watching.0.is_still_signed_in(&self.console);
                    if self.beats_left == 0 || !signed {
                        return (bye(), None);
                    }
                    return match self.update().await {
                        Ok(Some(text)) => (text, Some(self)),
                        Ok(None) => (": still here\n\n".to_owned(), Some(self)),
                        Err(_) => (bye(), None),
                    };
                }
            }
        }
    }

    /// `None` if the page is up to date.
    async fn update(&mut self) -> Result<Option<String>, Refusal> {
        let snapshot = self.console.store.read(self.id).await?.ok_or(Refusal::NotFound)?;
        let version = snapshot.verification.version;
        if version == self.known && !snapshot.verification.is_pending() && self.sent != SentParts::default() {
            return Ok(None);
        }
        let detail = Detail::of(&self.console, snapshot).await?;
        let known = ClientState { rows: self.known, reason: "" };
        let parts = Parts::of(&self.console, &self.watching.0, &detail, known)?;
        let sent = SentParts { verdict: parts.verdict, bar: parts.bar };
        if version == self.known && sent == self.sent {
            return Ok(None);
        }
        (self.known, self.sent) = (version, sent);
        let update = Update {
            verdict: &self.sent.verdict,
            bar: &self.sent.bar,
            rows: &parts.rows,
            facts: &parts.facts,
            actions: &parts.actions,
        };
        // Strings always serialize.
        let data = serde_json::to_string(&update).unwrap_or_default();
        Ok(Some(format!("event: update\nid: {version}\ndata: {data}\n\n")))
    }
}

fn bye() -> String {
    "event: bye\nretry: 3000\ndata: {}\n\n".to_owned()
}

/// Resolves when the server starts to shut down, immediately if it already has.
async fn draining(lifecycle: &mut watch::Receiver<Lifecycle>) {
    if lifecycle.wait_for(|phase| *phase == Lifecycle::Draining).await.is_err() {
        // The sender is gone: the process is about to end anyway.
        std::future::pending::<()>().await;
    }
}
