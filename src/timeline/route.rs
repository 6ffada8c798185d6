//! Names a channel by the medium that reaches the phone instead of its configured name.

use std::fmt;

use crate::explain::{self, Explanation};
use crate::verification::Policy;
use crate::verification::policy::Content;
use crate::verification::values::DeliveryError;

/// A channel as people know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) channel: &'a str,
    /// `None` if the policy has no such channel.
    pub(super) medium: Option<Medium>,
    /// Whether the name must include the channel, because another one uses the same medium.
    pub(super) named: RouteName,
}

/// The medium that reaches the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    /// Channels that send templates or approved content.
    WhatsApp,
    /// Channels that send texts.
    Sms,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteName {
    ByMedium,
    ByMediumAndChannel,
}

impl<'a> Route<'a> {
    pub(super) fn of(policy: &Policy, channel: &'a str) -> Self {
        let mut others = policy.steps.iter().filter(|step| step.channel.as_str() != channel);
        let own = policy.steps.iter().find(|step| step.channel.as_str() == channel);
        let medium = own.map(|step| Medium::of(&step.content));
        let doubled = medium.is_some() && others.any(|step| Some(Medium::of(&step.content)) == medium);
        Self {
            channel,
            medium,
            named: if doubled { RouteName::ByMediumAndChannel } else { RouteName::ByMedium },
        }
    }

    /// `WhatsApp`, `SMS`, `SMS (reserve)`.
    pub(super) fn name(self) -> String {
        let medium = match self.medium {
            Some(Medium::WhatsApp) => "WhatsApp",
            Some(Medium::Sms) => "SMS",
            None => return self.channel.to_owned(),
        };
        match self.named {
            RouteName::ByMedium => medium.to_owned(),
            RouteName::ByMediumAndChannel => format!("{medium} ({})", self.channel),
        }
    }

    /// Such as ` (reserve)`, if the medium is ambiguous.
    pub(super) fn aside(self) -> String {
        match self.named {
            RouteName::ByMedium => String::new(),
            RouteName::ByMediumAndChannel => format!(" ({})", self.channel),
        }
    }

    /// The explanation of an error on this route. Carriers' own codes have none, even if they resemble Meta's numbers
    /// or our names.
    pub(super) fn explain(self, error: &DeliveryError) -> Option<&'static Explanation> {
        match self.medium {
            Some(Medium::WhatsApp) => explain::explain(&error.code),
            Some(Medium::Sms) | None => explain::attempt_code(&error.code),
        }
    }
}

/// The configured name.
impl fmt::Display for Route<'_> {
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
