//! How a carrier proves that a report is its own: by a signature, by a password, or by knowing the address.
//!
//! A signature without a time can be replayed for ever. That changes nothing: a report moves a message only upwards, and
//! the same report again is recorded as stale. A signature with a time is refused once the time is over; within it the
//! same holds.

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
use super::super::webhook::{NotHeard, Webhook};
use super::template::{Piece, UnknownPlaceholder, split};
use crate::hex;

/// The header of a report that holds its signature, unless the configuration names another.
pub const SIGNATURE_HEADER: &str = "x-signature-256";
/// How far the time of a report may be from ours unless the configuration says.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// `scheme` of `[channels.NAME.report]`, with what it needs.
#[derive(Clone, Debug)]
pub enum Proof {
    Hmac(Signature),
    Basic {
        user: String,
        password: SecretString,
    },
    /// It stands behind the channel's address.
    PathSecret(SecretString),
}

/// The form of a signature.
#[derive(Clone, Debug)]
pub struct Signature {
    pub secret: SecretString,
    /// In lower case.
    pub header: String,
    pub hash: Hash,
    pub encoding: Encoding,
    pub prefix: Prefix,
    pub signed: Signed,
    pub timestamp: Option<TimestampHeader>,
}

/// The header with the Unix seconds at which a report was signed.
#[derive(Clone, Debug)]
pub struct TimestampHeader {
    /// In lower case.
    pub header: String,
    pub tolerance: Duration,
}

impl Signature {
    /// `X-Signature-256: sha256=HEX` over the body.
    pub fn documented(secret: SecretString) -> Self {
        Self {
            secret,
            header: SIGNATURE_HEADER.to_owned(),
            hash: Hash::Sha256,
            encoding: Encoding::Hex,
            prefix: Prefix::Always("sha256=".to_owned()),
            signed: Signed::body(),
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
    /// In the configuration, and before `=` in a signature.
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
    /// The alphabet with `+` and `/`, padded.
    Base64,
}

/// What stands before a signature, in either case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prefix {
    Always(String),
    Maybe(String),
}

/// What a signature is over.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed(Vec<Piece<Part>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Body,
    Timestamp,
}

/// The placeholders of `signed`.
pub const SIGNED_PLACEHOLDERS: [&str; 2] = ["{body}", "{timestamp}"];

impl Signed {
    /// The body alone.
    pub fn body() -> Self {
        Self(vec![Piece::Value(Part::Body)])
    }

    pub fn parse(text: &str) -> Result<Self, UnknownPlaceholder<'_>> {
        let [body, timestamp] = SIGNED_PLACEHOLDERS;
        split(text, &[(body, Part::Body), (timestamp, Part::Timestamp)]).map(Self)
    }

    /// Whether the report itself is signed.
    pub fn has_body(&self) -> bool {
        self.0.contains(&Piece::Value(Part::Body))
    }

    pub fn has_timestamp(&self) -> bool {
        self.0.contains(&Piece::Value(Part::Timestamp))
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("has_timestamp", &self.has_timestamp()).finish_non_exhaustive()
    }
}

/// Checks reports.
pub(super) enum Verifier {
    Hmac { key: Box<HmacKey>, form: Form },
    Basic { credentials: Digested },
    PathSecret { secret: Digested },
}

/// The form of a signature without its secret.
pub(super) struct Form {
    header: String,
    encoding: Encoding,
    prefix: Prefix,
    signed: Signed,
    timestamp: Option<TimestampHeader>,
}

pub(super) enum HmacKey {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

/// The hash of a secret: two of them take the same time to compare, whatever and however long the secrets are.
pub(super) struct Digested([u8; 32]);

impl Digested {
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
                let form = Form { header, encoding, prefix, signed, timestamp };
                Ok(Self::Hmac { key: Box::new(HmacKey::new(hash, &secret)), form })
            }
            Proof::Basic { user, password } => {
                not_empty(password, proof.setting())?;
                let credentials = format!("{user}:{}", password.expose_secret());
                Ok(Self::Basic { credentials: Digested::new(credentials.as_bytes()) })
            }
            Proof::PathSecret(secret) => {
                not_empty(secret, proof.setting())?;
                Ok(Self::PathSecret { secret: Digested::new(secret.expose_secret().as_bytes()) })
            }
        }
    }

    /// `content` is the body, or the query where the report is that.
    pub(super) fn verify(&self, webhook: &Webhook<'_>, content: &[u8]) -> Result<(), NotHeard> {
        match self {
            Self::Hmac { key, form } => Ok(form.verify(key, webhook, content)?),
            Self::Basic { credentials } => {
                let claimed =
                    basic_credentials(webhook.only("authorization")?).ok_or(BadSignature::Malformed)?;
                if credentials.is(&claimed) { Ok(()) } else { Err(BadSignature::Wrong.into()) }
            }
            Self::PathSecret { secret } => {
                let claimed = webhook.path.filter(|path| !path.is_empty()).ok_or(BadSignature::Missing)?;
                let claimed: Vec<u8> = percent_decode_str(claimed).collect();
                if secret.is(&claimed) { Ok(()) } else { Err(BadSignature::Wrong.into()) }
            }
        }
    }

    /// The scheme in `WWW-Authenticate`.
    pub(super) fn challenge(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "Basic",
            Self::Hmac { .. } | Self::PathSecret { .. } => "Signature",
        }
    }

    /// Whether something stands behind the channel's address.
    pub(super) fn is_behind_the_address(&self) -> bool {
        match self {
            Self::PathSecret { .. } => true,
            Self::Hmac { .. } | Self::Basic { .. } => false,
        }
    }
}

impl Proof {
    /// The key of the configuration with the secret.
    pub(super) fn setting(&self) -> &'static str {
        match self {
            Self::Hmac(_) | Self::PathSecret(_) => "report_secret",
            Self::Basic { .. } => "report.password",
        }
    }
}

impl Form {
    fn verify(&self, key: &HmacKey, webhook: &Webhook<'_>, content: &[u8]) -> Result<(), BadSignature> {
        let claimed = self.claimed(webhook.only(&self.header)?).ok_or(BadSignature::Malformed)?;
        let timestamp = match &self.timestamp {
            Some(timestamp) => webhook.only(&timestamp.header)?,
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

    /// In constant time; a claim of another length is wrong.
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
    // Longer ones are milliseconds, or no time at all.
    const MOST_DIGITS: usize = 11;
    let fits = (1..=MOST_DIGITS).contains(&header.len()) && header.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(header).ok().filter(|_| fits)?.parse().ok()
}

/// `user:password` of `Basic BASE64`; one blank, the scheme in either case (RFC 7617).
fn basic_credentials(header: &[u8]) -> Option<Vec<u8>> {
    const SCHEME: &[u8] = b"basic ";
    let (scheme, encoded) = header.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    BASE64_STANDARD.decode(encoded).ok().filter(|decoded| decoded.contains(&b':'))
}

/// A secret for the address where the configuration has none: nobody can guess it who does not know `credential`, which
/// the carrier knows anyway.
pub fn derived_path_secret(credential: &SecretString) -> SecretString {
    let mut mac: Hmac<Sha256> = keyed(credential);
    mac.update(b"twotick, the secret of an address for reports");
    hex::encode(&mac.finalize().into_bytes()[..16]).into()
}
