//! Questions that many readers ask of a fact.

use super::event::{Fact, Standing};
use super::values::Ordinal;

impl Fact {
    /// The message that it is about, where it is about one.
    pub fn message(&self) -> Option<Ordinal> {
        match self {
            Self::MessageQueued { message, .. }
            | Self::SendStarted { message, .. }
            | Self::SendAccepted { message, .. }
            | Self::SendRefused { message, .. }
            | Self::SendInDoubt { message, .. }
            | Self::Reported { message, .. }
            | Self::FellBack { message, .. }
            | Self::StepSkipped { message } => Some(*message),
            Self::ReplyReceived { message, .. } | Self::CodeDisowned { message, .. } => *message,
            Self::Requested { .. }
            | Self::GaveUp
            | Self::CheckPassed
            | Self::CheckFailed
            | Self::ChecksExhausted
            | Self::ResendRequested { .. }
            | Self::Expired
            | Self::Canceled
            | Self::Abandoned { .. }
            | Self::Erased
            | Self::OperatorActed { .. } => None,
        }
    }

    /// Whether it changed anything: only what others report can be stale.
    pub fn standing(&self) -> Standing {
        let (Self::Reported { standing, .. }
        | Self::ReplyReceived { standing, .. }
        | Self::CodeDisowned { standing, .. }) = self
        else {
            return Standing::Applied;
        };
        *standing
    }
}
