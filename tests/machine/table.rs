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
