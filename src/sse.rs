//! Server-sent events: the answer that stays open, what keeps it alive and what ends it.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::lifecycle::{Lifecycle, draining};

/// A comment: proxies and clients see that the stream lives.
pub const STILL_HERE: &str = ": still here\n\n";

/// The source of a stream.
pub trait Follower: Sized + 'static {
    /// The next piece of the stream, which ends after a piece that comes without a follower.
    fn next(self) -> impl Future<Output = (String, Option<Self>)>;
}

/// An answer with all that `follower` gives, as long as the client reads it.
pub fn respond(follower: impl Follower) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        // A compressing proxy would buffer the events.
        .insert_header((header::CACHE_CONTROL, "no-store, no-transform"))
        // nginx would buffer them too.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(unfold(Some(follower), |follower| async move {
            let (text, follower) = follower?.next().await;
            Some((Ok::<_, Infallible>(Bytes::from(text)), follower))
        }))
}

/// The last piece of a stream whose client is to connect again after `wait`.
pub fn bye(wait: Duration) -> String {
    format!("event: bye\nretry: {}\ndata: {{}}\n\n", wait.as_millis())
}

/// What a stream does at a beat of its [`Pulse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    GoOn,
    /// The server stops, or the stream has lasted for as long as it may.
    End,
}

/// The beat of a stream, the first of which comes after a whole interval.
pub struct Pulse {
    interval: Interval,
    left: u64,
    lifecycle: watch::Receiver<Lifecycle>,
}

impl Pulse {
    /// Ends after `most` beats, so that no stream stays open for ever.
    pub fn new(every: Duration, most: u64, lifecycle: watch::Receiver<Lifecycle>) -> Self {
        let mut interval = interval(every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval.reset();
        Self { interval, left: most, lifecycle }
    }

    /// Waits for the next beat. Cancel-safe.
    pub async fn beat(&mut self) -> Beat {
        tokio::select! {
            _ = self.interval.tick() => {
                self.left = self.left.saturating_sub(1);
                if self.left == 0 { Beat::End } else { Beat::GoOn }
            }
            () = draining(&mut self.lifecycle) => Beat::End,
        }
    }
}
