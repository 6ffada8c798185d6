//! The types of values: durations, addresses, names, secrets.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::MasterKey;
use super::environment::Unusable;
use super::problem::{nearest, printable, suggestion};
use super::reader::{Slot, as_table};
use super::secrets;
use super::tree::Node;

/// Requirements on a secret.
#[derive(Clone, Copy)]
pub(super) struct SecretRule {
    least_bytes: usize,
    alphabet: Alphabet,
}

#[derive(Clone, Copy)]
enum Alphabet {
    Any,
    /// Sent in an `Authorization` header.
    Header,
}

impl SecretRule {
    pub(super) const API_KEY: Self = Self { least_bytes: 16, alphabet: Alphabet::Header };
    /// An HMAC key.
    pub(super) const SIGNING: Self = Self { least_bytes: 16, alphabet: Alphabet::Any };
    pub(super) const VERIFY_TOKEN: Self = Self { least_bytes: 8, alphabet: Alphabet::Any };
    /// Issued by a provider, who determines its length.
    pub(super) const PROVIDER_TOKEN: Self = Self { least_bytes: 1, alphabet: Alphabet::Header };
    /// Sent encoded, together with a user name.
    pub(super) const PASSWORD: Self = Self { least_bytes: 1, alphabet: Alphabet::Any };
    /// From `twotick user hash`; validated where it is read.
    pub(super) const PASSWORD_HASH: Self = Self { least_bytes: 1, alphabet: Alphabet::Header };

    fn accepts(self, secret: &str) -> bool {
        let alphabet = match self.alphabet {
            Alphabet::Any => true,
            Alphabet::Header => secret.bytes().all(|byte| byte.is_ascii_graphic()),
        };
        alphabet && secret.len() >= self.least_bytes
    }

    fn allowed(self) -> String {
        let length = match self.least_bytes {
            1 => "not empty".to_owned(),
            least => format!("at least {least} bytes"),
        };
        match self.alphabet {
            Alphabet::Any => length,
            Alphabet::Header => format!("{length}, of visible ASCII characters without spaces"),
        }
    }
}

const SECRET_FORMS: &str = "a secret: \"text\", { env = \"NAME\" } or { file = \"path\" }";

