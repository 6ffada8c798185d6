//! The number of verifications since the page was loaded, as server-sent events.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, web};

use super::super::streams::StreamSlot;
use super::super::words::list::Words;
use super::super::{BackgroundUser, Console, CurrentUser, Refusal};
use super::filters::{Filters, pairs};
use crate::sse::{self, Beat, Pulse, STILL_HERE};
use crate::store;
use crate::verification::values::VerificationId;

/// The polling interval. Without news, a comment keeps the connection alive.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The maximum that is counted; beyond it the page needs a reload.
const MAX_NEW: usize = 50;
/// The maximum number of polls; then the browser reconnects, which checks the session again.
const MAX_POLLS: u64 = 30 * 60 / 2;
/// The reconnection delay for the browser.
const RECONNECT: Duration = Duration::from_secs(3);

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
    Ok(sse::respond(ListStream {
        filter: filters.of_store(&signed),
        pulse: Pulse::new(POLL_INTERVAL, MAX_POLLS, console.lifecycle.clone()),
        words: Words::of(signed.preferences.language),
        console,
        signed,
        after,
        shown: None,
        _place: place,
    }))
}

struct ListStream {
    console: web::Data<Console>,
    signed: CurrentUser,
    words: &'static Words,
    filter: store::Filter,
    /// The newest verification on the page.
    after: Option<VerificationId>,
    /// The count that the page shows; `None` before the first poll.
    shown: Option<usize>,
    pulse: Pulse,
    _place: StreamSlot,
}

impl sse::Follower for ListStream {
    async fn next(mut self) -> (String, Option<Self>) {
        let is_first = self.shown.is_none();
        let ends = !is_first && self.pulse.beat().await == Beat::End;
        if ends || !self.signed.is_still_signed_in(&self.console) {
            return (sse::bye(RECONNECT), None);
        }
        let Ok(page) = self.console.store.list(self.filter.clone(), MAX_NEW, None).await else {
            return (sse::bye(RECONNECT), None);
        };
        let is_new = |id: VerificationId| self.after.is_none_or(|after| id > after);
        let count = page.items.iter().filter(|snapshot| is_new(snapshot.verification.id())).count();
        if self.shown.replace(count).unwrap_or_default() == count {
            return (STILL_HERE.to_owned(), Some(self));
        }
        (format!("event: new\ndata: {}\n\n", self.words.count_new(count, MAX_NEW)), Some(self))
    }
}
