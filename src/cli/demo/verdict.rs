//! The expected end of each scenario, and the comparison with the actual one.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::timeline::{Paint, Style, events_of};
use super::play::Scene;
use crate::app::sandbox::scenario::{SCENARIOS, Scenario};
use crate::app::sandbox::{Channel, Request, Sandbox};

/// Expected end of one scenario, by API, timeline and providers.
#[derive(Debug)]
pub(super) struct Expected {
    /// Last four digits of the number.
    number: &'static str,
    status: &'static str,
    state: &'static str,
    delivered_by: Option<&'static str>,
    /// Channels of messages delivered after their deadline.
    late: &'static [&'static str],
    /// Number of requests that the providers received.
    whatsapp_requests: usize,
    sms_requests: usize,
    /// Number of events by type.
    events: &'static [(&'static str, usize)],
    /// `data.reason` of the only `fell_back`, if any.
    fell_back: Option<&'static str>,
}

const BY_WHATSAPP: Expected = Expected {
    number: "",
    status: "pending",
    state: "delivered",
    delivered_by: Some("whatsapp"),
    late: &[],
    whatsapp_requests: 1,
    sms_requests: 0,
    events: &[],
    fell_back: None,
};
const BY_SMS: Expected = Expected { delivered_by: Some("sms"), sms_requests: 1, ..BY_WHATSAPP };

/// The sandbox's scenarios, for a verification with a WhatsApp and an SMS step.
static EXPECTED: [Expected; 12] = [
    Expected { number: "0100", state: "read", ..BY_WHATSAPP },
    Expected { number: "0101", fell_back: Some("deadline"), ..BY_SMS },
    Expected { number: "0102", fell_back: Some("failed"), ..BY_SMS },
    Expected { number: "0103", fell_back: Some("refused"), ..BY_SMS },
    Expected {
        number: "0104",
        state: "read",
        events: &[("status_sent", 2), ("status_delivered", 2), ("status_read", 1)],
        ..BY_WHATSAPP
    },
    Expected { number: "0105", state: "read", events: &[("status_delivered", 0)], ..BY_WHATSAPP },
    Expected { number: "0106", fell_back: Some("deadline"), late: &["whatsapp"], ..BY_SMS },
    Expected { number: "0107", whatsapp_requests: 3, events: &[("send_refused", 2)], ..BY_WHATSAPP },
    Expected { number: "0108", events: &[("send_in_doubt", 1)], ..BY_WHATSAPP },
    Expected {
        number: "0109",
        state: "undelivered",
        delivered_by: None,
        fell_back: Some("failed"),
        events: &[("gave_up", 1)],
        ..BY_SMS
    },
    Expected { number: "0110", status: "canceled", events: &[("code_disowned", 1)], ..BY_WHATSAPP },
    Expected {
        number: "0111",
        status: "approved",
        state: "read",
        events: &[("check_failed", 2), ("check_passed", 1)],
        ..BY_WHATSAPP
    },
];

/// Every scenario with its expected end.
pub(super) fn programme() -> impl Iterator<Item = (&'static Scenario, &'static Expected)> {
    SCENARIOS.iter().filter_map(|scenario| {
        let expected = EXPECTED.iter().find(|expected| scenario.number.ends_with(expected.number))?;
        Some((scenario, expected))
    })
}

impl Expected {
    /// Whether the user enters codes in this scenario.
    pub(super) fn types_codes(&self) -> bool {
        self.status == "approved"
    }

    /// Whether the verification is in the expected state.
    pub(super) fn is_met(&self, verification: &Value) -> bool {
        self.missed(verification).is_empty()
    }

    fn missed(&self, verification: &Value) -> Vec<String> {
        let delivery = &verification["delivery"];
        let mut missed = Vec::new();
        let mut compare = |what: &str, found: Option<&str>, wanted: Option<&str>| {
            if found != wanted {
                missed.push(format!(
                    "{what} {} instead of {}",
                    found.unwrap_or("null"),
                    wanted.unwrap_or("null")
                ));
            }
        };
        compare("status is", verification["status"].as_str(), Some(self.status));
        compare("delivery is", delivery["state"].as_str(), Some(self.state));
        compare("delivered by", delivery["delivered_by"].as_str(), self.delivered_by);
        let late = late(verification).join(",");
        compare("late messages:", Some(&late), Some(&self.late.join(",")));
        missed
    }
}

fn late(verification: &Value) -> Vec<&str> {
    let messages = verification["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let late = messages.iter().filter(|message| message["late"] == true);
    late.filter_map(|message| message["channel"].as_str()).collect()
}

/// Differences between expected and actual end.
pub(super) fn judge(scene: &Scene, sandbox: &Sandbox) -> Vec<String> {
    let mut missed: Vec<String> = scene.trouble.iter().cloned().collect();
    let expected = scene.expected;
    missed.extend(expected.missed(&scene.verification));
    let requests: Vec<Request> =
        sandbox.journal().into_iter().filter(|request| request.to == scene.scenario.number).collect();
    for (channel, wanted) in
        [(Channel::Whatsapp, expected.whatsapp_requests), (Channel::Sms, expected.sms_requests)]
    {
        let found = requests.iter().filter(|request| request.channel == channel).count();
        if found != wanted {
            missed.push(format!("{channel:?} got {found} requests instead of {wanted}"));
        }
    }
    let events = events_of(&scene.timeline);
    for (kind, wanted) in expected.events {
        let found = events.iter().filter(|event| event["type"] == **kind).count();
        if found != *wanted {
            missed.push(format!("the timeline has {found} {kind} instead of {wanted}"));
        }
    }
    let fell_back: Vec<_> = events.iter().filter(|event| event["type"] == "fell_back").collect();
    let reasons: Vec<_> = fell_back.iter().filter_map(|event| event["data"]["reason"].as_str()).collect();
    if reasons != expected.fell_back.as_slice() {
        missed
            .push(format!("fallback reasons are {reasons:?} instead of {:?}", expected.fell_back.as_slice()));
    }
    missed
}

/// One line per scenario.
pub(super) fn table(scenes: &[Scene], verdicts: &[Vec<String>], style: Style) -> String {
    let mut text = String::new();
    for (scene, missed) in scenes.iter().zip(verdicts) {
        let mark = if missed.is_empty() {
            style.paint("as expected", Paint::Good)
        } else {
            style.paint("UNEXPECTED ", Paint::Bad)
        };
        let Scenario { number, ends, .. } = scene.scenario;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{number}  {mark}  {ends}");
    }
    text
}

/// Number of scenarios that ended as expected, and the differences of the others.
pub(super) fn total(scenes: &[Scene], verdicts: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (scene, missed) in scenes.iter().zip(verdicts) {
        for difference in missed {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}: {difference}", scene.scenario.number);
        }
    }
    let right = verdicts.iter().filter(|missed| missed.is_empty()).count();
    let _ = writeln!(text, "\n{right} of {} scenarios ended as expected.", scenes.len());
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_scenario_has_an_expected_end() {
        assert_eq!((programme().count(), EXPECTED.len()), (SCENARIOS.len(), SCENARIOS.len()));
    }

    #[test]
    fn an_unexpected_end_is_described() {
        let verification = json!({
            "status": "pending",
            "delivery": { "state": "sent", "delivered_by": null },
            "messages": [{ "channel": "whatsapp", "late": true }],
        });
        assert_eq!(
            EXPECTED[0].missed(&verification),
            [
                "delivery is sent instead of read",
                "delivered by null instead of whatsapp",
                "late messages: whatsapp instead of "
            ]
        );
    }
}
