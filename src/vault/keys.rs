//! Storage of the vault's key rings, behind a seam: the vault seals a ring whole and a [`KeyStore`] keeps the sealed
//! bytes under a version. Every change of a ring (a new key, a destroyed key, a number's leaf given up) is one
//! [`KeyStore::replace`]. So a backend cannot mix up keys, and two processes that change one ring at the same time
//! cannot undo each other's change.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::verification::values::Timestamp;

/// The key rings of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingName {
    /// Keys that seal personal data, one a day.
    Days,
    /// Keys that codes come from, one a minute.
    Codes,
}

impl RingName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Days => "days",
            Self::Codes => "codes",
        }
    }
}

/// Counts the changes of a ring; 0 before the first one.
pub type Version = u64;

/// A ring as it is stored: bytes that only the vault can open. Without bytes nothing was stored yet.
#[derive(Clone, Default)]
pub struct Stored {
    pub version: Version,
    pub sealed: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The ring has the version after the one that was given.
    Done,
    /// Another process has changed the ring. Nothing was written: load it and decide again.
    MovedOn,
}

/// Why the keys cannot be used. Nothing starts then, because what they sealed cannot be read without them.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("the keys in {place} cannot be read: {source}")]
    Unreadable { place: String, source: io::Error },
    #[error(
        "the keys in {place} are damaged, or were sealed with another master key. Put back the newest copy. \
         Without any, move the file away and run `twotick serve --accept-lost-keys`: the numbers and texts that \
         they sealed stay unreadable"
    )]
    Damaged { place: String },
}

/// Keeps the rings of one installation. Methods block unless they say otherwise.
pub trait KeyStore: Send + Sync {
    /// The ring as it is stored now.
    fn load(&self, ring: RingName) -> Result<Stored, KeysError>;

    /// Replaces the ring if its version is still `seen`. The new bytes are durable, whole or not at all, when this
    /// returns `Done`; the version is `seen + 1` then. The bytes before are destroyed as far as the medium allows: the
    /// keys that they held must not come back. After an error either version may be the stored one.
    fn replace(&self, ring: RingName, seen: Version, sealed: &[u8]) -> io::Result<Replaced>;

    /// The newest version that this process knows of. Never blocks: it is asked each time a key is used. A backend that
    /// several processes share learns versions in the background and bounds the delay.
    fn known_version(&self, ring: RingName) -> Version;

    /// Where the ring is stored, for error messages.
    fn place(&self, ring: RingName) -> String;

    /// Notes that a server runs with these keys at `now`. May write at most once an hour.
    fn note_use(&self, now: Timestamp) -> io::Result<()>;

    /// When a server last ran with these keys. `None` where that is unknown.
    fn last_use(&self) -> Option<Timestamp>;
}

/// Keys that end with the process. For tests and the demo of a vault without a data folder.
#[derive(Default)]
pub struct KeysInMemory {
    rings: [Mutex<Stored>; 2],
}

impl KeysInMemory {
    fn ring(&self, ring: RingName) -> std::sync::MutexGuard<'_, Stored> {
        let index = match ring {
            RingName::Days => 0,
            RingName::Codes => 1,
        };
        self.rings[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyStore for KeysInMemory {
    fn load(&self, ring: RingName) -> Result<Stored, KeysError> {
        Ok(self.ring(ring).clone())
    }

    fn replace(&self, ring: RingName, seen: Version, sealed: &[u8]) -> io::Result<Replaced> {
        let mut stored = self.ring(ring);
        if stored.version != seen {
            return Ok(Replaced::MovedOn);
        }
        *stored = Stored { version: seen + 1, sealed: Some(sealed.to_vec()) };
        Ok(Replaced::Done)
    }

    fn known_version(&self, ring: RingName) -> Version {
        self.ring(ring).version
    }

    fn place(&self, _: RingName) -> String {
        "memory".to_owned()
    }

    fn note_use(&self, _: Timestamp) -> io::Result<()> {
        Ok(())
    }

    fn last_use(&self) -> Option<Timestamp> {
        None
    }
}
