//! What somebody may have meant by what was typed.

use crate::phone::Phone;
use crate::verification::values::{MessageId, VerificationId};

pub enum Meaning {
    Verification(VerificationId),
    Message(MessageId),
    /// What the digits may be, the likeliest first; at least one.
    Number(Vec<Phone>),
    /// Of a number.
    LastFour(String),
    /// Meta's id of a message.
    Wamid(String),
    /// An app's reference, or a carrier's id of a message.
    Text(String),
}

/// More than any reference or provider's id has.
const MOST_CHARS: usize = 512;

impl Meaning {
    /// Takes quotes and an address of the console around an id for what people copy along.
    pub fn of(typed: &str) -> Self {
        let bare = typed.trim().trim_matches(['"', '\'', '`', '<', '>', '„', '“', '”', ',', ';']).trim();
        let last = bare.split(['?', '#']).next().unwrap_or(bare).trim_end_matches('/');
        let last = last.rsplit('/').next().unwrap_or(last).to_ascii_lowercase();
        if let Ok(id) = last.parse() {
            return Self::Verification(id);
        }
        if let Ok(id) = last.parse() {
            return Self::Message(id);
        }
        if bare.len() == 4 && bare.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::LastFour(bare.to_owned());
        }
        if bare.starts_with("wamid.") {
            return Self::Wamid(bare.to_owned());
        }
        let readings = Phone::readings(bare);
        if !readings.is_empty() {
            return Self::Number(readings);
        }
        Self::Text(bare.chars().take(MOST_CHARS).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::values::{Bucket, Ordinal, Timestamp};

    fn id() -> VerificationId {
        VerificationId::new(Timestamp::from_millis(1_795_011_200_000), Bucket::new(5), 77)
    }

    #[test]
    fn ids_are_known_also_with_what_is_copied_along() {
        let id = id().to_string();
        for typed in [
            id.clone(),
            format!("  {id} "),
            format!("\"{id}\","),
            id.to_ascii_uppercase(),
            format!("https://console.example.com/console/verifications/{id}?x=y#z"),
            format!("/console/verifications/{id}/"),
        ] {
            assert!(
                matches!(Meaning::of(&typed), Meaning::Verification(found) if found.to_string() == id),
                "{typed}"
            );
        }
        let message = self::id().message(Ordinal::FIRST).to_string();
        assert!(matches!(Meaning::of(&message), Meaning::Message(found) if found.to_string() == message));
    }

    #[test]
    fn a_number_is_known_in_any_notation() {
        for typed in [
            "+4915228817386",
            "+49 1522 8817386",
            "0049 (0)1522 / 88 17 386",
            "01522 8817386",
            "0152-28817386",
            "tel:+49-1522-8817386",
            "4915228817386",
            "+49\u{a0}1522\u{a0}8817386",
        ] {
            let Meaning::Number(readings) = Meaning::of(typed) else { panic!("{typed}") };
            assert!(
                readings.iter().any(|phone| phone.as_e164() == "+4915228817386"),
                "{typed}: {readings:?}"
            );
        }
        let Meaning::Number(readings) = Meaning::of("(202) 555-0100") else { panic!("a number") };
        assert!(readings.iter().any(|phone| phone.as_e164() == "+12025550100"), "{readings:?}");
    }

    #[test]
    fn everything_else_is_the_end_of_a_number_or_a_text() {
        assert!(matches!(Meaning::of(" 7386 "), Meaning::LastFour(digits) if digits == "7386"));
        assert!(matches!(Meaning::of("wamid.HBgL"), Meaning::Wamid(_)));
        for text in ["order-17", "12345", "order 4915228817386", "<script>", "ver_1", "２０２５"] {
            assert!(matches!(Meaning::of(text), Meaning::Text(_)), "{text}");
        }
        assert!(matches!(Meaning::of(&"x".repeat(9_999)), Meaning::Text(text) if text.len() == MOST_CHARS));
    }
}
