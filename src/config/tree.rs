//! The layers as one tree: the file, overridden by environment and flags, each value with its origin. Knows no keys.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem, printable};

/// A value and its origin. No `Debug`: a tree contains secrets.
pub(super) struct TreeEntry {
    pub(super) origin: Origin,
    pub(super) node: Node,
}

pub(super) enum Node {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<TreeEntry>),
    Table(Table),
    /// A TOML type that no key has, in words.
    Foreign(&'static str),
    /// From environment or flag, untyped: the key that reads it knows the type. Lists and tables are written in TOML.
    Words {
        raw: String,
        toml: Option<Box<Node>>,
    },
}

impl Node {
    /// With its article, for "must be …, not …".
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Words { .. } => "text",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Foreign(name) => name,
        }
    }

    pub(super) fn is_text(&self, wanted: &str) -> bool {
        matches!(self, Self::Text(text) if text == wanted)
    }

    fn words(raw: String, origin: &Origin) -> Self {
        let looks_like_toml = raw.trim_start().starts_with(['[', '{']);
        let parsed = looks_like_toml.then(|| DeValue::parse(&raw).ok()).flatten();
        let toml = parsed.map(|value| Box::new(node(value.get_ref(), &|_| origin.clone())));
        Self::Words { raw, toml }
    }

    /// A string, or a table with only `env` and `file`.
    fn is_secret_like(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Table(table) => table.0.keys().all(|key| key == "env" || key == "file"),
            Self::Integer(_) | Self::Boolean(_) | Self::List(_) | Self::Foreign(_) | Self::Words { .. } => {
                false
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Table(pub(super) BTreeMap<String, TreeEntry>);

impl Table {
    pub(super) const EMPTY: Self = Self(BTreeMap::new());

    /// Parses a TOML document; `at` gives the origin of a line. Messages never quote the document, except a duplicate
    /// key: the broken line may contain a secret.
    pub(super) fn parse(text: &str, at: impl Fn(usize) -> Origin) -> (Self, Vec<Problem>) {
        let line_starts: Vec<usize> = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(i, _)| i + 1))
            .collect();
        let origin = |offset: usize| at(line_starts.partition_point(|start| *start <= offset));
        let (document, errors) = DeTable::parse_recoverable(text);
        let problems = errors.into_iter().map(|error| {
            let span = error.span().unwrap_or(0..0);
            let doubled = (error.message() == "duplicate key").then(|| text.get(span.clone())).flatten();
            Problem {
                origin: origin(span.start),
                key: doubled.filter(|key| is_bare(key)).unwrap_or_default().to_owned(),
                text: match doubled {
                    Some(_) => "duplicate key; a key or table may occur only once".to_owned(),
                    None => format!("not valid TOML: {}", error.message()),
                },
            }
        });
        let problems = problems.collect();
        (table(document.get_ref(), &origin), problems)
    }

    /// Sets the value at `path`. `Err` explains why there is no such place.
    pub(super) fn overlay(&mut self, path: &[&str], raw: &str, origin: &Origin) -> Result<(), String> {
        let Some((first, rest)) = path.split_first().filter(|(first, _)| !first.is_empty()) else {
            return Err("not a key; parts of a key cannot be empty".to_owned());
        };
        let key = self.spelling_of(first);
        if rest.is_empty() {
            let node = Node::words(raw.to_owned(), origin);
            self.0.insert(key, TreeEntry { origin: origin.clone(), node });
            return Ok(());
        }
        let new_table = || TreeEntry { origin: origin.clone(), node: Node::Table(Table::default()) };
        let entry = self.0.entry(key).or_insert_with(new_table);
        if matches!(rest, ["env" | "file"] | ["ENV" | "FILE"]) && entry.node.is_secret_like() {
            *entry = new_table();
        }
        match &mut entry.node {
            Node::Table(table) => table.overlay(rest, raw, origin),
            Node::List(_) => Err(format!(
                "{} is a list and can only be set whole, in TOML: '[…]'",
                printable(&first.to_lowercase())
            )),
            Node::Text(_) | Node::Integer(_) | Node::Boolean(_) | Node::Foreign(_) | Node::Words { .. } => {
                Err(format!("{} is a single value, with no keys below it", printable(&first.to_lowercase())))
            }
        }
    }

    /// Finds a key regardless of case: variables are in capitals, names need not be.
    fn spelling_of(&self, word: &str) -> String {
        let known = self.0.keys().find(|key| key.eq_ignore_ascii_case(word));
        known.cloned().unwrap_or_else(|| word.to_lowercase())
    }
}

fn is_bare(key: &str) -> bool {
    key.len() <= 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn table(table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> Table {
    let entries = table.iter().map(|(key, value)| {
        let entry = TreeEntry { origin: origin(key.span().start), node: node(value.get_ref(), origin) };
        (key.get_ref().to_string(), entry)
    });
    Table(entries.collect())
}

fn node(value: &DeValue<'_>, origin: &dyn Fn(usize) -> Origin) -> Node {
    let element = |value: &Spanned<DeValue<'_>>| TreeEntry {
        origin: origin(value.span().start),
        node: node(value.get_ref(), origin),
    };
    match value {
        DeValue::String(text) => Node::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Node::Foreign("a number that large"), Node::Integer),
        DeValue::Boolean(value) => Node::Boolean(*value),
        DeValue::Array(list) => Node::List(list.iter().map(element).collect()),
        DeValue::Table(entries) => Node::Table(table(entries, origin)),
        DeValue::Float(_) => Node::Foreign("a number with a point"),
        DeValue::Datetime(_) => Node::Foreign("a date or time"),
    }
}
