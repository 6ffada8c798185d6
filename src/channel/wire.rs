//! Pieces of providers' JSON, read without trusting their types.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use serde_json::Value;

use crate::verification::values::{MessageId, ProviderRef, Timestamp};

/// As milliseconds it is 1973, as seconds the year 5138.
const FIRST_IN_MILLIS: i64 = 100_000_000_000;

/// A text or a whole number, less the blanks around it. `None` where nothing is left.
pub fn word(value: &Value) -> Option<String> {
    let word = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(word).filter(|word| !word.is_empty())
}

/// What a provider calls a message.
pub fn reference(value: &Value) -> Option<ProviderRef> {
    provider_ref(&word(value)?)
}

/// An id as it is written. One with blanks or letters beyond ASCII inside is percent-encoded, the same in an answer and in
/// a report.
pub fn provider_ref(text: &str) -> Option<ProviderRef> {
    const STRANGE: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
    let text = text.trim();
    let plain = ProviderRef::parse(text).ok();
    plain.or_else(|| ProviderRef::parse(&utf8_percent_encode(text, STRANGE).to_string()).ok())
}

/// An id, a word or a number, whether written as a string or as a number. Anything else reads as absent, so that
/// one field of a strange type does not cost the rest of its object. Borrows where nothing is escaped.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    /// `None` for an empty string too.
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    pub fn is(&self, word: &str) -> bool {
        self.0.as_deref() == Some(word)
    }

    /// Blanks around it do not count.
    pub fn provider_ref(&self) -> Option<ProviderRef> {
        provider_ref(self.get()?)
    }

    /// Our own id, as it comes back; some systems change its case.
    pub fn message_id(&self) -> Option<MessageId> {
        self.get()?.trim().to_ascii_lowercase().parse().ok()
    }

    /// Of unix seconds or milliseconds.
    pub fn unix_time(&self) -> Option<Timestamp> {
        let number: i64 = self.get()?.trim().parse().ok()?;
        let millis = if number < FIRST_IN_MILLIS { number.checked_mul(1000)? } else { number };
        (0..=Timestamp::MAX.as_millis()).contains(&millis).then(|| Timestamp::from_millis(millis))
    }

    /// Of unix seconds; `None` for what is before 1970 or after 9999, such as milliseconds.
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

            /// No id or time is a fraction, and a whole number beyond 64 bits has lost digits here.
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

/// What a person wrote. Half of a surrogate pair, as it is left where a phone cut an emoji in two, becomes `�`
/// instead of an error.
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

        // Only as bytes does serde_json hand out a string with half a pair in it.
        deserializer.deserialize_bytes(Lossy)
    }
}
