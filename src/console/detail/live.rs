//! Live updates of the page: new rows and changed parts, as server-sent events.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use tokio::sync::watch;

use super::Detail;
use super::parts::{PageState, Parts};
use crate::console::lookups::Lookup;
use crate::console::streams::StreamSlot;
use crate::console::{BackgroundUser, Console, Refusal};
use crate::sse::{self, Beat, Pulse, STILL_HERE};
use crate::verification::values::VerificationId;

/// The summary and the bar of a pending verification change with time alone.
const BEAT: Duration = Duration::from_secs(5);
/// Streams end after this many beats; the browser reconnects, so that no abandoned stream stays open.
const BEATS: u64 = 12 * 60;
/// The reconnection delay for the browser.
const RECONNECT: Duration = Duration::from_secs(3);

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
    let known = known(&request)?;
    Ok(sse::respond(DetailStream {
        versions: console.store.watch(id),
        pulse: Pulse::new(BEAT, BEATS, console.lifecycle.clone()),
        console,
        watching,
        id,
        known,
        sent: SentParts::default(),
        _place: place,
    }))
}

/// The number of rows on the page: the last event's id, or the initial number.
fn known(request: &HttpRequest) -> Result<u32, Refusal> {
    let last = request.headers().get("last-event-id").map(|value| value.to_str().unwrap_or(""));
    let since = request.query_string().strip_prefix("since=");
    last.or(since).unwrap_or("0").parse().map_err(|_| Refusal::BadRequest)
}

struct DetailStream {
    console: web::Data<Console>,
    watching: BackgroundUser,
    id: VerificationId,
    versions: watch::Receiver<u32>,
    pulse: Pulse,
    known: u32,
    sent: SentParts,
    /// The permit for an open stream.
    _place: StreamSlot,
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

impl sse::Follower for DetailStream {
    async fn next(mut self) -> (String, Option<Self>) {
        loop {
            match self.update().await {
                Ok(Some(text)) => return (text, Some(self)),
                Ok(None) => {}
                Err(_) => return (sse::bye(RECONNECT), None),
            }
            tokio::select! {
                changed = self.versions.changed() => if changed.is_err() { return (sse::bye(RECONNECT), None) },
                beat = self.pulse.beat() => {
                    if beat == Beat::End || !self.watching.0.is_still_signed_in(&self.console) {
                        return (sse::bye(RECONNECT), None);
                    }
                    return match self.update().await {
                        Ok(Some(text)) => (text, Some(self)),
                        Ok(None) => (STILL_HERE.to_owned(), Some(self)),
                        Err(_) => (sse::bye(RECONNECT), None),
                    };
                }
            }
        }
    }
}

impl DetailStream {
    /// `None` if the page is up to date.
    async fn update(&mut self) -> Result<Option<String>, Refusal> {
        let snapshot = self.console.store.read(self.id).await?.ok_or(Refusal::NotFound)?;
        let version = snapshot.verification.version;
        if version == self.known && !snapshot.verification.is_pending() && self.sent != SentParts::default() {
            return Ok(None);
        }
        let detail = Detail::of(&self.console, snapshot).await?;
        let known = PageState { rows: self.known, reason: "" };
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
