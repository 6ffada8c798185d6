//! The rules of the machine, with one case or more each, in the order of its table.

use std::collections::BTreeSet;

use twotick::verification::due::{READ_WAIT, REPORT_WAIT, due_of, due_while_throttled, settles_at};
use twotick::verification::event::FallbackReason::{Deadline, Failed, InDoubt, Refused, Requested};
use twotick::verification::event::{AbandonReason, Aim, Occasion, Standing};
use twotick::verification::policy::OnDoubt;
use twotick::verification::state::{
    ALIASES_KEPT, Ending, Phase, Progress, REPLIES_KEPT, STALE_REPORTS_KEPT, Stage, StepLeft,
};
use twotick::verification::values::ErrorClass::{Configuration, Fallback, Recipient, Retry, Sender};
use twotick::verification::values::ReportStatus::{Delivered, Read, Sent};
use twotick::verification::values::{
    ChannelName, KnownAs, NumberIndex, NumberTail, Report, ReportStatus, Runner,
};
use twotick::verification::{
    Command, Effect, Event, Fact, Jitter, Policy, Readiness, Rejection, State, Why, due, effect,
};

use crate::story::*;

/// SMS only, which is the last step from the start.
fn by_sms_alone(on_doubt: OnDoubt) -> Story {
    requested_under(policy_of(&[(SMS, None)], on_doubt))
}

/// WhatsApp missed the deadline, and the SMS is queued.
fn fallen_back() -> Story {
    requested().accepted().at(DEADLINE).given(tick())
}

// requested
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

#[test]
fn a_second_request_with_the_same_id_is_refused_and_other_commands_need_a_first() {
    requested().when(Command::Request(request(&policy()))).then_refused(Rejection::AlreadyRequested);
    for command in [tick(), report(1, Sent), right_code(), resend(), Command::Next, Command::Cancel, disown()]
    {
        let nothing = Story { policy: policy(), events: Vec::new(), state: State::New, now: 0 };
        nothing.when(command).then_refused(Rejection::Unknown);
    }
}

// tick, message queued, channel ready

#[test]
fn a_queued_message_starts_once_and_the_intent_asks_for_one_request() {
    let story = requested().when(tick()).then([send_started(1, 1)]).when(tick()).then_nothing();
    let effects: Vec<_> = story.events.iter().filter_map(effect).collect();
    assert_eq!(effects, [Effect::Submit { message: ordinal(1), attempt: 1 }]);
}

#[test]
fn a_throttled_channel_starts_nothing_and_the_deadline_still_comes() {
    let story = requested().when(tick_when(Readiness::Throttled)).then_nothing();
    assert_eq!(due_while_throttled(&story.state), Some((time(DEADLINE), Why::Deadline)));
    let story = story
        .at(DEADLINE)
        .when(tick_when(Readiness::Throttled))
        .then([fell_back(1, 1, Deadline), queued(2, 1, SMS, None)]);
    assert_eq!(due_while_throttled(&story.state), Some((time(EXPIRY), Why::Expiry)));
}

// accepted

#[test]
fn accepted_records_the_providers_message_id() {
    let story = requested().started().at(250).when(answered(1, 1, taken(1))).then([send_accepted(1, 1)]);
    let message = story.message(1);
    assert_eq!((message.progress, message.accepted_at), (Progress::Accepted, Some(time(250))));
    assert_eq!(message.provider_ref, Some(reference(1)));
}

#[test]
fn an_outcome_counts_once_and_only_for_the_attempt_in_progress() {
    let story = requested().accepted().when(answered(1, 1, taken(1))).then_nothing();
    let story = story.when(answered(1, 1, refused(Fallback))).then_nothing();
    let story = story.when(answered(1, 2, refused(Fallback))).then_nothing();
    story.when(answered(2, 1, taken(2))).then_refused(Rejection::UnknownMessage);
    let tried_again = requested().started().given(answered(1, 1, refused(Retry))).at(500).started();
    tried_again
        .when(answered(1, 1, taken(1)))
        .then_nothing()
        .when(answered(1, 2, taken(1)))
        .then([send_accepted(1, 2)]);
}

#[test]
fn accepted_after_the_end_is_recorded() {
    let story = requested().started().given(Command::Cancel);
    story.when(answered(1, 1, taken(1))).then([send_accepted(1, 1)]);
}

#[test]
fn held_by_the_provider_falls_back_at_once() {
    let story = requested().started().when(answered(1, 1, held(1))).then([
        send_accepted(1, 1),
        fell_back(1, 1, Refused),
        queued(2, 1, SMS, None),
    ]);
    assert_eq!(story.message(1).progress, Progress::Accepted);
    let late = story.given(report(1, Delivered));
    assert!(late.message(1).late);
}

#[test]
fn held_on_the_last_step_gives_up() {
    by_sms_alone(OnDoubt::ResendOnce)
        .started()
        .when(answered(1, 1, held(1)))
        .then([send_accepted(1, 1), Fact::GaveUp]);
}

// refused, class retry
#[test]
fn a_retry_follows_retry_after_but_waits_at_least_half_a_second() {
    let story = requested()
        .started()
        .when(answered(1, 1, busy_for(2_000)))
        .then([send_refused(1, 1, Retry, Some(2_000))])
        .at(2_000)
        .started()
        .when(answered(1, 2, busy_for(0)))
        .then([send_refused(1, 2, Retry, Some(2_500))]);
    assert_eq!(due(&story.state).map(|(at, _)| at), Some(time(2_500)));
}

#[test]
fn each_retry_waits_twice_as_long_until_the_deadline_would_pass() {
    let mut story = requested();
    for (attempt, retry_at) in [(1, 500), (2, 1_500), (3, 3_500), (4, 7_500), (5, 15_500)] {
        story = story
            .when(tick())
            .then([send_started(1, attempt)])
            .when(answered(1, attempt, refused(Retry)))
            .then([send_refused(1, attempt, Retry, Some(retry_at))])
            .when(tick())
            .then_nothing()
            .at(retry_at - 1)
            .when(tick())
            .then_nothing()
            .at(retry_at);
    }
    let story = story.started().when(answered(1, 6, refused(Retry))).then([
        send_refused(1, 6, Retry, None),
        fell_back(1, 1, Refused),
        queued(2, 1, SMS, None),
    ]);
    assert_eq!(story.message(1).progress, Progress::Failed);
}

