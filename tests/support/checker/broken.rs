//! Tests of the checker: it accepts consistent journals and detects every kind of violation by name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

const VERIFICATION: &str = "ver_1";
const WHATSAPP: &str = "msg_1";
const SMS: &str = "msg_2";

/// Journals of one verification: WhatsApp not delivered in time, SMS delivered, a wrong code, then the right one.
struct World {
    answers: Answers,
    requests: Vec<Seen>,
    shown: BTreeMap<String, Shown>,
}

fn at(millis: i64) -> Moment {
    Moment(1_795_000_000_000_000).plus_millis(millis)
}

fn text(moment: Moment) -> Value {
    json!(jiff::Timestamp::from_microsecond(moment.0).unwrap().to_string())
}

fn seen(channel: &str, reference: &str, millis: i64) -> Seen {
    let (channel, reference, to) = (channel.to_owned(), reference.to_owned(), "+49152".to_owned());
    Seen {
        provider_ref: format!("of.{reference}"),
        channel,
        reference,
        to,
        code: "111222".to_owned(),
        at: at(millis),
    }
}

fn answered(typed: Typed, result: &str, checks_left: u64, millis: i64) -> Try {
    let answer = CheckAnswer { result: result.to_owned(), checks_left, at: at(millis + 5) };
    Try { typed, asked_at: at(millis), answer: Some(answer) }
}

fn whole() -> World {
    let event = |millis: i64, kind: &str, message: Option<&str>, data: Value| json!({ "type": kind, "at": text(at(millis)), "message_id": message, "data": data });
    let mut events = vec![
        event(0, "requested", None, json!({})),
        event(0, "message_queued", Some(WHATSAPP), json!({ "step": 0, "occasion": "step" })),
        event(0, "send_started", Some(WHATSAPP), json!({ "attempt": 1 })),
        event(20, "send_accepted", Some(WHATSAPP), json!({ "attempt": 1 })),
        event(30, "status_sent", Some(WHATSAPP), json!({})),
        event(1_000, "fell_back", Some(WHATSAPP), json!({ "reason": "deadline" })),
        event(1_000, "message_queued", Some(SMS), json!({ "step": 1, "occasion": "step" })),
        event(1_000, "send_started", Some(SMS), json!({ "attempt": 1 })),
        event(1_020, "send_accepted", Some(SMS), json!({ "attempt": 1 })),
        event(1_500, "status_delivered", Some(SMS), json!({})),
        event(2_000, "check_failed", None, json!({ "checks_left": 4 })),
        event(3_000, "check_passed", None, json!({})),
    ];
    for (seq, event) in (1..).zip(&mut events) {
        event["seq"] = json!(seq);
    }
    let message =
        |id: &str, state: &str| json!({ "id": id, "state": state, "provider_ref": format!("of.{id}") });
    let verification = json!({ "id": VERIFICATION, "to": "+49152", "client_ref": "ref-1", "status": "approved",
        "version": events.len(), "checks_left": 4, "expires_at": text(at(60_000)),
        "messages": [message(WHATSAPP, "sent"), message(SMS, "delivered")] });
    let (id, client_ref) = (VERIFICATION.to_owned(), "ref-1".to_owned());
    let acked = |reference: &str, status: &str| Acked {
        reference: reference.to_owned(),
        status: status.to_owned(),
        named_ours: true,
        at: at(1_600),
    };
    let tries =
        vec![answered(Typed::Wrong, "wrong_code", 4, 2_000), answered(Typed::Right, "approved", 4, 3_000)];
    let answers = Answers {
        asked: vec![Asked { client_ref: client_ref.clone(), at: at(-1) }],
        created: vec![Created { id: id.clone(), client_ref, to: "+49152".to_owned(), version: 3, at: at(5) }],
        tries: BTreeMap::from([(id.clone(), tries)]),
        acked: vec![acked(WHATSAPP, "sent"), acked(SMS, "delivered")],
        acts: Vec::new(),
        reads: vec![Read { id: id.clone(), events: events[..4].to_vec(), at: at(25) }],
    };
    let requests = vec![seen("whatsapp", WHATSAPP, 2), seen("sms", SMS, 1_002)];
    World { answers, requests, shown: BTreeMap::from([(id, Shown { verification, events, at: at(4_000) })]) }
}

