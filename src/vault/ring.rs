//! Keys with an end. Each key belongs to a span of time, a *slot*, and is destroyed some time after it: then nobody can
//! open what was sealed under it, with the master key or without, in no file and no backup. One number can be forgotten
//! earlier (`tree`).
//!
//! The rules hold whichever [`KeyStore`] keeps the ring: a key is durable before its first use; each change is decided
//! on the newest version of the ring, so that of two processes that need a key for one slot both use the one that was
//! stored first, and a destroyed key or leaf never comes back.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::keys::{KeyStore, KeysError, Replaced, RingName, Version};
use super::sealed::{Keys, Sealer};
use super::tree::{Key, KeyId, Leaf, Secret};
use crate::verification::values::Timestamp;

/// Attempts to change a ring that other processes change at the same moment.
const MOST_RACES: usize = 16;

/// State of the key that something was sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    There,
    /// Destroyed after its slot, on purpose.
    Destroyed,
    /// Missing although it was not destroyed.
    Lost,
    /// Lost, and an operator has accepted that.
    LossAccepted,
}

/// A key could not be made durable, so nothing was sealed under it.
#[derive(Debug, thiserror::Error)]
#[error("no key can be stored to seal this with: {0}")]
pub struct CannotSeal(#[source] pub io::Error);

/// The keys of one kind. Reads are served from memory, changes go through the store.
pub struct Ring {
    name: RingName,
    slot: Duration,
    store: Arc<dyn KeyStore>,
    sealer: Sealer,
    cached: RwLock<Cached>,
    /// Held during a change, until it is durable.
    changing: Mutex<()>,
}

#[derive(Clone, Default)]
struct Cached {
    version: Version,
    keys: Keys,
}

/// What became of a ring in the hands of a change.
enum Edit<T> {
    /// Nothing has to be stored.
    Unneeded(T),
    Changed(T),
}

impl Ring {
    /// The ring as it is stored. Blocks.
    pub fn open(
        name: RingName,
        slot: Duration,
        store: Arc<dyn KeyStore>,
        ring_key: Secret,
    ) -> Result<Self, KeysError> {
        let sealer = Sealer::new(name, ring_key);
        let ring = Self { name, slot, store, sealer, cached: RwLock::default(), changing: Mutex::default() };
        *ring.cached.write().unwrap_or_else(PoisonError::into_inner) = ring.load()?;
        Ok(ring)
    }

    /// The secret to seal something at `at` with, and the name of its key. For the first use of a slot, and after the
    /// number was forgotten in it, a new key is made: that blocks until it is durable.
    pub fn to_seal(&self, at: Timestamp, leaf: Leaf) -> Result<(KeyId, Secret), CannotSeal> {
        let since = self.slot_of(at);
        self.catch_up();
        let found = current(&self.cached.read().unwrap_or_else(PoisonError::into_inner).keys, since, leaf);
        if let Some(key) = found
            && let Some(secret) = key.leaf(leaf)
        {
            return Ok((key.id, secret));
        }
        let key = self.change(|keys| {
            if let Some(key) = current(keys, since, leaf) {
                return Edit::Unneeded(key);
            }
            let key = Arc::new(Key::new(since));
            keys.keys.push(Arc::clone(&key));
            Edit::Changed(key)
        });
        let key = key.map_err(CannotSeal)?;
        // A current key has the leaf, and a new one has all leaves.
        let secret = key.leaf(leaf).ok_or_else(|| CannotSeal(io::ErrorKind::InvalidData.into()))?;
        Ok((key.id, secret))
    }

    /// `None`: the key is destroyed, or the number was forgotten in it.
    pub fn to_open(&self, id: KeyId, leaf: Leaf) -> Option<Secret> {
        self.catch_up();
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        let key = Arc::clone(cached.keys.keys.iter().rev().find(|key| key.id == id)?);
        drop(cached);
        key.leaf(leaf)
    }

    /// Makes the key of the next slot if that begins within `ahead` and the present slot has a key: then nobody waits
    /// for it later. Blocks.
    pub fn prepare(&self, now: Timestamp, ahead: Duration) -> Result<(), CannotSeal> {
        let (this, next) = (self.slot_of(now), self.slot_of(now + ahead));
        let has_key = |since| self.with_keys(|keys| keys.iter().any(|key| key.since == since));
        if next != this && has_key(this) && !has_key(next) {
            self.to_seal(next, Leaf::NO_NUMBER)?;
        }
        Ok(())
    }

    /// Destroys the keys of slots that ended until `before`; returns their number. Blocks.
    pub fn forget_slots(&self, before: Timestamp) -> io::Result<usize> {
        let is_over = |key: &Arc<Key>| key.since + self.slot <= before;
        self.catch_up();
        if !self.with_keys(|keys| keys.iter().any(is_over)) {
            return Ok(0);
        }
        self.change(|keys| {
            let count = keys.keys.len();
            keys.keys.retain(|key| !is_over(key));
            match count - keys.keys.len() {
                0 => Edit::Unneeded(0),
                destroyed => {
                    keys.destroyed_until = keys.destroyed_until.max(before);
                    Edit::Changed(destroyed)
                }
            }
        })
    }

    /// Destroys these leaves in these keys; returns the number of keys that still had one of them. Blocks.
    pub fn forget_leaves(&self, leaves: &[Leaf], ids: &BTreeSet<KeyId>) -> io::Result<usize> {
        self.change(|keys| {
            let mut forgotten = 0;
            for key in keys.keys.iter_mut().filter(|key| ids.contains(&key.id)) {
                let key = Arc::make_mut(key);
                let given_up = leaves.iter().filter(|&&leaf| key.give_up(leaf)).count();
                forgotten += usize::from(given_up > 0);
            }
            if forgotten > 0 { Edit::Changed(forgotten) } else { Edit::Unneeded(0) }
        })
    }

    /// State of the key with which something was sealed at `at`.
    pub fn whereabouts(&self, id: KeyId, at: Timestamp) -> Whereabouts {
        self.catch_up();
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        let (end, keys) = (self.slot_of(at) + self.slot, &cached.keys);
        if keys.keys.iter().rev().any(|key| key.id == id) {
            Whereabouts::There
        } else if end <= keys.destroyed_until {
            Whereabouts::Destroyed
        } else if end <= keys.loss_accepted_until {
            Whereabouts::LossAccepted
        } else {
            Whereabouts::Lost
        }
    }

    /// Notes that keys of the slot of `at` and of earlier ones may be missing. Blocks.
    pub fn accept_loss(&self, at: Timestamp) -> io::Result<()> {
        let end = self.slot_of(at) + self.slot;
        self.change(|keys| {
            if keys.loss_accepted_until >= end {
                return Edit::Unneeded(());
            }
            keys.loss_accepted_until = end;
            Edit::Changed(())
        })
    }

    /// The beginning of the slot of the newest key.
    pub fn newest(&self) -> Option<Timestamp> {
        self.with_keys(|keys| keys.iter().map(|key| key.since).max())
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.with_keys(<[_]>::len)
    }

    fn with_keys<T>(&self, ask: impl FnOnce(&[Arc<Key>]) -> T) -> T {
        ask(&self.cached.read().unwrap_or_else(PoisonError::into_inner).keys.keys)
    }

    /// Loads the ring where the store knows of a newer version. Where that fails the keys in memory stay in use: a key
    /// that is only in the newer version counts as removed until then.
    fn catch_up(&self) {
        let is_newest = || {
            let version = self.cached.read().unwrap_or_else(PoisonError::into_inner).version;
            self.store.known_version(self.name) <= version
        };
        if is_newest() {
            return;
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if is_newest() {
            return;
        }
        match self.load() {
            Ok(loaded) => self.publish(loaded),
            Err(error) => tracing::warn!(%error, "the newest version of the keys cannot be loaded"),
        }
    }

    fn load(&self) -> Result<Cached, KeysError> {
        let stored = self.store.load(self.name)?;
        let keys = match stored.sealed {
            None => Keys::default(),
            Some(bytes) => self
                .sealer
                .open(&bytes, stored.version)
                .ok_or_else(|| KeysError::Damaged { place: self.store.place(self.name) })?,
        };
        Ok(Cached { version: stored.version, keys })
    }

    fn publish(&self, newest: Cached) {
        *self.cached.write().unwrap_or_else(PoisonError::into_inner) = newest;
    }

    /// Decides a change on the newest version of the ring. The result is used only once the change is durable; where
    /// another process was faster, its version is loaded and the change is decided again.
    fn change<T>(&self, decide: impl Fn(&mut Keys) -> Edit<T>) -> io::Result<T> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..MOST_RACES {
            let mut next = self.cached.read().unwrap_or_else(PoisonError::into_inner).clone();
            let made = match decide(&mut next.keys) {
                Edit::Unneeded(made) => return Ok(made),
                Edit::Changed(made) => made,
            };
            let seen = next.version;
            next.version += 1;
            let sealed = self.sealer.seal(&next.keys, next.version)?;
            match self.store.replace(self.name, seen, &sealed)? {
                Replaced::Done => {
                    self.publish(next);
                    return Ok(made);
                }
                Replaced::MovedOn => self.publish(self.load().map_err(io::Error::other)?),
            }
        }
        Err(io::Error::other("other processes change the keys all the time"))
    }

    fn slot_of(&self, at: Timestamp) -> Timestamp {
        let slot = i64::try_from(self.slot.as_millis()).unwrap_or(i64::MAX).max(1);
        Timestamp::from_millis(at.as_millis() / slot * slot)
    }
}

/// The newest key of the slot that has the leaf.
fn current(keys: &Keys, since: Timestamp, leaf: Leaf) -> Option<Arc<Key>> {
    let mut candidates = keys.keys.iter().rev().filter(|key| key.since == since);
    candidates.find(|key| key.covers(leaf)).map(Arc::clone)
}

#[cfg(test)]
mod tests;
