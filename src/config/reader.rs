//! Reads the tree key by key and collects all problems instead of stopping at the first. Reading a key makes it known;
//! the keys of a section that were not read are unknown keys.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::Needs;
use super::differences::Fingerprints;
use super::environment::Environment;
use super::problem::{Origin, Problem, printable, suggestion};
use super::tree::{Node, Table};

/// Results of reading so far.
pub(super) struct Findings<'e> {
    pub(super) environment: &'e Environment,
    needs: Needs,
    /// Problems of secrets that are not needed.
    pub(super) unresolved: RefCell<Vec<Problem>>,
    pub(super) fingerprints: RefCell<Fingerprints>,
    /// Names of variables that secrets come from.
    pub(super) variables: RefCell<BTreeSet<String>>,
    pub(super) problems: RefCell<Vec<Problem>>,
    pub(super) warnings: RefCell<Vec<Problem>>,
    pub(super) shown: RefCell<Vec<Shown>>,
}

/// An effective value as `twotick config show` prints it. The `value` of a secret is `"***"`.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Dotted, such as `channels.sms.timeout`.
    pub key: String,
    /// As in the file.
    pub value: Value,
    /// The layer that set it.
    pub origin: Origin,
    /// Origin of a secret that is not written in the configuration: `env NAME` or `file PATH`.
    pub secret_from: Option<String>,
}

impl<'e> Findings<'e> {
    pub(super) fn new(environment: &'e Environment, needs: Needs) -> Self {
        Self {
            environment,
            needs,
            unresolved: RefCell::default(),
            fingerprints: RefCell::default(),
            variables: RefCell::default(),
            problems: RefCell::default(),
            warnings: RefCell::default(),
            shown: RefCell::default(),
        }
    }

    fn needs(&self, key: &str) -> bool {
        match self.needs {
            Needs::Every => true,
            Needs::Only(keys) => keys.contains(&key),
        }
    }

    pub(super) fn problem(&self, origin: &Origin, key: impl Into<String>, text: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            origin: origin.clone(),
            key: key.into(),
            text: text.into(),
        });
    }
}

/// A table being read. [`Section::end`] reports unknown keys.
pub(super) struct Section<'t> {
    findings: &'t Findings<'t>,
    path: String,
    origin: Origin,
    table: &'t Table,
    /// The table of the built-in file with the defaults.
    defaults: Option<&'t Table>,
    asked: Vec<&'static str>,
}

impl<'t> Section<'t> {
    pub(super) fn root(
        findings: &'t Findings<'t>,
        origin: Origin,
        table: &'t Table,
        defaults: &'t Table,
    ) -> Self {
        Self { findings, path: String::new(), origin, table, defaults: Some(defaults), asked: Vec::new() }
    }

    /// Sets the table from which unset keys take their values.
    pub(super) fn default_to(&mut self, defaults: Option<&'t Table>) {
        self.defaults = defaults;
    }

