//! What identifies a person, and sealed data.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Bucket;
use super::ids::crockford;

/// The blind index of a phone number: a keyed hash of 16 bytes, computed by the vault, that finds the number without
/// revealing it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NumberIndex(pub [u8; 16]);

impl NumberIndex {
    pub fn bucket(self) -> Bucket {
        Bucket::new(u16::from_be_bytes([self.0[0], self.0[1]]) >> 4)
    }
}

impl fmt::Debug for NumberIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NumberIndex({})", crockford::encode(u128::from_be_bytes(self.0)))
    }
}

impl Serialize for NumberIndex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for NumberIndex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Sealed::deserialize(deserializer)?.0;
        <[u8; 16]>::try_from(&*bytes)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a number index has 16 bytes"))
    }
}

/// A keyed hash of the last four digits of a number, computed by the vault, for a search by the end of a number. Few of
/// the ten thousand possible ends share a hash, so it narrows a search and proves nothing.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode,
)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct NumberTail(#[n(0)] pub u16);

/// A provider's name for a person, in clear. It passes from a channel to the vault and no further.
#[derive(Clone, PartialEq, Eq)]
pub enum Alias {
    /// E.164 with `+`. May be a number that the tables of numbers do not know.
    Number(Box<str>),
    /// The provider's id of the person.
    User(Box<str>),
}

impl Alias {
    /// A number as a provider writes it, with or without `+`: 7 to 15 digits, the bounds of E.164. The tables of
    /// numbers are not asked: they lag behind, and WhatsApp keeps numbers from before a renumbering.
    pub fn number(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_number = (Self::FEWEST_DIGITS..=Self::MOST_DIGITS).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| Self::Number(format!("+{digits}").into()))
    }

    /// `None` for an empty text.
    pub fn user(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::User(text.into()))
    }

    pub fn as_written(&self) -> &str {
        let (Self::Number(text) | Self::User(text)) = self;
        text
    }

    /// Reads the text of a search: a number with or without `+`, or a business-scoped user id.
    pub fn written(text: &str) -> Option<Self> {
        Self::number(text).or_else(|| Self::is_user_id(text).then(|| Self::User(text.into())))
    }

    /// A country, a dot, and letters or digits: `DE.70155829039001` (Meta, "Business-scoped user IDs", May 2026).
    fn is_user_id(text: &str) -> bool {
        let Some((country, id)) = text.split_once('.') else { return false };
        let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
        let is_id = (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_country && is_id
    }

    const FEWEST_DIGITS: usize = 7;
    const MOST_DIGITS: usize = 15;
}

impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number(_) => "Number(…)",
            Self::User(_) => "User(…)",
        })
    }
}

/// An [`Alias`] in the form that may be stored, computed by the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KnownAs {
    pub index: NumberIndex,
    /// The end of a number. A renumbering keeps the end, so an alias with another end belongs to another person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<NumberTail>,
}

/// Bytes that only the vault can open. Base 64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Box<[u8]>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD_NO_PAD
            .decode(text.as_bytes())
            .map(|bytes| Self(bytes.into()))
            .map_err(serde::de::Error::custom)
    }
}
