//! What every code that twotick shows means, who has to act and how to fix it, in every language of the staff. One
//! table: the command line, the console, problem documents and the classing of Meta's errors all read it.

mod alarms;
mod alerts;
mod api;
mod attempts;
mod meta;
mod sinch;
mod twilio;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::language::Language;
use crate::verification::values::ErrorClass;

/// One entry of the table.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    pub codes: Codes,
    pub who: Actor,
    title: Said,
    cause: Said,
    fix: Said,
}

/// An entry in the words of one language. Names of settings stand in backticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// A few words, as a heading.
    pub title: &'static str,
    pub cause: &'static str,
    /// What to do about it; support can read it out.
    pub fix: &'static str,
}

/// The same in every language: what is not said in all of them does not compile.
#[derive(Clone, Copy, Debug)]
struct Said {
    english: &'static str,
    german: &'static str,
}

/// Which codes an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// One of ours.
    Named(&'static str),
    /// Meta's, `first` to `last`, and what a message that was refused with one of them needs next.
    Meta { first: u32, last: u32, class: ErrorClass },
    /// Another provider's, and the class that its channel gives it.
    Provider { code: &'static str, class: ErrorClass },
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The person who waits for the code.
    Customer,
    /// Whoever runs twotick and the WhatsApp business account.
    Operator,
    /// Whoever writes the app that calls twotick.
    App,
    Meta,
    Carrier,
    Nobody,
}

impl Actor {
    pub fn as_str(self, language: Language) -> &'static str {
        let said = match self {
            Self::Customer => said("the customer", "die Kundin oder der Kunde"),
            Self::Operator => said("you, the operator", "Sie als Betreiber"),
            Self::App => said("the app's developers", "das Entwicklungsteam der App"),
            Self::Meta => said("Meta", "Meta"),
            Self::Carrier => said("the SMS carrier", "der SMS-Anbieter"),
            Self::Nobody => said("nobody", "niemand"),
        };
        said.by(language)
    }
}

impl Said {
    fn by(self, language: Language) -> &'static str {
        match language {
            Language::English => self.english,
            Language::German => self.german,
        }
    }
}

impl Explanation {
    pub fn text(&self, language: Language) -> Text {
        Text { title: self.title.by(language), cause: self.cause.by(language), fix: self.fix.by(language) }
    }

    /// As it is written in errors and timelines; `200-299` for a range.
    pub fn code(&self) -> String {
        match self.codes {
            Codes::Named(name) | Codes::Provider { code: name, .. } => name.to_owned(),
            Codes::Meta { first, last, .. } if first == last => first.to_string(),
            Codes::Meta { first, last, .. } => format!("{first}-{last}"),
        }
    }

    /// The next move after a refusal with this code, where it is a provider's.
    pub fn class(&self) -> Option<ErrorClass> {
        match self.codes {
            Codes::Named(_) => None,
            Codes::Meta { class, .. } | Codes::Provider { class, .. } => Some(class),
        }
    }
}

/// For programs, and so in English.
impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text(Language::English);
        let mut object = serializer.serialize_struct("Explanation", 6)?;
        object.serialize_field("code", &self.code())?;
        object.serialize_field("title", text.title)?;
        object.serialize_field("cause", text.cause)?;
        object.serialize_field("who", self.who.as_str(Language::English))?;
        object.serialize_field("fix", text.fix)?;
        object.serialize_field("class", &self.class())?;
        object.end()
    }
}

/// The entry of a code, in whatever way a person copies it: `131026`, `(#131026)`, `Resend_Too_Early`.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    let code = code.trim().trim_matches(['(', ')', '#']).to_ascii_lowercase();
    if let Ok(number) = code.parse() {
        return meta_code(number).or_else(|| named(providers(), &code));
    }
    named(all(), &code)
}

/// The entry of what an attempt ended with, whichever provider it went to: `no_answer`, `http_403`. A carrier's own
/// codes are not among them, even where they look like one of Meta's.
pub fn attempt_code(code: &str) -> Option<&'static Explanation> {
    named(attempts::TABLE.iter(), code)
}

fn named(
    entries: impl Iterator<Item = &'static Explanation> + Clone,
    code: &str,
) -> Option<&'static Explanation> {
    let find = |name: &str| entries.clone().find(|entry| entry.code() == name);
    find(code)
        .or_else(|| find("http_400").filter(|_| is_client_error(code)))
        .or_else(|| find("http_500").filter(|_| is_another_status(code)))
}

