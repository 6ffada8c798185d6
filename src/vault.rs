//! The only holder of keys: derives codes, seals and opens what is personal, and makes the blind index by which a
//! number is found.
//!
//! What is found and recognised for as long as the store stands comes from one master key of 32 bytes. What must be
//! forgotten does not: personal data are sealed under random keys of their day, codes come from random keys of their
//! minute (`ring`), and those are kept beside the store (`file`) and destroyed in time.

mod file;
mod last_use;
mod reference;
mod ring;
pub mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;
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
use last_use::LastUse;
use ring::{Leaf, Ring, Secret};

pub use file::KeysError;
pub use ring::{CannotSeal, KeyId, Whereabouts};

/// 32 bytes: what HMAC-SHA-256 and XChaCha20 take whole.
pub const MASTER_KEY_BYTES: usize = 32;

/// What a request says about a person, sealed as one.
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
    code: Hmac<Sha256>,
    index: Hmac<Sha256>,
    tail: Hmac<Sha256>,
    fingerprint: Hmac<Sha256>,
    seal: XChaCha20Poly1305,
    key_id: [u8; KEY_ID_BYTES],
    /// What personal data are sealed under.
    days: Ring,
    /// What codes come from.
    minutes: Ring,
    /// Says when they were last in use.
    last_use: LastUse,
}

/// Why a record stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotOpen {
    /// Its key was destroyed, as it should be, or the number was forgotten.
    #[error("what was sealed has been removed")]
    Removed,
    /// It was sealed by another key, or it is damaged, or it stands in another place than the one it was sealed for.
    #[error("sealed data cannot be opened: another master key, or damaged")]
    Damaged,
}

/// Under the master key: what is opened again in a short while, and all that was sealed before there were keys of a
/// day.
const OF_MASTER: u8 = 1;
/// Under a key of a day or a minute, which the header names.
const OF_DAY: u8 = 2;
const OF_MINUTE: u8 = 3;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
/// Under a key of one leaf little is sealed, so random nonces of 96 bits do not meet.
const SHORT_NONCE_BYTES: usize = 12;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);
/// The longest that a code is good (NIST SP 800-63B-4, 3.1.3.2), and a minute for clocks that are set.
const CODE_LIFE: Duration = Duration::from_secs(11 * 60);
/// How long before its slot a key is made where the one before is in use. Longer than the sweeps' pace.
const AHEAD: Duration = Duration::from_secs(30);

impl Vault {
    /// One that keeps no keys but the master key: what it seals no other opens. For tests.
    pub fn new(master: &[u8; MASTER_KEY_BYTES]) -> Self {
        Self::with(master, Ring::in_memory(DAY), Ring::in_memory(MINUTE), LastUse::nowhere())
    }

    /// With the keys that `folder` holds; it is made with the first of them. Blocks on the disk.
    pub fn with_keys(master: &[u8; MASTER_KEY_BYTES], folder: &Path) -> Result<Self, KeysError> {
        let days = Ring::open(DAY, folder.join("days"), subkey(master, "twotick days file 1"))?;
        let minutes = Ring::open(MINUTE, folder.join("codes"), subkey(master, "twotick codes file 1"))?;
        Ok(Self::with(master, days, minutes, LastUse::in_file(folder.join("used"))))
    }

    fn with(master: &[u8; MASTER_KEY_BYTES], days: Ring, minutes: Ring, last_use: LastUse) -> Self {
        let seal_key = subkey(master, "twotick seal 1");
        let mut key_id = [0; KEY_ID_BYTES];
        key_id.copy_from_slice(&subkey(master, "twotick key id 1")[..KEY_ID_BYTES]);
        Self {
            code: keyed(&subkey(master, "twotick code 1")),
            index: keyed(&subkey(master, "twotick index 1")),
            tail: keyed(&subkey(master, "twotick tail 1")),
            fingerprint: keyed(&subkey(master, "twotick fingerprint 1")),
            seal: XChaCha20Poly1305::new((&*seal_key).into()),
            key_id,
            days,
            minutes,
            last_use,
        }
    }

