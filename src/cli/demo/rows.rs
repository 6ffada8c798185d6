//! The scenarios on a terminal: one row each, updated in place.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::super::send::delivery;
use super::super::timeline::{Paint, Style, events_of, instant};
use crate::app::sandbox::scenario::{SCENARIOS, Scenario};

/// Column widths. With mark, number, time and spaces a row has 79 columns.
const PLAYS: usize = 34;
const STATE: usize = 25;

pub(super) struct Rows {
    bars: Vec<ProgressBar>,
    style: Style,
}

impl Rows {
    /// Draws a row per scenario.
    pub(super) fn new(style: Style) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        // A narrower terminal truncates the row.
        let template =
            ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bars = SCENARIOS.iter().map(|scenario| {
            let bar = all.add(ProgressBar::new_spinner().with_style(template.clone()));
            bar.set_message(row(scenario, &Value::Null, &Value::Null));
            bar.tick();
            bar
        });
        Self { bars: bars.collect(), style }
    }

    /// Updates the scenario's row.
    pub(super) fn show(&self, scenario: &Scenario, verification: &Value, timeline: &Value) {
        if let Some(bar) = self.bar(scenario) {
            bar.set_message(format!("  {}", row(scenario, verification, timeline)));
        }
    }

    /// Marks the scenario's row as finished; `missed` is empty if it ended as expected.
    pub(super) fn end(&self, scenario: &Scenario, verification: &Value, timeline: &Value, missed: &[String]) {
        let (mark, paint) = if missed.is_empty() { ("✓", Paint::Good) } else { ("✗", Paint::Bad) };
        if let Some(bar) = self.bar(scenario) {
            let row = row(scenario, verification, timeline);
            bar.finish_with_message(format!("{} {row}", self.style.paint(mark, paint)));
        }
    }

    fn bar(&self, scenario: &Scenario) -> Option<&ProgressBar> {
        let place = SCENARIOS.iter().position(|other| other.number == scenario.number)?;
        self.bars.get(place)
    }
}

/// `0101  sent, never delivered                delivered by sms          +4.63 s`
fn row(scenario: &Scenario, verification: &Value, timeline: &Value) -> String {
    let events = events_of(timeline);
    let start = events.first().and_then(instant);
    let last = events.last().and_then(instant);
    let since = start.zip(last).map(|(start, last)| last.duration_since(start).as_secs_f64());
    let time = since.map(|since| format!("+{since:.2} s")).unwrap_or_default();
    let number = &scenario.number[scenario.number.len() - 4..];
    let (plays, state) = (cut(scenario.plays, PLAYS), cut(&state(verification), STATE));
    format!("{number}  {plays:PLAYS$}  {state:STATE$} {time:>8}")
}

fn state(verification: &Value) -> String {
    match verification["status"].as_str() {
        None => String::new(),
        Some("pending") => delivery(verification),
        Some(ended) => ended.to_owned(),
    }
}

/// Truncates to `columns`, with `…` at the end.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_row_is_wider_than_79_columns() {
        let event = |at: &str| json!({ "at": at });
        let timeline =
            json!({ "events": [event("2026-11-30T10:00:00.000Z"), event("2026-11-30T10:09:59.990Z")] });
        let verification = json!({ "status": "pending", "delivery": { "state": "in_doubt", "channel": "a-channel-with-a-long-name" } });
        for scenario in &SCENARIOS {
            for verification in [&Value::Null, &verification, &json!({ "status": "exhausted" })] {
                let row = format!("✓ {}", row(scenario, verification, &timeline));
                assert!(row.chars().count() <= 79, "{row}");
            }
        }
        let shown = row(&SCENARIOS[11], &json!({ "status": "approved" }), &timeline);
        assert_eq!(shown, "0111  delivered; two wrong codes typed,…  approved                  +599.99 s");
    }
}
