//! A compact set of 16-byte keys that says of each key whether it may have been added. By it the store knows of a new
//! idempotency key, or of a number without other names, that sled has no row of it, also while sled is being opened again.

/// 2 MiB.
const WORDS: usize = 1 << 18;
/// With more keys the set would say "maybe" of more than 3 in 100 that were never added.
const MOST_KEYS: usize = 2_000_000;
/// Bits of one key.
const BITS: usize = 4;

pub struct Seen {
    words: Vec<u64>,
    count: usize,
    /// Whether every key that sled has a row of was added.
    is_complete: bool,
}

impl Seen {
    /// An empty set, to which the keys that sled has are yet to be added.
    pub fn new() -> Self {
        Self { words: vec![0; WORDS], count: 0, is_complete: false }
    }

    pub fn add(&mut self, key: [u8; 16]) {
        for place in places(key) {
            self.words[place / 64] |= 1 << (place % 64);
        }
        self.count += 1;
    }

    /// Whether the key was certainly never added.
    pub fn is_new(&self, key: [u8; 16]) -> bool {
        self.is_complete && places(key).any(|place| self.words[place / 64] & 1 << (place % 64) == 0)
    }

    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub fn complete(&mut self) {
        self.is_complete = true;
    }

    /// Whether there are so many keys that it has to be made again.
    pub fn is_full(&self) -> bool {
        self.count > MOST_KEYS
    }
}

/// The keys are keyed hashes, so that any of their bits will do.
fn places(key: [u8; 16]) -> impl Iterator<Item = usize> {
    (0..BITS).map(move |part| {
        let word = [key[4 * part], key[4 * part + 1], key[4 * part + 2], key[4 * part + 3]];
        u32::from_le_bytes(word) as usize % (64 * WORDS)
    })
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn a_key_that_was_added_is_never_new_and_few_others_are_doubted() {
        let (mut seen, mut rng) = (Seen::new(), StdRng::seed_from_u64(1));
        let keys: Vec<[u8; 16]> = (0..200_000).map(|_| rng.random()).collect();
        keys.iter().for_each(|&key| seen.add(key));
        assert!(!seen.is_new(rng.random()), "before it is complete everything is doubted");
        seen.complete();
        assert!(keys.iter().all(|&key| !seen.is_new(key)));
        let doubted = (0..10_000).filter(|_| !seen.is_new(rng.random())).count();
        assert!(doubted < 100, "{doubted} of 10,000");
        assert!(!seen.is_full());
    }
}
