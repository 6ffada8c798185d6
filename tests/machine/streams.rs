//! Old streams must always fold to the same state: `fixtures/streams/` documents their format.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use twotick::verification::state::{Message, Phase, Progress, Stage, StepLeft};
use twotick::verification::values::Timestamp;
use twotick::verification::{Event, Fact, State, due};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldStream {
    about: String,
    commits: Vec<Commit>,
    folds_to: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Commit {
    at: Timestamp,
    facts: Vec<Fact>,
}

#[test]
fn old_streams_fold_to_what_they_always_did() {
    let files = stream_files();
    assert!(files.len() >= 20, "only {} streams were found", files.len());
    for file in files {
        let OldStream { about, commits, folds_to } =
            read(&file).unwrap_or_else(|error| panic!("{} cannot be read any more: {error}", file.display()));
        let events: Vec<_> = commits.into_iter().flat_map(Commit::into_events).collect();
        assert_eq!(summary(&State::fold(&events)), folds_to, "{}: {about}", file.display());
    }
}

/// A kind of fact missing from the old streams could be renamed unnoticed.
#[test]
fn every_kind_of_fact_occurs_in_an_old_stream() {
    let mut kinds = BTreeSet::new();
    for file in stream_files() {
        let stream: Value = read(&file).expect("the other test says what is wrong with it");
        for commit in stream["commits"].as_array().into_iter().flatten() {
            for fact in commit["facts"].as_array().into_iter().flatten() {
                let of_object = fact.as_object().and_then(|fact| fact.keys().next());
                kinds.extend(fact.as_str().map(str::to_owned).or(of_object.cloned()));
            }
        }
    }
    let expected: BTreeSet<_> = crate::stored::KINDS.iter().map(|&kind| kind.to_owned()).collect();
    assert_eq!(kinds, expected);
}

impl Commit {
    fn into_events(self) -> impl Iterator<Item = Event> {
        self.facts.into_iter().map(move |fact| Event { at: self.at, fact })
    }
}

fn stream_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/streams");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the fixtures are part of the repository")
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files
}

fn read<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<T, serde_json::Error> {
    serde_json::from_str(&std::fs::read_to_string(file).expect("a fixture can be read"))
}

/// The state as JSON, with times in milliseconds since the request; null and false are omitted.
pub fn summary(state: &State) -> Value {
    let State::Known(verification) = state else { return json!("new") };
    let since = |at: Timestamp| at.as_millis() - verification.created_at.as_millis();
    let (status, stage, ended_at) = match verification.phase {
        Phase::Pending(Stage::Waiting { .. }) => ("pending", Some("waiting"), None),
        Phase::Pending(Stage::Delivered) => ("pending", Some("delivered"), None),
        Phase::Pending(Stage::GaveUp) => ("pending", Some("gave_up"), None),
        Phase::Ended { ending, at } => (ending.as_str(), None, Some(since(at))),
    };
    without_nulls(json!({
        "status": status,
        "stage": stage,
        "ended_at": ended_at,
        "expires_at": since(verification.expires_at),
        "fallback_at": verification.fallback_at().map(since),
        "due": due(state).map(|(at, why)| json!([why.as_str(), since(at)])),
        "delivered_by": verification.delivered_by,
        "failed_checks": verification.failed_checks,
        "resends": verification.resends,
        "replies": verification.replies,
        "erased": verification.erased.then_some(true),
        "last_send_at": since(verification.last_send_at),
        "version": verification.version,
        "messages": verification.messages.iter().map(|message| of_message(message, since)).collect::<Vec<_>>(),
    }))
}

fn of_message(message: &Message, since: impl Fn(Timestamp) -> i64) -> Value {
    let (progress, until) = match message.progress {
        Progress::Queued { not_before } => ("queued", Some(not_before)),
        Progress::Sending => ("sending", None),
        Progress::InDoubt { settle_by } => ("in_doubt", settle_by),
        Progress::Accepted => ("accepted", None),
        Progress::Sent => ("sent", None),
        Progress::Failed => ("failed", None),
        Progress::Delivered => ("delivered", None),
        Progress::Read => ("read", None),
        Progress::Dropped => ("dropped", None),
    };
    without_nulls(json!({
        "step": message.step,
        "channel": message.channel,
        "occasion": message.occasion,
        "progress": progress,
        "until": until.map(&since),
        "attempts": message.attempts,
        "open_attempt": message.open_attempt.map(|open| since(open.started_at)),
        "provider_ref": message.provider_ref,
        "queued_at": since(message.queued_at),
        "accepted_at": message.accepted_at.map(&since),
        "sent_at": message.sent_at.map(&since),
        "delivered_at": message.delivered_at.map(&since),
        "read_at": message.read_at.map(&since),
        "failed_at": message.failed_at.map(&since),
        "error": message.error,
        "fell_back": (message.step_left == StepLeft::FellBack).then_some(true),
        "late": message.late.then_some(true),
        "stale_reports": (message.stale_reports > 0).then_some(message.stale_reports),
    }))
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}
