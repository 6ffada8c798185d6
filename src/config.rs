//! The configuration: its types, and how it is assembled and validated.
//!
//! Four layers, each overriding the previous one: the built-in default, the file, `TWOTICK__…` variables, flags. They
//! become one tree of values with their origins (`tree`), which is read key by key into the structs below while all
//! problems are collected (`reader`, `values`, `sections`, `channels`, `profiles`), so that a user sees them all at
//! once. Only this module reads the configuration's files and the environment; the values of a [`Config`] need no
//! further validation.
//!
//! The built-in default *is* the commented `config.toml` at the root of the repository. Its `[server]`, `[store]`,
//! `[keys]`, `[retention]` and `[console]`, and the optional keys of its channels and its profile, are the defaults of
//! keys that a file leaves out. Its apps, channels, profiles, templates and texts apply only if there is no file.

mod channels;
mod console;
mod differences;
mod environment;
mod policies;
mod problem;
mod profiles;
mod reader;
pub mod sandbox;
pub mod secrets;
mod sections;
mod tree;
mod values;
mod warnings;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;
use zeroize::Zeroizing;

pub use environment::Environment;
pub use problem::{Origin, Problem, Problems};
pub use reader::Shown;

use crate::access::{App, CustomCode, User};
use crate::channel::{self, Timeouts};
use crate::phone::HomeCountry;
use crate::retention::Retention;
use crate::texts::{self, Cost};
use crate::verification::policy::OnDoubt;

use differences::Fingerprints;
use environment::Unusable;
use reader::{Findings, Section};
use tree::Table;

/// The commented default, which `twotick config init` writes.
pub const DEFAULT_FILE: &str = include_str!("../config.toml");

/// A complete and valid configuration. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    pub server: Server,
    pub store: Store,
    pub keys: Keys,
    pub retention: Retention,
    pub console: Console,
    /// At least one; names and API keys are unique.
    pub apps: Vec<App>,
    /// By name, `[a-z0-9_-]{1,32}`. At least one.
    pub channels: BTreeMap<String, Channel>,
    /// By name. At least one.
    pub profiles: BTreeMap<String, Profile>,
    /// By name.
    pub templates: BTreeMap<String, Template>,
    /// By name.
    pub texts: BTreeMap<String, Text>,
}

#[derive(Debug, Clone)]
pub struct Server {
    /// API and provider webhooks. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// Console, metrics, API docs.
    pub admin_listen: SocketAddr,
    /// How providers reach this server: https unless it is loopback, without a trailing slash.
    pub public_url: String,
    /// Limit of the public listener, 100 to 1,000,000.
    pub max_connections: u32,
    /// Limit of open long polls and streams per app, 1 to 1,000,000.
    pub max_waiting_per_app: u32,
    /// Further host names of the admin listener, besides loopback names and the host of `console.public_url`; lower
    /// case, without a port.
    pub admin_hosts: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Store {
    pub backend: Backend,
    /// The data folder.
    pub path: PathBuf,
    /// Size of the data, in bytes, that raises an alarm.
    pub alarm_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sled,
}

#[derive(Debug, Clone)]
pub struct Keys {
    pub master: MasterKey,
}

/// 32 bytes in base64, validated if it was present when the configuration was loaded.
#[derive(Debug, Clone)]
pub enum MasterKey {
    Inline(SecretString),
    /// Created on the first start if it is missing; a trailing newline is ignored.
    File(PathBuf),
}

impl MasterKey {
    /// Decodes a key in base64, with an optional trailing newline. `None` unless it has 32 bytes.
    pub fn decode(text: &str) -> Option<Zeroizing<[u8; 32]>> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.trim_end_matches(['\r', '\n'])).ok()?);
        bytes.as_slice().try_into().map(Zeroizing::new).ok()
    }
}

/// The pages for support staff, on the admin listener.
#[derive(Debug, Clone)]
pub struct Console {
    /// How staff reach the console: https unless it is loopback, without a trailing slash.
    pub public_url: String,
    /// IANA name of the default time zone.
    pub time_zone: String,
    /// Country in whose notation staff may write numbers without a country code.
    pub home_country: Option<HomeCountry>,
    /// Unique names. Without users, the console only explains how to add one.
    pub users: Vec<User>,
}

#[derive(Debug, Clone)]
pub struct Channel {
    /// 1 to 1000; `None`: unlimited.
    pub messages_per_second: Option<u32>,
    /// Each 100 ms to 60 s.
    pub timeouts: Timeouts,
    /// How long the last step waits for a report that resolves a doubt, 0 to 5 minutes.
    pub in_doubt_wait: Duration,
    /// What the last step does if no report resolves a doubt.
    pub on_doubt: OnDoubt,
    pub kind: channel::Settings,
}

