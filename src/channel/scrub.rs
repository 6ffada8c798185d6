//! Makes providers' texts safe to store and show: short, one line, without phone numbers or codes.

/// The maximum length of a provider's text.
pub const MAX_TITLE_CHARS: usize = 200;
/// Longer than any known code or status word of a provider.
const MAX_TOKEN_CHARS: usize = 64;
/// A shorter run of digits is a count; a longer one may be a code or a phone number.
const MASKED_DIGITS: usize = 4;
/// Providers' error codes have up to 7 digits, phone numbers with country code at least 8.
const NUMBER_DIGITS: usize = 8;

/// `text` on one line, cut to 200 characters, with each run of 4 or more digits replaced by `…`. Digits with single
/// separators between them, as in phone numbers, form one run.
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

/// [`title`] without `secrets`, which the provider may have quoted in any case.
pub fn title_without(text: &str, secrets: &[&str]) -> String {
    title(&without(text, secrets))
}

/// [`title`] that keeps the years in dates: `April 17, 2026`, `17 April 2026`, `2026-04-17`.
pub fn dated(text: &str) -> String {
    let plain: String = text.chars().map(|letter| if is_shield(letter) { ' ' } else { letter }).collect();
    let mut shielded = String::with_capacity(plain.len());
    let mut before = ["", ""];
    for word in plain.split_inclusive(char::is_whitespace) {
        let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        let dated = is_iso_date(bare) || (is_year(bare) && before.iter().any(|word| names_a_month(word)));
        shielded.extend(word.chars().map(|letter| if dated { shield(letter) } else { letter }));
        before = [before[1], bare];
    }
    title(&shielded).chars().map(unshield).collect()
}

/// Private-use characters stand in for the digits to keep.
const FIRST_SHIELD: u32 = 0xe000;

fn is_shield(letter: char) -> bool {
    (FIRST_SHIELD..FIRST_SHIELD + 10).contains(&u32::from(letter))
}

fn shield(letter: char) -> char {
    let digit = letter.to_digit(10).filter(|_| letter.is_ascii());
    digit.and_then(|digit| char::from_u32(FIRST_SHIELD + digit)).unwrap_or(letter)
}

fn unshield(letter: char) -> char {
    let digit = u32::from(letter).checked_sub(FIRST_SHIELD).filter(|digit| *digit < 10);
    digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(letter)
}

fn is_year(word: &str) -> bool {
    word.len() == 4
        && (word.starts_with("19") || word.starts_with("20"))
        && word.bytes().all(|b| b.is_ascii_digit())
}

fn is_iso_date(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let two_digits = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(&parts[..], [year, rest @ ..] if is_year(year) && rest.len() == 2 && rest.iter().all(two_digits))
}

fn names_a_month(word: &str) -> bool {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let word = word.to_ascii_lowercase();
    MONTHS.iter().any(|month| word.starts_with(month))
}

/// [`title_without`] for responses in an unknown format: also masks tokens, URLs and e-mail addresses.
pub fn reason(text: &str, secrets: &[&str]) -> String {
    let words = without(text, secrets);
    let mut kept: Vec<String> = Vec::new();
    let mut secret_follows = false;
    for word in words.split_whitespace().take(MAX_TITLE_CHARS) {
        let name = word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_ascii_lowercase();
        let masked = secret_follows && looks_like_a_token(word, SHORT_TOKEN_CHARS);
        kept.push(if masked { "…".to_owned() } else { without_token(word) });
        secret_follows = SECRET_NAMES.iter().any(|secret| name.ends_with(secret));
    }
    title(&kept.join(" "))
}

/// The word after one of these may be a secret.
const SECRET_NAMES: &[&str] = &[
    "bearer",
    "basic",
    "token",
    "key",
    "apikey",
    "secret",
    "password",
    "passwd",
    "signature",
    "authorization",
];
/// Shorter words, or words without digits, are prose.
const TOKEN_CHARS: usize = 16;
const SHORT_TOKEN_CHARS: usize = 6;
/// The longest word kept.
const MAX_WORD_CHARS: usize = 40;

fn without(text: &str, secrets: &[&str]) -> String {
    let mut clean = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        // ASCII lower case preserves byte positions.
        let (lower, sought) = (clean.to_ascii_lowercase(), secret.to_ascii_lowercase());
        let mut rest = 0;
        let mut cut = String::new();
        for (at, found) in lower.match_indices(&sought) {
            cut.push_str(&clean[rest..at]);
            cut.push('…');
            rest = at + found.len();
        }
        cut.push_str(&clean[rest..]);
        clean = cut;
    }
    clean
}

