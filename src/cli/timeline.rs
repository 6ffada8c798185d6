//! `twotick timeline ID`, and how an event looks as a line.

use std::fmt::Write as _;

use serde_json::Value;

use super::client::{Server, with_api};
use super::logging::{Stream, colour};
use super::{Cli, Exit};
use crate::config::Environment;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Of the verification, `ver_…`
    id: String,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    let look = Look::of(Stream::Stdout);
    with_api(cli, &args.server, async |api| {
        let answer = api.get(&format!("/verifications/{}/timeline", args.id)).await?;
        Ok(answer.print(&args.server, |timeline| rendered(timeline, look)))
    })
}

/// Whether lines may be coloured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Colour,
}

impl Look {
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

/// Colour only underlines what the words say.
#[derive(Clone, Copy)]
pub(super) enum Paint {
    Good,
    Bad,
    Faint,
    Strong,
}

/// Every event of a timeline, a line each.
pub(super) fn rendered(timeline: &Value, look: Look) -> String {
    let events = events_of(timeline);
    let start = events.first().and_then(instant);
    let mut text = String::new();
    for event in events {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line(event, start, look));
    }
    text
}

pub(super) fn events_of(timeline: &Value) -> &[Value] {
    timeline["events"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// When it happened.
pub(super) fn instant(event: &Value) -> Option<jiff::Timestamp> {
    event["at"].as_str()?.parse().ok()
}

/// `  +0.04 s  WhatsApp  accepted the message`
pub(super) fn line(event: &Value, start: Option<jiff::Timestamp>, look: Look) -> String {
    let since = start.zip(instant(event)).map(|(start, at)| at.duration_since(start).as_secs_f64());
    let time = since.map_or_else(|| "?".to_owned(), |since| format!("+{since:.2} s"));
    let text = event["text"].as_str().unwrap_or_default();
    let stale = event["data"]["stale"] == true;
    let text = match event["type"].as_str().unwrap_or_default() {
        "status_delivered" | "status_read" | "check_passed" if !stale => look.paint(text, Paint::Good),
        "status_failed" | "send_refused" | "gave_up" | "check_failed" | "checks_exhausted"
        | "code_disowned" => look.paint(text, Paint::Bad),
        _ if stale => look.paint(text, Paint::Faint),
        _ => text.to_owned(),
    };
    format!("{} {:8}  {text}", look.paint(&format!("{time:>10}"), Paint::Faint), source(event))
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
    fn a_line_tells_when_who_and_what() {
        let event = |at: &str, source: &str, text: &str| json!({ "at": at, "source": source, "type": "status_sent", "text": text, "data": {} });
        let timeline = json!({ "events": [
            event("2026-11-22T17:00:00.000Z", "app", "asked for a code"),
            event("2026-11-22T17:00:00.040Z", "whatsapp", "sent"),
            event("2026-11-22T17:01:40.000Z", "sms", "sent"),
        ]});
        assert_eq!(
            rendered(&timeline, Look::Plain),
            "   +0.00 s app       asked for a code\n   +0.04 s WhatsApp  sent\n +100.00 s SMS       sent\n"
        );
        assert_eq!(rendered(&json!({}), Look::Plain), "");
    }
}
