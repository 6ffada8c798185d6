//! The only holder of keys: derives codes, seals and opens personal data, and computes the blind index by which a
//! number is found.
//!
//! Hashes by which things are recognised for the whole life of a store come from one master key of 32 bytes. Data that
//! must be forgotten do not depend on it alone: personal data are sealed under a random key of their day, codes come
//! from a random key of their minute (`ring`). A [`KeyStore`] keeps those keys; they are destroyed in time.

mod file;
mod keys;
mod reference;
mod ring;
mod sealed;
mod tree;
pub mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rand::RngExt;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::phone::Phone;
use crate::verification::Verification;
use crate::verification::command::{CodeSource, Comparison, Jitter, Request};
use crate::verification::values::{
    Alias, KnownAs, NumberIndex, NumberTail, Report, Sealed, Timestamp, VerificationId,
};
use ring::Ring;
use tree::{Leaf, Secret};

pub use file::KeyFiles;
pub use keys::{KeyStore, KeysError, KeysInMemory, Replaced, RingName, Stored, Version};
pub use ring::{CannotSeal, Whereabouts};
pub use tree::KeyId;

/// The key length of HMAC-SHA-256 and XChaCha20.
pub const MASTER_KEY_BYTES: usize = 32;

/// The personal data of a request, sealed in one piece.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// E.164.
    pub to: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(…)")
    }
}

pub struct Vault {
    index: Hmac<Sha256>,
    tail: Hmac<Sha256>,
    fingerprint: Hmac<Sha256>,
    seal: XChaCha20Poly1305,
    key_id: [u8; KEY_ID_BYTES],
    /// Keys that seal personal data.
    days: Ring,
    /// Keys that codes come from.
    minutes: Ring,
    keys: Arc<dyn KeyStore>,
}

/// Why sealed data cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotOpen {
    /// The key was destroyed in time, or the number was forgotten.
    #[error("the sealed data have been removed")]
    Removed,
    /// Sealed under another master key, or for another place, or damaged.
    #[error("sealed data cannot be opened: another master key, or damaged")]
    Damaged,
}

/// First byte of sealed data: under the master key, for data that are opened again within minutes.
const OF_MASTER: u8 = 1;
/// Under a key of a day or a minute; its id follows.
const OF_DAY: u8 = 2;
const OF_MINUTE: u8 = 3;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
/// One leaf seals little, so random nonces of 96 bits do not collide.
const SHORT_NONCE_BYTES: usize = 12;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);
/// The longest life of a code (NIST SP 800-63B-4, 3.1.3.2), and a minute for clocks that are adjusted.
const CODE_LIFE: Duration = Duration::from_secs(11 * 60);
/// How long before its slot a key is made if the previous one is in use. Longer than the interval of the sweeps.
const AHEAD: Duration = Duration::from_secs(30);

impl Vault {
    /// A vault whose day and minute keys end with the process, so that no other vault opens what it seals. For tests.
    pub fn new(master: &[u8; MASTER_KEY_BYTES]) -> Self {
        Self::with_keys(master, Arc::new(KeysInMemory::default())).expect("memory is always readable") // its `load` cannot fail
    }

    /// A vault with the day and minute keys of `keys`. Blocks while they are loaded.
    pub fn with_keys(master: &[u8; MASTER_KEY_BYTES], keys: Arc<dyn KeyStore>) -> Result<Self, KeysError> {
        let ring = |name, slot, label| Ring::open(name, slot, Arc::clone(&keys), subkey(master, label));
        let days = ring(RingName::Days, DAY, "twotick ring of days 1")?;
        let minutes = ring(RingName::Codes, MINUTE, "twotick ring of codes 1")?;
        let seal_key = subkey(master, "twotick seal 1");
        let mut key_id = [0; KEY_ID_BYTES];
        key_id.copy_from_slice(&subkey(master, "twotick key id 1")[..KEY_ID_BYTES]);
        Ok(Self {
            index: keyed(&subkey(master, "twotick index 1")),
            tail: keyed(&subkey(master, "twotick tail 1")),
            fingerprint: keyed(&subkey(master, "twotick fingerprint 1")),
            seal: XChaCha20Poly1305::new((&*seal_key).into()),
            key_id,
            days,
            minutes,
            keys,
        })
    }

