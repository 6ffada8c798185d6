//! The sections of the file, each read into its struct. `profiles` has the rules between sections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::channels::{KnownChannel, channels};
use super::console::console;
use super::problem::printable;
use super::profiles::profiles;
use super::reader::{Section, Slot};
use super::tree::Table;
use super::values::{Address, SecretRule};
use super::{Backend, Button, Config, Keys, Server, Store, Template, Text};
use crate::access::App;
use crate::retention::Retention;
use crate::texts;
use crate::verification::locale::canonical;
use crate::verification::values::AppName;

const DAY: Duration = Duration::from_secs(86_400);

/// Reads everything, to find all problems; `None` if there was one.
pub(super) fn config(mut root: Section<'_>, built_in: &Table) -> Option<Config> {
    let server = root.defaulted_table("server").and_then(server);
    let store = root.defaulted_table("store").and_then(store);
    let keys = root.defaulted_table("keys").and_then(keys);
    let retention = root.defaulted_table("retention").and_then(retention);
    let console_section = root.defaulted_table("console");
    let apps = apps(&root.required("apps"));
    let console = console_section.and_then(|section| console(section, apps.as_deref()));
    let channels = root
        .required("channels")
        .table("a table: at least one [channels.NAME]")
        .map(|s| channels(s, built_in));
    let profiles_slot = root.required("profiles");
    let templates = optional_entries(&root.optional("templates"), "a table: [templates.NAME]", template);
    let mut wordings = optional_entries(&root.optional("texts"), "a table: [texts.NAME]", text);
    let built_in_text = || Some(Text { locales: texts::built_in().clone() });
    wordings.entry(texts::BUILT_IN.to_owned()).or_insert_with(built_in_text);
    let known = StepTargets { channels: channels.unwrap_or_default(), templates, texts: wordings };
    let profiles = profiles(&profiles_slot, &known, built_in);
    root.end();
    Some(Config {
        server: server?,
        store: store?,
        keys: keys?,
        retention: retention?,
        console: console?,
        apps: apps?,
        channels: all(known.channels.into_iter().map(|(name, channel)| (name, channel.read)))?,
        profiles: profiles?,
        templates: all(known.templates)?,
        texts: all(known.texts)?,
    })
}

/// Entries that the steps of a profile may refer to. Invalid entries are included by name, so that a mistake is
/// reported once.
pub(super) struct StepTargets {
    pub(super) channels: BTreeMap<String, KnownChannel>,
    pub(super) templates: BTreeMap<String, Option<Template>>,
    pub(super) texts: BTreeMap<String, Option<Text>>,
}

/// All entries, if all are valid.
pub(super) fn all<T>(entries: impl IntoIterator<Item = (String, Option<T>)>) -> Option<BTreeMap<String, T>> {
    entries.into_iter().map(|(name, entry)| Some((name, entry?))).collect()
}

/// Whether this is a valid name of an app, profile, template or text.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

pub(super) const NAME: &str = "1 to 64 of A-Z, a-z, 0-9, _ . and -";

fn server(mut section: Section<'_>) -> Option<Server> {
    let listen = section.defaulted("listen").address();
    let admin = section.defaulted("admin_listen");
    let admin_listen = admin.address();
    if let (Some(a), Some(b)) = (listen, admin_listen)
        && clash(a, b)
    {
        admin.problem("must differ from listen in address or port (port 0: any free one)");
    }
    let public_url = section.defaulted("public_url").url(Address::Ours);
    let max_connections = section.defaulted("max_connections").integer(100..=1_000_000);
    let waiting = section.defaulted("max_waiting_per_app");
    let max_waiting_per_app = waiting.integer(1..=1_000_000);
    if let (Some(most), Some(of_app)) = (max_connections, max_waiting_per_app)
        && !waiting.is_default()
        && of_app > most - most / 8
    {
        waiting
            .warning(format!("the effective limit is {}, seven eighths of max_connections", most - most / 8));
    }
    let admin_hosts = hosts(&section.defaulted("admin_hosts"));
    section.end();
    Some(Server {
        listen: listen?,
        admin_listen: admin_listen?,
        public_url: public_url?,
        max_connections: max_connections?,
        max_waiting_per_app: max_waiting_per_app?,
        admin_hosts: admin_hosts?,
    })
}

