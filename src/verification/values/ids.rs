//! Ids, and what they carry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::{InvalidValue, Timestamp};

/// The first 12 bits of the blind index of a number. Everything that must be consistent for one number is in one
/// bucket, and every id carries its bucket: an id, a number and a report of a provider lead to the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bucket(u16);

impl Bucket {
    /// The lower 12 bits of `bits`.
    pub const fn new(bits: u16) -> Self {
        Self(bits & 0x0fff)
    }

    pub const fn get(self) -> u16 {
        self.0
    }
}

/// `ver_` and a UUIDv7: 48 bits of milliseconds, the bucket in `rand_a`, 56 random bits, and 6 zero bits, which hold
/// the ordinal in the ids of its messages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VerificationId(u128);

/// `msg_` and the UUIDv7 of its verification with the message's ordinal in the last 6 bits: a message leads to
/// its verification without a look-up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(u128);

/// `evt_` and a UUIDv7 derived from the time, the verification and the number of the event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(u128);

/// A process that sends requests to providers, named by its epoch: a number that the store increases durably each time
/// a process begins to work with it. No two processes that ever worked with one store share an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Runner(pub u64);

/// Position of a message within its verification, from 1 to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Ordinal(u8);

impl TryFrom<u8> for Ordinal {
    type Error = InvalidValue;

    fn try_from(position: u8) -> Result<Self, InvalidValue> {
        Self::nth(position.into()).ok_or(InvalidValue("a message's position is 1 to 63"))
    }
}

impl From<Ordinal> for u8 {
    fn from(position: Ordinal) -> Self {
        position.0
    }
}

impl Ordinal {
    pub const FIRST: Self = Self(1);
    /// The largest value of 6 bits. A policy with 8 steps and 10 resends, each of which may go through the steps again,
    /// can ask for more messages; the verification refuses them.
    pub const LAST: Self = Self(63);

    /// The n-th message, counted from 1; `None` past [`Ordinal::LAST`].
    pub fn nth(count: usize) -> Option<Self> {
        u8::try_from(count).ok().filter(|n| (1..=Self::LAST.0).contains(n)).map(Self)
    }

    /// The position, from 1.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The index in a list of messages, from 0.
    pub fn index(self) -> usize {
        usize::from(self.0) - 1
    }
}

const ORDINAL_MASK: u128 = 0x3f;

impl VerificationId {
    /// `random` is 56 bits from the operating system's generator.
    pub fn new(now: Timestamp, bucket: Bucket, random: u64) -> Self {
        Self(uuid_v7(now, bucket.get(), (random << 8 >> 2) & !0x3f))
    }

    pub fn bucket(self) -> Bucket {
        Bucket::new((self.0 >> 64) as u16)
    }

    /// When the verification was requested, to the millisecond.
    pub fn created_at(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> 80) as i64)
    }

    /// Greater than every id.
    pub const LAST: Self = Self(!ORDINAL_MASK);

    /// Less than every id made at `at` or later, and greater than every id made earlier.
    pub fn first_at(at: Timestamp) -> Self {
        Self((at.as_millis() as u128) << 80)
    }

    pub fn message(self, ordinal: Ordinal) -> MessageId {
        MessageId(self.0 | u128::from(ordinal.0))
    }

    pub fn event(self, at: Timestamp, seq: u32) -> EventId {
        let low = (self.0 as u64) ^ u64::from(seq).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        EventId(uuid_v7(at, self.bucket().get(), low))
    }

    /// The bytes sort by time.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes) & !ORDINAL_MASK)
    }
}

impl MessageId {
    pub fn verification(self) -> VerificationId {
        VerificationId(self.0 & !ORDINAL_MASK)
    }

    pub fn ordinal(self) -> Ordinal {
        Ordinal((self.0 & ORDINAL_MASK) as u8)
    }

    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// `None` where the bytes are the id of a verification.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let value = u128::from_be_bytes(bytes);
        (value & ORDINAL_MASK != 0).then_some(Self(value))
    }
}

/// Uses the lower 62 bits of `low`.
fn uuid_v7(at: Timestamp, bucket: u16, low: u64) -> u128 {
    (at.as_millis() as u128) << 80
        | 0x7 << 76
        | u128::from(bucket) << 64
        | 0b10 << 62
        | u128::from(low & (u64::MAX >> 2))
}

/// Crockford base 32 in lower case: 128 bits in 26 letters, which sort like the bits.
pub mod crockford {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    pub const LENGTH: usize = 26;

    pub fn encode(value: u128) -> String {
        (0..LENGTH).map(|i| char::from(LETTERS[(value >> (5 * (LENGTH - 1 - i)) & 31) as usize])).collect()
    }

    /// Accepts only what [`encode`] writes, so that each id has one spelling.
    pub fn decode(text: &str) -> Option<u128> {
        if text.len() != LENGTH || text.as_bytes()[0] > b'7' {
            return None;
        }
        text.bytes().try_fold(0, |value: u128, letter| {
            let digit = LETTERS.iter().position(|&known| known == letter)?;
            Some(value << 5 | digit as u128)
        })
    }
}

macro_rules! prefixed_id {
    ($id:ident, $prefix:literal, $form:literal, $valid:expr) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), crockford::encode(self.0))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $id {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                let valid: fn(u128) -> bool = $valid;
                text.strip_prefix($prefix)
                    .and_then(crockford::decode)
                    .filter(|&value| Uuid::from_u128(value).get_version_num() == 7 && valid(value))
                    .map(Self)
                    .ok_or(InvalidValue($form))
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

prefixed_id!(
    VerificationId,
    "ver_",
    "an id of a verification is `ver_` and 26 letters and digits",
    |value| value & ORDINAL_MASK == 0
);
prefixed_id!(MessageId, "msg_", "an id of a message is `msg_` and 26 letters and digits", |value| value
    & ORDINAL_MASK
    != 0);
prefixed_id!(EventId, "evt_", "an id of an event is `evt_` and 26 letters and digits", |_| true);
