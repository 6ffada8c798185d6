//! Polls the API for new events of all verifications of an app, for `tail` and the demo.
//!
//! The API lists verifications newest first, each with its version. A poll reads pages of the list, then the timelines
//! whose version changed. Events are numbered within their timeline, so each is returned once. A poll that fails
//! returns nothing and is repeated.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::Value;

use super::client::{Answer, Api, Unreachable};
use super::send::id_of;
use super::timeline::{events_of, instant};
use crate::clock::Stopwatch;

/// Page size; the most that the API allows.
const PAGE: usize = 100;
/// How long a verification is followed after its creation: a code is valid for at most 10 minutes, and the last reports
/// come a little later.
const FOLLOWED: jiff::SignedDuration = jiff::SignedDuration::from_mins(15);
/// Ids are ordered by creation only roughly: a poll for new verifications reads this far past the newest known one.
const OVERLAP: jiff::SignedDuration = jiff::SignedDuration::from_secs(15);
/// Most verifications followed at once, some 3 MB: 22 a second for 15 minutes.
const MOST: usize = 20_000;
/// Concurrent timeline requests.
const AT_ONCE: usize = 8;
/// Shortest interval between two full polls, which cover everything followed …
const BETWEEN_WHOLE_LOOKS: Duration = Duration::from_secs(2);
/// … and this multiple of a full poll's duration, so that polling does not load a server with many verifications.
const REST: u32 = 10;

/// New events of one verification.
pub(super) struct News {
    pub(super) verification: Value,
    /// In timeline order.
    pub(super) events: Vec<Value>,
    /// Time of the first event of its timeline.
    pub(super) start: Option<Timestamp>,
}

/// Why a poll failed.
pub(super) enum Failed {
    Unreachable(Unreachable),
    Refused(Answer),
}

impl From<Unreachable> for Failed {
    fn from(error: Unreachable) -> Self {
        Self::Unreachable(error)
    }
}

/// The verifications that are followed, and what was returned of each.
pub(super) struct Follower {
    known: HashMap<String, Followed>,
    /// An unknown verification created after this instant is new.
    begin: Option<Timestamp>,
    newest: Option<Timestamp>,
    /// Time since the last full poll.
    since_whole: Stopwatch,
    /// Duration of the last full poll.
    whole_took: Duration,
    lost: u64,
}

struct Followed {
    version: u64,
    /// Sequence number of the last event returned.
    handed_out: u64,
    created: Timestamp,
}

/// How far back a poll goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    New,
    Whole,
}

/// One entry of the list.
struct ListedVerification {
    id: String,
    version: u64,
    created: Timestamp,
    verification: Value,
}

impl Follower {
    /// Starts now: earlier events are not returned.
    pub(super) async fn start(api: &Api) -> Result<Self, Failed> {
        let mut follower = Self {
            known: HashMap::new(),
            begin: None,
            newest: None,
            since_whole: Stopwatch::start(),
            whole_took: Duration::ZERO,
            lost: 0,
        };
        let items = follower.items(api, Reach::Whole).await?;
        for item in items {
            follower.know(&item, item.version);
        }
        follower.whole_took = follower.since_whole.elapsed();
        follower.begin = follower.newest.map(|newest| before(newest, OVERLAP));
        Ok(follower)
    }

    /// Returns what happened since the last poll, in time order.
    pub(super) async fn poll(&mut self, api: &Api) -> Result<Vec<News>, Failed> {
        let rest = BETWEEN_WHOLE_LOOKS.max(self.whole_took * REST);
        let reach = if self.since_whole.elapsed() >= rest { Reach::Whole } else { Reach::New };
        let watch = Stopwatch::start();
        let items = self.items(api, reach).await?;
        let changed =
            items.iter().filter(|item| self.handed_out(item).is_some_and(|_| self.is_changed(item)));
        let timelines = stream::iter(changed).map(|item| timeline(api, item)).buffered(AT_ONCE);
        let timelines: Vec<_> = timelines.collect().await;
        let timelines = timelines.into_iter().collect::<Result<Vec<_>, _>>()?;

        // Nothing below fails, so state changes only after a complete poll.
        let mut news = Vec::new();
        for (item, timeline) in timelines {
            let handed_out = self.handed_out(item).unwrap_or_default();
            let events = events_of(&timeline);
            let fresh: Vec<_> = events.iter().filter(|event| number(event) > handed_out).cloned().collect();
            let last = events.last().map_or(handed_out, number).max(handed_out);
            self.know(item, last);
            if !fresh.is_empty() {
                let start = events.first().and_then(instant);
                news.push(News { verification: item.verification.clone(), events: fresh, start });
            }
        }
        // Verifications created before the start that are listed for the first time.
        for item in &items {
            if !self.known.contains_key(&item.id) {
                self.know(item, item.version);
            }
        }
        self.forget(&items);
        if reach == Reach::Whole {
            self.whole_took = watch.elapsed();
            self.since_whole = Stopwatch::start();
        }
        news.sort_by_key(|news| news.events.first().and_then(instant));
        Ok(news)
    }

