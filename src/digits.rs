//! Digits as people type and paste them: in any script, with spaces, dashes, dots and invisible characters between
//! them. Derived from Unicode properties, without a list of scripts.

use icu_properties::props::{Dash, DefaultIgnorableCodePoint, GeneralCategory, WhiteSpace};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The ASCII digit for a decimal digit of any script, else `None`.
///
/// Unicode encodes the decimal digits of a script in one ascending run of ten (stability policy, "Numeric_Type
/// stability"), so a digit's value follows from its position in an unbroken run.
pub fn decimal(letter: char) -> Option<char> {
    if letter.is_ascii_digit() {
        return Some(letter);
    }
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_digit = |point: u32| categories.get32(point) == GeneralCategory::DecimalNumber;
    let point = u32::from(letter);
    if !is_digit(point) {
        return None;
    }
    // The longest run, that of the mathematical digits, has 50.
    let before = (1..=point).take_while(|&back| is_digit(point - back)).count();
    u32::try_from(before % 10).ok().and_then(|value| char::from_digit(value, 10))
}

/// The digit that a non-digit character depicts: superscripts, subscripts, circled and parenthesized digits, and
/// Chinese and Japanese numerals. `None` for digits and everything else.
pub fn pictured(letter: char) -> Option<char> {
    const HAN: &str = "〇一二三四五六七八九";
    let one_of = |first: char, last: char, value: u32| {
        let place = u32::from(letter).checked_sub(u32::from(first))?;
        (letter <= last).then(|| char::from_digit(place + value, 10)).flatten()
    };
    match letter {
        '⁰' | '₀' | '⓪' | '⓿' | '零' => Some('0'),
        '¹' => Some('1'),
        '²' => Some('2'),
        '³' => Some('3'),
        _ => [
            ('⁴', '⁹', 4),
            ('₁', '₉', 1),
            ('①', '⑨', 1),
            ('⑴', '⑼', 1),
            ('⒈', '⒐', 1),
            ('❶', '❾', 1),
            ('➀', '➈', 1),
            ('➊', '➒', 1),
        ]
        .into_iter()
        .find_map(|(first, last, value)| one_of(first, last, value))
        .or_else(|| {
            HAN.chars().position(|known| known == letter).and_then(|at| char::from_digit(at as u32, 10))
        }),
    }
}

/// Whether a character merely separates digits: a space, a dash, a dot, or an invisible character.
pub fn is_separator(letter: char) -> bool {
    is_blank(letter) || CodePointSetData::new::<Dash>().contains(letter) || LOOKS_LIKE_ONE.contains(&letter)
}

/// Whether a character is invisible: spaces of any width, zero included, and format characters.
pub fn is_blank(letter: char) -> bool {
    CodePointSetData::new::<WhiteSpace>().contains(letter) || is_invisible(letter) || letter == BRAILLE_BLANK
}

/// Whether a character has no width: direction marks, soft hyphens, joiners, byte order marks and the like, which are
/// copied along unseen.
pub fn is_invisible(letter: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter)
        || CodePointMapData::<GeneralCategory>::new().get(letter) == GeneralCategory::Format
}

/// A symbol by category, but empty.
const BRAILLE_BLANK: char = '\u{2800}';

