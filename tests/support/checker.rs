//! Compares three journals after any fault: the answers to the client, the requests at the providers, and the event log
//! as read back through the API. It does not depend on how the server works; each violation names the invariant of
//! ARCHITECTURE.md.
#![allow(dead_code, reason = "each test uses its part")]

#[path = "checker/broken.rs"]
mod broken;
#[path = "checker/fold.rs"]
mod fold;
#[path = "checker/journal.rs"]
mod journal;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use journal::{
    Acked, Act, Answers, Asked, CheckAnswer, Created, Moment, Read, Seen, Shown, Try, Typed, Wish,
};

pub const MAX_CHECKS: u64 = 5;
/// Stale reports per message that the timeline shows; further ones are only counted.
const STALE_SHOWN: usize = 20;
/// How long after its expiry a verification may still be pending, on a busy machine: a turn has to end it, and after a
/// start the server has to begin first.
const ENDS_WITHIN_MILLIS: i64 = 5_000;
/// Tolerance between the clocks of server and stand-ins, which are one clock read by two processes.
const SAME_MILLIS: i64 = 100;

/// All violations, one sentence each. `shown` contains every verification.
pub fn violations(answers: &Answers, requests: &[Seen], shown: &BTreeMap<String, Shown>) -> Vec<String> {
    let mut wrong = Vec::new();
    creates(answers, shown, &mut wrong);
    acts(answers, shown, &mut wrong);
    for (id, shown) in shown {
        let mut one = Vec::new();
        endings(shown, &mut one);
        checks(answers.tries.get(id).map(Vec::as_slice).unwrap_or_default(), shown, &mut one);
        one.extend(fold::differences(shown));
        messages(answers.acts.iter().filter(|act| act.id == *id), shown, &mut one);
        wrong.extend(one.into_iter().map(|what| format!("{what} ({id})")));
    }
    sends(requests, shown, &mut wrong);
    reports(&answers.acked, shown, &mut wrong);
    reads(&answers.reads, shown, &mut wrong);
    wrong
}

/// I1 for creates: every answered verification exists as answered, once, and no other exists.
fn creates(answers: &Answers, shown: &BTreeMap<String, Shown>, wrong: &mut Vec<String>) {
    let mut by_ref = BTreeMap::<&str, usize>::new();
    for shown in shown.values() {
        *by_ref.entry(shown.verification["client_ref"].as_str().unwrap_or_default()).or_default() += 1;
    }
    for created in &answers.created {
        let id = &created.id;
        let Some(shown) = shown.get(id) else {
            wrong.push(format!("I1: {id} was answered with 201 and is gone"));
            continue;
        };
        if shown.verification["to"] != *created.to || shown.verification["client_ref"] != *created.client_ref
        {
            wrong.push(format!("I1: {id} is of another number or reference"));
        }
        if (shown.events.len() as u64) < created.version {
            wrong.push(format!("I1: of {id} version {} was answered", created.version));
        }
        if by_ref.get(&*created.client_ref) != Some(&1) {
            wrong.push(format!("I1: the idempotency key of {id} made another one"));
        }
    }
    let asked: BTreeSet<_> = answers.asked.iter().map(|asked| &*asked.client_ref).collect();
    for (reference, times) in by_ref.into_iter().filter(|(reference, _)| !reference.is_empty()) {
        if !asked.contains(reference) {
            wrong.push(format!("I1: nobody asked for {reference}: it is invented"));
        } else if times > 1 {
            wrong.push(format!("I1: the idempotency key of {reference} made {times}"));
        }
    }
}

/// I1 for all other successful commands.
fn acts(answers: &Answers, shown: &BTreeMap<String, Shown>, wrong: &mut Vec<String>) {
    for act in &answers.acts {
        let (Some((version, _)), Some(shown)) = (act.done, shown.get(&act.id)) else { continue };
        if (shown.events.len() as u64) < version {
            wrong.push(format!("I1: of {} version {version} was answered", act.id));
        }
        if act.wish == Wish::Cancel && shown.verification["status"] == "pending" {
            wrong.push(format!("I1: {} was answered as canceled and is pending", act.id));
        }
    }
    let mut canceled = BTreeMap::<&str, usize>::new();
    for act in answers.acts.iter().filter(|act| act.wish == Wish::Cancel) {
        *canceled.entry(&act.id).or_default() += 1;
    }
    for (id, shown) in shown {
        if count(shown, "canceled") > 0 && !canceled.contains_key(&**id) {
            wrong.push(format!("I1: {id} is canceled, and nobody asked for that"));
        }
    }
}

