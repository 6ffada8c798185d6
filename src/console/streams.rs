//! Limits the number of open live streams, in total and per user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::verification::values::UserName;

/// Each stream polls the store every few seconds.
const MAX: usize = 64;
/// A closed page frees its place within ten seconds, so this only affects users who open many pages at once. Without a
/// place a page works, but is not live.
const MAX_PER_USER: usize = 48;

#[derive(Default)]
pub struct Streams {
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_user: HashMap<UserName, usize>,
}

/// A permit for one stream; dropping it frees the place.
pub struct StreamSlot {
    open: Arc<Mutex<Open>>,
    user: UserName,
}

impl Streams {
    /// `None` if all places, or all of this user, are taken.
    pub fn take(&self, user: &UserName) -> Option<StreamSlot> {
        let mut open = lock(&self.open);
        let of_user = open.by_user.get(user).copied().unwrap_or_default();
        if open.all >= MAX || of_user >= MAX_PER_USER {
            return None;
        }
        open.all += 1;
        open.by_user.insert(user.clone(), of_user + 1);
        Some(StreamSlot { open: Arc::clone(&self.open), user: user.clone() })
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.all = open.all.saturating_sub(1);
        let left = open.by_user.get(&self.user).copied().unwrap_or_default().saturating_sub(1);
        match left {
            0 => drop(open.by_user.remove(&self.user)),
            left => drop(open.by_user.insert(self.user.clone(), left)),
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserName {
        UserName::parse(name).unwrap()
    }

    #[test]
    fn streams_per_user_are_bounded_and_closed_ones_are_freed() {
        let streams = Streams::default();
        let mut of_ada: Vec<_> = (0..MAX).filter_map(|_| streams.take(&user("ada"))).collect();
        assert_eq!(of_ada.len(), MAX_PER_USER);
        let bob = streams.take(&user("bob"));
        assert!(bob.is_some(), "others have their places");
        of_ada.pop();
        assert!(streams.take(&user("ada")).is_some());
        drop((of_ada, bob));
        assert!(lock(&streams.open).by_user.is_empty() && lock(&streams.open).all == 0);
        let names: Vec<_> = (0..20).map(|n| user(&format!("user{n}"))).collect();
        let all: Vec<_> =
            names.iter().flat_map(|name| (0..MAX_PER_USER).filter_map(|_| streams.take(name))).collect();
        assert_eq!(all.len(), MAX);
    }
}