/// `http_200` to `http_599` but `http_4xx`: refusals only where a configuration says so.
fn is_another_status(code: &str) -> bool {
    code.strip_prefix("http_").is_some_and(|status| matches!(status.parse(), Ok(200..=399_u16 | 500..=599)))
}

/// `http_400` to `http_499`.
fn is_client_error(code: &str) -> bool {
    code.strip_prefix("http_").is_some_and(|status| matches!(status.parse(), Ok(400..=499_u16)))
}

/// The entry of one of Meta's numbers. One number beats a range that holds it.
pub fn meta_code(number: u32) -> Option<&'static Explanation> {
    let width = |entry: &&Explanation| match entry.codes {
        Codes::Named(_) | Codes::Provider { .. } => u32::MAX,
        Codes::Meta { first, last, .. } => last - first,
    };
    meta::all()
        .filter(|entry| {
            matches!(entry.codes, Codes::Meta { first, last, .. } if (first..=last).contains(&number))
        })
        .min_by_key(width)
}

/// Every entry: ours, then Meta's, then other providers'.
pub fn all() -> impl Iterator<Item = &'static Explanation> + Clone {
    let ours = api::TABLE.iter().chain(attempts::TABLE).chain(alerts::TABLE).chain(alarms::TABLE);
    ours.chain(meta::all()).chain(providers())
}

/// Those of providers other than Meta.
fn providers() -> impl Iterator<Item = &'static Explanation> + Clone {
    twilio::TABLE.iter().chain(sinch::TABLE)
}

/// The known code that looks most like `code`, if any does.
pub fn nearest(code: &str) -> Option<String> {
    let code = scrap(code);
    all()
        .map(|entry| (strsim::damerau_levenshtein(&code, &entry.code()), entry))
        .filter(|(distance, entry)| *distance <= entry.code().len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, entry)| entry.code())
}

/// No code is longer, and the distance of two strings takes time by the product of their lengths.
fn scrap(code: &str) -> String {
    code.trim().chars().take(64).collect::<String>().to_ascii_lowercase()
}

const fn ours(code: &'static str, who: Actor, title: Said, cause: Said, fix: Said) -> Explanation {
    Explanation { codes: Codes::Named(code), who, title, cause, fix }
}

const fn said(english: &'static str, german: &'static str) -> Said {
    Said { english, german }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_code_is_found_in_the_ways_people_copy_it() {
        for text in ["131026", "(#131026)", "#131026", " 131026 "] {
            assert_eq!(explain(text).map(Explanation::code).as_deref(), Some("131026"), "{text}");
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
            assert_eq!(explain(text).map(Explanation::code).as_deref(), Some(entry), "{text}");
        }
        for text in ["", "300", "-1", "99999999999999999999", "resend", "é"] {
            assert!(explain(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_mistyped_code_finds_its_neighbour() {
        assert_eq!(nearest("resend_to_early").as_deref(), Some("resend_too_early"));
        assert_eq!(nearest("store_ful").as_deref(), Some("store_full"));
        assert_eq!(nearest("131206").as_deref(), Some("131026"));
        assert_eq!(nearest("completely different"), None);
        assert_eq!(nearest(&"x".repeat(1_000_000)), None);
    }

    #[test]
    fn every_entry_is_whole_and_has_its_code_alone() {
        let mut codes = HashSet::new();
        for entry in all() {
            assert!(codes.insert(entry.code()), "{} stands twice", entry.code());
            for language in Language::ALL {
                let Text { title, cause, fix } = entry.text(language);
                for text in [title, cause, fix] {
                    let whole = !text.is_empty() && !text.contains("  ") && text.trim() == text;
                    assert!(whole, "{}: {text}", entry.code());
                    // What is quoted is the name of a setting, and a closed one.
                    assert!(text.matches('`').count() % 2 == 0, "{}: {text}", entry.code());
                }
                assert!(cause.ends_with('.') && fix.ends_with('.'), "{}", entry.code());
                assert!(!title.ends_with('.'), "{}", entry.code());
            }
            assert!(explain(&entry.code()).is_some(), "{}", entry.code());
        }
        assert!(codes.len() > 130, "{}", codes.len());
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