/// The policy under which a verification starts.
#[derive(Debug, Clone)]
pub struct Profile {
    /// 1 to 64 characters.
    pub brand: String,
    /// Number of digits, 6 to 10.
    pub code_length: u8,
    /// 30 s to 10 minutes.
    pub code_ttl: Duration,
    /// Wrong codes until the verification is exhausted, 1 to 10.
    pub max_checks: u8,
    /// Wait before the n-th resend; 0 to 10 entries of 0 to 10 minutes.
    pub resend_after: Vec<Duration>,
    /// All templates and texts of the steps have this locale.
    pub default_locale: String,
    pub custom_code: CustomCode,
    /// Last line of text messages, from which phones fill in the code.
    pub autofill: Option<Autofill>,
    /// 1 to 8, in order. The sum of their deadlines is at most `code_ttl`.
    pub steps: Vec<ProfileStep>,
}

impl Profile {
    /// Cost of `text` as an SMS in each locale, at its longest under this profile.
    pub fn costs<'t>(&self, text: &'t Text) -> impl Iterator<Item = (&'t str, Cost)> {
        text.locales.iter().map(|(locale, wording)| {
            let code = "0".repeat(usize::from(self.code_length));
            let minutes = self.code_ttl.as_secs().div_ceil(60).to_string();
            let filled =
                self.whole_text(wording).replace("{brand}", &self.brand).replace("{minutes}", &minutes);
            (locale.as_str(), texts::cost(&filled.replace("{code}", &code)))
        })
    }

    /// A text with the autofill line.
    pub fn whole_text(&self, wording: &str) -> String {
        match &self.autofill {
            Some(autofill) => format!("{wording}\n\n{}", autofill.line()),
            None => wording.to_owned(),
        }
    }
}

/// The autofill line of text messages. Both kinds must be the last line, so a profile has at most one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Autofill {
    /// Domain of the page that asks for the code (WebOTP): `@example.com #493817`.
    WebOtp(String),
    /// The 11-character app hash of Android's SMS Retriever.
    SmsRetriever(String),
}

impl Autofill {
    /// The line, with the placeholder `{code}`.
    pub fn line(&self) -> String {
        match self {
            Self::WebOtp(domain) => format!("@{domain} #{{code}}"),
            Self::SmsRetriever(hash) => hash.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct ProfileStep {
    /// Key in [`Config::channels`].
    pub channel: String,
    pub content: StepContent,
    /// `None` on the last step only; at least 100 ms.
    pub deliver_within: Option<Duration>,
}

/// What the step sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepContent {
    /// Key in [`Config::templates`].
    Template(String),
    /// Key in [`Config::texts`].
    Text(String),
    /// The channel has its own content ([`channel::Settings::contents`]).
    ById,
}

/// A WhatsApp authentication template as approved at Meta.
#[derive(Debug, Clone)]
pub struct Template {
    /// App locale → Meta's language code, such as `en` → `en_US`.
    pub locales: BTreeMap<String, String>,
    pub button: Button,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    CopyCode,
    OneTap,
    ZeroTap,
}

/// A text message.
#[derive(Debug, Clone)]
pub struct Text {
    /// Locale → text with `{code}` and optionally `{brand}` and `{minutes}`.
    pub locales: BTreeMap<String, String>,
}

/// Sources of the configuration.
#[derive(Debug, Clone)]
pub struct Source<'e> {
    /// `--config`. Otherwise `TWOTICK_CONFIG`, `./config.toml`, `/etc/twotick/config.toml`, or the built-in default
    /// alone.
    pub file: Option<PathBuf>,
    /// Flags, as dotted key and value; they override all other layers.
    pub overrides: Vec<(String, String)>,
    pub environment: &'e Environment,
}

/// Which secrets must be present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// All: for a server, and to check a configuration.
    Every,
    /// Only these keys, such as `keys.master`; others may be missing or invalid, and are empty then.
    Only(&'static [&'static str]),
}

/// A valid configuration with its warnings.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// Problems of secrets that were not needed.
    pub unresolved: Vec<Problem>,
    fingerprints: Fingerprints,
    /// Valid but doubtful settings.
    pub warnings: Vec<Problem>,
    /// The file that was read; `None` if only the built-in default was used.
    pub file: Option<PathBuf>,
    /// All effective values, in the order of the structs.
    pub effective: Vec<Shown>,
}

impl Config {
    /// Finds, reads and validates a configuration. `Err` contains all problems.
    pub fn load(source: &Source<'_>) -> Result<Loaded, Problems> {
        Self::load_for(source, Needs::Every)
    }

