//! What a line says, before it is put into words: one variant a sentence, so that each language has them all.

use std::time::Duration;

use super::way::Way;
use crate::verification::event::{AbandonReason, Aim, FallbackReason, Occasion, OperatorAction, Standing};
use crate::verification::values::{DeliveryError, ReportStatus, UserName};

pub(super) enum Saying<'a> {
    Requested {
        profile: &'a str,
    },
    Queued {
        way: Way<'a>,
        occasion: Occasion,
    },
    SendStarted {
        way: Way<'a>,
        attempt: u16,
    },
    Accepted {
        way: Way<'a>,
    },
    /// `retry_in`: how much later the same message is tried again.
    Refused {
        way: Way<'a>,
        error: &'a DeliveryError,
        retry_in: Option<Duration>,
    },
    InDoubt {
        way: Way<'a>,
        error: &'a DeliveryError,
    },
    Reported {
        way: Way<'a>,
        status: &'a ReportStatus,
        standing: Standing,
    },
    FellBack {
        from: Way<'a>,
        to: Way<'a>,
        reason: FallbackReason,
        asker: Asker,
    },
    Skipped {
        way: Way<'a>,
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
        way: Option<Way<'a>>,
        asker: Asker,
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
        asker: Asker,
    },
    CanceledAsDisowned,
    Abandoned {
        reason: AbandonReason,
    },
    Erased,
}

/// On whose wish something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    App,
    Operator,
}
