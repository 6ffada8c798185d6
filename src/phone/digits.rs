//! Digits as people write and paste them: in any script, with separators and invisible characters between them.

pub use crate::digits::{decimal as digit, is_invisible, pictured};

/// A run of at least this many digits, whatever separates them, may be a phone number.
pub const OF_A_NUMBER: usize = 7;

/// Whether a character may separate two digits of one number: everything that is not alphanumeric, and what looks like
/// a dash.
pub fn is_separator(letter: char) -> bool {
    // Japanese prolonged sound marks are letters, but are used as dashes.
    !letter.is_alphanumeric() || matches!(letter, '\u{30fc}' | '\u{ff70}') || is_invisible(letter)
}

/// Length of the longest run of digits with only separators between them.
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

/// Whether `text` may contain a phone number, valid or not.
pub fn may_hold_a_number(text: &str) -> bool {
    longest_row(text) >= OF_A_NUMBER
}

/// Number of digits in `text`.
pub fn count(text: &str) -> usize {
    text.chars().filter(|letter| digit(*letter).or_else(|| pictured(*letter)).is_some()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_digits_spans_separators_and_ends_at_a_word() {
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
