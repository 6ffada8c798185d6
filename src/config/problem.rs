//! Problems of a configuration and their locations.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value was set. The variants are in the order in which problems are printed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The commented default embedded in the binary; lines count from 1.
    BuiltIn { line: usize },
    /// A configuration file; without a line if the problem concerns the whole file.
    File { path: Arc<Path>, line: Option<usize> },
    /// A `TWOTICK__…` variable.
    Environment { name: String },
    /// The command line.
    Flag,
}

/// As in `twotick config show`: `default`, `config.toml:12`, `env NAME`, `flag`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn { .. } => f.write_str("default"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment { name } => write!(f, "env {name}"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// A problem or a warning. Never contains the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    /// Dotted, such as `profiles.login.steps[0].channel`; empty if there is no key.
    pub key: String,
    /// The problem and the allowed values, in one line.
    pub text: String,
}

/// `config.toml:12: server.listn: unknown key; allowed here: listen, …; did you mean "listen"?`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::BuiltIn { line } => write!(f, "built-in config.toml:{line}: ")?,
            Origin::Environment { name } => write!(f, "environment variable {}: ", printable(name))?,
            Origin::File { .. } | Origin::Flag => write!(f, "{}: ", self.origin)?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// All problems of a configuration, in the order of its lines. Displays one per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl From<Vec<Problem>> for Problems {
    fn from(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self(problems)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// `; did you mean "listen"?` if one of `known` resembles `word`, else empty.
pub(super) fn suggestion<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    match nearest(word, known) {
        Some(key) => format!("; did you mean \"{key}\"?"),
        None => String::new(),
    }
}

/// The one of `known` that shares at least half of its letters, in order, with `word`.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Longer words are not typing mistakes, and the comparison takes quadratic time.
    const LONGEST_WORD: usize = 64;
    if word.len() > LONGEST_WORD {
        return None;
    }
    known
        .into_iter()
        .map(|key| (strsim::normalized_damerau_levenshtein(&word.to_lowercase(), key), key))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, key)| key)
}

/// A name from an untrusted source, made printable on one line.
pub(super) fn printable(name: &str) -> String {
    // Longer than reasonable names, short enough for a readable line.
    const LONGEST_NAME: usize = 80;
    let mut shown: String = name.chars().take(LONGEST_NAME).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST_NAME).is_some() {
        shown.push('…');
    }
    shown
}
