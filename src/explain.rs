//! Explanations of error codes: what a code means, who has to act and how to fix it, in every language of the staff.
//! The texts are the TOML files of `explain/`, one for each [`Origin`], embedded in the binary. The command line, the
//! console, timelines and problem documents read them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::OnceLock;

use serde::Deserialize;
use serde::de::Error;
use toml::Spanned;

use crate::language::Language;

/// The explanation of one code, or of a range of Meta's codes.
#[derive(Debug)]
pub struct Explanation {
    pub origin: Origin,
    pub who: Actor,
    code: String,
    /// The codes in numbers, for Meta's.
    numbers: Option<RangeInclusive<u32>>,
    title: Said,
    cause: Said,
    fix: Said,
}

/// An explanation in one language. Names of settings are in backticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// A few words, as a heading, without a full stop.
    pub title: &'static str,
    pub cause: &'static str,
    /// What to do about it; support can read it out.
    pub fix: &'static str,
}

/// Where a code comes from. Each origin has a file in `explain/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Problem documents of the HTTP interface.
    Api,
    /// Outcomes of an attempt to send that are the same for every provider: `no_answer`, `http_403`.
    Attempt,
    /// Alerts about templates, accounts and users.
    Alert,
    /// Alarms of twotick about its own state.
    Alarm,
    Meta,
    Twilio,
    Sinch,
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The person who waits for the code.
    Customer,
    /// The operator of twotick and of the accounts at the providers.
    Operator,
    /// The developers of the app that calls twotick.
    App,
    Meta,
    Carrier,
    Nobody,
}

/// A text in every language: a file in which one is missing does not parse.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    en: String,
    de: String,
}

/// A file of `explain/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Texts that several entries use, by name.
    #[serde(default)]
    shared: BTreeMap<String, Said>,
    code: BTreeMap<String, Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    who: Actor,
    title: Said,
    cause: Said,
    fix: Fix,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Fix {
    /// The name of a shared text.
    Shared(String),
    Own(Said),
}

impl Actor {
    pub fn as_str(self, language: Language) -> &'static str {
        let (english, german) = match self {
            Self::Customer => ("the customer", "die Kundin oder der Kunde"),
            Self::Operator => ("you, the operator", "Sie als Betreiber"),
            Self::App => ("the app's developers", "das Entwicklungsteam der App"),
            Self::Meta => ("Meta", "Meta"),
            Self::Carrier => ("the SMS carrier", "der SMS-Anbieter"),
            Self::Nobody => ("nobody", "niemand"),
        };
        language.choose(english, german)
    }
}

impl Said {
    fn by(&self, language: Language) -> &str {
        language.choose(&self.en, &self.de)
    }
}

impl Explanation {
    pub fn text(&'static self, language: Language) -> Text {
        Text { title: self.title.by(language), cause: self.cause.by(language), fix: self.fix.by(language) }
    }

    /// The code as errors and timelines show it; `200-299` for a range.
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl Origin {
    /// In the order in which their codes are listed.
    const ALL: [Self; 7] =
        [Self::Api, Self::Attempt, Self::Alert, Self::Alarm, Self::Meta, Self::Twilio, Self::Sinch];

    /// The entries, in the order of the file.
    pub fn entries(self) -> &'static [Explanation] {
        static PARSED: [OnceLock<Vec<Explanation>>; Origin::ALL.len()] = [const { OnceLock::new() }; _];
        PARSED[self as usize]
            .get_or_init(|| parse(self, self.file()).expect("the file is embedded, and a test parses it"))
    }

    fn file(self) -> &'static str {
        match self {
            Self::Api => include_str!("explain/api.toml"),
            Self::Attempt => include_str!("explain/attempts.toml"),
            Self::Alert => include_str!("explain/alerts.toml"),
            Self::Alarm => include_str!("explain/alarms.toml"),
            Self::Meta => include_str!("explain/meta.toml"),
            Self::Twilio => include_str!("explain/twilio.toml"),
            Self::Sinch => include_str!("explain/sinch.toml"),
        }
    }
}

