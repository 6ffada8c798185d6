//! Names of channels, apps and users, and providers' ids of messages.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{InvalidValue, Sealed};

/// A provider's id of a message. 1 to 512 bytes of visible ASCII (an id of Meta has some 60; the bound is that of
/// `biz_opaque_callback_data`, and keeps keys small).
///
/// An id that contains the phone number is *hidden*: `~`, 22 letters of a keyed hash that recognises it, and optionally
/// `~` and the sealed id. Two hidden ids are equal if their hashes are.
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

    /// A hidden id. `sealed` is left out where it does not fit.
    pub fn hidden(tag: [u8; 16], sealed: Option<&Sealed>) -> Self {
        let name = format!("{HIDDEN}{}", STANDARD_NO_PAD.encode(tag));
        let whole = sealed.map(|sealed| format!("{name}{HIDDEN}{}", STANDARD_NO_PAD.encode(&sealed.0)));
        Self(whole.filter(|whole| whole.len() <= Self::MAX_BYTES).unwrap_or(name).into())
    }

    /// A hidden id in fewer bytes: its hash, then the sealed id. `None` for an id that is not hidden, or that these
    /// bytes would not restore.
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

    /// The part that identifies it: of a hidden id the hash, else the whole.
    pub fn name(&self) -> &str {
        if self.is_hidden() { self.0.get(..HIDDEN_NAME_BYTES).unwrap_or(&self.0) } else { &self.0 }
    }

    /// The sealed id, of a hidden id that has it.
    pub fn sealed(&self) -> Option<Sealed> {
        let sealed = self.0.get(HIDDEN_NAME_BYTES..).filter(|_| self.is_hidden())?.strip_prefix(HIDDEN)?;
        STANDARD_NO_PAD.decode(sealed).ok().map(|bytes| Sealed(bytes.into()))
    }
}

const HIDDEN: char = '~';
/// `~` and 16 bytes in base 64.
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
    /// The configuration has checked `name`: 1 to 32 of `[a-z0-9_-]`.
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

/// The name of an app, `shop` in `[[apps]] name = "shop"`: the owner of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppName(std::sync::Arc<str>);

impl AppName {
    /// The configuration has checked `name`: 1 to 64 of `[A-Za-z0-9_.-]`.
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

/// The name of a user of the console, `anna` in `[[console.users]] name = "anna"`. 1 to 64 of `[a-z0-9._-]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(std::sync::Arc<str>);

impl UserName {
    pub const MAX_BYTES: usize = 64;

    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let is_allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
        };
        if text.is_empty() || text.len() > Self::MAX_BYTES || !text.bytes().all(is_allowed) {
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
