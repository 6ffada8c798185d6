//! Masks codes and phone numbers in texts. Digits are compared by value, so that separators, invisible characters and
//! other scripts do not hide them.

use secrecy::{ExposeSecret, SecretString};

use crate::phone::Phone;
use crate::phone::digits::{OF_A_NUMBER, digit, is_invisible, is_separator, pictured};

/// The most characters between two characters of a code.
const MAX_CODE_GAP: usize = 16;
/// The most characters between two digits of a number.
const MAX_NUMBER_GAP: usize = 3;

/// The secrets to hide in the texts of one person.
#[derive(Default)]
pub struct Masker {
    codes: Vec<Vec<char>>,
    /// The last digits of each number, which are the same in every notation.
    ends: Vec<SecretString>,
}

impl Masker {
    pub fn with_number(mut self, phone: &Phone) -> Self {
        let e164 = phone.as_e164();
        let end = e164.get(e164.len().saturating_sub(OF_A_NUMBER)..).unwrap_or(e164);
        self.ends.push(SecretString::from(end.trim_start_matches('+')));
        self
    }

    pub fn with_codes(mut self, codes: &[SecretString]) -> Self {
        let codes = codes.iter().map(|code| code.expose_secret().chars().map(folded).collect());
        self.codes.extend(codes.filter(|code: &Vec<char>| !code.is_empty()));
        self
    }

    /// Hides codes and all digits that may be a phone number, except dates.
    pub fn hide(&self, text: &str) -> String {
        let letters = Letters::of(text);
        let mut masks = self.known(&letters);
        for row in letters.rows(MAX_NUMBER_GAP) {
            if row.len() >= OF_A_NUMBER && !letters.is_date(&row) {
                row.iter().for_each(|&at| masks[at] = true);
            }
        }
        letters.shown(&masks)
    }

    /// Hides only codes and the person's own numbers, for texts with meaningful digits such as an app's reference.
    pub fn hide_known(&self, text: &str) -> String {
        let letters = Letters::of(text);
        let masks = self.known(&letters);
        letters.shown(&masks)
    }

    fn known(&self, letters: &Letters) -> Vec<bool> {
        let mut masks = vec![false; letters.all.len()];
        for code in &self.codes {
            letters.find(code).for_each(|found| found.iter().for_each(|&at| masks[at] = true));
        }
        for row in letters.rows(usize::MAX) {
            let digits: String = row.iter().map(|&at| letters.all[at].1).collect();
            if self.ends.iter().any(|end| digits.contains(end.expose_secret())) {
                row.iter().for_each(|&at| masks[at] = true);
            }
        }
        masks
    }
}

/// Normalizes digits of all scripts to ASCII, and letters to lower case and normal width.
fn folded(letter: char) -> char {
    if let Some(digit) = digit(letter).or_else(|| pictured(letter)) {
        return digit;
    }
    let narrow = match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter),
        letter => letter,
    };
    narrow.to_lowercase().next().unwrap_or(narrow)
}

/// The original and the normalized characters of a text.
struct Letters {
    all: Vec<(char, char)>,
    /// The positions of non-separators.
    significant: Vec<usize>,
}

impl Letters {
    fn of(text: &str) -> Self {
        let all: Vec<_> = text.chars().map(|letter| (letter, folded(letter))).collect();
        let significant = all.iter().enumerate().filter(|(_, (letter, _))| !is_separator(*letter));
        let significant = significant.map(|(at, _)| at).collect();
        Self { all, significant }
    }

    /// All occurrences of `code`, ignoring separators.
    fn find<'a>(&'a self, code: &'a [char]) -> impl Iterator<Item = &'a [usize]> {
        let windows = self.significant.windows(code.len().max(1));
        windows.filter(move |places| {
            let alike = places.iter().zip(code).all(|(&at, letter)| self.all[at].1 == *letter);
            alike && places.windows(2).all(|pair| pair[1] - pair[0] <= MAX_CODE_GAP)
        })
    }

    /// Runs of digits with at most `gap` visible separator characters between them.
    fn rows(&self, gap: usize) -> Vec<Vec<usize>> {
        let mut rows: Vec<Vec<usize>> = Vec::new();
        let mut row: Vec<usize> = Vec::new();
        for &at in &self.significant {
            let is_digit = self.all[at].1.is_ascii_digit();
            let is_far = row.last().is_some_and(|&last| gap < usize::MAX && self.is_apart(last, at, gap));
            if (!is_digit || is_far) && !row.is_empty() {
                rows.push(std::mem::take(&mut row));
            }
            if is_digit {
                row.push(at);
            }
        }
        rows.push(row);
        rows
    }

    /// Punctuation of lists and sentences ends a number.
    fn is_apart(&self, last: usize, at: usize, gap: usize) -> bool {
        let between = self.all[last + 1..at].iter().map(|(letter, _)| *letter);
        let seen: Vec<char> = between.filter(|letter| !is_invisible(*letter)).collect();
        seen.len() > gap
            || seen.iter().any(|letter| matches!(letter, '\n' | ',' | ';' | ':' | '!' | '?' | '+'))
    }

