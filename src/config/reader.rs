//! Reads the tree key by key and collects everything that is wrong on the way, instead of stopping at the
//! first. A key that is asked for is by that allowed; a section's leftovers are its unknown keys.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::Needs;
use super::differences::Fingerprints;
use super::environment::Environment;
use super::problem::{Origin, Problem, printable, suggestion};
use super::tree::{Node, Table};

/// What reading has turned up so far.
pub(super) struct Findings<'e> {
    pub(super) environment: &'e Environment,
    needs: Needs,
    /// Of secrets that nobody needs.
    pub(super) unresolved: RefCell<Vec<Problem>>,
    pub(super) fingerprints: RefCell<Fingerprints>,
    /// Names of the variables that secrets come from.
    pub(super) variables: RefCell<BTreeSet<String>>,
    pub(super) problems: RefCell<Vec<Problem>>,
    pub(super) warnings: RefCell<Vec<Problem>>,
    pub(super) shown: RefCell<Vec<Shown>>,
}

/// One effective value as `twotick config show` prints it. A secret's `value` is `"***"`.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Dotted, such as `channels.sms.timeout`.
    pub key: String,
    /// The value as it would stand in the file.
    pub value: Value,
    /// Which layer set it.
    pub origin: Origin,
    /// For a secret that is not written out in the configuration: `env NAME` or `file PATH`.
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

/// One table, being read. Ends with [`Section::end`], which reports the keys that nobody asked for.
pub(super) struct Section<'t> {
    findings: &'t Findings<'t>,
    path: String,
    origin: Origin,
    table: &'t Table,
    /// The table of the built-in file that lends this one its defaults.
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

    /// From now on keys that are not set take their values from `defaults`.
    pub(super) fn default_to(&mut self, defaults: Option<&'t Table>) {
        self.defaults = defaults;
    }

    /// A key that must be set.
    pub(super) fn required(&mut self, key: &'static str) -> Slot<'t> {
        self.slot(key, SlotContent::Missing)
    }

    /// A key that may be left out.
    pub(super) fn optional(&mut self, key: &'static str) -> Slot<'t> {
        self.slot(key, SlotContent::Absent)
    }

    /// A key that the built-in file sets if this one does not.
    pub(super) fn defaulted(&mut self, key: &'static str) -> Slot<'t> {
        self.defaulted_or(key, SlotContent::Missing)
    }

    /// The same for a key that the built-in file may leave out as well.
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

    /// A table whose keys each have a default, so that all of it may be left out.
    pub(super) fn defaulted_table(&mut self, key: &'static str) -> Option<Self> {
        let slot = self.slot(key, SlotContent::Found(&EMPTY));
        let mut section = slot.table("a table")?;
        let defaults = self.defaults.and_then(|defaults| defaults.0.get(key));
        section.defaults = defaults.and_then(|entry| as_table(&entry.node));
        Some(section)
    }

    /// Every entry of a table whose keys are names that the user chose.
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

    /// Reports every key of the table that has not been asked for.
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

/// The table behind a node, also one written as TOML in a variable.
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

/// The place of one key. Reading gives `None` after reporting why, or when the key was left out and may be.
pub(super) struct Slot<'t> {
    findings: &'t Findings<'t>,
    key: String,
    /// Where it is to be put right: for a key that is not set the place of its table.
    origin: Origin,
    /// What `show` names: differs from `origin` for a default.
    set_by: Origin,
    content: SlotContent<'t>,
}

#[derive(Clone, Copy)]
enum SlotContent<'t> {
    Found(&'t Node),
    /// Not set and to be reported as soon as it is known what was wanted.
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

    /// Notes by what a change of this secret will be seen.
    pub(super) fn note_fingerprint(&self, secret: &str) {
        self.findings.fingerprints.borrow_mut().note(&self.key, secret);
    }

    /// Notes that a secret comes from this variable.
    pub(super) fn reads_variable(&self, name: &str) {
        self.findings.variables.borrow_mut().insert(name.to_owned());
    }

    /// What `read` finds of a secret; where it finds none and nobody needs it, `stand_in`, and what is wrong is noted.
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

    /// The node, or `None` after saying that it is missing and what was wanted.
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

    /// Text as it stands, neither checked nor shown.
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

    /// The elements of a list with as many entries as `count` allows.
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

    /// Tells `show` the effective value.
    pub(super) fn show(&self, value: Value) {
        self.push_shown(value, None);
    }

    /// Tells `show` that there is a secret, and where it comes from unless it is written out here.
    pub(super) fn show_secret(&self, secret_from: Option<String>) {
        self.push_shown("***".into(), secret_from);
    }

    fn push_shown(&self, value: Value, secret_from: Option<String>) {
        let shown = Shown { key: self.key.clone(), value, origin: self.set_by.clone(), secret_from };
        self.findings.shown.borrow_mut().push(shown);
    }
}
