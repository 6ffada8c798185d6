//! The health strip that stands on every page.

use askama::Template;

use super::Console;
use crate::language::Language;

#[derive(Template)]
#[template(path = "health.html")]
pub struct Strip {}

impl Strip {
    /// As things stand now.
    pub fn now(_console: &Console, _language: Language) -> Self {
        Self {}
    }
}
