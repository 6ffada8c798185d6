//! The configuration: what it holds, and how it is put together and checked.
//!
//! Four layers, each over the one before: the built-in default, the file, `TWOTICK__…` variables, flags. They
//! become one tree of values that know their origin (`tree`); the tree is read key by key into the structs
//! below while every problem is collected (`reader`, `values`, `sections`, `channels`, `profiles`), so that a user sees
//! all of them at once. This module is the only reader of files and environment; a server that has a
//! [`Config`] needs to check nothing again.
//!
//! The built-in default *is* the commented `config.toml` at the root of the repository. Its `[server]`,
//! `[store]`, `[keys]`, `[retention]` and `[console]`, and the optional keys of its channels and its profile, stand in for
//! keys that a file leaves out; what it says about apps, channels, profiles, templates and texts counts only
//! when there is no file at all.

mod channels;
mod console;
mod differences;
mod doubts;
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

/// The commented default, as `twotick config init` writes it.
pub const DEFAULT_FILE: &str = include_str!("../config.toml");

/// A complete and checked configuration. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    pub server: Server,
    pub store: Store,
    pub keys: Keys,
    pub retention: Retention,
    pub console: Console,
    /// At least one; names and API keys differ between apps.
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
    /// API and provider webhooks. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Console, metrics, API docs.
    pub admin_listen: SocketAddr,
    /// How providers reach us; https unless it is loopback; no slash at its end.
    pub public_url: String,
    /// Of the public listener, 100 to 1,000,000.
    pub max_connections: u32,
    /// Long polls and streams of one app, 1 to 1,000,000.
    pub max_waiting_per_app: u32,
    /// Names, besides those of loopback and of `console.public_url`, under which the admin listener is called; lower
    /// case, without a port.
    pub admin_hosts: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Store {
    pub backend: Backend,
    /// The data folder.
    pub path: PathBuf,
    /// Bytes of data from which on somebody should know.
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

/// 32 bytes in base64, checked wherever it was present when the configuration was read.
#[derive(Debug, Clone)]
pub enum MasterKey {
    Inline(SecretString),
    /// The file is created on first start if it is missing; a newline at its end does not count.
    File(PathBuf),
}

impl MasterKey {
    /// The bytes of a key as it is written: base64, perhaps with a newline after it. `None` if it is not 32
    /// bytes in base64.
    pub fn decode(text: &str) -> Option<Zeroizing<[u8; 32]>> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.trim_end_matches(['\r', '\n'])).ok()?);
        bytes.as_slice().try_into().map(Zeroizing::new).ok()
    }
}

/// The pages for support staff, on the admin listener.
#[derive(Debug, Clone)]
pub struct Console {
    /// How staff reach it; https unless it is loopback; no slash at its end.
    pub public_url: String,
    /// IANA name of the zone that times are shown in unless a user chooses another.
    pub time_zone: String,
    /// In which country's notation staff may write numbers without a country code.
    pub home_country: Option<HomeCountry>,
    /// Without any the console shows nothing but how to make one. Names differ.
    pub users: Vec<User>,
}

#[derive(Debug, Clone)]
pub struct Channel {
    /// 1 to 1000; `None`: as many as the provider answers.
    pub messages_per_second: Option<u32>,
    /// Each 100 ms to 60 s.
    pub timeouts: Timeouts,
    /// How long the last step waits for a report that settles a doubt, 0 to 5 minutes.
    pub in_doubt_wait: Duration,
    /// What the last step does when no report has settled a doubt.
    pub on_doubt: OnDoubt,
    pub kind: channel::Settings,
}

/// The named policy under which a verification starts.
#[derive(Debug, Clone)]
pub struct Profile {
    /// 1 to 64 characters.
    pub brand: String,
    /// Digits, 6 to 10.
    pub code_length: u8,
    /// 30 s to 10 minutes.
    pub code_ttl: Duration,
    /// Wrong codes before the verification is exhausted, 1 to 10.
    pub max_checks: u8,
    /// The wait before the n-th resend; 0 to 10 entries of 0 to 10 minutes.
    pub resend_after: Vec<Duration>,
    /// Every template and text of the steps has it.
    pub default_locale: String,
    pub custom_code: CustomCode,
    /// The last line of its text messages, by which a phone fills the code in.
    pub autofill: Option<Autofill>,
    /// 1 to 8, in order. Their deadlines together fit into `code_ttl`.
    pub steps: Vec<ProfileStep>,
}

