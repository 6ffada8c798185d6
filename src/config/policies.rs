//! From a profile, which refers to channels, templates and texts by name, to the self-contained policy of a verification.

use super::{Config, Profile, ProfileStep, StepContent};
use crate::verification::Policy;
use crate::verification::policy::{Content, Step};
use crate::verification::values::ChannelName;

impl Config {
    /// The policy that a verification keeps for its whole life if it starts under this profile, which is called `name`.
    pub fn policy(&self, name: &str, profile: &Profile) -> Policy {
        Policy {
            profile: name.to_owned(),
            brand: profile.brand.clone(),
            code_length: profile.code_length,
            code_ttl: profile.code_ttl,
            max_checks: profile.max_checks,
            // At most 10 minutes each.
            resend_after_ms: profile.resend_after.iter().map(|wait| wait.as_millis() as u64).collect(),
            default_locale: profile.default_locale.clone(),
            steps: profile.steps.iter().filter_map(|step| self.step(profile, step)).collect(),
        }
    }

    /// `None` only for a step with an unknown name, which the check of a configuration refuses.
    fn step(&self, profile: &Profile, step: &ProfileStep) -> Option<Step> {
        let channel = self.channels.get(&step.channel)?;
        let content = match &step.content {
            StepContent::Template(name) => {
                let languages = self.templates.get(name)?.locales.clone();
                Content::Template { name: name.clone(), languages }
            }
            StepContent::Text(name) => {
                let locales = &self.texts.get(name)?.locales;
                let whole =
                    |(locale, wording): (&String, &String)| (locale.clone(), profile.whole_text(wording));
                Content::Text { by_locale: locales.iter().map(whole).collect() }
            }
            StepContent::ById => Content::ById { ids: channel.kind.contents()?.clone() },
        };
        Some(Step {
            channel: ChannelName::new(&step.channel),
            content,
            deliver_within: step.deliver_within,
            in_doubt_wait: channel.in_doubt_wait,
            on_doubt: channel.on_doubt,
        })
    }
}
