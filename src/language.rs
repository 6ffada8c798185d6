//! The languages of the texts for staff.

use std::fmt;
use std::str::FromStr;

/// A language of the texts for staff. The API and JSON output are in English only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Language {
    #[default]
    #[serde(rename = "en")]
    English,
    #[serde(rename = "de")]
    German,
}

/// The text is not the code of a supported language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown language; allowed: `en`, `de`")]
pub struct UnknownLanguage;

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// The language that an `Accept-Language` header (RFC 9110, 12.5.4) prefers: `de-AT, en;q=0.8`. The first of
    /// equals; English for a header that names no supported language or cannot be read.
    pub fn parse(accept_language: &str) -> Self {
        let mut best: Option<(Self, u16)> = None;
        for range in accept_language.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(language) = parts.next().and_then(Self::of_range) else { continue };
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1_000), thousandths);
            let Some(weight) = weight.filter(|&weight| weight > 0) else { continue };
            if best.is_none_or(|(_, heaviest)| weight > heaviest) {
                best = Some((language, weight));
            }
        }
        best.map_or(Self::default(), |(language, _)| language)
    }

    /// `en` or `de`, for `lang` attributes and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The text of this language.
    pub fn choose<T>(self, english: T, german: T) -> T {
        match self {
            Self::English => english,
            Self::German => german,
        }
    }

    /// The name of the language in itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    /// Matches `de`, `DE-at` and `de-Latn-CH`, all as `de`.
    fn of_range(range: &str) -> Option<Self> {
        let primary = range.split('-').next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.as_str()))
    }
}

/// `0.8` as 800. `None` for anything but a weight of RFC 9110: 0 to 1 with at most three decimals.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = decimals.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !digits {
        return None;
    }
    let value: u16 = format!("{whole}{decimals:0<3}").parse().ok()?;
    (value <= 1_000).then_some(value)
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        Self::ALL.into_iter().find(|language| language.as_str() == text).ok_or(UnknownLanguage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_language_is_chosen() {
        for (header, language) in [
            ("de", Language::German),
            ("de-AT, en;q=0.8", Language::German),
            ("DE-de", Language::German),
            ("de-Latn-CH", Language::German),
            ("fr, de;q=0.7, en;q=0.3", Language::German),
            ("en;q=0.3,de;q=0.7", Language::German),
            ("en;q=0, de;q=0.001", Language::German),
            ("de; q=1.000", Language::German),
            ("de, en", Language::German),
            ("en, de", Language::English),
            ("en-GB,en;q=0.9,de;q=0.8", Language::English),
            ("de;q=0.5, en;q=0.500, en", Language::English),
            ("de;q=0", Language::English),
            ("de;q=1.001", Language::English),
            ("de;q=0.1234", Language::English),
            ("de;q=+1", Language::English),
            ("de;q=", Language::English),
            ("den, deu", Language::English),
            ("fr, *", Language::English),
            ("", Language::English),
            (",;,;;q=,", Language::English),
            ("ünï-cödé;q=é", Language::English),
        ] {
            assert_eq!(Language::parse(header), language, "{header}");
        }
    }

    #[test]
    fn a_language_parses_from_its_name() {
        for language in Language::ALL {
            assert_eq!(language.as_str().parse(), Ok(language));
            assert_eq!(serde_json::to_value(language).unwrap(), language.as_str());
            assert_eq!(serde_json::from_value::<Language>(language.as_str().into()).unwrap(), language);
        }
        assert_eq!("fr".parse::<Language>(), Err(UnknownLanguage));
        assert_eq!("DE".parse::<Language>(), Err(UnknownLanguage));
    }
}
