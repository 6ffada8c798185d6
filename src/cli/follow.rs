//! Follows what happens to all verifications of an app: for `tail` and for the demo.
//!
//! The API lists verifications, newest first, each with its version. A look reads the pages of the list, and then the
//! timelines of those whose version is new. Each event has a number in its timeline, so none is handed out twice, and a
//! look that fails half-way hands out nothing and is repeated.

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

/// The most that one page of the API holds.
const PAGE: usize = 100;
/// A verification is followed for so long after it was made: a code is valid for 10 minutes at most, and the last
/// reports come a little later.
const FOLLOWED: jiff::SignedDuration = jiff::SignedDuration::from_mins(15);
/// Ids are in the order of their making, but not to the second: a look that only wants new ones reads so far past the
/// newest that is known.
const OVERLAP: jiff::SignedDuration = jiff::SignedDuration::from_secs(15);
/// Verifications that are followed at once, about 3 MB. 22 a second for 15 minutes.
const MOST: usize = 20_000;
/// Timelines that are asked for at once.
const AT_ONCE: usize = 8;
/// At least so long between two looks at everything that is followed …
const BETWEEN_WHOLE_LOOKS: Duration = Duration::from_secs(2);
/// … and so many times as long as one takes, so that a server with many verifications does not spend its time on us.
const REST: u32 = 10;

/// What is new of one verification.
pub(super) struct News {
    pub(super) verification: Value,
    /// In their order; each is handed out once.
    pub(super) events: Vec<Value>,
    /// When its timeline begins.
    pub(super) start: Option<Timestamp>,
}

/// Why a look failed.
pub(super) enum Failed {
    Unreachable(Unreachable),
    Refused(Answer),
}

impl From<Unreachable> for Failed {
    fn from(error: Unreachable) -> Self {
        Self::Unreachable(error)
    }
}

/// What is known of the verifications that are followed.
pub(super) struct Follower {
    known: HashMap<String, Followed>,
    /// What was made later than this and is not known is new.
    begin: Option<Timestamp>,
    newest: Option<Timestamp>,
    /// Since the last look at everything.
    since_whole: Stopwatch,
    /// What that took.
    whole_took: Duration,
    lost: u64,
}

struct Followed {
    version: u64,
    /// The number of the last event that was handed out.
    handed_out: u64,
    created: Timestamp,
}

/// How far back a look goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    New,
    Whole,
}

/// One verification of the list.
struct ListedVerification {
    id: String,
    version: u64,
    created: Timestamp,
    verification: Value,
}

impl Follower {
    /// From now on: what has happened before is not handed out.
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

    /// What has happened since the look before, in the order of time.
    pub(super) async fn look(&mut self, api: &Api) -> Result<Vec<News>, Failed> {
        let rest = BETWEEN_WHOLE_LOOKS.max(self.whole_took * REST);
        let reach = if self.since_whole.elapsed() >= rest { Reach::Whole } else { Reach::New };
        let watch = Stopwatch::start();
        let items = self.items(api, reach).await?;
        let changed =
            items.iter().filter(|item| self.handed_out(item).is_some_and(|_| self.is_changed(item)));
        let timelines = stream::iter(changed).map(|item| timeline(api, item)).buffered(AT_ONCE);
        let timelines: Vec<_> = timelines.collect().await;
        let timelines = timelines.into_iter().collect::<Result<Vec<_>, _>>()?;

        // From here on nothing fails.
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
        // Those that were made before we came, and are seen for the first time.
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

    /// Verifications that are no longer followed because there are too many; the count since the call before.
    pub(super) fn lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// The pages of the list, newest first, as far back as `reach` says.
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

    /// The number of the last event of it that was handed out; `None` where all of it happened before we came.
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

    /// Those that are too old, but for those on the first page, which are seen at each look anyway; and the oldest where
    /// there are too many.
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

/// One that is gone meanwhile has no events.
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