#[test]
fn jitter_takes_up_to_a_fifth_off_the_wait() {
    for (jitter, retry_at) in [(0, 500), (500, 450), (1_000, 400), (u16::MAX, 400)] {
        let jitter = Jitter::thousandths(jitter);
        let outcome = refused(Retry);
        requested()
            .started()
            .when(Command::SendReported {
                message: ordinal(1),
                attempt: 1,
                outcome,
                aliases: Vec::new(),
                jitter,
            })
            .then([send_refused(1, 1, Retry, Some(retry_at))]);
    }
}

#[test]
fn a_retry_just_before_the_deadline_waits_and_one_at_or_after_it_falls_back_now() {
    let story = requested().started().at(1_000);
    story.clone().when(answered(1, 1, busy_for(DEADLINE - 1_001))).then([send_refused(
        1,
        1,
        Retry,
        Some(DEADLINE - 1),
    )]);
    for wish in [DEADLINE - 1_000, DEADLINE, 3_600_000] {
        story.clone().when(answered(1, 1, busy_for(wish))).then([
            send_refused(1, 1, Retry, None),
            fell_back(1, 1, Refused),
            queued(2, 1, SMS, None),
        ]);
    }
}

#[test]
fn a_retry_of_the_last_step_may_wait_until_the_expiry_and_no_longer() {
    let story = fallen_back().started();
    let left = EXPIRY - DEADLINE;
    story.clone().when(answered(2, 1, busy_for(left - 1))).then([send_refused(
        2,
        1,
        Retry,
        Some(EXPIRY - 1),
    )]);
    story.when(answered(2, 1, busy_for(left))).then([send_refused(2, 1, Retry, None), Fact::GaveUp]);
}

#[test]
fn a_message_waiting_for_a_retry_falls_back_at_the_deadline() {
    let story = requested()
        .started()
        .given(answered(1, 1, busy_for(DEADLINE - 1)))
        .at(DEADLINE)
        .when(tick())
        .then([fell_back(1, 1, Deadline), queued(2, 1, SMS, None)]);
    assert_eq!(
        (story.message(1).progress, story.message(1).failed_at),
        (Progress::Failed, Some(time(DEADLINE)))
    );
    story.when(tick()).then([send_started(2, 1)]).when(tick()).then_nothing();
}

#[test]
fn a_retry_refused_after_falling_back_is_not_tried_again() {
    let story = requested().started().at(DEADLINE).given(tick());
    let story = story.when(answered(1, 1, refused(Retry))).then([send_refused(1, 1, Retry, None)]);
    assert_eq!(story.message(1).progress, Progress::Failed);
}

#[test]
fn a_retry_refused_after_the_end_is_not_tried_again() {
    let story = requested().started().given(right_code());
    story.when(answered(1, 1, refused(Retry))).then([send_refused(1, 1, Retry, None)]);
}

// refused for good

#[test]
fn a_final_refusal_falls_back_and_a_configuration_error_raises_an_alert() {
    for (class, alerts) in [(Recipient, 0), (Fallback, 0), (Configuration, 1), (Sender, 1)] {
        let story = requested().started().at(100).when(answered(1, 1, refused(class))).then([
            send_refused(1, 1, class, None),
            fell_back(1, 1, Refused),
            queued(2, 1, SMS, None),
        ]);
        assert_eq!(story.message(1).progress, Progress::Failed);
        assert_eq!(story.message(1).error, Some(error(class)));
        let effects = story.events.iter().filter_map(effect);
        assert_eq!(
            effects.filter(|effect| matches!(effect, Effect::Alert { .. })).count(),
            alerts,
            "{class:?}"
        );
    }
}

#[test]
fn a_reported_configuration_failure_raises_one_alert() {
    let failure = ReportStatus::Failed(error(Configuration));
    let story = requested().accepted().given(report(1, failure.clone())).given(report(1, failure));
    let alerts =
        story.events.iter().filter_map(effect).filter(|effect| matches!(effect, Effect::Alert { .. }));
    assert_eq!(alerts.count(), 1);
}

#[test]
fn an_open_breaker_skips_the_step() {
    let story =
        requested().when(tick_when(Readiness::BreakerOpen)).then([step_skipped(1), queued(2, 1, SMS, None)]);
    assert_eq!(story.message(1).progress, Progress::Dropped);
    story.when(tick()).then([send_started(2, 1)]);
}

#[test]
fn an_open_breaker_on_the_last_step_gives_up() {
    let story = fallen_back().when(tick_when(Readiness::BreakerOpen)).then([step_skipped(2), Fact::GaveUp]);
    assert_eq!(story.verification().phase, Phase::Pending(Stage::GaveUp));
    story.when(tick()).then_nothing().when(right_code()).then([Fact::CheckPassed]);
}

