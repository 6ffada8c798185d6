//! Of the list of verifications.

use crate::language::Language;
use crate::store::{DeliveryState, Status};
use crate::verification::event::FallbackReason;
use crate::verification::state::Ending;

pub struct Words {
    /// In place of a number that is no longer kept.
    pub removed: &'static str,
    pub title: &'static str,
    pub filters: &'static str,
    pub any: &'static str,
    pub apply: &'static str,
    pub clear: &'static str,
    pub remove: &'static str,
    pub last_hour: &'static str,
    pub last_day: &'static str,
    pub last_week: &'static str,
    pub as_searched: &'static str,
    pub unreadable: &'static str,
    pub export: &'static str,
    pub separator: &'static str,
    pub comma: &'static str,
    pub semicolon: &'static str,
    pub mark: &'static str,
    pub download: &'static str,
    pub masked: &'static str,
    /// `{zone}`
    pub caption: &'static str,
    pub time: &'static str,
    pub number: &'static str,
    pub status: &'static str,
    pub delivery: &'static str,
    pub trouble: &'static str,
    pub app: &'static str,
    pub reference: &'static str,
    pub older: &'static str,
    pub newest: &'static str,
    /// `{time}`
    pub searched_back: &'static str,
    pub search_on: &'static str,
    pub empty: &'static str,
    pub empty_hint: &'static str,
    pub none_found: &'static str,
    pub none_found_hint: &'static str,
    new: &'static str,
    names: [(&'static str, &'static str); 13],
    statuses: [&'static str; 5],
    deliveries: [&'static str; 8],
    fallbacks: [&'static str; 5],
}

impl Words {
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }

    pub fn status(&self, status: Status) -> &'static str {
        match status {
            Status::Pending => self.statuses[0],
            Status::Ended(Ending::Approved) => self.statuses[1],
            Status::Ended(Ending::Expired) => self.statuses[2],
            Status::Ended(Ending::Canceled) => self.statuses[3],
            Status::Ended(Ending::Exhausted) => self.statuses[4],
        }
    }

    pub fn delivery(&self, state: DeliveryState) -> &'static str {
        match state {
            DeliveryState::Undelivered => self.deliveries[0],
            DeliveryState::Queued => self.deliveries[1],
            DeliveryState::Sending => self.deliveries[2],
            DeliveryState::InDoubt => self.deliveries[3],
            DeliveryState::Accepted => self.deliveries[4],
            DeliveryState::Sent => self.deliveries[5],
            DeliveryState::Delivered => self.deliveries[6],
            DeliveryState::Read => self.deliveries[7],
        }
    }

    pub fn fallback(&self, reason: FallbackReason) -> &'static str {
        match reason {
            FallbackReason::Deadline => self.fallbacks[0],
            FallbackReason::Failed => self.fallbacks[1],
            FallbackReason::Refused => self.fallbacks[2],
            FallbackReason::InDoubt => self.fallbacks[3],
            FallbackReason::Requested => self.fallbacks[4],
        }
    }

    /// The name of a parameter of the address.
    pub fn filter(&self, name: &str) -> &'static str {
        self.names.iter().find(|(known, _)| *known == name).map_or("", |(_, label)| label)
    }

    /// `12 new`; `50+ new` where there are at least `most`.
    pub fn count_new(&self, count: usize, most: usize) -> String {
        let more = if count >= most { "+" } else { "" };
        format!("{count}{more} {}", self.new)
    }
}

