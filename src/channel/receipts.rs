//! Replay protection for providers that give each delivery a unique name.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::verification::values::Timestamp;

/// The bound on remembered receipts; the oldest are evicted. Only authenticated deliveries count: 100 a second make
/// 60,000 in the ten minutes for which a signature time is accepted (5 minutes either way). About 10 MB.
const MAX: usize = 100_000;

/// Identifies one signed delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt {
    /// The end of the time in which its signature is accepted; it need not be remembered longer.
    until: Timestamp,
    name: [u8; 16],
}

impl Receipt {
    /// `name` may have any length.
    pub fn new(name: &[u8], until: Timestamp) -> Self {
        let digest: [u8; 32] = Sha256::digest(name).into();
        let mut name = [0; 16];
        name.copy_from_slice(&digest[..16]);
        Self { until, name }
    }
}

/// The receipts of a channel's stored deliveries, in memory only. After a restart a delivery may be accepted a second
/// time within its signature's validity, which is harmless: a repeated report changes nothing.
#[derive(Default)]
pub struct Receipts(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    /// In order of expiry.
    by_end: BTreeSet<Receipt>,
    names: HashSet<[u8; 16]>,
}

impl Receipts {
    pub fn has(&self, receipt: &Receipt) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).names.contains(&receipt.name)
    }

    pub fn remember(&self, receipt: Receipt, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.names.insert(receipt.name) {
            known.by_end.insert(receipt);
        }
        while known.by_end.first().is_some_and(|first| first.until < now || known.by_end.len() > MAX) {
            if let Some(first) = known.by_end.pop_first() {
                known.names.remove(&first.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    #[test]
    fn a_receipt_is_remembered_until_it_expires() {
        let receipts = Receipts::default();
        let one = Receipt::new(b"one", at(300));
        assert!(!receipts.has(&one));
        receipts.remember(one, at(0));
        assert!(receipts.has(&one));
        assert!(receipts.has(&Receipt::new(b"one", at(900))), "the name counts, whatever time comes with it");
        receipts.remember(Receipt::new(b"two", at(600)), at(300));
        assert!(receipts.has(&one));
        receipts.remember(Receipt::new(b"three", at(601)), at(301));
        assert!(!receipts.has(&one));
        assert!(receipts.has(&Receipt::new(b"two", at(600))));
    }

    #[test]
    fn the_memory_is_bounded() {
        let receipts = Receipts::default();
        let name = |n: usize| Receipt::new(&n.to_le_bytes(), at(300 + n as i64));
        (0..=MAX).for_each(|n| receipts.remember(name(n), at(0)));
        assert!(!receipts.has(&name(0)), "the oldest made room");
        assert!(receipts.has(&name(1)) && receipts.has(&name(MAX)));
        assert_eq!(receipts.0.lock().unwrap().by_end.len(), MAX);
    }
}
