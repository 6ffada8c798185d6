//! What a carrier's report says: where its fields stand, and what its words mean.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::status;
use super::super::wire::{self, Text};
use super::super::{Delivery, Unknown, lenient, reason, scrub};
use crate::verification::values::{DeliveryError, ErrorClass, MessageId, Report, ReportStatus, Timestamp};

/// In what form reports come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    /// A form as the body.
    Form,
    /// The query of the address, by GET or POST.
    Query,
}

/// A field of a report: a JSON pointer. Of a form or a query it is the name behind a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath(String);

impl FieldPath {
    /// Of a field at the top.
    pub fn named(name: &str) -> Self {
        Self(format!("/{}", name.replace('~', "~0").replace('/', "~1")))
    }

    /// `pointer` is a JSON pointer that is not empty.
    pub fn at(pointer: &str) -> Self {
        Self(pointer.to_owned())
    }
}

/// Where what stands in a report.
#[derive(Clone, Debug)]
pub struct Fields {
    /// The carrier's id of the message.
    pub id: Option<FieldPath>,
    /// Ours.
    pub reference: Option<FieldPath>,
    pub status: FieldPath,
    /// `None`: an `error` that is a code, a text, or an object with `code` and `title`.
    pub error_code: Option<FieldPath>,
    pub at: Option<FieldPath>,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            id: Some(FieldPath::named("id")),
            reference: Some(FieldPath::named("reference")),
            status: FieldPath::named("status"),
            error_code: None,
            at: Some(FieldPath::named("at")),
        }
    }
}

/// What the carrier's own words mean, before those that many carriers have.
#[derive(Clone, Debug, Default)]
pub struct StatusWords(BTreeMap<String, ReportStatus>);

impl StatusWords {
    /// Adds a word. A failure is [`status::FAILED`]. `Err` where a word that differs only in case or separators has another meaning.
    pub fn add(&mut self, word: &str, meaning: ReportStatus) -> Result<(), ContradictoryWord> {
        let known = self.0.entry(status::plain(word)).or_insert_with(|| meaning.clone());
        if *known == meaning { Ok(()) } else { Err(ContradictoryWord) }
    }

    fn meaning(&self, word: &str) -> Option<ReportStatus> {
        self.0.get(&status::plain(word)).cloned().or_else(|| status::meaning(word))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContradictoryWord;

/// How reports are read.
#[derive(Clone, Debug)]
pub struct Reading {
    pub format: Format,
    pub fields: Fields,
    pub words: StatusWords,
}

impl Default for Reading {
    /// As they are documented.
    fn default() -> Self {
        Self { format: Format::Json, fields: Fields::default(), words: StatusWords::default() }
    }
}

impl Reading {
    /// Total. `addressee` is the message at whose own address the report came.
    pub(super) fn read(&self, content: &[u8], addressee: Option<MessageId>) -> Delivery {
        let document = match self.format {
            Format::Json => {
                let text = lenient::mended(content).unwrap_or_default();
                serde_json::from_str(&text).unwrap_or_default()
            }
            Format::Form | Format::Query => pairs(content),
        };
        match &document {
            Value::Object(_) | Value::Array(_) => self.delivery(&document, addressee),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Delivery::unreadable("it is not a JSON object")
            }
        }
    }

    fn delivery(&self, document: &Value, addressee: Option<MessageId>) -> Delivery {
        let items = self.items(document);
        // A list tells of several messages, so the address names none of them for sure.
        let addressee = addressee.filter(|_| items.len() == 1);
        let mut delivery = Delivery::default();
        let mut unreadable = items.is_empty().then_some("it tells of no message");
        let mut readable = 0_usize;
        for item in &items {
            match self.add(item, addressee, &mut delivery) {
                Ok(()) => readable += 1,
                Err(why) => {
                    unreadable.get_or_insert(why);
                    delivery.count(Unknown::Item);
                }
            }
        }
        match unreadable {
            Some(why) if readable == 0 => Delivery::unreadable(why),
            Some(_) | None => delivery,
        }
    }

    /// A report is one object or a list of them. A pointer that names the first of a list, as in
    /// `/results/0/status`, is meant for each of it.
    fn items<'a>(&'a self, document: &'a Value) -> Vec<ReportItem<'a>> {
        let pointer = self.fields.status.0.as_str();
        let lists = pointer.match_indices("/0").filter_map(|(at, zero)| {
            let is_whole = matches!(pointer.as_bytes().get(at + zero.len()), None | Some(b'/'));
            let prefix = &pointer[..at];
            document.pointer(prefix)?.as_array().filter(|_| is_whole).map(|list| (prefix, list.len()))
        });
        if let Some((prefix, length)) = lists.into_iter().next() {
            let of_list = |index| ReportItem { document, list: Some((prefix, index)) };
            return (0..length).map(of_list).collect();
        }
        match document {
            Value::Array(items) => items.iter().map(|document| ReportItem { document, list: None }).collect(),
            _ => vec![ReportItem { document, list: None }],
        }
    }

    fn add(
        &self,
        item: &ReportItem<'_>,
        addressee: Option<MessageId>,
        delivery: &mut Delivery,
    ) -> Result<(), &'static str> {
        let Fields { id, reference, status: place, at, .. } = &self.fields;
        let find = |place: &Option<FieldPath>| item.find(place.as_ref()?);
        let provider_ref = find(id).and_then(wire::reference);
        let reference = find(reference).and_then(|value| text(value).message_id()).or(addressee);
        if provider_ref.is_none() && reference.is_none() {
            return Err("it names no message: neither `id` nor `reference` can be read");
        }
        let word = item.find(place).and_then(wire::word).ok_or("it has no `status`")?;
        let known = self.words.meaning(&word);
        let status =
            known.map(|status| status::explained(status, || self.failure(item, &word))).or_else(|| {
                delivery.count(Unknown::Status);
                status::unknown(&word)
            });
        let reported_at = find(at).map(text).and_then(|at| {
            at.get().and_then(|at| at.trim().parse::<Timestamp>().ok()).or_else(|| at.unix_time())
        });
        let aliases = Vec::new();
        let report = status.map(|status| Report { status, reported_at, provider_ref, reference, aliases });
        delivery.reports.extend(report);
        Ok(())
    }