    /// The blind index of a number: deterministic, and meaningless without the master key.
    pub fn number_index(&self, phone: &Phone) -> NumberIndex {
        NumberIndex(self.number_tag(phone.as_e164()))
    }

    /// A provider's name for a person, in the form that may be stored.
    pub fn known_as(&self, alias: &Alias) -> KnownAs {
        match alias {
            Alias::Number(e164) => {
                let last_four = &e164[e164.floor_char_boundary(e164.len().saturating_sub(4))..];
                KnownAs { index: NumberIndex(self.number_tag(e164)), tail: Some(self.number_tail(last_four)) }
            }
            Alias::User(id) => {
                KnownAs { index: NumberIndex(self.fingerprint("user id", id.as_bytes())), tail: None }
            }
        }
    }

    /// A report in the form that may be stored.
    pub fn hidden_report(&self, report: Report<Alias>) -> Report {
        let Report { status, reported_at, provider_ref, reference, aliases } = report;
        let provider_ref = provider_ref.map(|reference| self.hidden_ref(reference));
        let aliases = aliases.iter().map(|alias| self.known_as(alias)).collect();
        Report { status, reported_at, provider_ref, reference, aliases }
    }

    /// The keyed hash of the last four digits of a number. `last_four` holds digits only.
    pub fn number_tail(&self, last_four: &str) -> NumberTail {
        let tag = self.tail.clone().chain_update(last_four).finalize().into_bytes();
        NumberTail(u16::from_be_bytes([tag[0], tag[1]]))
    }

    /// A keyed hash of bytes that must be recognised but not stored: an idempotency key, the body of a request.
    pub fn fingerprint(&self, domain: &'static str, bytes: &[u8]) -> [u8; 16] {
        let tag = self.fingerprint.clone().chain_update(domain).chain_update([0]).chain_update(bytes);
        first_16(tag.finalize().into_bytes().as_ref())
    }

    /// Seals a person under the key of the day on which the verification was requested.
    pub fn seal_person(&self, id: VerificationId, person: &Person) -> Result<Sealed, CannotSeal> {
        // A struct of strings always serializes, so the fallback is never taken.
        let clear = Zeroizing::new(serde_json::to_vec(person).unwrap_or_default());
        let number = NumberIndex(self.number_tag(&person.to));
        self.seal_personal(id.created_at(), Some(number), &id.to_bytes(), &clear)
    }

    pub fn open_person(&self, request: &Request) -> Result<Person, CannotOpen> {
        let clear = self.open(&request.id.to_bytes(), &request.person)?;
        serde_json::from_slice(&clear).map_err(|_| CannotOpen::Damaged)
    }

    /// The person of a verification, unless erased.
    pub fn person(&self, verification: &Verification) -> Result<Person, CannotOpen> {
        if verification.erased { Err(CannotOpen::Removed) } else { self.open_person(&verification.request) }
    }

    /// Seals the reason that a member of the staff gave at `at` for an action on this verification of `number`: such
    /// notes contain personal data.
    pub fn seal_reason(
        &self,
        id: VerificationId,
        number: NumberIndex,
        at: Timestamp,
        reason: &str,
    ) -> Result<Sealed, CannotSeal> {
        self.seal_personal(at, Some(number), &reason_place(id), reason.as_bytes())
    }

    pub fn open_reason(&self, id: VerificationId, reason: &Sealed) -> Result<String, CannotOpen> {
        let clear = self.open(&reason_place(id), reason)?;
        std::str::from_utf8(&clear).map(str::to_owned).map_err(|_| CannotOpen::Damaged)
    }

    /// The source of a derived code. The code cannot be derived any more once the key of its minute is destroyed.
    pub fn new_code(&self, id: VerificationId) -> Result<CodeSource, CannotSeal> {
        let (key, _) = self.minutes.to_seal(id.created_at(), Leaf::NO_NUMBER)?;
        let salt = [&[OF_MINUTE][..], &key, &random::<SALT_BYTES>()].concat();
        Ok(CodeSource::Derived { salt: Sealed(salt.into()) })
    }

