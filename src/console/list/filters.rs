//! Filters of the list, as encoded in its URL.

use std::time::Duration;

use actix_web::web;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::address::{UrlText, pair};
use super::super::lookups::Lookup;
use super::super::preferences::Preferences;
use super::super::words::list::Words;
use super::super::{Console, CurrentUser, Refusal};
use crate::hex;
use crate::phone::digits::may_hold_a_number;
use crate::store::{self, DeliveryState, Status};
use crate::vault::Vault;
use crate::verification::event::FallbackReason;
use crate::verification::values::{AppName, ChannelName, NumberIndex, NumberTail, Timestamp, VerificationId};

/// The filters in a URL. Invalid ones are ignored and reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    pub status: Option<Status>,
    pub delivery: Option<DeliveryState>,
    pub channel: Option<ChannelName>,
    pub fallback: Option<FallbackReason>,
    pub error: Option<UrlText>,
    pub country: Option<String>,
    pub profile: Option<String>,
    pub app: Option<AppName>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// A blind index, because URLs must not contain numbers.
    pub number: Option<NumberIndex>,
    /// A keyed hash of the last four digits.
    pub tail: Option<NumberTail>,
    pub reference: Option<UrlText>,
    /// The start of the page.
    pub before: Option<VerificationId>,
    /// Names of parameters with invalid values.
    pub unreadable: Vec<&'static str>,
}

/// The maximum length of an error code, profile or reference.
const MAX_CHARS: usize = 128;

/// Parses a query string.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query);
    pairs.map(web::Query::into_inner).map_err(|_| Refusal::BadRequest)
}