    /// The blind index of a number: the same for the same number, and meaningless without the key.
    pub fn number_index(&self, phone: &Phone) -> NumberIndex {
        NumberIndex(self.number_tag(phone.as_e164()))
    }

    /// What a provider calls a person, as the store may know it.
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

    /// A report as the store may know it.
    pub fn hidden_report(&self, report: Report<Alias>) -> Report {
        let Report { status, reported_at, provider_ref, reference, aliases } = report;
        let provider_ref = provider_ref.map(|reference| self.hidden_ref(reference));
        let aliases = aliases.iter().map(|alias| self.known_as(alias)).collect();
        Report { status, reported_at, provider_ref, reference, aliases }
    }

    /// The keyed hash of the last four digits of a number, given as digits only.
    pub fn number_tail(&self, last_four: &str) -> NumberTail {
        let tag = self.tail.clone().chain_update(last_four).finalize().into_bytes();
        NumberTail(u16::from_be_bytes([tag[0], tag[1]]))
    }

    /// A keyed hash of bytes that must be recognised but not kept: an idempotency key, a request's body.
    pub fn fingerprint(&self, domain: &'static str, bytes: &[u8]) -> [u8; 16] {
        let tag = self.fingerprint.clone().chain_update(domain).chain_update([0]).chain_update(bytes);
        first_16(tag.finalize().into_bytes().as_ref())
    }

    /// Under the key of the day on which the verification was requested.
    pub fn seal_person(&self, id: VerificationId, person: &Person) -> Result<Sealed, CannotSeal> {
        // A struct of strings has no part that cannot be written, so the fallback is never taken.
        let clear = Zeroizing::new(serde_json::to_vec(person).unwrap_or_default());
        let number = NumberIndex(self.number_tag(&person.to));
        self.seal_personal(id.created_at(), Some(number), &id.to_bytes(), &clear)
    }

    pub fn open_person(&self, request: &Request) -> Result<Person, CannotOpen> {
        let clear = self.open(&request.id.to_bytes(), &request.person)?;
        serde_json::from_slice(&clear).map_err(|_| CannotOpen::Damaged)
    }

    /// What there still is of the person.
    pub fn person(&self, verification: &Verification) -> Result<Person, CannotOpen> {
        if verification.erased { Err(CannotOpen::Removed) } else { self.open_person(&verification.request) }
    }

    /// Why a person of the staff did something at `at` to this verification of `number`. Sealed, because what people
    /// write down about callers is personal.
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

    /// A source for a code of our own making: it dies with the key of its minute.
    pub fn new_code(&self, id: VerificationId) -> Result<CodeSource, CannotSeal> {
        let (key, _) = self.minutes.to_seal(id.created_at(), Leaf::NOBODYS)?;
        let salt = [&[OF_MINUTE][..], &key, &random::<SALT_BYTES>()].concat();
        Ok(CodeSource::Derived { salt: Sealed(salt.into()) })
    }

    pub fn custom_code(&self, id: VerificationId, code: &str) -> Result<CodeSource, CannotSeal> {
        let (key, secret) = self.minutes.to_seal(id.created_at(), Leaf::NOBODYS)?;
        let place = code_place(id);
        let code = seal_short(OF_MINUTE, key, Leaf::NOBODYS, &secret, &place, code.as_bytes());
        Ok(CodeSource::Custom { code })
    }

    /// The code of a verification. `length` is the policy's, 6 to 10 digits, and only used for a derived one.
    pub fn code(&self, request: &Request, length: u8) -> Result<SecretString, CannotOpen> {
        match &request.code {
            CodeSource::Derived { salt } => self.derived_code(request.id, &salt.0, length),
            CodeSource::Custom { code } => {
                let clear = self.open(&code_place(request.id), code)?;
                std::str::from_utf8(&clear).map(SecretString::from).map_err(|_| CannotOpen::Damaged)
            }
        }
    }

