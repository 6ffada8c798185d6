//! Of the list of verifications.

use crate::language::Language;

pub struct Words {
    pub title: &'static str,
}

impl Words {
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }
}

const ENGLISH: Words = Words { title: "Verifications" };
const GERMAN: Words = Words { title: "Verifizierungen" };
