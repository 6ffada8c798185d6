//! The page grows while it is open: new rows, and the pieces that changed, as server-sent events.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use tokio::sync::watch;

use super::Case;
use super::pieces::{PageState, Pieces};
use crate::console::lookups::Lookup;
use crate::console::streams::StreamSlot;
use crate::console::{Console, Refusal, Watching};
use crate::sse::{self, Beat, Pulse, STILL_HERE};
use crate::verification::values::VerificationId;

/// The verdict of one that is under way and its bar grow with time alone.
const BEAT: Duration = Duration::from_secs(5);
/// After this a browser is asked to connect again, so that no stream outlives a page for ever.
const BEATS: u64 = 12 * 60;
/// A browser that is sent away connects again after this.
const RECONNECT: Duration = Duration::from_secs(3);

/// New rows and changed pieces; the first ones at once, where the page is behind.
#[get("/verifications/{id}/live")]
pub async fn events(
    console: web::Data<Console>,
    request: HttpRequest,
    id: web::Path<String>,
    watching: Watching,
) -> Result<HttpResponse, Refusal> {
    let case = Case::load(&console, &watching.0, &id).await?;
    let id = case.snapshot.verification.id();
    console.looked_up(&watching.0, Lookup::Verification(id)).await?;
    let place = console.streams.take(&watching.0.name).ok_or(Refusal::Busy(BEAT))?;
    let known = known(&request)?;
    Ok(sse::respond(CaseStream {
        versions: console.store.watch(id),
        pulse: Pulse::new(BEAT, BEATS, console.lifecycle.clone()),
        console,
        watching,
        id,
        known,
        sent: Sent::default(),
        _place: place,
    }))
}

/// How many rows the page has: what it received last, or else what it was made with.
fn known(request: &HttpRequest) -> Result<u32, Refusal> {
    let last = request.headers().get("last-event-id").map(|value| value.to_str().unwrap_or(""));
    let since = request.query_string().strip_prefix("since=");
    last.or(since).unwrap_or("0").parse().map_err(|_| Refusal::BadRequest)
}

struct CaseStream {
    console: web::Data<Console>,
    watching: Watching,
    id: VerificationId,
    versions: watch::Receiver<u32>,
    pulse: Pulse,
    known: u32,
    sent: Sent,
    /// Among the streams that may be open at once.
    _place: StreamSlot,
}

/// What changes with time alone, as it was last sent.
#[derive(Default, PartialEq, Eq)]
struct Sent {
    verdict: String,
    bar: String,
}

/// What a script puts into the page. HTML made by the same templates as the page.
#[derive(Serialize)]
struct Update<'a> {
    verdict: &'a str,
    bar: &'a str,
    rows: &'a str,
    facts: &'a str,
    actions: &'a str,
}

impl sse::Follower for CaseStream {
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

impl CaseStream {
    /// `None` where nothing changed that the page does not have.
    async fn update(&mut self) -> Result<Option<String>, Refusal> {
        let snapshot = self.console.store.read(self.id).await?.ok_or(Refusal::NotFound)?;
        let version = snapshot.verification.version;
        if version == self.known && !snapshot.verification.is_pending() && self.sent != Sent::default() {
            return Ok(None);
        }
        let case = Case::of(&self.console, snapshot).await?;
        let known = PageState { rows: self.known, reason: "" };
        let pieces = Pieces::of(&self.console, &self.watching.0, &case, known)?;
        let sent = Sent { verdict: pieces.verdict, bar: pieces.bar };
        if version == self.known && sent == self.sent {
            return Ok(None);
        }
        (self.known, self.sent) = (version, sent);
        let update = Update {
            verdict: &self.sent.verdict,
            bar: &self.sent.bar,
            rows: &pieces.rows,
            facts: &pieces.facts,
            actions: &pieces.actions,
        };
        // Strings have no part that cannot be written.
        let data = serde_json::to_string(&update).unwrap_or_default();
        Ok(Some(format!("event: update\nid: {version}\ndata: {data}\n\n")))
    }
}
