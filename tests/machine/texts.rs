//! The texts for people: time segments and verdicts in every state, in both languages.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use twotick::language::Language;
use twotick::store::Snapshot;
use twotick::timeline::{Hop, HopKind, Mood, hops, lines, verdict};
use twotick::verification::command::OperatorAct;
use twotick::verification::event::AbandonReason;
use twotick::verification::policy::{Content, OnDoubt};
use twotick::verification::values::ErrorClass::{Recipient, Retry, Sender};
use twotick::verification::values::{
    ChannelName, DeliveryError, ErrorClass, Outcome, ReportStatus, Timestamp,
};
use twotick::verification::{Command, Policy, Readiness};

use crate::story::*;

/// [`policy`] with the content of real WhatsApp and SMS: a template and a text.
fn told_policy() -> Policy {
    told(policy())
}

fn told(mut policy: Policy) -> Policy {
    for step in &mut policy.steps {
        if step.channel.as_str() == WHATSAPP {
            step.content = Content::Template { name: "code".to_owned(), languages: Default::default() };
        }
    }
    policy
}

fn snapshot(story: &Story) -> Snapshot {
    Snapshot { verification: story.verification().clone(), policy: Arc::new(told(story.policy.clone())) }
}

/// Invariants of the texts for any story.
pub fn check(story: &Story) -> Result<(), TestCaseError> {
    let snapshot = snapshot(story);
    let hops = hops(&snapshot, &story.events);
    let mut from = snapshot.verification.created_at;
    for (index, hop) in hops.iter().enumerate() {
        prop_assert_eq!(hop.from, from, "a gap or an overlap in {:?}", &hops);
        match hop.until {
            Some(until) => {
                prop_assert!(until > hop.from, "nothing took no time: {:?}", &hops);
                from = until;
            }
            None => prop_assert_eq!(index + 1, hops.len(), "only the last one goes on: {:?}", &hops),
        }
        prop_assert!(hop.from <= time(story.now) && hop.until.is_none_or(|until| until <= time(story.now)));
    }
    let goes_on = hops.last().is_some_and(|hop| hop.until.is_none());
    prop_assert!(!goes_on || snapshot.verification.is_pending(), "an end ends it: {:?}", &hops);
    for language in Language::ALL {
        let lines = lines(&snapshot, &story.events, language);
        prop_assert_eq!(lines.len(), story.events.len());
        for text in lines.iter().map(|line| &line.text) {
            check_text(text)?;
        }
        let verdict = verdict(&snapshot, &story.events, time(story.now), language, &clock);
        for text in [&verdict.sentence, &verdict.tell_customer, &verdict.to_do] {
            check_text(text)?;
        }
        prop_assert!(!verdict.sentence.contains(". "), "one sentence: {}", verdict.sentence);
    }
    Ok(())
}

/// Complete sentences without remnants of their composition.
fn check_text(text: &str) -> Result<(), TestCaseError> {
    let whole = text.ends_with('.') && text.chars().next().is_some_and(|first| !first.is_whitespace());
    prop_assert!(whole, "{text}");
    for scrap in ["  ", " ,", " .", " ;", "..", "()", ";;", "{", "}", "\n", ";."] {
        prop_assert!(!text.contains(scrap), "`{scrap}` in: {text}");
    }
    Ok(())
}

/// The time of day in UTC.
fn clock(at: Timestamp) -> String {
    at.to_string()[11..19].to_owned()
}

fn begun() -> Story {
    requested_under(told_policy())
}

/// WhatsApp has accepted the message.
fn taken_by_whatsapp() -> Story {
    begun().at(100).started().at(400).given(answered(1, 1, taken(1)))
}

fn delivered() -> Story {
    taken_by_whatsapp()
        .at(1_400)
        .given(report(1, ReportStatus::Sent))
        .at(3_100)
        .given(report(1, ReportStatus::Delivered))
}

/// The deadline has passed, and an SMS is queued.
fn fallen_back() -> Story {
    taken_by_whatsapp().at(1_400).given(report(1, ReportStatus::Sent)).at(DEADLINE).given(tick())
}

fn taken_by_carrier() -> Story {
    fallen_back().at(DEADLINE + 100).started().at(DEADLINE + 300).given(answered(2, 1, taken(2)))
}

fn delivered_by_sms() -> Story {
    taken_by_carrier().at(DEADLINE + 4_100).given(report(2, ReportStatus::Delivered))
}

fn given_up() -> Story {
    let failed_too = ReportStatus::Failed(carriers_error());
    begun()
        .at(100)
        .started()
        .at(500)
        .given(answered(1, 1, refused(Recipient)))
        .at(600)
        .started()
        .at(900)
        .given(answered(2, 1, taken(2)))
        .at(5_600)
        .given(report(2, failed_too))
}

