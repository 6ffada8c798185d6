//! The checks of `twotick doctor`. They change nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::folder::{Purpose, as_owner, check_access, data_path};
use super::offline::{OfflineError, expected, vault_of_data};
use super::operator_client::{AskError, RunningServer};
use super::{KEYS, channels, custody, lost, needed_templates};
use crate::channel::Settings;
use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::courier::Channels;
use crate::http_client;
use crate::store::Store;
use crate::store::sled::{self, Chain, OpenError};
use crate::sweeps::NeededTemplate;
use crate::vault::Vault;
use crate::verification::values::Timestamp;

/// Time-out of a plain request to a provider.
const PATIENCE: Duration = Duration::from_secs(5);
/// 2026-01-01: no twotick existed before.
const NOT_BEFORE: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// Meta's status of a template that may be sent.
const APPROVED: &str = "APPROVED";

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Subject: `config`, `data folder`, `keys`, `clock`, `store`, `channel sms`, `template login_code/de`.
    pub what: String,
    pub health: Health,
    /// One line without secrets.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Good,
    /// Works, but needs attention.
    Doubtful,
    Wrong,
}

/// Checks everything except the configuration, which has been loaded. Asks the providers, sends and writes nothing.
/// Checks that need a missing secret are skipped, because the missing secret is reported already.
pub async fn examine(loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config;
    let now = Clock::System.now();
    let path = data_path(config);
    let mut findings = Vec::new();
    if let Err(error) = check_access(config, Purpose::Write) {
        findings.push(wrong("data folder", error.to_string()));
    }
    let read = if loaded.unresolved.iter().any(|problem| problem.key == "keys.master") {
        Some(Err("the master key is missing".to_owned()))
    } else {
        sealed(config).await
    };
    findings.push(keys(read.as_ref()));
    findings.push(clock(read.as_ref(), now));
    findings.push(match read {
        None => doubtful("store", format!("no data in {} yet; the first start creates it", path.display())),
        Some(Err(_)) => doubtful("store", "not checked, because its keys are missing".to_owned()),
        Some(Ok(_)) => store(config).await,
    });
    for (name, settings) in &config.channels {
        findings.push(reachable(name, &settings.kind).await);
    }
    findings.extend(alarms(path).await);
    match channels(&without_incomplete(loaded)) {
        Ok(channels) => {
            for (name, needed) in by_template(needed_templates(config)) {
                findings.extend(templates(&channels, &name, &needed).await);
            }
        }
        Err(error) => findings.push(wrong("channels", error.to_string())),
    }
    findings
}

/// Leaves out channels that lack a secret: their providers would only refuse.
fn without_incomplete(loaded: &Loaded) -> Config {
    let mut config = loaded.config.clone();
    let lacks = |name: &str| {
        let prefix = format!("channels.{name}.");
        loaded.unresolved.iter().any(|problem| problem.key.starts_with(&prefix))
    };
    config.channels.retain(|name, _| !lacks(name));
    config
}

/// Number and newest of the day keys.
struct DayKeys {
    days: usize,
    youngest: Option<Timestamp>,
}

