//! Tolerant readers of providers' JSON values.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use serde_json::Value;

use crate::verification::values::{MessageId, ProviderRef, Timestamp};

/// Larger numbers are milliseconds. As milliseconds this is 1973, as seconds the year 5138.
const FIRST_IN_MILLIS: i64 = 100_000_000_000;

/// A non-empty trimmed string or an integer, as text.
pub fn word(value: &Value) -> Option<String> {
    let word = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(word).filter(|word| !word.is_empty())
}

/// The provider's message id.
pub fn reference(value: &Value) -> Option<ProviderRef> {
    provider_ref(&word(value)?)
}

/// An id as written. Spaces, control characters and non-ASCII letters are percent-encoded, alike in responses and
/// reports.
pub fn provider_ref(text: &str) -> Option<ProviderRef> {
    const STRANGE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
    let text = text.trim();
    let plain = ProviderRef::parse(text).ok();
    plain.or_else(|| ProviderRef::parse(&utf8_percent_encode(text, STRANGE).to_string()).ok())
}

/// A string or an integer, as text. Other types read as absent, so that one bad field does not fail its whole object.
/// Borrows from the input unless it contains escapes.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    /// `None` for an empty string as well.
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    pub fn is(&self, word: &str) -> bool {
        self.0.as_deref() == Some(word)
    }

    /// Trims whitespace.
    pub fn provider_ref(&self) -> Option<ProviderRef> {
        provider_ref(self.get()?)
    }

    /// Our own id as echoed by the provider, in any case.
    pub fn message_id(&self) -> Option<MessageId> {
        self.get()?.trim().to_ascii_lowercase().parse().ok()
    }

    /// Parses unix seconds or milliseconds.
    pub fn unix_time(&self) -> Option<Timestamp> {
        let number: i64 = self.get()?.trim().parse().ok()?;
        let millis = if number < FIRST_IN_MILLIS { number.checked_mul(1000)? } else { number };
        (0..=Timestamp::MAX.as_millis()).contains(&millis).then(|| Timestamp::from_millis(millis))
    }

    /// Parses unix seconds. `None` before 1970 and after 9999, which includes milliseconds.
    pub fn unix_seconds(&self) -> Option<Timestamp> {
        let seconds: i64 = self.get()?.parse().ok()?;
        let millis = seconds.checked_mul(1000)?;
        (0..=Timestamp::MAX.as_millis()).contains(&millis).then(|| Timestamp::from_millis(millis))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lenient;

        impl<'de> Visitor<'de> for Lenient {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a number")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }

            /// Ids and times are never fractions, and an integer beyond 64 bits has lost digits here.
            fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Text(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }

        deserializer.deserialize_any(Lenient)
    }
}

/// Text written by a person. An unpaired surrogate, as in an emoji cut in half by a phone, becomes `�` instead of an
/// error.
#[derive(Default)]
pub struct LossyText(pub String);

impl<'de> Deserialize<'de> for LossyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lossy;

        impl Visitor<'_> for Lossy {
            type Value = LossyText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, text: &[u8]) -> Result<LossyText, E> {
                Ok(LossyText(String::from_utf8_lossy(text).into_owned()))
            }
        }

        // serde_json accepts unpaired surrogates only when reading bytes.
        deserializer.deserialize_bytes(Lossy)
    }
}