    /// A required key.
    pub(super) fn required(&mut self, key: &'static str) -> Slot<'t> {
        self.slot(key, SlotContent::Missing)
    }

    /// An optional key without a default.
    pub(super) fn optional(&mut self, key: &'static str) -> Slot<'t> {
        self.slot(key, SlotContent::Absent)
    }

    /// A key with a default in the built-in file.
    pub(super) fn defaulted(&mut self, key: &'static str) -> Slot<'t> {
        self.defaulted_or(key, SlotContent::Missing)
    }

    /// A key whose default may be missing in the built-in file.
    pub(super) fn maybe_defaulted(&mut self, key: &'static str) -> Slot<'t> {
        self.defaulted_or(key, SlotContent::Absent)
    }

    fn defaulted_or(&mut self, key: &'static str, otherwise: SlotContent<'t>) -> Slot<'t> {
        let mut slot = self.slot(key, otherwise);
        let built_in = self.defaults.and_then(|defaults| defaults.0.get(key));
        if let (SlotContent::Missing | SlotContent::Absent, Some(entry)) = (&slot.content, built_in) {
            slot.content = SlotContent::Found(&entry.node);
            slot.set_by = entry.origin.clone();
        }
        slot
    }

    /// A table that may be left out, because each of its keys has a default.
    pub(super) fn defaulted_table(&mut self, key: &'static str) -> Option<Self> {
        let slot = self.slot(key, SlotContent::Found(&EMPTY));
        let mut section = slot.table("a table")?;
        let defaults = self.defaults.and_then(|defaults| defaults.0.get(key));
        section.defaults = defaults.and_then(|entry| as_table(&entry.node));
        Some(section)
    }

    /// All entries of a table whose keys are user-defined names.
    pub(super) fn entries(&self) -> Vec<(String, Slot<'t>)> {
        let entries = self.table.0.iter().map(|(name, entry)| {
            let slot = Slot {
                findings: self.findings,
                key: self.key(&printable(name)),
                origin: entry.origin.clone(),
                set_by: entry.origin.clone(),
                content: SlotContent::Found(&entry.node),
            };
            (name.clone(), slot)
        });
        entries.collect()
    }

    pub(super) fn problem(&self, text: impl Into<String>) {
        self.findings.problem(&self.origin, &*self.path, text);
    }

    /// Reports all keys that were not read.
    pub(super) fn end(self) {
        let unknown = self.table.0.iter().filter(|(key, _)| !self.asked.contains(&key.as_str()));
        for (key, entry) in unknown {
            let allowed = self.asked.join(", ");
            let suggestion = suggestion(key, self.asked.iter().copied());
            let text = format!("unknown key; allowed here: {allowed}{suggestion}");
            self.findings.problem(&entry.origin, self.key(&printable(key)), text);
        }
    }

    fn slot(&mut self, key: &'static str, otherwise: SlotContent<'t>) -> Slot<'t> {
        self.asked.push(key);
        let entry = self.table.0.get(key);
        let origin = entry.map_or(&self.origin, |entry| &entry.origin);
        Slot {
            findings: self.findings,
            key: self.key(key),
            origin: origin.clone(),
            set_by: origin.clone(),
            content: entry.map_or(otherwise, |entry| SlotContent::Found(&entry.node)),
        }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

static EMPTY: Node = Node::Table(Table::EMPTY);

/// The table of a node, which may be TOML in a variable.
pub(super) fn as_table(node: &Node) -> Option<&Table> {
    match node {
        Node::Table(table) => Some(table),
        Node::Words { toml: Some(node), .. } => as_table(node),
        Node::Words { toml: None, .. }
        | Node::Text(_)
        | Node::Integer(_)
        | Node::Boolean(_)
        | Node::List(_)
        | Node::Foreign(_) => None,
    }
}

/// One key. Reading returns `None` after reporting a problem, or if an optional key is not set.
pub(super) struct Slot<'t> {
    findings: &'t Findings<'t>,
    key: String,
    /// Where a problem is reported: for an unset key, at its table.
    origin: Origin,
    /// What `show` prints: differs from `origin` for a default.
    set_by: Origin,
    content: SlotContent<'t>,
}

#[derive(Clone, Copy)]
enum SlotContent<'t> {
    Found(&'t Node),
    /// Not set; reported once the allowed values are known.
    Missing,
    Absent,
}

impl<'t> Slot<'t> {
    pub(super) fn is_set(&self) -> bool {
        matches!(self.content, SlotContent::Found(_))
    }

    pub(super) fn is_default(&self) -> bool {
        self.set_by != self.origin
    }

    pub(super) fn environment(&self) -> &'t Environment {
        self.findings.environment
    }

    /// Records a fingerprint, to detect changes of this secret.
    pub(super) fn note_fingerprint(&self, secret: &str) {
        self.findings.fingerprints.borrow_mut().note(&self.key, secret);
    }

    /// Records that a secret comes from this variable.
    pub(super) fn reads_variable(&self, name: &str) {
        self.findings.variables.borrow_mut().insert(name.to_owned());
    }

    /// Reads a secret with `read`. If it fails and the secret is not needed, records the problem and returns
    /// `stand_in`.
    pub(super) fn if_needed<T>(
        &self,
        read: impl FnOnce() -> Option<T>,
        stand_in: impl FnOnce() -> T,
    ) -> Option<T> {
        let before = self.findings.problems.borrow().len();
        let found = read();
        if found.is_some() || self.findings.needs(&self.key) {
            return found;
        }
        let unresolved = self.findings.problems.borrow_mut().split_off(before);
        self.findings.unresolved.borrow_mut().extend(unresolved);
        Some(stand_in())
    }

    /// The node; `None` after reporting that it is missing.
    pub(super) fn node(&self, allowed: &str) -> Option<&'t Node> {
        match self.content {
            SlotContent::Found(node) => Some(node),
            SlotContent::Missing => {
                self.problem(format!("missing; must be {allowed}"));
                None
            }
            SlotContent::Absent => None,
        }
    }

    /// Text that `parse` accepts; `allowed` completes "must be …".
    pub(super) fn text<T>(&self, allowed: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.raw_text(allowed)?;
        let value = parse(text);
        match &value {
            Some(_) => self.show(text.into()),
            None => self.problem(format!("must be {allowed}")),
        }
        value
    }

    /// Any text, neither validated nor shown.
    pub(super) fn raw_text(&self, allowed: &str) -> Option<&'t str> {
        match self.node(allowed)? {
            Node::Text(text) | Node::Words { raw: text, .. } => Some(text),
            other @ (Node::Integer(_)
            | Node::Boolean(_)
            | Node::List(_)
            | Node::Table(_)
            | Node::Foreign(_)) => {
                self.wrong_type(&format!("{allowed}, as text in quotes"), other);
                None
            }
        }
    }