fn hosts(slot: &Slot<'_>) -> Option<Vec<String>> {
    let slots = slot.list("a list of 0 to 32 names of hosts, such as [\"metrics.internal\"]", 0..=32)?;
    let hosts: Vec<_> = slots
        .iter()
        .map(|slot| {
            slot.text("the name or IP address of a host, without a port", |text| {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                let is_name = (1..=253).contains(&text.len()) && text.bytes().all(fits);
                (is_name || text.parse::<std::net::Ipv6Addr>().is_ok()).then(|| text.to_ascii_lowercase())
            })
        })
        .collect();
    hosts.into_iter().collect()
}

fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_ip
}

fn store(mut section: Section<'_>) -> Option<Store> {
    let backend = section.defaulted("backend");
    let backend = backend.text("\"sled\" (\"postgres\" comes later)", |name| match name {
        "sled" => Some(Backend::Sled),
        _ => None,
    });
    let path = section.defaulted("path").path();
    let alarm_gib: Option<u32> = section.defaulted("alarm_gib").integer(1..=100_000);
    section.end();
    Some(Store { backend: backend?, path: path?, alarm_bytes: u64::from(alarm_gib?) << 30 })
}

fn keys(mut section: Section<'_>) -> Option<Keys> {
    let master = section.defaulted("master").master_key();
    section.end();
    Some(Keys { master: master? })
}

fn retention(mut section: Section<'_>) -> Option<Retention> {
    let range = DAY..=3650 * DAY;
    let personal = section.defaulted("personal").duration(range.clone());
    let timelines_slot = section.defaulted("timelines");
    let timelines = timelines_slot.duration(range.clone());
    let audit = section.defaulted("audit").duration(range);
    section.end();
    if personal.zip(timelines).is_some_and(|(personal, timelines)| timelines < personal) {
        timelines_slot
            .problem("must be at least as long as personal: a number cannot be found without its timeline");
        return None;
    }
    Some(Retention { personal: personal?, timelines: timelines?, audit: audit? })
}

fn apps(slot: &Slot<'_>) -> Option<Vec<App>> {
    // Every request compares its key with all of them.
    let slots = slot.list("a list of 1 to 1000 tables: [[apps]] with name and api_keys", 1..=1000)?;
    let mut apps: Vec<App> = Vec::new();
    let mut complete = true;
    for slot in slots {
        match app(&slot, &apps) {
            Some(app) => apps.push(app),
            None => complete = false,
        }
    }
    complete.then_some(apps)
}

fn app(slot: &Slot<'_>, before: &[App]) -> Option<App> {
    let mut section = slot.table("a table: [[apps]] with name and api_keys")?;
    let name_slot = section.required("name");
    let name = name_slot.text(NAME, |name| is_name(name).then(|| AppName::new(name)));
    if let Some(name) = &name
        && before.iter().any(|app| app.name == *name)
    {
        name_slot.problem("another app has this name; names must be unique");
    }
    let keys_slot = section.required("api_keys");
    let keys = secrets(&keys_slot, SecretRule::API_KEY, |slot, key| {
        // Empty if missing and not needed.
        let same = |other: &SecretString| {
            other.expose_secret() == key.expose_secret() && !key.expose_secret().is_empty()
        };
        if let Some(other) = before.iter().find(|app| app.api_keys.iter().any(same)) {
            slot.problem(format!("the same key as one of app \"{}\"; keys must be unique", other.name));
        }
    });
    section.end();
    Some(App { name: name?, api_keys: keys? })
}

