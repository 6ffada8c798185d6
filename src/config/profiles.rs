//! Profiles, the only section that refers to others, and the rules between sections.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::problem::suggestion;
use super::reader::{Section, Slot, as_table};
use super::sections::{NAME, StepTargets, all, is_locale, is_name};
use super::tree::Table;
use super::values::format_duration;
use super::{Autofill, Profile, ProfileStep, StepContent};
use crate::access::CustomCode;
use crate::channel::{Carries, Kind};
use crate::texts::Encoding;
use crate::verification::locale::look_up;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn profiles(
    slot: &Slot<'_>,
    known: &StepTargets,
    built_in: &Table,
) -> Option<BTreeMap<String, Profile>> {
    let section = slot.table("a table: at least one [profiles.NAME]")?;
    let entries = section.entries();
    if entries.is_empty() {
        section.problem("must have at least one [profiles.NAME]");
        return None;
    }
    let read: Vec<_> = entries
        .into_iter()
        .map(|(name, slot)| {
            if !is_name(&name) {
                slot.problem(format!("the name must be {NAME}"));
            }
            (name, profile(&slot, known, built_in))
        })
        .collect();
    all(read)
}

/// The first profile of the built-in file, whose optional keys are the defaults.
fn default_profile(built_in: &Table) -> Option<&Table> {
    let profiles = as_table(&built_in.0.get("profiles")?.node)?;
    as_table(&profiles.0.values().next()?.node)
}

fn profile(slot: &Slot<'_>, known: &StepTargets, built_in: &Table) -> Option<Profile> {
    let mut section = slot.table("a table: [profiles.NAME] with brand and steps")?;
    section.default_to(default_profile(built_in));
    let brand = section.required("brand").line(64);
    let code_length = section.defaulted("code_length").integer(6..=10);
    // NIST SP 800-63B-4, 3.1.3.2: a code is invalid after ten minutes.
    let code_ttl = section.defaulted("code_ttl").duration(30 * SECOND..=10 * MINUTE);
    let max_checks = section.defaulted("max_checks").integer(1..=10);
    let resend_after = durations(&section.defaulted("resend_after"));
    let locale_slot = section.defaulted("default_locale");
    let default_locale = locale_slot
        .text("a locale, such as \"en\" or \"pt-BR\"", |text| is_locale(text).then(|| text.to_owned()));
    let allow_custom_code = section.defaulted("allow_custom_code").boolean();
    let custom_code =
        allow_custom_code.map(|allow| if allow { CustomCode::Allowed } else { CustomCode::Refused });
    let autofill = autofill(&mut section);
    let steps_slot = section.required("steps");
    let steps = steps(&steps_slot, known);
    section.end();
    if let Some(locale) = &default_locale {
        check_locale(&locale_slot, locale, steps.iter().flatten(), known);
    }
    if let Some(ttl) = code_ttl {
        check_deadlines(&steps_slot, ttl, steps.iter().flatten());
    }
    let profile = Profile {
        brand: brand?,
        code_length: code_length?,
        code_ttl: code_ttl?,
        max_checks: max_checks?,
        resend_after: resend_after?,
        default_locale: default_locale?,
        custom_code: custom_code?,
        autofill: autofill?,
        steps: steps
            .into_iter()
            .collect::<Option<_>>()
            .filter(|steps: &Vec<ProfileStep>| !steps.is_empty())?,
    };
    for step in &profile.steps {
        warn_of_segments(&steps_slot, &profile, step, known);
    }
    Some(profile)
}

/// `Some(None)` if the profile has none.
fn autofill(section: &mut Section<'_>) -> Option<Option<Autofill>> {
    let web_otp = section.optional("web_otp_domain");
    let retriever = section.optional("sms_retriever_hash");
    if !web_otp.is_set() && !retriever.is_set() {
        return Some(None);
    }
    if web_otp.is_set() && retriever.is_set() {
        retriever.problem("not allowed together with web_otp_domain: both must be the last line of the text");
        return None;
    }
    if web_otp.is_set() {
        let domain = web_otp
            .text("a domain without scheme, port and path, such as \"example.com\"", |text| {
                is_domain(text).then(|| text.to_owned())
            });
        return Some(Some(Autofill::WebOtp(domain?)));
    }
    let hash = retriever.text("the 11 characters of the app's hash, such as \"+sR1l3SmHwk\"", |text| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
        (text.len() == 11 && text.bytes().all(fits)).then(|| text.to_owned())
    });
    Some(Some(Autofill::SmsRetriever(hash?)))
}