    /// Recognizes `30.11.2026` and `2026-11-30 12`, with one kind of separator.
    fn is_date(&self, row: &[usize]) -> bool {
        let mut groups = vec![String::new()];
        let mut gaps = Vec::new();
        for (index, &at) in row.iter().enumerate() {
            let last = index.checked_sub(1).and_then(|index| row.get(index));
            if let Some(&last) = last.filter(|&&last| last + 1 < at) {
                gaps.push(self.all[last + 1..at].iter().map(|(letter, _)| *letter).collect::<String>());
                groups.push(String::new());
            }
            if let Some(group) = groups.last_mut() {
                group.push(self.all[at].1);
            }
        }
        let (Some(first), Some(second)) = (gaps.first(), gaps.get(1)) else { return false };
        let is_separated = first == second && matches!(first.trim(), "." | "/" | "-");
        let number =
            |at: usize| groups.get(at).and_then(|group: &String| group.parse::<u32>().ok()).unwrap_or(9_999);
        let is_day = |at: usize| (1..=31).contains(&number(at));
        let is_year = |at: usize| {
            groups.get(at).is_some_and(|group| group.len() == 4) && (1900..=2100).contains(&number(at))
        };
        let is_hour = groups.len() == 3 || groups.len() == 4 && number(3) < 24;
        is_separated
            && is_hour
            && (is_year(0) && is_day(1) && is_day(2) || is_day(0) && is_day(1) && is_year(2))
    }

    fn shown(&self, masks: &[bool]) -> String {
        self.all.iter().zip(masks).map(|((letter, _), masked)| if *masked { '•' } else { *letter }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masker() -> Masker {
        let phone = Phone::parse("+4915228817386").unwrap();
        Masker::default()
            .with_number(&phone)
            .with_codes(&[SecretString::from("297018"), SecretString::from("Kq7Z")])
    }

    #[test]
    fn codes_are_masked_in_any_notation() {
        for (text, shown) in [
            ("297018", "••••••"),
            ("my code is 297018!", "my code is ••••••!"),
            ("297 018", "••• •••"),
            ("297-018", "•••-•••"),
            ("2 9 7 0 1 8", "• • • • • •"),
            ("2.9.7.0.1.8", "•.•.•.•.•.•"),
            ("297\u{200b}018", "•••\u{200b}•••"),
            ("297\u{fffd}018", "•••\u{fffd}•••"),
            ("297\u{a0}\u{2014} 018", "•••\u{a0}\u{2014} •••"),
            ("٢٩٧٠١٨", "••••••"),
            ("۲۹۷ ۰۱۸", "••• •••"),
            ("२९७०१८", "••••••"),
            ("２９７０１８", "••••••"),
            ("𝟐𝟗𝟕𝟎𝟏𝟖", "••••••"),
            ("297\n018", "•••\n•••"),
            ("it was kq7z or K-Q-7-Z or ＫＱ７Ｚ", "it was •••• or •-•-•-• or ••••"),
            ("(297)(018) and 2970", "(•••)(•••) and 2970"),
        ] {
            assert_eq!(masker().hide(text), shown, "{text}");
            assert_eq!(masker().hide_known(text), shown, "{text}");
        }
    }

    #[test]
    fn numbers_are_masked_in_every_notation() {
        for text in [
            "+4915228817386",
            "+49 1522 8817386",
            "01522 / 88 17 386",
            "0049 (0)1522-8817386",
            "+49\u{200e}1522\u{2066}8817386",
            "+٤٩ ١٥٢٢ ٨٨١٧٣٨٦",
            "+49 1522\n8817386",
            "1 5 2 2 8 8 1 7 3 8 6",
        ] {
            for shown in [masker().hide(text), masker().hide_known(text)] {
                assert!(!shown.chars().any(|letter| digit(letter).is_some()), "{text}: {shown}");
            }
        }
    }

    #[test]
    fn other_numbers_are_masked_but_dates_and_short_digits_are_kept() {
        for (text, shown) in [
            (
                "Ada changed from +4915228817386 to +43 660 1234567",
                "Ada changed from +••••••••••••• to +•• ••• •••••••",
            ),
            ("call 555-0100", "call •••-••••"),
            ("call 0660/1234567, please", "call ••••/•••••••, please"),
            ("20 12 34 56", "•• •• •• ••"),
            ("on 30.11.2026 at 12:30", "on 30.11.2026 at 12:30"),
            ("2026-11-30 12:30:05", "2026-11-30 12:30:05"),
            ("11/30/2026", "11/30/2026"),
            ("order 17, 18, 19, 20", "order 17, 18, 19, 20"),
            ("12:30 and 14:45", "12:30 and 14:45"),
            ("", ""),
        ] {
            assert_eq!(masker().hide(text), shown, "{text}");
        }
        assert_eq!(masker().hide_known("order-20261130-0001"), "order-20261130-0001");
    }
}