/// Several secrets that are valid at once, for rotation; `inspect` sees each of them.
pub(super) fn secrets(
    slot: &Slot<'_>,
    rule: SecretRule,
    inspect: impl Fn(&Slot<'_>, &SecretString),
) -> Option<Vec<SecretString>> {
    let slots = slot.list("a list of 1 to 16 secrets, such as [{ env = \"NAME\" }]", 1..=16)?;
    // Collected first, so that all invalid ones are reported.
    let secrets: Vec<_> =
        slots.iter().map(|slot| slot.secret(rule).inspect(|secret| inspect(slot, secret))).collect();
    secrets.into_iter().collect()
}

/// Entries of an optional table, with valid names.
fn optional_entries<T>(
    slot: &Slot<'_>,
    allowed: &str,
    read: impl Fn(&Slot<'_>) -> Option<T>,
) -> BTreeMap<String, Option<T>> {
    let Some(section) = slot.table(allowed) else { return BTreeMap::new() };
    let entries = section.entries().into_iter().map(|(name, slot)| {
        if !is_name(&name) {
            slot.problem(format!("the name must be {NAME}"));
        }
        (name, read(&slot))
    });
    entries.collect()
}

fn template(slot: &Slot<'_>) -> Option<Template> {
    let mut section = slot.table("a table: [templates.NAME] with locales and button")?;
    let languages = section.optional("locales");
    let locales = if languages.is_set() {
        let languages = languages.table("a table, such as { en = \"en_US\", de = \"de\" }");
        languages.and_then(|languages| locales(&languages, meta_language))
    } else {
        Some(texts::meta_languages())
    };
    let button = section.required("button").choice(&[
        ("copy_code", Button::CopyCode),
        ("one_tap", Button::OneTap),
        ("zero_tap", Button::ZeroTap),
    ]);
    section.end();
    Some(Template { locales: locales?, button: button? })
}

fn meta_language(slot: &Slot<'_>) -> Option<String> {
    slot.text("the template's language code at Meta, such as \"en_US\"", |text| {
        let fits = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        ((2..=10).contains(&text.len()) && text.bytes().all(fits)).then(|| text.to_owned())
    })
}

fn text(slot: &Slot<'_>) -> Option<Text> {
    let section = slot.table("a table: [texts.NAME] with a text for each locale")?;
    Some(Text { locales: locales(&section, wording)? })
}

/// Values of a table by locale.
pub(super) fn locales(
    section: &Section<'_>,
    read: impl Fn(&Slot<'_>) -> Option<String>,
) -> Option<BTreeMap<String, String>> {
    let entries = section.entries();
    if entries.is_empty() {
        section.problem("must have at least one locale, such as en");
        return None;
    }
    let mut spelled = BTreeMap::<String, String>::new();
    let read: Vec<_> = entries
        .into_iter()
        .map(|(locale, slot)| {
            if !is_locale(&locale) {
                slot.problem("the key must be a locale, such as en, de or pt-BR");
            } else if let Some(first) = spelled.insert(canonical(&locale), locale.clone()) {
                slot.problem(format!("is the same locale as {first}; case, - and _ make no difference"));
            }
            (locale, read(&slot))
        })
        .collect();
    all(read)
}

/// Whether this is a language tag as apps send it, such as `en` or `pt-BR`.
pub(super) fn is_locale(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (2..=35).contains(&text.len()) && text.bytes().all(allowed)
}

const PLACEHOLDERS: [&str; 3] = ["{code}", "{brand}", "{minutes}"];

fn wording(slot: &Slot<'_>) -> Option<String> {
    // Ten SMS segments hold 1530 characters in GSM 7-bit and 670 in UCS-2; more would be a mistake.
    const LONGEST: usize = 670;
    let allowed = format!("a text of 1 to {LONGEST} characters that contains {{code}}");
    let text = slot.text(&allowed, |text| {
        let fits = (1..=LONGEST).contains(&text.chars().count()) && text.contains("{code}");
        fits.then(|| text.to_owned())
    })?;
    let rest = PLACEHOLDERS.iter().fold(text.clone(), |rest, placeholder| rest.replace(placeholder, ""));
    let Some(brace) = rest.find(['{', '}']) else { return Some(text) };
    let unknown = rest[brace..].split_inclusive('}').next().unwrap_or_default();
    let unknown = if unknown.starts_with('{') && unknown.ends_with('}') { unknown } else { "a single brace" };
    let suggestion = super::problem::suggestion(unknown, PLACEHOLDERS);
    slot.problem(format!(
        "unknown placeholder {}; allowed: {}{suggestion}",
        printable(unknown),
        PLACEHOLDERS.join(", ")
    ));
    None
}
