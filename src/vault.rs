//! The only holder of keys: derives codes, seals and opens what is personal, and makes the blind index by which a
//! number is found. Everything comes from one master key of 32 bytes.

pub mod webhook;

use std::collections::BTreeMap;
use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rand::RngExt;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::phone::Phone;
use crate::verification::command::{CodeSource, Comparison, Jitter, Request};
use crate::verification::values::{NumberIndex, NumberTail, Sealed, VerificationId};

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
}

/// The record cannot be opened: it was sealed by another key, or it is damaged, or it stands in another place than
/// the one it was sealed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed data cannot be opened: another master key, or damaged")]
pub struct CannotOpen;

const FORMAT: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

impl Vault {
    pub fn new(master: &[u8; MASTER_KEY_BYTES]) -> Self {
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
        }
    }

    /// The blind index of a number: the same for the same number, and meaningless without the key.
    pub fn number_index(&self, phone: &Phone) -> NumberIndex {
        NumberIndex(self.number_tag(phone.as_e164()))
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

    pub fn seal_person(&self, id: VerificationId, person: &Person) -> Sealed {
        // A struct of strings has no part that cannot be written, so the fallback is never taken.
        let clear = Zeroizing::new(serde_json::to_vec(person).unwrap_or_default());
        self.seal(&id.to_bytes(), &clear)
    }

    pub fn open_person(&self, request: &Request) -> Result<Person, CannotOpen> {
        let clear = self.open(&request.id.to_bytes(), &request.person)?;
        serde_json::from_slice(&clear).map_err(|_| CannotOpen)
    }

    /// Why a person of the staff did something to this verification. Sealed, because what people write down about
    /// callers is personal.
    pub fn seal_reason(&self, id: VerificationId, reason: &str) -> Sealed {
        self.seal(&reason_place(id), reason.as_bytes())
    }

    pub fn open_reason(&self, id: VerificationId, reason: &Sealed) -> Result<String, CannotOpen> {
        let clear = self.open(&reason_place(id), reason)?;
        std::str::from_utf8(&clear).map(str::to_owned).map_err(|_| CannotOpen)
    }

    /// A source for a code of our own making.
    pub fn new_code(&self) -> CodeSource {
        CodeSource::Derived { salt: Sealed(Box::new(random::<16>())) }
    }

    pub fn custom_code(&self, id: VerificationId, code: &str) -> CodeSource {
        CodeSource::Custom { code: self.seal(&code_place(id), code.as_bytes()) }
    }

    /// The code of a verification. `length` is the policy's, 6 to 10 digits, and only used for a derived one.
    pub fn code(&self, request: &Request, length: u8) -> Result<SecretString, CannotOpen> {
        match &request.code {
            CodeSource::Derived { salt } => Ok(self.derive_code(request.id, &salt.0, length)),
            CodeSource::Custom { code } => {
                let clear = self.open(&code_place(request.id), code)?;
                std::str::from_utf8(&clear).map(SecretString::from).map_err(|_| CannotOpen)
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

    /// Seals `clear` for one place; it opens nowhere else.
    pub fn seal(&self, place: &[u8], clear: &[u8]) -> Sealed {
        let nonce = random::<NONCE_BYTES>();
        let payload = Payload { msg: clear, aad: place };
        // XChaCha20-Poly1305 refuses only messages over 256 GiB, so the fallback is never taken.
        let secret = self.seal.encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        let mut sealed = Vec::with_capacity(HEADER_BYTES + secret.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.key_id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&secret);
        Sealed(sealed.into())
    }

    pub fn open(&self, place: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (header, secret) = sealed.0.split_at_checked(HEADER_BYTES).ok_or(CannotOpen)?;
        if header[0] != FORMAT || header[1..=KEY_ID_BYTES] != self.key_id {
            return Err(CannotOpen);
        }
        let nonce = <[u8; NONCE_BYTES]>::try_from(&header[1 + KEY_ID_BYTES..]).map_err(|_| CannotOpen)?;
        let payload = Payload { msg: secret, aad: place };
        self.seal.decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| CannotOpen)
    }

    /// Names the master key without telling anything about it; kept in the store, so that a wrong key is noticed.
    pub fn key_id(&self) -> [u8; KEY_ID_BYTES] {
        self.key_id
    }

    fn number_tag(&self, e164: &str) -> [u8; 16] {
        first_16(self.index.clone().chain_update(e164).finalize().into_bytes().as_ref())
    }

    fn derive_code(&self, id: VerificationId, salt: &[u8], length: u8) -> SecretString {
        let tag = self.code.clone().chain_update(id.to_bytes()).chain_update(salt).finalize().into_bytes();
        // 128 bits reduced to at most 10 digits: no digit is likelier than another by more than 2⁻⁹⁰.
        let number = u128::from_be_bytes(first_16(tag.as_ref())) % 10_u128.pow(u32::from(length));
        SecretString::from(format!("{number:0width$}", width = usize::from(length)))
    }
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
mod tests {
    use super::*;
    use crate::verification::policy::PolicyHash;
    use crate::verification::values::{AppName, Bucket, Timestamp};

    fn vault() -> Vault {
        Vault::new(&[7; 32])
    }

    fn request(vault: &Vault, code: CodeSource) -> Request {
        let id = VerificationId::new(Timestamp::from_millis(1_795_000_000_000), Bucket::new(5), 77);
        let person = Person { to: "+12025550100".to_owned(), metadata: BTreeMap::new() };
        Request {
            id,
            app: AppName::new("shop"),
            policy: PolicyHash([0; 16]),
            number: NumberIndex([0; 16]),
            tail: None,
            person: vault.seal_person(id, &person),
            country: None,
            locale: "en".to_owned(),
            client_ref: None,
            code,
        }
    }

    #[test]
    fn a_code_is_derived_again_and_again_and_keeps_its_leading_zeros() {
        let vault = vault();
        let mut leading_zero = false;
        for salt in 0..200_u8 {
            let request = request(&vault, CodeSource::Derived { salt: Sealed(Box::new([salt; 16])) });
            let code = vault.code(&request, 6).unwrap();
            assert_eq!(code.expose_secret(), vault.code(&request, 6).unwrap().expose_secret());
            assert_eq!(code.expose_secret().len(), 6);
            leading_zero |= code.expose_secret().starts_with('0');
        }
        assert!(leading_zero, "of 200 codes about 20 begin with a zero");
    }

    #[test]
    fn digits_are_even() {
        let vault = vault();
        let mut counts = [0_u32; 10];
        for n in 0..20_000_u128 {
            let id = VerificationId::new(Timestamp::from_millis(1), Bucket::new(5), 77);
            let code = vault.derive_code(id, &n.to_be_bytes(), 10);
            code.expose_secret().bytes().for_each(|digit| counts[usize::from(digit - b'0')] += 1);
        }
        let expected = 20_000.0;
        let chi_square: f64 =
            counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        assert!(chi_square < 27.9, "9 degrees of freedom exceed 27.9 once in a thousand keys: {chi_square}");
    }

    #[test]
    fn a_custom_code_comes_back_and_compares() {
        let vault = vault();
        let id = request(&vault, vault.new_code()).id;
        let request = request(&vault, vault.custom_code(id, "Ab12"));
        let code = vault.code(&request, 6).unwrap();
        assert_eq!(Vault::compare(&code, "Ab12"), Comparison::Match);
        for wrong in ["ab12", "Ab1", "Ab123", "", "Ab12\0"] {
            assert_eq!(Vault::compare(&code, wrong), Comparison::Differ);
        }
    }

    #[test]
    fn ends_of_numbers_are_kept_apart() {
        let vault = vault();
        let tails: std::collections::HashSet<_> =
            (0..10_000).map(|end| vault.number_tail(&format!("{end:04}"))).collect();
        assert!(tails.len() > 9_000, "{} of 10000", tails.len());
        assert_ne!(vault.number_tail("0100"), Vault::new(&[8; 32]).number_tail("0100"));
    }

    #[test]
    fn a_reason_opens_for_its_verification_only() {
        let vault = vault();
        let id = request(&vault, vault.new_code()).id;
        let sealed = vault.seal_reason(id, "she called, Müller");
        assert_eq!(vault.open_reason(id, &sealed).as_deref(), Ok("she called, Müller"));
        let other = VerificationId::new(Timestamp::from_millis(1), Bucket::new(5), 77);
        assert!(vault.open_reason(other, &sealed).is_err());
    }

    #[test]
    fn sealed_data_opens_only_whole_with_its_key_and_in_its_place() {
        let vault = vault();
        let sealed = vault.seal(b"here", b"secret");
        assert_eq!(&**vault.open(b"here", &sealed).unwrap(), b"secret");
        assert!(vault.open(b"there", &sealed).is_err());
        assert!(Vault::new(&[8; 32]).open(b"here", &sealed).is_err());
        for index in 0..sealed.0.len() {
            let mut damaged = sealed.clone();
            damaged.0[index] ^= 1;
            assert!(vault.open(b"here", &damaged).is_err(), "byte {index} may not be changed");
            assert!(vault.open(b"here", &Sealed(sealed.0[..index].into())).is_err());
        }
        assert_ne!(sealed, vault.seal(b"here", b"secret"), "each sealing has a nonce of its own");
    }

    #[test]
    fn the_keyed_hash_is_hmac_sha_256() {
        // RFC 4231, test case 1, whose key of 20 bytes is padded with zeros just as ours of 32 is.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let tag = keyed(&key).chain_update(b"Hi There").finalize().into_bytes();
        assert_eq!(tag[..4], [0xb0, 0x34, 0x4c, 0x61]);
    }
}