impl Filters {
    /// Parses the filters. Times may be RFC 3339 or local times in the user's zone, as submitted by the form.
    pub fn read(pairs: &[(String, String)], preferences: &Preferences, vault: &Vault) -> Self {
        let mut reader = ParameterReader { pairs, unreadable: Vec::new() };
        let known = |name: &str| {
            name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic()) && !may_hold_a_number(name)
        };
        let worded = |text: &str| UrlText::read(vault, text).filter(|wording| is_short(&wording.text));
        let instant = |text: &str| text.parse().ok().or_else(|| preferences.instant(text));
        Self {
            status: reader.take("status", |text| Status::ALL.into_iter().find(|one| one.as_str() == text)),
            delivery: reader
                .take("delivery", |text| DeliveryState::ALL.into_iter().find(|one| one.as_str() == text)),
            channel: reader.take("channel", |text| known(text).then(|| ChannelName::new(text))),
            fallback: reader
                .take("fallback", |text| FallbackReason::ALL.into_iter().find(|one| one.as_str() == text)),
            error: reader.take("error", worded),
            country: reader.take("country", |text| {
                let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
                is_code.then(|| text.to_ascii_uppercase())
            }),
            profile: reader.take("profile", |text| known(text).then(|| text.to_owned())),
            app: reader.take("app", |text| known(text).then(|| AppName::new(text))),
            since: reader.take("since", instant),
            until: reader.take("until", instant),
            number: reader.take("number", number_index),
            tail: reader.take("tail", |text| {
                hex::decode_exactly(text.as_bytes()).map(u16::from_be_bytes).map(NumberTail)
            }),
            reference: reader.take("ref", worded),
            before: reader.take("before", |text| text.parse().ok()),
            unreadable: reader.unreadable,
        }
    }

    /// The filter for the store, restricted to the apps that the user sees.
    pub fn of_store(&self, signed: &CurrentUser) -> store::Filter {
        let apps = match (&self.app, &signed.apps) {
            (None, visible) => visible.clone(),
            (Some(app), _) => Some(Some(app.clone()).filter(|app| signed.sees(app)).into_iter().collect()),
        };
        store::Filter {
            apps,
            number: self.number,
            tail: self.tail,
            client_ref: self.reference.as_ref().map(|reference| reference.text.clone()),
            status: self.status,
            delivery: self.delivery,
            channel: self.channel.clone(),
            fallback: self.fallback,
            error: self.error.as_ref().map(|error| error.text.clone()),
            country: self.country.clone(),
            profile: self.profile.clone(),
            since: self.since,
            until: self.until,
        }
    }

    /// Empty, or `?` and the parameters in canonical order and spelling.
    pub fn query(&self) -> String {
        let pairs: Vec<_> = self.pairs().map(|(name, value)| pair(name, &value)).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    /// Whether `pairs` is the canonical form. A query with invalid values stays unchanged, so that they can be
    /// reported.
    pub fn is_canonical(&self, pairs: &[(String, String)]) -> bool {
        !self.unreadable.is_empty()
            || self.pairs().map(|(name, value)| (name.to_owned(), value)).eq(pairs.iter().cloned())
    }

    pub fn before(&self, before: Option<VerificationId>) -> Self {
        Self { before, unreadable: Vec::new(), ..self.clone() }
    }

    /// The filters as hidden form fields: browsers replace the query of a GET form.
    pub fn hidden(&self) -> Vec<(&'static str, String)> {
        self.pairs().collect()
    }

    /// The filters for the audit log. References appear as keyed hashes, because apps may put anything there and the
    /// log is permanent.
    pub fn for_audit(&self, vault: &Vault) -> String {
        let hashed = |text: &str| hex::encode(&vault.fingerprint("console filter", text.as_bytes()));
        let shown = |(name, value): (&'static str, String)| match name {
            "ref" => pair(name, &self.reference.as_ref().map(|text| hashed(&text.text)).unwrap_or_default()),
            "error" => pair(
                name,
                self.error
                    .as_ref()
                    .filter(|error| error.text == error.written())
                    .map_or("…", |error| &error.text),
            ),
            _ => pair(name, &value),
        };
        let pairs: Vec<_> = self.pairs().map(shown).collect();
        if pairs.is_empty() { "all".to_owned() } else { pairs.join("&") }
    }

    /// The look-ups of a person that these filters imply.
    pub fn lookups(&self) -> impl Iterator<Item = Lookup> {
        [self.number.map(Lookup::Number), self.tail.map(Lookup::Tail)].into_iter().flatten()
    }

    /// Whether new verifications can appear on this page.
    pub fn is_live(&self) -> bool {
        self.before.is_none() && self.until.is_none()
    }

    fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("status", self.status.map(|status| status.as_str().to_owned())),
            ("delivery", self.delivery.map(|state| state.as_str().to_owned())),
            ("channel", self.channel.as_ref().map(|channel| channel.to_string())),
            ("fallback", self.fallback.map(|reason| reason.as_str().to_owned())),
            ("error", self.error.as_ref().map(|error| error.written().to_owned())),
            ("country", self.country.clone()),
            ("profile", self.profile.clone()),
            ("app", self.app.as_ref().map(|app| app.to_string())),
            ("since", self.since.map(|since| since.to_string())),
            ("until", self.until.map(|until| until.to_string())),
            ("number", self.number.map(|number| hex::encode(&number.0))),
            ("tail", self.tail.map(|tail| hex::encode(&tail.0.to_be_bytes()))),
            ("ref", self.reference.as_ref().map(|reference| reference.written().to_owned())),
            ("before", self.before.map(|before| before.to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    fn without(&self, name: &str) -> Self {
        let mut rest = self.before(None);
        match name {
            "status" => rest.status = None,
            "delivery" => rest.delivery = None,
            "channel" => rest.channel = None,
            "fallback" => rest.fallback = None,
            "error" => rest.error = None,
            "country" => rest.country = None,
            "profile" => rest.profile = None,
            "app" => rest.app = None,
            "since" => rest.since = None,
            "until" => rest.until = None,
            "number" => rest.number = None,
            "tail" => rest.tail = None,
            "ref" => rest.reference = None,
            _ => {}
        }
        rest
    }

    /// Each active filter in words, with the URL that removes it.
    pub fn chips(&self, preferences: &Preferences, words: &'static Words) -> Vec<Chip> {
        let value = |name: &str, value: String| match name {
            "status" => self.status.map_or(value, |status| words.status(status).to_owned()),
            "delivery" => self.delivery.map_or(value, |state| words.delivery(state).to_owned()),
            "fallback" => self.fallback.map_or(value, |reason| words.fallback(reason).to_owned()),
            "since" => self.since.map_or(value, |since| preferences.date_time(since)),
            "until" => self.until.map_or(value, |until| preferences.date_time(until)),
            "number" | "tail" => words.as_searched.to_owned(),
            "error" => self.error.as_ref().map_or(value, |error| super::row::shown(&error.text, 40)),
            "ref" => self.reference.as_ref().map_or(value, |text| super::row::shown(&text.text, 40)),
            _ => super::row::shown(&value, 40),
        };
        let filters = self.pairs().filter(|(name, _)| *name != "before");
        let chip = |(name, text): (&'static str, String)| Chip {
            label: words.filter(name),
            value: value(name, text),
            without: format!("/console{}", self.without(name).query()),
        };
        filters.map(chip).collect()
    }

    pub fn form(&self, console: &Console, signed: &CurrentUser, words: &'static Words) -> FilterForm {
        let preferences = &signed.preferences;
        let named = |values: Vec<String>, chosen: Option<&str>| -> Vec<FormChoice> {
            let choice =
                |value: String| FormChoice { label: value.clone(), is_chosen: chosen == Some(&value), value };
            values.into_iter().map(choice).collect()
        };
        let ago = |hours: u64| {
            let since = console.clock.now() - Duration::from_secs(hours * 3_600);
            let since = Self { since: Some(since), until: None, ..self.before(None) };
            format!("/console{}", since.query())
        };
        let apps = console.apps.now();
        let visible = apps.iter().filter(|app| signed.sees(app));
        FilterForm {
            statuses: Status::ALL.map(|status| FormChoice {
                value: status.as_str().to_owned(),
                label: words.status(status).to_owned(),
                is_chosen: self.status == Some(status),
            }),
            deliveries: DeliveryState::ALL.map(|state| FormChoice {
                value: state.as_str().to_owned(),
                label: words.delivery(state).to_owned(),
                is_chosen: self.delivery == Some(state),
            }),
            fallbacks: FallbackReason::ALL.map(|reason| FormChoice {
                value: reason.as_str().to_owned(),
                label: words.fallback(reason).to_owned(),
                is_chosen: self.fallback == Some(reason),
            }),
            channels: named(
                console.channels.iter().map(ToString::to_string).collect(),
                self.channel.as_ref().map(ChannelName::as_str),
            ),
            profiles: named(console.profiles.clone(), self.profile.as_deref()),
            apps: named(visible.map(ToString::to_string).collect(), self.app.as_ref().map(AppName::as_str)),
            error: self.error.as_ref().map(|error| error.text.clone()).unwrap_or_default(),
            country: self.country.clone().unwrap_or_default(),
            since: self.since.map(|since| preferences.input(since)).unwrap_or_default(),
            until: self.until.map(|until| preferences.input(until)).unwrap_or_default(),
            kept: self.pairs().filter(|(name, _)| ["number", "tail", "ref"].contains(name)).collect(),
            last_hour: ago(1),
            last_day: ago(24),
            last_week: ago(24 * 7),
        }
    }
}

/// An active filter.
pub struct Chip {
    pub label: &'static str,
    pub value: String,
    pub without: String,
}

/// The content of the filter form.
pub struct FilterForm {
    pub statuses: [FormChoice; 5],
    pub deliveries: [FormChoice; 8],
    pub fallbacks: [FormChoice; 5],
    pub channels: Vec<FormChoice>,
    pub profiles: Vec<FormChoice>,
    pub apps: Vec<FormChoice>,
    pub error: String,
    pub country: String,
    pub since: String,
    pub until: String,
    /// Filters from a search, which have no field.
    pub kept: Vec<(&'static str, String)>,
    pub last_hour: String,
    pub last_day: String,
    pub last_week: String,
}

pub struct FormChoice {
    pub value: String,
    pub label: String,
    pub is_chosen: bool,
}

struct ParameterReader<'a> {
    pairs: &'a [(String, String)],
    unreadable: Vec<&'static str>,
}

impl ParameterReader<'_> {
    /// Takes a parameter. Empty ones are ignored; invalid or repeated ones are reported as unreadable.
    fn take<T>(&mut self, name: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let mut values = self.pairs.iter().filter(|(found, value)| found == name && !value.trim().is_empty());
        let (_, value) = values.next()?;
        let read = read(value.trim()).filter(|_| values.next().is_none());
        if read.is_none() {
            self.unreadable.push(name);
        }
        read
    }
}

fn is_short(text: &str) -> bool {
    text.chars().count() <= MAX_CHARS && !text.chars().any(char::is_control)
}

/// Parses the hexadecimal form in a URL.
pub fn number_index(text: &str) -> Option<NumberIndex> {
    hex::decode_exactly(text.as_bytes()).map(NumberIndex)
}

/// Percent-encodes a query value.
pub fn encoded(text: &str) -> String {
    const ESCAPED: AsciiSet =
        NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b':');
    utf8_percent_encode(text, &ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::preferences::Preferences;
    use crate::verification::state::Ending;
    use crate::verification::values::Bucket;

    fn read(query: &str) -> (Filters, bool) {
        let pairs = pairs(query).unwrap();
        let filters = Filters::read(&pairs, &Preferences::plain(), &Vault::new(&[7; 32]));
        let is_canonical = filters.is_canonical(&pairs);
        (filters, is_canonical)
    }

    #[test]
    fn every_filter_reads_back_from_its_address() {
        let id = VerificationId::new(Timestamp::from_millis(1_795_011_200_000), Bucket::new(5), 77);
        let query = &format!(
            "status=approved&delivery=in_doubt&channel=sms&fallback=deadline&error=131026&country=DE\
                     &profile=login&app=shop&since=2026-11-22T20:00:00.000Z&until=2026-11-22T21:00:00.000Z\
                     &number=000102030405060708090a0b0c0d0e0f&tail=01ff&ref=order%20%3D%2B%C3%A4\
                     &before={id}"
        );
        let (filters, is_canonical) = read(query);
        assert_eq!(filters.unreadable, Vec::<&str>::new());
        assert_eq!(filters.query(), format!("?{query}"));
        assert!(is_canonical);
        assert_eq!(filters.status, Some(Status::Ended(Ending::Approved)));
        assert_eq!(filters.reference.as_ref().map(|reference| &*reference.text), Some("order =+ä"));
        assert_eq!(filters.pairs().count(), 14, "a new filter belongs into this test");
        let names: Vec<_> = filters.pairs().map(|(name, _)| name).collect();
        for name in names.into_iter().filter(|name| *name != "before") {
            let without = filters.without(name);
            assert_eq!(without.pairs().count(), 12, "{name}");
            assert!(without.pairs().all(|(left, _)| left != name), "{name}");
        }
    }

    #[test]
    fn form_input_becomes_the_canonical_url() {
        let (filters, is_canonical) =
            read("status=&delivery=sent&country=de&since=2026-11-22T20%3A00&until=&error=+131026+");
        assert!(!is_canonical);
        assert_eq!(filters.query(), "?delivery=sent&error=131026&country=DE&since=2026-11-22T20:00:00.000Z");
        assert!(read(&filters.query()[1..]).1);
        assert!(read("").1);
    }

    #[test]
    fn possible_numbers_are_sealed_in_the_url_and_hashed_in_the_audit_log() {
        for (query, name) in [("ref=%2B49+1522+8817386", "ref"), ("error=01522-8817386", "error")] {
            let (filters, is_canonical) = read(query);
            assert!(!is_canonical, "the browser is sent to an address without it");
            let address = filters.query();
            assert!(
                address.starts_with(&format!("?{name}=%7E")) || address.starts_with(&format!("?{name}=~")),
                "{address}"
            );
            assert!(!address.contains("8817386"), "{address}");
            let (again, is_canonical) = read(&address[1..]);
            assert!(is_canonical);
            assert_eq!(again, filters);
            let vault = Vault::new(&[7; 32]);
            assert!(!filters.for_audit(&vault).contains("8817386"));
        }
        let (plain, _) = read("ref=order-17&status=pending");
        let audited = plain.for_audit(&Vault::new(&[7; 32]));
        assert!(audited.starts_with("status=pending&ref=") && !audited.contains("order"), "{audited}");
        assert_eq!(read("").0.for_audit(&Vault::new(&[7; 32])), "all");
    }

    #[test]
    fn invalid_filters_are_reported_and_ignored() {
        let long = format!("error={}", "x".repeat(4_096));
        for (query, name) in [
            ("status=lost", "status"),
            ("delivery=%3Cscript%3E", "delivery"),
            ("since=yesterday", "since"),
            ("number=%2B4915112345386", "number"),
            (
                "number=%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4",
                "number",
            ),
            ("tail=5386", ""),
            ("profile=%2B4915112345386", "profile"),
            ("app=4915112345386", "app"),
            ("channel=0151-12345386", "channel"),
            ("ref=~forged", "ref"),
            ("country=DEU", "country"),
            ("status=pending&status=approved", "status"),
            ("error=%1B%5B31m", "error"),
            ("channel=%07", "channel"),
            ("before=ver_1", "before"),
            (&long, "error"),
        ] {
            let (filters, _) = read(query);
            let expected: Vec<_> = [name].into_iter().filter(|name| !name.is_empty()).collect();
            assert_eq!(filters.unreadable, expected, "{query}");
        }
    }
}
