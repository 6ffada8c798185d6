//! The words of the core as types that cannot be wrong: times, ids, and what providers call things.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub struct Timestamp(i64);

impl From<i64> for Timestamp {
    fn from(millis: i64) -> Self {
        Self::from_millis(millis)
    }
}

impl From<Timestamp> for i64 {
    fn from(at: Timestamp) -> Self {
        at.0
    }
}

impl Timestamp {
    /// Later than anything that happens here: 9999-12-31T23:59:59.999Z, the last instant RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Milliseconds since the epoch, held within what RFC 3339 can write.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < 0 {
            Self(0)
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How much later `self` is than `earlier`; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    /// Stops at [`Timestamp::MAX`].
    fn add(self, later: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339 in UTC with milliseconds, as every interface of ours writes time.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => f.write_str("9999-12-31T23:59:59.999Z"),
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let instant: jiff::Timestamp =
            text.parse().map_err(|_| InvalidValue("a time is RFC 3339, such as 2026-11-22T17:00:00.000Z"))?;
        Ok(Self::from_millis(instant.as_millisecond()))
    }
}

/// A value that is not of its type's form; the text says what the form is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub &'static str);

/// The first 12 bits of the blind index of a number. All that must agree about one number lives in one bucket,
/// and every id carries it, so that an id, a number and a provider's report lead to the same place.
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

/// The keyed hash under which a phone number is found without being readable: 16 bytes, made by the vault.
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

/// `ver_` and a UUIDv7: 48 bits of milliseconds, the bucket in `rand_a`, then 56 random bits and 6 bits of zero,
/// which are the ordinal in the ids of its messages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VerificationId(u128);

/// `msg_` and the UUIDv7 of its verification with the message's ordinal in the last 6 bits: a message leads to
/// its verification without a look-up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(u128);

/// `evt_` and a UUIDv7 made of when it happened and which event of which verification it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(u128);

/// A process that sends requests to providers, named by its epoch: a number that the store increases durably each time a
/// process begins to work with it. No two processes that ever worked with one store share an epoch.
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
    /// What 6 bits hold; a policy can ask for 8 steps and 10 resends, each of which may walk through the
    /// steps again, so a verification refuses more before it comes here.
    pub const LAST: Self = Self(63);

    /// The n-th message, counted from 1, if a verification may have so many.
    pub fn nth(count: usize) -> Option<Self> {
        u8::try_from(count).ok().filter(|n| (1..=Self::LAST.0).contains(n)).map(Self)
    }

    /// From 1.
    pub fn get(self) -> u8 {
        self.0
    }

    /// From zero, as messages lie in a list.
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

    /// When it was made, to the millisecond.
    pub fn created_at(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> 80) as i64)
    }

    /// After every id that is ever made.
    pub const LAST: Self = Self(!ORDINAL_MASK);

    /// Before every id that was made at `at` or later, and after every one made earlier.
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

    /// Order of bytes is order of time.
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

    /// `None` where the bytes name a verification and no message of it.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let value = u128::from_be_bytes(bytes);
        (value & ORDINAL_MASK != 0).then_some(Self(value))
    }
}

/// Of `low` the lower 62 bits.
fn uuid_v7(at: Timestamp, bucket: u16, low: u64) -> u128 {
    (at.as_millis() as u128) << 80
        | 0x7 << 76
        | u128::from(bucket) << 64
        | 0b10 << 62
        | u128::from(low & (u64::MAX >> 2))
}

/// Lower-case Crockford base 32 of 128 bits, 26 letters, so that ids sort as they were made.
mod crockford {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    pub const LENGTH: usize = 26;

    pub fn encode(value: u128) -> String {
        (0..LENGTH).map(|i| char::from(LETTERS[(value >> (5 * (LENGTH - 1 - i)) & 31) as usize])).collect()
    }

