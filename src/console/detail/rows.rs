//! Timeline lines as table rows.

use serde_json::{Map, Value};

use crate::console::plain::plain;
use crate::console::preferences::Preferences;
use crate::console::spans::span;
use crate::console::words::case::Words;
use crate::explain::{Explanation, Text};
use crate::timeline::{EventKind, Line};
use crate::verification::values::Timestamp;

pub struct TimelineRow {
    pub seq: u32,
    /// A symbol in `icons.svg`.
    pub icon: &'static str,
    pub tone: Tone,
    pub word: &'static str,
    pub text: String,
    pub at: Timestamp,
    /// In the user's zone, with milliseconds.
    pub clock: String,
    pub since_start: String,
    /// Since the previous row.
    pub since_before: String,
    pub source: String,
    pub stale: bool,
    pub explained: Option<ErrorExplanation>,
    /// The reason that a staff member gave.
    pub reason: Option<String>,
    pub evidence: Vec<(&'static str, String)>,
}

/// The colour of a row; icon and label carry the same information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Waiting,
    Bad,
    Info,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "good",
            Self::Waiting => "waiting",
            Self::Bad => "bad",
            Self::Info => "info",
        }
    }
}

/// The explanation of an error.
pub struct ErrorExplanation {
    pub code: String,
    pub text: Text,
    pub who: &'static str,
}

/// Builds a row. `before` is the time of the previous row, `reason` the one that a staff member gave.
pub fn row(
    line: &Line,
    start: Timestamp,
    before: Timestamp,
    reason: Option<String>,
    preferences: &Preferences,
    words: &'static Words,
) -> TimelineRow {
    let (icon, tone) = icon_and_tone(line);
    TimelineRow {
        seq: line.seq,
        icon,
        tone,
        word: words.kind(line.kind),
        text: plain(&line.text),
        at: line.at,
        clock: preferences.clock_with_millis(line.at),
        since_start: format!("+{}", span(line.at.since(start), preferences.language)),
        since_before: format!("+{}", span(line.at.since(before), preferences.language)),
        source: words.source(&line.source).unwrap_or(&line.source).to_owned(),
        stale: line.stale,
        explained: line
            .error
            .as_ref()
            .zip(line.explanation)
            .map(|(error, explanation)| explained(&error.code, explanation, preferences)),
        reason: reason.as_deref().map(plain),
        evidence: evidence(line, words),
    }
}

fn explained(code: &str, explanation: &'static Explanation, preferences: &Preferences) -> ErrorExplanation {
    ErrorExplanation {
        code: plain(code),
        text: explanation.text(preferences.language),
        who: explanation.who.as_str(preferences.language),
    }
}

fn icon_and_tone(line: &Line) -> (&'static str, Tone) {
    let (icon, tone) = match line.kind {
        EventKind::Requested => ("i-add", Tone::Plain),
        EventKind::MessageQueued => ("i-waiting", Tone::Plain),
        EventKind::SendStarted | EventKind::ResendRequested => ("i-send", Tone::Plain),
        EventKind::SendAccepted | EventKind::StatusSent => ("i-good", Tone::Plain),
        EventKind::SendRefused | EventKind::StatusFailed => ("i-bad", Tone::Bad),
        EventKind::SendInDoubt => ("i-doubt", Tone::Waiting),
        EventKind::StatusUnknown => ("i-doubt", Tone::Plain),
        EventKind::StatusDelivered => ("i-double", Tone::Good),
        EventKind::StatusRead => ("i-eye", Tone::Good),
        EventKind::FellBack | EventKind::StepSkipped => ("i-move", Tone::Waiting),
        EventKind::GaveUp => ("i-trouble", Tone::Bad),
        EventKind::CheckPassed => ("i-key", Tone::Good),
        EventKind::CheckFailed => ("i-key", Tone::Waiting),
        EventKind::ChecksExhausted => ("i-lock", Tone::Bad),
        EventKind::ReplyReceived => ("i-speech", Tone::Plain),
        EventKind::CodeDisowned => ("i-trouble", Tone::Bad),
        EventKind::OperatorActed => ("i-person", Tone::Info),
        EventKind::Expired | EventKind::Canceled | EventKind::Erased => ("i-over", Tone::Plain),
    };
    if line.stale { (icon, Tone::Plain) } else { (icon, tone) }
}

/// The recorded details of an event, without data that identifies a person.
fn evidence(line: &Line, words: &'static Words) -> Vec<(&'static str, String)> {
    let mut evidence = vec![(words.event, line.id.to_string())];
    evidence.extend(line.message.map(|message| (words.message, message.to_string())));
    evidence.extend(line.reported_at.map(|at| (words.reported_at, at.to_string())));
    let data = redacted(&line.data);
    if !data.is_empty() {
        // Text and numbers always serialize.
        let data = serde_json::to_string_pretty(&Value::Object(data)).unwrap_or_default();
        evidence.push((words.recorded, plain(&data)));
    }
    evidence
}

/// Shortens provider ids: a wamid contains the person's number in Base64.
fn redacted(data: &Map<String, Value>) -> Map<String, Value> {
    let redacted = |(name, value): (&String, &Value)| {
        let value = match (name.as_str(), value) {
            ("provider_ref", Value::String(reference)) => Value::String(shortened(reference)),
            (_, value) => value.clone(),
        };
        (name.clone(), value)
    };
    data.iter().map(redacted).collect()
}

/// Shortens a provider's message id so that it cannot identify the person.
pub fn shortened(reference: &str) -> String {
    const END: usize = 8;
    match reference.split_once('.') {
        _ if reference.starts_with('~') => "wamid.…".to_owned(),
        Some((kind, rest)) if kind == "wamid" && rest.len() > END => {
            // Providers' ids are visible ASCII.
            format!("{kind}.…{}", rest.get(rest.len() - END..).unwrap_or_default())
        }
        Some(_) | None => reference.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wamid_shows_no_number() {
        // Base64 of data that contains 12025550100.
        let wamid = "wamid.HBgLMTIwMjU1NTAxMDAVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA";
        assert_eq!(shortened(wamid), "wamid.…RTY3RTcA");
        assert_eq!(shortened("wamid.short"), "wamid.short");
        assert_eq!(shortened("carrier-17.a"), "carrier-17.a");
        let data =
            Map::from_iter([("provider_ref".to_owned(), wamid.into()), ("attempt".to_owned(), 1.into())]);
        let shown = redacted(&data);
        assert!(!shown["provider_ref"].as_str().unwrap().contains("MTIwMjU1"));
        assert_eq!(shown["attempt"], 1);
    }
}