/// Labels of letters, digits and hyphens (RFC 1123); at least two of them, or `localhost`.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let allowed = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && allowed && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label) && (text.contains('.') || text == "localhost")
}

fn warn_of_segments(slot: &Slot<'_>, profile: &Profile, step: &ProfileStep, known: &StepTargets) {
    let StepContent::Text(name) = &step.content else { return };
    let Some(Some(text)) = known.texts.get(name) else { return };
    for (locale, cost) in profile.costs(text) {
        if cost.segments == 1 {
            continue;
        }
        let why = match &cost.encoding {
            Encoding::Gsm7 => String::new(),
            Encoding::Ucs2 { because } => {
                let letters: String = because.iter().take(10).collect();
                format!(", because GSM-7 lacks {letters:?}")
            }
        };
        slot.warning(format!(
            "text \"{name}\" in {locale} takes {} SMS segments, each charged: {} characters of {}{why}",
            cost.segments,
            cost.units,
            cost.encoding.as_str()
        ));
    }
}

fn durations(slot: &Slot<'_>) -> Option<Vec<Duration>> {
    let slots = slot.list("a list of 0 to 10 durations, such as [\"30s\", \"60s\"]", 0..=10)?;
    let durations: Vec<_> = slots.iter().map(|slot| slot.duration(Duration::ZERO..=10 * MINUTE)).collect();
    durations.into_iter().collect()
}

/// The steps as far as they are valid, so that the rules between them are still checked. A missing list has been
/// reported.
fn steps(slot: &Slot<'_>, known: &StepTargets) -> Vec<Option<ProfileStep>> {
    let allowed = "a list of 1 to 8 steps, such as { channel = \"sms\", text = \"otp\" }";
    let slots = slot.list(allowed, 1..=8).unwrap_or_default();
    let steps = slots.iter().enumerate().map(|(index, slot)| {
        let is_last = index + 1 == slots.len();
        step(slot, known, if is_last { Deadline::Forbidden } else { Deadline::Required })
    });
    steps.collect()
}

/// Whether another step follows.
#[derive(Clone, Copy)]
enum Deadline {
    Required,
    Forbidden,
}

fn step(slot: &Slot<'_>, known: &StepTargets, deadline: Deadline) -> Option<ProfileStep> {
    let mut section = slot.table("a table, such as { channel = \"sms\", text = \"otp\" }")?;
    let channel_slot = section.required("channel");
    let channel = channel_slot.reference("channels", known.channels.keys());
    let carried =
        channel.as_ref().and_then(|name| known.channels.get(name)).and_then(|channel| channel.content);
    let template_slot = section.optional("template");
    let text_slot = section.optional("text");
    let within_slot = section.optional("deliver_within");
    let within = within_slot.duration(100 * MILLISECOND..=10 * MINUTE);
    let content = content(&section, carried, &template_slot, &text_slot, known);
    match deadline {
        Deadline::Required if !within_slot.is_set() => {
            within_slot.problem("missing; only the last step has no deadline, such as \"30s\"");
        }
        Deadline::Forbidden if within_slot.is_set() => {
            within_slot.problem("not allowed on the last step: there is no next step");
        }
        Deadline::Required | Deadline::Forbidden => {}
    }
    if carried.is_some_and(|(_, carries)| matches!(carries, Carries::Template | Carries::ById)) {
        warn_of_double_delivery(&within_slot, within);
    }
    section.end();
    Some(ProfileStep { channel: channel?, content: content?, deliver_within: within })
}