    /// Only what [`encode`] writes: other spellings of the same number are refused, so that an id has one name.
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

/// What a provider calls a message: a wamid, a carrier's id. 1 to 512 bytes of visible ASCII
/// (Meta's wamids are about 60; the bound is that of `biz_opaque_callback_data`, and keeps keys small).
///
/// One that could name the person is *hidden*: `~`, 22 letters of a keyed hash by which it is recognised, and perhaps
/// `~` and what only the vault can open. Two are the same where what recognises them is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderRef(Box<str>);

impl ProviderRef {
    pub const MAX_BYTES: usize = 512;

    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > Self::MAX_BYTES || !visible {
            return Err(InvalidValue("a provider's id is 1 to 512 visible ASCII characters"));
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A hidden one. Without `sealed` also where that has no room.
    pub fn hidden(tag: [u8; 16], sealed: Option<&Sealed>) -> Self {
        let name = format!("{HIDDEN}{}", STANDARD_NO_PAD.encode(tag));
        let whole = sealed.map(|sealed| format!("{name}{HIDDEN}{}", STANDARD_NO_PAD.encode(&sealed.0)));
        Self(whole.filter(|whole| whole.len() <= Self::MAX_BYTES).unwrap_or(name).into())
    }

    /// A hidden one in fewer bytes: its tag and behind it what is sealed. `None` of one that is not hidden, or that
    /// could not be made again from them.
    pub fn to_hidden_bytes(&self) -> Option<Vec<u8>> {
        let tag = STANDARD_NO_PAD.decode(self.name().strip_prefix(HIDDEN)?).ok()?;
        let bytes = [&*tag, self.sealed().as_ref().map_or(&[], |sealed| &*sealed.0)].concat();
        Self::from_hidden_bytes(&bytes).is_some_and(|again| again.0 == self.0).then_some(bytes)
    }

    pub fn from_hidden_bytes(bytes: &[u8]) -> Option<Self> {
        let (&tag, sealed) = bytes.split_first_chunk()?;
        let sealed = (!sealed.is_empty()).then(|| Sealed(sealed.into()));
        Some(Self::hidden(tag, sealed.as_ref()))
    }

    pub fn is_hidden(&self) -> bool {
        self.0.starts_with(HIDDEN)
    }

    /// By what it is recognised and found.
    pub fn name(&self) -> &str {
        if self.is_hidden() { self.0.get(..HIDDEN_NAME_BYTES).unwrap_or(&self.0) } else { &self.0 }
    }

    /// What only the vault can open, of a hidden one that has it.
    pub fn sealed(&self) -> Option<Sealed> {
        let sealed = self.0.get(HIDDEN_NAME_BYTES..).filter(|_| self.is_hidden())?.strip_prefix(HIDDEN)?;
        STANDARD_NO_PAD.decode(sealed).ok().map(|bytes| Sealed(bytes.into()))
    }
}

const HIDDEN: char = '~';
/// The sign and 16 bytes in base 64.
const HIDDEN_NAME_BYTES: usize = 23;

impl PartialEq for ProviderRef {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for ProviderRef {}

impl std::hash::Hash for ProviderRef {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl PartialOrd for ProviderRef {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ProviderRef {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.name().cmp(other.name())
    }
}

impl TryFrom<String> for ProviderRef {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        Self::parse(&text)
    }
}

impl From<ProviderRef> for String {
    fn from(value: ProviderRef) -> Self {
        value.0.into()
    }
}

/// The name of a configured channel, `whatsapp` in `[channels.whatsapp]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChannelName(std::sync::Arc<str>);

impl ChannelName {
    /// `name` has been checked by the configuration: 1 to 32 of `[a-z0-9_-]`.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an app, `shop` in `[[apps]] name = "shop"`: whose verification it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppName(std::sync::Arc<str>);

impl AppName {
    /// `name` has been checked by the configuration: 1 to 64 of `[A-Za-z0-9_.-]`.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of one who may sign in to the console, `anna` in `[[console.users]] name = "anna"`: who did something by
/// hand. 1 to 64 of `[a-z0-9._-]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(std::sync::Arc<str>);

impl UserName {
    pub const MAX_BYTES: usize = 64;

    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let lawful = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
        };
        if text.is_empty() || text.len() > Self::MAX_BYTES || !text.bytes().all(lawful) {
            return Err(InvalidValue("a user's name is 1 to 64 of a-z, 0-9, `.`, `_` and `-`"));
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UserName {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        Self::parse(&text)
    }
}

impl From<UserName> for String {
    fn from(value: UserName) -> Self {
        value.as_str().to_owned()
    }
}

/// A keyed hash of the last four digits of a number, made by the vault: by it numbers are found that somebody knows
/// only the end of. Of ten thousand ends few share one, so it narrows a search and proves nothing.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode,
)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct NumberTail(#[n(0)] pub u16);

/// What a provider calls a person beside the number that the app gave, in clear: from a channel to the vault and no
/// further.
#[derive(Clone, PartialEq, Eq)]
pub enum Alias {
    /// E.164 with `+`, possible or not.
    Number(Box<str>),
    /// The provider's own id of the person.
    User(Box<str>),
}

impl Alias {
    /// A number that a provider writes, with or without `+`: 7 to 15 digits, which is what E.164 allows, whatever the
    /// tables of numbers say. They lag behind, and WhatsApp keeps numbers from before a change.
    pub fn number(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_number = (Self::FEWEST_DIGITS..=Self::MOST_DIGITS).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| Self::Number(format!("+{digits}").into()))
    }

    /// `None` for what is empty.
    pub fn user(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::User(text.into()))
    }

