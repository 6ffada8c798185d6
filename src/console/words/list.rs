//! The list of verifications.

use crate::store::{DeliveryState, Status};
use crate::verification::event::FallbackReason;
use crate::verification::state::Ending;

words! {
    texts {
        /// In place of a number that was erased.
        removed: "removed", "entfernt";
        title: "Verifications", "Verifizierungen";
        filters: "Filters", "Filter";
        any: "any", "alle";
        apply: "Apply", "Anwenden";
        clear: "Clear all", "Alle entfernen";
        remove: "Remove", "Entfernen";
        last_hour: "last hour", "letzte Stunde";
        last_day: "last 24 hours", "letzte 24 Stunden";
        last_week: "last 7 days", "letzte 7 Tage";
        as_searched: "as searched", "wie gesucht";
        unreadable: "Ignored, because not valid:", "Nicht verstanden und weggelassen:";
        export: "Export", "Export";
        separator: "Separator", "Trennzeichen";
        comma: "comma", "Komma";
        semicolon: "semicolon (German Excel)", "Semikolon (deutsches Excel)";
        mark: "Mark as UTF-8 for Excel", "Für Excel als UTF-8 kennzeichnen";
        download: "Download CSV", "CSV herunterladen";
        masked: "With these filters, numbers masked. The download is written to the audit log.", "Mit diesen Filtern, Nummern verdeckt. Der Export wird protokolliert.";
        /// `{zone}`
        caption: "Newest first. Times in {zone}.", "Neueste zuerst. Zeiten in {zone}.";
        time: "Requested", "Angefordert";
        number: "Number", "Nummer";
        status: "Code", "Code";
        delivery: "Delivery", "Zustellung";
        trouble: "On the way", "Unterwegs";
        app: "App", "App";
        reference: "Reference", "Referenz";
        older: "Older", "Ältere";
        newest: "Newest", "Neueste";
        /// `{time}`
        searched_back: "Searched back to {time}.", "Durchsucht bis zurück zu {time}.";
        search_on: "Search further back", "Weiter zurück suchen";
        empty: "No verification yet", "Noch keine Verifizierung";
        empty_hint: "As soon as an app requests a code, it appears here. To try it without sending anything: twotick demo.", "Sobald eine App einen Code anfordert, steht er hier. Zum Ausprobieren, ohne etwas zu senden: twotick demo.";
        none_found: "None with these filters", "Keine mit diesen Filtern";
        none_found_hint: "Remove a filter, or widen the time range.", "Entfernen Sie einen davon oder erweitern Sie den Zeitraum.";
        new: "new", "neue";
    }
    match status(Status) {
        Status::Pending => "not entered yet", "noch nicht eingegeben";
        Status::Ended(Ending::Approved) => "confirmed", "bestätigt";
        Status::Ended(Ending::Expired) => "expired", "abgelaufen";
        Status::Ended(Ending::Canceled) => "canceled", "abgebrochen";
        Status::Ended(Ending::Exhausted) => "too many wrong codes", "zu oft falsch";
    }
    match delivery(DeliveryState) {
        DeliveryState::Undelivered => "not delivered", "nicht zugestellt";
        DeliveryState::Queued => "waiting to be sent", "wartet auf Versand";
        DeliveryState::Sending => "being sent", "wird gesendet";
        DeliveryState::InDoubt => "unclear", "unklar";
        DeliveryState::Accepted => "handed over", "übergeben";
        DeliveryState::Sent => "on its way", "unterwegs";
        DeliveryState::Delivered => "delivered", "zugestellt";
        DeliveryState::Read => "read", "gelesen";
    }
    match fallback(FallbackReason) {
        FallbackReason::Deadline => "not confirmed in time", "nicht rechtzeitig bestätigt";
        FallbackReason::Failed => "reported as failed", "als gescheitert gemeldet";
        FallbackReason::Refused => "refused", "abgelehnt";
        FallbackReason::InDoubt => "outcome unclear", "Ausgang unklar";
        FallbackReason::Requested => "requested", "verlangt";
    }
    // A filter, by the name of its parameter in the page's address.
    match filter(&str) {
        "status" => "Code", "Code";
        "delivery" => "Delivery", "Zustellung";
        "channel" => "Channel", "Kanal";
        "fallback" => "Fallback because", "Weiter, weil";
        "error" => "Error code", "Fehlercode";
        "country" => "Country", "Land";
        "profile" => "Profile", "Profil";
        "app" => "App", "App";
        "since" => "From", "Ab";
        "until" => "Until", "Bis";
        "number" => "Number", "Nummer";
        "tail" => "End of the number", "Ende der Nummer";
        "ref" => "Reference", "Referenz";
        _ => "", "";
    }
}

impl Words {
    /// `12 new`; `50+ new` if there are `most` or more.
    pub fn count_new(&self, count: usize, most: usize) -> String {
        let more = if count >= most { "+" } else { "" };
        format!("{count}{more} {}", self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_most_are_shown_with_a_plus() {
        assert_eq!(ENGLISH.count_new(12, 50), "12 new");
        assert_eq!(GERMAN.count_new(50, 50), "50+ neue");
    }
}
