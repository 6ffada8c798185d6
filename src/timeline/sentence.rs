//! The content of a line, independent of language: one variant per sentence.

use std::time::Duration;

use super::route::Route;
use crate::verification::event::{AbandonReason, Aim, FallbackReason, Occasion, OperatorAction, Standing};
use crate::verification::values::{DeliveryError, ReportStatus, UserName};

pub(super) enum Sentence<'a> {
    Requested {
        profile: &'a str,
    },
    Queued {
        route: Route<'a>,
        occasion: Occasion,
    },
    SendStarted {
        route: Route<'a>,
        attempt: u16,
    },
    Accepted {
        route: Route<'a>,
    },
    /// `retry_in` is the delay until the next attempt.
    Refused {
        route: Route<'a>,
        error: &'a DeliveryError,
        retry_in: Option<Duration>,
    },
    InDoubt {
        route: Route<'a>,
        error: &'a DeliveryError,
    },
    Reported {
        route: Route<'a>,
        status: &'a ReportStatus,
        standing: Standing,
    },
    FellBack {
        from: Route<'a>,
        to: Route<'a>,
        reason: FallbackReason,
        initiator: Initiator,
    },
    Skipped {
        route: Route<'a>,
    },
    GaveUp,
    OperatorActed {
        by: &'a UserName,
        action: OperatorAction,
    },
    CheckPassed,
    CheckFailed {
        left: u8,
    },
    ChecksExhausted,
    ResendRequested {
        route: Option<Route<'a>>,
        initiator: Initiator,
    },
    Replied {
        standing: Standing,
    },
    Disowned {
        standing: Standing,
        aim: Aim,
    },
    Expired,
    Canceled {
        initiator: Initiator,
    },
    CanceledAsDisowned,
    Abandoned {
        reason: AbandonReason,
    },
    Erased,
}

/// The initiator of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Initiator {
    App,
    Operator,
}
