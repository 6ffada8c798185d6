//! How much of what strangers send is kept.

use std::collections::HashMap;
use std::time::Duration;

use crate::verification::values::{NumberIndex, Timestamp};

/// Alerts that are kept, the newest: an unreadable delivery takes 11 KB, and a provider may send a thousand of them a
/// minute.
pub const MOST_ALERTS: usize = 5_000;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Messages of one person that are kept in a day: nobody types so many.
const MOST_OF_A_NUMBER: u32 = 10_000;
/// The same of everybody whose number the provider does not tell.
const MOST_OF_NOBODY: u32 = 100_000;

/// How many messages people have written today.
#[derive(Default)]
pub struct Writers {
    since: Timestamp,
    counts: HashMap<Option<NumberIndex>, u32>,
}

impl Writers {
    /// Whether one more message is kept, and if so, counts it.
    pub fn admit(&mut self, number: Option<NumberIndex>, now: Timestamp) -> bool {
        if now.since(self.since) >= DAY {
            *self = Self { since: now, counts: HashMap::new() };
        }
        let most = if number.is_some() { MOST_OF_A_NUMBER } else { MOST_OF_NOBODY };
        let count = self.counts.entry(number).or_default();
        let is_admitted = *count < most;
        *count += u32::from(is_admitted);
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_fills_no_more_than_a_days_share_and_nobody_elses() {
        let (mut writers, start) = (Writers::default(), Timestamp::from_millis(1_795_000_000_000));
        let (hers, his) = (Some(NumberIndex([1; 16])), Some(NumberIndex([2; 16])));
        let kept =
            |writers: &mut Writers, number, at| (0..20_000).filter(|_| writers.admit(number, at)).count();
        assert_eq!(kept(&mut writers, hers, start), 10_000);
        assert!(writers.admit(his, start) && writers.admit(None, start));
        assert_eq!(kept(&mut writers, hers, start + DAY), 10_000, "the next day is another");
        assert_eq!(writers.counts.len(), 1, "who wrote yesterday takes no room");
    }
}