impl Slot<'_> {
    /// `"500ms"`, `"30s"`, `"10m"`, `"24h"`, `"8d"`.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let duration = self.hidden_duration(range)?;
        self.show(format_duration(duration).into());
        Some(duration)
    }

    /// As [`Slot::duration`], but lowers a default to `most` instead of rejecting it.
    pub(super) fn duration_at_most(
        &self,
        range: RangeInclusive<Duration>,
        most: Option<Duration>,
        name_of_most: &str,
    ) -> Option<Duration> {
        let duration = self.hidden_duration(range)?;
        let duration = match most {
            Some(most) if duration > most && self.is_default() => most,
            Some(most) if duration > most => {
                self.problem(format!("must not be longer than {name_of_most}"));
                return None;
            }
            Some(_) | None => duration,
        };
        self.show(format_duration(duration).into());
        Some(duration)
    }

    fn hidden_duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
        let allowed = format!(
            "a duration from \"{least}\" to \"{most}\": a whole number and one of ms, s, m, h, d, such as \"30s\""
        );
        let text = self.raw_text(&allowed)?;
        let duration = parse_duration(text).filter(|duration| range.contains(duration));
        if duration.is_none() {
            self.problem(format!("must be {allowed}"));
        }
        duration
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        let allowed = "an IP address and a port, such as \"127.0.0.1:8080\" (port 0: any free one)";
        self.text(allowed, |text| text.parse().ok())
    }

    /// An `http` or `https` URL, without a trailing slash.
    pub(super) fn url(&self, purpose: Address) -> Option<String> {
        let allowed = match purpose {
            Address::Ours => "an https address (http only on loopback, such as 127.0.0.1), without a ?query",
            Address::Base => "an http or https address, without a ?query",
            Address::Endpoint => "an http or https address",
        };
        let allowed = format!("{allowed}, without user, password or #fragment");
        let text = self.raw_text(&allowed)?;
        let private = |url: &Url| url.scheme() == "https" || is_loopback(url);
        let url = Url::parse(text).ok().filter(|url| {
            let fits = match purpose {
                Address::Ours => url.query().is_none() && private(url),
                Address::Base => url.query().is_none(),
                Address::Endpoint => true,
            };
            let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
            fits && bare && ["http", "https"].contains(&url.scheme()) && url.has_host()
        });
        let Some(url) = url else {
            self.problem(format!("must be {allowed}"));
            return None;
        };
        if !private(&url) {
            self.warning("is not https: tokens and codes would cross the network in clear");
        }
        // Some carriers want a key in the query.
        let (shown, query) = text.split_once('?').map_or((text, ""), |(address, _)| (address, "?***"));
        self.show(format!("{}{query}", shown.trim_end_matches('/')).into());
        Some(text.trim_end_matches('/').to_owned())
    }

    /// One of the given words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let allowed = words.join(" or ");
        let text = self.raw_text(&allowed)?;
        let Some((word, value)) = choices.iter().find(|(word, _)| *word == text) else {
            let suggestion = suggestion(text, choices.iter().map(|(word, _)| *word));
            self.problem(format!("must be {allowed}{suggestion}"));
            return None;
        };
        self.show((*word).into());
        Some(*value)
    }

    /// Text of 1 to `most` characters without control characters.
    pub(super) fn line(&self, most: usize) -> Option<String> {
        let allowed = format!("text of 1 to {most} characters, on one line");
        self.text(&allowed, |text| {
            let fits = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
            fits.then(|| text.to_owned())
        })
    }

    /// A provider's id of an account, an app or a key. It becomes part of a URL or a header.
    pub(super) fn provider_id(&self) -> Option<String> {
        self.text("the id that the provider shows: 1 to 64 letters, digits, - and _", |text| {
            let fits = (1..=64).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            fits.then(|| text.to_owned())
        })
    }

    /// Scheme and host of a provider: `usual`, unless a stand-in is configured.
    pub(super) fn base_or(&self, usual: Option<&str>) -> Option<String> {
        if self.is_set() { self.url(Address::Base) } else { usual.map(str::to_owned) }
    }

    /// A file or folder, relative to the working directory.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let usable = |text: &str| !text.is_empty() && !text.contains('\0');
        self.text("a path", |text| usable(text).then(|| PathBuf::from(text)))
    }

    /// Fetches a secret; empty if it is missing and not needed.
    pub(super) fn secret(&self, rule: SecretRule) -> Option<SecretString> {
        let secret = self.if_needed(|| self.found_secret(rule), || SecretString::from(""))?;
        self.note_fingerprint(secret.expose_secret());
        Some(secret)
    }

    fn found_secret(&self, rule: SecretRule) -> Option<SecretString> {
        let (secret, place, secret_from) = match self.secret_reference()? {
            Reference::Inline(text) => (SecretString::from(text), String::new(), None),
            Reference::Variable(name) => {
                let secret = SecretString::from(self.variable(name)?);
                (secret, format!("; environment variable {name} is not"), Some(format!("env {name}")))
            }
            Reference::File(path) => {
                let secret = self.secret_file(path).inspect_err(|text| self.problem(text)).ok()?;
                let path = printable(path);
                (secret, format!("; file {path} is not"), Some(format!("file {path}")))
            }
        };
        let secret = self.unblanked(&secret, secret_from.as_deref())?;
        if !rule.accepts(secret.expose_secret()) {
            self.problem(format!("the secret must be {}{place}", rule.allowed()));
            return None;
        }
        if let Some(weakness) = secrets::weakness(secret.expose_secret()) {
            self.warning(format!("the secret {weakness}"));
        }
        self.show_secret(secret_from);
        Some(secret)
    }

    /// Text that may contain a secret: it can come from where secrets are kept and is never shown, but its strength is
    /// not checked if it is written in the configuration.
    pub(super) fn private_text(&self) -> Option<SecretString> {
        match self.secret_reference()? {
            Reference::Inline(text) => {
                self.show_secret(None);
                Some(text.into())
            }
            Reference::Variable(_) | Reference::File(_) => self.secret(SecretRule::PASSWORD),
        }
    }

    /// The master key, or the file that contains it or will after the first start.
    pub(super) fn master_key(&self) -> Option<MasterKey> {
        let key = self.if_needed(|| self.found_master_key(), || MasterKey::Inline("".into()))?;
        match &key {
            MasterKey::Inline(text) => self.note_fingerprint(text.expose_secret()),
            MasterKey::File(path) => self.note_fingerprint(&path.to_string_lossy()),
        }
        Some(key)
    }

    fn found_master_key(&self) -> Option<MasterKey> {
        let checked = |secret: &str, whose: &str| {
            let key = secrets::trimmed(secret).map(MasterKey::decode);
            match &key {
                Ok(Some(key)) if key.iter().all(|byte| *byte == key[0]) => {
                    self.warning(format!("{whose} is one byte repeated and easy to guess"));
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.problem(format!("{whose} must be 32 bytes in base64 (`openssl rand -base64 32`)"));
                }
                Err(blank) => self.problem(format!("{whose} {blank}")),
            }
            key.ok().flatten().map(drop)
        };
        match self.secret_reference()? {
            Reference::Inline(text) => {
                checked(text, "the key")?;
                self.show_secret(None);
                Some(MasterKey::Inline(text.into()))
            }
            Reference::Variable(name) => {
                let text = self.variable(name)?;
                checked(text, &format!("environment variable {name}"))?;
                self.show_secret(Some(format!("env {name}")));
                Some(MasterKey::Inline(text.into()))
            }
            Reference::File(path) => {
                if Path::new(path).exists() {
                    let secret = self.secret_file(path).inspect_err(|text| self.problem(text)).ok()?;
                    checked(secret.expose_secret(), &format!("file {}", printable(path)))?;
                }
                self.show_secret(Some(format!("file {}", printable(path))));
                Some(MasterKey::File(path.into()))
            }
        }
    }

    fn secret_reference(&self) -> Option<Reference<'_>> {
        let node = self.node(SECRET_FORMS)?;
        let Some(table) = as_table(node) else {
            return match node {
                Node::Text(text) | Node::Words { raw: text, .. } => Some(Reference::Inline(text)),
                Node::Integer(_) | Node::Boolean(_) | Node::List(_) | Node::Table(_) | Node::Foreign(_) => {
                    self.wrong_type(SECRET_FORMS, node);
                    None
                }
            };
        };
        let mut entries = table.0.iter().map(|(key, entry)| (key.as_str(), &entry.node));
        match (entries.next(), entries.next()) {
            (Some(("env", Node::Text(name) | Node::Words { raw: name, .. })), None)
                if is_variable_name(name) =>
            {
                Some(Reference::Variable(name))
            }
            (Some(("env", _)), None) => {
                self.problem("env must be the name of an environment variable, such as \"SMS_TOKEN\"");
                None
            }
            (Some(("file", Node::Text(path) | Node::Words { raw: path, .. })), None)
                if !path.is_empty() && !path.contains('\0') =>
            {
                Some(Reference::File(path))
            }
            (Some(("file", _)), None) => {
                self.problem("file must be a path, such as \"/run/secrets/sms_token\"");
                None
            }
            (first, second) => {
                // Other keys are not quoted: somebody may have written the secret itself there.
                let keys = [first, second].into_iter().flatten().map(|(key, _)| key);
                let meant = keys.filter(|key| !["env", "file"].contains(key));
                let meant = meant.filter_map(|key| nearest(key, ["env", "file"])).next();
                let suggestion = meant.map(|key| format!("; did you mean \"{key}\"?")).unwrap_or_default();
                self.problem(format!("must be {SECRET_FORMS}{suggestion}"));
                None
            }
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.reads_variable(name);
        let found = self.environment().look_up(name);
        let why = match found {
            Ok(_) => None,
            Err(Unusable::NotSet) => Some("is not set"),
            Err(Unusable::NotUnicode) => Some("is not valid UTF-8"),
        };
        if let Some(why) = why {
            self.problem(format!("environment variable {name} {why}"));
        }
        found.ok()
    }

    fn secret_file(&self, path: &str) -> Result<SecretString, String> {
        // Tokens and keys are far shorter; bounds the memory that a device or a mistaken file takes.
        const LARGEST: u64 = 64 * 1024;
        let unreadable = |error: io::Error| format!("file {} cannot be read: {error}", printable(path));
        let mut text = Zeroizing::new(String::new());
        let file = File::open(path).map_err(unreadable)?;
        file.take(LARGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > LARGEST {
            return Err(format!("file {} holds more than 64 KiB", printable(path)));
        }
        Ok(SecretString::from(text.as_str()))
    }

    /// The secret without a final newline; reports other leading or trailing blank characters.
    fn unblanked(&self, secret: &SecretString, from: Option<&str>) -> Option<SecretString> {
        match secrets::trimmed(secret.expose_secret()) {
            Ok(trimmed) => Some(trimmed.into()),
            Err(blank) => {
                self.problem(format!(
                    "the secret{} {blank}",
                    from.map(|from| format!(" of {from}")).unwrap_or_default()
                ));
                None
            }
        }
    }
}

