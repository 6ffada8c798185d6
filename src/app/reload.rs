//! Reloading the configuration of a running server. Apps with their keys, channels with their secrets, console users
//! and texts take effect at once for new work; all else needs a restart. An invalid configuration changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web;
use sd_notify::NotifyState;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{StartError, app_names, by_text, channels, notify, profiles};
use crate::changing::Changing;
use crate::config::{self, Config, Loaded, StepContent};
use crate::console::Console;
use crate::courier::Channels;
use crate::http::Shared;

/// The parts that can be replaced.
#[derive(Clone)]
pub struct Changeable {
    pub http: web::Data<Shared>,
    pub console: web::Data<Console>,
    pub channels: Arc<Changing<Channels>>,
}

/// Applies changed configurations to a running server.
pub struct Reloader {
    changeable: Changeable,
    running: Mutex<Loaded>,
}

/// Result of a reload: keys and names, never values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    pub changed: Vec<String>,
    /// Keys that differ from the running configuration and need a restart.
    pub waiting: Vec<String>,
}

impl Reloader {
    pub fn new(changeable: Changeable, loaded: Loaded) -> Self {
        Self { changeable, running: Mutex::new(loaded) }
    }

    /// Applies the configuration that `read` returns, as far as possible without a restart, and notifies systemd and
    /// the log. Changes nothing if `read` fails. Blocks on the disk.
    pub fn reload<E: std::fmt::Display>(&self, read: impl FnOnce() -> Result<Loaded, E>) {
        let begun = NotifyState::monotonic_usec_now().map(|now| vec![NotifyState::Reloading, now]);
        notify(&begun.unwrap_or_else(|_| vec![NotifyState::Reloading]));
        let done = match read() {
            Ok(loaded) => self.follow(loaded).map_err(|error| error.to_string()),
            Err(problems) => Err(problems.to_string()),
        };
        match done {
            Ok(Reloaded { changed, waiting }) => {
                tracing::info!(changed = changed.join(", "), "configuration reloaded");
                if !waiting.is_empty() {
                    tracing::warn!(keys = waiting.join(", "), "changed keys that need a restart");
                }
            }
            Err(problems) => {
                let problems = problems.replace('\n', "; ");
                tracing::error!(problems, "invalid configuration; keeping the running one");
            }
        }
        notify(&[NotifyState::Ready]);
    }

    /// Applies a valid configuration.
    fn follow(&self, loaded: Loaded) -> Result<Reloaded, StartError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (config, reloaded) = merged(&running, &loaded);
        let of_channels = reloaded.changed.iter().any(|name| name.starts_with("channels."));
        let new_channels = of_channels.then(|| channels(&config)).transpose()?;
        let Changeable { http, console, channels } = &self.changeable;
        http.admit(&config.apps);
        http.profiles.change_to(profiles(&config));
        if let Some(new_channels) = new_channels {
            http.channels.change_to(by_text(&new_channels));
            channels.change_to(new_channels);
        }
        console.apps.change_to(app_names(&config));
        if reloaded.changed.iter().any(|name| name.starts_with("console.users")) {
            console.admit(config.console.users.clone());
        }
        // Keys already applied are not reported again; those that need a restart are, until it happens.
        let waits = |key: &String| reloaded.waiting.contains(key);
        running.take_over(&loaded, |key| !waits(key));
        running.config = config;
        Ok(reloaded)
    }
}

/// The new effective configuration, and its differences from the running one.
fn merged(running: &Loaded, loaded: &Loaded) -> (Config, Reloaded) {
    let (old, new) = (&running.config, &loaded.config);
    let mut config = old.clone();
    let mut told = Reloaded::default();
    config.apps = new.apps.clone();
    told.changed.extend(changes(
        "apps",
        old.apps.iter().map(|app| (app.name.as_str(), app)),
        new.apps.iter().map(|app| (app.name.as_str(), app)),
        |old, new| all_same(&old.api_keys, &new.api_keys),
    ));
    config.console.users = new.console.users.clone();
    told.changed.extend(changes(
        "console.users",
        old.console.users.iter().map(|user| (user.name.as_str(), user)),
        new.console.users.iter().map(|user| (user.name.as_str(), user)),
        |old, new| {
            (old.role, old.language, &old.apps) == (new.role, new.language, &new.apps)
                && same(&old.password_hash, &new.password_hash)
        },
    ));
    let (changed, kept) = take_texts(&mut config, new);
    told.changed.extend(changed);

    let swapped = take_channels(&mut config, new);
    let is_of = |table: &str, key: &str| {
        key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    for key in running.differences(loaded) {
        let of_channel = swapped.iter().any(|name| is_of(&format!("channels.{name}"), &key));
        if of_channel && !key.ends_with(".messages_per_second") {
            told.changed.push(key);
        } else if !["apps", "console.users", "texts"].iter().any(|table| is_of(table, &key)) {
            told.waiting.push(key);
        }
    }
    told.waiting.extend(kept);
    (config, told)
}

/// Names of added, removed and changed entries.
fn changes<'c, T: 'c>(
    table: &str,
    old: impl Iterator<Item = (&'c str, &'c T)>,
    new: impl Iterator<Item = (&'c str, &'c T)>,
    is_same: impl Fn(&T, &T) -> bool,
) -> Vec<String> {
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) = (old.collect(), new.collect());
    let names: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
    let change = |name: &str| match (old.get(name), new.get(name)) {
        (Some(old), Some(new)) if is_same(old, new) => None,
        (Some(_), Some(_)) => Some(format!("{table}.{name}")),
        (None, _) => Some(format!("{table}.{name} (new)")),
        (Some(_), None) => Some(format!("{table}.{name} (removed)")),
    };
    names.into_iter().filter_map(change).collect()
}