/// I4, I6 and I7, as far as a timeline shows.
fn endings(shown: &Shown, wrong: &mut Vec<String>) {
    let expires_at = shown.verification["expires_at"].as_str().and_then(Moment::parse).unwrap_or_default();
    let ends = ["check_passed", "checks_exhausted", "canceled", "expired"];
    let endings: Vec<_> = positions(shown, |kind| ends.contains(&kind)).collect();
    if count(shown, "check_passed") > 1 {
        wrong.push("I4: it was approved more than once".to_owned());
    }
    if endings.len() > 1 {
        wrong.push(format!("I4: it ended {} times", endings.len()));
    }
    let end = endings.first().copied().unwrap_or(usize::MAX);
    for (at, event) in shown.events.iter().enumerate().filter(|(_, event)| sends_something(event)) {
        if at > end {
            wrong.push("I6: something was sent after its end".to_owned());
        }
        if moment(event) >= expires_at {
            wrong.push("I6: something was sent after its expiry".to_owned());
        }
    }
    let late = shown.at.millis_since(expires_at);
    if endings.is_empty() && late > ENDS_WITHIN_MILLIS {
        wrong.push(format!("I7: it is pending {late} ms after its expiry"));
    }
    let approved = shown.events.iter().find(|event| event["type"] == "check_passed");
    if approved.is_some_and(|event| moment(event) >= expires_at) {
        wrong.push("I7: it was approved after its expiry".to_owned());
    }
    let expired = shown.events.iter().find(|event| event["type"] == "expired");
    if expired.is_some_and(|event| moment(event) < expires_at) {
        wrong.push("I7: it expired before its time".to_owned());
    }
}

fn sends_something(event: &Value) -> bool {
    event["type"] == "send_started" || event["type"] == "message_queued"
}

/// I5: answered checks are counted, and tries are not given back. I4, as answered.
fn checks(tries: &[Try], shown: &Shown, wrong: &mut Vec<String>) {
    let failed = count(shown, "check_failed");
    let passed = count(shown, "check_passed");
    let answered = |result: &str| {
        let is = |one: &&Try| one.answer.as_ref().is_some_and(|answer| answer.result == result);
        tries.iter().filter(is).count()
    };
    let typed_wrong = tries.iter().filter(|one| one.typed == Typed::Wrong).count();
    // After an approval, a wrong code is `wrong_code` even if no more are compared.
    let spent = passed > 0 && failed as u64 >= MAX_CHECKS;
    if failed < answered("wrong_code") && !spent {
        wrong.push(format!("I5: {} wrong codes were answered, {failed} are counted", answered("wrong_code")));
    }
    if failed > typed_wrong {
        wrong.push(format!("I5: {failed} wrong codes are counted, {typed_wrong} were typed"));
    }
    if failed as u64 > MAX_CHECKS {
        wrong.push(format!("I5: {failed} wrong codes were compared"));
    }
    if answered("approved") > 1 {
        wrong.push(format!("I4: {} checks were answered as the one that approved", answered("approved")));
    }
    if answered("approved") + answered("already_approved") > 0 && passed == 0 {
        wrong.push("I1: it was answered as approved and is not".to_owned());
    }
    let mut left = MAX_CHECKS;
    for answer in tries.iter().filter_map(|one| one.answer.as_ref()) {
        if answer.checks_left > left {
            wrong.push(format!("I5: after {left} tries were left, {} were", answer.checks_left));
        }
        left = answer.checks_left;
    }
    if shown.verification["checks_left"].as_u64().is_none_or(|now| now > left) {
        let now = &shown.verification["checks_left"];
        wrong.push(format!("I5: {left} tries were left, and now {now}"));
    }
    let refused = |one: &&Try| one.answer.as_ref().is_some_and(|answer| answer.result == "wrong_code");
    if tries.iter().filter(refused).any(|one| one.typed == Typed::Right) && !spent {
        wrong.push("I5: the right code was called wrong".to_owned());
    }
}

/// I11: one message per step, one more per doubt that was resent, and one per resend.
fn messages<'a>(acts: impl Iterator<Item = &'a Act>, shown: &Shown, wrong: &mut Vec<String>) {
    let mut of_step = BTreeMap::<u64, (usize, usize)>::new();
    let mut resent = 0;
    for event in shown.events.iter().filter(|event| event["type"] == "message_queued") {
        let counts = of_step.entry(event["data"]["step"].as_u64().unwrap_or(u64::MAX)).or_default();
        match event["data"]["occasion"].as_str() {
            Some("step") => counts.0 += 1,
            Some("doubt") => counts.1 += 1,
            Some("resend") => resent += 1,
            other => wrong.push(format!("I11: a message for the occasion {other:?}")),
        }
    }
    let resends: Vec<_> = acts.filter(|act| act.wish == Wish::Resend).collect();
    let done = resends.iter().filter(|act| act.done.is_some()).count();
    if resent > resends.len() {
        wrong.push(format!("I11: {resent} messages for {} resends that were asked for", resends.len()));
    }
    if count(shown, "resend_requested") < done {
        wrong.push(format!("I1: {done} resends were answered as done"));
    }
    for (step, (by_turn, by_doubt)) in of_step {
        if by_turn > 1 + resent || by_doubt > 1 + resent {
            wrong.push(format!("I11: step {step} was sent {by_turn} times and {by_doubt} more in doubt"));
        }
    }
}

