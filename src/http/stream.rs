//! Waiting for what happens next: the long poll and server-sent events. Who waits is sent away when the server stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::api::{KnownVersions, owned};
use super::auth::Caller;
use super::docs::ApiProblems;
use super::error::{Code, Problem};
use super::input::Query;
use super::view::View;
use super::{Lifecycle, Shared};
use crate::store::Snapshot;
use crate::verification::values::VerificationId;

pub const MAX_WAIT_SECONDS: usize = 60;
/// Between two comments that tell proxies and clients that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After this a client is asked to connect again, so that no stream outlives a verification for ever.
const LONGEST_STREAM_SECONDS: u64 = 60 * 60;
/// For the client's next try, in milliseconds.
const RECONNECT: &str = "retry: 2000\n";

/// Whether a query asks to wait.
pub fn may_wait(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("wait=") && pair != "wait=0")
}

/// The first version that is not `known`, or the one there is when `wait_seconds` are over. Whoever waits holds nothing
/// of the verification: a hundred thousand may.
pub async fn other_version(
    shared: &Shared,
    caller: &Caller,
    id: VerificationId,
    known: &KnownVersions<'_>,
    wait_seconds: usize,
) -> Result<u32, Problem> {
    let version = version(shared, caller, id).await?;
    if wait_seconds == 0 || !known.contain(version) {
        Ok(version)
    } else {
        wait(shared, caller, id, known, wait_seconds).await
    }
}

async fn wait(
    shared: &Shared,
    caller: &Caller,
    id: VerificationId,
    known: &KnownVersions<'_>,
    seconds: usize,
) -> Result<u32, Problem> {
    let mut versions = shared.store.watch(id);
    let mut lifecycle = shared.lifecycle.clone();
    let over = sleep(Duration::from_secs(seconds as u64));
    tokio::pin!(over);
    loop {
        // Read after the watch began, so that nothing is missed in between.
        let now = version(shared, caller, id).await?;
        if !known.contain(now) {
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

/// Follow it as server-sent events
///
/// First the verification as it is (unless `Last-Event-ID` names that version), then each change. A comment comes
/// every 15 s. After `event: bye` the client should connect again.
#[utoipa::path(
    operation_id = "stream_verification",
    tag = "verifications",
    params(
        ("id" = String, Path, description = "The verification's id"),
        ("Last-Event-ID" = Option<String>, Header, description = "The version that is known"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String, description = "`event: verification`, `id:` the version, `data:` the verification",
         example = "event: verification\nid: 4\ndata: {\"id\":\"ver_06hzjqd1nbrm4q9a5c2kt7x80g\",\"status\":\"pending\"}\n\n"),
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
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    let follower = Follower {
        versions: shared.store.watch(snapshot.verification.id()),
        lifecycle: shared.lifecycle.clone(),
        shared: shared.clone(),
        snapshot,
        known,
        heartbeat,
        beats_left: LONGEST_STREAM_SECONDS / HEARTBEAT.as_secs(),
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx would collect the events otherwise.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(unfold(Some(follower), |follower| async move {
            let (text, follower) = follower?.next().await;
            Some((Ok::<_, Infallible>(web::Bytes::from(text)), follower))
        })))
}

fn last_event_id(request: &HttpRequest) -> Result<Option<u32>, Problem> {
    let Some(value) = request.headers().get("last-event-id") else { return Ok(None) };
    let version = value.to_str().ok().and_then(|text| text.parse().ok());
    version.map(Some).ok_or_else(|| {
        Problem::field(Code::InvalidRequest, "/Last-Event-ID", "must be the id of an event of this stream")
    })
}

struct Follower {
    shared: web::Data<Shared>,
    snapshot: Arc<Snapshot>,
    versions: watch::Receiver<u32>,
    lifecycle: watch::Receiver<Lifecycle>,
    /// The version that the client has.
    known: Option<u32>,
    heartbeat: Interval,
    beats_left: u64,
}

impl Follower {
    /// The next piece of the stream; without a follower it was the last.
    async fn next(mut self) -> (String, Option<Self>) {
        let id = self.snapshot.verification.id();
        loop {
            match self.shared.store.read(id).await {
                Ok(Some(snapshot)) => self.snapshot = snapshot,
                Ok(None) | Err(_) => return (bye(), None),
            }
            let version = self.snapshot.verification.version;
            if self.known != Some(version) {
                self.known = Some(version);
                return match View::new(&self.snapshot, &self.shared.vault) {
                    Ok(view) => (
                        format!("event: verification\nid: {version}\ndata: {}\n\n", view.to_json()),
                        Some(self),
                    ),
                    Err(_) => (bye(), None),
                };
            }
            tokio::select! {
                changed = self.versions.changed() => if changed.is_err() { return (bye(), None) },
                () = draining(&mut self.lifecycle) => return (bye(), None),
                _ = self.heartbeat.tick() => {
                    self.beats_left = self.beats_left.saturating_sub(1);
                    if self.beats_left == 0 {
                        return (bye(), None);
                    }
                    return (": still here\n\n".to_owned(), Some(self));
                }
            }
        }
    }
}

fn bye() -> String {
    format!("event: bye\n{RECONNECT}data: {{}}\n\n")
}

/// Ends when the server begins to stop, at once if it already has.
async fn draining(lifecycle: &mut watch::Receiver<Lifecycle>) {
    if lifecycle.wait_for(|phase| *phase == Lifecycle::Draining).await.is_err() {
        // Whoever could say so is gone: the process ends anyway.
        std::future::pending::<()>().await;
    }
}