    /// As [`Config::load`], for a command that uses only some secrets.
    pub fn load_for(source: &Source<'_>, needs: Needs) -> Result<Loaded, Problems> {
        let Some(path) = source.find() else {
            return load(DEFAULT_FILE, &Document::BuiltIn, source, needs);
        };
        let document = Document::File(Arc::from(path.as_path()));
        let text = read_file(&path, &document)?;
        let loaded = load(&text, &document, source, needs)?;
        Ok(Loaded { file: Some(path), ..loaded })
    }

    /// As [`Config::load`], with `text` instead of a file.
    pub fn parse(text: &str, environment: &Environment) -> Result<Config, Problems> {
        let document = Document::File(Arc::from(Path::new("config.toml")));
        let source = Source { file: None, overrides: Vec::new(), environment };
        load(text, &document, &source, Needs::Every).map(|loaded| loaded.config)
    }
}

impl Source<'_> {
    fn find(&self) -> Option<PathBuf> {
        let named = self.file.clone().or_else(|| self.environment.get("TWOTICK_CONFIG").map(PathBuf::from));
        let usual = || {
            let places = ["config.toml", "/etc/twotick/config.toml"].map(PathBuf::from);
            places.into_iter().find(|path| path.exists())
        };
        named.or_else(usual)
    }
}

/// The text being read, for the origin of its lines.
enum Document {
    BuiltIn,
    File(Arc<Path>),
}

impl Document {
    fn line(&self, line: usize) -> Origin {
        match self {
            Self::BuiltIn => Origin::BuiltIn { line },
            Self::File(path) => Origin::File { path: path.clone(), line: Some(line) },
        }
    }

    fn whole(&self) -> Origin {
        match self {
            Self::BuiltIn => Origin::BuiltIn { line: 1 },
            Self::File(path) => Origin::File { path: path.clone(), line: None },
        }
    }
}

fn read_file(path: &Path, document: &Document) -> Result<String, Problems> {
    // A thousand apps fit into a quarter of this; bounds the memory that a device or a mistaken file takes.
    const LARGEST: u64 = 1024 * 1024;
    let problem = |origin: Origin, text: String| Problems::from(Problem { origin, key: String::new(), text });
    let unreadable = |error: io::Error| problem(document.whole(), format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(problem(document.whole(), "is larger than 1 MiB".to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
        problem(document.line(line), "is not valid UTF-8".to_owned())
    })
}

fn load(text: &str, document: &Document, source: &Source<'_>, needs: Needs) -> Result<Loaded, Problems> {
    let (mut tree, mut problems) = Table::parse(text, |line| document.line(line));
    if problems.iter().any(|problem| problem.key.is_empty()) {
        // Reading on after a syntax error would report false problems.
        return Err(problems.into());
    }
    let (built_in, _) = Table::parse(DEFAULT_FILE, |line| Origin::BuiltIn { line });
    problems.extend(overlay(&mut tree, source));

    let findings = Findings::new(source.environment, needs);
    let root = Section::root(&findings, document.line(1), &tree, &built_in);
    let config = sections::config(root, &built_in);
    problems.append(&mut findings.problems.take());
    match config {
        Some(config) if problems.is_empty() => {
            warnings::find(&config, &findings, source);
            Ok(Loaded {
                config,
                unresolved: findings.unresolved.take(),
                fingerprints: findings.fingerprints.take(),
                warnings: findings.warnings.take(),
                file: None,
                effective: findings.shown.take(),
            })
        }
        Some(_) | None => {
            debug_assert!(!problems.is_empty(), "a key was refused without saying why");
            Err(problems.into())
        }
    }
}

/// Applies the variables and then the flags to the tree.
fn overlay(tree: &mut Table, source: &Source<'_>) -> Vec<Problem> {
    const PREFIX: &str = "TWOTICK__";
    let mut problems = Vec::new();
    for (name, value) in source.environment.starting_with(PREFIX) {
        let path: Vec<&str> = name[PREFIX.len()..].split("__").collect();
        let origin = Origin::Environment { name: name.to_owned() };
        let set = match value {
            Ok(value) => tree.overlay(&path, value, &origin),
            Err(Unusable::NotSet | Unusable::NotUnicode) => Err("is not valid UTF-8".to_owned()),
        };
        if let Err(text) = set {
            problems.push(Problem { origin, key: String::new(), text });
        }
    }
    for (key, value) in &source.overrides {
        let path: Vec<&str> = key.split('.').collect();
        if let Err(text) = tree.overlay(&path, value, &Origin::Flag) {
            problems.push(Problem { origin: Origin::Flag, key: problem::printable(key), text });
        }
    }
    problems
}