const ENGLISH: Words = Words {
    removed: "removed",
    title: "Verifications",
    filters: "Filters",
    any: "any",
    apply: "Apply",
    clear: "Clear all",
    remove: "Remove",
    last_hour: "last hour",
    last_day: "last 24 hours",
    last_week: "last 7 days",
    as_searched: "as searched",
    unreadable: "Not understood and left out:",
    export: "Export",
    separator: "Separator",
    comma: "comma",
    semicolon: "semicolon (German Excel)",
    mark: "Mark as UTF-8 for Excel",
    download: "Download CSV",
    masked: "With these filters, numbers masked. The download is written to the audit log.",
    caption: "Newest first. Times in {zone}.",
    time: "Requested",
    number: "Number",
    status: "Code",
    delivery: "Delivery",
    trouble: "On the way",
    app: "App",
    reference: "Reference",
    older: "Older",
    newest: "Newest",
    searched_back: "Searched back to {time}.",
    search_on: "Search further back",
    empty: "No verification yet",
    empty_hint: "As soon as an app asks for a code, it stands here. To try it without sending anything: twotick demo.",
    none_found: "None with these filters",
    none_found_hint: "Remove one of them, or widen the time.",
    new: "new",
    names: [
        ("status", "Code"),
        ("delivery", "Delivery"),
        ("channel", "Channel"),
        ("fallback", "Went on because"),
        ("error", "Error code"),
        ("country", "Country"),
        ("profile", "Profile"),
        ("app", "App"),
        ("since", "From"),
        ("until", "Until"),
        ("number", "Number"),
        ("tail", "End of the number"),
        ("ref", "Reference"),
    ],
    statuses: ["not entered yet", "confirmed", "expired", "canceled", "too many wrong"],
    deliveries: [
        "not delivered",
        "waiting to be sent",
        "being sent",
        "unclear",
        "handed over",
        "on its way",
        "delivered",
        "read",
    ],
    fallbacks: ["not confirmed in time", "reported as failed", "refused", "outcome unclear", "asked for"],
};

const GERMAN: Words = Words {
    removed: "entfernt",
    title: "Verifizierungen",
    filters: "Filter",
    any: "alle",
    apply: "Anwenden",
    clear: "Alle entfernen",
    remove: "Entfernen",
    last_hour: "letzte Stunde",
    last_day: "letzte 24 Stunden",
    last_week: "letzte 7 Tage",
    as_searched: "wie gesucht",
    unreadable: "Nicht verstanden und weggelassen:",
    export: "Export",
    separator: "Trennzeichen",
    comma: "Komma",
    semicolon: "Semikolon (deutsches Excel)",
    mark: "Für Excel als UTF-8 kennzeichnen",
    download: "CSV herunterladen",
    masked: "Mit diesen Filtern, Nummern verdeckt. Der Export wird protokolliert.",
    caption: "Neueste zuerst. Zeiten in {zone}.",
    time: "Angefordert",
    number: "Nummer",
    status: "Code",
    delivery: "Zustellung",
    trouble: "Unterwegs",
    app: "App",
    reference: "Referenz",
    older: "Ältere",
    newest: "Neueste",
    searched_back: "Durchsucht bis zurück zu {time}.",
    search_on: "Weiter zurück suchen",
    empty: "Noch keine Verifizierung",
    empty_hint: "Sobald eine App einen Code anfordert, steht er hier. Zum Ausprobieren, ohne etwas zu senden: twotick demo.",
    none_found: "Keine mit diesen Filtern",
    none_found_hint: "Entfernen Sie einen davon oder erweitern Sie den Zeitraum.",
    new: "neue",
    names: [
        ("status", "Code"),
        ("delivery", "Zustellung"),
        ("channel", "Kanal"),
        ("fallback", "Weiter, weil"),
        ("error", "Fehlercode"),
        ("country", "Land"),
        ("profile", "Profil"),
        ("app", "App"),
        ("since", "Ab"),
        ("until", "Bis"),
        ("number", "Nummer"),
        ("tail", "Ende der Nummer"),
        ("ref", "Referenz"),
    ],
    statuses: ["noch nicht eingegeben", "bestätigt", "abgelaufen", "abgebrochen", "zu oft falsch"],
    deliveries: [
        "nicht zugestellt",
        "wartet auf Versand",
        "wird gesendet",
        "unklar",
        "übergeben",
        "unterwegs",
        "zugestellt",
        "gelesen",
    ],
    fallbacks: [
        "nicht rechtzeitig bestätigt",
        "als gescheitert gemeldet",
        "abgelehnt",
        "Ausgang unklar",
        "verlangt",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_name_the_same_filters() {
        assert_eq!(ENGLISH.names.map(|(name, _)| name), GERMAN.names.map(|(name, _)| name));
        assert_eq!(ENGLISH.count_new(12, 50), "12 new");
        assert_eq!(GERMAN.count_new(50, 50), "50+ neue");
    }
}
