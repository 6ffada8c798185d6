//! The frame around every page.

use crate::access::Role;
use crate::console::preferences::Theme;

words! {
    texts {
        skip: "Skip to the content", "Zum Inhalt springen";
        navigation: "Pages", "Seiten";
        verifications: "Verifications", "Verifizierungen";
        conversations: "Conversations", "Unterhaltungen";
        alerts: "Alerts", "Meldungen";
        audit: "Audit log", "Protokoll";
        search: "Search", "Suchen";
        search_hint: "Number, id or reference", "Nummer, Kennung, Referenz";
        preferences: "Preferences", "Einstellungen";
        language: "Language", "Sprache";
        theme: "Colours", "Farben";
        zone: "Time zone", "Zeitzone";
        browser_zone: "this browser", "dieser Browser";
        apply: "Apply", "Übernehmen";
        sign_out: "Sign out", "Abmelden";
        sign_out_everywhere: "Sign out everywhere", "Überall abmelden";
        copy: "Copy", "Kopieren";
        copied: "Copied", "Kopiert";
        keys: "Keys", "Tasten";
        key_search: "to the search box", "zum Suchfeld";
        key_next: "next row", "nächste Zeile";
        key_previous: "previous row", "vorige Zeile";
        key_open: "open the row", "Zeile öffnen";
        key_help: "this list", "diese Liste";
        key_note: "They work while no input field has the focus.", "Sie wirken, solange in kein Feld getippt wird.";
        close: "Close", "Schließen";
    }
    match theme(Theme) {
        Theme::System => "system setting", "wie das System";
        Theme::Light => "light", "hell";
        Theme::Dark => "dark", "dunkel";
    }
    match role(Role) {
        Role::Viewer => "viewer", "Ansicht";
        Role::Support => "support", "Support";
        Role::Operator => "operator", "Betrieb";
    }
}