#[test]
fn a_skipped_step_after_a_delivery_starts_no_other_step() {
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

// in doubt

#[test]
fn a_doubt_on_a_step_that_is_not_the_last_waits_for_its_deadline() {
    let story =
        requested().started().at(10_000).when(answered(1, 1, lost())).then([send_in_doubt(1, 1, None)]);
    assert_eq!(story.message(1).progress, Progress::InDoubt { settle_by: None });
    let story = story.when(tick()).then_nothing().at(DEADLINE - 1).when(tick()).then_nothing();
    story.at(DEADLINE).when(tick()).then([fell_back(1, 1, InDoubt), queued(2, 1, SMS, None)]);
}

#[test]
fn a_doubt_on_the_last_step_resends_after_its_wait() {
    let story = by_sms_alone(OnDoubt::ResendOnce)
        .started()
        .at(1_000)
        .when(answered(1, 1, lost()))
        .then([send_in_doubt(1, 1, Some(1_000 + DOUBT_WAIT))])
        .at(999 + DOUBT_WAIT)
        .when(tick())
        .then_nothing()
        .at(1_000 + DOUBT_WAIT)
        .when(tick())
        .then([fell_back(1, 0, InDoubt), queued_as(Occasion::Doubt, 2, 0, SMS, None)])
        .when(tick())
        .then([send_started(2, 1)]);
    let first_was_there = story.given(report_by(SMS, 1, Delivered));
    assert!(first_was_there.message(1).late);
}

#[test]
fn a_resend_in_doubt_is_not_sent_a_third_time() {
    by_sms_alone(OnDoubt::ResendOnce)
        .started()
        .given(answered(1, 1, lost()))
        .at(DOUBT_WAIT)
        .given(tick())
        .started()
        .when(answered(2, 1, lost()))
        .then([send_in_doubt(2, 1, None)])
        .at(EXPIRY - 1)
        .when(tick())
        .then_nothing()
        .at(EXPIRY)
        .when(tick())
        .then([Fact::Expired]);
}

#[test]
fn a_doubt_on_the_last_step_stays_if_the_policy_is_hold() {
    by_sms_alone(OnDoubt::Hold)
        .started()
        .when(answered(1, 1, lost()))
        .then([send_in_doubt(1, 1, None)])
        .at(EXPIRY - 1)
        .when(tick())
        .then_nothing();
}

#[test]
fn any_report_settles_a_doubt() {
    let doubt = by_sms_alone(OnDoubt::ResendOnce).started().given(answered(1, 1, lost()));
    for (status, progress) in
        [(Sent, Progress::Sent), (Delivered, Progress::Delivered), (Read, Progress::Read)]
    {
        let story = doubt.clone().when(report_by(SMS, 1, status.clone())).then([applied(1, status)]);
        assert_eq!((story.message(1).progress, &story.message(1).error), (progress, &None));
        story.at(DOUBT_WAIT).when(tick()).then_nothing();
    }
    doubt.when(report_by(SMS, 1, failed())).then([applied(1, failed()), Fact::GaveUp]);
}

#[test]
fn attempts_in_progress_at_a_crash_are_in_doubt() {
    let story = requested().started().at(5_000).when(interrupt()).then([interrupted(1, 1, None)]);
    let story = story.when(interrupt()).then_nothing().when(answered(1, 1, taken(1))).then_nothing();
    story.at(DEADLINE).when(tick()).then([fell_back(1, 1, InDoubt), queued(2, 1, SMS, None)]);

    let last = fallen_back().started().at(DEADLINE + 10);
    let settle_by = DEADLINE + 10 + DOUBT_WAIT;
    last.when(interrupt()).then([interrupted(2, 1, Some(settle_by))]);
}

#[test]
fn only_the_attempts_of_a_runner_that_is_gone_are_interrupted() {
    let other = Runner(RUNNER.0 + 1);
    let started = |runner| Fact::SendStarted { message: ordinal(2), attempt: 1, runner };
    let gone = |gone| Command::Interrupt { gone };
    // The first message was started by one runner, the second by another one.
    let story = requested()
        .started()
        .at(DEADLINE)
        .given(tick())
        .when(Command::Tick { readiness: Readiness::Ready, runner: other })
        .then([started(other)]);
    assert_eq!(story.verification().runners(), BTreeSet::from([RUNNER, other]));
    let story = story.when(gone(Runner(RUNNER.0 - 1))).then_nothing();
    let story = story.when(gone(RUNNER)).then([interrupted(1, 1, None)]);
    assert_eq!(story.verification().runners(), BTreeSet::from([other]));
    let story = story.when(gone(RUNNER)).then_nothing().when(answered(2, 1, taken(2)));
    let story = story.then([send_accepted(2, 1)]).when(gone(other)).then_nothing();
    assert!(story.verification().runners().is_empty());
}

#[test]
fn an_attempt_of_a_runner_that_lives_is_interrupted_after_the_answer_limit() {
    let story = requested().started().when(Command::Interrupt { gone: Runner(1) }).then_nothing();
    let message = story.message(1).open_attempt.expect("the request is in progress");
    assert_eq!((message.started_at, message.runner), (time(0), RUNNER));
    let later = Command::Tick { readiness: Readiness::Ready, runner: Runner(RUNNER.0 + 1) };
    let due = DEADLINE;
    let story = story.at(due).given(later.clone()).at(119_999).given(later.clone());
    story.at(120_000).when(later).then([interrupted(1, 1, None)]);
}

#[test]
fn a_crash_does_not_affect_answered_or_queued_messages() {
    requested().when(interrupt()).then_nothing().accepted().when(interrupt()).then_nothing();
}

#[test]
fn an_unanswered_attempt_does_not_affect_a_later_one() {
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

// a report of a higher rank

#[test]
fn reports_move_a_message_up() {
    let story = requested()
        .accepted()
        .at(300)
        .when(report(1, Sent))
        .then([applied(1, Sent)])
        .at(900)
        .when(report(1, Delivered))
        .then([applied(1, Delivered)])
        .at(4_000)
        .when(report(1, Read))
        .then([applied(1, Read)]);
    let message = story.message(1);
    assert_eq!(message.progress, Progress::Read);
    assert_eq!(
        (message.sent_at, message.delivered_at, message.read_at),
        (Some(time(300)), Some(time(900)), Some(time(4_000)))
    );
    assert_eq!(story.verification().delivered_by, Some(ChannelName::new(WHATSAPP)));
    story.at(DEADLINE).when(tick()).then_nothing();
}

#[test]
fn read_without_delivered_implies_it() {
    let story = requested().accepted().at(700).when(report(1, Read)).then([applied(1, Read)]);
    assert_eq!(story.message(1).delivered_at, Some(time(700)));
    assert_eq!(story.verification().delivered_by, Some(ChannelName::new(WHATSAPP)));
    let story = story.at(800).when(report(1, Delivered)).then([stale(1, Delivered)]);
    story.at(DEADLINE).when(tick()).then_nothing();
}

#[test]
fn delivered_outlives_an_earlier_failure() {
    let story = requested().accepted().given(report(1, failed())).at(2_000);
    let story = story.when(report(1, Delivered)).then([applied(1, Delivered)]);
    let message = story.message(1);
    assert_eq!((message.progress, message.failed_at, &message.error), (Progress::Delivered, None, &None));
    assert!(message.late, "its step had fallen back by the failure");
}

#[test]
fn delivered_outlives_that_all_was_given_up() {
    let story = fallen_back().accepted().given(report(2, failed()));
    assert_eq!(story.verification().phase, Phase::Pending(Stage::GaveUp));
    let story = story.when(report(2, Delivered)).then([applied(2, Delivered)]);
    assert_eq!(story.verification().phase, Phase::Pending(Stage::Delivered));
    assert!(!story.message(2).late, "nothing came after the last step");
}

#[test]
fn a_report_before_the_response_counts_and_the_response_adds_the_reference() {
    let story = requested().started().when(report(1, Delivered)).then([applied(1, Delivered)]);
    let story = story.when(answered(1, 1, taken(1))).then([send_accepted(1, 1)]);
    assert_eq!(story.message(1).progress, Progress::Delivered);
    assert_eq!(story.message(1).provider_ref, Some(reference(1)));
}

#[test]
fn a_report_adds_the_reference_if_the_response_was_lost() {
    let report = Report {
        status: Sent,
        reported_at: Some(time(90)),
        provider_ref: Some(reference(9)),
        reference: None,
        aliases: Vec::new(),
    };
    let command =
        Command::Report { message: ordinal(1), channel: ChannelName::new(WHATSAPP), report: report.clone() };
    let story =
        requested().started().given(answered(1, 1, lost())).when(command.clone()).then([Fact::Reported {
            message: ordinal(1),
            status: Sent,
            standing: Standing::Applied,
            reported_at: Some(time(90)),
            provider_ref: Some(reference(9)),
            aliases: Vec::new(),
        }]);
    assert_eq!(story.message(1).provider_ref, Some(reference(9)));
    let story = story.given(command);
    assert!(matches!(
        story.facts().last(),
        Some(Fact::Reported { provider_ref: None, standing: Standing::Stale, .. })
    ));
}

#[test]
fn an_unknown_status_is_recorded_and_changes_nothing() {
    let story = requested().accepted();
    let before = (story.message(1).progress, story.verification().phase);
    let story = story.when(report(1, unknown_status())).then([stale(1, unknown_status())]);
    assert_eq!((story.message(1).progress, story.verification().phase), before);
    let story = story
        .given(report(1, Delivered))
        .when(report(1, unknown_status()))
        .then([stale(1, unknown_status())]);
    assert_eq!(story.message(1).progress, Progress::Delivered);
    let flooded = (0..100).fold(requested().accepted(), |story, _| story.given(report(1, unknown_status())));
    assert_eq!(
        usize::from(flooded.message(1).stale_reports),
        20,
        "the first 20 of a message stand in the timeline"
    );
}

#[test]
fn a_message_accepted_without_an_id_is_not_resent_and_gets_the_id_later() {
    let only_sms = || requested_under(policy_of(&[(SMS, None)], OnDoubt::ResendOnce)).started();
    let story = only_sms().when(answered(1, 1, taken_nameless())).then([Fact::SendAccepted {
        message: ordinal(1),
        attempt: 1,
        provider_ref: None,
        aliases: Vec::new(),
    }]);
    assert_eq!((story.message(1).progress, &story.message(1).provider_ref), (Progress::Accepted, &None));
    let story = story.at(60_000).when(tick()).then_nothing();
    let named = Report {
        status: Sent,
        reported_at: None,
        provider_ref: Some(reference(7)),
        reference: None,
        aliases: Vec::new(),
    };
    let command = Command::Report { message: ordinal(1), channel: ChannelName::new(SMS), report: named };
    assert_eq!(story.given(command.clone()).message(1).provider_ref, Some(reference(7)));
    // The report named the message before the response, which must not undo this.
    let early = only_sms().given(command).given(answered(1, 1, taken_nameless()));
    assert_eq!(early.message(1).provider_ref, Some(reference(7)));
}

#[test]
fn a_report_of_no_message_of_this_channel_is_refused() {
    let story = requested().accepted();
    let story = story.when(report(2, Sent)).then_refused(Rejection::UnknownMessage);
    story.when(report_by(SMS, 1, Sent)).then_refused(Rejection::UnknownMessage);
}

#[test]
fn a_refusal_after_a_sent_report_changes_nothing() {
    let story = requested()
        .started()
        .given(report(1, Sent))
        .when(answered(1, 1, refused(Fallback)))
        .then([send_refused(1, 1, Fallback, None)]);
    assert_eq!(story.message(1).progress, Progress::Sent);
    assert_eq!(story.verification().fallback_at(), Some(time(DEADLINE)));
}

#[test]
fn a_doubt_after_a_sent_report_announces_no_second_message() {
    let story = requested_under(policy_of(&[(SMS, None)], OnDoubt::ResendOnce))
        .started()
        .given(report_by(SMS, 1, Sent))
        .when(answered(1, 1, lost()))
        .then([send_in_doubt(1, 1, None)]);
    assert_eq!(story.message(1).progress, Progress::Sent);
}

#[test]
fn a_hold_after_a_sent_report_changes_nothing() {
    requested().started().given(report(1, Sent)).when(answered(1, 1, held(1))).then([send_accepted(1, 1)]);
}

// a report of the same or a lower rank, or a duplicate

#[test]
fn a_report_of_no_higher_rank_is_recorded_and_changes_nothing() {
    for (reports, late_one) in [
        (vec![Sent], Sent),
        (vec![Delivered], Sent),
        (vec![Delivered], Delivered),
        (vec![Delivered], failed()),
        (vec![Read], Sent),
        (vec![Read], Delivered),
        (vec![Read], Read),
        (vec![Read], failed()),
        (vec![failed()], failed()),
        (vec![failed()], Sent),
    ] {
        let story = reports
            .iter()
            .fold(requested().accepted(), |story, status| story.given(report(1, status.clone())));
        let before = story.verification().clone();
        let story = story.at(1_000).when(report(1, late_one.clone())).then([stale(1, late_one)]);
        let mut after = story.verification().clone();
        assert_eq!((after.messages[0].stale_reports, after.version), (1, before.version + 1));
        after.messages[0].stale_reports = 0;
        after.version = before.version;
        assert_eq!(after, before);
    }
}

#[test]
fn at_most_twenty_stale_reports_of_a_message_are_recorded() {
    let mut story = requested().accepted().given(report(1, Read));
    for _ in 0..STALE_REPORTS_KEPT {
        story = story.when(report(1, Delivered)).then([stale(1, Delivered)]);
    }
    assert_eq!(STALE_REPORTS_KEPT, 20);
    story.when(report(1, Delivered)).then_nothing().when(report(1, failed())).then_nothing();
}

#[test]
fn the_bound_on_stale_reports_does_not_hide_an_effective_one() {
    let mut story = requested().accepted().given(report(1, Sent));
    for _ in 0..=STALE_REPORTS_KEPT {
        story = story.given(report(1, Sent));
    }
    story.when(report(1, Delivered)).then([applied(1, Delivered)]);
}

#[test]
fn a_report_after_the_end_is_recorded_and_reopens_nothing() {
    let story = requested().accepted().given(Command::Cancel);
    let story = story.when(report(1, failed())).then([applied(1, failed())]);
    let story = story.when(report(1, Delivered)).then([applied(1, Delivered)]);
    assert_eq!(story.ending(), Some(Ending::Canceled));
    story.at(EXPIRY).when(tick()).then_nothing();
}

// failed before delivered

#[test]
fn failed_falls_back_at_once_whatever_the_deadline() {
    for before in [vec![], vec![Sent]] {
        let story =
            before.into_iter().fold(requested().accepted(), |story, status| story.given(report(1, status)));
        let story = story.at(2_000).when(report(1, failed())).then([
            applied(1, failed()),
            fell_back(1, 1, Failed),
            queued(2, 1, SMS, None),
        ]);
        assert_eq!(story.message(1).progress, Progress::Failed);
        story.at(DEADLINE).ticked(Readiness::Ready).when(tick()).then_nothing();
    }
}

#[test]
fn failed_after_falling_back_queues_no_second_message() {
    fallen_back().when(report(1, failed())).then([applied(1, failed())]);
}

#[test]
fn failed_of_an_earlier_message_does_not_affect_the_resend() {
    let story = requested().accepted().given(report(1, Delivered)).at(RESEND_AFTER[0]).given(resend());
    story.when(report(1, failed())).then([stale(1, failed())]);
    let story = requested().accepted().at(RESEND_AFTER[0]).given(resend());
    story.when(report(1, failed())).then([applied(1, failed())]);
}

// deliver_within passes

#[test]
fn the_deadline_counts_from_queued_and_falls_back_once() {
    let story = requested().at(20_000).started().given(answered(1, 1, taken(1))).given(report(1, Sent));
    let story = story.at(DEADLINE - 1).when(tick()).then_nothing();
    let story = story.at(DEADLINE).when(tick()).then([fell_back(1, 1, Deadline), queued(2, 1, SMS, None)]);
    assert_eq!((story.message(1).step_left, story.message(1).progress), (StepLeft::FellBack, Progress::Sent));
    story.when(tick()).then([send_started(2, 1)]).when(tick()).then_nothing();
}

#[test]
fn at_the_very_same_moment_the_report_committed_first_saves_the_step() {
    let story = requested().accepted().at(DEADLINE).when(report(1, Delivered)).then([applied(1, Delivered)]);
    let story = story.when(tick()).then_nothing();
    assert!(!story.message(1).late);
}

#[test]
fn at_the_very_same_moment_the_report_committed_second_is_late() {
    let story = fallen_back().when(report(1, Delivered)).then([applied(1, Delivered)]);
    assert!(story.message(1).late);
    assert_eq!(story.verification().delivered_by, Some(ChannelName::new(WHATSAPP)));
    story.when(tick()).then([send_started(2, 1)]);
}

#[test]
fn the_deadlines_of_three_steps_follow_each_other() {
    let voice = "voice";
    let story = requested_under(policy_of(
        &[(WHATSAPP, Some(20_000)), (SMS, Some(40_000)), (voice, None)],
        OnDoubt::Hold,
    ));
    let story =
        story.at(20_000).when(tick()).then([fell_back(1, 1, Deadline), queued(2, 1, SMS, Some(60_000))]);
    let story = story.at(60_000).when(tick()).then([fell_back(2, 2, Deadline), queued(3, 2, voice, None)]);
    assert_eq!(story.verification().fallback_at(), None);
}

// delivered after falling back

#[test]
fn delivered_after_falling_back_is_late_and_nothing_else() {
    let story = fallen_back().accepted().at(DEADLINE + 3_000).when(report(1, Delivered));
    let story = story.then([applied(1, Delivered)]);
    assert_eq!((story.message(1).late, story.message(2).late), (true, false));
    let story = story.when(report(2, Delivered)).then([applied(2, Delivered)]);
    assert!(!story.message(2).late);
    assert_eq!(story.verification().delivered_by, Some(ChannelName::new(WHATSAPP)), "it was first");
}

#[test]
fn read_after_delivered_in_time_is_not_late() {
    let story = requested().accepted().given(report(1, Delivered)).given(Command::Next);
    let story = story.given(report(1, Read));
    assert!(!story.message(1).late);
}

// approved, canceled, expired
#[test]
fn queued_messages_are_dropped_at_the_end_even_after_attempts() {
    let story = requested().started().given(answered(1, 1, refused(Retry)));
    for (command, ending) in [(right_code(), Ending::Approved), (Command::Cancel, Ending::Canceled)] {
        let ended = story.clone().given(command);
        assert_eq!((ended.ending(), ended.message(1).progress), (Some(ending), Progress::Dropped));
        ended.at(EXPIRY).when(tick()).then_nothing();
    }
}

#[test]
fn a_recorded_retry_after_the_end_is_not_due() {
    let mut story = requested().started().given(right_code());
    story.commit(vec![Event { at: time(1), fact: send_refused(1, 1, Retry, Some(2)) }]);
    assert!(matches!(story.message(1).progress, Progress::Queued { .. }));
    assert_eq!(due_of(story.verification()), None);
}

#[test]
fn nothing_is_sent_after_any_end() {
    let exhausted =
        (1..MAX_CHECKS).fold(requested(), |story, _| story.given(wrong_code())).given(wrong_code());
    for (story, ending) in [
        (requested().given(right_code()), Ending::Approved),
        (requested().given(Command::Cancel), Ending::Canceled),
        (requested().given(disown()), Ending::Canceled),
        (exhausted, Ending::Exhausted),
        (requested().at(EXPIRY).given(tick()), Ending::Expired),
    ] {
        assert_eq!((story.ending(), story.message(1).progress), (Some(ending), Progress::Dropped));
        let story = story.when(tick()).then_nothing();
        assert_eq!(due(&story.state), None, "{ending:?} wants nothing more");
        for command in [resend(), resend_by(SMS), Command::Next] {
            story.clone().at(EXPIRY - 1).when(command).then_refused(Rejection::NotPending(ending));
        }
        story
            .clone()
            .at(DEADLINE)
            .when(tick())
            .then_nothing()
            .when(report(1, failed()))
            .then([stale(1, failed())]);
        story.when(right_code()).then_nothing();
    }
}

#[test]
fn an_attempt_in_progress_at_the_end_is_awaited() {
    let story = requested().started().given(Command::Cancel);
    let (at, why) = due(&story.state).expect("the attempt has no outcome");
    assert_eq!(why, Why::Answer(ordinal(1)));
    let story = story.at(since_request(at)).when(tick()).then([interrupted(1, 1, None)]);
    assert_eq!(due(&story.state), None);
}

#[test]
fn it_expires_at_its_expiry_and_not_before() {
    let story = requested().accepted().given(report(1, Delivered));
    let story = story.at(EXPIRY - 1).when(tick()).then_nothing();
    story.at(EXPIRY).when(tick()).then([Fact::Expired]).when(tick()).then_nothing();
}

#[test]
fn cancel_is_idempotent_and_undoes_no_other_end() {
    let story = requested().accepted().when(Command::Cancel).then([Fact::Canceled]);
    story.when(Command::Cancel).then_nothing();
    for (story, ending) in [
        (requested().given(right_code()), Ending::Approved),
        (requested().at(EXPIRY).given(tick()), Ending::Expired),
    ] {
        story.when(Command::Cancel).then_refused(Rejection::NotPending(ending));
    }
}

#[test]
fn an_abandoned_verification_is_canceled_once() {
    for reason in AbandonReason::ALL {
        let abandon = || Command::Abandon(reason);
        let story = requested().accepted().when(abandon()).then([Fact::Abandoned { reason }]);
        story.when(abandon()).then_nothing().when(tick()).then_nothing();
        requested().at(EXPIRY).when(abandon()).then([Fact::Expired]).when(abandon()).then_nothing();
        requested().given(right_code()).when(abandon()).then_nothing();
    }
}

#[test]
fn erasing_ends_a_pending_verification() {
    let story = requested().accepted().when(Command::Erase).then([Fact::Erased, Fact::Canceled]);
    story.when(Command::Erase).then_nothing();
    let story = requested().at(EXPIRY).when(Command::Erase).then([Fact::Erased, Fact::Expired]);
    story.when(tick()).then_nothing();
    let story = requested().given(right_code()).when(Command::Erase).then([Fact::Erased]);
    story.when(Command::Erase).then_nothing();
}

// last step failed

#[test]
fn the_last_step_failed_gives_up_and_the_code_stays_valid() {
    let refused_last = fallen_back().started().when(answered(2, 1, refused(Recipient)));
    let story = refused_last.then([send_refused(2, 1, Recipient, None), Fact::GaveUp]);
    assert_eq!(story.verification().phase, Phase::Pending(Stage::GaveUp));
    story
        .at(EXPIRY - 1)
        .when(wrong_code())
        .then([Fact::CheckFailed])
        .when(right_code())
        .then([Fact::CheckPassed]);

    let failed_last = fallen_back().accepted().when(report(2, failed()));
    failed_last.then([applied(2, failed()), Fact::GaveUp]);
}

#[test]
fn a_resend_after_giving_up_starts_again() {
    let story = fallen_back().started().given(answered(2, 1, refused(Recipient)));
    let story = story.at(DEADLINE + RESEND_AFTER[0]).when(resend_by(WHATSAPP)).then([
        resend_requested(Some(WHATSAPP)),
        queued_as(Occasion::Resend, 3, 0, WHATSAPP, Some(2 * DEADLINE + RESEND_AFTER[0])),
    ]);
    story.when(tick()).then([send_started(3, 1)]);
}

// check

#[test]
fn wrong_codes_count_up_to_the_last_which_exhausts() {
    let story = requested().when(wrong_code()).then([Fact::CheckFailed]);
    let story = story.when(wrong_code()).then([Fact::CheckFailed]);
    let story = story.when(wrong_code()).then([Fact::CheckFailed, Fact::ChecksExhausted]);
    assert_eq!((story.ending(), story.verification().failed_checks), (Some(Ending::Exhausted), MAX_CHECKS));
    story.when(right_code()).then_nothing().when(wrong_code()).then_nothing();
}

#[test]
fn the_right_code_at_the_last_try_is_approved_once() {
    let story = requested().given(wrong_code()).given(wrong_code());
    let story = story.when(right_code()).then([Fact::CheckPassed]);
    assert_eq!(story.ending(), Some(Ending::Approved));
    story.when(right_code()).then_nothing();
}

#[test]
fn after_an_approval_wrong_codes_still_count_and_no_more_than_are_allowed() {
    let story = requested().given(wrong_code()).given(right_code());
    assert!(story.verification().may_compare(&story.policy));
    let story = story.when(wrong_code()).then([Fact::CheckFailed]).when(right_code()).then_nothing();
    let story = story.when(wrong_code()).then([Fact::CheckFailed]).when(wrong_code()).then_nothing();
    assert_eq!((story.ending(), story.verification().failed_checks), (Some(Ending::Approved), MAX_CHECKS));
    assert!(!story.verification().may_compare(&story.policy));
    story.at(EXPIRY).when(right_code()).then_nothing().when(wrong_code()).then_nothing();
}

#[test]
fn after_any_other_end_nothing_is_compared() {
    let exhausted = requested().given(wrong_code()).given(wrong_code()).given(wrong_code());
    for story in [exhausted, requested().given(Command::Cancel), requested().at(EXPIRY).given(tick())] {
        assert!(!story.verification().may_compare(&story.policy));
        story.when(right_code()).then_nothing().when(wrong_code()).then_nothing();
    }
}

#[test]
fn an_ended_verification_is_settled_when_nothing_more_is_expected_of_its_messages() {
    let settled = |story: &Story| settles_at(story.verification()).map(since_request);
    let (read_wait, report_wait) = (READ_WAIT.as_millis() as i64, REPORT_WAIT.as_millis() as i64);
    assert_eq!(settled(&requested()), None, "it is pending");
    assert_eq!(settled(&requested().at(7).given(Command::Cancel)), Some(7), "nothing was sent");
    let under_way = requested().started().at(5).given(Command::Cancel);
    assert_eq!(settled(&under_way), None, "a request is under way");
    let silent = requested().accepted().at(9).given(right_code());
    assert_eq!(settled(&silent), Some(EXPIRY + report_wait));
    let failed_late = silent.clone().at(20).given(report(1, failed()));
    assert_eq!(settled(&failed_late), Some(9));
    let delivered = silent.at(20).given(report(1, ReportStatus::Delivered));
    assert_eq!(settled(&delivered), Some(20 + read_wait));
    assert_eq!(settled(&delivered.at(30).given(report(1, ReportStatus::Read))), Some(9));
    let late =
        requested().accepted().given(report(1, ReportStatus::Delivered)).at(60_000).given(right_code());
    assert_eq!(settled(&late), Some(60_000));
}

#[test]
fn with_one_check_the_first_wrong_code_exhausts() {
    let story = requested_under(Policy { max_checks: 1, ..policy() });
    story.when(wrong_code()).then([Fact::CheckFailed, Fact::ChecksExhausted]);
}

#[test]
fn the_code_is_valid_until_the_expiry() {
    let story = requested().at(EXPIRY - 1);
    story.when(right_code()).then([Fact::CheckPassed]);
}

#[test]
fn resends_and_fallbacks_restore_neither_attempts_nor_time() {
    let story = requested().given(wrong_code()).given(wrong_code()).at(DEADLINE).given(tick());
    let story = story.at(DEADLINE + RESEND_AFTER[0]).given(resend());
    assert_eq!((story.verification().failed_checks, story.verification().expires_at), (2, time(EXPIRY)));
    story.when(wrong_code()).then([Fact::CheckFailed, Fact::ChecksExhausted]);
}

#[test]
fn commands_at_the_expiry_find_the_verification_expired() {
    let story = requested().accepted().at(EXPIRY);
    let story = story.when(Command::Cancel).then_refused(Rejection::NotPending(Ending::Expired));
    let story = story.when(Command::Next).then_refused(Rejection::NotPending(Ending::Expired));
    let story = story.when(resend()).then_refused(Rejection::NotPending(Ending::Expired));
    story.clone().when(right_code()).then([Fact::Expired]);
    story.clone().when(wrong_code()).then([Fact::Expired]);
    story.when(disown()).then([code_disowned(), Fact::Expired]);
}

// resend

#[test]
fn the_nth_resend_waits_the_nth_entry_since_the_last_send() {
    let [first, second] = RESEND_AFTER;
    let story = requested().at(100).accepted().at(100 + first - 1);
    let story = story.when(resend()).then_refused(Rejection::ResendTooEarly { until: time(100 + first) });
    let story = story.at(100 + first).given(tick());
    assert_eq!(story.verification().messages.len(), 2, "the deadline had passed meanwhile");
    let until = 100 + 2 * first;
    let story = story.when(resend()).then_refused(Rejection::ResendTooEarly { until: time(until) });
    let story = story
        .at(until)
        .when(resend())
        .then([resend_requested(None), queued_as(Occasion::Resend, 3, 1, SMS, None)]);
    assert_eq!(story.message(2).progress, Progress::Dropped);
    let story = story
        .accepted()
        .when(resend())
        .then_refused(Rejection::ResendTooEarly { until: time(until + second) });
    let story = story.at(until + second).given(resend());
    story.at(EXPIRY - 1).when(resend()).then_refused(Rejection::ResendLimit);
}

#[test]
fn a_resend_goes_by_the_step_in_progress_or_the_channel_that_was_chosen() {
    let delivered = requested().accepted().given(report(1, Delivered)).at(RESEND_AFTER[0]);
    let fallback_at = Some(RESEND_AFTER[0] + DEADLINE);
    let story = delivered
        .clone()
        .when(resend())
        .then([resend_requested(None), queued_as(Occasion::Resend, 2, 0, WHATSAPP, fallback_at)]);
    assert_eq!(
        story.verification().phase,
        Phase::Pending(Stage::Waiting { fallback_at: fallback_at.map(time) })
    );
    story
        .at(RESEND_AFTER[0] + DEADLINE)
        .when(tick())
        .then([fell_back(2, 1, Deadline), queued(3, 1, SMS, None)]);
    delivered
        .clone()
        .when(resend_by(SMS))
        .then([resend_requested(Some(SMS)), queued_as(Occasion::Resend, 2, 1, SMS, None)]);
    delivered.when(resend_by("pigeon")).then_refused(Rejection::NoStepOnChannel);
}

#[test]
fn a_resend_whose_deadline_would_come_after_the_expiry_announces_no_fallback() {
    let story = requested().accepted().at(EXPIRY - DEADLINE).given(resend());
    assert_eq!(story.verification().fallback_at(), None);
    let story = requested().accepted().at(EXPIRY - DEADLINE - 1).given(resend());
    assert_eq!(story.verification().fallback_at(), Some(time(EXPIRY - 1)));
}

// next

#[test]
fn next_starts_the_next_step_now() {
    let story = requested().accepted().at(3_000).when(Command::Next);
    let story = story.then([fell_back(1, 1, Requested), queued(2, 1, SMS, None)]);
    story.when(Command::Next).then_refused(Rejection::NoNextStep);
}

#[test]
fn next_works_after_something_was_delivered_too() {
    let story = requested().accepted().given(report(1, Delivered));
    let story = story.when(Command::Next).then([fell_back(1, 1, Requested), queued(2, 1, SMS, None)]);
    assert!(!story.message(1).late);
}

#[test]
fn next_drops_what_was_not_sent_yet() {
    let story = requested().given(Command::Next);
    assert_eq!(story.message(1).progress, Progress::Dropped);
    story.when(tick()).then([send_started(2, 1)]);
}

#[test]
fn next_after_giving_up_finds_no_step() {
    let story = fallen_back().started().given(answered(2, 1, refused(Recipient)));
    story.when(Command::Next).then_refused(Rejection::NoNextStep);
}

// "I didn't request a code", and replies

#[test]
fn a_disowned_code_cancels_a_pending_verification_and_is_only_recorded_after_the_end() {
    let story = requested().accepted().when(disown()).then([code_disowned(), Fact::Canceled]);
    assert_eq!(story.ending(), Some(Ending::Canceled));
    story.when(disown()).then([code_disowned()]);
    let story = requested().given(right_code()).when(disown()).then([code_disowned()]);
    assert_eq!(story.ending(), Some(Ending::Approved));
}

#[test]
fn an_ambiguous_disowned_code_is_recorded_and_cancels_nothing() {
    let perhaps = Command::Disown { message: None, standing: Standing::Applied, aim: Aim::Perhaps };
    let told = Fact::CodeDisowned { message: None, standing: Standing::Applied, aim: Aim::Perhaps };
    let story = requested().accepted().when(perhaps.clone()).then([told.clone()]);
    assert!(story.verification().is_pending());
    story.when(disown()).then([code_disowned(), Fact::Canceled]).when(perhaps).then([told]);
}

#[test]
fn an_alias_is_recorded_once_and_only_with_a_matching_tail() {
    let alias =
        |n: u8, tail: Option<u16>| KnownAs { index: NumberIndex([n; 16]), tail: tail.map(NumberTail) };
    let mut asked = twotick::verification::Request::clone(&request(&policy()));
    asked.tail = Some(NumberTail(7));
    let number = asked.number.0[0];
    let nothing = Story { policy: policy(), events: Vec::new(), state: State::New, now: 0 };
    let story = nothing.given(Command::Request(asked.into())).started();
    let answer = Command::SendReported {
        message: ordinal(1),
        attempt: 1,
        outcome: taken(1),
        // Another tail, the number itself, and a duplicate.
        aliases: vec![
            alias(1, Some(8)),
            alias(number, Some(7)),
            alias(2, Some(7)),
            alias(2, Some(7)),
            alias(3, None),
        ],
        jitter: Jitter::thousandths(0),
    };
    let story = story.given(answer);
    let learnt = |story: &Story| {
        let known = &story.verification().aliases;
        known.iter().map(|index| index.0[0]).collect::<Vec<_>>()
    };
    assert_eq!(learnt(&story), [2, 3]);
    let told = |status, aliases: &[u8]| {
        let aliases = aliases.iter().map(|n| alias(*n, Some(7))).collect();
        let report = Report { status, reported_at: None, provider_ref: None, reference: None, aliases };
        Command::Report { message: ordinal(1), channel: ChannelName::new(WHATSAPP), report }
    };
    let story = story.given(told(Sent, &[3, 4])).given(told(Sent, &[4]));
    let facts: Vec<_> = story.facts().collect();
    let of = |fact: &Fact| match fact {
        Fact::Reported { aliases, .. } => aliases.len(),
        other => panic!("{other:?}"),
    };
    let [.., first, again] = facts[..] else { panic!("{facts:?}") };
    assert_eq!((of(first), of(again)), (1, 0), "what is known is written down once");
    let story = story.given(told(Delivered, &(10..100).collect::<Vec<_>>()));
    assert_eq!(learnt(&story), [2, 3, 4, 10]);
    assert_eq!(story.verification().aliases.len(), ALIASES_KEPT);
}

#[test]
fn recorded_replies_are_bounded_without_affecting_disowned_codes() {
    let mut story = requested().accepted();
    for _ in 1..REPLIES_KEPT {
        story = story.when(reply()).then([reply_received()]);
    }
    let ended = story.clone().given(right_code()).when(disown()).then([code_disowned()]);
    ended.when(disown()).then_nothing();
    let story = story.when(reply()).then([reply_received()]).when(reply()).then_nothing();
    story.when(disown()).then([code_disowned(), Fact::Canceled]).when(disown()).then_nothing();
}

// back after an outage

#[test]
fn a_deadline_that_passed_during_an_outage_fires_once() {
    let story = requested().accepted().at(EXPIRY - 1).ticked(Readiness::Ready);
    assert_eq!(story.count(|fact| matches!(fact, Fact::FellBack { .. })), 1);
    assert_eq!(story.count(|fact| matches!(fact, Fact::SendStarted { .. })), 2);
    story.when(tick()).then_nothing();
}

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
fn a_doubt_after_the_expiry_sends_no_message() {
    requested_under(policy_of(&[(SMS, None)], OnDoubt::ResendOnce))
        .at(EXPIRY - 1)
        .started()
        .given(answered(1, 1, lost()))
        .at(EXPIRY + DOUBT_WAIT)
        .when(tick())
        .then([Fact::Expired]);
}

#[test]
fn a_failure_at_the_expiry_queues_nothing_more() {
    let late = requested().accepted().at(EXPIRY - 1).given(resend()).started().at(EXPIRY);
    late.clone().when(report_by(WHATSAPP, 2, failed())).then([applied(2, failed())]);
    late.when(answered(2, 1, refused(Recipient))).then([send_refused(2, 1, Recipient, None)]);
}

#[test]
fn a_verification_has_at_most_63_messages_and_then_refuses_a_resend() {
    let waits = vec![0; 100];
    let mut story = requested_under(Policy { resend_after_ms: waits, ..policy() });
    for _ in 1..63 {
        story = story.given(resend_by(WHATSAPP));
    }
    let story = story.when(resend_by(WHATSAPP)).then_refused(Rejection::ResendLimit);
    let story = story.when(Command::Next).then_refused(Rejection::NoNextStep);
    story.accepted().at(DEADLINE).when(tick()).then([Fact::GaveUp]);
}
