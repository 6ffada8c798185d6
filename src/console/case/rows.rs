//! The lines of a timeline as rows of a table.

use serde_json::{Map, Value};

use crate::console::look::Look;
use crate::console::plain::plain;
use crate::console::spans::span;
use crate::console::words::case::Words;
use crate::explain::{Explanation, Text};
use crate::timeline::{EventKind, Line};
use crate::verification::values::Timestamp;

pub struct TimelineRow {
    pub seq: u32,
    /// A symbol of `icons.svg`.
    pub icon: &'static str,
    pub tone: Tone,
    pub word: &'static str,
    pub text: String,
    pub at: Timestamp,
    /// In the reader's zone, with milliseconds.
    pub clock: String,
    pub since_start: String,
    /// Since the row before.
    pub since_before: String,
    pub source: String,
    pub stale: bool,
    pub explained: Option<Explained>,
    /// Why somebody of the staff acted.
    pub reason: Option<String>,
    pub evidence: Vec<(&'static str, String)>,
}

/// How a row is coloured; its icon and its word say the same.
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

/// What an error means.
pub struct Explained {
    pub code: String,
    pub text: Text,
    pub who: &'static str,
}

/// `before` is when the row before happened; `reason` why somebody of the staff acted.
pub fn row(
    line: &Line,
    start: Timestamp,
    before: Timestamp,
    reason: Option<String>,
    look: &Look,
    words: &'static Words,
) -> TimelineRow {
    let (icon, tone) = picture(line);
    TimelineRow {
        seq: line.seq,
        icon,
        tone,
        word: words.kind(line.kind),
        text: plain(&line.text),
        at: line.at,
        clock: look.clock_with_millis(line.at),
        since_start: format!("+{}", span(line.at.since(start), look.language)),
        since_before: format!("+{}", span(line.at.since(before), look.language)),
        source: words.source(&line.source).unwrap_or(&line.source).to_owned(),
        stale: line.stale,
        explained: line
            .error
            .as_ref()
            .zip(line.explanation)
            .map(|(error, explanation)| explained(&error.code, explanation, look)),
        reason: reason.as_deref().map(plain),
        evidence: evidence(line, words),
    }
}

fn explained(code: &str, explanation: &'static Explanation, look: &Look) -> Explained {
    Explained {
        code: plain(code),
        text: explanation.text(look.language),
        who: explanation.who.as_str(look.language),
    }
}

fn picture(line: &Line) -> (&'static str, Tone) {
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

/// What is known of the row besides, as it was recorded, with everything taken out that names a person.
fn evidence(line: &Line, words: &'static Words) -> Vec<(&'static str, String)> {
    let mut evidence = vec![(words.event, line.id.to_string())];
    evidence.extend(line.message.map(|message| (words.message, message.to_string())));
    evidence.extend(line.reported_at.map(|at| (words.reported_at, at.to_string())));
    let data = redacted(&line.data);
    if !data.is_empty() {
        // A map of text and numbers has no part that cannot be written.
        let data = serde_json::to_string_pretty(&Value::Object(data)).unwrap_or_default();
        evidence.push((words.recorded, plain(&data)));
    }
    evidence
}

/// A wamid holds the number of the person under its base 64: only its two ends are shown.
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

/// What a provider calls a message, without what could name the person.
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
        // Under its base 64 stands 12025550100.
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