    /// Compares what was typed in a time that does not depend on how much of it is right.
    pub fn compare(code: &SecretString, typed: &str) -> Comparison {
        // Of both sides a hash of one length, so that not even the code's length shows.
        let key = random::<32>();
        let tag = |text: &str| keyed(&key).chain_update(text).finalize().into_bytes();
        if tag(code.expose_secret()).ct_eq(&tag(typed)).into() {
            Comparison::Match
        } else {
            Comparison::Differ
        }
    }

    /// Seals what is personal for one place, under the key of the day of `at`, and so that all that is of one number
    /// can be forgotten at once.
    pub fn seal_personal(
        &self,
        at: Timestamp,
        number: Option<NumberIndex>,
        place: &[u8],
        clear: &[u8],
    ) -> Result<Sealed, CannotSeal> {
        let leaf = number.map_or(Leaf::NOBODYS, Leaf::of);
        let (key, secret) = self.days.to_seal(at, leaf)?;
        Ok(seal_short(OF_DAY, key, leaf, &secret, place, clear))
    }

    /// Seals `clear` under the master key for one place; it opens nowhere else. Not for what must be forgotten.
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

    /// Makes the keys of the next minute and day shortly before they are needed, where things are being sealed. Blocks
    /// on the disk.
    pub fn prepare(&self, now: Timestamp) -> Result<(), CannotSeal> {
        self.minutes.prepare(now, AHEAD)?;
        self.days.prepare(now, AHEAD)
    }

    /// Destroys what codes came from that have all ended by `now`. How many keys went. Blocks on the disk.
    pub fn forget_codes(&self, now: Timestamp) -> io::Result<usize> {
        self.minutes.forget_slots(now - CODE_LIFE)
    }

    /// Destroys the keys of the days that were over by `before`: what was sealed on them is lost in every file and
    /// backup. How many went. Blocks on the disk.
    pub fn forget_days(&self, before: Timestamp) -> io::Result<usize> {
        self.days.forget_slots(before)
    }

    /// Destroys what of these keys is of one person, by each name: what was sealed for it under them is lost in every
    /// file and backup. In how many there was something. Blocks on the disk.
    pub fn forget_person(&self, names: &[NumberIndex], keys: &BTreeSet<KeyId>) -> io::Result<usize> {
        let leaves: Vec<Leaf> = names.iter().map(|&name| Leaf::of(name)).collect();
        self.days.forget_leaves(&leaves, keys)
    }

    /// The day's key that something personal is sealed under; `None` of what the master key sealed.
    pub fn day_key_of(sealed: &Sealed) -> Option<KeyId> {
        let rest = sealed.0.strip_prefix(&[OF_DAY])?;
        rest.first_chunk().copied()
    }

    /// What is known of the key that sealed something at `at`. What the master key sealed needs no other.
    pub fn whereabouts(&self, sealed: &Sealed, at: Timestamp) -> Whereabouts {
        let ring = match sealed.0.first() {
            Some(&OF_DAY) => &self.days,
            Some(&OF_MINUTE) if sealed.0.len() > SALT_BYTES => &self.minutes,
            Some(_) | None => return Whereabouts::There,
        };
        // What is too short to name a key is damaged, which is found where it is opened.
        sealed
            .0
            .get(1..)
            .and_then(<[u8]>::first_chunk)
            .map_or(Whereabouts::There, |&id| ring.whereabouts(id, at))
    }

    /// The same of what a verification cannot go on without: its number, then its code.
    pub fn whereabouts_of(&self, request: &Request) -> [Whereabouts; 2] {
        let (CodeSource::Derived { salt: code } | CodeSource::Custom { code }) = &request.code;
        [&request.person, code].map(|sealed| self.whereabouts(sealed, request.id.created_at()))
    }