    /// A whole number within `range`.
    pub(super) fn integer<T: TryFrom<i64>>(&self, range: RangeInclusive<i64>) -> Option<T> {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        let number = match self.node(&allowed)? {
            Node::Integer(number) => Some(*number),
            Node::Words { raw, .. } => raw.trim().parse().ok(),
            other
            @ (Node::Text(_) | Node::Boolean(_) | Node::List(_) | Node::Table(_) | Node::Foreign(_)) => {
                self.wrong_type(&format!("{allowed}, without quotes"), other);
                return None;
            }
        };
        let Some(number) = number.filter(|number| range.contains(number)) else {
            self.problem(format!("must be {allowed}"));
            return None;
        };
        self.show(number.into());
        T::try_from(number).ok()
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        const ALLOWED: &str = "true or false, without quotes";
        let value = match self.node(ALLOWED)? {
            Node::Boolean(value) => Some(*value),
            Node::Words { raw, .. } => raw.trim().parse().ok(),
            other
            @ (Node::Text(_) | Node::Integer(_) | Node::List(_) | Node::Table(_) | Node::Foreign(_)) => {
                self.wrong_type(ALLOWED, other);
                return None;
            }
        };
        match value {
            Some(value) => self.show(value.into()),
            None => self.problem(format!("must be {ALLOWED}")),
        }
        value
    }

    /// The elements of a list, `count` of them.
    pub(super) fn list(&self, allowed: &str, count: RangeInclusive<usize>) -> Option<Vec<Slot<'t>>> {
        let mut node = self.node(allowed)?;
        if let Node::Words { toml: Some(parsed), .. } = node {
            node = parsed;
        }
        let Node::List(elements) = node else {
            self.wrong_type(allowed, node);
            return None;
        };
        if !count.contains(&elements.len()) {
            self.problem(format!("must be {allowed}"));
            return None;
        }
        if elements.is_empty() {
            self.show(Value::Array(Vec::new()));
        }
        let slots = elements.iter().enumerate().map(|(index, element)| Slot {
            findings: self.findings,
            key: format!("{}[{index}]", self.key),
            origin: if self.is_default() { self.origin.clone() } else { element.origin.clone() },
            set_by: element.origin.clone(),
            content: SlotContent::Found(&element.node),
        });
        Some(slots.collect())
    }

    /// A table, to be read key by key.
    pub(super) fn table(&self, allowed: &str) -> Option<Section<'t>> {
        let node = self.node(allowed)?;
        let Some(table) = as_table(node) else {
            self.wrong_type(allowed, node);
            return None;
        };
        Some(Section {
            findings: self.findings,
            path: self.key.clone(),
            origin: self.origin.clone(),
            table,
            defaults: None,
            asked: Vec::new(),
        })
    }

    pub(super) fn problem(&self, text: impl Into<String>) {
        self.findings.problem(&self.origin, &*self.key, text);
    }

    pub(super) fn warning(&self, text: impl Into<String>) {
        let warning = Problem { origin: self.origin.clone(), key: self.key.clone(), text: text.into() };
        self.findings.warnings.borrow_mut().push(warning);
    }

    pub(super) fn wrong_type(&self, allowed: &str, found: &Node) {
        self.problem(format!("must be {allowed}, not {}", found.type_name()));
    }

    /// Records the effective value for `show`.
    pub(super) fn show(&self, value: Value) {
        self.push_shown(value, None);
    }

    /// Records a secret for `show`, and where it comes from unless it is written in the configuration.
    pub(super) fn show_secret(&self, secret_from: Option<String>) {
        self.push_shown("***".into(), secret_from);
    }

    fn push_shown(&self, value: Value, secret_from: Option<String>) {
        let shown = Shown { key: self.key.clone(), value, origin: self.set_by.clone(), secret_from };
        self.findings.shown.borrow_mut().push(shown);
    }
}
