//! Who guesses passwords has to wait: after five wrong ones for one name, longer each time. Other names are not
//! touched. A name that nobody has is treated the same, so that nobody learns which names there are.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::verification::values::{Timestamp, UserName};

/// So many wrong passwords cost nothing.
const FREE: u32 = 5;
/// After the one that follows them; doubled by each further one.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// After so long without a try it begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);
/// Names that nobody has, of which so many are remembered. Those of real users are never forgotten for them.
const MOST_UNKNOWN: usize = 4_096;

#[derive(Default)]
pub struct SlowDown {
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    known: HashMap<UserName, Tries>,
    unknown: HashMap<UserName, Tries>,
}

#[derive(Clone, Copy, Default)]
struct Tries {
    count: u32,
    last: Timestamp,
    not_before: Timestamp,
}

impl SlowDown {
    pub fn new(users: impl Iterator<Item = UserName>) -> Self {
        let known = users.map(|name| (name, Tries::default())).collect();
        Self { tables: Mutex::new(Tables { known, unknown: HashMap::new() }) }
    }

    /// Those who may use the console from now on, beside those who might before.
    pub fn know(&self, users: impl Iterator<Item = UserName>) {
        let mut tables = self.tables();
        for name in users {
            let tries = tables.unknown.remove(&name).unwrap_or_default();
            tables.known.entry(name).or_insert(tries);
        }
    }

    /// Takes one try for this name, before its password is looked at, so that many at once gain nothing. `Err` says
    /// how long to wait; that try then does not count.
    pub fn try_once(&self, name: &UserName, now: Timestamp) -> Result<(), Duration> {
        let mut tables = self.tables();
        let tries = tables.of(name, now);
        if now < tries.not_before {
            return Err(tries.not_before.since(now));
        }
        if now.since(tries.last) >= FORGOTTEN_AFTER {
            tries.count = 0;
        }
        tries.count = tries.count.saturating_add(1);
        tries.last = now;
        tries.not_before = now + wait_after(tries.count);
        Ok(())
    }

    /// The password was not looked at after all, so that try does not count.
    pub fn give_back(&self, name: &UserName) {
        let mut tables = self.tables();
        let Tables { known, unknown } = &mut *tables;
        if let Some(tries) = known.get_mut(name).or_else(|| unknown.get_mut(name)) {
            tries.count = tries.count.saturating_sub(1);
            tries.not_before = tries.last + wait_after(tries.count);
        }
    }

    /// The password was right.
    pub fn forget(&self, name: &UserName) {
        let mut tables = self.tables();
        if let Some(tries) = tables.known.get_mut(name) {
            *tries = Tries::default();
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn of(&mut self, name: &UserName, now: Timestamp) -> &mut Tries {
        if self.known.contains_key(name) {
            return self.known.entry(name.clone()).or_default();
        }
        if self.unknown.len() >= MOST_UNKNOWN && !self.unknown.contains_key(name) {
            self.unknown.retain(|_, tries| now < tries.not_before);
            let oldest = self.unknown.iter().min_by_key(|(_, tries)| tries.last);
            let oldest = oldest.map(|(name, _)| name.clone());
            if let Some(oldest) = oldest.filter(|_| self.unknown.len() >= MOST_UNKNOWN) {
                self.unknown.remove(&oldest);
            }
        }
        self.unknown.entry(name.clone()).or_default()
    }
}

/// How long the next try has to wait after the `count`-th wrong one.
fn wait_after(count: u32) -> Duration {
    let Some(beyond) = count.checked_sub(FREE) else { return Duration::ZERO };
    let doubled = FIRST_WAIT.saturating_mul(1_u32.checked_shl(beyond.min(20)).unwrap_or(u32::MAX));
    doubled.min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    #[test]
    fn five_wrong_passwords_slow_that_name_and_no_other() {
        let slow_down = SlowDown::new([name("ada"), name("bob")].into_iter());
        for who in ["ada", "nobody"] {
            for _ in 0..5 {
                assert_eq!(slow_down.try_once(&name(who), START), Ok(()));
            }
            assert_eq!(slow_down.try_once(&name(who), START), Err(Duration::from_secs(5)), "{who}");
            let later = START + Duration::from_secs(5);
            assert_eq!(slow_down.try_once(&name(who), later), Ok(()));
            assert_eq!(slow_down.try_once(&name(who), later), Err(Duration::from_secs(10)), "{who}");
        }
        assert_eq!(slow_down.try_once(&name("bob"), START), Ok(()));
    }

    #[test]
    fn the_wait_grows_to_a_quarter_of_an_hour_and_is_forgotten_in_the_end() {
        assert_eq!(
            [4, 5, 6, 7, 12, 13, 40, u32::MAX].map(|count| wait_after(count).as_secs()),
            [0, 5, 10, 20, 640, 900, 900, 900]
        );
        let slow_down = SlowDown::new([name("ada")].into_iter());
        for _ in 0..5 {
            assert_eq!(slow_down.try_once(&name("ada"), START), Ok(()));
        }
        let hour_later = START + FORGOTTEN_AFTER;
        for _ in 0..5 {
            assert_eq!(slow_down.try_once(&name("ada"), hour_later), Ok(()));
        }
    }

    #[test]
    fn the_right_password_begins_anew() {
        let slow_down = SlowDown::new([name("ada")].into_iter());
        for _ in 0..20 {
            assert_eq!(slow_down.try_once(&name("ada"), START), Ok(()));
            slow_down.forget(&name("ada"));
        }
    }

    #[test]
    fn a_try_whose_password_was_not_looked_at_does_not_count() {
        let slow_down = SlowDown::new([name("ada")].into_iter());
        for who in ["ada", "nobody"] {
            for _ in 0..20 {
                assert_eq!(slow_down.try_once(&name(who), START), Ok(()));
                slow_down.give_back(&name(who));
            }
        }
    }

    #[test]
    fn invented_names_fill_no_memory_and_push_out_no_user() {
        let slow_down = SlowDown::new([name("ada")].into_iter());
        for _ in 0..5 {
            assert_eq!(slow_down.try_once(&name("ada"), START), Ok(()));
        }
        for number in 0..MOST_UNKNOWN + 50 {
            assert_eq!(slow_down.try_once(&name(&format!("n{number}")), START), Ok(()));
        }
        assert!(slow_down.tables().unknown.len() <= MOST_UNKNOWN);
        assert!(slow_down.try_once(&name("ada"), START).is_err());
    }
}