    /// Notes that what was sealed at `at` and before may lack its key. Blocks on the disk.
    pub fn accept_loss(&self, at: Timestamp) -> io::Result<()> {
        self.days.accept_loss(at)?;
        self.minutes.accept_loss(at)
    }

    /// How many days have a key, and when the youngest of them began.
    pub fn days(&self) -> (usize, Option<Timestamp>) {
        (self.days.len(), self.days.newest())
    }

    /// Notes that a server runs with these keys, whether it has something to seal or not. Writes once an hour. Blocks on
    /// the disk.
    pub fn note_use(&self, now: Timestamp) -> io::Result<()> {
        self.last_use.note(now)
    }

    /// When a server last ran with these keys, as far as anything tells. Blocks on the disk.
    pub fn last_use(&self) -> Option<Timestamp> {
        self.last_use.read().max(self.days.newest())
    }

    /// Names the master key without telling anything about it; kept in the store, so that a wrong key is noticed.
    pub fn key_id(&self) -> [u8; KEY_ID_BYTES] {
        self.key_id
    }

    fn number_tag(&self, e164: &str) -> [u8; 16] {
        first_16(self.index.clone().chain_update(e164).finalize().into_bytes().as_ref())
    }

    fn derived_code(&self, id: VerificationId, salt: &[u8], length: u8) -> Result<SecretString, CannotOpen> {
        if salt.len() == SALT_BYTES {
            // Of before there were keys of a minute.
            return Ok(derive_code(&self.code, id, salt, length));
        }
        let (key, salt) = salt
            .strip_prefix(&[OF_MINUTE])
            .and_then(|rest| rest.split_first_chunk())
            .ok_or(CannotOpen::Damaged)?;
        let secret = self.minutes.to_open(*key, Leaf::NOBODYS).ok_or(CannotOpen::Removed)?;
        Ok(derive_code(&keyed(&subkey(&secret, "twotick code 2")), id, salt, length))
    }
}

const SALT_BYTES: usize = 16;

fn derive_code(key: &Hmac<Sha256>, id: VerificationId, salt: &[u8], length: u8) -> SecretString {
    let tag = key.clone().chain_update(id.to_bytes()).chain_update(salt).finalize().into_bytes();
    // 128 bits reduced to at most 10 digits: no digit is likelier than another by more than 2⁻⁹⁰.
    let number = u128::from_be_bytes(first_16(tag.as_ref())) % 10_u128.pow(u32::from(length));
    SecretString::from(format!("{number:0width$}", width = usize::from(length)))
}

/// One byte of kind, the key's name, the leaf, the nonce, and what is sealed.
fn seal_short(kind: u8, key: KeyId, leaf: Leaf, secret: &Secret, place: &[u8], clear: &[u8]) -> Sealed {
    let nonce = random::<SHORT_NONCE_BYTES>();
    let cipher = ChaCha20Poly1305::new((&*subkey(secret, "twotick seal 2")).into());
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
    let cipher = ChaCha20Poly1305::new((&*subkey(&leaf_secret, "twotick seal 2")).into());
    let payload = Payload { msg: secret, aad: place };
    let clear = cipher.decrypt(&Nonce::from(nonce), payload);
    clear.map(Zeroizing::new).map_err(|_| CannotOpen::Damaged)
}

/// A new master key, from the operating system's generator.
pub fn new_master_key() -> Zeroizing<[u8; MASTER_KEY_BYTES]> {
    Zeroizing::new(random())
}

/// 256 random bits that let in whoever has them: a session, and the visit before it.
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

/// A custom code is sealed apart from the person, for a place of its own.
fn code_place(id: VerificationId) -> [u8; 17] {
    let mut place = [b'c'; 17];
    place[1..].copy_from_slice(&id.to_bytes());
    place
}

/// The same for the timeline and the audit log, which hold the same bytes.
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
