//! Limits and audits look-ups: each search by number and each opened verification is recorded, and nobody may make more
//! than a person needs.
//!
//! A masked number hides few digits, so unlimited searches could try them all. To keep the log small, a repetition
//! within ten minutes is neither recorded nor counted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Console, CurrentUser, Refusal};
use crate::hex;
use crate::store::{Alert, Audit, AuditAction, Order};
use crate::verification::values::{
    ChannelName, NumberIndex, NumberTail, Timestamp, UserName, VerificationId,
};

/// The interval in which a repeated look-up does not count.
const REPEAT_WINDOW: Duration = Duration::from_secs(10 * 60);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Searches for different numbers per person and minute; serving one caller takes 3 s or more.
const SEARCHES_PER_MINUTE: usize = 20;
/// Per hour. Trying 1,000 hidden numbers thus takes five hours and raises five alerts.
const SEARCHES_PER_HOUR: usize = 200;
/// Opened verifications per person and minute. Reading one takes longer, and bulk reading is an export, which has its
/// own audit entry.
const OPENED_PER_MINUTE: usize = 120;
const OPENED_PER_HOUR: usize = 1_200;
/// The interval between two alerts about one person.
const ALARM_EVERY: Duration = HOUR;

/// The subject of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lookup {
    Number(NumberIndex),
    /// The last four digits of a number.
    Tail(NumberTail),
    /// A keyed hash of digits that may be a number in an unknown notation.
    Digits([u8; 16]),
    Verification(VerificationId),
}

impl Lookup {
    fn is_search(&self) -> bool {
        !matches!(self, Self::Verification(_))
    }

    /// The keyed hash for the audit log.
    fn detail(&self) -> Option<String> {
        match self {
            Self::Number(index) => Some(format!("number={}", hex::encode(&index.0))),
            Self::Tail(tail) => Some(format!("tail={}", hex::encode(&tail.0.to_be_bytes()))),
            Self::Digits(hash) => Some(format!("digits={}", hex::encode(hash))),
            Self::Verification(_) => None,
        }
    }
}

/// The recent look-ups of each user.
#[derive(Default)]
pub struct Lookups {
    by_user: Mutex<HashMap<UserName, History>>,
}

#[derive(Default)]
struct History {
    /// In chronological order, without repetitions.
    searches: VecDeque<(Timestamp, Lookup)>,
    opened: VecDeque<(Timestamp, Lookup)>,
    alarmed: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    /// A recent look-up was repeated.
    Repeated,
    First,
    /// A limit is reached for `wait`.
    TooMany {
        wait: Duration,
        raises_alert: bool,
    },
}

impl Lookups {
    fn count(&self, user: &UserName, lookup: Lookup, now: Timestamp) -> Counted {
        let mut table = self.table();
        let history = table.entry(user.clone()).or_default();
        let (kept, limits) = if lookup.is_search() {
            (&mut history.searches, [(MINUTE, SEARCHES_PER_MINUTE), (HOUR, SEARCHES_PER_HOUR)])
        } else {
            (&mut history.opened, [(MINUTE, OPENED_PER_MINUTE), (HOUR, OPENED_PER_HOUR)])
        };
        while kept.front().is_some_and(|(at, _)| now.since(*at) >= HOUR) {
            kept.pop_front();
        }
        if kept.iter().any(|(at, known)| *known == lookup && now.since(*at) < REPEAT_WINDOW) {
            return Counted::Repeated;
        }
        for (window, most) in limits {
            let within = kept.iter().filter(|(at, _)| now.since(*at) < window);
            let oldest = within.clone().next().map(|(at, _)| *at);
            if let Some(oldest) = oldest.filter(|_| within.count() >= most) {
                let raises_alert = history.alarmed.is_none_or(|at| now.since(at) >= ALARM_EVERY);
                if raises_alert {
                    history.alarmed = Some(now);
                }
                return Counted::TooMany { wait: (oldest + window).since(now), raises_alert };
            }
        }
        kept.push_back((now, lookup));
        Counted::First
    }

