//! Webhook signatures of the form `sha256=HEX`: HMAC-SHA-256 over the raw body, with hexadecimal digits in either case.
//!
//! The signature covers the bytes on the wire: Meta escapes non-ASCII letters, `/`, `<`, `%` and `@` before signing.
//! Verify before parsing or decoding anything (Meta, webhooks getting-started, spring 2026).

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::SetupError;
use crate::hex;

const PREFIX: &[u8] = b"sha256=";

/// The accepted secrets. Several allow rotation without a gap.
pub struct Keys(Vec<Hmac<Sha256>>);

impl Keys {
    /// `setting` is their configuration key. Refuses an empty list or an empty secret, which would let anyone sign.
    pub fn new(secrets: &[SecretString], setting: &'static str) -> Result<Self, SetupError> {
        if secrets.is_empty() || secrets.iter().any(|secret| secret.expose_secret().is_empty()) {
            return Err(SetupError::EmptySecret(setting));
        }
        Ok(Self(secrets.iter().map(keyed).collect()))
    }

    /// Verifies a signature header in constant time.
    pub fn verify(&self, header: &[u8], body: &[u8]) -> Result<(), BadSignature> {
        self.verify_parts(&claimed(header).ok_or(BadSignature::Malformed)?, &[body])
    }

    /// Verifies a signature over the concatenated `parts` in constant time.
    pub(super) fn verify_parts(&self, claimed: &[u8; 32], parts: &[&[u8]]) -> Result<(), BadSignature> {
        let signed = self.0.iter().fold(false, |signed, key| {
            let mut mac = key.clone();
            parts.iter().for_each(|part| mac.update(part));
            mac.verify_slice(claimed).is_ok() | signed
        });
        if signed { Ok(()) } else { Err(BadSignature::Wrong) }
    }

    /// Whether both hold the same secrets, in any order.
    pub fn same_as(&self, other: &Self) -> bool {
        let marks = |keys: &Self| -> BTreeSet<[u8; 32]> {
            keys.0.iter().map(|key| key.clone().finalize().into_bytes().into()).collect()
        };
        marks(self) == marks(other)
    }
}

/// The header value as a provider would send it.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    let mut mac: Hmac<Sha256> = keyed(secret);
    mac.update(body);
    format!("sha256={}", hex::encode(&mac.finalize().into_bytes()))
}

/// Why a webhook's signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum BadSignature {
    #[error("there is no signature header")]
    Missing,
    #[error("there is more than one signature header")]
    Doubled,
    #[error("the signature is malformed")]
    Malformed,
    #[error("the signature does not match the body")]
    Wrong,
    #[error("the signature is valid, but its timestamp is too far from our clock")]
    Stale,
    #[error("the signature is valid, but this delivery was already stored")]
    Replayed,
}

impl BadSignature {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Doubled => "doubled",
            Self::Malformed => "malformed",
            Self::Wrong => "wrong",
            Self::Stale => "stale",
            Self::Replayed => "replayed",
        }
    }
}

/// A keyed HMAC of any hash, also for channels with other signature formats.
pub fn keyed<M: KeyInit>(secret: &SecretString) -> M {
    let key = secret.expose_secret().as_bytes();
    M::new_from_slice(key).expect("HMAC takes keys of any length") // RFC 2104, section 3: longer ones are hashed
}