enum Reference<'n> {
    Inline(&'n str),
    Variable(&'n str),
    File(&'n str),
}

/// Purpose of a URL.
#[derive(Clone, Copy)]
pub(super) enum Address {
    /// How others reach this server: https, except on loopback.
    Ours,
    /// Paths are appended.
    Base,
    /// Used unchanged.
    Endpoint,
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address: Result<IpAddr, _> = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|ip| ip.is_loopback())
}

fn is_variable_name(name: &str) -> bool {
    // A longer "name" is probably the secret itself, which must not be quoted.
    const LONGEST: usize = 64;
    (1..=LONGEST).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(*milliseconds)?))
}

/// In the largest unit that gives a whole number.
pub(super) fn format_duration(duration: Duration) -> String {
    let total = duration.as_millis();
    let fitting = UNITS.iter().find(|(_, milliseconds)| {
        let milliseconds = u128::from(*milliseconds);
        total >= milliseconds && total.is_multiple_of(milliseconds)
    });
    match fitting {
        Some((unit, milliseconds)) => format!("{}{unit}", total / u128::from(*milliseconds)),
        None => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_trip() {
        for text in ["500ms", "30s", "10m", "24h", "8d", "0s", "90s", "1500ms"] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(parse_duration(&format_duration(duration)), Some(duration), "{text}");
        }
        assert_eq!(format_duration(Duration::from_secs(86_400)), "1d");
        assert_eq!(parse_duration("24h"), Some(Duration::from_secs(86_400)));
    }

    #[test]
    fn other_spellings_of_a_duration_are_refused() {
        for text in ["", "10", "s", "-1s", "1.5s", "1 s", "1S", "1w", "5m30s", "18446744073709551615d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