    /// Removes a look-up that could not be recorded, so that the next one is recorded again.
    fn forget(&self, user: &UserName, lookup: Lookup) {
        if let Some(history) = self.table().get_mut(user) {
            history.searches.retain(|(_, known)| *known != lookup);
            history.opened.retain(|(_, known)| *known != lookup);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<UserName, History>> {
        self.by_user.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Console {
    /// Records a look-up before its result is shown. Refuses when a limit is reached.
    pub async fn record_lookup(&self, signed: &CurrentUser, lookup: Lookup) -> Result<(), Refusal> {
        let now = self.clock.now();
        match self.lookups.count(&signed.name, lookup, now) {
            Counted::Repeated => Ok(()),
            Counted::First => {
                let (action, verification) = match lookup {
                    Lookup::Verification(id) => (AuditAction::Opened, Some(id)),
                    Lookup::Number(_) | Lookup::Tail(_) | Lookup::Digits(_) => (AuditAction::Searched, None),
                };
                let by = signed.name.clone();
                let entry =
                    Audit { at: now, by, action, verification, reason: None, detail: lookup.detail() };
                let written = self.store.execute(vec![Order::Audit(entry)]).await;
                if written.is_err() {
                    self.lookups.forget(&signed.name, lookup);
                }
                written?;
                Ok(())
            }
            Counted::TooMany { wait, raises_alert } => {
                if raises_alert {
                    self.raise_alert(&signed.name, now).await;
                }
                Err(Refusal::TooManyLookups(wait))
            }
        }
    }

    async fn raise_alert(&self, user: &UserName, now: Timestamp) {
        tracing::warn!(%user, "a console user exceeded the look-up limit");
        let alert = Alert {
            at: now,
            channel: ChannelName::new("console"),
            code: "lookup_limit".to_owned(),
            title: "a console user exceeded the look-up limit".to_owned(),
            subject: Some(user.to_string()),
            fingerprint: None,
            evidence: None,
        };
        if let Err(error) = self.store.execute(vec![Order::Alert(alert)]).await {
            tracing::error!(%error, "an alert could not be stored");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn number(n: usize) -> Lookup {
        let mut index = [0; 16];
        index[..8].copy_from_slice(&n.to_be_bytes());
        Lookup::Number(NumberIndex(index))
    }

    fn ada() -> UserName {
        UserName::parse("ada").unwrap()
    }

    #[test]
    fn a_repeated_lookup_counts_once_in_ten_minutes() {
        let lookups = Lookups::default();
        assert_eq!(lookups.count(&ada(), number(1), START), Counted::First);
        for _ in 0..1_000 {
            assert_eq!(lookups.count(&ada(), number(1), START + Duration::from_secs(599)), Counted::Repeated);
        }
        assert_eq!(lookups.count(&ada(), number(1), START + REPEAT_WINDOW), Counted::First);
        lookups.forget(&ada(), number(1));
        assert_eq!(
            lookups.count(&ada(), number(1), START + REPEAT_WINDOW),
            Counted::First,
            "what was not written"
        );
    }

    #[test]
    fn searches_are_limited_per_user_and_minute_with_one_alert() {
        let lookups = Lookups::default();
        for n in 0..SEARCHES_PER_MINUTE {
            assert_eq!(lookups.count(&ada(), number(n), START), Counted::First);
        }
        let later = START + Duration::from_secs(10);
        let wait = Duration::from_secs(50);
        assert_eq!(lookups.count(&ada(), number(999), later), Counted::TooMany { wait, raises_alert: true });
        assert_eq!(lookups.count(&ada(), number(998), later), Counted::TooMany { wait, raises_alert: false });
        assert_eq!(lookups.count(&ada(), number(3), later), Counted::Repeated, "what was found stays");
        let tail = Lookup::Tail(NumberTail(7));
        assert!(
            matches!(lookups.count(&ada(), tail, later), Counted::TooMany { .. }),
            "all kinds count together"
        );
        let bob = UserName::parse("bob").unwrap();
        assert_eq!(lookups.count(&bob, number(999), later), Counted::First, "each user has a limit");
        assert_eq!(lookups.count(&ada(), number(999), START + MINUTE), Counted::First);
    }

    #[test]
    fn there_is_an_hourly_limit_too() {
        let lookups = Lookups::default();
        let mut done = 0;
        for n in 0..1_000 {
            let at = START + Duration::from_millis(3_599 * n as u64);
            done += usize::from(lookups.count(&ada(), number(n), at) == Counted::First);
        }
        assert_eq!(done, SEARCHES_PER_HOUR);
    }
}
