//! How many verifications have come since the page was made, as server-sent events.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, web};

use super::super::streams::StreamSlot;
use super::super::words::list::Words;
use super::super::{Console, Refusal, Signed, Watching};
use super::filters::{Filters, pairs};
use crate::sse::{self, Beat, Pulse, STILL_HERE};
use crate::store;
use crate::verification::values::VerificationId;

/// Between two looks; a comment goes out where nothing is new, so that proxies and browsers know it lives.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A page is told of no more; one that is so far behind wants to be loaded again.
const MOST_NEW: usize = 50;
/// After this the browser connects again, which also asks anew who is signed in.
const LOOKS: u64 = 30 * 60 / 2;
/// A browser that is sent away connects again after this.
const RECONNECT: Duration = Duration::from_secs(3);

/// Where the page asks.
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
    Ok(sse::respond(ListStream {
        filter: filters.of_store(&signed),
        pulse: Pulse::new(LOOK_EVERY, LOOKS, console.lifecycle.clone()),
        words: Words::of(signed.look.language),
        console,
        signed,
        after,
        shown: None,
        _place: place,
    }))
}

struct ListStream {
    console: web::Data<Console>,
    signed: Signed,
    words: &'static Words,
    filter: store::Filter,
    /// The newest that the page shows.
    after: Option<VerificationId>,
    /// The count that the page shows; `None` before the first look.
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
        let Ok(page) = self.console.store.list(self.filter.clone(), MOST_NEW, None).await else {
            return (sse::bye(RECONNECT), None);
        };
        let is_new = |id: VerificationId| self.after.is_none_or(|after| id > after);
        let count = page.items.iter().filter(|snapshot| is_new(snapshot.verification.id())).count();
        if self.shown.replace(count).unwrap_or_default() == count {
            return (STILL_HERE.to_owned(), Some(self));
        }
        (format!("event: new\ndata: {}\n\n", self.words.count_new(count, MOST_NEW)), Some(self))
    }
}
