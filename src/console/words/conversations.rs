//! Of the pages of what people wrote.

use crate::language::Language;
use crate::store::{DeliveryState, Status};
use crate::verification::state::Ending;

pub struct Words {
    pub title: &'static str,
    pub lead: &'static str,
    pub none: &'static str,
    pub person: &'static str,
    pub last_message: &'static str,
    pub when: &'static str,
    pub count: &'static str,
    pub hidden_number: &'static str,
    pub disowned: &'static str,
    pub disowned_note: &'static str,
    /// Of what is no longer kept.
    pub removed: &'static str,
    pub cannot_open: &'static str,
    pub no_text: &'static str,
    pub answers: &'static str,
    pub messages: &'static str,
    pub no_messages: &'static str,
    pub verifications: &'static str,
    pub no_verifications: &'static str,
    pub more_verifications: &'static str,
    pub all: &'static str,
    pub older: &'static str,
    pub newest: &'static str,
    statuses: [&'static str; 5],
    deliveries: [&'static str; 8],
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

    /// With the class of its badge.
    pub fn delivery(&self, state: DeliveryState) -> (&'static str, &'static str) {
        match state {
            DeliveryState::Undelivered => (self.deliveries[0], "bad"),
            DeliveryState::Queued => (self.deliveries[1], "waiting"),
            DeliveryState::Sending => (self.deliveries[2], "waiting"),
            DeliveryState::InDoubt => (self.deliveries[3], "waiting"),
            DeliveryState::Accepted => (self.deliveries[4], "waiting"),
            DeliveryState::Sent => (self.deliveries[5], "waiting"),
            DeliveryState::Delivered => (self.deliveries[6], "good"),
            DeliveryState::Read => (self.deliveries[7], "good"),
        }
    }
}

const ENGLISH: Words = Words {
    title: "Conversations",
    lead: "What people wrote to the business number, newest first.",
    none: "Nobody has written yet. Answers to a code and presses of “I didn’t request a code” appear here.",
    person: "Person",
    last_message: "Last message",
    when: "Time",
    count: "Messages",
    hidden_number: "hidden number",
    disowned: "Did not request a code",
    disowned_note: "This person says that the code was not requested by them. Somebody else may have typed their number, by mistake or to get into their account.",
    removed: "This message has been removed.",
    cannot_open: "This message cannot be opened: another master key, or damaged.",
    no_text: "no text",
    answers: "answers",
    messages: "Messages",
    no_messages: "This person has written nothing.",
    verifications: "Verifications of this number",
    no_verifications: "There is none, or it belongs to an app that you do not look after.",
    more_verifications: "There are older ones; the search finds them by the number.",
    all: "All conversations",
    older: "Older",
    newest: "Back to the newest",
    statuses: ["pending", "approved", "expired", "canceled", "locked"],
    deliveries: ["undelivered", "queued", "sending", "in doubt", "accepted", "sent", "delivered", "read"],
};

const GERMAN: Words = Words {
    title: "Unterhaltungen",
    lead: "Was Menschen an die Geschäftsnummer schrieben, das Neueste zuerst.",
    none: "Noch hat niemand geschrieben. Antworten auf einen Code und „Ich habe keinen Code angefordert“ erscheinen hier.",
    person: "Person",
    last_message: "Letzte Nachricht",
    when: "Zeit",
    count: "Nachrichten",
    hidden_number: "verborgene Nummer",
    disowned: "Hat keinen Code angefordert",
    disowned_note: "Diese Person sagt, dass sie den Code nicht angefordert hat. Vielleicht hat jemand anderes ihre Nummer eingegeben, aus Versehen oder um in ihr Konto zu gelangen.",
    removed: "Diese Nachricht wurde entfernt.",
    cannot_open: "Diese Nachricht lässt sich nicht öffnen: anderer Hauptschlüssel oder beschädigt.",
    no_text: "ohne Text",
    answers: "antwortet auf",
    messages: "Nachrichten",
    no_messages: "Diese Person hat nichts geschrieben.",
    verifications: "Verifizierungen dieser Nummer",
    no_verifications: "Es gibt keine, oder sie gehört zu einer App, die Sie nicht betreuen.",
    more_verifications: "Es gibt ältere; die Suche findet sie über die Nummer.",
    all: "Alle Unterhaltungen",
    older: "Ältere",
    newest: "Zurück zu den neuesten",
    statuses: ["läuft", "bestätigt", "abgelaufen", "abgebrochen", "gesperrt"],
    deliveries: [
        "nicht zugestellt",
        "eingereiht",
        "wird gesendet",
        "ungewiss",
        "angenommen",
        "gesendet",
        "zugestellt",
        "gelesen",
    ],
};