/// The content that the channel's kind requires; rejects any other.
fn content(
    section: &Section<'_>,
    carried: Option<(Kind, Carries)>,
    template: &Slot<'_>,
    text: &Slot<'_>,
    known: &StepTargets,
) -> Option<StepContent> {
    let Some((kind, carries)) = carried else {
        if !template.is_set() && !text.is_set() {
            section.problem("needs a template (kind \"meta\") or a text (kind \"http\")");
        }
        template.reference("templates", known.templates.keys());
        text.reference("texts", known.texts.keys());
        return None;
    };
    let (wanted, other, name) = match carries {
        Carries::Template => (template, text, "template"),
        Carries::Text => (text, template, "text"),
        Carries::ById => {
            let kind = kind.as_str();
            for slot in [template, text].into_iter().filter(|slot| slot.is_set()) {
                slot.problem(format!("not allowed on a channel of kind \"{kind}\" that has its own content"));
            }
            return Some(StepContent::ById);
        }
    };
    let kind = kind.as_str();
    if other.is_set() {
        other.problem(format!("not allowed on a channel of kind \"{kind}\", which sends a {name}"));
    } else if !wanted.is_set() {
        section.problem(format!("{name} is missing; a channel of kind \"{kind}\" sends one of [{name}s]"));
    }
    let template = template.reference("templates", known.templates.keys());
    let text = text.reference("texts", known.texts.keys());
    match carries {
        Carries::Template => template.map(StepContent::Template),
        Carries::Text => text.map(StepContent::Text),
        Carries::ById => Some(StepContent::ById),
    }
}

impl Slot<'_> {
    /// The name of an entry of `section`.
    fn reference<'k>(&self, section: &str, known: impl Iterator<Item = &'k String>) -> Option<String> {
        let known: Vec<&str> = known.map(String::as_str).collect();
        let names = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
        let allowed = format!("the name of one of [{section}]: {names}");
        let name = self.raw_text(&allowed)?;
        if !known.contains(&name) {
            self.problem(format!("must be {allowed}{}", suggestion(name, known)));
            return None;
        }
        self.show(name.into());
        Some(name.to_owned())
    }
}

/// Meta gives up on an authentication template after 30 to 900 s (template time-to-live page, April 2026). After a
/// shorter step the message may therefore arrive in addition to the fallback's. No step may exceed 10 minutes, so the
/// upper bound needs no check.
fn warn_of_double_delivery(slot: &Slot<'_>, within: Option<Duration>) {
    if within.is_some_and(|within| within < 30 * SECOND) {
        slot.warning(
            "WhatsApp keeps trying for at least 30 s (a template's time-to-live is 30 to 900 s), so after a \
             shorter deadline people may get the code twice",
        );
    }
}

/// The content of all steps must exist in the default locale.
fn check_locale<'s>(
    slot: &Slot<'_>,
    locale: &str,
    steps: impl Iterator<Item = &'s ProfileStep>,
    known: &StepTargets,
) {
    let mut reported = BTreeSet::new();
    for step in steps {
        let (what, name, locales) = match &step.content {
            StepContent::Template(name) => {
                let template = known.templates.get(name).and_then(Option::as_ref);
                ("template", name, template.map(|template| &template.locales))
            }
            StepContent::Text(name) => {
                let text = known.texts.get(name).and_then(Option::as_ref);
                ("text", name, text.map(|text| &text.locales))
            }
            StepContent::ById => {
                let channel = known.channels.get(&step.channel).and_then(|channel| channel.read.as_ref());
                ("channel", &step.channel, channel.and_then(|channel| channel.kind.contents()))
            }
        };
        let Some(locales) = locales.filter(|locales| look_up(locales, locale).is_none()) else { continue };
        if reported.insert((what, name)) {
            let there: Vec<&str> = locales.keys().map(String::as_str).collect();
            let there = there.join(", ");
            slot.problem(format!("must be a locale that {what} \"{name}\" has too: {there}"));
        }
    }
}

fn check_deadlines<'s>(slot: &Slot<'_>, code_ttl: Duration, steps: impl Iterator<Item = &'s ProfileStep>) {
    let total: Duration = steps.filter_map(|step| step.deliver_within).sum();
    let (shown, ttl) = (format_duration(total), format_duration(code_ttl));
    if total > code_ttl {
        slot.problem(format!("the deadlines add up to {shown}, which must not exceed code_ttl, {ttl}"));
    } else if total == code_ttl {
        slot.warning(format!("the last step would start when the code expires, after {ttl}"));
    }
}
