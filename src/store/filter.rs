//! Which verifications to list, and what of one decides that.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{Person, Snapshot};
use crate::verification::event::FallbackReason;
use crate::verification::state::{Ending, Phase, Progress, Stage};
use crate::verification::values::{AppName, ChannelName, NumberIndex, NumberTail, Timestamp, VerificationId};
use crate::verification::{Request, Verification};

/// Which verifications to list, newest first. What is `None` admits all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of one of these apps. An empty set admits none.
    pub apps: Option<BTreeSet<AppName>>,
    /// Of the person of this name, whatever number the app gave.
    pub number: Option<NumberIndex>,
    /// Of numbers with this end, and a few others by chance.
    pub tail: Option<NumberTail>,
    pub client_ref: Option<String>,
    pub status: Option<Status>,
    pub delivery: Option<DeliveryState>,
    /// A message was queued on this channel.
    pub channel: Option<ChannelName>,
    /// It went on to another message for this reason, whatever came of it.
    pub fallback: Option<FallbackReason>,
    /// One of its messages had this error, whatever came of it. The provider's code or ours.
    pub error: Option<String>,
    /// ISO 3166 code of the number's country.
    pub country: Option<String>,
    pub profile: Option<String>,
    /// Made at this instant or later.
    pub since: Option<Timestamp>,
    /// Made before this instant.
    pub until: Option<Timestamp>,
}

/// `status` of a verification as the outside sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Pending,
    Ended(Ending),
}

/// How far the best message of a verification is, in rank order. `Undelivered`: every step failed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum DeliveryState {
    #[n(0)]
    Undelivered,
    #[n(1)]
    Queued,
    #[n(2)]
    Sending,
    #[n(3)]
    InDoubt,
    #[n(4)]
    Accepted,
    #[n(5)]
    Sent,
    #[n(6)]
    Delivered,
    #[n(7)]
    Read,
}

/// What of a verification the filters look at, but for what stands in its key. Kept for those that are no longer live,
/// so that they are listed without folding each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Facets {
    #[n(0)]
    pub app: AppName,
    #[n(1)]
    pub profile: String,
    #[n(2)]
    pub ending: Option<Ending>,
    #[n(3)]
    pub delivery: DeliveryState,
    #[n(4)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<ChannelName>,
    #[n(5)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<FallbackReason>,
    #[n(6)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    #[n(7)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[n(8)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<NumberTail>,
}

impl Filter {
    /// Whether it is of the reference asked for, and of the person: who that is, is found by [`Filter::number`].
    pub fn names(&self, request: &Request, person: Option<&Person>) -> bool {
        person.is_none_or(|person| person.is_called(request.number))
            && self.client_ref.as_ref().is_none_or(|wanted| request.client_ref.as_ref() == Some(wanted))
    }

    /// Whether it is one of those asked for, beside what [`Filter::names`] says; `id` and `facets` are of the same one.
    pub fn admits(&self, id: VerificationId, facets: &Facets) -> bool {
        let Self {
            apps,
            number: _,
            tail,
            client_ref: _,
            status,
            delivery,
            channel,
            fallback,
            error,
            country,
            profile,
            since,
            until,
        } = self;
        apps.as_ref().is_none_or(|apps| apps.contains(&facets.app))
            && tail.is_none_or(|tail| facets.tail == Some(tail))
            && status.is_none_or(|status| status == facets.status())
            && delivery.is_none_or(|delivery| delivery == facets.delivery)
            && channel.as_ref().is_none_or(|channel| facets.channels.contains(channel))
            && fallback.is_none_or(|reason| facets.fallbacks.contains(&reason))
            && error.as_ref().is_none_or(|code| facets.errors.contains(code))
            && country.as_ref().is_none_or(|country| facets.country.as_ref() == Some(country))
            && profile.as_ref().is_none_or(|profile| *profile == facets.profile)
            && since.is_none_or(|since| id.created_at() >= since)
            && until.is_none_or(|until| id.created_at() < until)
    }
}

impl Facets {
    pub fn of(snapshot: &Snapshot) -> Self {
        let verification = &snapshot.verification;
        let mut channels: Vec<_> =
            verification.messages.iter().map(|message| message.channel.clone()).collect();
        channels.sort();
        channels.dedup();
        Self {
            app: verification.request.app.clone(),
            profile: snapshot.policy.profile.clone(),
            ending: match verification.status() {
                Status::Pending => None,
                Status::Ended(ending) => Some(ending),
            },
            delivery: snapshot.delivery().0,
            channels,
            fallbacks: verification.fallbacks.clone(),
            errors: verification.errors.clone(),
            country: verification.request.country.clone(),
            tail: verification.request.tail.filter(|_| !verification.erased),
        }
    }

    fn status(&self) -> Status {
        self.ending.map_or(Status::Pending, Status::Ended)
    }
}

impl Status {
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Ended(Ending::Approved),
        Self::Ended(Ending::Expired),
        Self::Ended(Ending::Canceled),
        Self::Ended(Ending::Exhausted),
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ended(ending) => ending.as_str(),
        }
    }
}

impl DeliveryState {
    pub const ALL: [Self; 8] = [
        Self::Undelivered,
        Self::Queued,
        Self::Sending,
        Self::InDoubt,
        Self::Accepted,
        Self::Sent,
        Self::Delivered,
        Self::Read,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undelivered => "undelivered",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::InDoubt => "in_doubt",
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

impl From<Progress> for DeliveryState {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::Queued { .. } => Self::Queued,
            Progress::Sending => Self::Sending,
            Progress::InDoubt { .. } => Self::InDoubt,
            Progress::Accepted => Self::Accepted,
            Progress::Sent => Self::Sent,
            Progress::Delivered => Self::Delivered,
            Progress::Read => Self::Read,
            Progress::Failed | Progress::Dropped => Self::Undelivered,
        }
    }
}

impl Verification {
    pub fn status(&self) -> Status {
        match self.phase {
            Phase::Pending(_) => Status::Pending,
            Phase::Ended { ending, .. } => Status::Ended(ending),
        }
    }
}

impl Snapshot {
    /// How far the best message has come, and its channel.
    pub fn delivery(&self) -> (DeliveryState, Option<&ChannelName>) {
        // Of equals the later one, so that the message in progress is shown.
        let messages = &self.verification.messages;
        let best = messages.iter().max_by_key(|message| DeliveryState::from(message.progress));
        let state = best.map_or(DeliveryState::Undelivered, |message| DeliveryState::from(message.progress));
        let state = match state < DeliveryState::Delivered && self.gave_up() {
            true => DeliveryState::Undelivered,
            false => state,
        };
        (state, best.map(|message| &message.channel))
    }

    /// Whether every step was tried and nothing can come any more but a late surprise.
    fn gave_up(&self) -> bool {
        match self.verification.phase {
            Phase::Pending(Stage::GaveUp) => true,
            Phase::Pending(Stage::Waiting { .. } | Stage::Delivered) => false,
            // What the end leaves of it: the last message is that of the last step, and it failed.
            Phase::Ended { .. } => self.verification.current().is_some_and(|message| {
                usize::from(message.step) + 1 >= self.policy.steps.len()
                    && message.progress == Progress::Failed
            }),
        }
    }
}