fn claimed(header: &[u8]) -> Option<[u8; 32]> {
    let (prefix, digits) = header.split_at_checked(PREFIX.len())?;
    if !prefix.eq_ignore_ascii_case(PREFIX) {
        return None;
    }
    hex::decode_exactly(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret for these vectors";

    fn keys() -> Keys {
        Keys::new(&[SECRET.into()], "app_secrets").unwrap()
    }

    /// Computed with Python's hmac. The last two have equal text in different encodings: the bytes count.
    #[test]
    fn vectors() {
        for (body, header) in [
            (r#""#, "sha256=4716f6a50162a584d55dccc3204e8687e16e119ccb2ea6727dafec69f7017797"),
            (r#"{}"#, "sha256=eb286fdc633529db898015a5aa5995c22465131b4bd25392ce747980724d839e"),
            (
                r#"{"object":"whatsapp_business_account","entry":[]}"#,
                "sha256=e64442a8e9e3940fd1cf7e4dafcc4fedde061d183431f474916a9c07e259e73e",
            ),
            (
                r#"{"object": "whatsapp_business_account", "entry": []}"#,
                "sha256=ed6c52ff0d75b88f976790cb477c71fcb926ef649fa2a402d71d64a31fb89ab0",
            ),
            (
                r#"{"name":"Br\u00fcckner","at":"a\u0040b","url":"http:\/\/x"}"#,
                "sha256=58ecba2aeaed55d4fdff473c31118a7a5a325fc6a75203f33e2f20d07f7f658f",
            ),
            (
                r#"{"name":"Brückner","at":"a@b","url":"http://x"}"#,
                "sha256=8d3f085fe53049278cd15d40f3e97e6aafb5b1bf58cdb4c78bba70cd2d266952",
            ),
        ] {
            assert_eq!(sign(&SECRET.into(), body.as_bytes()), header);
            assert_eq!(keys().verify(header.as_bytes(), body.as_bytes()), Ok(()));
            assert_eq!(
                keys().verify(header.as_bytes(), format!("{body} ").as_bytes()),
                Err(BadSignature::Wrong)
            );
        }
    }

    #[test]
    fn only_the_exact_format_is_accepted() {
        use BadSignature::{Malformed, Wrong};
        let body = b"{}";
        let good = sign(&SECRET.into(), body);
        let hex = good.strip_prefix("sha256=").unwrap();
        let last = if good.ends_with('0') { "1" } else { "0" };
        let forms: &[(&str, BadSignature)] = &[
            ("", Malformed),
            ("sha256=", Malformed),
            (hex, Malformed),
            (&format!("sha1={hex}"), Malformed),
            (&format!("sha512={hex}"), Malformed),
            (&format!("{good},{good}"), Malformed),
            (&format!("{good}, {good}"), Malformed),
            (&format!(" {good}"), Malformed),
            (&format!("{good} "), Malformed),
            (&format!("{good}\n"), Malformed),
            (&format!("{good}\0"), Malformed),
            (&format!("sha256= {}", &hex[1..]), Malformed),
            (&good[..70], Malformed),
            (&good[..69], Malformed),
            (&format!("{good}0"), Malformed),
            (&format!("{good}00"), Malformed),
            (&format!("sha256=0x{}", &hex[2..]), Malformed),
            (&format!("sha256=g{}", &hex[1..]), Malformed),
            (&format!("{}{last}", &good[..70]), Wrong),
            (&format!("sha256={}", "0".repeat(64)), Wrong),
            (&sign(&"another secret".into(), body), Wrong),
        ];
        for (header, why) in forms {
            assert_eq!(keys().verify(header.as_bytes(), body), Err(*why), "{header:?}");
        }
        for header in [&b"sha256=\xff\xfe"[..], &[0xef, 0xbb, 0xbf, b's']] {
            assert_eq!(keys().verify(header, body), Err(Malformed));
        }
        assert_eq!(keys().verify(good.as_bytes(), body), Ok(()));
    }

    #[test]
    fn upper_case_is_accepted() {
        let good = sign(&SECRET.into(), b"{}");
        let hex = good.strip_prefix("sha256=").unwrap();
        let mixed: String = hex
            .char_indices()
            .map(|(at, digit)| if at % 2 == 0 { digit.to_ascii_uppercase() } else { digit })
            .collect();
        for header in
            [good.to_uppercase(), format!("sha256={}", hex.to_uppercase()), format!("Sha256={mixed}")]
        {
            assert_eq!(keys().verify(header.as_bytes(), b"{}"), Ok(()), "{header}");
            assert_eq!(keys().verify(header.as_bytes(), b"{} "), Err(BadSignature::Wrong), "{header}");
        }
    }

    #[test]
    fn each_reason_has_a_distinct_label() {
        use BadSignature::{Doubled, Malformed, Missing, Replayed, Stale, Wrong};
        let words = [Missing, Doubled, Malformed, Wrong, Stale, Replayed].map(BadSignature::as_str);
        assert_eq!(words, ["missing", "doubled", "malformed", "wrong", "stale", "replayed"]);
    }

    #[test]
    fn every_changed_bit_of_the_body_is_noticed() {
        let body = br#"{"object":"whatsapp_business_account","entry":[]}"#;
        let header = sign(&SECRET.into(), body);
        for bit in 0..body.len() * 8 {
            let mut changed = body.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keys().verify(header.as_bytes(), &changed), Err(BadSignature::Wrong));
        }
    }

    #[test]
    fn a_duplicate_secret_works() {
        let keys = Keys::new(&[SECRET.into(), SECRET.into()], "app_secrets").unwrap();
        assert_eq!(keys.verify(sign(&SECRET.into(), b"{}").as_bytes(), b"{}"), Ok(()));
    }

    #[test]
    fn the_same_secrets_are_known_in_any_order() {
        let keys = |secrets: &[&str]| {
            let secrets: Vec<SecretString> = secrets.iter().map(|&secret| secret.into()).collect();
            Keys::new(&secrets, "app_secrets").unwrap()
        };
        for (one, other, same) in [
            (&["a"][..], &["a"][..], true),
            (&["a", "b"], &["b", "a"], true),
            (&["a", "b"], &["a"], false),
            (&["a"], &["b"], false),
        ] {
            assert_eq!(keys(one).same_as(&keys(other)), same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn there_are_no_keys_without_secrets() {
        for secrets in [&[][..], &["".into()], &[SECRET.into(), "".into()]] {
            assert!(Keys::new(secrets, "app_secrets").is_err());
        }
    }
}
