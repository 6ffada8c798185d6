//! What follows from what: one case or more for each rule of the machine.

use twotick::verification::event::FallbackReason::{Deadline, Failed, InDoubt, Refused, Requested};
use twotick::verification::event::Occasion;
use twotick::verification::policy::OnDoubt;
use twotick::verification::state::{
    Ending, Phase, Progress, REPLIES_KEPT, STALE_REPORTS_KEPT, Stage, StepLeft,
};
use twotick::verification::values::ErrorClass::{self, Configuration, Fallback, Recipient, Retry, Sender};
use twotick::verification::values::ReportStatus::{Delivered, Read, Sent};
use twotick::verification::{Command, Effect, Event, Fact, Jitter, Readiness, Rejection, due, effect};

use crate::story::*;

// Requested, and the first step.

#[test]
fn a_request_queues_the_first_step_and_is_due_now() {
    let story = requested();
    let facts: Vec<_> = story.facts().cloned().collect();
    assert_eq!(
        facts,
        [
            Fact::Requested { request: request(&policy()), expires_at: time(EXPIRY) },
            queued(1, 0, WHATSAPP, Some(DEADLINE)),
        ]
    );
    assert_eq!(due(&story.state).map(|(at, _)| at), Some(time(0)));
}

// Back after an outage.

#[test]
fn a_message_that_waited_past_the_expiry_is_expired_and_not_sent() {
    requested().at(EXPIRY).when(tick()).then([Fact::Expired]).when(tick()).then_nothing();
}

#[test]
fn a_message_that_waited_past_its_deadline_falls_back_and_is_not_sent() {
    let story = requested()
        .at(DEADLINE + 5_000)
        .when(tick())
        .then([fell_back(1, 1, Deadline), queued(2, 1, SMS, None)]);
    assert_eq!(story.message(1).progress, Progress::Dropped);
    story.when(tick()).then([send_started(2, 1)]).when(tick()).then_nothing();
}

#[test]
fn a_doubt_that_outlived_the_code_is_not_resolved_by_another_message() {
    requested_under(policy_of(&[(SMS, None)], OnDoubt::ResendOnce))
        .at(EXPIRY - 1)
        .started()
        .given(answered(1, 1, lost()))
        .at(EXPIRY + DOUBT_WAIT)
        .when(tick())
        .then([Fact::Expired]);
}

#[test]
fn an_attempt_without_an_answer_is_settled_while_another_message_is_throttled() {
    let answer_limit = 120_000;
    requested()
        .started()
        .at(DEADLINE)
        .when(tick_when(Readiness::Throttled))
        .then([fell_back(1, 1, Deadline), queued(2, 1, SMS, None)])
        .when(tick_when(Readiness::Throttled))
        .then_nothing()
        .at(answer_limit)
        .when(tick_when(Readiness::Throttled))
        .then([interrupted(1, 1, None)])
        .when(tick_when(Readiness::Throttled))
        .then_nothing();
}

#[test]
fn an_attempt_that_never_got_an_answer_leaves_a_younger_one_alone() {
    let answer_limit = 120_000;
    requested()
        .started()
        .at(DEADLINE)
        .given(tick())
        .at(answer_limit - 1)
        .started()
        .at(answer_limit)
        .when(tick())
        .then([interrupted(1, 1, None)])
        .when(answered(2, 1, taken(2)))
        .then([send_accepted(2, 1)]);
}

// The channel's breaker is open.

#[test]
fn a_skipped_step_after_something_was_delivered_starts_no_other_and_gives_nothing_up() {
    let story = requested()
        .accepted()
        .at(DEADLINE)
        .given(tick())
        .given(report(1, Delivered))
        .when(tick_when(Readiness::BreakerOpen))
        .then([step_skipped(2)]);
    assert_eq!(story.verification().phase, Phase::Pending(Stage::Delivered));
    assert_eq!(story.message(2).progress, Progress::Dropped);
}

// A report overtakes the answer to the request.

#[test]
fn a_refusal_after_a_report_that_it_was_sent_changes_nothing() {
    let story = requested()
        .started()
        .given(report(1, Sent))
        .when(answered(1, 1, refused(Fallback)))
        .then([send_refused(1, 1, Fallback, None)]);
    assert_eq!(story.message(1).progress, Progress::Sent);
    assert_eq!(story.verification().fallback_at(), Some(time(DEADLINE)));
}

#[test]
fn a_doubt_after_a_report_that_it_was_sent_announces_no_second_message() {
    let story = requested_under(policy_of(&[(SMS, None)], OnDoubt::ResendOnce))
        .started()
        .given(report_by(SMS, 1, Sent))
        .when(answered(1, 1, lost()))
        .then([send_in_doubt(1, 1, None)]);
    assert_eq!(story.message(1).progress, Progress::Sent);
}

#[test]
fn a_hold_after_a_report_that_it_was_sent_changes_nothing() {
    requested().started().given(report(1, Sent)).when(answered(1, 1, held(1))).then([send_accepted(1, 1)]);
}

// At the instant of the expiry, before its tick.

#[test]
fn a_failure_at_the_expiry_queues_nothing_more() {
    let late = requested().accepted().at(EXPIRY - 1).given(resend()).started().at(EXPIRY);
    late.clone().when(report_by(WHATSAPP, 2, failed())).then([applied(2, failed())]);
    late.when(answered(2, 1, refused(Recipient))).then([send_refused(2, 1, Recipient, None)]);
}

#[test]
fn what_is_asked_at_the_expiry_finds_the_verification_expired() {
    let story = requested().accepted().at(EXPIRY);
    let story = story.when(Command::Cancel).then_refused(Rejection::NotPending(Ending::Expired));
    let story = story.when(Command::Next).then_refused(Rejection::NotPending(Ending::Expired));
    let story = story.when(resend()).then_refused(Rejection::NotPending(Ending::Expired));
    story.clone().when(right_code()).then([Fact::Expired]);
    story.clone().when(wrong_code()).then([Fact::Expired]);
    story.when(disown()).then([code_disowned(), Fact::Expired]);
}

// Refused for now.

#[test]
fn a_retry_waits_as_long_as_the_provider_wishes_but_never_less_than_our_own_wait() {
    let story = requested()
        .started()
        .when(answered(1, 1, busy_for(2_000)))
        .then([send_refused(1, 1, Retry, Some(2_000))])
        .at(2_000)
        .started()
        .when(answered(1, 2, busy_for(0)))
        .then([send_refused(1, 2, Retry, Some(3_000))]);
    assert_eq!(due(&story.state).map(|(at, _)| at), Some(time(3_000)));
}

// The end.

#[test]
fn what_is_queued_when_it_ends_is_dropped_even_if_it_was_tried_before() {
    let story = requested().started().given(answered(1, 1, refused(Retry)));
    for (command, ending) in [(right_code(), Ending::Approved), (Command::Cancel, Ending::Canceled)] {
        let ended = story.clone().given(command);
        assert_eq!((ended.ending(), ended.message(1).progress), (Some(ending), Progress::Dropped));
        ended.at(EXPIRY).when(tick()).then_nothing();
    }
}

#[test]
fn a_resend_whose_deadline_would_come_after_the_expiry_announces_no_fallback() {
    let story = requested().accepted().at(EXPIRY - DEADLINE).given(resend());
    assert_eq!(story.verification().fallback_at(), None);
    let story = requested().accepted().at(EXPIRY - DEADLINE - 1).given(resend());
    assert_eq!(story.verification().fallback_at(), Some(time(EXPIRY - 1)));
}
