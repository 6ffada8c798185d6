//! `twotick timeline ID`, and the formatting of one event as a line.

use std::fmt::Write as _;

use serde_json::Value;

use super::client::{Server, with_api};
use super::logging::{Stream, colour};
use super::{Cli, Exit};
use crate::config::Environment;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Verification id, ver_…
    id: String,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    let style = Style::of(Stream::Stdout);
    with_api(cli, &args.server, async |api| {
        let answer = api.get(&format!("/verifications/{}/timeline", args.id)).await?;
        Ok(answer.print(&args.server, |timeline| rendered(timeline, style)))
    })
}

/// Whether to use colour.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Colour,
}

impl Style {
    pub(super) fn of(stream: Stream) -> Self {
        if colour(&Environment::from_process(), stream) { Self::Colour } else { Self::Plain }
    }

    pub(super) fn paint(self, text: &str, paint: Paint) -> String {
        let code = match paint {
            Paint::Good => 32,
            Paint::Bad => 31,
            Paint::Faint => 2,
            Paint::Strong => 1,
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// Colours only repeat what the words say.
#[derive(Clone, Copy)]
pub(super) enum Paint {
    Good,
    Bad,
    Faint,
    Strong,
}

/// Formats all events of a timeline, one per line.
pub(super) fn rendered(timeline: &Value, style: Style) -> String {
    rendered_within(timeline, style, usize::MAX)
}

/// As [`rendered`], wrapped to `columns`.
pub(super) fn rendered_within(timeline: &Value, style: Style, columns: usize) -> String {
    let events = events_of(timeline);
    let start = events.first().and_then(instant);
    let mut text = String::new();
    for event in events {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line_within(event, start, style, columns));
    }
    text
}

pub(super) fn events_of(timeline: &Value) -> &[Value] {
    timeline["events"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Time of the event.
pub(super) fn instant(event: &Value) -> Option<jiff::Timestamp> {
    event["at"].as_str()?.parse().ok()
}

/// `  +0.04 s  WhatsApp  accepted the message`
pub(super) fn line(event: &Value, start: Option<jiff::Timestamp>, style: Style) -> String {
    line_within(event, start, style, usize::MAX)
}

/// As [`line`], wrapped to `columns`.
pub(super) fn line_within(
    event: &Value,
    start: Option<jiff::Timestamp>,
    style: Style,
    columns: usize,
) -> String {
    let since = start.zip(instant(event)).map(|(start, at)| at.duration_since(start).as_secs_f64());
    let time = since.map_or_else(|| "?".to_owned(), |since| format!("+{since:.2} s"));
    let text = event["text"].as_str().unwrap_or_default();
    let stale = event["data"]["stale"] == true;
    let paint = match event["type"].as_str().unwrap_or_default() {
        "status_delivered" | "status_read" | "check_passed" if !stale => Some(Paint::Good),
        "status_failed" | "send_refused" | "gave_up" | "check_failed" | "checks_exhausted"
        | "code_disowned" => Some(Paint::Bad),
        _ if stale => Some(Paint::Faint),
        _ => None,
    };
    let parts = wrapped(text, columns.saturating_sub(TEXT_STARTS));
    let parts = parts.into_iter().map(|part| paint.map_or(part.clone(), |paint| style.paint(&part, paint)));
    let text = parts.collect::<Vec<_>>().join(&format!("\n{:TEXT_STARTS$}", ""));
    format!("{} {:8}  {text}", style.paint(&format!("{time:>10}"), Paint::Faint), source(event))
}

/// Column at which the text of a line begins.
const TEXT_STARTS: usize = 21;

/// Wraps between words; a word longer than `columns` is not broken.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut width = 0;
    for word in text.split(' ') {
        let letters = word.chars().count();
        let line = lines.last_mut().filter(|_| width == 0 || width + 1 + letters <= columns);
        match line {
            Some(line) if line.is_empty() => {
                line.push_str(word);
                width = letters;
            }
            Some(line) => {
                line.push(' ');
                line.push_str(word);
                width += 1 + letters;
            }
            None => {
                lines.push(word.to_owned());
                width = letters;
            }
        }
    }
    lines
}

fn source(event: &Value) -> String {
    match event["source"].as_str().unwrap_or("?") {
        "whatsapp" => "WhatsApp".to_owned(),
        "sms" => "SMS".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_has_time_source_and_text() {
        let event = |at: &str, source: &str, text: &str| json!({ "at": at, "source": source, "type": "status_sent", "text": text, "data": {} });
        let timeline = json!({ "events": [
            event("2026-11-22T17:00:00.000Z", "app", "asked for a code"),
            event("2026-11-22T17:00:00.040Z", "whatsapp", "sent"),
            event("2026-11-22T17:01:40.000Z", "sms", "sent"),
        ]});
        assert_eq!(
            rendered(&timeline, Style::Plain),
            "   +0.00 s app       asked for a code\n   +0.04 s WhatsApp  sent\n +100.00 s SMS       sent\n"
        );
        assert_eq!(rendered(&json!({}), Style::Plain), "");
        assert_eq!(
            rendered_within(&timeline, Style::Plain, 32),
            "   +0.00 s app       asked for a\n                     code\n   +0.04 s WhatsApp  sent\n \
             +100.00 s SMS       sent\n"
        );
    }

    #[test]
    fn wrapping_loses_no_words() {
        for columns in [0, 1, 5, 11, 80, usize::MAX] {
            for text in ["", "one", "several words of a text", "averyveryverylongword and another"] {
                assert_eq!(wrapped(text, columns).join(" "), text, "{columns}");
            }
        }
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    }
}
