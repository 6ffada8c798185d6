//! The policy of a verification: a self-contained copy of a profile of the configuration, stored once under its hash.
//! Later changes of the configuration do not affect it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::locale;
use super::values::{ChannelName, Sealed};

/// All that the core and the courier need of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The profile's name.
    pub profile: String,
    pub brand: String,
    /// Digits of a derived code, 6 to 10.
    pub code_length: u8,
    #[serde(with = "millis", rename = "code_ttl_ms")]
    pub code_ttl: Duration,
    /// Wrong codes after which the verification is exhausted, 1 to 10.
    pub max_checks: u8,
    /// The wait of each resend since the last send, in milliseconds. There are as many resends as entries.
    pub resend_after_ms: Vec<u64>,
    pub default_locale: String,
    /// 1 to 8 steps, in the order in which they are tried.
    pub steps: Vec<Step>,
}

/// A channel, the content to send on it, and its time limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub channel: ChannelName,
    pub content: Content,
    /// The time from queued to delivered. `None` for the last step, which has no fallback.
    #[serde(with = "optional_millis", rename = "deliver_within_ms", default)]
    pub deliver_within: Option<Duration>,
    /// How long a message of the last step may be in doubt.
    #[serde(with = "millis", rename = "in_doubt_wait_ms")]
    pub in_doubt_wait: Duration,
    pub on_doubt: OnDoubt,
}

/// The content of a message for each locale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A template that the provider has approved, and its language for each locale.
    Template { name: String, languages: BTreeMap<String, String> },
    /// A text with `{code}`, `{brand}` and `{minutes}` for each locale.
    Text { by_locale: BTreeMap<String, String> },
    /// The id of a content that the provider has approved, for each locale.
    ById { ids: BTreeMap<String, String> },
}

impl Content {
    /// The entry for `locale`, else for `default_locale`: its locale and its content.
    pub fn in_locale(&self, locale: Option<&str>, default_locale: &str) -> Option<(&str, &str)> {
        let (Self::Template { languages: entries, .. }
        | Self::Text { by_locale: entries }
        | Self::ById { ids: entries }) = self;
        let asked = locale.and_then(|locale| locale::look_up(entries, locale));
        let found = asked.or_else(|| locale::look_up(entries, default_locale));
        found.map(|(name, sent)| (name, sent.as_str()))
    }
}

/// What the last step does with a message that stays in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDoubt {
    /// Sends the same code once more: at worst the person gets it twice.
    ResendOnce,
    /// Sends nothing: at worst the person gets no message and can request a resend.
    Hold,
}

impl Policy {
    /// The first 16 bytes of the SHA-256 of the stored form.
    pub fn hash(&self) -> PolicyHash {
        // Maps with string keys and plain values always serialize.
        let stored = serde_json::to_vec(self).unwrap_or_default();
        let digest = Sha256::digest(&stored);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        PolicyHash(hash)
    }

    /// The first step on this channel.
    pub fn step_on(&self, channel: &ChannelName) -> Option<usize> {
        self.steps.iter().position(|step| step.channel == *channel)
    }

    /// The locale of the content that a step sends for a request in `requested`.
    pub fn locale_of<'a>(&'a self, step: u8, requested: Option<&str>) -> &'a str {
        let step = self.steps.get(usize::from(step));
        let sent = step.and_then(|step| step.content.in_locale(requested, &self.default_locale));
        sent.map_or(&self.default_locale, |(locale, _)| locale)
    }

    /// Wrong codes that are left after `failed` ones.
    pub fn checks_left(&self, failed: u8) -> u8 {
        self.max_checks.saturating_sub(failed)
    }

    /// The wait of the n-th resend (from 0) since the last send; `None` past the last resend.
    pub fn resend_wait(&self, resends: usize) -> Option<Duration> {
        self.resend_after_ms.get(resends).map(|&wait| Duration::from_millis(wait))
    }
}

/// Identifies a policy by its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyHash(pub [u8; 16]);

impl fmt::Debug for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyHash({:032x})", u128::from_be_bytes(self.0))
    }
}

impl Serialize for PolicyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Sealed(Box::new(self.0)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PolicyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Sealed::deserialize(deserializer)?.0;
        <[u8; 16]>::try_from(&*bytes)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a policy hash has 16 bytes"))
    }
}

mod millis {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        u64::try_from(value.as_millis()).unwrap_or(u64::MAX).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

mod optional_millis {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|value| u64::try_from(value.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}
