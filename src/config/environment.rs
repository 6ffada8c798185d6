//! The environment, captured once and passed on as data.

use std::collections::BTreeMap;
use std::fmt;

/// The variables of the process, or of a test. `Debug` shows neither names nor values: many are secret.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Variable>,
}

#[derive(Clone)]
enum Variable {
    Text(String),
    NotUnicode,
}

/// Why a variable has no usable text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    NotSet,
    NotUnicode,
}

impl Environment {
    /// Captures the process's environment. The only place that reads it.
    pub fn from_process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "only the configuration reads the environment")]
        let variables = std::env::vars_os();
        let variables = variables.filter_map(|(name, value)| {
            let value = value.into_string().map_or(Variable::NotUnicode, Variable::Text);
            Some((name.into_string().ok()?, value))
        });
        Self { variables: variables.collect() }
    }

    /// Value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.look_up(name).ok().filter(|value| !value.is_empty())
    }

    pub(super) fn look_up(&self, name: &str) -> Result<&str, Unusable> {
        match self.variables.get(name) {
            Some(Variable::Text(value)) => Ok(value),
            Some(Variable::NotUnicode) => Err(Unusable::NotUnicode),
            None => Err(Unusable::NotSet),
        }
    }

    /// Names of all variables, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// Variables with this prefix, sorted by name.
    pub(super) fn starting_with(&self, prefix: &str) -> impl Iterator<Item = (&str, Result<&str, Unusable>)> {
        let names = self.variables.keys().filter(move |name| name.starts_with(prefix));
        names.map(|name| (name.as_str(), self.look_up(name)))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self { variables: variables.map(|(n, v)| (n.into(), Variable::Text(v.into()))).collect() }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("variables", &self.variables.len()).finish()
    }
}