fn parse(origin: Origin, file: &str) -> Result<Vec<Explanation>, toml::de::Error> {
    let File { shared, code } = toml::from_str(file)?;
    let mut entries: Vec<_> = code.into_iter().collect();
    entries.sort_by_key(|(_, entry)| entry.span().start);
    let explanation = |(code, entry): (String, Spanned<Entry>)| {
        let Entry { who, title, cause, fix } = entry.into_inner();
        let fix = match fix {
            Fix::Own(fix) => fix,
            Fix::Shared(name) => shared
                .get(&name)
                .cloned()
                .ok_or_else(|| toml::de::Error::custom(format!("{code}: there is no [shared.{name}]")))?,
        };
        let no_number = || toml::de::Error::custom(format!("{code} is neither a number nor a range of them"));
        let numbers = if origin == Origin::Meta { Some(numbers(&code).ok_or_else(no_number)?) } else { None };
        Ok(Explanation { origin, who, code, numbers, title, cause, fix })
    };
    entries.into_iter().map(explanation).collect()
}

/// `131026` and `200-299`.
fn numbers(code: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = code.split_once('-').unwrap_or((code, code));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// The explanation of a code in any form in which people copy it: `131026`, `(#131026)`, `Resend_Too_Early`.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    let code = code.trim().trim_matches(['(', ')', '#']).to_ascii_lowercase();
    let metas = code.parse().ok().and_then(meta_code);
    metas.or_else(|| named(all(), &code))
}

/// The explanation of the outcome of an attempt, whichever provider it went to: `no_answer`, `http_403`. A carrier's
/// own codes are not among them, even where they look like one of Meta's.
pub fn attempt_code(code: &str) -> Option<&'static Explanation> {
    named(Origin::Attempt.entries().iter(), code)
}

fn named(
    entries: impl Iterator<Item = &'static Explanation> + Clone,
    code: &str,
) -> Option<&'static Explanation> {
    let find = |name: &str| entries.clone().find(|entry| entry.code == name);
    let status = || code.strip_prefix("http_").and_then(|status| status.parse::<u16>().ok());
    find(code).or_else(|| match status()? {
        400..=499 => find("http_400"),
        // Refusals only where the configuration says so.
        200..=399 | 500..=599 => find("http_500"),
        _ => None,
    })
}

/// The explanation of one of Meta's numbers, or of the range that holds it.
pub fn meta_code(number: u32) -> Option<&'static Explanation> {
    let holds = |entry: &&Explanation| entry.numbers.as_ref().is_some_and(|range| range.contains(&number));
    Origin::Meta.entries().iter().find(holds)
}

/// Every explanation: codes of twotick, then Meta's, then other providers'.
pub fn all() -> impl Iterator<Item = &'static Explanation> + Clone {
    Origin::ALL.into_iter().flat_map(|origin| origin.entries().iter())
}

/// The known code that is most similar to `code`, if any is similar.
pub fn nearest(code: &str) -> Option<&'static str> {
    let code = scrap(code);
    all()
        .map(|entry| (strsim::damerau_levenshtein(&code, &entry.code), entry))
        .filter(|(distance, entry)| *distance <= entry.code.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, entry)| entry.code())
}

