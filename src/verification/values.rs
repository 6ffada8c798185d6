//! The values of the core as types that hold only valid values.

mod delivery;
mod ids;
mod names;
mod person;
mod time;

pub use delivery::{DeliveryError, ErrorClass, Outcome, Report, ReportStatus};
pub use ids::{Bucket, EventId, MessageId, Ordinal, Runner, VerificationId};
pub use names::{AppName, ChannelName, ProviderRef, UserName};
pub use person::{Alias, KnownAs, NumberIndex, NumberTail, Sealed};
pub use time::Timestamp;

/// A text or number that is no valid value of its type; the text describes the valid form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub &'static str);