impl Profile {
    /// What an SMS of `text` costs in each of its locales, at the longest that this profile makes it.
    pub fn costs<'t>(&self, text: &'t Text) -> impl Iterator<Item = (&'t str, Cost)> {
        text.locales.iter().map(|(locale, wording)| {
            let code = "0".repeat(usize::from(self.code_length));
            let minutes = self.code_ttl.as_secs().div_ceil(60).to_string();
            let filled =
                self.whole_text(wording).replace("{brand}", &self.brand).replace("{minutes}", &minutes);
            (locale.as_str(), texts::cost(&filled.replace("{code}", &code)))
        })
    }

    /// A wording with the line by which a phone fills the code in.
    pub fn whole_text(&self, wording: &str) -> String {
        match &self.autofill {
            Some(autofill) => format!("{wording}\n\n{}", autofill.line()),
            None => wording.to_owned(),
        }
    }
}

/// What the last line of a text message tells a phone. Both kinds want the last place, so a profile has one at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Autofill {
    /// The domain of the page that asks for the code (WebOTP): `@example.com #493817`.
    WebOtp(String),
    /// The 11 characters that name an Android app to the SMS Retriever.
    SmsRetriever(String),
}

impl Autofill {
    /// The line, with the placeholder `{code}` where the code belongs.
    pub fn line(&self) -> String {
        match self {
            Self::WebOtp(domain) => format!("@{domain} #{{code}}"),
            Self::SmsRetriever(hash) => hash.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct ProfileStep {
    /// The name of one of [`Config::channels`].
    pub channel: String,
    pub content: StepContent,
    /// `None` on the last step and on no other; at least 100 ms.
    pub deliver_within: Option<Duration>,
}

/// What the step's channel carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepContent {
    /// The name of one of [`Config::templates`].
    Template(String),
    /// The name of one of [`Config::texts`].
    Text(String),
    /// What the channel itself names ([`channel::Settings::contents`]).
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

/// The wording of a text message.
#[derive(Debug, Clone)]
pub struct Text {
    /// Locale → wording with `{code}` and perhaps `{brand}` and `{minutes}`.
    pub locales: BTreeMap<String, String>,
}

/// Where to take a configuration from.
#[derive(Debug, Clone)]
pub struct Source<'e> {
    /// `--config`. Without it `TWOTICK_CONFIG`, `./config.toml`, `/etc/twotick/config.toml`, and at last the
    /// built-in default alone.
    pub file: Option<PathBuf>,
    /// Flags, as dotted key and value; they win over everything.
    pub overrides: Vec<(String, String)>,
    pub environment: &'e Environment,
}

/// Which secrets must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// For a server, and to check a configuration.
    Every,
    /// Only those with these keys, such as `keys.master`: the others may be missing or wrong, and are empty then.
    Only(&'static [&'static str]),
}

/// A configuration that may be used, and what there is to say about it.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// What is wrong with secrets that are not needed.
    pub unresolved: Vec<Problem>,
    fingerprints: Fingerprints,
    /// Lawful but doubtful settings.
    pub warnings: Vec<Problem>,
    /// The file that was read; `None` when there is none and the built-in default was taken.
    pub file: Option<PathBuf>,
    /// Every effective value, in the order of the structs.
    pub effective: Vec<Shown>,
}

impl Config {
    /// Finds, reads and checks a configuration. `Err` holds everything that is wrong with it.
    pub fn load(source: &Source<'_>) -> Result<Loaded, Problems> {
        Self::load_for(source, Needs::Every)
    }

    /// As [`Config::load`], for a command that uses only some of the secrets.
    pub fn load_for(source: &Source<'_>, needs: Needs) -> Result<Loaded, Problems> {
        let Some(path) = source.find() else {
            return load(DEFAULT_FILE, &Document::BuiltIn, source, needs);
        };
        let document = Document::File(Arc::from(path.as_path()));
        let text = read_file(&path, &document)?;
        let loaded = load(&text, &document, source, needs)?;
        Ok(Loaded { file: Some(path), ..loaded })
    }

    /// As [`Config::load`], with `text` in place of a file.
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

/// Which text is being read, for the origin of its lines.
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
    // A thousand apps fit into a quarter of this; a device or a mistaken file must not fill the memory.
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
        // What is left of a broken text would only bring up problems that are none.
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
            doubts::look_for(&config, &findings, source);
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

/// Puts the variables and, over them, the flags into the tree.
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
