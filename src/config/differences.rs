//! Differences between two configurations that one process has loaded.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::LazyLock;

use super::{Loaded, Shown};

/// Detects changed secrets: their hashes under a random key that ends with the process.
#[derive(Clone, Default)]
pub(super) struct Fingerprints(BTreeMap<String, u64>);

impl Fingerprints {
    pub(super) fn note(&mut self, key: &str, secret: &str) {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        self.0.insert(key.to_owned(), KEY.hash_one(secret));
    }
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Loaded {
    /// Keys whose values differ, or that only one of the two has.
    pub fn differences(&self, new: &Self) -> BTreeSet<String> {
        let values = |loaded: &Self| -> BTreeMap<String, (String, Option<u64>)> {
            let shown = loaded.effective.iter().map(|shown| {
                let fingerprint = loaded.fingerprints.0.get(&shown.key).copied();
                (shown.key.clone(), (shown.value.to_string(), fingerprint))
            });
            shown.collect()
        };
        let (old, new) = (values(self), values(new));
        old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
    }

    /// Takes over `new`'s values of the keys that `is_taken` selects, for later comparisons.
    pub fn take_over(&mut self, new: &Self, is_taken: impl Fn(&String) -> bool) {
        let kept = |shown: &Shown| !is_taken(&shown.key);
        self.effective.retain(kept);
        self.effective.extend(new.effective.iter().filter(|shown| !kept(shown)).cloned());
        self.fingerprints.0.retain(|key, _| !is_taken(key));
        let taken = new.fingerprints.0.iter().filter(|(key, _)| is_taken(key));
        self.fingerprints.0.extend(taken.map(|(key, fingerprint)| (key.clone(), *fingerprint)));
    }
}
