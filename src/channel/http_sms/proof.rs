//! Authenticates a carrier's reports by signature, password or secret URL.
//!
//! A signature without a timestamp can be replayed forever, but to no effect: reports only move a message forward, and
//! a repeated report is recorded as stale. A timestamp additionally limits the replay to its tolerance.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::super::SetupError;
use super::super::signature::{BadSignature, keyed};
use super::super::webhook::{Webhook, WebhookError};
use super::template::{Piece, UnknownPlaceholder, split};
use crate::hex;

/// The default header for the signature of a report.
pub const SIGNATURE_HEADER: &str = "x-signature-256";
/// The default tolerance between a report's timestamp and our clock.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The `scheme` in `[channels.NAME.report]` with its settings.
#[derive(Clone, Debug)]
pub enum Proof {
    Hmac(Signature),
    Basic {
        user: String,
        password: SecretString,
    },
    /// The last path segment of the webhook URL.
    PathSecret(SecretString),
}

/// The format of a signature.
#[derive(Clone, Debug)]
pub struct Signature {
    pub secret: SecretString,
    /// In lower case.
    pub header: String,
    pub hash: Hash,
    pub encoding: Encoding,
    pub prefix: Prefix,
    pub signed: SignedContent,
    pub timestamp: Option<TimestampHeader>,
}

/// The header with the time of the signature in Unix seconds.
#[derive(Clone, Debug)]
pub struct TimestampHeader {
    /// In lower case.
    pub header: String,
    pub tolerance: Duration,
}

impl Signature {
    /// The default: `X-Signature-256: sha256=HEX` over the body.
    pub fn documented(secret: SecretString) -> Self {
        Self {
            secret,
            header: SIGNATURE_HEADER.to_owned(),
            hash: Hash::Sha256,
            encoding: Encoding::Hex,
            prefix: Prefix::Always("sha256=".to_owned()),
            signed: SignedContent::body(),
            timestamp: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

impl Hash {
    /// The name in the configuration, also used in prefixes such as `sha256=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// In either case.
    Hex,
    /// The standard alphabet, with padding.
    Base64,
}

/// The text before the signature, in either case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prefix {
    Always(String),
    Maybe(String),
}

/// The signed content: text with placeholders.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedContent(Vec<Piece<Part>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Body,
    Timestamp,
}

/// The placeholders in `signed`.
pub const SIGNED_PLACEHOLDERS: [&str; 2] = ["{body}", "{timestamp}"];

impl SignedContent {
    /// Signs the body alone.
    pub fn body() -> Self {
        Self(vec![Piece::Value(Part::Body)])
    }

    pub fn parse(text: &str) -> Result<Self, UnknownPlaceholder<'_>> {
        let [body, timestamp] = SIGNED_PLACEHOLDERS;
        split(text, &[(body, Part::Body), (timestamp, Part::Timestamp)]).map(Self)
    }

    /// Whether the body is signed.
    pub fn has_body(&self) -> bool {
        self.0.contains(&Piece::Value(Part::Body))
    }

    pub fn has_timestamp(&self) -> bool {
        self.0.contains(&Piece::Value(Part::Timestamp))
    }
}

impl fmt::Debug for SignedContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedContent").field("has_timestamp", &self.has_timestamp()).finish_non_exhaustive()
    }
}

/// Checks the authenticity of reports.
pub(super) enum Verifier {
    Hmac { key: Box<HmacKey>, form: SignatureFormat },
    Basic { credentials: SecretHash },
    PathSecret { secret: SecretHash },
}

/// The format of a signature, without its secret.
pub(super) struct SignatureFormat {
    header: String,
    encoding: Encoding,
    prefix: Prefix,
    signed: SignedContent,
    timestamp: Option<TimestampHeader>,
}

pub(super) enum HmacKey {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

/// The hash of a secret. Comparing hashes takes the same time for secrets of any length.
pub(super) struct SecretHash([u8; 32]);

impl SecretHash {
    fn new(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    fn is(&self, claimed: &[u8]) -> bool {
        self.0.ct_eq(&Self::new(claimed).0).into()
    }
}

impl Verifier {
    pub(super) fn new(proof: &Proof) -> Result<Self, SetupError> {
        let not_empty = |secret: &SecretString, setting| match secret.expose_secret() {
            "" => Err(SetupError::EmptySecret(setting)),
            _ => Ok(()),
        };
        match proof {
            Proof::Hmac(signature) => {
                let Signature { secret, header, hash, encoding, prefix, signed, timestamp } =
                    signature.clone();
                not_empty(&secret, proof.setting())?;
                let form = SignatureFormat { header, encoding, prefix, signed, timestamp };
                Ok(Self::Hmac { key: Box::new(HmacKey::new(hash, &secret)), form })
            }
            Proof::Basic { user, password } => {
                not_empty(password, proof.setting())?;
                let credentials = format!("{user}:{}", password.expose_secret());
                Ok(Self::Basic { credentials: SecretHash::new(credentials.as_bytes()) })
            }
            Proof::PathSecret(secret) => {
                not_empty(secret, proof.setting())?;
                Ok(Self::PathSecret { secret: SecretHash::new(secret.expose_secret().as_bytes()) })
            }
        }
    }