/// It resembles one of Meta's errors, but is not.
fn carriers_error() -> DeliveryError {
    DeliveryError {
        code: "131042".to_owned(),
        title: "Absent subscriber".to_owned(),
        class: ErrorClass::Fallback,
    }
}

fn error_of(code: &str, class: ErrorClass) -> Outcome {
    let error = DeliveryError { code: code.to_owned(), title: "In the provider's words".to_owned(), class };
    Outcome::Refused { error, retry_after: None }
}

fn answer_lost() -> Outcome {
    Outcome::InDoubt {
        error: DeliveryError {
            code: "no_answer".to_owned(),
            title: "no answer in time".to_owned(),
            class: ErrorClass::InDoubt,
        },
    }
}

/// The end of every scenario of the sandbox, in its order.
fn scenarios() -> Vec<(&'static str, Story)> {
    let read = |story: Story| story.at(8_000).given(report(1, ReportStatus::Read));
    vec![
        ("00 delivered, then read", read(delivered())),
        ("01 sent, never delivered", delivered_by_sms()),
        (
            "02 accepted, then failed",
            taken_by_whatsapp()
                .at(2_100)
                .given(report(1, failed()))
                .at(2_200)
                .started()
                .at(2_400)
                .given(answered(2, 1, taken(2)))
                .at(6_200)
                .given(report(2, ReportStatus::Delivered)),
        ),
        (
            "03 refused at once",
            begun()
                .at(100)
                .started()
                .at(500)
                .given(answered(1, 1, refused(Recipient)))
                .at(600)
                .started()
                .at(900)
                .given(answered(2, 1, taken(2)))
                .at(4_600)
                .given(report(2, ReportStatus::Delivered)),
        ),
        (
            "04 doubled and in the wrong order",
            read(
                taken_by_whatsapp()
                    .at(3_100)
                    .given(report(1, ReportStatus::Delivered))
                    .given(report(1, ReportStatus::Sent))
                    .given(report(1, ReportStatus::Delivered)),
            ),
        ),
        ("05 read without delivered", read(taken_by_whatsapp())),
        (
            "06 delivered after the deadline",
            delivered_by_sms().at(45_100).given(report(1, ReportStatus::Delivered)),
        ),
        (
            "07 two refusals for now",
            begun()
                .at(100)
                .started()
                .at(200)
                .given(answered(1, 1, error_of("131016", Retry)))
                .at(700)
                .started()
                .at(800)
                .given(answered(1, 2, error_of("131016", Retry)))
                .at(1_800)
                .started()
                .at(2_000)
                .given(answered(1, 3, taken(1)))
                .at(4_000)
                .given(report(1, ReportStatus::Delivered)),
        ),
        (
            "08 the answer never arrives",
            begun()
                .at(100)
                .started()
                .at(5_100)
                .given(answered(1, 1, answer_lost()))
                .at(5_200)
                .given(report(1, ReportStatus::Delivered)),
        ),
        ("09 nothing works", given_up()),
        ("10 disowned", delivered().at(20_000).given(disown())),
        (
            "11 two wrong codes, then the correct one",
            read(delivered())
                .at(20_000)
                .given(wrong_code())
                .given(wrong_code())
                .at(25_000)
                .given(right_code()),
        ),
    ]
}