    pub fn custom_code(&self, id: VerificationId, code: &str) -> Result<CodeSource, CannotSeal> {
        let (key, secret) = self.minutes.to_seal(id.created_at(), Leaf::NO_NUMBER)?;
        let place = code_place(id);
        let code = seal_short(OF_MINUTE, key, Leaf::NO_NUMBER, &secret, &place, code.as_bytes());
        Ok(CodeSource::Custom { code })
    }

    /// The code of a verification. `length`, 6 to 10 digits, is that of the policy and applies to derived codes.
    pub fn code(&self, request: &Request, length: u8) -> Result<SecretString, CannotOpen> {
        match &request.code {
            CodeSource::Derived { salt } => self.derived_code(request.id, &salt.0, length),
            CodeSource::Custom { code } => {
                let clear = self.open(&code_place(request.id), code)?;
                std::str::from_utf8(&clear).map(SecretString::from).map_err(|_| CannotOpen::Damaged)
            }
        }
    }

    /// Compares a typed code in a time that does not depend on how much of it is right.
    pub fn compare(code: &SecretString, typed: &str) -> Comparison {
        // Hashes of both sides have one length, so the time does not show the length of the code either.
        let key = random::<32>();
        let tag = |text: &str| keyed(&key).chain_update(text).finalize().into_bytes();
        if tag(code.expose_secret()).ct_eq(&tag(typed)).into() {
            Comparison::Match
        } else {
            Comparison::Differ
        }
    }

    /// Seals personal data for one place under the key of the day of `at`. With a `number`, forgetting the number
    /// destroys the means to open them. Blocks when the first key of a day is made.
    pub fn seal_personal(
        &self,
        at: Timestamp,
        number: Option<NumberIndex>,
        place: &[u8],
        clear: &[u8],
    ) -> Result<Sealed, CannotSeal> {
        let leaf = number.map_or(Leaf::NO_NUMBER, Leaf::of);
        let (key, secret) = self.days.to_seal(at, leaf)?;
        Ok(seal_short(OF_DAY, key, leaf, &secret, place, clear))
    }

    /// Seals `clear` under the master key for one place; it opens nowhere else. Not for data that must be forgotten.
    pub fn seal(&self, place: &[u8], clear: &[u8]) -> Sealed {
        let nonce = random::<NONCE_BYTES>();
        let payload = Payload { msg: clear, aad: place };
        // XChaCha20-Poly1305 refuses only messages over 256 GiB, so the fallback is never taken.
        let secret = self.seal.encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        let mut sealed = Vec::with_capacity(HEADER_BYTES + secret.len());
        sealed.push(OF_MASTER);
        sealed.extend_from_slice(&self.key_id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&secret);
        Sealed(sealed.into())
    }

    pub fn open(&self, place: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        match sealed.0.first() {
            Some(&OF_DAY) => open_short(&self.days, place, sealed),
            Some(&OF_MINUTE) => open_short(&self.minutes, place, sealed),
            Some(_) | None => self.open_of_master(place, sealed),
        }
    }

    fn open_of_master(&self, place: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (header, secret) = sealed.0.split_at_checked(HEADER_BYTES).ok_or(CannotOpen::Damaged)?;
        if header[0] != OF_MASTER || header[1..=KEY_ID_BYTES] != self.key_id {
            return Err(CannotOpen::Damaged);
        }
        let nonce =
            <[u8; NONCE_BYTES]>::try_from(&header[1 + KEY_ID_BYTES..]).map_err(|_| CannotOpen::Damaged)?;
        let payload = Payload { msg: secret, aad: place };
        let clear = self.seal.decrypt(&XNonce::from(nonce), payload);
        clear.map(Zeroizing::new).map_err(|_| CannotOpen::Damaged)
    }

    /// Makes the keys of the next minute and day shortly before they are needed, if the present ones are in use.
    /// Blocks.
    pub fn prepare(&self, now: Timestamp) -> Result<(), CannotSeal> {
        self.minutes.prepare(now, AHEAD)?;
        self.days.prepare(now, AHEAD)
    }

