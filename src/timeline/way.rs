//! How a channel is spoken of: by what reaches the handset, not by the name that the configuration gives it.

use std::fmt;

use crate::explain::{self, Explanation};
use crate::verification::Policy;
use crate::verification::policy::Content;
use crate::verification::values::DeliveryError;

/// One way to send, as people know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way<'a> {
    pub(super) channel: &'a str,
    /// `None`: the policy has no such channel.
    pub(super) medium: Option<Medium>,
    /// Whether another channel of the policy sends by the same medium, so that the name tells which it was.
    pub(super) named: Named,
}

/// What reaches the handset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    /// What sends templates, or contents that a provider has approved.
    WhatsApp,
    /// The kind of channel that sends texts.
    Sms,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    ByMedium,
    ByMediumAndChannel,
}

impl<'a> Way<'a> {
    pub(super) fn of(policy: &Policy, channel: &'a str) -> Self {
        let mut others = policy.steps.iter().filter(|step| step.channel.as_str() != channel);
        let own = policy.steps.iter().find(|step| step.channel.as_str() == channel);
        let medium = own.map(|step| Medium::of(&step.content));
        let doubled = medium.is_some() && others.any(|step| Some(Medium::of(&step.content)) == medium);
        Self { channel, medium, named: if doubled { Named::ByMediumAndChannel } else { Named::ByMedium } }
    }

    /// `WhatsApp`, `SMS`, `SMS (reserve)`.
    pub(super) fn name(self) -> String {
        let medium = match self.medium {
            Some(Medium::WhatsApp) => "WhatsApp",
            Some(Medium::Sms) => "SMS",
            None => return self.channel.to_owned(),
        };
        match self.named {
            Named::ByMedium => medium.to_owned(),
            Named::ByMediumAndChannel => format!("{medium} ({})", self.channel),
        }
    }

    /// ` (reserve)` where the medium alone does not say which channel it was.
    pub(super) fn aside(self) -> String {
        match self.named {
            Named::ByMedium => String::new(),
            Named::ByMediumAndChannel => format!(" ({})", self.channel),
        }
    }

    /// What the table knows about an error of this way. A carrier's own codes are in its documents, even where they
    /// look like one of Meta's numbers or one of our names.
    pub(super) fn explain(self, error: &DeliveryError) -> Option<&'static Explanation> {
        match self.medium {
            Some(Medium::WhatsApp) => explain::explain(&error.code),
            Some(Medium::Sms) | None => explain::attempt_code(&error.code),
        }
    }
}

/// The name that the configuration gives it.
impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.channel)
    }
}

impl Medium {
    pub(super) fn of(content: &Content) -> Self {
        match content {
            Content::Template { .. } | Content::ById { .. } => Self::WhatsApp,
            Content::Text { .. } => Self::Sms,
        }
    }
}