/// Other situations that support meets.
fn cases() -> Vec<(&'static str, Story)> {
    let one_step = || requested_under(told(policy_of(&[(SMS, None)], OnDoubt::ResendOnce)));
    let holding = || requested_under(told(policy_of(&[(SMS, None)], OnDoubt::Hold)));
    let two_carriers = || {
        let steps = [(SMS, Some(DEADLINE)), ("reserve", None)];
        requested_under(told(policy_of(&steps, OnDoubt::ResendOnce)))
    };
    vec![
        ("asked for a moment ago", begun().at(200)),
        ("in the queue for too long", begun().at(20_000)),
        ("the request is under way", begun().at(100).started().at(300)),
        ("on its way by WhatsApp", taken_by_whatsapp().at(5_100)),
        (
            "refused for now",
            begun().at(100).started().at(300).given(answered(1, 1, error_of("130429", Retry))).at(500),
        ),
        ("an SMS is about to go out", fallen_back().at(DEADLINE + 50)),
        ("an SMS is on its way", taken_by_carrier().at(DEADLINE + 20_100)),
        ("an SMS is overdue", taken_by_carrier().at(DEADLINE + 120_100)),
        (
            "not even taken before the deadline",
            begun()
                .at(100)
                .started()
                .at(300)
                .given(answered(1, 1, busy_for(29_000)))
                .at(29_400)
                .started()
                .at(29_500)
                .given(answered(1, 2, error_of("131016", Retry)))
                .ticked(Readiness::Ready)
                .at(31_000),
        ),
        ("held back by WhatsApp", begun().at(100).started().at(300).given(answered(1, 1, held(1))).at(400)),
        (
            "our sender is refused",
            begun()
                .at(100)
                .started()
                .at(300)
                .given(answered(1, 1, error_of("190", Sender)))
                .at(400)
                .started()
                .at(500),
        ),
        (
            "skipped, because the sender was refused",
            begun().at(100).given(tick_when(Readiness::BreakerOpen)).at(200).started().at(400),
        ),
        (
            "every step was skipped",
            begun().at(100).given(tick_when(Readiness::BreakerOpen)).given(tick_when(Readiness::BreakerOpen)),
        ),
        (
            "the answer was lost, WhatsApp first",
            begun()
                .at(100)
                .started()
                .at(5_100)
                .given(answered(1, 1, answer_lost()))
                .at(DEADLINE)
                .given(tick()),
        ),
        (
            "the answer was lost at the last step",
            one_step().at(100).started().at(5_100).given(answered(1, 1, answer_lost())),
        ),
        (
            "the doubt sent it once more",
            one_step()
                .at(100)
                .started()
                .at(5_100)
                .given(answered(1, 1, answer_lost()))
                .at(5_100 + DOUBT_WAIT)
                .given(tick())
                .started()
                .at(21_000)
                .given(answered(2, 1, taken(2)))
                .at(24_100)
                .given(report(2, ReportStatus::Delivered)),
        ),
        (
            "nobody knows, and nothing is sent again",
            holding().at(100).started().at(5_100).given(answered(1, 1, answer_lost())),
        ),
        ("the last step is held back", one_step().at(100).started().at(300).given(answered(1, 1, held(1)))),
        (
            "two carriers",
            two_carriers()
                .at(100)
                .started()
                .at(300)
                .given(answered(1, 1, taken(1)))
                .at(DEADLINE)
                .given(tick())
                .at(31_000),
        ),
        (
            "given up for our set-up's sake",
            begun()
                .at(100)
                .started()
                .at(300)
                .given(answered(1, 1, error_of("132001", ErrorClass::Configuration)))
                .at(400)
                .started()
                .at(500)
                .given(answered(2, 1, error_of("http_403", Sender))),
        ),
        ("a wrong code", delivered().at(20_000).given(wrong_code())),
        ("two wrong codes", delivered().at(20_000).given(wrong_code()).given(wrong_code())),
        ("resent by the app", delivered().at(40_000).given(resend()).at(40_100).started().at(40_300)),
        (
            "resent by hand, by SMS, delivered",
            delivered()
                .at(40_000)
                .given(by_operator(OperatorAct::Resend { channel: Some(ChannelName::new(SMS)) }))
                .at(40_100)
                .started()
                .at(40_300)
                .given(answered(2, 1, taken(2)))
                .at(43_100)
                .given(report(2, ReportStatus::Delivered)),
        ),
        (
            "no more resends",
            delivered_by_sms().at(70_000).given(resend()).started().at(140_000).given(resend()),
        ),
        (
            "the next step by hand",
            taken_by_whatsapp().at(10_000).given(by_operator(OperatorAct::Next)).at(10_100).started(),
        ),
        (
            "the next step by the app",
            taken_by_whatsapp().at(10_000).given(Command::Next).at(10_100).started(),
        ),
        ("canceled by the app", delivered().at(20_000).given(Command::Cancel)),
        ("canceled by hand", delivered().at(20_000).given(by_operator(OperatorAct::Cancel))),
        (
            "looked at, then canceled by the app",
            delivered().at(20_000).given(by_operator(OperatorAct::Reveal)).given(Command::Cancel),
        ),
        (
            "disowned after it was approved",
            delivered().at(20_000).given(right_code()).at(30_000).given(disown()),
        ),
        ("its key was lost", delivered().at(20_000).given(Command::Abandon(AbandonReason::KeyLost))),
        ("its app was removed", delivered().at(20_000).given(Command::Abandon(AbandonReason::AppRemoved))),
        ("forgotten while it was pending", delivered().at(20_000).given(Command::Erase)),
        (
            "a status that nobody knows",
            taken_by_whatsapp().at(1_400).given(report(1, unknown_status())).at(2_000),
        ),
        ("forgotten long after", delivered().at(20_000).given(right_code()).at(90_000).given(Command::Erase)),
        ("expired and not swept yet", delivered().at(EXPIRY)),
    ]
}