/// Dots, which share no Unicode property, and characters that keyboards produce for a dash.
const LOOKS_LIKE_ONE: [char; 24] = [
    '.', '\u{b7}',   // middle dot
    '\u{387}',  // Greek ano teleia
    '\u{6d4}',  // Arabic full stop
    '\u{701}',  // Syriac full stop
    '\u{964}',  // Devanagari danda, the full stop
    '\u{1362}', // Ethiopic full stop
    '\u{2022}', // bullet
    '\u{2024}', // one dot leader
    '\u{2027}', // hyphenation point
    '\u{2219}', // bullet operator
    '\u{22c5}', // dot operator
    '\u{3002}', // ideographic full stop
    '\u{30fb}', // Katakana middle dot
    '\u{fe52}', // small full stop
    '\u{ff0e}', // full-width full stop
    '\u{ff61}', // half-width ideographic full stop
    '\u{ff65}', // half-width Katakana middle dot
    '\u{2d7}',  // modifier letter minus
    '\u{2043}', // hyphen bullet
    '\u{2500}', // box drawing line
    '\u{30fc}', // long vowel mark, the dash key of a Japanese keyboard
    '\u{ff70}', // its half-width form
    '\u{20e3}', // the key around a digit that was typed as an emoji
];

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Option<String> {
        text.chars().filter(|letter| !is_separator(*letter)).map(decimal).collect()
    }

    #[test]
    fn digits_of_every_script_are_digits() {
        for (script, zero) in [
            ("ASCII", 0x30),
            ("Arabic", 0x660),
            ("Persian", 0x6f0),
            ("N'Ko", 0x7c0),
            ("Devanagari", 0x966),
            ("Bengali", 0x9e6),
            ("Gurmukhi", 0xa66),
            ("Tamil", 0xbe6),
            ("Thai", 0xe50),
            ("Lao", 0xed0),
            ("Tibetan", 0xf20),
            ("Myanmar", 0x1040),
            ("Khmer", 0x17e0),
            ("Mongolian", 0x1810),
            ("Balinese", 0x1b50),
            ("full-width", 0xff10),
            ("Osmanya", 0x104a0),
            ("Chakma", 0x11136),
            ("mathematical bold", 0x1d7ce),
            ("mathematical monospace", 0x1d7f6),
            ("Adlam", 0x1e950),
            ("segmented", 0x1fbf0),
        ] {
            for value in 0..10 {
                let digit = char::from_u32(zero + value).unwrap();
                assert_eq!(decimal(digit), char::from_digit(value, 10), "{script} {value}");
            }
        }
    }

    #[test]
    fn depicted_digits_are_not_decimal_digits() {
        for written in ["⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉", "⓪①②③④⑤⑥⑦⑧⑨", "〇一二三四五六七八九"]
        {
            assert_eq!(written.chars().filter_map(pictured).collect::<String>(), "0123456789", "{written}");
            assert!(written.chars().all(|letter| decimal(letter).is_none()), "{written}");
        }
        assert!("abc09٣½十".chars().all(|letter| pictured(letter).is_none()));
    }

    #[test]
    fn nothing_else_is_a_digit() {
        for other in ['a', 'O', '²', '①', '½', '一', '〇', 'Ⅳ', '\u{0}', '+'] {
            assert_eq!(decimal(other), None, "{other:?}");
        }
        let digits = (0..=0x10_ffff).filter_map(char::from_u32).filter(|&letter| decimal(letter).is_some());
        let (mut all, mut zeros) = (0, 0);
        for digit in digits {
            assert!(!digit.is_alphabetic(), "{digit:?}");
            all += 1;
            zeros += u32::from(decimal(digit) == Some('0'));
        }
        assert_eq!(all, zeros * 10, "each script has ten");
        assert!(zeros >= 70, "{zeros} scripts");
    }

    #[test]
    fn separators_are_dropped() {
        for separated in [
            "387 667",
            "387-667",
            "387.667",
            "387\u{a0}667",
            "387\u{202f}667",
            "387\u{2009}667",
            "387\u{3000}667",
            "387\u{200b}667",
            "387\u{200d}667",
            "387\u{feff}667",
            "387\u{2060}667",
            "387\u{ad}667",
            "\u{200e}387667\u{200f}",
            "\u{202a}387667\u{202c}",
            "\u{2066}387667\u{2069}",
            "\u{61c}387667",
            "387\u{180e}667",
            "387\u{3164}667",
            "387\u{2800}667",
            "3\u{fe0f}\u{20e3}8\u{fe0f}\u{20e3}7667",
            "387\u{2010}667",
            "387\u{2011}667",
            "387\u{2013}667",
            "387\u{2014}667",
            "387\u{2212}667",
            "387\u{ff0d}667",
            "387\u{30fc}667",
            "387\u{b7}667",
            "387\u{3002}667",
            "387\u{ff0e}667",
            "\t387\r\n667\u{85}",
            "３８７　６６７",
            "٣٨٧٦٦٧",
            "۳۸۷۶۶۷",
            "३८७-६६७",
        ] {
            assert_eq!(folded(separated).as_deref(), Some("387667"), "{separated:?}");
        }
        for other in ["387,667", "387/667", "387_667", "387+667", "3O7667", "387\u{0}667"] {
            assert_eq!(folded(other), None, "{other:?}");
        }
    }
}
