//! Digits as people write and paste them: of any script, with separators and invisible marks between them.

use rlibphonenumber::PHONE_NUMBER_UTIL;

/// So many digits in a row, whatever separates them, may be a phone number. A shorter one names nobody.
pub const OF_A_NUMBER: usize = 7;

/// The value of a decimal digit of any script: ASCII, full-width, Arabic, Persian, Devanagari and all others.
pub fn digit(letter: char) -> Option<char> {
    if letter.is_ascii() {
        return Some(letter).filter(char::is_ascii_digit);
    }
    // The library knows every script; most letters are not worth asking it.
    let asked = || PHONE_NUMBER_UTIL.normalize_digits_only(letter.encode_utf8(&mut [0; 4])).chars().next();
    letter.is_numeric().then(asked).flatten()
}

/// Whether a letter shows nothing of its own: marks that turn the direction of writing, soft hyphens, joiners, byte
/// order marks and the like, which are copied along unseen.
pub fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a letter can stand between two digits of one number: everything that is no letter of a word, and what
/// looks like a dash.
pub fn is_separator(letter: char) -> bool {
    // The long sound marks of Japanese count as letters, and stand where other people write a dash.
    !letter.is_alphanumeric() || matches!(letter, '\u{30fc}' | '\u{ff70}') || is_invisible(letter)
}

/// The longest row of digits with nothing but separators between them.
pub fn longest_row(text: &str) -> usize {
    let (mut longest, mut row) = (0, 0);
    for letter in text.chars() {
        if digit(letter).is_some() {
            row += 1;
            longest = longest.max(row);
        } else if !is_separator(letter) {
            row = 0;
        }
    }
    longest
}

/// Whether `text` may hold a phone number, recognised or not.
pub fn may_hold_a_number(text: &str) -> bool {
    longest_row(text) >= OF_A_NUMBER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_every_script_are_digits() {
        for written in
            ["0123456789", "０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९", "০১২৩৪৫৬৭৮৯"]
        {
            let folded: String = written.chars().filter_map(digit).collect();
            assert_eq!(folded, "0123456789", "{written}");
        }
        for no_digit in ['a', '²', '½', 'Ⅷ', '一', ' ', '+'] {
            assert_eq!(digit(no_digit), None, "{no_digit}");
        }
    }

    #[test]
    fn a_row_is_counted_across_what_separates_digits_and_ends_at_a_word() {
        for (text, row) in [
            ("", 0),
            ("order-17", 2),
            ("01522 / 88 17-386", 12),
            ("1\u{200e}2\u{ad}3\u{2212}4\u{30fc}5\u{a0}6.7", 7),
            ("٠١٥٢٢ ٨٨١٧٣٨٦", 12),
            ("2026 a 1130 b 1", 4),
        ] {
            assert_eq!(longest_row(text), row, "{text}");
        }
        assert!(may_hold_a_number("call 5550100!") && !may_hold_a_number("order 555010"));
    }
}