/// Masks a word that may be a token.
fn without_token(word: &str) -> String {
    if word.contains("://") {
        return "…".to_owned();
    }
    if word.contains('@') {
        return "…".to_owned();
    }
    if let Some((name, value)) = word.split_once(['=', ':'])
        && !value.is_empty()
        && SECRET_NAMES.iter().any(|secret| name.to_ascii_lowercase().ends_with(secret))
    {
        return format!("{name}=…");
    }
    if word.chars().count() > MAX_WORD_CHARS || looks_like_a_token(word, TOKEN_CHARS) {
        return "…".to_owned();
    }
    word.to_owned()
}

fn looks_like_a_token(word: &str, least: usize) -> bool {
    let word = word.trim_matches(|letter: char| !letter.is_alphanumeric());
    let digits = word.chars().any(|letter| letter.is_ascii_digit());
    let mixed = word.chars().skip(1).any(|letter| letter.is_ascii_uppercase())
        && word.chars().any(|letter| letter.is_ascii_lowercase());
    word.chars().count() >= least && word.chars().any(char::is_alphabetic) && (digits || mixed)
}

/// A provider's code or enumerated word, unchanged if it looks like one, else as [`title`]. `None` if nothing is left.
pub fn token(text: &str) -> Option<String> {
    as_token(text).or_else(|| non_empty(title(text)))
}

/// [`token`] that keeps the years in dates.
pub fn dated_token(text: &str) -> Option<String> {
    as_token(text).or_else(|| non_empty(dated(text)))
}

fn as_token(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let fits = plain && text.len() <= MAX_TOKEN_CHARS && digits < NUMBER_DIGITS;
    non_empty(text.to_owned()).filter(|_| fits)
}

/// A provider's unknown word, for the log.
pub fn unknown_word(text: &str) -> String {
    cut(&token(text).unwrap_or_default(), MAX_TOKEN_CHARS)
}

/// `None` for an empty string.
pub fn non_empty(words: String) -> Option<String> {
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
    fn numbers_and_codes_are_masked() {
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
    fn sent_data_is_removed_even_without_digits() {
        assert_eq!(title_without("parameter 'ABcd' of +491", &["ABcd", "", "+491"]), "parameter '…' of …");
    }

    #[test]
    fn a_response_keeps_its_text_without_tokens() {
        for (text, kept) in [
            ("Insufficient credit", "Insufficient credit"),
            (
                "invalid SENDER_ID_NOT_REGISTERED in field 'from'",
                "invalid SENDER_ID_NOT_REGISTERED in field 'from'",
            ),
            ("token hunter2hunter2 is unknown", "token … is unknown"),
            ("token is unknown", "token is unknown"),
            ("Bearer abcDEF is not valid", "Bearer … is not valid"),
            ("api_key=abcdef was refused", "api_key=… was refused"),
            ("the secret \"s3cr3t-value\" is wrong", "the secret … is wrong"),
            ("EAAJZCfakeToken0123456789abcdef has expired", "… has expired"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "…"),
            ("see https://example.com/e?token=abc or ask anna@example.com", "see … or ask …"),
            ("to +4915228817386 failed", "to +… failed"),
            ("sent CARRIERTOKEN to us", "sent … to us"),
            ("one\n\n two\tthree", "one two three"),
        ] {
            assert_eq!(reason(text, &["carriertoken"]), kept);
        }
        assert_eq!(reason(&"x ".repeat(5_000), &[]).chars().count(), 200);
    }

    #[test]
    fn years_in_dates_are_kept_and_numbers_masked() {
        for (text, shown) in [
            ("November 30, 2026", "November 30, 2026"),
            ("Nov 30, 2026.", "Nov 30, 2026."),
            ("30 November 2026", "30 November 2026"),
            ("from 1 Jan 2026 until Mar 2027", "from 1 Jan 2026 until Mar 2027"),
            ("on 2026-11-30, at 10:00", "on 2026-11-30, at 10:00"),
            ("code 2026", "code …"),
            ("2026 4915 2288", "…"),
            ("April 4915228817386", "April …"),
            ("\u{e002}\u{e000}\u{e002}\u{e006}", ""),
        ] {
            assert_eq!(dated(text), shown, "{text}");
        }
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