type Begin = fn() -> Story;
type Ended = fn(Story) -> Story;

/// Every status combined with every state of the delivery at the end.
fn matrix() -> Vec<(String, Story)> {
    let states: [(&str, Begin); 8] = [
        ("queued", || begun().at(200)),
        ("sending", || begun().at(100).started().at(300)),
        ("in doubt", || begun().at(100).started().at(5_100).given(answered(1, 1, answer_lost())).at(6_000)),
        ("accepted", || taken_by_whatsapp().at(2_000)),
        ("sent", || taken_by_whatsapp().at(1_400).given(report(1, ReportStatus::Sent)).at(2_000)),
        ("delivered", || delivered().at(9_000)),
        ("read", || delivered().at(8_000).given(report(1, ReportStatus::Read)).at(9_000)),
        ("undelivered", || given_up().at(9_000)),
    ];
    let ends: [(&str, Ended); 5] = [
        ("pending", |story| story),
        ("approved", |story| story.given(right_code())),
        ("expired", |story| {
            // Only the expiry is processed, because its due comes first.
            story.at(EXPIRY).given(tick())
        }),
        ("canceled", |story| story.given(Command::Cancel)),
        ("exhausted", |story| (0..MAX_CHECKS).fold(story, |story, _| story.given(wrong_code()))),
    ];
    let mut all = Vec::new();
    for (end, ended) in ends {
        for (state, story) in states {
            all.push((format!("{end}, {state}"), ended(story())));
        }
    }
    all
}

#[test]
fn the_matrix_covers_every_status_and_delivery_state() {
    let met: BTreeSet<_> = matrix()
        .iter()
        .map(|(_, story)| {
            let snapshot = snapshot(story);
            (snapshot.verification.status().as_str(), snapshot.delivery().0.as_str())
        })
        .collect();
    let statuses = ["pending", "approved", "expired", "canceled", "exhausted"];
    let states = ["undelivered", "queued", "sending", "in_doubt", "accepted", "sent", "delivered", "read"];
    for status in statuses {
        for state in states {
            // Queued messages are dropped at the end.
            let possible = status == "pending" || state != "queued";
            assert_eq!(met.contains(&(status, state)), possible, "{status} {state}");
        }
    }
}

/// The texts themselves, for review in `fixtures/told/verdicts.txt`. A change of a text is a change there.
#[test]
fn verdicts_match_the_fixture() {
    let own = |(name, story): (&'static str, Story)| (name.to_owned(), story);
    let all = scenarios().into_iter().map(own).chain(cases().into_iter().map(own)).chain(matrix());
    let mut text = String::new();
    for (name, story) in all {
        check(&story).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        let snapshot = snapshot(&story);
        let tell = |language| verdict(&snapshot, &story.events, time(story.now), language, &clock);
        let verdicts = Language::ALL.map(tell);
        assert_eq!(verdicts[0].mood, verdicts[1].mood);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "## {name} ({:?})", verdicts[0].mood);
        for verdict in verdicts {
            let _ = writeln!(
                text,
                "- {}\n  > {}\n  = {}",
                verdict.sentence, verdict.tell_customer, verdict.to_do
            );
        }
    }
    let written = include_str!("../../fixtures/told/verdicts.txt");
    let (_, written) = written.split_once("\n\n").expect("a head tells what the file is");
    let difference = text.lines().zip(written.lines()).find(|(told, written)| told != written);
    assert!(text == written, "{difference:?}\nall of it, if it should be so:\n{text}");
}

/// The lines, of every kind and in both languages.
#[test]
fn lines_match_the_fixture() {
    let mut told = std::collections::BTreeMap::new();
    for (_, story) in scenarios().into_iter().chain(cases()) {
        let snapshot = snapshot(&story);
        let [english, german] = Language::ALL.map(|language| lines(&snapshot, &story.events, language));
        for (english, german) in english.into_iter().zip(german) {
            assert_eq!((&english.source, &english.data), (&german.source, &german.data));
            told.insert((format!("{:?}", english.kind), english.source, english.text), german.text);
        }
    }
    let mut text = String::new();
    for ((kind, source, english), german) in told {
        let _ = writeln!(text, "{kind} ({source})\n- {english}\n- {german}");
    }
    let written = include_str!("../../fixtures/told/lines.txt");
    let (_, written) = written.split_once("\n\n").expect("a head tells what the file is");
    let difference = text.lines().zip(written.lines()).find(|(told, written)| told != written);
    assert!(text == written, "{difference:?}\nall of it, if it should be so:\n{text}");
}

