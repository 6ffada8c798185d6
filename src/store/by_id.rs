//! A map by verification, for the store's thread: one report looks into such maps a dozen times.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::verification::values::VerificationId;

pub type ById<T> = HashMap<VerificationId, T, BuildHasherDefault<IdHasher>>;

/// Only ids that we made ourselves become keys, and 56 bits of each are random: to spread them over the word is
/// enough. The default hasher, made to withstand chosen keys, took a tenth of what the thread executes.
#[derive(Default)]
pub struct IdHasher(u64);

/// An odd number whose bits follow no pattern: 2⁶⁴ over the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn write_u128(&mut self, id: u128) {
        let product = u128::from((id >> 64) as u64 ^ id as u64) * u128::from(SPREAD);
        // Its high half depends on the factor's high bits, its low half on the low ones.
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u128(u128::from(self.0) << 8 | u128::from(byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;
    use crate::verification::values::{Bucket, Timestamp};

    #[test]
    fn ids_of_one_millisecond_fall_into_different_places() {
        let hasher = BuildHasherDefault::<IdHasher>::default();
        let at = Timestamp::from_millis(1_795_000_000_000);
        for shift in [0, 8, 24, 40] {
            let hashes = (0..4_096_u64)
                .map(|n| hasher.hash_one(VerificationId::new(at, Bucket::new((n % 7) as u16), n << shift)));
            let places: HashSet<u64> = hashes.map(|hash| hash % 16_384).collect();
            assert!(
                places.len() > 3_000,
                "{} of 4096 places when ids differ from bit {shift} on",
                places.len()
            );
        }
    }
}
