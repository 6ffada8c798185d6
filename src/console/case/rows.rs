//! The lines of a timeline as rows of a table.

use serde_json::{Map, Value};

use super::words::Words;
use crate::console::icon::Icon;
use crate::console::look::Look;
use crate::console::spans::span;
use crate::explain::{self, Text};
use crate::timeline::{Kind, Line};
use crate::verification::values::Timestamp;

pub struct Row {
    pub seq: u32,
    pub icon: Icon,
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
    Warning,
    Bad,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::Warning => "warn",
            Self::Bad => "bad",
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
) -> Row {
    let (icon, tone) = picture(line);
    Row {
        seq: line.seq,
        icon,
        tone,
        word: words.kind(line.kind),
        text: line.text.clone(),
        at: line.at,
        clock: look.clock_with_millis(line.at),
        since_start: format!("+{}", span(line.at.since(start), look.language)),
        since_before: format!("+{}", span(line.at.since(before), look.language)),
        source: words.source(&line.source).to_owned(),
        stale: line.stale,
        explained: line.error.as_ref().and_then(|error| explained(&error.code, look)),
        reason,
        evidence: evidence(line, words),
    }
}

/// The entry of the table that `twotick explain` reads, where it has one.
pub fn explained(code: &str, look: &Look) -> Option<Explained> {
    let explanation = explain::explain(code)?;
    Some(Explained {
        code: code.to_owned(),
        text: explanation.text(look.language),
        who: explanation.who.as_str(look.language),
    })
}

fn picture(line: &Line) -> (Icon, Tone) {
    let (icon, tone) = match line.kind {
        Kind::Requested => (Icon::Request, Tone::Plain),
        Kind::MessageQueued => (Icon::Clock, Tone::Plain),
        Kind::SendStarted => (Icon::Send, Tone::Plain),
        Kind::SendAccepted | Kind::StatusSent => (Icon::Tick, Tone::Plain),
        Kind::SendRefused | Kind::StatusFailed => (Icon::Cross, Tone::Bad),
        Kind::SendInDoubt => (Icon::Doubt, Tone::Warning),
        Kind::StatusDelivered => (Icon::TwoTicks, Tone::Good),
        Kind::StatusRead => (Icon::Eye, Tone::Good),
        Kind::FellBack => (Icon::Next, Tone::Warning),
        Kind::GaveUp => (Icon::Stop, Tone::Bad),
        Kind::CheckPassed => (Icon::Key, Tone::Good),
        Kind::CheckFailed => (Icon::Key, Tone::Warning),
        Kind::ChecksExhausted => (Icon::Lock, Tone::Bad),
        Kind::ResendRequested => (Icon::Send, Tone::Plain),
        Kind::StepSkipped => (Icon::Skip, Tone::Warning),
        Kind::ReplyReceived => (Icon::Reply, Tone::Plain),
        Kind::CodeDisowned => (Icon::Alert, Tone::Bad),
        Kind::OperatorActed => (Icon::Person, Tone::Plain),
        Kind::Expired => (Icon::Clock, Tone::Warning),
        Kind::Canceled => (Icon::Stop, Tone::Warning),
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
        evidence.push((words.recorded, data));
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
        let data = Map::from_iter([("provider_ref".to_owned(), wamid.into()), ("attempt".to_owned(), 1.into())]);
        let shown = redacted(&data);
        assert!(!shown["provider_ref"].as_str().unwrap().contains("MTIwMjU1"));
        assert_eq!(shown["attempt"], 1);
    }
}
