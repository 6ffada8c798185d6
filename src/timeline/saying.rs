//! What a line says, before it is put into words: one variant a sentence, so that each language has them all.

use std::time::Duration;

use crate::verification::event::{FallbackReason, Occasion, Standing};
use crate::verification::values::{DeliveryError, ReportStatus};

pub(super) enum Saying<'a> {
    Requested {
        profile: &'a str,
    },
    Queued {
        channel: &'a str,
        occasion: Occasion,
    },
    SendStarted {
        channel: &'a str,
        attempt: u16,
    },
    Accepted {
        channel: &'a str,
    },
    /// `retry_in`: how much later the same message is tried again.
    Refused {
        channel: &'a str,
        error: &'a DeliveryError,
        retry_in: Option<Duration>,
    },
    InDoubt {
        channel: &'a str,
        error: &'a DeliveryError,
    },
    Reported {
        channel: &'a str,
        status: &'a ReportStatus,
        standing: Standing,
    },
    FellBack {
        from: &'a str,
        to: &'a str,
        reason: FallbackReason,
        asker: Asker,
    },
    Skipped {
        channel: &'a str,
    },
    GaveUp,
    CheckPassed,
    CheckFailed {
        left: u8,
    },
    ChecksExhausted,
    ResendRequested {
        channel: Option<&'a str>,
        asker: Asker,
    },
    Replied {
        standing: Standing,
    },
    Disowned {
        standing: Standing,
    },
    Expired,
    Canceled {
        asker: Asker,
    },
    CanceledAsDisowned,
}

/// On whose wish something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    App,
    Operator,
}
