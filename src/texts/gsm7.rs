//! The default alphabet of GSM (3GPP TS 23.038, 6.2.1) and its extension table.

/// A character's position is its septet; 0x1b escapes to [`EXTENSION`].
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENSION: &str = "\u{c}^{}\\[~]|€";
const ESCAPE: char = '\u{1b}';

/// Septets of a character, 1 or 2; `None` if the alphabet lacks it.
pub fn septets(letter: char) -> Option<usize> {
    match letter {
        ESCAPE => None,
        _ if BASIC.contains(letter) => Some(1),
        _ if EXTENSION.contains(letter) => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_128_characters() {
        assert_eq!(BASIC.chars().count(), 128);
        for (septet, letter) in [
            (0x00, '@'),
            (0x10, 'Δ'),
            (0x1b, ESCAPE),
            (0x20, ' '),
            (0x30, '0'),
            (0x41, 'A'),
            (0x61, 'a'),
            (0x7f, 'à'),
        ] {
            assert_eq!(BASIC.chars().nth(septet), Some(letter));
        }
    }

    #[test]
    fn characters_take_one_or_two_septets_or_are_missing() {
        for (letter, taken) in [
            ('a', Some(1)),
            ('Ç', Some(1)),
            ('€', Some(2)),
            ('{', Some(2)),
            ('ç', None),
            ('`', None),
            (ESCAPE, None),
        ] {
            assert_eq!(septets(letter), taken, "{letter:?}");
        }
    }
}