impl World {
    fn violations(&self) -> Vec<String> {
        violations(&self.answers, &self.requests, &self.shown)
    }

    fn one(&mut self) -> &mut Shown {
        self.shown.get_mut(VERIFICATION).unwrap()
    }

    fn tries(&mut self) -> &mut Vec<Try> {
        self.answers.tries.get_mut(VERIFICATION).unwrap()
    }

    fn act(&mut self, wish: Wish, done: Option<u64>) {
        let done = done.map(|version| (version, at(3_500)));
        self.answers.acts.push(Act { id: VERIFICATION.to_owned(), wish, asked_at: at(3_400), done });
    }

    /// Inserts an event into the timeline, and corrects everything that depends on the number of events.
    fn insert(&mut self, place: usize, mut event: Value) {
        let shown = self.one();
        event["at"] = shown.events[place.min(shown.events.len() - 1)]["at"].clone();
        shown.events.insert(place, event);
        self.count_again();
    }

    fn remove(&mut self, kind: &str) {
        self.one().events.retain(|event| event["type"] != kind);
        self.count_again();
    }

    fn count_again(&mut self) {
        self.answers.reads.clear();
        let shown = self.one();
        for (seq, event) in (1..).zip(&mut shown.events) {
            event["seq"] = json!(seq);
        }
        shown.verification["version"] = json!(shown.events.len());
    }
}

#[test]
fn journals_that_agree_are_found_to_agree() {
    assert_eq!(whole().violations(), [""; 0]);
}

/// Breaking must violate `invariant`; further violations are allowed.
fn must_break(invariant: &str, how: &str, break_it: impl FnOnce(&mut World)) {
    let mut world = whole();
    break_it(&mut world);
    let wrong = world.violations();
    let named = wrong.iter().any(|wrong| wrong.starts_with(&format!("{invariant}: ")));
    assert!(named, "{how} is not found as a breach of {invariant}: {wrong:?}");
}

#[test]
fn a_broken_journal_of_the_client_is_found() {
    must_break("I1", "an answered create that is gone", |world| world.shown.clear());
    must_break("I1", "a create that nobody asked for", |world| world.answers.asked.clear());
    must_break("I1", "an answer from a version that is not there", |world| {
        world.answers.created[0].version = 99;
    });
    must_break("I1", "one key for two creates", |world| {
        let twin = world.one().clone();
        world.shown.insert("ver_2".to_owned(), twin);
    });
    must_break("I1", "another number", |world| world.answers.created[0].to = "+49153".to_owned());
    must_break("I1", "an approval that is gone", |world| world.remove("check_passed"));
    must_break("I1", "a cancellation that is gone", |world| {
        world.remove("check_passed");
        world.one().verification["status"] = json!("pending");
        world.act(Wish::Cancel, Some(3));
    });
    must_break("I1", "a cancellation that nobody asked for", |world| {
        world.insert(11, json!({ "type": "canceled" }))
    });
    must_break("I1", "an answered resend that is gone", |world| world.act(Wish::Resend, Some(3)));
    must_break("I4", "two approvals", |world| world.insert(12, json!({ "type": "check_passed" })));
    must_break("I4", "two answers that approve", |world| {
        let again = answered(Typed::Right, "approved", 4, 3_100);
        world.tries().push(again);
    });
    must_break("I5", "an answered wrong code that is not counted", |world| world.remove("check_failed"));
    must_break("I5", "a try regained between two answers", |world| {
        world.tries()[1].answer.as_mut().unwrap().checks_left = 5;
    });
    must_break("I5", "a try regained after the last answer", |world| {
        world.one().verification["checks_left"] = json!(5);
    });
    must_break("I5", "a wrong code that nobody typed", |world| {
        world.insert(10, json!({ "type": "check_failed" }))
    });
    must_break("I5", "more tries than allowed", |world| {
        for _ in 0..5 {
            world.insert(10, json!({ "type": "check_failed" }));
            world.tries().insert(0, Try { typed: Typed::Wrong, asked_at: at(1_900), answer: None });
        }
    });
    must_break("I5", "a right code called wrong", |world| world.tries()[0].typed = Typed::Right);
    must_break("I10", "an acknowledged report that is gone", |world| world.remove("status_sent"));
    must_break("I12", "a reader who saw what is gone", |world| {
        let ghost = json!({ "type": "status_read" });
        world.answers.reads[0].events.push(ghost);
    });
}

