//! I8: what the API shows of a verification equals the fold of its timeline, computed without the server's code.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{MAX_CHECKS, Shown};

pub fn differences(shown: &Shown) -> Vec<String> {
    let mut wrong = Vec::new();
    let verification = &shown.verification;
    let seqs: Vec<_> = shown.events.iter().map(|event| event["seq"].as_u64()).collect();
    let counted: Vec<_> = (1..=shown.events.len() as u64).map(Some).collect();
    if seqs != counted || verification["version"].as_u64() != Some(shown.events.len() as u64) {
        wrong.push(format!("I8: the timeline {seqs:?} does not fit version {}", verification["version"]));
    }
    let mut folded = Folded::default();
    shown.events.iter().for_each(|event| folded.evolve(event));
    if verification["status"] != folded.status() {
        wrong.push(format!("I8: it is {}, and by its timeline {}", verification["status"], folded.status()));
    }
    let left = MAX_CHECKS.checked_sub(folded.failed_checks);
    if verification["checks_left"].as_u64() != left {
        wrong.push(format!(
            "I8: {} checks are left, and by its timeline {left:?}",
            verification["checks_left"]
        ));
    }
    let messages = verification["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.len() != folded.messages.len() {
        wrong.push(format!("I8: {} messages, and by its timeline {}", messages.len(), folded.messages.len()));
    }
    for message in messages {
        let id = message["id"].as_str().unwrap_or_default();
        let by_events = folded.messages.get(id).copied().unwrap_or("unknown");
        if message["state"] != by_events {
            wrong.push(format!("I8: {id} is {}, and by its timeline {by_events}", message["state"]));
        }
    }
    wrong
}

#[derive(Default)]
struct Folded {
    ended: Option<&'static str>,
    failed_checks: u64,
    messages: BTreeMap<String, &'static str>,
    /// Messages sent at least once: refused for now they wait again, and fail if they may not.
    tried: BTreeSet<String>,
}

impl Folded {
    fn status(&self) -> &'static str {
        self.ended.unwrap_or("pending")
    }

    fn evolve(&mut self, event: &Value) {
        let message = event["message_id"].as_str().unwrap_or_default();
        let now = self.messages.get(message).copied();
        match event["type"].as_str().unwrap_or_default() {
            "message_queued" => {
                self.drop_queued();
                self.messages.insert(message.to_owned(), "queued");
            }
            "send_started" => {
                self.tried.insert(message.to_owned());
                self.set(message, "sending");
            }
            "send_accepted" if matches!(now, Some("sending" | "in_doubt")) => self.set(message, "accepted"),
            "send_refused" if now == Some("sending") => {
                self.set(message, if event["data"]["retry_at"].is_null() { "failed" } else { "queued" });
            }
            "send_in_doubt" if now == Some("sending") => self.set(message, "in_doubt"),
            "status_sent" if is_applied(event) => self.set(message, "sent"),
            "status_delivered" if is_applied(event) => self.set(message, "delivered"),
            "status_read" if is_applied(event) => self.set(message, "read"),
            "status_failed" if is_applied(event) => self.set(message, "failed"),
            "fell_back" | "step_skipped" | "gave_up" | "resend_requested" => self.drop_queued(),
            "check_failed" => self.failed_checks += 1,
            "check_passed" => self.end("approved"),
            "checks_exhausted" => self.end("exhausted"),
            "canceled" => self.end("canceled"),
            "expired" => self.end("expired"),
            _ => {}
        }
    }

    fn set(&mut self, message: &str, state: &'static str) {
        self.messages.insert(message.to_owned(), state);
    }

    fn end(&mut self, ending: &'static str) {
        self.ended.get_or_insert(ending);
        self.messages.values_mut().filter(|state| **state == "queued").for_each(|state| *state = "dropped");
    }

    fn drop_queued(&mut self) {
        for (message, state) in self.messages.iter_mut().filter(|(_, state)| **state == "queued") {
            *state = if self.tried.contains(message) { "failed" } else { "dropped" };
        }
    }
}

fn is_applied(event: &Value) -> bool {
    event["data"]["stale"] != true
}
