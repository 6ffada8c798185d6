//! Signatures of webhooks: `sha256=` and the HMAC-SHA-256 of the raw body in lower-case hexadecimal.
//!
//! Meta escapes non-ASCII letters, `/`, `<`, `%` and `@` before it signs, so only the bytes that arrived count:
//! nothing is parsed, decoded or written anew before the check (Meta, webhooks getting-started, spring 2026).

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::SetupError;

const PREFIX: &[u8] = b"sha256=";

/// Secrets any of which may have signed, so that one can be replaced by another without a gap.
pub struct Keys(Vec<Hmac<Sha256>>);

impl Keys {
    /// `setting` is what the configuration calls them. Without a secret there are no keys: an empty one would
    /// let everybody sign.
    pub fn new(secrets: &[SecretString], setting: &'static str) -> Result<Self, SetupError> {
        if secrets.is_empty() || secrets.iter().any(|secret| secret.expose_secret().is_empty()) {
            return Err(SetupError::EmptySecret(setting));
        }
        Ok(Self(secrets.iter().map(keyed).collect()))
    }

    /// Exactly one header, exactly in the one form; compared in constant time.
    pub fn verify(&self, headers: &[&[u8]], body: &[u8]) -> Result<(), BadSignature> {
        let header = match headers {
            [] => return Err(BadSignature::Missing),
            [header] => header,
            _ => return Err(BadSignature::Doubled),
        };
        let claimed = header.strip_prefix(PREFIX).and_then(from_lower_hex).ok_or(BadSignature::Malformed)?;
        let signed = self.0.iter().fold(false, |signed, key| {
            let mut mac = key.clone();
            mac.update(body);
            mac.verify_slice(&claimed).is_ok() | signed
        });
        if signed { Ok(()) } else { Err(BadSignature::Wrong) }
    }
}

/// The header's value, as a provider would write it.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    let mut mac = keyed(secret);
    mac.update(body);
    mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |mut header, byte| {
        let _ = write!(header, "{byte:02x}"); // writing to a string cannot fail
        header
    })
}

/// Why a webhook was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    #[error("there is no signature header")]
    Missing,
    #[error("there is more than one signature header")]
    Doubled,
    #[error("the signature is not `sha256=` and 64 lower-case hexadecimal digits")]
    Malformed,
    #[error("the signature does not belong to this body")]
    Wrong,
}

impl BadSignature {
    /// For a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Doubled => "doubled",
            Self::Malformed => "malformed",
            Self::Wrong => "wrong",
        }
    }
}

fn keyed(secret: &SecretString) -> Hmac<Sha256> {
    let key = secret.expose_secret().as_bytes();
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length") // RFC 2104, section 3: longer ones are hashed
}

fn from_lower_hex(text: &[u8]) -> Option<[u8; 32]> {
    let text: &[u8; 64] = text.try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
