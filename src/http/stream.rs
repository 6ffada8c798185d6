//! Waiting for changes: long polls and server-sent events. Both end when the server stops.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, web};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Shared;
use super::api::owned;
use super::auth::Caller;
use super::capacity::Waiter;
use super::conditional::KnownVersions;
use super::docs::ApiProblems;
use super::error::{Code, Document, Problem};
use super::input::Query;
use super::view::View;
use crate::lifecycle::draining;
use crate::sse::{self, Beat, Pulse, STILL_HERE};
use crate::store::Snapshot;
use crate::verification::due::settles_at;
use crate::verification::values::VerificationId;

pub const MAX_WAIT_SECONDS: usize = 60;
/// Interval between comments, which keep proxies and clients from timing out.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After this time a client must reconnect, so that no stream lives forever.
const LONGEST_STREAM_SECONDS: u64 = 60 * 60;
/// A client that is sent away connects again after this.
const RECONNECT: Duration = Duration::from_secs(2);

/// Whether a query asks to wait.
pub fn may_wait(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("wait=") && pair != "wait=0")
}

/// Waits up to `wait_seconds` for a version other than the known ones. Returns the current version if it is still
/// known, `None` if it changed. A waiting request holds nothing of the verification, because there may be a hundred
/// thousand.
pub async fn still_known(
    shared: &Shared,
    caller: &Caller,
    id: VerificationId,
    known: &KnownVersions<'_>,
    wait_seconds: usize,
) -> Result<Option<u32>, Problem> {
    let first = version(shared, caller, id).await?;
    if !known.name(first) && !known.name_all() {
        return Ok(None);
    }
    if wait_seconds == 0 {
        return Ok(Some(first));
    }
    let _waiter = shared.waiting.enter(&caller.0)?;
    let now =
        wait(shared, caller, id, |version| version == first || known.name(version), wait_seconds).await?;
    Ok(Some(now).filter(|&now| now == first || known.name(now)))
}

/// The first unknown version, or the current one when the time is over.
async fn wait(
    shared: &Shared,
    caller: &Caller,
    id: VerificationId,
    is_known: impl Fn(u32) -> bool,
    seconds: usize,
) -> Result<u32, Problem> {
    let mut versions = shared.store.watch(id);
    let mut lifecycle = shared.lifecycle.clone();
    let over = sleep(Duration::from_secs(seconds as u64));
    tokio::pin!(over);
    loop {
        // Read after the watch began, so that no change is missed in between.
        let now = version(shared, caller, id).await?;
        if !is_known(now) {
            return Ok(now);
        }
        tokio::select! {
            changed = versions.changed() => if changed.is_err() { return version(shared, caller, id).await },
            () = draining(&mut lifecycle) => return version(shared, caller, id).await,
            () = &mut over => return version(shared, caller, id).await,
        }
    }
}

async fn version(shared: &Shared, caller: &Caller, id: VerificationId) -> Result<u32, Problem> {
    shared.store.version(id, &caller.0).await?.ok_or_else(Problem::not_found)
}

/// Follow a verification by server-sent events
///
/// Sends the verification (unless `Last-Event-ID` is its version), then each change, and a comment every 15 s. When the
/// verification has ended and no report is expected any more, `event: end` is sent and the stream ends; do not
/// reconnect. After `event: bye`, which is sent when the server stops and once an hour, reconnect.
#[utoipa::path(
    operation_id = "stream_verification",
    tag = "verifications",
    params(
        ("id" = String, Path, description = "Verification id"),
        ("Last-Event-ID" = Option<String>, Header, description = "The known version"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String, description = "`event: verification`, `id:` the version, `data:` the verification; finally `event: end`",
         example = "event: verification\nid: 9\ndata: {\"id\":\"ver_06hzjqd1nbrm4q9a5c2kt7x80g\",\"status\":\"approved\"}\n\nevent: end\ndata: {}\n\n"),
        (status = 429, description = "`too_many_waiting`: this app has reached its limit of open long polls and streams; with `Retry-After`", body = Document, content_type = "application/problem+json"),
        ApiProblems,
    ),
    security(("api_key" = [])),
)]
#[get("/v1/verifications/{id}/stream")]
pub async fn events(
    shared: web::Data<Shared>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::parse(&request)?.finish()?;
    let known = last_event_id(&request)?;
    let snapshot = owned(&shared, &caller, &request).await?;
    let waiter = shared.waiting.enter(&caller.0)?;
    let most = LONGEST_STREAM_SECONDS / HEARTBEAT.as_secs();
    Ok(sse::respond(VerificationStream {
        versions: shared.store.watch(snapshot.verification.id()),
        pulse: Pulse::new(HEARTBEAT, most, shared.lifecycle.clone()),
        shared: shared.clone(),
        snapshot,
        known,
        expected: Expected::More,
        _waiter: waiter,
    }))
}

fn last_event_id(request: &HttpRequest) -> Result<Option<u32>, Problem> {
    let Some(value) = request.headers().get("last-event-id") else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim);
    if text == Some("") {
        return Ok(None);
    }
    text.and_then(|text| text.parse().ok()).map(Some).ok_or_else(|| {
        Problem::field(Code::InvalidRequest, "/Last-Event-ID", "must be the id of an event of this stream")
    })
}

struct VerificationStream {
    shared: web::Data<Shared>,
    snapshot: Arc<Snapshot>,
    versions: watch::Receiver<u32>,
    pulse: Pulse,
    /// The version that the client has.
    known: Option<u32>,
    expected: Expected,
    _waiter: Waiter,
}

/// Whether another event may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    More,
    /// Nothing followed in the time in which something could.
    Nothing,
}

impl VerificationStream {
    /// Time until no further event is expected; `None` while unknown.
    fn settled_in(&self) -> Option<Duration> {
        settles_at(&self.snapshot.verification).map(|at| at.since(self.shared.clock.now()))
    }
}

impl sse::Follower for VerificationStream {
    async fn next(mut self) -> (String, Option<Self>) {
        let id = self.snapshot.verification.id();
        loop {
            match self.shared.store.read(id).await {
                Ok(Some(snapshot)) => self.snapshot = snapshot,
                Ok(None) | Err(_) => return (sse::bye(RECONNECT), None),
            }
            let version = self.snapshot.verification.version;
            if self.known != Some(version) {
                self.known = Some(version);
                self.expected = Expected::More;
                return match View::new(&self.snapshot, &self.shared.vault) {
                    Ok(view) => (
                        format!("event: verification\nid: {version}\ndata: {}\n\n", view.to_json()),
                        Some(self),
                    ),
                    Err(_) => (sse::bye(RECONNECT), None),
                };
            }
            let settled_in = self.settled_in();
            if self.expected == Expected::Nothing || settled_in == Some(Duration::ZERO) {
                return (END.to_owned(), None);
            }
            tokio::select! {
                changed = self.versions.changed() => if changed.is_err() { return (sse::bye(RECONNECT), None) },
                () = settled(settled_in) => self.expected = Expected::Nothing,
                beat = self.pulse.beat() => match beat {
                    Beat::GoOn => return (STILL_HERE.to_owned(), Some(self)),
                    Beat::End => return (sse::bye(RECONNECT), None),
                },
            }
        }
    }
}

/// Last event; clients need not reconnect.
const END: &str = "event: end\ndata: {}\n\n";

/// Completes after `wait`; never without one.
async fn settled(wait: Option<Duration>) {
    match wait {
        Some(wait) => sleep(wait).await,
        None => std::future::pending().await,
    }
}
