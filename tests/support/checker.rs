//! Compares three journals after a crash, whatever kind it was: what the server answered, what reached the
//! providers, and what its timelines say now. Nothing answered may be lost, nothing sent twice, no try regained.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub const MAX_CHECKS: u64 = 5;
/// Stale reports of one message that the timeline shows; more are only counted.
const STALE_SHOWN: usize = 20;

/// What the server answered, and what it was asked without an answer.
#[derive(Clone, Default)]
pub struct Answers {
    pub created: Vec<Created>,
    /// Creates whose answer never came, by their own reference.
    pub unanswered_creates: Vec<String>,
    /// By verification, in the order in which they were typed.
    pub tries: BTreeMap<String, Vec<Try>>,
    /// Reports that were answered with 200.
    pub acked: Vec<Acked>,
}

#[derive(Clone)]
pub struct Created {
    pub id: String,
    pub client_ref: String,
    pub to: String,
    pub version: u64,
}

#[derive(Clone)]
pub struct Try {
    pub typed: Typed,
    pub answer: Option<CheckAnswer>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    Right,
    Wrong,
}

#[derive(Clone)]
pub struct CheckAnswer {
    pub result: String,
    pub checks_left: u64,
}

#[derive(Clone)]
pub struct Acked {
    pub reference: String,
    pub status: String,
    /// Whether the report said our id; without it, it can wait for ever for a send whose answer was lost.
    pub named_ours: bool,
}

/// One request as a provider saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub channel: String,
    pub reference: String,
    pub provider_ref: String,
    pub to: String,
    pub code: String,
}

/// A verification as the API shows it now, with its timeline.
#[derive(Clone)]
pub struct Shown {
    pub verification: Value,
    pub events: Vec<Value>,
}

/// Everything that is wrong, one sentence each; empty where nothing is. `shown` holds every verification there is.
pub fn violations(answers: &Answers, requests: &[Seen], shown: &BTreeMap<String, Shown>) -> Vec<String> {
    let mut wrong = Vec::new();
    creates(answers, shown, &mut wrong);
    for (id, shown) in shown {
        let tries = answers.tries.get(id).map(Vec::as_slice).unwrap_or_default();
        let mut one = Vec::new();
        log(shown, &mut one);
        checks(tries, shown, &mut one);
        messages(shown, &mut one);
        wrong.extend(one.into_iter().map(|what| format!("{id}: {what}")));
    }
    sends(requests, shown, &mut wrong);
    reports(&answers.acked, shown, &mut wrong);
    wrong
}

/// I1, and that one idempotency key makes one verification, however often it was tried again.
fn creates(answers: &Answers, shown: &BTreeMap<String, Shown>, wrong: &mut Vec<String>) {
    let mut by_ref = BTreeMap::<&str, usize>::new();
    for shown in shown.values() {
        *by_ref.entry(shown.verification["client_ref"].as_str().unwrap_or_default()).or_default() += 1;
    }
    for created in &answers.created {
        let Some(shown) = shown.get(&created.id) else {
            wrong.push(format!("{}: it was answered with 201 and is gone", created.id));
            continue;
        };
        if shown.verification["to"] != *created.to || shown.verification["client_ref"] != *created.client_ref
        {
            wrong.push(format!("{}: it is of another number or reference", created.id));
        }
        if (shown.events.len() as u64) < created.version {
            wrong.push(format!("{}: version {} was answered", created.id, created.version));
        }
        if by_ref.get(&*created.client_ref) != Some(&1) {
            wrong.push(format!("{}: its idempotency key made another one", created.id));
        }
    }
    for reference in &answers.unanswered_creates {
        if by_ref.get(&**reference).is_some_and(|&times| times > 1) {
            wrong.push(format!("{reference}: an idempotency key made more than one"));
        }
    }
}

/// I4, I6, I7 and I8, as far as a timeline tells.
fn log(shown: &Shown, wrong: &mut Vec<String>) {
    let seqs: Vec<_> = shown.events.iter().map(|event| event["seq"].as_u64()).collect();
    let counted: Vec<_> = (1..=shown.events.len() as u64).map(Some).collect();
    if seqs != counted || shown.verification["version"].as_u64() != Some(shown.events.len() as u64) {
        wrong.push(format!("the timeline {seqs:?} does not fit version {}", shown.verification["version"]));
    }
    let ends = ["check_passed", "checks_exhausted", "canceled", "expired"];
    let endings: Vec<_> = positions(shown, |kind| ends.contains(&kind)).collect();
    if endings.len() > 1 {
        wrong.push("it ended more than once".to_owned());
    }
    let status = shown.verification["status"].as_str().unwrap_or_default();
    if endings.is_empty() != (status == "pending") {
        wrong.push(format!("it is {status} with {} endings", endings.len()));
    }
    let end = endings.first().copied().unwrap_or(usize::MAX);
    let sends = ["send_started", "message_queued"];
    if positions(shown, |kind| sends.contains(&kind)).any(|at| at > end) {
        wrong.push("something was sent after its end".to_owned());
    }
}