/// Takes over the new version of each channel whose kind is unchanged, except its rate, which belongs to the store.
/// Returns their names.
fn take_channels(config: &mut Config, new: &Config) -> Vec<String> {
    let mut taken = Vec::new();
    for (name, channel) in &mut config.channels {
        let Some(new) = new.channels.get(name) else { continue };
        if new.kind.kind() == channel.kind.kind() && still_sends(channel, new) {
            let messages_per_second = channel.messages_per_second;
            *channel = config::Channel { messages_per_second, ..new.clone() };
            taken.push(name.clone());
        }
    }
    taken
}

/// Whether the running steps still fit the new channel: they name a text or a template, or neither.
fn still_sends(old: &config::Channel, new: &config::Channel) -> bool {
    match (old.kind.contents(), new.kind.contents()) {
        (None, None) => true,
        (Some(old), Some(new)) => old.keys().all(|locale| new.contains_key(locale)),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Takes over the texts. Returns the changed ones, and those kept because an unchanged profile needs them.
fn take_texts(config: &mut Config, new: &Config) -> (Vec<String>, Vec<String>) {
    let (mut changed, mut kept) = (Vec::new(), Vec::new());
    let names: BTreeSet<String> = config.texts.keys().chain(new.texts.keys()).cloned().collect();
    for name in names {
        let content = StepContent::Text(name.clone());
        let users = config
            .profiles
            .values()
            .filter(|profile| profile.steps.iter().any(|step| step.content == content));
        let needed: Vec<&String> = users.map(|profile| &profile.default_locale).collect();
        match new.texts.get(&name) {
            Some(text) if needed.iter().all(|locale| text.locales.contains_key(*locale)) => {
                let is_new = config.texts.get(&name).is_none_or(|old| old.locales != text.locales);
                if is_new {
                    config.texts.insert(name.clone(), text.clone());
                    changed.push(format!("texts.{name}"));
                }
            }
            None if needed.is_empty() => {
                config.texts.remove(&name);
                changed.push(format!("texts.{name} (removed)"));
            }
            Some(_) | None => kept.push(format!("texts.{name}")),
        }
    }
    (changed, kept)
}

fn same(old: &SecretString, new: &SecretString) -> bool {
    old.expose_secret().as_bytes().ct_eq(new.expose_secret().as_bytes()).into()
}

fn all_same(old: &[SecretString], new: &[SecretString]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| same(old, new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn config(of_channel: &str, of_step: &str) -> Config {
        let text = format!(
            r#"
            [[apps]]
            name = "shop"
            api_keys = ["a-key-of-the-shop-1"]
            [channels.wa]
            kind = "twilio"
            account_sid = "AC00"
            auth_tokens = ["token"]
            from = "+14155550199"
            via = "whatsapp"
            {of_channel}
            [profiles.login]
            brand = "Acme"
            steps = [{{ channel = "wa"{of_step} }}]
            [texts.otp]
            en = "{{code}}"
            "#
        );
        Config::parse(&text, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Steps change only with a restart, and a step without content for its channel would be dropped.
    #[test]
    fn a_channel_that_running_steps_could_not_use_is_not_replaced() {
        let (en, both) = (r#"content_sids = { en = "HX1" }"#, r#"content_sids = { en = "HX2", de = "HX3" }"#);
        let text = r#", text = "otp""#;
        for (old, new, is_taken) in [
            (config("", text), config("", text), true),
            (config(en, ""), config(both, ""), true),
            (config(both, ""), config(en, ""), false),
            (config(en, ""), config("", text), false),
            (config("", text), config(en, ""), false),
        ] {
            let mut config = old.clone();
            let taken = take_channels(&mut config, &new);
            assert_eq!(taken, if is_taken { vec!["wa".to_owned()] } else { vec![] });
            let counts = if is_taken { &new } else { &old };
            assert_eq!(config.channels["wa"].kind.contents(), counts.channels["wa"].kind.contents());
        }
    }
}
