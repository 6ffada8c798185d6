//! Rate-limited log lines for events that anyone can cause, with a count.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::verification::values::Timestamp;

/// The interval between two lines with the same key.
const PAUSE: Duration = Duration::from_secs(60);
/// The most keys tracked at once; keys may contain ids from outside.
const MAX_KEYS: usize = 64;

/// Counts events by key and tells when a log line is due.
pub struct Throttle<K>(Mutex<BTreeMap<K, ThrottledLine>>);

impl<K> Default for Throttle<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

struct ThrottledLine {
    next: Timestamp,
    unreported: u64,
}

impl<K: Ord> Throttle<K> {
    /// Adds `times` to the key's count. Returns the count since the last line if a line is due.
    pub fn due(&self, key: K, times: u64, now: Timestamp) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(&key) {
            line.unreported += times;
            if now < line.next {
                return None;
            }
            line.next = now + PAUSE;
            return Some(std::mem::take(&mut line.unreported));
        }
        if lines.len() >= MAX_KEYS {
            lines.retain(|_, line| now < line.next);
        }
        if lines.len() >= MAX_KEYS {
            return None;
        }
        lines.insert(key, ThrottledLine { next: now + PAUSE, unreported: 0 });
        Some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_logged_immediately_and_the_others_together_after_a_minute() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let throttle = Throttle::default();
        for (second, key, times, told) in [
            (0, "a", 1, Some(1)),
            (1, "a", 1, None),
            (1, "b", 5, Some(5)),
            (59, "a", 3, None),
            (60, "a", 1, Some(5)),
            (61, "a", 1, None),
            (500, "a", 1, Some(2)),
        ] {
            assert_eq!(throttle.due(key, times, at(second)), told, "{second} {key}");
        }
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let throttle = Throttle::default();
        let now = Timestamp::from_millis(0);
        let told = (0..10_000).filter(|key| throttle.due(*key, 1, now).is_some()).count();
        assert_eq!(told, MAX_KEYS);
        assert_eq!(throttle.due(10_000, 1, now + PAUSE), Some(1), "room comes back");
    }
}