/// I5: what was answered is counted, and nothing that was counted comes back.
fn checks(tries: &[Try], shown: &Shown, wrong: &mut Vec<String>) {
    let failed = count(shown, "check_failed");
    let passed = count(shown, "check_passed");
    let answered = |result: &str| {
        let is = |one: &&Try| one.answer.as_ref().is_some_and(|answer| answer.result == result);
        tries.iter().filter(is).count()
    };
    let typed_wrong = tries.iter().filter(|one| one.typed == Typed::Wrong).count();
    if failed < answered("wrong_code") {
        wrong.push(format!("{} wrong codes were answered, {failed} are counted", answered("wrong_code")));
    }
    if failed > typed_wrong {
        wrong.push(format!("{failed} wrong codes are counted, {typed_wrong} were typed"));
    }
    if failed as u64 > MAX_CHECKS || passed > 1 || answered("approved") > 1 {
        wrong.push(format!("{failed} failed and {passed} passed"));
    }
    if answered("approved") + answered("already_approved") > 0 && passed == 0 {
        wrong.push("it was answered as approved".to_owned());
    }
    let mut left = MAX_CHECKS;
    for answer in tries.iter().filter_map(|one| one.answer.as_ref()) {
        if answer.checks_left > left {
            wrong.push(format!("after {left} tries were left, {} were", answer.checks_left));
        }
        left = answer.checks_left;
    }
    if shown.verification["checks_left"].as_u64().is_none_or(|now| now > left) {
        let now = &shown.verification["checks_left"];
        wrong.push(format!("{left} tries were left, and now {now}"));
    }
    for one in tries {
        let refused = one.answer.as_ref().is_some_and(|answer| answer.result == "wrong_code");
        if one.typed == Typed::Right && refused {
            wrong.push("the right code was called wrong".to_owned());
        }
    }
}

/// I11: of each step one message, and one more for each time the doubt rule sent it again.
fn messages(shown: &Shown, wrong: &mut Vec<String>) {
    let mut of_step = BTreeMap::<u64, (usize, usize)>::new();
    for event in shown.events.iter().filter(|event| event["type"] == "message_queued") {
        let counts = of_step.entry(event["data"]["step"].as_u64().unwrap_or(u64::MAX)).or_default();
        match event["data"]["occasion"].as_str() {
            Some("step") => counts.0 += 1,
            Some("doubt") => counts.1 += 1,
            other => wrong.push(format!("a message for the occasion {other:?} that nobody asked for")),
        }
    }
    for (step, (by_turn, by_doubt)) in of_step {
        if by_turn > 1 || by_doubt > 1 {
            wrong.push(format!("step {step} was sent {by_turn} times and {by_doubt} more in doubt"));
        }
    }
}

/// I2, I3 and I9: every request has its intent in the timeline, and no more requests than intents.
fn sends(requests: &[Seen], shown: &BTreeMap<String, Shown>, wrong: &mut Vec<String>) {
    let mut started = BTreeMap::<&str, usize>::new();
    let mut numbers = BTreeMap::<&str, &Value>::new();
    for shown in shown.values() {
        for event in shown.events.iter().filter(|event| event["type"] == "send_started") {
            let message = event["message_id"].as_str().unwrap_or_default();
            *started.entry(message).or_default() += 1;
            numbers.insert(message, &shown.verification["to"]);
        }
    }
    let mut seen = BTreeMap::<&str, usize>::new();
    let mut codes = BTreeMap::<&str, BTreeSet<&str>>::new();
    for request in requests {
        *seen.entry(&request.reference).or_default() += 1;
        codes.entry(&request.to).or_default().insert(&request.code);
        if numbers.get(&*request.reference).is_some_and(|to| **to != *request.to) {
            wrong.push(format!("{}: it went to another number", request.reference));
        }
    }
    for (message, times) in seen {
        let intents = started.get(message).copied().unwrap_or(0);
        if times > intents {
            wrong.push(format!("{message}: the provider saw it {times} times, the timeline {intents} times"));
        }
    }
    for (to, codes) in codes {
        if codes.len() > 1 {
            wrong.push(format!("{to}: it was sent {} different codes", codes.len()));
        }
    }
}

/// I10: what was answered with 200 stands in the timeline of its message.
fn reports(acked: &[Acked], shown: &BTreeMap<String, Shown>, wrong: &mut Vec<String>) {
    let mut known = BTreeMap::<(&str, &str), usize>::new();
    let mut stale = BTreeMap::<&str, usize>::new();
    let mut names = BTreeSet::new();
    for shown in shown.values() {
        for event in &shown.events {
            let message = event["message_id"].as_str().unwrap_or_default();
            *known.entry((message, event["type"].as_str().unwrap_or_default())).or_default() += 1;
            *stale.entry(message).or_default() += usize::from(event["data"]["stale"] == true);
        }
        for message in shown.verification["messages"].as_array().into_iter().flatten() {
            if message["provider_ref"].is_string() {
                names.insert(message["id"].as_str().unwrap_or_default());
            }
        }
    }
    let mut wanted = BTreeMap::<(&str, String), usize>::new();
    for report in acked {
        // One that came without our id before its send was known is kept once, however often it came.
        if report.named_ours {
            *wanted.entry((&report.reference, format!("status_{}", report.status))).or_default() += 1;
        } else if names.contains(&*report.reference) {
            wanted.entry((&report.reference, format!("status_{}", report.status))).or_insert(1);
        }
    }
    for ((message, kind), times) in wanted {
        let there = known.get(&(message, &*kind)).copied().unwrap_or(0);
        if there < times && stale.get(message).is_none_or(|&stale| stale < STALE_SHOWN) {
            wrong
                .push(format!("{message}: {kind} was acknowledged {times} times and is there {there} times"));
        }
    }
}

fn positions<'a>(shown: &'a Shown, wanted: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = usize> + 'a {
    let kinds = shown.events.iter().map(|event| event["type"].as_str().unwrap_or_default());
    kinds.enumerate().filter(move |(_, kind)| wanted(kind)).map(|(at, _)| at)
}

fn count(shown: &Shown, kind: &str) -> usize {
    positions(shown, |other| other == kind).count()
}
