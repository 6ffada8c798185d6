//! `[console]` and its users.

use std::collections::BTreeSet;

use argon2::Algorithm;
use argon2::password_hash::phc::PasswordHash;
use secrecy::ExposeSecret;

use super::Console;
use super::reader::{Section, Slot};
use super::values::{Address, SecretRule};
use crate::access::{App, Role, User};
use crate::language::Language;
use crate::phone::HomeCountry;
use crate::verification::values::{AppName, UserName};

const USERS: &str = "a list of at most 1000 tables: [[console.users]] with name, role and password_hash";
const USER_NAME: &str = "1 to 64 of a-z, 0-9, . _ and -";

/// `apps` are the valid names in a user's `apps`; `None` if they are unknown because of an error.
pub(super) fn console(mut section: Section<'_>, apps: Option<&[App]>) -> Option<Console> {
    let public_url = section.defaulted("public_url").url(Address::Ours);
    let time_zone = section.defaulted("time_zone");
    let time_zone = time_zone.text("the name of a time zone, such as \"UTC\" or \"Europe/Berlin\"", |name| {
        jiff::tz::TimeZone::get(name).ok().map(|_| name.to_owned())
    });
    let home_slot = section.optional("home_country");
    let home_country = if home_slot.is_set() { home_country(&home_slot).map(Some) } else { Some(None) };
    let users = section.optional("users");
    let users = if users.is_set() { read_users(&users, apps) } else { Some(Vec::new()) };
    section.end();
    Some(Console {
        public_url: public_url?,
        time_zone: time_zone?,
        home_country: home_country?,
        users: users?,
    })
}

/// An ISO 3166 code. Lower case and common wrong forms lead to a suggestion.
fn home_country(slot: &Slot<'_>) -> Option<HomeCountry> {
    const ALLOWED: &str = "the two-letter code of a country (ISO 3166), such as \"DE\" or \"US\"";
    let text = slot.raw_text(ALLOWED)?;
    let Some(home) = HomeCountry::parse(text) else {
        let upper = text.trim().to_ascii_uppercase();
        let meant = match &*upper {
            "UK" => Some("GB".to_owned()),
            _ if HomeCountry::parse(&upper).is_some() => Some(upper),
            // `DEU`, `Germany`: the first two letters are usually right, and the message says what is allowed.
            _ => HomeCountry::all().into_iter().find(|code| upper.len() > 2 && upper.starts_with(&**code)),
        };
        let suggestion = meant.map(|code| format!("; did you mean \"{code}\"?")).unwrap_or_default();
        slot.problem(format!("must be {ALLOWED}{suggestion}"));
        return None;
    };
    slot.show(text.into());
    Some(home)
}

fn read_users(slot: &Slot<'_>, apps: Option<&[App]>) -> Option<Vec<User>> {
    let mut users: Vec<User> = Vec::new();
    let mut complete = true;
    for slot in slot.list(USERS, 0..=1000)? {
        match user(&slot, &users, apps) {
            Some(user) => users.push(user),
            None => complete = false,
        }
    }
    complete.then_some(users)
}

fn user(slot: &Slot<'_>, before: &[User], apps: Option<&[App]>) -> Option<User> {
    let mut section = slot.table("a table: [[console.users]] with name, role and password_hash")?;
    let name_slot = section.required("name");
    let name = name_slot.text(USER_NAME, |name| UserName::parse(name).ok());
    if let Some(name) = &name
        && before.iter().any(|user| user.name == *name)
    {
        name_slot.problem("another user has this name; names must be unique");
    }
    let role = section.required("role").choice(&[
        ("viewer", Role::Viewer),
        ("support", Role::Support),
        ("operator", Role::Operator),
    ]);
    let hash_slot = section.required("password_hash");
    let password_hash = hash_slot.secret(SecretRule::PASSWORD_HASH);
    if let Some(hash) = &password_hash
        && !hash.expose_secret().is_empty()
        && !is_argon2id(hash.expose_secret())
    {
        hash_slot.problem("must be an argon2id hash; `twotick user hash` creates one");
        return None;
    }
    let language_slot = section.optional("language");
    let language = if language_slot.is_set() {
        Some(language_slot.choice(&[("en", Language::English), ("de", Language::German)])?)
    } else {
        None
    };
    let apps_slot = section.optional("apps");
    let apps = if apps_slot.is_set() { Some(bound_to(&apps_slot, apps)?) } else { None };
    section.end();
    Some(User { name: name?, role: role?, password_hash: password_hash?, language, apps })
}

fn is_argon2id(text: &str) -> bool {
    let Ok(hash) = PasswordHash::new(text) else { return false };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str());
    let is_whole = hash.salt.is_some() && hash.hash.is_some();
    algorithm == Ok(Algorithm::Argon2id) && is_whole && argon2::Params::try_from(&hash).is_ok()
}

/// The names in `apps = [...]`; each must be an app's.
fn bound_to(slot: &Slot<'_>, known: Option<&[App]>) -> Option<BTreeSet<AppName>> {
    let mut names = BTreeSet::new();
    let mut complete = true;
    for slot in slot.list("a list of 1 to 1000 names of [[apps]]", 1..=1000)? {
        let name = slot.text("the name of one of [[apps]]", |name| {
            let is_known = known.is_none_or(|apps| apps.iter().any(|app| app.name.as_str() == name));
            is_known.then(|| AppName::new(name))
        });
        match name {
            Some(name) => drop(names.insert(name)),
            None => complete = false,
        }
    }
    complete.then_some(names)
}
