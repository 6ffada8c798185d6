//! Manual actions of the staff, and the look-up keys of a verification afterwards.

use twotick::verification::event::FallbackReason::{Refused, Requested};
use twotick::verification::state::{ERRORS_KEPT, Ending};
use twotick::verification::values::ErrorClass::{Recipient, Retry};
use twotick::verification::values::ReportStatus::Delivered;
use twotick::verification::values::{ChannelName, DeliveryError};
use twotick::verification::{Event, Fact, OperatorAct, OperatorAction, Readiness, Rejection, State};

use crate::story::*;

#[test]
fn staff_actions_follow_the_same_rules_and_are_recorded_before_their_effects() {
    let reveal = || by_operator(OperatorAct::Reveal);
    let story = requested().accepted().when(reveal()).then([operator_acted(OperatorAction::Reveal)]);
    let story = story.when(by_operator(OperatorAct::Next)).then([
        operator_acted(OperatorAction::Next),
        fell_back(1, 1, Requested),
        queued(2, 1, SMS, None),
    ]);
    let too_early = by_operator(OperatorAct::Resend { channel: None });
    let until = time(RESEND_AFTER[0]);
    let story = story.when(too_early).then_refused(Rejection::ResendTooEarly { until });
    story.when(by_operator(OperatorAct::Next)).then_refused(Rejection::NoNextStep);

    let story = requested().accepted().at(RESEND_AFTER[0] - 1);
    let unknown = OperatorAct::Resend { channel: Some(ChannelName::new("pigeon")) };
    story.when(by_operator(unknown)).then_refused(Rejection::NoStepOnChannel);
    let story = requested().accepted().given(report(1, Delivered)).at(RESEND_AFTER[0]);
    let resent = story.given(by_operator(OperatorAct::Resend { channel: None }));
    assert_eq!((resent.verification().resends, resent.verification().messages.len()), (1, 2));

    let canceled = requested()
        .accepted()
        .when(by_operator(OperatorAct::Cancel))
        .then([operator_acted(OperatorAction::Cancel), Fact::Canceled]);
    let canceled = canceled.when(by_operator(OperatorAct::Cancel)).then_nothing();
    let ended = Rejection::NotPending(Ending::Canceled);
    canceled.clone().when(by_operator(OperatorAct::Next)).then_refused(ended);
    canceled.when(reveal()).then([operator_acted(OperatorAction::Reveal)]);

    let nothing = Story { policy: policy(), events: Vec::new(), state: State::New, now: 0 };
    nothing.when(reveal()).then_refused(Rejection::Unknown);
}

#[test]
fn reasons_and_errors_are_recorded_once_each() {
    let story = requested().started().given(answered(1, 1, refused(Recipient)));
    let story = story.ticked(Readiness::Ready);
    let verification = story.verification();
    assert_eq!(verification.fallbacks, [Refused]);
    assert_eq!(verification.errors, ["131026"]);
    let story = story.given(answered(2, 1, taken(2))).given(report(2, Delivered));
    assert_eq!(story.verification().errors, ["131026"], "delivery does not undo that it happened");

    let many = (0..20).map(|n| Event {
        at: time(0),
        fact: Fact::SendRefused {
            message: ordinal(1),
            attempt: 1,
            error: DeliveryError { code: n.to_string(), title: String::new(), class: Retry },
            retry_at: None,
        },
    });
    let mut story = requested().started();
    story.commit(many.clone().chain(many).collect());
    assert_eq!(story.verification().errors, (0..ERRORS_KEPT).map(|n| n.to_string()).collect::<Vec<_>>());
}