/// The start of `code`, in lower case: no code is longer, and the time of a comparison grows with the product of the
/// lengths.
fn scrap(code: &str) -> String {
    code.trim().chars().take(64).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_code_is_found_in_the_ways_people_copy_it() {
        for text in ["131026", "(#131026)", "#131026", " 131026 "] {
            assert_eq!(explain(text).map(Explanation::code), Some("131026"), "{text}");
        }
        for (text, entry) in [
            ("resend_too_early", "resend_too_early"),
            ("Resend_Too_Early", "resend_too_early"),
            ("200", "200-299"),
            ("299", "200-299"),
            ("200-299", "200-299"),
            ("131201", "131200-131299"),
            ("http_422", "http_400"),
            ("http_507", "http_500"),
            ("http_206", "http_500"),
            ("http_403", "http_403"),
        ] {
            assert_eq!(explain(text).map(Explanation::code), Some(entry), "{text}");
        }
        for text in ["", "300", "-1", "99999999999999999999", "resend", "é"] {
            assert!(explain(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_mistyped_code_finds_its_neighbour() {
        assert_eq!(nearest("resend_to_early"), Some("resend_too_early"));
        assert_eq!(nearest("store_ful"), Some("store_full"));
        assert_eq!(nearest("131206"), Some("131026"));
        assert_eq!(nearest("completely different"), None);
        assert_eq!(nearest(&"x".repeat(1_000_000)), None);
    }

    #[test]
    fn every_file_is_complete_and_has_each_code_once() {
        let mut codes = HashSet::new();
        for origin in Origin::ALL {
            let entries = parse(origin, origin.file()).unwrap_or_else(|error| panic!("{origin:?}: {error}"));
            assert_eq!(entries.len(), origin.file().matches("\n[code.").count(), "{origin:?}");
            for entry in origin.entries() {
                let code = entry.code();
                assert!(codes.insert(code), "{code} has two entries");
                assert!(explain(code).is_some_and(|found| std::ptr::eq(found, entry)), "{code}");
                for language in Language::ALL {
                    let Text { title, cause, fix } = entry.text(language);
                    for text in [title, cause, fix] {
                        let whole = !text.is_empty() && !text.contains("  ") && text.trim() == text;
                        assert!(whole, "{code}: {text}");
                        // Each backtick that opens the name of a setting is closed.
                        assert!(text.matches('`').count() % 2 == 0, "{code}: {text}");
                    }
                    assert!(cause.ends_with('.') && fix.ends_with('.'), "{code}");
                    assert!(!title.ends_with('.'), "{code}");
                }
            }
        }
        assert!(codes.len() > 130, "{}", codes.len());
    }

    #[test]
    fn entries_are_in_the_order_of_their_file() {
        let first: Vec<_> = Origin::Api.entries().iter().take(3).map(Explanation::code).collect();
        assert_eq!(first, ["unauthorized", "signature_refused", "challenge_refused"]);
        let mut numbers = Origin::Meta.entries().iter().filter_map(|entry| entry.numbers.clone());
        let disjoint = |last: u32, next: RangeInclusive<u32>| (*next.start() > last).then_some(*next.end());
        let first = numbers.next().map(|first| *first.end()).expect("there are entries");
        assert!(numbers.try_fold(first, disjoint).is_some(), "no number is in two entries");
    }

    #[test]
    fn a_bad_file_is_refused() {
        let good = "[shared.wait]\nen = \"Wait.\"\nde = \"Warten.\"\n[code.7]\nwho = \"app\"\ntitle.en = \"T\"\n\
                    title.de = \"T\"\ncause.en = \"C.\"\ncause.de = \"C.\"\nfix = \"wait\"\n";
        assert_eq!(parse(Origin::Meta, good).unwrap()[0].fix.de, "Warten.");
        for (part, instead) in [
            ("title.de = \"T\"", ""),
            ("who = \"app\"", "who = \"them\""),
            ("fix = \"wait\"", "fix = \"run\""),
            ("fix = \"wait\"", ""),
            ("cause.de", "cause.fr"),
            ("code.7", "code.7-x"),
            ("fix =", "hint = \"\"\nfix ="),
        ] {
            assert!(parse(Origin::Meta, &good.replace(part, instead)).is_err(), "{instead} for {part}");
        }
    }

    #[test]
    fn both_languages_name_the_same_settings() {
        let quoted = |text: &'static str| text.split('`').skip(1).step_by(2).collect::<HashSet<_>>();
        for entry in all() {
            let [english, german] = Language::ALL.map(|language| entry.text(language));
            for (english, german) in [(english.cause, german.cause), (english.fix, german.fix)] {
                let missing: Vec<_> = quoted(english).difference(&quoted(german)).copied().collect();
                assert!(missing.is_empty(), "{}: {missing:?} are not in: {german}", entry.code());
            }
        }
    }

    #[test]
    fn german_is_german() {
        let english = [" the ", " and ", " is ", " not ", " of ", "The ", "ae", "oe", "fuer", "ueb"]
            .map(str::to_owned)
            .to_vec();
        for entry in all() {
            let Text { title, cause, fix } = entry.text(Language::German);
            for text in [title, cause, fix] {
                let words = text.split('`').step_by(2).collect::<String>();
                let strange: Vec<_> = english.iter().filter(|word| words.contains(word.as_str())).collect();
                assert!(strange.is_empty(), "{}: {strange:?} in: {text}", entry.code());
                for address in [" du ", " dein", "Du ", " dir "] {
                    assert!(!words.contains(address), "{}: {text}", entry.code());
                }
            }
        }
    }

    #[test]
    fn a_carriers_own_code_is_not_taken_for_another_ones() {
        for known in ["no_answer", "http_403", "http_422", "no_reason"] {
            assert!(attempt_code(known).is_some(), "{known}");
        }
        for carriers in ["100", "131026", "not_found", "internal", "template_paused", "rejected", ""] {
            assert!(attempt_code(carriers).is_none(), "{carriers}");
        }
    }
}