    pub fn as_written(&self) -> &str {
        let (Self::Number(text) | Self::User(text)) = self;
        text
    }

    /// As somebody writes it who looks for the person: a number with or without `+`, or a business-scoped user id.
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

/// The same as the store may know it. Made by the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KnownAs {
    pub index: NumberIndex,
    /// Of a number, how it ends. Every renumbering keeps the end, so an alias that ends otherwise is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<NumberTail>,
}

/// Bytes that only the vault can open. Base 64 where they are written.
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

/// What a refusal or failure means for the next move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum ErrorClass {
    /// Not now: the same message may be tried again.
    #[n(0)]
    Retry,
    /// Not this way: the next step, at once.
    #[n(1)]
    Fallback,
    /// We are not allowed to send by this sender: the next step, and an operator must act.
    #[n(2)]
    Sender,
    /// This person cannot be reached on this channel.
    #[n(3)]
    Recipient,
    /// Our request or set-up is wrong: the next step, and an operator must act.
    #[n(4)]
    Configuration,
    /// Nobody knows whether it was sent.
    #[n(5)]
    InDoubt,
}

impl ErrorClass {
    /// As the API and the logs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Fallback => "fallback",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Configuration => "configuration",
            Self::InDoubt => "in_doubt",
        }
    }
}

/// Why a message was refused or failed, as a provider (or we) put it.
/// `title` is the provider's words, cut to 200 characters, and never holds a number or a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct DeliveryError {
    #[n(0)]
    pub code: String,
    #[n(1)]
    pub title: String,
    #[n(2)]
    pub class: ErrorClass,
}

/// What became of one attempt, that is of one HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken. `provider_ref` is what the provider calls the message, where its answer says so; a report that carries
    /// our reference may say it later.
    Accepted { provider_ref: Option<ProviderRef> },
    /// Taken, but not passed on until the provider has looked at the template (Meta's template pacing):
    /// nobody waits for that with a code.
    Held { provider_ref: ProviderRef },
    /// Certainly not sent. `retry_after` is the provider's wish, if it said one.
    Refused { error: DeliveryError, retry_after: Option<Duration> },
    /// The request went out and its answer was lost or unreadable. `error.class` is [`ErrorClass::InDoubt`].
    InDoubt { error: DeliveryError },
}

/// What a provider tells us later about a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(flat)]
pub enum ReportStatus {
    #[n(0)]
    Sent,
    #[n(1)]
    Delivered,
    #[n(2)]
    Read,
    #[n(3)]
    Failed(#[n(0)] DeliveryError),
    /// A word that this version does not know, at most [`ReportStatus::MAX_WORD_CHARS`] and without numbers. It is
    /// written down and changes nothing.
    #[n(4)]
    Unknown(#[n(0)] String),
}

impl ReportStatus {
    /// The longest status word of a provider known to us has 35 characters.
    pub const MAX_WORD_CHARS: usize = 64;

    pub fn name(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed(_) => "failed",
            Self::Unknown(_) => "unknown",
        }
    }

    /// As [`ReportStatus::name`], and of an unknown one the provider's word, so that two of them differ.
    pub fn word(&self) -> &str {
        match self {
            Self::Unknown(word) => word,
            known @ (Self::Sent | Self::Delivered | Self::Read | Self::Failed(_)) => known.name(),
        }
    }
}

/// One report about one message, whichever provider sent it. `A` is an [`Alias`] until the vault has hidden it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report<A = KnownAs> {
    pub status: ReportStatus,
    /// When the provider says it happened.
    pub reported_at: Option<Timestamp>,
    /// What the provider calls the message.
    pub provider_ref: Option<ProviderRef>,
    /// Our id, where the provider gave it back.
    pub reference: Option<MessageId>,
    /// What the provider calls the person whom the message went to.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<A>,
}
