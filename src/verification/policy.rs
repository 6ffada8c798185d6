//! The policy under which a verification starts: what a profile of the configuration says, made self-contained,
//! kept once under its hash, and from then on untouched by later changes of the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::locale;
use super::values::{ChannelName, Sealed};

/// Everything the machine and the courier need to know of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The profile's name.
    pub profile: String,
    pub brand: String,
    /// Digits of a code that we make, 6 to 10.
    pub code_length: u8,
    #[serde(with = "millis", rename = "code_ttl_ms")]
    pub code_ttl: Duration,
    /// Wrong codes until the verification is exhausted, 1 to 10.
    pub max_checks: u8,
    /// What the n-th resend waits since the last send, in milliseconds; as many resends as entries.
    pub resend_after_ms: Vec<u64>,
    pub default_locale: String,
    /// 1 to 8, in the order in which they are tried.
    pub steps: Vec<Step>,
}

/// One way to send, and for how long it may try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub channel: ChannelName,
    pub content: Content,
    /// From queued to delivered. `None` for the last step, which has nothing to fall back on.
    #[serde(with = "optional_millis", rename = "deliver_within_ms", default)]
    pub deliver_within: Option<Duration>,
    /// How long the last step waits for a report that settles a doubt.
    #[serde(with = "millis", rename = "in_doubt_wait_ms")]
    pub in_doubt_wait: Duration,
    pub on_doubt: OnDoubt,
}

/// What is sent, by the app's locale.
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
    /// The entry that a request for `locale` gets, else that of `default_locale`: its name and what is sent.
    pub fn in_locale(&self, locale: Option<&str>, default_locale: &str) -> Option<(&str, &str)> {
        let (Self::Template { languages: entries, .. }
        | Self::Text { by_locale: entries }
        | Self::ById { ids: entries }) = self;
        let asked = locale.and_then(|locale| locale::look_up(entries, locale));
        let found = asked.or_else(|| locale::look_up(entries, default_locale));
        found.map(|(name, sent)| (name, sent.as_str()))
    }
}

/// What the last step does when a doubt was not settled in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDoubt {
    /// The same code once more: at worst the person gets it twice.
    ResendOnce,
    /// Nothing: at worst the person gets nothing, and can ask for a resend.
    Hold,
}

impl Policy {
    /// The first 16 bytes of the SHA-256 of how it is stored.
    pub fn hash(&self) -> PolicyHash {
        // The struct has no map with other keys than strings and no fallible part, so this cannot fail.
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

    /// The locale in which a step sends what was asked for in `requested`.
    pub fn locale_of<'a>(&'a self, step: u8, requested: Option<&str>) -> &'a str {
        let step = self.steps.get(usize::from(step));
        let sent = step.and_then(|step| step.content.in_locale(requested, &self.default_locale));
        sent.map_or(&self.default_locale, |(locale, _)| locale)
    }

    /// Wrong codes that may still be tried after `failed` ones.
    pub fn checks_left(&self, failed: u8) -> u8 {
        self.max_checks.saturating_sub(failed)
    }

    /// How long the n-th resend (from 0) waits since the last send; `None` past the end of the list.
    pub fn resend_wait(&self, resends: usize) -> Option<Duration> {
        self.resend_after_ms.get(resends).map(|&wait| Duration::from_millis(wait))
    }
}

/// Names a policy, however often the configuration changes after it was applied.
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