    /// Destroys the minute keys whose codes have all expired by `now`; returns their number. Blocks.
    pub fn forget_codes(&self, now: Timestamp) -> io::Result<usize> {
        self.minutes.forget_slots(now - CODE_LIFE)
    }

    /// Destroys the keys of the days that ended until `before`; returns their number. Data sealed on those days cannot
    /// be opened any more, in no file and no backup. Blocks.
    pub fn forget_days(&self, before: Timestamp) -> io::Result<usize> {
        self.days.forget_slots(before)
    }

    /// Destroys the leaves of a person in these day keys; `names` are all blind indexes of the person. Data sealed for
    /// them cannot be opened any more, in no file and no backup. Returns the number of keys that had such a leaf.
    /// Blocks.
    pub fn forget_person(&self, names: &[NumberIndex], keys: &BTreeSet<KeyId>) -> io::Result<usize> {
        let leaves: Vec<Leaf> = names.iter().map(|&name| Leaf::of(name)).collect();
        self.days.forget_leaves(&leaves, keys)
    }

    /// The day key of sealed personal data; `None` for data under another kind of key.
    pub fn day_key_of(sealed: &Sealed) -> Option<KeyId> {
        let rest = sealed.0.strip_prefix(&[OF_DAY])?;
        rest.first_chunk().copied()
    }

    /// State of the key that sealed something at `at`. The master key is always there.
    pub fn whereabouts(&self, sealed: &Sealed, at: Timestamp) -> Whereabouts {
        let ring = match sealed.0.first() {
            Some(&OF_DAY) => &self.days,
            Some(&OF_MINUTE) => &self.minutes,
            Some(_) | None => return Whereabouts::There,
        };
        // Data too short for a key id are damaged, which opening them reports.
        sealed
            .0
            .get(1..)
            .and_then(<[u8]>::first_chunk)
            .map_or(Whereabouts::There, |&id| ring.whereabouts(id, at))
    }

    /// State of the keys that a pending verification needs: of its number, then of its code.
    pub fn whereabouts_of(&self, request: &Request) -> [Whereabouts; 2] {
        let (CodeSource::Derived { salt: code } | CodeSource::Custom { code }) = &request.code;
        [&request.person, code].map(|sealed| self.whereabouts(sealed, request.id.created_at()))
    }

    /// Notes that an operator accepts missing keys for data sealed until `at`. Blocks.
    pub fn accept_loss(&self, at: Timestamp) -> io::Result<()> {
        self.days.accept_loss(at)?;
        self.minutes.accept_loss(at)
    }

    /// The number of day keys, and the beginning of the newest day with a key.
    pub fn days(&self) -> (usize, Option<Timestamp>) {
        (self.days.len(), self.days.newest())
    }

    /// Notes that a server runs with these keys, even if it seals nothing. Writes at most once an hour. Blocks.
    pub fn note_use(&self, now: Timestamp) -> io::Result<()> {
        self.keys.note_use(now)
    }

    /// When a server last ran with these keys, as far as known. Blocks.
    pub fn last_use(&self) -> Option<Timestamp> {
        self.keys.last_use().max(self.days.newest())
    }

    /// The id of the master key, which reveals nothing about it. The store keeps it to notice a wrong key.
    pub fn key_id(&self) -> [u8; KEY_ID_BYTES] {
        self.key_id
    }

    fn number_tag(&self, e164: &str) -> [u8; 16] {
        first_16(self.index.clone().chain_update(e164).finalize().into_bytes().as_ref())
    }

    fn derived_code(&self, id: VerificationId, salt: &[u8], length: u8) -> Result<SecretString, CannotOpen> {
        let (key, salt) = salt
            .strip_prefix(&[OF_MINUTE])
            .and_then(|rest| rest.split_first_chunk())
            .ok_or(CannotOpen::Damaged)?;
        let secret = self.minutes.to_open(*key, Leaf::NO_NUMBER).ok_or(CannotOpen::Removed)?;
        Ok(derive_code(&keyed(&subkey(&secret, "twotick code 1")), id, salt, length))
    }
}

