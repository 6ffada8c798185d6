//! Providers' words made fit to be stored and shown: short, one line, without numbers or codes of people.

/// The most characters of a provider's words that are kept.
pub const MAX_TITLE_CHARS: usize = 200;
/// Longer than any code or status word of a provider that is known to us.
const MAX_TOKEN_CHARS: usize = 64;
/// A shorter run of digits is a count, a longer one may be a code or a phone number.
const MASKED_DIGITS: usize = 4;
/// Providers' error codes have up to 7 digits, phone numbers with country code at least 8.
const NUMBER_DIGITS: usize = 8;

/// `text` on one line, cut to 200 characters, with every run of 4 or more digits as `…`; digits with single
/// separators between them are one run, as people write numbers.
pub fn title(text: &str) -> String {
    let mut kept = String::new();
    let mut run = Run::default();
    for letter in text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if letter.is_numeric() {
            run.text.push(letter);
            run.digits += 1;
            run.separators = 0;
        } else if run.digits > 0 && run.separators < 2 && " -.()/".contains(letter) {
            run.text.push(letter);
            run.separators += 1;
        } else {
            run.end(&mut kept);
            kept.push(letter);
        }
    }
    run.end(&mut kept);
    cut(kept.trim(), MAX_TITLE_CHARS)
}

/// [`title`] of words in which a provider may have quoted what it was sent.
pub fn title_without(text: &str, secrets: &[&str]) -> String {
    let mut clean = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        clean = clean.replace(secret, "…");
    }
    title(&clean)
}

/// A provider's code or enumerated word as it stands, unless it looks like something else. `None` where there is nothing
/// to be read in it.
pub fn token(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if plain && text.len() <= MAX_TOKEN_CHARS && digits < NUMBER_DIGITS {
        return legible(text.to_owned());
    }
    legible(title(text))
}

/// A word of a provider that this version does not know, for the log.
pub fn unknown_word(text: &str) -> String {
    cut(&token(text).unwrap_or_default(), MAX_TOKEN_CHARS)
}

/// `None` for what is empty.
pub fn legible(words: String) -> Option<String> {
    Some(words).filter(|words| !words.is_empty())
}

/// The first `chars` characters.
pub fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

#[derive(Default)]
struct Run {
    text: String,
    digits: usize,
    separators: usize,
}

impl Run {
    fn end(&mut self, kept: &mut String) {
        if self.digits >= MASKED_DIGITS {
            kept.push('…');
            let separators = self.text.chars().rev().take_while(|letter| !letter.is_numeric());
            kept.extend(separators.collect::<Vec<_>>().into_iter().rev());
        } else {
            kept.push_str(&self.text);
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_or_code_survives() {
        for (text, shown) in [
            ("Rate limit hit", "Rate limit hit"),
            ("wait 24 hours", "wait 24 hours"),
            ("to +4915228817386 failed", "to +… failed"),
            ("to +1 (650) 555-1234 failed", "to +… failed"),
            ("49 152 28 81 73 86", "…"),
            ("code 493817.", "code …."),
            ("code 4 9 3 8 1 7", "code …"),
            ("١٢٣٤٥", "…"),
            ("one\nline\u{0}", "one line"),
            ("", ""),
        ] {
            assert_eq!(title(text), shown);
        }
    }

    #[test]
    fn what_was_sent_is_cut_out_even_where_it_has_no_digits() {
        assert_eq!(title_without("parameter 'ABcd' of +491", &["ABcd", "", "+491"]), "parameter '…' of …");
    }

    #[test]
    fn titles_and_tokens_are_bounded() {
        assert_eq!(title(&"é".repeat(5000)).chars().count(), 200);
        let read = |text: &str| token(text).unwrap();
        assert_eq!(read("TIER_2000"), "TIER_2000");
        assert_eq!(read("2388073"), "2388073");
        assert_eq!(read("4915228817386"), "…");
        assert_eq!(read(&"A".repeat(5000)).len(), 200);
        assert_eq!(read("bad code"), "bad code");
        assert_eq!(unknown_word("SUSPENDED_BY_BUREAU"), "SUSPENDED_BY_BUREAU");
        assert_eq!(unknown_word("to +4915228817386: 493817"), "to +…: …");
        assert_eq!(unknown_word(&"a word ".repeat(5000)).chars().count(), MAX_TOKEN_CHARS);
        for nothing in ["", " ", "\n", "\u{0} \t"] {
            assert_eq!(token(nothing), None, "{nothing:?}");
        }
    }
}
