//! Keys that can be forgotten. Each stands for a span of time, a *slot*, and dies with it: then nobody can open what was
//! sealed under it, with the master key or without, in whatever file or backup it stands.
//!
//! One number can be forgotten before its slot's key is. A key is the root of a tree (after Goldreich, Goldwasser and
//! Micali, "How to construct random functions", 1986): each node is a secret, its four children are hashes of it, and the
//! leaf at which a number's blind index ends seals what is of that number. To forget the number, the nodes on the way to
//! its leaf are given up and the children beside that way kept in their place. Everything else opens as before, and
//! nothing is sealed anew.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::file::KeyFile;
use super::{KeysError, random};
use crate::verification::values::{NumberIndex, Timestamp};

/// Names a key for ever: 64 random bits, so that none is ever named twice.
pub type KeyId = [u8; 8];
pub type Secret = Zeroizing<[u8; 32]>;

/// Steps from the root to a leaf; each takes two bits of the blind index. With 48 bits, two of ten million numbers of one
/// slot share a leaf once in six runs, and one that is forgotten takes another with it once in 28 million.
const LEVELS: u8 = 24;
const BITS: u32 = 48;

/// Where in the tree something of one number is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf(u64);

impl Leaf {
    pub const BYTES: usize = 6;
    /// What belongs to no number that is known.
    pub const NOBODYS: Self = Self(0);

    pub fn of(number: NumberIndex) -> Self {
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(&number.0[..Self::BYTES]);
        Self::from_bytes(bytes)
    }

    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes.iter().fold(0, |path, &byte| path << 8 | u64::from(byte)))
    }

    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(&self.0.to_be_bytes()[8 - Self::BYTES..]);
        bytes
    }
}

/// What was given up of a tree leaves several of these; a whole tree is its root.
#[derive(Clone)]
pub struct Node {
    /// From the root.
    pub depth: u8,
    /// The first leaf below it.
    pub first: u64,
    pub secret: Secret,
}

#[derive(Clone)]
pub struct Key {
    pub id: KeyId,
    /// When its slot begins.
    pub since: Timestamp,
    /// In order of their first leaves; no leaf is below two of them.
    pub nodes: Vec<Node>,
}

