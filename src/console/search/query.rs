//! Interprets the input of the search box.

use crate::phone::{HomeCountry, Phone, digits};
use crate::verification::values::{Alias, MessageId, VerificationId};

pub enum QueryKind {
    Verification(VerificationId),
    Message(MessageId),
    /// The possible readings, the most likely first; at least one.
    Number(Vec<Phone>),
    /// WhatsApp's user id, of a person who may hide the number.
    User(Alias),
    /// The last four digits of a number.
    LastFour(String),
    /// Meta's message id.
    Wamid(String),
    /// An app's reference, or a carrier's message id.
    Text(String),
}

/// Longer than any reference or provider id.
const MAX_CHARS: usize = 512;

impl QueryKind {
    /// Interprets the input, tolerating quotes and a console URL around an id.
    pub fn of(typed: &str, home: Option<HomeCountry>) -> Self {
        let bare = typed.trim().trim_matches(['"', '\'', '`', '<', '>', '„', '“', '”', ',', ';']).trim();
        let last = bare.split(['?', '#']).next().unwrap_or(bare).trim_end_matches('/');
        let last = last.rsplit('/').next().unwrap_or(last).to_ascii_lowercase();
        if let Ok(id) = last.parse() {
            return Self::Verification(id);
        }
        if let Ok(id) = last.parse() {
            return Self::Message(id);
        }
        if let Some(digits) = last_four(bare) {
            return Self::LastFour(digits);
        }
        if bare.starts_with("wamid.") {
            return Self::Wamid(bare.to_owned());
        }
        if let Some(user @ Alias::User(_)) = Alias::written(bare) {
            return Self::User(user);
        }
        let readings = Phone::readings(bare, home);
        if !readings.is_empty() {
            return Self::Number(readings);
        }
        Self::Text(bare.chars().take(MAX_CHARS).collect())
    }
}

/// Four digits of any script, or a number masked by our pages.
fn last_four(text: &str) -> Option<String> {
    let seen = text.rsplit('•').next().unwrap_or(text);
    let letters = seen.chars().filter(|letter| !letter.is_whitespace() && !digits::is_invisible(*letter));
    let digits: Option<String> = letters.map(digits::digit).collect();
    digits.filter(|digits| digits.len() == 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::values::{Bucket, Ordinal, Timestamp};

    fn meaning(typed: &str) -> QueryKind {
        QueryKind::of(typed, None)
    }

    fn id() -> VerificationId {
        VerificationId::new(Timestamp::from_millis(1_795_011_200_000), Bucket::new(5), 77)
    }

    #[test]
    fn a_whatsapp_user_id_is_recognized() {
        for typed in ["DE.70155829039001", " US.ab12 "] {
            assert!(matches!(meaning(typed), QueryKind::User(Alias::User(_))), "{typed}");
        }
        for typed in ["de.70155829039001", "DEU.1", "DE.", "DE.1 2", "order.17"] {
            assert!(!matches!(meaning(typed), QueryKind::User(_)), "{typed}");
        }
    }

    #[test]
    fn ids_are_recognized_with_surrounding_text() {
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
                matches!(meaning(&typed), QueryKind::Verification(found) if found.to_string() == id),
                "{typed}"
            );
        }
        let message = self::id().message(Ordinal::FIRST).to_string();
        assert!(matches!(meaning(&message), QueryKind::Message(found) if found.to_string() == message));
    }

    #[test]
    fn numbers_are_recognized_in_any_notation() {
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
            let QueryKind::Number(readings) = meaning(typed) else { panic!("{typed}") };
            assert!(
                readings.iter().any(|phone| phone.as_e164() == "+4915228817386"),
                "{typed}: {readings:?}"
            );
        }
        let home = HomeCountry::parse("MX");
        let read = QueryKind::of("55 1234 0123", home);
        assert!(matches!(read, QueryKind::Number(readings) if readings[0].as_e164() == "+525512340123"));
        let QueryKind::Number(readings) = meaning("(202) 555-0100") else { panic!("a number") };
        assert!(readings.iter().any(|phone| phone.as_e164() == "+12025550100"), "{readings:?}");
    }

    #[test]
    fn other_input_is_a_number_tail_or_a_text() {
        for typed in
            [" 7386 ", "７３８６", "٧٣٨٦", "\u{202a}7386\u{202c}", "+49 152 ••••• 7386", "••••• 7386"]
        {
            assert!(matches!(meaning(typed), QueryKind::LastFour(digits) if digits == "7386"), "{typed}");
        }
        assert!(matches!(meaning("wamid.HBgL"), QueryKind::Wamid(_)));
        for text in ["order-17", "12345", "order 4915228817386", "<script>", "ver_1", "２０２５/17", "•••••"]
        {
            assert!(matches!(meaning(text), QueryKind::Text(_)), "{text}");
        }
        assert!(matches!(meaning(&"x".repeat(9_999)), QueryKind::Text(text) if text.len() == MAX_CHARS));
    }
}