#[test]
fn wrong_codes_after_the_approval_are_not_counted_before_it() {
    let sentence = |story: &Story| {
        verdict(&snapshot(story), &story.events, time(story.now), Language::English, &clock).sentence
    };
    let story = delivered().at(9_000).given(wrong_code()).given(right_code());
    let before = sentence(&story);
    assert!(before.contains("a wrong code was entered once, then the correct one"), "{before}");
    assert_eq!(sentence(&story.given(wrong_code())), before);
}

#[test]
fn manual_actions_have_the_source_operator() {
    let sources = |story: &Story| -> Vec<String> {
        let lines = lines(&snapshot(story), &story.events, Language::English);
        lines.into_iter().map(|line| line.source).collect()
    };
    let resent = delivered().at(40_000).given(by_operator(OperatorAct::Resend { channel: None }));
    assert_eq!(sources(&resent)[6..], ["operator", "operator", "twotick"]);
    let next = taken_by_whatsapp().at(10_000).given(by_operator(OperatorAct::Next));
    assert_eq!(sources(&next)[4..], ["operator", "operator", "twotick"]);
    let canceled = delivered().at(20_000).given(by_operator(OperatorAct::Cancel));
    assert_eq!(sources(&canceled)[6..], ["operator", "operator"]);
    let looked = delivered().at(20_000).given(by_operator(OperatorAct::Reveal)).given(Command::Cancel);
    assert_eq!(sources(&looked)[6..], ["operator", "app"]);
}

#[test]
fn time_segments_are_attributed_correctly() {
    let hop = |kind, channel: &str, from, until: Option<i64>| Hop {
        kind,
        channel: Some(ChannelName::new(channel)),
        from: time(from),
        until: until.map(time),
    };
    let found = |story: &Story| hops(&snapshot(story), &story.events);
    let rescued = delivered_by_sms();
    assert_eq!(
        found(&rescued),
        [
            hop(HopKind::Queue, WHATSAPP, 0, Some(100)),
            hop(HopKind::Provider, WHATSAPP, 100, Some(400)),
            hop(HopKind::Deadline, WHATSAPP, 400, Some(30_000)),
            hop(HopKind::Queue, SMS, 30_000, Some(30_100)),
            hop(HopKind::Provider, SMS, 30_100, Some(30_300)),
            hop(HopKind::Carrier, SMS, 30_300, Some(34_100)),
        ]
    );
    // The segment is reclassified once the deadline has passed.
    assert_eq!(found(&taken_by_whatsapp())[2..], [hop(HopKind::Delivery, WHATSAPP, 400, None)]);
    assert_eq!(found(&taken_by_whatsapp())[2].lasted(time(1_000)), Duration::from_millis(600));
    assert_eq!(found(&delivered())[2..], [hop(HopKind::Delivery, WHATSAPP, 400, Some(3_100))]);
    let canceled = taken_by_whatsapp().at(5_000).given(Command::Cancel);
    assert_eq!(found(&canceled)[2..], [hop(HopKind::Delivery, WHATSAPP, 400, Some(5_000))]);
    let resent = delivered().at(40_000).given(resend()).at(40_100).started();
    assert_eq!(
        found(&resent)[3..],
        [
            Hop { kind: HopKind::Customer, channel: None, from: time(3_100), until: Some(time(40_000)) },
            hop(HopKind::Queue, WHATSAPP, 40_000, Some(40_100)),
            hop(HopKind::Provider, WHATSAPP, 40_100, None),
        ]
    );
    assert_eq!(
        found(&given_up()).last().map(|hop| (hop.kind, hop.until)),
        Some((HopKind::Carrier, Some(time(5_600))))
    );
    assert!(hops(&snapshot(&rescued), &[]).is_empty());
}

#[test]
fn the_mood_shows_whether_action_is_needed() {
    let mood = |story: Story, after: i64| {
        let now = time(story.now + after);
        verdict(&snapshot(&story), &story.events, now, Language::English, &clock).mood
    };
    assert_eq!(mood(begun(), 14_000), Mood::Waiting);
    assert_eq!(mood(begun(), 16_000), Mood::Trouble);
    assert_eq!(mood(taken_by_carrier(), 59_000), Mood::Waiting);
    assert_eq!(mood(taken_by_carrier(), 61_000), Mood::Trouble);
    assert_eq!(mood(taken_by_carrier(), EXPIRY), Mood::Over);
    assert_eq!(mood(delivered(), 1_000), Mood::Good);
    assert_eq!(mood(given_up(), 1_000), Mood::Trouble);
}
