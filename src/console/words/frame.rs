//! Around every page.

use crate::console::Role;
use crate::console::look::Theme;
use crate::language::Language;

pub struct Words {
    pub skip: &'static str,
    pub navigation: &'static str,
    pub verifications: &'static str,
    pub conversations: &'static str,
    pub alerts: &'static str,
    pub audit: &'static str,
    pub search: &'static str,
    pub search_hint: &'static str,
    pub preferences: &'static str,
    pub language: &'static str,
    pub theme: &'static str,
    pub zone: &'static str,
    pub browser_zone: &'static str,
    pub apply: &'static str,
    pub sign_out: &'static str,
    pub sign_out_everywhere: &'static str,
    pub copy: &'static str,
    pub copied: &'static str,
    pub keys: &'static str,
    pub key_search: &'static str,
    pub key_next: &'static str,
    pub key_previous: &'static str,
    pub key_open: &'static str,
    pub key_help: &'static str,
    pub key_note: &'static str,
    pub close: &'static str,
    themes: [&'static str; 3],
    roles: [&'static str; 3],
}

impl Words {
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }

    pub fn theme(&self, theme: Theme) -> &'static str {
        match theme {
            Theme::System => self.themes[0],
            Theme::Light => self.themes[1],
            Theme::Dark => self.themes[2],
        }
    }

    pub fn role(&self, role: Role) -> &'static str {
        match role {
            Role::Viewer => self.roles[0],
            Role::Support => self.roles[1],
            Role::Operator => self.roles[2],
        }
    }
}

const ENGLISH: Words = Words {
    skip: "Skip to the content",
    navigation: "Pages",
    verifications: "Verifications",
    conversations: "Conversations",
    alerts: "Alerts",
    audit: "Audit log",
    search: "Search",
    search_hint: "Number, id or reference",
    preferences: "Preferences",
    language: "Language",
    theme: "Colours",
    zone: "Time zone",
    browser_zone: "this browser",
    apply: "Apply",
    sign_out: "Sign out",
    sign_out_everywhere: "Sign out everywhere",
    copy: "Copy",
    copied: "Copied",
    keys: "Keys",
    key_search: "to the search box",
    key_next: "next row",
    key_previous: "row before",
    key_open: "open the row",
    key_help: "this list",
    key_note: "They work while no field is being typed in.",
    close: "Close",
    themes: ["as the system", "light", "dark"],
    roles: ["viewer", "support", "operator"],
};

const GERMAN: Words = Words {
    skip: "Zum Inhalt springen",
    navigation: "Seiten",
    verifications: "Verifizierungen",
    conversations: "Unterhaltungen",
    alerts: "Meldungen",
    audit: "Protokoll",
    search: "Suchen",
    search_hint: "Nummer, Kennung, Referenz",
    preferences: "Einstellungen",
    language: "Sprache",
    theme: "Farben",
    zone: "Zeitzone",
    browser_zone: "dieser Browser",
    apply: "Übernehmen",
    sign_out: "Abmelden",
    sign_out_everywhere: "Überall abmelden",
    copy: "Kopieren",
    copied: "Kopiert",
    keys: "Tasten",
    key_search: "zum Suchfeld",
    key_next: "nächste Zeile",
    key_previous: "vorige Zeile",
    key_open: "Zeile öffnen",
    key_help: "diese Liste",
    key_note: "Sie wirken, solange in kein Feld getippt wird.",
    close: "Schließen",
    themes: ["wie das System", "hell", "dunkel"],
    roles: ["Ansicht", "Support", "Betrieb"],
};
