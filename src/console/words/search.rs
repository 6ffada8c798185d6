//! The search.

words! {
    texts {
        title: "Search", "Suche";
        recognised: "Recognised as:", "Verstanden als:";
        verification: "verification id", "Kennung einer Verifizierung";
        message: "message id", "Kennung einer Nachricht";
        wamid: "WhatsApp message id", "Kennung einer Nachricht bei WhatsApp";
        carrier_id: "carrier's message id", "Kennung einer Nachricht beim Netzbetreiber";
        number: "phone number", "Telefonnummer";
        last_four: "last four digits of a number", "letzte vier Ziffern einer Nummer";
        reference: "reference of an app", "Referenz einer App";
        /// For anything else.
        text: "reference of an app or a carrier's message id", "Referenz einer App oder Kennung eines Netzbetreibers";
        not_your_role: "Your role may not search by number. Search by an id or an app's reference.", "Ihre Rolle sucht nicht nach Nummern. Eine Kennung oder die Referenz einer App geht.";
        which_country: "Searched in several countries. Add + and the country code to be sure.", "In mehreren Ländern versucht. Mit + und Landesvorwahl ist die Suche eindeutig.";
        nothing: "Nothing found", "Nichts gefunden";
        try_this: "What can be searched for:", "Danach lässt sich suchen:";
        as_list: "Show as a list, with filters", "Als Liste mit Filtern zeigen";
        range: "From the", "Aus den";
        search: "Search again", "Noch einmal suchen";
        last_four_note: "Different numbers can end in the same digits: compare the name or the time with the caller before you give any information.", "Verschiedene Nummern können gleich enden: Vergleichen Sie Namen oder Uhrzeit mit den Angaben am Telefon, bevor Sie Auskunft geben.";
        tip_number: "a phone number, in any notation", "eine Telefonnummer, in jeder Schreibweise";
        tip_last_four: "its last four digits, with a time", "ihre letzten vier Ziffern, mit einem Zeitraum";
        tip_id: "an id of twotick, or a link to a page of this console", "eine unserer Kennungen oder ein Link auf eine Seite dieser Konsole";
        tip_reference: "the reference that the app gave (client_ref), in full", "die Referenz, die die App vergeben hat (client_ref), vollständig";
        tip_provider: "the id that WhatsApp or the carrier gave the message", "die Kennung, die WhatsApp oder der Netzbetreiber der Nachricht gab";
    }
    // By the index of the range, from the shortest.
    match range(usize) {
        0 => "last 24 hours", "letzten 24 Stunden";
        1 => "last 7 days", "letzten 7 Tagen";
        _ => "last 30 days", "letzten 30 Tagen";
    }
    // By the ISO 3166 code: countries from which callers are likely. Of others, the code is shown.
    find country {
        "DE" => "Germany", "Deutschland";
        "AT" => "Austria", "Österreich";
        "CH" => "Switzerland", "Schweiz";
        "US" => "United States", "Vereinigte Staaten";
        "CA" => "Canada", "Kanada";
        "GB" => "United Kingdom", "Vereinigtes Königreich";
        "IE" => "Ireland", "Irland";
        "FR" => "France", "Frankreich";
        "NL" => "Netherlands", "Niederlande";
        "BE" => "Belgium", "Belgien";
        "LU" => "Luxembourg", "Luxemburg";
        "IT" => "Italy", "Italien";
        "ES" => "Spain", "Spanien";
        "PT" => "Portugal", "Portugal";
        "PL" => "Poland", "Polen";
        "CZ" => "Czechia", "Tschechien";
        "DK" => "Denmark", "Dänemark";
        "SE" => "Sweden", "Schweden";
        "NO" => "Norway", "Norwegen";
        "FI" => "Finland", "Finnland";
        "TR" => "Türkiye", "Türkei";
        "UA" => "Ukraine", "Ukraine";
        "IN" => "India", "Indien";
        "BR" => "Brazil", "Brasilien";
    }
}

impl Words {
    /// Examples of what can be searched for, each with its meaning.
    pub fn tips(&self) -> [(&'static str, &'static str); 5] {
        [
            ("+49 1522 8817386", self.tip_number),
            ("7386", self.tip_last_four),
            ("ver_…  msg_…", self.tip_id),
            ("order-17", self.tip_reference),
            ("wamid.…", self.tip_provider),
        ]
    }
}
