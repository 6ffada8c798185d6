//! Warnings about valid settings that are probably mistakes.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use super::problem::{Origin, Problem};
use super::reader::Findings;
use super::values::is_loopback;
use super::{Config, Source, StepContent};

/// Variables that twotick reads besides `TWOTICK__…`.
const READ: [&str; 4] = ["TWOTICK_CONFIG", "TWOTICK_URL", "TWOTICK_API_KEY", "TWOTICK_LOG"];
const PREFIX: &str = "TWOTICK";
const LONGEST: usize = 128;
/// Similarity from which a name counts as misspelt: one error in ten letters.
const ALIKE: f64 = 0.9;

pub(super) fn find(config: &Config, findings: &Findings<'_>, source: &Source<'_>) {
    let warn = |key: &str, text: String| {
        let shown = findings.shown.borrow();
        let below = |known: &str| {
            known.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let origin = shown.iter().find(|one| below(&one.key)).map(|one| one.origin.clone());
        let problem = Problem { origin: origin.unwrap_or(Origin::Flag), key: key.to_owned(), text };
        findings.warnings.borrow_mut().push(problem);
    };
    unreachable_webhooks(config, &warn);
    open_admin_listener(config, &warn);
    unused(config, &warn);
    for (name, meant) in misspelt(findings, source) {
        let text = format!("has no effect; did you mean {meant}?");
        let origin = Origin::Environment { name };
        findings.warnings.borrow_mut().push(Problem { origin, key: String::new(), text });
    }
}

/// Meta cannot reach a loopback address, so no report would ever arrive.
fn unreachable_webhooks(config: &Config, warn: &dyn Fn(&str, String)) {
    let is_local = Url::parse(&config.server.public_url).is_ok_and(|url| is_loopback(&url));
    let channels = config.channels.iter().filter(|(_, channel)| is_foreign(channel.kind.address()));
    let names: Vec<&str> = channels.map(|(name, _)| name.as_str()).collect();
    if is_local && !names.is_empty() {
        let names = names.join(", ");
        let text = format!(
            "is a loopback address, and {names} cannot report deliveries to it: every message would fall back at its \
             deadline. Set the https address at which the provider reaches /webhooks"
        );
        warn("server.public_url", text);
    }
}

/// Not loopback.
fn is_foreign(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| !is_loopback(&url))
}

fn open_admin_listener(config: &Config, warn: &dyn Fn(&str, String)) {
    let ip = config.server.admin_listen.ip();
    let whom = match ip {
        IpAddr::V4(ip) if is_private_v4(ip) => return,
        IpAddr::V6(ip) if is_private_v6(ip) => return,
        ip if ip.is_unspecified() => "listens on every address of this machine",
        _ => "is an address that other machines can reach",
    };
    let text = format!(
        "{whom}: console, metrics and alerts are open to everybody who can connect. Choose a loopback or private address, or \
         restrict access by a firewall"
    );
    warn("server.admin_listen", text);
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let is_shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
    ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    ip.is_loopback()
        || ip.is_unique_local()
        || ip.is_unicast_link_local()
        || ip.to_ipv4_mapped().is_some_and(is_private_v4)
}

/// The usual cause is a step that names something else.
fn unused(config: &Config, warn: &dyn Fn(&str, String)) {
    let steps = || config.profiles.values().flat_map(|profile| &profile.steps);
    let channels: BTreeSet<&str> = steps().map(|step| step.channel.as_str()).collect();
    let (mut templates, mut texts) = (BTreeSet::new(), BTreeSet::new());
    for step in steps() {
        match &step.content {
            StepContent::Template(name) => templates.insert(name.as_str()),
            StepContent::Text(name) => texts.insert(name.as_str()),
            StepContent::ById => continue,
        };
    }
    let unused = |table: &str, name: &str, used: &BTreeSet<&str>| {
        if !used.contains(name) {
            warn(&format!("{table}.{name}"), "is not used by any profile".to_owned());
        }
    };
    config.channels.keys().for_each(|name| unused("channels", name, &channels));
    config.templates.keys().for_each(|name| unused("templates", name, &templates));
    config.texts.keys().for_each(|name| unused("texts", name, &texts));
}

/// Variables without effect that resemble a known one, with that one.
fn misspelt(findings: &Findings<'_>, source: &Source<'_>) -> Vec<(String, String)> {
    let shown = findings.shown.borrow();
    // List elements are set with their list.
    let keys = shown.iter().map(|one| one.key.split('[').next().unwrap_or_default());
    let of_keys = keys.map(|key| format!("TWOTICK__{}", key.to_uppercase().replace('.', "__")));
    let read: BTreeSet<String> = of_keys.chain(READ.map(str::to_owned)).collect();
    let variables = findings.variables.borrow();
    let mut found = Vec::new();
    for name in source.environment.names() {
        let is_read = name.starts_with("TWOTICK__") || read.contains(name) || variables.contains(name);
        let bare = letters(name);
        // The comparison takes quadratic time, so only names with a similar prefix are compared.
        let begins = bare.get(..PREFIX.len()).unwrap_or_default();
        if is_read || bare.len() > LONGEST || strsim::damerau_levenshtein(begins, PREFIX) > 2 {
            continue;
        }
        let meant = read
            .iter()
            .map(|known| (strsim::normalized_damerau_levenshtein(&bare, &letters(known)), known))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .max_by(|(a, _), (b, _)| a.total_cmp(b));
        if let Some((_, known)) = meant {
            found.push((name.to_owned(), known.clone()));
        }
    }
    found
}

/// The letters and digits of a name.
fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
}
