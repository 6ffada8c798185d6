//! The number of verifications since the page was loaded, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::super::streams::Place;
use super::super::words::list::Words;
use super::super::{Console, Refusal, Signed, Watching};
use super::filters::{Filters, pairs};
use crate::http::Lifecycle;
use crate::store;
use crate::verification::values::VerificationId;

/// The polling interval. Without news, a comment keeps the connection alive.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The maximum that is counted; beyond it the page needs a reload.
const MOST_NEW: usize = 50;
/// The maximum number of polls; then the browser reconnects, which checks the session again.
const LONGEST: u32 = 30 * 60 / 2;

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
    watching: Watching,
) -> Result<HttpResponse, Refusal> {
    let signed = watching.0;
    let query = pairs(request.query_string())?;
    let filters = Filters::read(&query, &signed.look, &console.vault);
    let after = query.iter().find(|(name, _)| name == "after").and_then(|(_, value)| value.parse().ok());
    for lookup in filters.lookups() {
        console.looked_up(&signed, lookup).await?;
    }
    let place = console.streams.take(&signed.name).ok_or(Refusal::Busy(Duration::from_secs(30)))?;
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let follower = Follower {
        filter: filters.of_store(&signed),
        lifecycle: console.lifecycle.clone(),
        words: Words::of(signed.look.language),
        console,
        signed,
        after,
        told: 0,
        ticks,
        looks_left: LONGEST,
        _place: place,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Keeps nginx from buffering the events.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(unfold(follower, |mut follower| async move {
            let text = follower.next().await?;
            Some((Ok::<_, Infallible>(web::Bytes::from(text)), follower))
        })))
}

struct Follower {
    console: web::Data<Console>,
    signed: Signed,
    words: &'static Words,
    filter: store::Filter,
    lifecycle: watch::Receiver<Lifecycle>,
    /// The newest verification on the page.
    after: Option<VerificationId>,
    told: usize,
    ticks: Interval,
    looks_left: u32,
    _place: Place,
}

impl Follower {
    /// `None` ends the stream; when the browser reconnects, the response tells why.
    async fn next(&mut self) -> Option<String> {
        tokio::select! {
            _ = self.ticks.tick() => {}
            _ = self.lifecycle.wait_for(|phase| *phase == Lifecycle::Draining) => return None,
        }
        self.looks_left = self.looks_left.checked_sub(1)?;
        if !self.signed.is_still_signed_in(&self.console) {
            return None;
        }
        let page = self.console.store.list(self.filter.clone(), MOST_NEW, None).await.ok()?;
        let is_new = |id: VerificationId| self.after.is_none_or(|after| id > after);
        let count = page.items.iter().filter(|snapshot| is_new(snapshot.verification.id())).count();
        if count == self.told {
            return Some(": still here\n\n".to_owned());
        }
        self.told = count;
        Some(format!("event: new\ndata: {}\n\n", self.words.count_new(count, MOST_NEW)))
    }
}