/// A key could not be made durable, so nothing was sealed under it.
#[derive(Debug, thiserror::Error)]
#[error("no key can be kept to seal this with: {0}")]
pub struct CannotSeal(#[source] pub io::Error);

/// The keys of one kind, and the file that they are kept in.
pub struct Ring {
    slot: Duration,
    /// `None`: they are not kept, for tests.
    file: Option<KeyFile>,
    keys: RwLock<Vec<Arc<Key>>>,
    /// Held by who changes them, until the change is durable.
    changing: Mutex<()>,
}

impl Ring {
    pub fn in_memory(slot: Duration) -> Self {
        Self { slot, file: None, keys: RwLock::default(), changing: Mutex::default() }
    }

    /// The keys that `path` holds; none where there is no file yet. Blocks on the disk.
    pub fn open(slot: Duration, path: PathBuf, file_key: Secret) -> Result<Self, KeysError> {
        let file = KeyFile::new(path, file_key);
        let keys = file.read()?.into_iter().map(Arc::new).collect();
        Ok(Self { slot, file: Some(file), keys: RwLock::new(keys), changing: Mutex::default() })
    }

    /// The secret to seal something of `at` with, and the name of its key. The first time in a slot, and the first time
    /// after the number was forgotten in it, a key is made, which blocks until it is durable.
    pub fn to_seal(&self, at: Timestamp, leaf: Leaf) -> Result<(KeyId, Secret), CannotSeal> {
        let since = self.slot_of(at);
        if let Some(found) = self.current(since, leaf) {
            return Ok(found);
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.current(since, leaf) {
            return Ok(found);
        }
        let key = Key::new(since);
        let secret = (key.id, key.leaf(leaf).unwrap_or_default());
        let mut keys = self.all();
        keys.push(Arc::new(key));
        self.replace(keys).map_err(CannotSeal)?;
        Ok(secret)
    }

    /// `None`: the key is destroyed, or the number was forgotten in it.
    pub fn to_open(&self, id: KeyId, leaf: Leaf) -> Option<Secret> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = Arc::clone(keys.iter().rev().find(|key| key.id == id)?);
        drop(keys);
        key.leaf(leaf)
    }

    /// Makes the key of the next slot, if that begins within `ahead` and this one has a key: so that nobody waits for
    /// it who has something to seal.
    pub fn prepare(&self, now: Timestamp, ahead: Duration) -> Result<(), CannotSeal> {
        let (this, next) = (self.slot_of(now), self.slot_of(now + ahead));
        let has_key = |since| self.all().iter().any(|key| key.since == since);
        if next != this && has_key(this) && !has_key(next) {
            self.to_seal(next, Leaf::NOBODYS)?;
        }
        Ok(())
    }

    /// Destroys the keys of slots that were over by `before`. How many there were.
    pub fn forget_slots(&self, before: Timestamp) -> io::Result<usize> {
        let is_over = |key: &Arc<Key>| key.since + self.slot <= before;
        if !self.all().iter().any(is_over) {
            return Ok(0);
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = self.all();
        let before = keys.len();
        keys.retain(|key| !is_over(key));
        let forgotten = before - keys.len();
        self.replace(keys).map(|()| forgotten)
    }

    /// Destroys what of these keys is of one number. In how many of them there was something.
    pub fn forget_number(&self, leaf: Leaf, ids: &BTreeSet<KeyId>) -> io::Result<usize> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = self.all();
        let mut forgotten = 0;
        for key in keys.iter_mut().filter(|key| ids.contains(&key.id)) {
            forgotten += usize::from(Arc::make_mut(key).give_up(leaf));
        }
        if forgotten > 0 {
            self.replace(keys)?;
        }
        Ok(forgotten)
    }

    /// Whether there is a key of this name, whatever of it was given up.
    pub fn holds(&self, id: KeyId) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).iter().any(|key| key.id == id)
    }

    /// When the slot of the newest key begins.
    pub fn newest(&self) -> Option<Timestamp> {
        self.all().iter().map(|key| key.since).max()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn current(&self, since: Timestamp, leaf: Leaf) -> Option<(KeyId, Secret)> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let candidates = keys.iter().rev().filter(|key| key.since == since);
        let key = candidates.into_iter().find(|key| key.covering(leaf).is_some())?;
        let key = Arc::clone(key);
        drop(keys);
        Some((key.id, key.leaf(leaf)?))
    }

    fn all(&self) -> Vec<Arc<Key>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Durable first, then used.
    fn replace(&self, keys: Vec<Arc<Key>>) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.write(&keys)?;
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    fn slot_of(&self, at: Timestamp) -> Timestamp {
        let slot = i64::try_from(self.slot.as_millis()).unwrap_or(i64::MAX).max(1);
        Timestamp::from_millis(at.as_millis() / slot * slot)
    }
}

impl Key {
    fn new(since: Timestamp) -> Self {
        let root = Node { depth: 0, first: 0, secret: Zeroizing::new(random()) };
        Self { id: random(), since, nodes: vec![root] }
    }

    fn covering(&self, leaf: Leaf) -> Option<usize> {
        let after = self.nodes.partition_point(|node| node.first <= leaf.0);
        let index = after.checked_sub(1)?;
        self.nodes[index].covers(leaf).then_some(index)
    }

    fn leaf(&self, leaf: Leaf) -> Option<Secret> {
        let mut node = self.nodes[self.covering(leaf)?].clone();
        while node.depth < LEVELS {
            node = node.child(node.step_to(leaf));
        }
        Some(node.secret)
    }

    /// False: it was given up before.
    fn give_up(&mut self, leaf: Leaf) -> bool {
        let Some(index) = self.covering(leaf) else { return false };
        let mut node = self.nodes.remove(index);
        let mut beside = Vec::new();
        while node.depth < LEVELS {
            let step = node.step_to(leaf);
            beside.extend((0..4).filter(|&other| other != step).map(|other| node.child(other)));
            node = node.child(step);
        }
        beside.sort_by_key(|node| node.first);
        self.nodes.splice(index..index, beside);
        true
    }
}

impl Node {
    fn covers(&self, leaf: Leaf) -> bool {
        (leaf.0 ^ self.first).checked_shr(self.bits_below()) == Some(0)
    }