const SALT_BYTES: usize = 16;

fn derive_code(key: &Hmac<Sha256>, id: VerificationId, salt: &[u8], length: u8) -> SecretString {
    let tag = key.clone().chain_update(id.to_bytes()).chain_update(salt).finalize().into_bytes();
    // 128 bits are reduced to at most 10 digits: the bias of a digit is below 2⁻⁹⁰.
    let number = u128::from_be_bytes(first_16(tag.as_ref())) % 10_u128.pow(u32::from(length));
    SecretString::from(format!("{number:0width$}", width = usize::from(length)))
}

/// Layout: one byte of kind, the id of the key, the leaf, the nonce, the ciphertext.
fn seal_short(kind: u8, key: KeyId, leaf: Leaf, secret: &Secret, place: &[u8], clear: &[u8]) -> Sealed {
    let nonce = random::<SHORT_NONCE_BYTES>();
    let cipher = ChaCha20Poly1305::new((&*subkey(secret, "twotick seal of leaf 1")).into());
    // ChaCha20-Poly1305 refuses only messages over 256 GiB, so the fallback is never taken.
    let payload = Payload { msg: clear, aad: place };
    let secret = cipher.encrypt(&Nonce::from(nonce), payload).unwrap_or_default();
    Sealed([&[kind][..], &key, &leaf.to_bytes(), &nonce, &secret].concat().into())
}

fn open_short(ring: &Ring, place: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
    let parts = || {
        let (key, rest) = sealed.0.get(1..)?.split_first_chunk()?;
        let (leaf, rest) = rest.split_first_chunk::<{ Leaf::BYTES }>()?;
        let (nonce, secret) = rest.split_first_chunk::<SHORT_NONCE_BYTES>()?;
        Some((*key, Leaf::from_bytes(*leaf), *nonce, secret))
    };
    let (key, leaf, nonce, secret) = parts().ok_or(CannotOpen::Damaged)?;
    let leaf_secret = ring.to_open(key, leaf).ok_or(CannotOpen::Removed)?;
    let cipher = ChaCha20Poly1305::new((&*subkey(&leaf_secret, "twotick seal of leaf 1")).into());
    let payload = Payload { msg: secret, aad: place };
    let clear = cipher.decrypt(&Nonce::from(nonce), payload);
    clear.map(Zeroizing::new).map_err(|_| CannotOpen::Damaged)
}

/// A new master key, from the operating system's generator.
pub fn new_master_key() -> Zeroizing<[u8; MASTER_KEY_BYTES]> {
    Zeroizing::new(random())
}

/// A bearer token of 256 random bits, for a session or a sign-in in progress.
pub fn new_token() -> Zeroizing<[u8; 32]> {
    Zeroizing::new(random())
}

/// The random bits of a new verification's id.
pub fn id_bits() -> u64 {
    u64::from_be_bytes(random())
}

pub fn jitter() -> Jitter {
    #[expect(clippy::disallowed_methods, reason = "the vault is the source of randomness")]
    let share = rand::rng().random_range(0..=1_000_u16);
    Jitter::thousandths(share)
}

#[expect(clippy::disallowed_methods, reason = "the vault is the source of randomness")]
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill(&mut bytes[..]);
    bytes
}

/// A custom code is sealed for a place of its own, apart from the person.
fn code_place(id: VerificationId) -> [u8; 17] {
    let mut place = [b'c'; 17];
    place[1..].copy_from_slice(&id.to_bytes());
    place
}

/// One place for the timeline and the audit log, which hold the same bytes.
fn reason_place(id: VerificationId) -> [u8; 17] {
    let mut place = [b'r'; 17];
    place[1..].copy_from_slice(&id.to_bytes());
    place
}

fn subkey(master: &[u8; MASTER_KEY_BYTES], label: &str) -> Zeroizing<[u8; 32]> {
    let mut tag = keyed(master).chain_update(label).finalize().into_bytes();
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&tag);
    tag.as_mut_slice().zeroize();
    key
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length") // RFC 2104, section 3
}

fn first_16(bytes: &[u8]) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&bytes[..16]);
    first
}

#[cfg(test)]
mod tests;
