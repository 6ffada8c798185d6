//! Slows down password guessing. Wrong passwords count per name and address, per address, and per name over all
//! addresses; guessing elsewhere thus barely affects the owner. A known device has its own count, so the owner can
//! always sign in there. Unknown names are treated alike, so that the delay does not reveal which names exist.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::device::Device;
use crate::verification::values::{Timestamp, UserName};

/// The number of free wrong passwords, and the delay afterwards.
struct Rule {
    free: u32,
    /// The first delay; doubled with each further wrong password.
    first: Duration,
    longest: Duration,
}

/// Per name and address, and per known device: more typos than anyone makes.
const PAIR: Rule = Rule { free: 5, first: Duration::from_secs(5), longest: Duration::from_secs(15 * 60) };
/// Per address over all names: an office makes more typos. The delay stays short, because it affects everyone there.
const ADDRESS: Rule = Rule { free: 40, first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// Per name over all addresses where it is unknown: limits guessing from many addresses.
const NAME: Rule = Rule { free: 40, first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// The time without an attempt after which counting restarts.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);
/// The maximum entries per table. Known names are never evicted for unknown ones.
const MAX: usize = 4_096;

/// The origin of a sign-in attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A device with an earlier sign-in by this name, according to its cookie.
    Device(Device),
    Address(Network),
}

/// An IPv4 address, or the /64 prefix of an IPv6 address, which one subscriber has.
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
pub struct SignInLimit {
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    known: HashMap<UserName, Attempts>,
    unknown: HashMap<UserName, Attempts>,
    pairs: HashMap<(UserName, Network), Attempts>,
    addresses: HashMap<Network, Attempts>,
    devices: HashMap<Device, Attempts>,
}

#[derive(Clone, Copy, Default)]
struct Attempts {
    count: u32,
    last: Timestamp,
    not_before: Timestamp,
}

impl SignInLimit {
    pub fn new(users: impl Iterator<Item = UserName>) -> Self {
        let known = users.map(|name| (name, Attempts::default())).collect();
        Self { tables: Mutex::new(Tables { known, ..Tables::default() }) }
    }

    /// Adds configured users to the known names.
    pub fn add_users(&self, users: impl Iterator<Item = UserName>) {
        let mut tables = self.tables();
        for name in users {
            let attempts = tables.unknown.remove(&name).unwrap_or_default();
            tables.known.entry(name).or_insert(attempts);
        }
    }

    /// Counts an attempt before the password is checked, so that concurrent attempts gain nothing. Fails with the
    /// remaining delay, without counting the attempt.
    pub fn take_attempt(&self, name: &UserName, origin: Origin, now: Timestamp) -> Result<(), Duration> {
        let mut tables = self.tables();
        let mut counted = tables.counted(name, origin, now);
        let wait =
            counted.iter().map(|(attempts, _)| attempts.not_before.since(now)).max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        counted.iter_mut().for_each(|(attempts, rule)| attempts.add(rule, now));
        Ok(())
    }

    /// Returns an attempt whose password was not checked.
    pub fn return_attempt(&self, name: &UserName, origin: Origin, now: Timestamp) {
        let mut tables = self.tables();
        tables.counted(name, origin, now).into_iter().for_each(|(attempts, rule)| attempts.subtract(rule));
    }

    /// Handles a correct password: resets the count of its origin, and returns the attempt to the other counts.
    pub fn succeed(&self, name: &UserName, origin: Origin, now: Timestamp) {
        self.return_attempt(name, origin, now);
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
    /// All counts that an attempt adds to.
    fn counted(
        &mut self,
        name: &UserName,
        origin: Origin,
        now: Timestamp,
    ) -> Vec<(&mut Attempts, &'static Rule)> {
        match origin {
            Origin::Device(device) => vec![(entry(&mut self.devices, device, now), &PAIR)],
            Origin::Address(network) => vec![
                (entry(&mut self.pairs, (name.clone(), network), now), &PAIR),
                (entry(&mut self.addresses, network, now), &ADDRESS),
                match self.known.get_mut(name) {
                    Some(attempts) => (attempts, &NAME),
                    None => (entry(&mut self.unknown, name.clone(), now), &NAME),
                },
            ],
        }
    }
}

/// The count of `key`. A full table evicts entries without a delay, then the oldest.
fn entry<K: Eq + Hash + Clone>(table: &mut HashMap<K, Attempts>, key: K, now: Timestamp) -> &mut Attempts {
    if table.len() >= MAX && !table.contains_key(&key) {
        table.retain(|_, attempts| now < attempts.not_before);
        let oldest = table.iter().min_by_key(|(_, attempts)| attempts.last).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest.filter(|_| table.len() >= MAX) {
            table.remove(&oldest);
        }
    }
    table.entry(key).or_default()
}

impl Attempts {
    fn add(&mut self, rule: &Rule, now: Timestamp) {
        if now.since(self.last) >= FORGOTTEN_AFTER {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
        self.not_before = rule.next_after(self.count, now);
    }

    fn subtract(&mut self, rule: &Rule) {
        self.count = self.count.saturating_sub(1);
        self.not_before = rule.next_after(self.count, self.last);
    }
}

impl Rule {
    fn next_after(&self, count: u32, last: Timestamp) -> Timestamp {
        let wait = self.wait_after(count);
        if wait.is_zero() { Timestamp::default() } else { last + wait }
    }

    /// The delay after the `count`-th wrong password.
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
    fn five_wrong_passwords_delay_only_that_name() {
        let sign_in_limit = SignInLimit::new([name("ada"), name("bob")].into_iter());
        let here = at("192.0.2.1");
        for who in ["ada", "nobody"] {
            for _ in 0..5 {
                assert_eq!(sign_in_limit.take_attempt(&name(who), here, START), Ok(()));
            }
            assert_eq!(
                sign_in_limit.take_attempt(&name(who), here, START),
                Err(Duration::from_secs(5)),
                "{who}"
            );
            let later = START + Duration::from_secs(5);
            assert_eq!(sign_in_limit.take_attempt(&name(who), here, later), Ok(()));
            assert_eq!(
                sign_in_limit.take_attempt(&name(who), here, later),
                Err(Duration::from_secs(10)),
                "{who}"
            );
        }
        assert_eq!(sign_in_limit.take_attempt(&name("bob"), here, START), Ok(()));
    }

    #[test]
    fn guessing_elsewhere_does_not_lock_out_the_owner() {
        let sign_in_limit = SignInLimit::new([name("ada")].into_iter());
        for _ in 0..5 {
            assert_eq!(sign_in_limit.take_attempt(&name("ada"), at("192.0.2.1"), START), Ok(()));
        }
        assert!(sign_in_limit.take_attempt(&name("ada"), at("192.0.2.1"), START).is_err());
        assert_eq!(
            sign_in_limit.take_attempt(&name("ada"), at("192.0.2.2"), START),
            Ok(()),
            "another address"
        );
        let device = Origin::Device(Device::new());
        assert_eq!(sign_in_limit.take_attempt(&name("ada"), device, START), Ok(()), "a known device");
        let subscriber = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"].map(at);
        assert_eq!(subscriber[0], subscriber[1], "the addresses of one subscriber are one");
    }

    #[test]
    fn a_known_device_has_its_own_limit() {
        let sign_in_limit = SignInLimit::new([name("ada")].into_iter());
        let device = Origin::Device(Device::new());
        let mut refused = 0;
        for n in 0..500 {
            let address = format!("10.0.{}.{}", n / 250, n % 250);
            refused += usize::from(sign_in_limit.take_attempt(&name("ada"), at(&address), START).is_err());
        }
        assert!(refused >= 500 - 41, "guessing from many addresses slows down too: {refused}");
        for _ in 0..5 {
            assert_eq!(sign_in_limit.take_attempt(&name("ada"), device, START), Ok(()));
        }
        assert!(
            sign_in_limit.take_attempt(&name("ada"), device, START).is_err(),
            "a stolen device guesses no better"
        );
        let another = Origin::Device(Device::new());
        assert_eq!(sign_in_limit.take_attempt(&name("ada"), another, START), Ok(()));
    }

    #[test]
    fn an_address_that_tries_many_names_slows_down() {
        let sign_in_limit = SignInLimit::new([name("ada")].into_iter());
        let here = at("192.0.2.1");
        let tried = (0..100)
            .filter(|n| sign_in_limit.take_attempt(&name(&format!("n{n}")), here, START).is_ok())
            .count();
        assert_eq!(tried, 40);
        assert_eq!(sign_in_limit.take_attempt(&name("ada"), at("192.0.2.2"), START), Ok(()));
    }

    #[test]
    fn the_delay_grows_to_a_quarter_of_an_hour_and_expires() {
        assert_eq!(
            [4, 5, 6, 7, 12, 13, 40, u32::MAX].map(|count| PAIR.wait_after(count).as_secs()),
            [0, 5, 10, 20, 640, 900, 900, 900]
        );
        assert_eq!(
            [39, 40, 45, 46, u32::MAX].map(|count| NAME.wait_after(count).as_secs()),
            [0, 1, 32, 60, 60]
        );
        let sign_in_limit = SignInLimit::new([name("ada")].into_iter());
        for _ in 0..5 {
            assert_eq!(sign_in_limit.take_attempt(&name("ada"), at("192.0.2.1"), START), Ok(()));
        }
        let hour_later = START + FORGOTTEN_AFTER;
        for _ in 0..5 {
            assert_eq!(sign_in_limit.take_attempt(&name("ada"), at("192.0.2.1"), hour_later), Ok(()));
        }
    }

    #[test]
    fn the_right_password_resets_the_count() {
        let sign_in_limit = SignInLimit::new([name("ada")].into_iter());
        for origin in [at("192.0.2.1"), Origin::Device(Device::new())] {
            for _ in 0..100 {
                assert_eq!(sign_in_limit.take_attempt(&name("ada"), origin, START), Ok(()));
                sign_in_limit.succeed(&name("ada"), origin, START);
            }
        }
    }

    #[test]
    fn an_unchecked_attempt_does_not_count() {
        let sign_in_limit = SignInLimit::new([name("ada")].into_iter());
        for who in ["ada", "nobody"] {
            for _ in 0..20 {
                assert_eq!(sign_in_limit.take_attempt(&name(who), at("192.0.2.1"), START), Ok(()));
                sign_in_limit.return_attempt(&name(who), at("192.0.2.1"), START);
            }
        }
    }

    #[test]
    fn unknown_names_are_bounded_and_evict_no_user() {
        let sign_in_limit = SignInLimit::new([name("ada")].into_iter());
        // Each from a different address, like a botnet.
        let address = |n: usize| at(&format!("2001:db8:{:x}:{:x}::1", n >> 8, n & 0xff));
        for n in 0..41 {
            let tried = sign_in_limit.take_attempt(&name("ada"), address(n), START);
            assert_eq!(tried.is_ok(), n < 40);
        }
        for number in 0..MAX + 50 {
            let tried =
                sign_in_limit.take_attempt(&name(&format!("n{number}")), address(1_000 + number), START);
            assert_eq!(tried, Ok(()));
        }
        let tables = sign_in_limit.tables();
        for len in [tables.unknown.len(), tables.pairs.len(), tables.addresses.len()] {
            assert!(len <= MAX, "{len}");
        }
        drop(tables);
        assert!(sign_in_limit.take_attempt(&name("ada"), address(9_999), START).is_err());
    }
}
