//! Who guesses passwords has to wait. Wrong ones count for the name at one address, for the address, and for the name
//! from everywhere, so that somebody who tries one name elsewhere does not keep its owner out. A device at which the
//! name signed in before counts for itself alone: whatever others try, the right password is let in there. A name that
//! nobody has is treated the same, so that nobody learns which names there are.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::device::Device;
use crate::verification::values::{Timestamp, UserName};

/// How many wrong passwords cost nothing, and how long the next one waits.
struct Rule {
    free: u32,
    /// After the one that follows the free ones; doubled by each further one.
    first: Duration,
    longest: Duration,
}

/// For a name at one address, and for a known device: nobody mistypes more often.
const ONE: Rule = Rule { free: 5, first: Duration::from_secs(5), longest: Duration::from_secs(15 * 60) };
/// For an address with all names: an office behind one address mistypes more often. The wait stays short, because it is
/// everybody's there.
const ADDRESS: Rule = Rule { free: 40, first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// For a name from all addresses that it did not sign in at before: who guesses from many finds no end of free tries.
const NAME: Rule = Rule { free: 40, first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// After so long without a try it begins again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);
/// Of each kind, so many are remembered. Names that somebody has are never forgotten for invented ones.
const MOST: usize = 4_096;

/// Where a sign-in comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Its cookie says that this name signed in there before.
    Device(Device),
    Address(Network),
}

/// An IPv4 address, or the half of an IPv6 address that one subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

#[derive(Default)]
pub struct SlowDown {
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    known: HashMap<UserName, Tries>,
    unknown: HashMap<UserName, Tries>,
    pairs: HashMap<(UserName, Network), Tries>,
    addresses: HashMap<Network, Tries>,
    devices: HashMap<Device, Tries>,
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
        Self { tables: Mutex::new(Tables { known, ..Tables::default() }) }
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
    pub fn try_once(&self, name: &UserName, origin: Origin, now: Timestamp) -> Result<(), Duration> {
        let mut tables = self.tables();
        let mut counted = tables.counted(name, origin, now);
        let wait = counted.iter().map(|(tries, _)| tries.not_before.since(now)).max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        counted.iter_mut().for_each(|(tries, rule)| tries.count_one(rule, now));
        Ok(())
    }

    /// The password was not looked at after all, so that try does not count.
    pub fn give_back(&self, name: &UserName, origin: Origin, now: Timestamp) {
        let mut tables = self.tables();
        tables.counted(name, origin, now).into_iter().for_each(|(tries, rule)| tries.give_one_back(rule));
    }

    /// The password was right: what was wrong before at the same place is forgotten, and elsewhere this try does not
    /// count.
    pub fn forget(&self, name: &UserName, origin: Origin, now: Timestamp) {
        self.give_back(name, origin, now);
        let mut tables = self.tables();
        match origin {
            Origin::Device(device) => drop(tables.devices.remove(&device)),
            Origin::Address(network) => drop(tables.pairs.remove(&(name.clone(), network))),
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// All that a try counts for.
    fn counted(
        &mut self,
        name: &UserName,
        origin: Origin,
        now: Timestamp,
    ) -> Vec<(&mut Tries, &'static Rule)> {
        match origin {
            Origin::Device(device) => vec![(entry(&mut self.devices, device, now), &ONE)],
            Origin::Address(network) => vec![
                (entry(&mut self.pairs, (name.clone(), network), now), &ONE),
                (entry(&mut self.addresses, network, now), &ADDRESS),
                match self.known.get_mut(name) {
                    Some(tries) => (tries, &NAME),
                    None => (entry(&mut self.unknown, name.clone(), now), &NAME),
                },
            ],
        }
    }
}

/// The tries of one; where there are too many, those that wait no longer go, and then the oldest.
fn entry<K: Eq + Hash + Clone>(table: &mut HashMap<K, Tries>, key: K, now: Timestamp) -> &mut Tries {
    if table.len() >= MOST && !table.contains_key(&key) {
        table.retain(|_, tries| now < tries.not_before);
        let oldest = table.iter().min_by_key(|(_, tries)| tries.last).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest.filter(|_| table.len() >= MOST) {
            table.remove(&oldest);
        }
    }
    table.entry(key).or_default()
}

impl Tries {
    fn count_one(&mut self, rule: &Rule, now: Timestamp) {
        if now.since(self.last) >= FORGOTTEN_AFTER {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
        self.not_before = rule.next_after(self.count, now);
    }

    fn give_one_back(&mut self, rule: &Rule) {
        self.count = self.count.saturating_sub(1);
        self.not_before = rule.next_after(self.count, self.last);
    }
}

impl Rule {
    fn next_after(&self, count: u32, last: Timestamp) -> Timestamp {
        let wait = self.wait_after(count);
        if wait.is_zero() { Timestamp::default() } else { last + wait }
    }

    /// How long the next try has to wait after the `count`-th wrong one.
    fn wait_after(&self, count: u32) -> Duration {
        let Some(beyond) = count.checked_sub(self.free) else { return Duration::ZERO };
        let doubled = self.first.saturating_mul(1_u32.checked_shl(beyond.min(20)).unwrap_or(u32::MAX));
        doubled.min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn at(address: &str) -> Origin {
        Origin::Address(Network::of(address.parse().unwrap()))
    }

    const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    #[test]
    fn five_wrong_passwords_slow_that_name_and_no_other() {
        let slow_down = SlowDown::new([name("ada"), name("bob")].into_iter());
        let here = at("192.0.2.1");
        for who in ["ada", "nobody"] {
            for _ in 0..5 {
                assert_eq!(slow_down.try_once(&name(who), here, START), Ok(()));
            }
            assert_eq!(slow_down.try_once(&name(who), here, START), Err(Duration::from_secs(5)), "{who}");
            let later = START + Duration::from_secs(5);
            assert_eq!(slow_down.try_once(&name(who), here, later), Ok(()));
            assert_eq!(slow_down.try_once(&name(who), here, later), Err(Duration::from_secs(10)), "{who}");
        }
        assert_eq!(slow_down.try_once(&name("bob"), here, START), Ok(()));
    }

    #[test]
    fn who_tries_a_name_elsewhere_does_not_keep_its_owner_out() {
        let slow_down = SlowDown::new([name("ada")].into_iter());
        for _ in 0..5 {
            assert_eq!(slow_down.try_once(&name("ada"), at("192.0.2.1"), START), Ok(()));
        }
        assert!(slow_down.try_once(&name("ada"), at("192.0.2.1"), START).is_err());
        assert_eq!(slow_down.try_once(&name("ada"), at("192.0.2.2"), START), Ok(()), "another address");
        let device = Origin::Device(Device::new());
        assert_eq!(slow_down.try_once(&name("ada"), device, START), Ok(()), "a known device");
        let subscriber = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"].map(at);
        assert_eq!(subscriber[0], subscriber[1], "the addresses of one subscriber are one");
    }

    #[test]
    fn a_known_device_has_its_own_budget_whatever_the_whole_world_tries() {
        let slow_down = SlowDown::new([name("ada")].into_iter());
        let device = Origin::Device(Device::new());
        let mut refused = 0;
        for n in 0..500 {
            let address = format!("10.0.{}.{}", n / 250, n % 250);
            refused += usize::from(slow_down.try_once(&name("ada"), at(&address), START).is_err());
        }
        assert!(refused >= 500 - 41, "guessing from many addresses slows down too: {refused}");
        for _ in 0..5 {
            assert_eq!(slow_down.try_once(&name("ada"), device, START), Ok(()));
        }
        assert!(
            slow_down.try_once(&name("ada"), device, START).is_err(),
            "a stolen device guesses no better"
        );
        let another = Origin::Device(Device::new());
        assert_eq!(slow_down.try_once(&name("ada"), another, START), Ok(()));
    }

    #[test]
    fn an_address_that_tries_many_names_slows_down() {
        let slow_down = SlowDown::new([name("ada")].into_iter());
        let here = at("192.0.2.1");
        let tried =
            (0..100).filter(|n| slow_down.try_once(&name(&format!("n{n}")), here, START).is_ok()).count();
        assert_eq!(tried, 40);
        assert_eq!(slow_down.try_once(&name("ada"), at("192.0.2.2"), START), Ok(()));
    }

    #[test]
    fn the_wait_grows_to_a_quarter_of_an_hour_and_is_forgotten_in_the_end() {
        assert_eq!(
            [4, 5, 6, 7, 12, 13, 40, u32::MAX].map(|count| ONE.wait_after(count).as_secs()),
            [0, 5, 10, 20, 640, 900, 900, 900]
        );
        assert_eq!(
            [39, 40, 45, 46, u32::MAX].map(|count| NAME.wait_after(count).as_secs()),
            [0, 1, 32, 60, 60]
        );
        let slow_down = SlowDown::new([name("ada")].into_iter());
        for _ in 0..5 {
            assert_eq!(slow_down.try_once(&name("ada"), at("192.0.2.1"), START), Ok(()));
        }
        let hour_later = START + FORGOTTEN_AFTER;
        for _ in 0..5 {
            assert_eq!(slow_down.try_once(&name("ada"), at("192.0.2.1"), hour_later), Ok(()));
        }
    }

    #[test]
    fn the_right_password_begins_again() {
        let slow_down = SlowDown::new([name("ada")].into_iter());
        for origin in [at("192.0.2.1"), Origin::Device(Device::new())] {
            for _ in 0..100 {
                assert_eq!(slow_down.try_once(&name("ada"), origin, START), Ok(()));
                slow_down.forget(&name("ada"), origin, START);
            }
        }
    }

    #[test]
    fn a_try_whose_password_was_not_looked_at_does_not_count() {
        let slow_down = SlowDown::new([name("ada")].into_iter());
        for who in ["ada", "nobody"] {
            for _ in 0..20 {
                assert_eq!(slow_down.try_once(&name(who), at("192.0.2.1"), START), Ok(()));
                slow_down.give_back(&name(who), at("192.0.2.1"), START);
            }
        }
    }

    #[test]
    fn invented_names_fill_no_memory_and_push_out_no_user() {
        let slow_down = SlowDown::new([name("ada")].into_iter());
        // Each from an address of its own, as a botnet would.
        let address = |n: usize| at(&format!("2001:db8:{:x}:{:x}::1", n >> 8, n & 0xff));
        for n in 0..41 {
            let tried = slow_down.try_once(&name("ada"), address(n), START);
            assert_eq!(tried.is_ok(), n < 40);
        }
        for number in 0..MOST + 50 {
            let tried = slow_down.try_once(&name(&format!("n{number}")), address(1_000 + number), START);
            assert_eq!(tried, Ok(()));
        }
        let tables = slow_down.tables();
        for len in [tables.unknown.len(), tables.pairs.len(), tables.addresses.len()] {
            assert!(len <= MOST, "{len}");
        }
        drop(tables);
        assert!(slow_down.try_once(&name("ada"), address(9_999), START).is_err());
    }
}
