//! Text messages: their cost as SMS, and the built-in text of a code.

pub mod gsm7;

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Name of the built-in text, used unless the configuration defines it.
pub const BUILT_IN: &str = "otp";

/// Locale → built-in text, in the 30 languages that businesses use most on WhatsApp.
pub fn built_in() -> &'static BTreeMap<String, String> {
    static TEXTS: LazyLock<BTreeMap<String, String>> =
        LazyLock::new(|| languages().map(|(locale, row)| (locale, row.text)).collect());
    &TEXTS
}

/// Locale → Meta's language code, for the same languages.
pub fn meta_languages() -> BTreeMap<String, String> {
    languages().map(|(locale, row)| (locale, row.meta)).collect()
}

#[derive(serde::Deserialize)]
struct Language {
    meta: String,
    text: String,
}

fn languages() -> impl Iterator<Item = (String, Language)> {
    let rows: BTreeMap<String, Language> =
        toml::from_str(include_str!("texts/languages.toml")).expect("the embedded file is parsed by a test"); // it is a part of the program
    rows.into_iter()
}

/// Cost of an SMS as carriers count it (3GPP TS 23.038, 23.040).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    pub encoding: Encoding,
    /// Septets of GSM-7, or 16-bit units of UCS-2.
    pub units: usize,
    /// Number of SMS segments, which carriers charge for.
    pub segments: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoding {
    Gsm7,
    /// `because`: the characters that GSM-7 lacks, without duplicates, in order of appearance.
    Ucs2 {
        because: Vec<char>,
    },
}

impl Encoding {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 { .. } => "UCS-2",
        }
    }
}

/// Units of a single-segment message, and of each segment of a longer one, which has a header of six bytes.
struct Room {
    single: usize,
    part: usize,
}

const GSM7_ROOM: Room = Room { single: 160, part: 153 };
const UCS2_ROOM: Room = Room { single: 70, part: 67 };

/// Cost of a text as an SMS.
pub fn cost(text: &str) -> Cost {
    let mut because = Vec::new();
    for letter in text.chars() {
        if gsm7::septets(letter).is_none() && !because.contains(&letter) {
            because.push(letter);
        }
    }
    if because.is_empty() {
        let lengths = text.chars().filter_map(gsm7::septets);
        let (units, segments) = segments(lengths, &GSM7_ROOM);
        Cost { encoding: Encoding::Gsm7, units, segments }
    } else {
        let (units, segments) = segments(text.chars().map(char::len_utf16), &UCS2_ROOM);
        Cost { encoding: Encoding::Ucs2 { because }, units, segments }
    }
}

/// Total units, and the segments that they fill. A character of two units is never split.
fn segments(lengths: impl Iterator<Item = usize>, room: &Room) -> (usize, usize) {
    let (mut units, mut parts, mut used) = (0, 1, 0);
    for length in lengths {
        units += length;
        if used + length > room.part {
            parts += 1;
            used = 0;
        }
        used += length;
    }
    (units, if units <= room.single { 1 } else { parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_counted_as_carriers_do() {
        let text = |letter: &str, times: usize| letter.repeat(times);
        for (text, segments) in [
            (text("a", 160), 1),
            (text("a", 161), 2),
            (text("a", 306), 2),
            (text("a", 307), 3),
            (text("a", 159) + "€", 2),
            (text("a", 158) + "€", 1),
            (text("ş", 70), 1),
            (text("ş", 71), 2),
            (text("ş", 134), 2),
            (text("ş", 135), 3),
            (text("a", 69) + "😀", 2),
            (text("a", 68) + "😀", 1),
            // The escape in the 153rd place moves to the next segment with its character.
            (text("a", 152) + "€" + &text("a", 152), 3),
            (String::new(), 1),
        ] {
            assert_eq!(cost(&text).segments, segments, "{text}");
        }
    }

    #[test]
    fn characters_that_require_ucs2_are_listed_once() {
        assert_eq!(cost("äöüß èéùìò € {}").encoding, Encoding::Gsm7);
        let Encoding::Ucs2 { because } = cost("código, código — şş").encoding else { panic!("UCS-2") };
        assert_eq!(because, ['ó', '—', 'ş']);
    }

    #[test]
    fn each_built_in_text_is_one_segment_and_begins_with_the_code() {
        assert_eq!(meta_languages().values().collect::<std::collections::BTreeSet<_>>().len(), 30);
        for (locale, text) in built_in() {
            let visible = text.trim_start_matches(['\u{200e}', '\u{200f}']);
            assert!(visible.starts_with("{code}"), "{locale}: a lock screen shows the beginning");
            for placeholder in ["{code}", "{brand}", "{minutes}"] {
                assert_eq!(text.matches(placeholder).count(), 1, "{locale}: {placeholder}");
            }
            let filled = text
                .replace("{code}", "49381712")
                .replace("{brand}", "Acme Group")
                .replace("{minutes}", "10");
            assert_eq!(cost(&filled).segments, 1, "{locale}: {filled}");
        }
    }

    #[test]
    fn right_to_left_texts_keep_the_digits_in_order() {
        for locale in ["ar", "he", "fa", "ur"] {
            assert!(built_in()[locale].starts_with("\u{200f}\u{200e}{code}\u{200e} "), "{locale}");
        }
    }
}