    /// Number of verifications dropped because there were too many, since the last call.
    pub(super) fn lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Reads the list, newest first, as far back as `reach` says.
    async fn items(&mut self, api: &Api, reach: Reach) -> Result<Vec<ListedVerification>, Failed> {
        let mut items: Vec<ListedVerification> = Vec::new();
        let mut cursor: Option<String> = None;
        let known_newest = self.newest;
        loop {
            let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let answer = api.get(&format!("/verifications?limit={PAGE}{after}")).await?;
            if !answer.status.is_success() {
                return Err(Failed::Refused(answer));
            }
            let mut page = answer.json();
            let found = page["data"].as_array_mut().map(std::mem::take).unwrap_or_default();
            items.extend(found.into_iter().filter_map(ListedVerification::of));
            self.newest = items.iter().map(|item| item.created).chain(self.newest).max();
            let horizon = match reach {
                Reach::New => known_newest.map(|newest| before(newest, OVERLAP)),
                Reach::Whole => self.newest.map(|newest| before(newest, FOLLOWED)),
            };
            let is_far_enough =
                items.last().is_some_and(|last| horizon.is_some_and(|horizon| last.created < horizon));
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || is_far_enough || items.len() >= MOST {
                return Ok(items);
            }
        }
    }

    /// Sequence number of the last event returned; `None` if all events happened before the start.
    fn handed_out(&self, item: &ListedVerification) -> Option<u64> {
        match self.known.get(&item.id) {
            Some(known) => Some(known.handed_out),
            None if self.begin.is_none_or(|begin| item.created >= begin)
                && self.is_followed(item.created) =>
            {
                Some(0)
            }
            None => None,
        }
    }

    fn is_changed(&self, item: &ListedVerification) -> bool {
        self.known.get(&item.id).is_none_or(|known| item.version > known.version)
    }

    fn is_followed(&self, created: Timestamp) -> bool {
        self.newest.is_none_or(|newest| created >= before(newest, FOLLOWED))
    }

    fn know(&mut self, item: &ListedVerification, handed_out: u64) {
        let version = item.version.max(handed_out);
        self.known.insert(item.id.clone(), Followed { version, handed_out, created: item.created });
    }

    /// Drops verifications that are too old, except those on the first page, which every poll reads anyway; and the
    /// oldest if there are too many.
    fn forget(&mut self, items: &[ListedVerification]) {
        if self.known.len() <= PAGE {
            return;
        }
        let first: std::collections::HashSet<&str> =
            items.iter().take(PAGE).map(|item| item.id.as_str()).collect();
        let horizon = self.newest.map(|newest| before(newest, FOLLOWED));
        self.known.retain(|id, known| {
            horizon.is_none_or(|horizon| known.created >= horizon) || first.contains(id.as_str())
        });
        if self.known.len() > MOST {
            let mut created: Vec<_> = self.known.values().map(|known| known.created).collect();
            created.sort_unstable();
            let oldest = created[created.len() - MOST];
            let all = self.known.len();
            self.known.retain(|_, known| known.created >= oldest);
            self.begin = Some(oldest);
            self.lost += (all - self.known.len()) as u64;
        }
    }
}

impl ListedVerification {
    fn of(verification: Value) -> Option<Self> {
        let created = verification["created_at"].as_str()?.parse().ok()?;
        let version = verification["version"].as_u64()?;
        Some(Self { id: id_of(&verification), version, created, verification })
    }
}

/// A verification removed meanwhile has no events.
async fn timeline<'a>(
    api: &Api,
    item: &'a ListedVerification,
) -> Result<(&'a ListedVerification, Value), Failed> {
    let answer = api.get(&format!("/verifications/{}/timeline", item.id)).await?;
    match answer.status {
        status if status.is_success() => Ok((item, answer.json())),
        StatusCode::NOT_FOUND => Ok((item, Value::Null)),
        _ => Err(Failed::Refused(answer)),
    }
}

fn number(event: &Value) -> u64 {
    event["seq"].as_u64().unwrap_or_default()
}

fn before(at: Timestamp, by: jiff::SignedDuration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}
