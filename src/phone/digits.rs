//! Digits as people write and paste them: of any script, with separators and invisible marks between them.

pub use crate::digits::{decimal as digit, is_invisible, pictured};

/// So many digits in a row, whatever separates them, may be a phone number. A shorter one names nobody.
pub const OF_A_NUMBER: usize = 7;

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
        if digit(letter).or_else(|| pictured(letter)).is_some() {
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

/// How many digits there are in `text`, whatever stands between them.
pub fn count(text: &str) -> usize {
    text.chars().filter(|letter| digit(*letter).or_else(|| pictured(*letter)).is_some()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

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