    /// Carriers' codes have no common meaning, so every failure leads to the next step; only where the words tell of our
    /// account has an operator to act.
    fn failure(&self, item: &ReportItem<'_>, word: &str) -> DeliveryError {
        let (code, words) = match &self.fields.error_code {
            Some(place) => (item.find(place).and_then(wire::word), item.around(place)),
            None => item.find(&FieldPath::named("error")).map(documented_error).unwrap_or_default(),
        };
        let title = words.map(|words| scrub::title(&words)).and_then(scrub::legible);
        let class = match &title {
            Some(title) if reason::is_of_the_account(title) => ErrorClass::Configuration,
            Some(_) | None => ErrorClass::Fallback,
        };
        DeliveryError {
            code: code.as_deref().and_then(scrub::token).unwrap_or_else(|| "no_reason".to_owned()),
            title: title.unwrap_or_else(|| status::unexplained("the carrier", word)),
            class,
        }
    }
}

/// The code and the words of an `error`.
fn documented_error(error: &Value) -> (Option<String>, Option<String>) {
    let code = match error {
        Value::Object(fields) => fields.get("code").and_then(wire::word),
        bare @ (Value::String(_) | Value::Number(_)) => wire::word(bare).filter(|code| !code.contains(' ')),
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    };
    let words = match error {
        Value::Object(fields) => fields.get("title").and_then(wire::word).or_else(|| reason::of_value(error)),
        Value::String(text) if text.contains(' ') => Some(text.clone()),
        Value::Array(_) => reason::of_value(error),
        Value::String(_) | Value::Number(_) | Value::Null | Value::Bool(_) => None,
    };
    (code, words)
}

/// What tells of one message.
struct ReportItem<'a> {
    document: &'a Value,
    /// The pointer of a list of the document, and the place in it.
    list: Option<(&'a str, usize)>,
}

impl<'a> ReportItem<'a> {
    fn find(&self, place: &FieldPath) -> Option<&'a Value> {
        self.document.pointer(&self.pointer(&place.0))
    }

    fn pointer<'p>(&self, pointer: &'p str) -> Cow<'p, str> {
        let Some((prefix, index)) = self.list else { return Cow::Borrowed(pointer) };
        let rest = pointer.strip_prefix(prefix).and_then(|rest| rest.strip_prefix("/0"));
        match rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            Some(rest) => Cow::Owned(format!("{prefix}/{index}{rest}")),
            None => Cow::Borrowed(pointer),
        }
    }

    /// What an object around a code says about it. Nothing is taken from the report as a whole: its texts may be the
    /// message's.
    fn around(&self, place: &FieldPath) -> Option<String> {
        let (object, _) = place.0.rsplit_once('/')?;
        let is_whole = object.is_empty() || self.list.is_some_and(|(list, _)| object == format!("{list}/0"));
        if is_whole {
            return None;
        }
        reason::of_value(self.document.pointer(&self.pointer(object))?)
    }
}

/// A text or a number of whatever kind.
fn text(value: &Value) -> Text<'_> {
    Text::deserialize(value).unwrap_or_default()
}

/// A form as an object. Of a name that stands several times the first counts.
fn pairs(form: &[u8]) -> Value {
    let mut fields = Map::new();
    for pair in form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let [name, value] = [halves.next(), halves.next()].map(|half| decoded(half.unwrap_or_default()));
        fields.entry(name).or_insert(Value::String(value));
    }
    Value::Object(fields)
}

/// In UTF-8 where it is that, else in Latin-1, as many carriers write.
fn decoded(text: &[u8]) -> String {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let bytes: Vec<u8> = percent_encoding::percent_decode(&spaced).collect();
    lenient::text(&bytes)
}
