//! Rules for all secrets, whether given as text, variable, file or flag.

/// A secret that begins or ends with a blank character, probably a copying mistake: it would never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("begins or ends with a blank, which is no part of a secret; a final newline is trimmed")]
pub struct BlankAtEnd;

/// Removes the final newline that editors, `echo` and secret managers append.
pub fn trimmed(text: &str) -> Result<&str, BlankAtEnd> {
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.starts_with(is_blank) || secret.ends_with(is_blank) { Err(BlankAtEnd) } else { Ok(secret) }
}

/// Invisible characters: spaces of every script, control characters, byte order marks, zero-width characters.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A secret with fewer different characters is a placeholder or a mistake.
const FEWEST_CHARACTERS: usize = 4;
/// Secrets issued by providers are longer.
const SHORT_BYTES: usize = 8;

/// Why a valid secret is weak.
pub fn weakness(secret: &str) -> Option<&'static str> {
    let mut characters: Vec<char> = secret.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    match characters.len() {
        0 => None,
        1 => Some("is one character repeated and easy to guess"),
        few if few < FEWEST_CHARACTERS => {
            Some("has only two or three different characters and is easy to guess")
        }
        _ if secret.len() < SHORT_BYTES => Some("is shorter than 8 bytes: easy to guess, or truncated"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_newline_is_trimmed_and_other_spaces_are_refused() {
        for (text, secret) in [
            ("abc", Ok("abc")),
            ("abc\n", Ok("abc")),
            ("abc\r\n", Ok("abc")),
            ("a b\tc", Ok("a b\tc")),
            ("", Ok("")),
            ("\n", Ok("")),
            (" abc", Err(BlankAtEnd)),
            ("abc ", Err(BlankAtEnd)),
            ("abc \n", Err(BlankAtEnd)),
            ("abc\t", Err(BlankAtEnd)),
            ("\nabc", Err(BlankAtEnd)),
            ("\u{feff}abc\n", Err(BlankAtEnd)),
            ("abc\u{a0}", Err(BlankAtEnd)),
            ("abc\u{200b}", Err(BlankAtEnd)),
            ("abc\0", Err(BlankAtEnd)),
        ] {
            assert_eq!(trimmed(text), secret, "{text:?}");
        }
    }

    #[test]
    fn weak_secrets_are_told() {
        for weak in ["aaaaaaaaaaaaaaaaaaaa", "abababababababab", "abcabcabcabcabcabc", "s3cr3t", "x"] {
            assert!(weakness(weak).is_some(), "{weak}");
        }
        for fine in ["", "5f2d8a90c1b7e643", "a secret for reports"] {
            assert!(weakness(fine).is_none(), "{fine}");
        }
    }
}
