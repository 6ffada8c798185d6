//! Whether everything that a server needs is there and answers: a look from outside, that changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::offline::{data_path, vault};
use super::{channels, door, needed_templates};
use crate::channel::Settings;
use crate::clock::Clock;
use crate::config::Config;
use crate::courier::Channels;
use crate::store::sled::{self, Chain, OpenError};
use crate::sweeps::NeededTemplate;
use crate::vault::Vault;
use crate::verification::values::Timestamp;

/// A provider that does not answer a plain request within this is not reachable.
const PATIENCE: Duration = Duration::from_secs(5);
/// No twotick was built before: 2026-01-01.
const NOT_BEFORE: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// What Meta says of a template that may be sent.
const APPROVED: &str = "APPROVED";

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `config`, `keys`, `clock`, `store`, `channel sms`, `template login_code/de`.
    pub what: String,
    pub health: Health,
    /// One line; never a secret.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Good,
    /// It works, but somebody should look.
    Doubtful,
    Wrong,
}

/// Looks at everything beside the configuration, which has been checked. Asks the providers, sends nothing.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let now = Clock::System.now();
    let path = data_path(config);
    // The key is made by the first start and by nothing else.
    let is_new = !path.join("db").exists();
    let vault = (!is_new).then(|| vault(config, path).map_err(|error| error.to_string()));
    let mut findings = vec![keys(vault.as_ref()), clock(vault.as_ref(), now)];
    findings.push(match vault {
        None => {
            doubtful("store", format!("there is no data in {} yet; the first start makes it", path.display()))
        }
        Some(Err(_)) => doubtful("store", "not looked at without its keys".to_owned()),
        Some(Ok(vault)) => store(config, vault).await,
    });
    match channels(config) {
        Ok(channels) => {
            for (name, kind) in config.channels.iter().map(|(name, channel)| (name, &channel.kind)) {
                findings.push(reachable(name, kind).await);
            }
            for (name, needed) in by_template(needed_templates(config)) {
                findings.extend(templates(&channels, &name, &needed).await);
            }
        }
        Err(error) => findings.push(wrong("channels", error.to_string())),
    }
    findings
}

fn keys(vault: Option<&Result<Vault, String>>) -> Finding {
    match vault {
        None => doubtful("keys", "none yet; the first start makes the master key".to_owned()),
        Some(Err(error)) => wrong("keys", error.clone()),
        Some(Ok(vault)) => good("keys", format!("the master key, and keys of {} days", vault.days().0)),
    }
}

fn clock(vault: Option<&Result<Vault, String>>, now: Timestamp) -> Finding {
    const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let youngest = vault.and_then(|vault| vault.as_ref().ok()).and_then(|vault| vault.days().1);
    match youngest {
        _ if now < NOT_BEFORE => {
            wrong("clock", format!("it says {now}, which was before there was this program"))
        }
        Some(youngest) if now + A_DAY < youngest => {
            wrong("clock", format!("it says {now}, but data were sealed on {youngest}"))
        }
        Some(_) | None => good("clock", now.to_string()),
    }
}

/// By the server that uses it, or by opening it.
async fn store(config: &Config, vault: Vault) -> Finding {
    let path = data_path(config).to_owned();
    if let Ok(Some((url, _))) = door::find(&path)
        && let Some(finding) = serving(config, &url).await
    {
        return finding;
    }
    let audited = tokio::task::spawn_blocking(move || sled::verify_audit(&path, vault.key_id())).await;
    match audited {
        Ok(Ok(Chain::Whole { records, .. })) => {
            good("store", format!("it opens; no server runs; audit entries, whole: {records}"))
        }
        Ok(Ok(Chain::Broken { seq, reason })) => {
            wrong("store", format!("the audit log is broken at number {seq}: {reason}"))
        }
        Ok(Err(OpenError::InUse { .. })) => doubtful("store", "in use by another process".to_owned()),
        Ok(Err(error)) => wrong("store", error.to_string()),
        Err(error) => wrong("store", error.to_string()),
    }
}

/// What a server that runs says of itself; `None`: none runs.
async fn serving(config: &Config, admin: &str) -> Option<Finding> {
    get(&format!("{admin}/metrics")).await.ok()?;
    if config.server.listen.port() == 0 {
        return Some(good("store", "a server runs on it".to_owned()));
    }
    let ready = get(&format!("http://{}/readyz", super::local(config.server.listen))).await;
    Some(match ready {
        Ok(200) => good("store", "a server runs on it and takes work".to_owned()),
        Ok(status) => wrong("store", format!("a server runs on it but takes no work: /readyz says {status}")),
        Err(error) => wrong("store", format!("a server runs on it but does not answer: {error}")),
    })
}

async fn reachable(name: &str, kind: &Settings) -> Finding {
    let what = format!("channel {name}");
    // Only its root: whatever it answers, it is there, and nothing is sent by that.
    let root = reqwest::Url::parse(kind.address()).and_then(|url| url.join("/")).map(|url| url.to_string());
    match root {
        Ok(root) => match get(&root).await {
            Ok(status) => good(&what, format!("{root} answers ({status})")),
            Err(error) => wrong(&what, format!("{root} cannot be reached: {error}")),
        },
        Err(error) => wrong(&what, error.to_string()),
    }
}

fn by_template(needed: Vec<NeededTemplate>) -> BTreeMap<String, Vec<NeededTemplate>> {
    let mut by_name: BTreeMap<String, Vec<NeededTemplate>> = BTreeMap::new();
    needed.into_iter().for_each(|one| by_name.entry(one.name.clone()).or_default().push(one));
    by_name
}

async fn templates(channels: &Channels, name: &str, needed: &[NeededTemplate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in needed {
        let what = format!("template {name}/{}", one.language);
        let Some(channel) = channels.get(&one.channel) else { continue };
        let Some(there) = channel.templates(name).await else { continue };
        findings.push(match there {
            Err(error) => wrong(&what, format!("Meta does not say: {error}")),
            Ok(there) => match there.iter().find(|template| template.language == one.language) {
                Some(template) if template.status == APPROVED => good(&what, "approved".to_owned()),
                Some(template) => wrong(&what, format!("{} at Meta, not {APPROVED}", template.status)),
                None => wrong(&what, "it does not exist at Meta".to_owned()),
            },
        });
    }
    findings
}

/// The status of an answer, whatever it is.
async fn get(url: &str) -> Result<u16, String> {
    // Fails when one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    // Without TLS no certificates are needed on the machine.
    let client = if url.starts_with("http://") { client.no_proxy().tls_certs_only([]) } else { client };
    let client = client.build().map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await.map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        cause.to_string()
    })?;
    Ok(answer.status().as_u16())
}

fn good(what: &str, text: String) -> Finding {
    Finding { what: what.to_owned(), health: Health::Good, text }
}

fn doubtful(what: &str, text: String) -> Finding {
    Finding { what: what.to_owned(), health: Health::Doubtful, text }
}

fn wrong(what: &str, text: String) -> Finding {
    Finding { what: what.to_owned(), health: Health::Wrong, text }
}