    /// `content` is the body, or the query if that holds the report.
    pub(super) fn verify(&self, webhook: &Webhook<'_>, content: &[u8]) -> Result<(), WebhookError> {
        match self {
            Self::Hmac { key, form } => Ok(form.verify(key, webhook, content)?),
            Self::Basic { credentials } => {
                let claimed = basic_credentials(webhook.single_header("authorization")?)
                    .ok_or(BadSignature::Malformed)?;
                if credentials.is(&claimed) { Ok(()) } else { Err(BadSignature::Wrong.into()) }
            }
            Self::PathSecret { secret } => {
                let claimed = webhook.path.filter(|path| !path.is_empty()).ok_or(BadSignature::Missing)?;
                let claimed: Vec<u8> = percent_decode_str(claimed).collect();
                if secret.is(&claimed) { Ok(()) } else { Err(BadSignature::Wrong.into()) }
            }
        }
    }

    /// The scheme for `WWW-Authenticate`.
    pub(super) fn challenge(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "Basic",
            Self::Hmac { .. } | Self::PathSecret { .. } => "Signature",
        }
    }

    /// Whether the webhook URL has an additional path segment.
    pub(super) fn uses_path_secret(&self) -> bool {
        match self {
            Self::PathSecret { .. } => true,
            Self::Hmac { .. } | Self::Basic { .. } => false,
        }
    }
}

impl Proof {
    /// The configuration key of the secret.
    pub(super) fn setting(&self) -> &'static str {
        match self {
            Self::Hmac(_) | Self::PathSecret(_) => "report_secret",
            Self::Basic { .. } => "report.password",
        }
    }
}

impl SignatureFormat {
    fn verify(&self, key: &HmacKey, webhook: &Webhook<'_>, content: &[u8]) -> Result<(), BadSignature> {
        let claimed = self.claimed(webhook.single_header(&self.header)?).ok_or(BadSignature::Malformed)?;
        let timestamp = match &self.timestamp {
            Some(timestamp) => webhook.single_header(&timestamp.header)?,
            None => b"",
        };
        let parts = self.signed.0.iter().map(|piece| match piece {
            Piece::Literal(text) => text.as_bytes(),
            Piece::Value(Part::Body) => content,
            Piece::Value(Part::Timestamp) => timestamp,
        });
        if !key.signed(parts, &claimed) {
            return Err(BadSignature::Wrong);
        }
        let Some(TimestampHeader { tolerance, .. }) = &self.timestamp else { return Ok(()) };
        let seconds = unix_seconds(timestamp).ok_or(BadSignature::Malformed)?;
        let away = (webhook.now.as_millis() / 1_000).abs_diff(seconds);
        if away <= tolerance.as_secs() { Ok(()) } else { Err(BadSignature::Stale) }
    }

    fn claimed(&self, header: &[u8]) -> Option<Vec<u8>> {
        let (Prefix::Always(prefix) | Prefix::Maybe(prefix)) = &self.prefix;
        let behind = header
            .split_at_checked(prefix.len())
            .filter(|(start, _)| start.eq_ignore_ascii_case(prefix.as_bytes()))
            .map(|(_, rest)| rest);
        let digits = match &self.prefix {
            Prefix::Always(_) => behind?,
            Prefix::Maybe(_) => behind.unwrap_or(header),
        };
        match self.encoding {
            Encoding::Hex => hex::decode(digits),
            Encoding::Base64 => BASE64_STANDARD.decode(digits).ok(),
        }
        .filter(|bytes| !bytes.is_empty())
    }
}

impl HmacKey {
    fn new(hash: Hash, secret: &SecretString) -> Self {
        match hash {
            Hash::Sha1 => Self::Sha1(keyed(secret)),
            Hash::Sha256 => Self::Sha256(keyed(secret)),
            Hash::Sha512 => Self::Sha512(keyed(secret)),
        }
    }

    /// Compares in constant time; a claim of another length never matches.
    fn signed<'a>(&self, parts: impl Iterator<Item = &'a [u8]>, claimed: &[u8]) -> bool {
        fn fits<'a, M: Mac + Clone>(key: &M, parts: impl Iterator<Item = &'a [u8]>, claimed: &[u8]) -> bool {
            let mut mac = key.clone();
            parts.for_each(|part| mac.update(part));
            mac.verify_slice(claimed).is_ok()
        }
        match self {
            Self::Sha1(key) => fits(key, parts, claimed),
            Self::Sha256(key) => fits(key, parts, claimed),
            Self::Sha512(key) => fits(key, parts, claimed),
        }
    }
}

fn unix_seconds(header: &[u8]) -> Option<i64> {
    // More digits are milliseconds or not a time.
    const MAX_DIGITS: usize = 11;
    let fits = (1..=MAX_DIGITS).contains(&header.len()) && header.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(header).ok().filter(|_| fits)?.parse().ok()
}

/// Decodes `user:password` from `Basic BASE64`, with the scheme in either case (RFC 7617).
fn basic_credentials(header: &[u8]) -> Option<Vec<u8>> {
    const SCHEME: &[u8] = b"basic ";
    let (scheme, encoded) = header.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    BASE64_STANDARD.decode(encoded).ok().filter(|decoded| decoded.contains(&b':'))
}

/// Derives a secret for the webhook URL if none is configured. It can only be computed from `credential`, which the
/// carrier knows anyway.
pub fn derived_path_secret(credential: &SecretString) -> SecretString {
    let mut mac: Hmac<Sha256> = keyed(credential);
    mac.update(b"twotick, the secret of an address for reports");
    hex::encode(&mac.finalize().into_bytes()[..16]).into()
}