#[test]
fn a_broken_journal_of_the_providers_is_found() {
    must_break("I2", "a second request for one attempt", |world| {
        world.requests.push(seen("sms", SMS, 1_100));
    });
    must_break("I3", "a request before its intent", |world| world.requests[1].at = at(500));
    must_break("I3", "a request whose intent is gone", |world| {
        let is = |event: &Value| event["type"] == "send_started" && event["message_id"] == SMS;
        world.one().events.retain(|event| !is(event));
        world.count_again();
    });
    must_break("I9", "a request that no timeline shows", |world| {
        world.requests.push(seen("sms", "msg_3", 1_100));
    });
    must_break("I9", "a request to somebody else", |world| world.requests[1].to = "+49153".to_owned());
    must_break("I11", "another code for the same number", |world| {
        world.requests[1].code = "999999".to_owned();
    });
}

#[test]
fn a_broken_log_is_found() {
    let started = json!({ "type": "send_started", "message_id": SMS, "data": { "attempt": 2 } });
    let queued = |occasion: &str| json!({ "type": "message_queued", "message_id": "msg_3", "data": { "step": 1, "occasion": occasion } });
    must_break("I2", "one attempt started twice", |world| {
        let again = json!({ "type": "send_started", "message_id": SMS, "data": { "attempt": 1 } });
        world.insert(8, again);
    });
    must_break("I6", "a send after the end", |world| world.insert(12, started.clone()));
    must_break("I6", "a send after the expiry", |world| {
        world.one().verification["expires_at"] = text(at(900));
    });
    must_break("I7", "one that never ends", |world| {
        world.remove("check_passed");
        world.one().at = at(70_000);
    });
    must_break("I7", "one that ends before its time", |world| {
        world.remove("check_passed");
        world.insert(11, json!({ "type": "expired" }));
    });
    must_break("I7", "an approval after the expiry", |world| {
        world.one().verification["expires_at"] = text(at(2_500));
    });
    must_break("I8", "a gap in the timeline", |world| world.one().events[3]["seq"] = json!(9));
    must_break("I8", "another version", |world| world.one().verification["version"] = json!(3));
    must_break("I8", "another status", |world| world.one().verification["status"] = json!("expired"));
    must_break("I8", "another state of a message", |world| {
        world.one().verification["messages"][1]["state"] = json!("read");
    });
    must_break("I8", "a message without its event", |world| {
        let messages = world.one().verification["messages"].as_array_mut().unwrap();
        messages.push(json!({ "id": "msg_9", "state": "queued" }));
    });
    must_break("I11", "two messages of one step", |world| world.insert(9, queued("step")));
    must_break("I11", "a resend that nobody asked for", |world| world.insert(9, queued("resend")));
}

/// A world that ends earlier does not contain later requests.
#[test]
fn journals_can_be_cut_at_a_moment() {
    let world = whole();
    let early = world.answers.until(at(2_002));
    assert_eq!((early.created.len(), early.acked.len(), early.reads.len()), (1, 2, 1));
    let tries = &early.tries[VERIFICATION];
    assert!(tries.len() == 1 && tries[0].answer.is_none(), "asked, and not yet answered");
    assert_eq!(world.answers.until(at(-5)).asked.len(), 0);
    assert_eq!(world.answers.promises(), 5);
}