/// `None` if there is no data yet: only the first start creates the key.
async fn sealed(config: &Config) -> Option<Result<DayKeys, String>> {
    let config = config.clone();
    let looking = tokio::task::spawn_blocking(move || {
        as_owner(&config, Purpose::Check, |path| match path.join("db").try_exists() {
            Ok(false) => None,
            Ok(true) => Some(vault_of_data(&config, path).map_err(|error| error.to_string())),
            Err(error) => Some(Err(format!("{}: {error}", path.display()))),
        })
    });
    let found = match looking.await {
        Ok(Ok(found)) => found?,
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Some(found.map(|vault| {
        let (days, youngest) = vault.days();
        DayKeys { days, youngest }
    }))
}

fn keys(read: Option<&Result<DayKeys, String>>) -> Finding {
    match read {
        None => doubtful("keys", "none yet; the first start creates the master key".to_owned()),
        Some(Err(error)) => wrong("keys", error.clone()),
        Some(Ok(keys)) => good("keys", format!("master key; day keys: {}", keys.days)),
    }
}

fn clock(read: Option<&Result<DayKeys, String>>, now: Timestamp) -> Finding {
    const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let youngest = read.and_then(|keys| keys.as_ref().ok()).and_then(|keys| keys.youngest);
    match youngest {
        _ if now < NOT_BEFORE => wrong("clock", format!("it shows {now}, before this program existed")),
        Some(youngest) if now + A_DAY < youngest => {
            wrong("clock", format!("it shows {now}, but there is data of {youngest}"))
        }
        Some(_) | None => good("clock", now.to_string()),
    }
}

/// Asks the server that uses the store, or opens a copy of it.
async fn store(config: &Config) -> Finding {
    match RunningServer::find(data_path(config)).await {
        Ok(Some(server)) => return serving(config, server.url()).await,
        Ok(None) => {}
        Err(AskError::Store(OpenError::InUse { .. })) => {
            return doubtful("store", "in use by another process, which cannot be asked".to_owned());
        }
        Err(error) => return wrong("store", error.to_string()),
    }
    let config = config.clone();
    match tokio::task::spawn_blocking(move || as_owner(&config, Purpose::Check, |path| closed(&config, path)))
        .await
    {
        Ok(Ok(finding)) => finding,
        Ok(Err(error)) => wrong("store", error.to_string()),
        Err(error) => wrong("store", error.to_string()),
    }
}

/// A store without a running server: checks the audit log, and that a server could open and read the store.
fn closed(config: &Config, path: &Path) -> Finding {
    let vault = match vault_of_data(config, path) {
        Ok(vault) => vault,
        Err(error) => return wrong("store", error.to_string()),
    };
    let records = match sled::verify_audit(path, vault.key_id()) {
        Ok(Chain::Whole { records, .. }) => records,
        Ok(Chain::Broken { seq, reason }) => {
            return wrong("store", format!("the audit log is broken at record {seq}: {reason}"));
        }
        Err(error) => return wrong("store", error.to_string()),
    };
    match lost_of_closed(config, path, &vault) {
        Ok(None) => good("store", format!("opens; no server is running; intact audit entries: {records}")),
        Ok(Some(lost)) => wrong("store", lost),
        Err(error) => wrong("store", error.to_string()),
    }
}

/// Describes missing keys of a store, if any.
fn lost_of_closed(config: &Config, path: &Path, vault: &Vault) -> Result<Option<String>, OfflineError> {
    let scratch = sled::Scratch::of(path)?;
    let settings = sled::Settings {
        path: scratch.path().to_owned(),
        rates: BTreeMap::new(),
        key_id: vault.key_id(),
        limits: sled::Limits::default(),
    };
    let loaded = sled::load(settings).map_err(|error| scratch.told(error))?;
    // A server would refuse to start.
    if let Some(lost) = custody::lost_keys(vault, &loaded, &path.join(KEYS))? {
        return Ok(Some(lost.to_string()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(OfflineError::Threads)?.block_on(async {
        let (store, _errands) = loaded.start(Clock::System, |_| None)?;
        store.rest().await?;
        let lost = lost::in_store(&store, expected(config, vault)).await;
        store.close().await?;
        Ok(Some(lost?).filter(|lost| *lost > 0).map(of_lost))
    })
}

fn of_lost(lost: u64) -> String {
    format!(
        "verifications with an unreadable number, because its key is missing: {lost}. Put the newest \
         copy of the folder `{KEYS}` back into the data folder"
    )
}

/// Asks the running server for its state.
async fn serving(config: &Config, admin: &str) -> Finding {
    let lost = match text_of(&format!("{admin}/metrics")).await {
        Ok(metrics) => gauge(&metrics, lost::METRIC),
        Err(error) => {
            return wrong("store", format!("a server is running, but cannot be asked for metrics: {error}"));
        }
    };
    if let Some(lost) = lost.filter(|lost| *lost > 0) {
        return wrong("store", of_lost(lost));
    }
    if config.server.listen.port() == 0 {
        return good("store", "a server is running".to_owned());
    }
    let ready = get(&format!("http://{}/readyz", super::local(config.server.listen))).await;
    match ready {
        Ok(200) => good("store", "a server is running and ready".to_owned()),
        Ok(status) => wrong("store", format!("a server is running, but not ready: /readyz answers {status}")),
        Err(error) => wrong("store", format!("a server is running, but does not answer: {error}")),
    }
}

/// Value of a gauge without labels.
fn gauge(metrics: &str, name: &str) -> Option<u64> {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse::<f64>().ok().map(|value| value as u64)
}

/// Current alarms and recent alerts of a running server.
async fn alarms(data: &Path) -> Vec<Finding> {
    // If no server can be asked, the finding about the store says so.
    let Ok(Some(server)) = RunningServer::find(data).await else { return Vec::new() };
    let alerts = match text_of(&format!("{}/alerts?limit=100", server.url())).await {
        Ok(text) => serde_json::from_str::<Alerts>(&text).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    match alerts {
        Ok(alerts) => alerts.findings(Clock::System.now()),
        Err(error) => vec![doubtful("alarms", format!("cannot read them from the running server: {error}"))],
    }
}

/// Body of `/alerts`, as far as needed here.
#[derive(Deserialize)]
struct Alerts {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    at: String,
    channel: Option<String>,
    code: String,
    title: String,
    ongoing: bool,
    severe: bool,
}

impl Alerts {
    fn findings(&self, now: Timestamp) -> Vec<Finding> {
        /// Milliseconds; older alerts are settled or will never be.
        const RECENT: i64 = 24 * 60 * 60 * 1_000;
        let (ongoing, kept): (Vec<_>, Vec<_>) = self.data.iter().partition(|listed| listed.ongoing);
        let mut findings: Vec<_> = ongoing.iter().map(|alarm| alarm.finding()).collect();
        if findings.is_empty() {
            findings.push(good("alarms", "none on the running server".to_owned()));
        }
        let is_recent = |listed: &&&Listed| {
            let at = listed.at.parse::<jiff::Timestamp>();
            at.is_ok_and(|at| now.as_millis() - at.as_millisecond() < RECENT)
        };
        let recent: Vec<_> = kept.iter().filter(is_recent).collect();
        if let Some(newest) = recent.first() {
            let (count, channel) = (recent.len(), newest.channel.as_deref().unwrap_or("twotick"));
            let newest = format!("the newest is {} from {channel}: {}", newest.code, newest.title);
            let text = format!("{count} in the last 24 hours; {newest}; see /console/alerts");
            findings.push(doubtful("alerts", text));
        }
        findings
    }
}

impl Listed {
    fn finding(&self) -> Finding {
        let what = match &self.channel {
            Some(channel) => format!("alarm of channel {channel}"),
            None => "alarm".to_owned(),
        };
        let text = format!("{}; since {}; `twotick explain {}`", self.title, self.at, self.code);
        if self.severe { wrong(&what, text) } else { doubtful(&what, text) }
    }
}

async fn reachable(name: &str, kind: &Settings) -> Finding {
    let what = format!("channel {name}");
    // Requests only the root, which sends nothing; any status proves that the provider is reachable.
    let root = reqwest::Url::parse(kind.address()).and_then(|url| url.join("/")).map(|url| url.to_string());
    match root {
        Ok(root) => match get(&root).await {
            Ok(status) => good(&what, format!("{root} answers ({status})")),
            Err(error) => wrong(&what, format!("cannot reach {root}: {error}")),
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
            Err(error) => wrong(&what, format!("cannot ask Meta: {error}")),
            Ok(there) => match there.iter().find(|template| template.language == one.language) {
                Some(template) if template.status == APPROVED => good(&what, "approved".to_owned()),
                Some(template) => wrong(&what, format!("{} at Meta, not {APPROVED}", template.status)),
                None => wrong(&what, "does not exist at Meta".to_owned()),
            },
        });
    }
    findings
}

/// The status of the answer, whatever it is.
async fn get(url: &str) -> Result<u16, String> {
    answer(url).await.map(|answer| answer.status().as_u16())
}

/// The body of a successful answer.
async fn text_of(url: &str) -> Result<String, String> {
    let answer = answer(url).await?;
    match answer.status() {
        status if status.is_success() => answer.text().await.map_err(|error| error.without_url().to_string()),
        status => Err(format!("status {status}")),
    }
}

async fn answer(url: &str) -> Result<reqwest::Response, String> {
    let client = http_client::builder(url).timeout(PATIENCE).build().map_err(|error| error.to_string())?;
    client.get(url).send().await.map_err(|error| http_client::cause(&error))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_alarms_are_findings_and_recent_alerts_are_counted() {
        let text = r#"{"data": [
            {"at": "2026-11-30T10:00:00Z", "channel": "whatsapp", "code": "signatures_refused", "title": "3 webhooks",
             "ongoing": true, "severe": true, "evidence": null},
            {"at": "2026-11-30T10:00:00Z", "channel": null, "code": "disk_nearly_full", "title": "4 MB",
             "ongoing": true, "severe": false},
            {"at": "2026-11-30T09:00:00Z", "channel": "sms", "code": "http_401", "title": "refused",
             "ongoing": false, "severe": false},
            {"at": "2026-11-20T09:00:00Z", "channel": "sms", "code": "http_402", "title": "refused",
             "ongoing": false, "severe": false}
        ]}"#;
        let alerts: Alerts = serde_json::from_str(text).unwrap();
        let now = "2026-11-30T11:00:00Z".parse::<jiff::Timestamp>().unwrap();
        let findings = alerts.findings(Timestamp::from_millis(now.as_millisecond()));
        let told: Vec<_> = findings.iter().map(|one| (one.what.as_str(), one.health)).collect();
        assert_eq!(
            told,
            [
                ("alarm of channel whatsapp", Health::Wrong),
                ("alarm", Health::Doubtful),
                ("alerts", Health::Doubtful)
            ]
        );
        assert!(findings[0].text.contains("`twotick explain signatures_refused`"), "{}", findings[0].text);
        assert!(findings[2].text.starts_with("1 in the last 24 hours; the newest is http_401 from sms"));
        let quiet = Alerts { data: Vec::new() }.findings(Timestamp::default());
        assert_eq!((quiet.len(), quiet[0].health), (1, Health::Good));
    }
}