/// I2, I3 and I9: every request has an earlier intent in a timeline, and no intent has two requests.
fn sends(requests: &[Seen], shown: &BTreeMap<String, Shown>, wrong: &mut Vec<String>) {
    let mut started = BTreeMap::<&str, Vec<(Option<u64>, Moment)>>::new();
    let mut numbers = BTreeMap::<&str, &Value>::new();
    for shown in shown.values() {
        for event in &shown.events {
            let message = event["message_id"].as_str().unwrap_or_default();
            numbers.insert(message, &shown.verification["to"]);
            if event["type"] == "send_started" {
                let attempt = (event["data"]["attempt"].as_u64(), moment(event));
                started.entry(message).or_default().push(attempt);
            }
        }
    }
    for (message, attempts) in &started {
        let numbers: BTreeSet<_> = attempts.iter().map(|(number, _)| number).collect();
        if numbers.len() < attempts.len() {
            wrong.push(format!("I2: {message} started one attempt twice"));
        }
    }
    let mut seen = BTreeMap::<&str, Vec<Moment>>::new();
    let mut codes = BTreeMap::<&str, BTreeSet<&str>>::new();
    for request in requests {
        seen.entry(&request.reference).or_default().push(request.at);
        codes.entry(&request.to).or_default().insert(&request.code);
        if numbers.get(&*request.reference).is_some_and(|to| **to != *request.to) {
            wrong.push(format!("I9: {} went to another number", request.reference));
        }
    }
    for (message, mut moments) in seen {
        moments.sort_unstable();
        let intents = started.get(message).map(Vec::as_slice).unwrap_or_default();
        if !numbers.contains_key(message) {
            wrong.push(format!("I9: the provider saw {message}, and no timeline knows it"));
        } else if intents.is_empty() {
            wrong.push(format!("I3: the provider saw {message}, which never started"));
        } else if moments.len() > intents.len() {
            let (times, intents) = (moments.len(), intents.len());
            wrong.push(format!("I2: the provider saw {message} {times} times, the timeline {intents} times"));
        }
        for (seen, (_, started)) in moments.iter().zip(intents) {
            if started.millis_since(*seen) > SAME_MILLIS {
                wrong.push(format!("I3: the provider saw {message} before its intent"));
            }
        }
    }
    for (to, codes) in codes {
        if codes.len() > 1 {
            wrong.push(format!("I11: {to} was sent {} different codes", codes.len()));
        }
    }
}

/// I10: the timeline has every report that was answered with 200.
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
        // A report without our id that arrived before its send was recorded is stored once, however often it arrived.
        if report.named_ours {
            *wanted.entry((&report.reference, format!("status_{}", report.status))).or_default() += 1;
        } else if names.contains(&*report.reference) {
            wanted.entry((&report.reference, format!("status_{}", report.status))).or_insert(1);
        }
    }
    for ((message, kind), times) in wanted {
        let there = known.get(&(message, &*kind)).copied().unwrap_or(0);
        if there < times && stale.get(message).is_none_or(|&stale| stale < STALE_SHOWN) {
            wrong.push(format!(
                "I10: {kind} of {message} was acknowledged {times} times and is there {there} times"
            ));
        }
    }
}

/// I12: what a reader was shown is still a prefix of the log.
fn reads(reads: &[Read], shown: &BTreeMap<String, Shown>, wrong: &mut Vec<String>) {
    for read in reads {
        let now = shown.get(&read.id).map(|shown| shown.events.as_slice()).unwrap_or_default();
        if !now.starts_with(&read.events) {
            let (was, is) = (read.events.len(), now.len());
            wrong.push(format!(
                "I12: of {} a reader saw {was} events that the {is} of now do not begin with",
                read.id
            ));
        }
    }
}

fn moment(event: &Value) -> Moment {
    event["at"].as_str().and_then(Moment::parse).unwrap_or_default()
}

fn positions<'a>(shown: &'a Shown, wanted: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = usize> + 'a {
    let kinds = shown.events.iter().map(|event| event["type"].as_str().unwrap_or_default());
    kinds.enumerate().filter(move |(_, kind)| wanted(kind)).map(|(at, _)| at)
}

fn count(shown: &Shown, kind: &str) -> usize {
    positions(shown, |other| other == kind).count()
}
