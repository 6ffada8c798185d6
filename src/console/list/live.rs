//! The number of verifications since the page was loaded, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::super::streams::StreamPermit;
use super::super::words::list::Words;
use super::super::{BackgroundUser, Console, CurrentUser, Refusal};
use super::filters::{Filters, pairs};
use crate::http::Lifecycle;
use crate::store;
use crate::verification::values::VerificationId;

/// The polling interval. Without news, a comment keeps the connection alive.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The maximum that is counted; beyond it the page needs a reload.
const MAX_NEW: usize = 50;
/// The maximum number of polls; then the browser reconnects, which checks the session again.
const MAX_POLLS: u32 = 30 * 60 / 2;

/// The URL of the stream.
pub fn url(filters: &Filters, newest: Option<VerificationId>) -> String {
    let query = filters.query();
    let joint = if query.is_empty() { '?' } else { '&' };
    let newest = newest.map(|id| id.to_string()).unwrap_or_default();
    format!("/console/live{query}{joint}after={newest}")
}

#[get("/live")]
pub async fn follow(
    console: web::Data<Console>,
    request: HttpRequest,
    watching: BackgroundUser,
) -> Result<HttpResponse, Refusal> {
    let signed = watching.0;
    let query = pairs(request.query_string())?;
    let filters = Filters::read(&query, &signed.preferences, &console.vault);
    let after = query.iter().find(|(name, _)| name == "after").and_then(|(_, value)| value.parse().ok());
    for lookup in filters.lookups() {
        console.record_lookup(&signed, lookup).await?;
    }
    let place = console.streams.take(&signed.name).ok_or(Refusal::Busy(Duration::from_secs(30)))?;
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stream = NewCountStream {
        filter: filters.of_store(&signed),
        lifecycle: console.lifecycle.clone(),
        words: Words::of(signed.preferences.language),
        console,
        signed,
        after,
        sent: 0,
        ticks,
        polls_left: MAX_POLLS,
        _place: place,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Keeps nginx from buffering the events.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(unfold(stream, |mut stream| async move {
            let text = stream.next().await?;
            Some((Ok::<_, Infallible>(web::Bytes::from(text)), stream))
        })))
}

struct NewCountStream {
    console: web::Data<Console>,
    signed: CurrentUser,
    words: &'static Words,
    filter: store::Filter,
    lifecycle: watch::Receiver<Lifecycle>,
    /// The newest verification on the page.
    after: Option<VerificationId>,
    sent: usize,
    ticks: Interval,
    polls_left: u32,
    _place: StreamPermit,
}

impl NewCountStream {
    /// `None` ends the stream; when the browser reconnects, the response tells why.
    async fn next(&mut self) -> Option<String> {
        tokio::select! {
            _ = self.ticks.tick() => {}
            _ = self.lifecycle.wait_for(|phase| *phase == Lifecycle::Draining) => return None,
        }
        self.polls_left = self.polls_left.checked_sub(1)?;
        if !self.signed.is_still_signed_in(&self.console) {
            return None;
        }
        let page = self.console.store.list(self.filter.clone(), MAX_NEW, None).await.ok()?;
        let is_new = |id: VerificationId| self.after.is_none_or(|after| id > after);
        let count = page.items.iter().filter(|snapshot| is_new(snapshot.verification.id())).count();
        if count == self.sent {
            return Some(": still here\n\n".to_owned());
        }
        self.sent = count;
        Some(format!("event: new\ndata: {}\n\n", self.words.count_new(count, MAX_NEW)))
    }
}