    fn child(&self, step: u64) -> Self {
        let depth = self.depth + 1;
        let mut hash = Sha256::new();
        // Always as long, and within one block of SHA-256.
        hash.update(*self.secret);
        hash.update([depth, step.to_le_bytes()[0]]);
        hash.update(b"twotick node 1");
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&hash.finalize());
        let mut child = Self { depth, first: self.first, secret };
        child.first |= step << child.bits_below();
        child
    }

    /// Which child is on the way to a leaf below.
    fn step_to(&self, leaf: Leaf) -> u64 {
        leaf.0 >> (self.bits_below() - 2) & 3
    }

    fn bits_below(&self) -> u32 {
        BITS - 2 * u32::from(self.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const NOON: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn leaf(n: u64) -> Leaf {
        Leaf(n & ((1 << BITS) - 1))
    }

    #[test]
    fn a_number_that_is_given_up_takes_no_other_with_it() {
        let mut key = Key::new(NOON);
        let spread = |n: u64| leaf(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16);
        // Neighbours, both ends, and numbers all over.
        let mut all: Vec<Leaf> = (0..6).map(leaf).chain((1..=200).map(spread)).collect();
        all.push(leaf(u64::MAX));
        let before: Vec<_> = all.iter().map(|&leaf| key.leaf(leaf).unwrap()).collect();
        let given_up = [0, 3, 5, 17, 100, all.len() - 1];
        for (n, &index) in given_up.iter().enumerate() {
            assert!(key.give_up(all[index]));
            assert!(!key.give_up(all[index]), "once");
            for (other, &leaf) in all.iter().enumerate() {
                let expected = (!given_up[..=n].contains(&other)).then_some(&before[other]);
                assert_eq!(key.leaf(leaf).as_ref(), expected, "{other} after {index}");
            }
        }
        assert!(key.nodes.is_sorted_by_key(|node| node.first));
        assert!(key.nodes.len() <= given_up.len() * 72);
        let mut secrets: Vec<_> = before.iter().map(|secret| **secret).collect();
        secrets.sort_unstable();
        secrets.dedup();
        assert_eq!(secrets.len(), all.len(), "leaves differ");
    }

    #[test]
    fn a_slot_has_one_key_however_many_ask_for_it_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Ring::open(DAY, folder.path().join("keys/days"), Zeroizing::new([7; 32])).unwrap();
        let ids: BTreeSet<KeyId> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|n| {
                    scope.spawn({
                        let ring = &ring;
                        move || ring.to_seal(NOON, leaf(n)).unwrap().0
                    })
                })
                .collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        assert_eq!((ids.len(), ring.len()), (1, 1));
    }

    #[test]
    fn keys_die_with_their_slot_and_come_back_from_the_file_until_then() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Ring::open(DAY, folder.path().join("keys/days"), Zeroizing::new([7; 32])).unwrap();
        let ring = open();
        let (old, secret) = ring.to_seal(NOON, leaf(5)).unwrap();
        let (young, _) = ring.to_seal(NOON + DAY, leaf(5)).unwrap();
        assert_ne!(old, young);
        assert_eq!(open().to_open(old, leaf(5)), Some(secret.clone()));

        assert_eq!(ring.forget_number(leaf(5), &BTreeSet::from([old])).unwrap(), 1);
        let again = open();
        assert_eq!(again.to_open(old, leaf(5)), None);
        assert!(again.to_open(old, leaf(6)).is_some() && again.to_open(young, leaf(5)).is_some());
        let (anew, other) = again.to_seal(NOON, leaf(5)).unwrap();
        assert!(anew != old && other != secret, "who comes back is sealed under another key");
        assert_eq!(again.to_seal(NOON, leaf(6)).unwrap().0, anew, "which serves all from then on");

        let midnight = Timestamp::from_millis(NOON.as_millis() / 86_400_000 * 86_400_000) + DAY;
        let just_before = Timestamp::from_millis(midnight.as_millis() - 1);
        assert_eq!(again.forget_slots(just_before).unwrap(), 0);
        assert_eq!(again.forget_slots(midnight).unwrap(), 2);
        assert_eq!(open().to_open(old, leaf(6)), None);
        assert!(open().to_open(young, leaf(5)).is_some());
    }

    #[test]
    fn the_next_slot_is_prepared_only_where_this_one_is_used() {
        let ring = Ring::in_memory(DAY);
        let evening = Timestamp::from_millis(NOON.as_millis() / 86_400_000 * 86_400_000 + 86_390_000);
        ring.prepare(evening, Duration::from_secs(60)).unwrap();
        assert_eq!(ring.len(), 0);
        ring.to_seal(evening, leaf(1)).unwrap();
        ring.prepare(evening, Duration::from_secs(5)).unwrap();
        assert_eq!(ring.len(), 1, "not yet");
        for _ in 0..2 {
            ring.prepare(evening, Duration::from_secs(60)).unwrap();
            assert_eq!(ring.len(), 2);
        }
    }
}
