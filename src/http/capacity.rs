//! Limits on open connections. Each app has a limited number of long polls and streams, because these hold a
//! connection. When the listener is crowded, connections are closed after their answer. The last connections are
//! reserved for webhooks and health checks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::{Code, Problem};
use crate::verification::values::AppName;

/// `Retry-After` of a refusal. Long polls end within 60 s, so some connections always become free soon.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Counts the connections of a listener.
pub struct Capacity {
    open: AtomicUsize,
    /// From this number on, a connection is closed after its answer. A quarter of the connections then turns over with
    /// the requests, however many idle connections existed before.
    crowded_from: usize,
    /// Above this number, only webhooks and health checks are answered. A sixteenth of the default limit is 1,250
    /// connections; a provider uses a few dozen.
    full_beyond: usize,
}

/// Load of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    Normal,
    Crowded,
    /// Only reserved connections are left.
    Full,
}

impl Capacity {
    /// For a listener of at most `most` connections.
    pub fn new(most: usize) -> Self {
        Self {
            open: AtomicUsize::new(0),
            crowded_from: most - most / 4,
            full_beyond: most - (most / 16).max(1).min(most),
        }
    }

    pub fn load(&self) -> Load {
        let open = self.open.load(Ordering::Relaxed);
        if open > self.full_beyond {
            Load::Full
        } else if open >= self.crowded_from {
            Load::Crowded
        } else {
            Load::Normal
        }
    }

    /// Counts a connection until the returned value is dropped.
    pub fn enter(self: &Arc<Self>) -> ConnectionSlot {
        self.open.fetch_add(1, Ordering::Relaxed);
        ConnectionSlot(Arc::clone(self))
    }

    pub fn refusal() -> Problem {
        let detail = "too many open connections; nothing was done";
        Problem::new(Code::TooManyConnections, detail).retry_after(RETRY_AFTER)
    }
}

pub struct ConnectionSlot(Arc<Capacity>);

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts open long polls and streams by app.
pub struct Waiting {
    by_app: Mutex<BTreeMap<AppName, Arc<AtomicUsize>>>,
    all: Arc<AtomicUsize>,
    /// Limit per app.
    most_of_one: usize,
    /// Limit over all apps: an eighth of the connections is left for other requests.
    most_of_all: usize,
}

impl Waiting {
    pub fn new(connections: usize, most_of_one: usize) -> Self {
        let most_of_all = connections - connections / 8;
        Self {
            by_app: Mutex::default(),
            all: Arc::default(),
            most_of_one: most_of_one.min(most_of_all),
            most_of_all,
        }
    }

    /// Counts one more for `app` until the returned value is dropped.
    pub fn enter(&self, app: &AppName) -> Result<Waiter, Problem> {
        let of_app = {
            let mut by_app = self.by_app.lock().unwrap_or_else(PoisonError::into_inner);
            match by_app.get(app) {
                Some(of_app) => Arc::clone(of_app),
                None => Arc::clone(by_app.entry(app.clone()).or_default()),
            }
        };
        let of_app = Counted::one_more(of_app, self.most_of_one);
        let of_all = Counted::one_more(Arc::clone(&self.all), self.most_of_all);
        match (of_app, of_all) {
            (Some(of_app), Some(of_all)) => Ok(Waiter { _of_app: of_app, _of_all: of_all }),
            (None, _) => Err(Self::refusal("this app has reached its limit of open long polls and streams")),
            (Some(_), None) => {
                Err(Self::refusal("the server has reached its limit of open long polls and streams"))
            }
        }
    }

    fn refusal(detail: &'static str) -> Problem {
        Problem::new(Code::TooManyWaiting, detail).retry_after(RETRY_AFTER)
    }
}

/// One long poll or stream.
pub struct Waiter {
    _of_app: Counted,
    _of_all: Counted,
}

struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn one_more(count: Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let below = |now: usize| (now < most).then_some(now + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).ok()?;
        Some(Self(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_connections_are_reserved_and_crowded_ones_are_closed() {
        for (most, crowded, full) in [(20_000, 15_000, 18_751), (64, 48, 61), (16, 12, 16), (1, 1, 1)] {
            let capacity = Arc::new(Capacity::new(most));
            let mut places = Vec::new();
            for open in 1..=most {
                places.push(capacity.enter());
                let right = match open {
                    open if open >= full => Load::Full,
                    open if open >= crowded => Load::Crowded,
                    _ => Load::Normal,
                };
                assert_eq!(capacity.load(), right, "{open} of {most}");
            }
            places.clear();
            assert_eq!(capacity.load(), Load::Normal);
        }
    }

    #[test]
    fn an_app_has_a_limit_and_leaves_room_for_others() {
        let [shop, bank, club] = ["shop", "bank", "club"].map(AppName::new);
        let waiting = Waiting::new(16, 8);
        let of_shop: Vec<_> = (0..8).map(|_| waiting.enter(&shop).ok().unwrap()).collect();
        assert!(waiting.enter(&shop).is_err());
        let of_bank: Vec<_> = (0..6).map(|_| waiting.enter(&bank).ok().unwrap()).collect();
        assert!(waiting.enter(&club).is_err(), "an eighth is left for requests that do not wait");
        drop(of_shop);
        assert!(waiting.enter(&club).is_ok() && waiting.enter(&shop).is_ok());
        drop(of_bank);
        let again: Vec<_> = (0..8).map(|_| waiting.enter(&bank).ok().unwrap()).collect();
        assert!(waiting.enter(&bank).is_err(), "a refusal takes no place");
        drop(again);
    }
}
