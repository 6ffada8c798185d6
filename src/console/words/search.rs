//! Of the search.

use crate::language::Language;

pub struct Words {
    pub title: &'static str,
    pub recognised: &'static str,
    pub verification: &'static str,
    pub message: &'static str,
    pub wamid: &'static str,
    pub carrier_id: &'static str,
    pub number: &'static str,
    pub last_four: &'static str,
    pub reference: &'static str,
    /// Nothing of all that.
    pub text: &'static str,
    pub not_your_role: &'static str,
    pub nothing: &'static str,
    pub try_this: &'static str,
    pub tips: [(&'static str, &'static str); 5],
    pub as_list: &'static str,
    pub range: &'static str,
    pub search: &'static str,
    pub last_four_note: &'static str,
    pub ranges: [&'static str; 3],
    countries: [(&'static str, &'static str); 24],
}

impl Words {
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }

    /// By its ISO 3166 code; those from which callers are likely, of the others the code is shown.
    pub fn country(&self, code: &str) -> Option<&'static str> {
        self.countries.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
    }
}

const ENGLISH: Words = Words {
    title: "Search",
    recognised: "Taken for:",
    verification: "id of a verification",
    message: "id of a message",
    wamid: "WhatsApp's id of a message",
    carrier_id: "carrier's id of a message",
    number: "phone number",
    last_four: "last four digits of a number",
    reference: "reference of an app",
    text: "reference of an app or a carrier's id",
    not_your_role: "Your role does not search by number. An id or an app's reference works.",
    nothing: "Nothing found",
    try_this: "What can be searched for:",
    tips: [
        ("+49 1522 8817386", "a phone number, in any notation"),
        ("7386", "its last four digits, with a time"),
        ("ver_…  msg_…", "an id of ours, or a link to a page of this console"),
        ("order-17", "the reference that the app gave (client_ref), whole"),
        ("wamid.…", "the id that WhatsApp or the carrier gave the message"),
    ],
    as_list: "Show as a list, with filters",
    range: "Of the",
    search: "Search again",
    last_four_note: "Different numbers can end alike: compare name or time with the caller before you say anything.",
    ranges: ["last 24 hours", "last 7 days", "last 30 days"],
    countries: [
        ("DE", "Germany"),
        ("AT", "Austria"),
        ("CH", "Switzerland"),
        ("US", "United States"),
        ("CA", "Canada"),
        ("GB", "United Kingdom"),
        ("IE", "Ireland"),
        ("FR", "France"),
        ("NL", "Netherlands"),
        ("BE", "Belgium"),
        ("LU", "Luxembourg"),
        ("IT", "Italy"),
        ("ES", "Spain"),
        ("PT", "Portugal"),
        ("PL", "Poland"),
        ("CZ", "Czechia"),
        ("DK", "Denmark"),
        ("SE", "Sweden"),
        ("NO", "Norway"),
        ("FI", "Finland"),
        ("TR", "Türkiye"),
        ("UA", "Ukraine"),
        ("IN", "India"),
        ("BR", "Brazil"),
    ],
};

const GERMAN: Words = Words {
    title: "Suche",
    recognised: "Verstanden als:",
    verification: "Kennung einer Verifizierung",
    message: "Kennung einer Nachricht",
    wamid: "Kennung einer Nachricht bei WhatsApp",
    carrier_id: "Kennung einer Nachricht beim Netzbetreiber",
    number: "Telefonnummer",
    last_four: "letzte vier Ziffern einer Nummer",
    reference: "Referenz einer App",
    text: "Referenz einer App oder Kennung eines Netzbetreibers",
    not_your_role: "Ihre Rolle sucht nicht nach Nummern. Eine Kennung oder die Referenz einer App geht.",
    nothing: "Nichts gefunden",
    try_this: "Danach lässt sich suchen:",
    tips: [
        ("+49 1522 8817386", "eine Telefonnummer, in jeder Schreibweise"),
        ("7386", "ihre letzten vier Ziffern, mit einem Zeitraum"),
        ("ver_…  msg_…", "eine unserer Kennungen oder ein Link auf eine Seite dieser Konsole"),
        ("order-17", "die Referenz, die die App vergeben hat (client_ref), vollständig"),
        ("wamid.…", "die Kennung, die WhatsApp oder der Netzbetreiber der Nachricht gab"),
    ],
    as_list: "Als Liste mit Filtern zeigen",
    range: "Aus den",
    search: "Noch einmal suchen",
    last_four_note: "Verschiedene Nummern können gleich enden: Vergleichen Sie Namen oder Uhrzeit mit den Angaben am Telefon, bevor Sie Auskunft geben.",
    ranges: ["letzten 24 Stunden", "letzten 7 Tagen", "letzten 30 Tagen"],
    countries: [
        ("DE", "Deutschland"),
        ("AT", "Österreich"),
        ("CH", "Schweiz"),
        ("US", "Vereinigte Staaten"),
        ("CA", "Kanada"),
        ("GB", "Vereinigtes Königreich"),
        ("IE", "Irland"),
        ("FR", "Frankreich"),
        ("NL", "Niederlande"),
        ("BE", "Belgien"),
        ("LU", "Luxemburg"),
        ("IT", "Italien"),
        ("ES", "Spanien"),
        ("PT", "Portugal"),
        ("PL", "Polen"),
        ("CZ", "Tschechien"),
        ("DK", "Dänemark"),
        ("SE", "Schweden"),
        ("NO", "Norwegen"),
        ("FI", "Finnland"),
        ("TR", "Türkei"),
        ("UA", "Ukraine"),
        ("IN", "Indien"),
        ("BR", "Brasilien"),
    ],
};
