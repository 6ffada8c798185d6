//! Of the pages of what people wrote.

use crate::console::plain::plain;
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
    pub answers: &'static str,
    pub messages: &'static str,
    pub no_messages: &'static str,
    pub verifications: &'static str,
    pub no_verifications: &'static str,
    pub more_verifications: &'static str,
    pub all: &'static str,
    pub older: &'static str,
    pub newest: &'static str,
    kinds: Kinds,
    statuses: [&'static str; 5],
    deliveries: [&'static str; 8],
}

/// What a message is, for those that are no text.
struct Kinds {
    /// By the provider's word.
    labels: [(&'static str, &'static str); 19],
    /// A label before what was written, by the provider's word.
    with_text: [(&'static str, &'static str); 9],
    call_permitted: &'static str,
    call_refused: &'static str,
    /// `{kind}`
    unknown: &'static str,
    empty: &'static str,
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

    /// A message in words: what it is, unless that is plain, and what was written. `kind` is the provider's word.
    pub fn said<'t>(&self, kind: &str, text: Option<&'t str>) -> (Option<String>, Option<&'t str>) {
        let kinds = &self.kinds;
        let named = |table: &[(&str, &'static str)]| {
            table.iter().find(|(known, _)| *known == kind).map(|(_, label)| (*label).to_owned())
        };
        match (kind, text) {
            // As the channel writes the answer down, whose type is that of a choice otherwise.
            ("interactive", Some("call_permission_reply: accept")) => {
                (Some(kinds.call_permitted.to_owned()), None)
            }
            ("interactive", Some("call_permission_reply: reject")) => {
                (Some(kinds.call_refused.to_owned()), None)
            }
            ("text" | "button" | "interactive", Some(_)) => (None, text),
            ("text", None) => (Some(kinds.empty.to_owned()), None),
            (_, Some(_)) => (named(&kinds.with_text).or_else(|| named(&kinds.labels)), text),
            (_, None) => {
                let unknown = || kinds.unknown.replace("{kind}", &plain(kind));
                (Some(named(&kinds.labels).unwrap_or_else(unknown)), None)
            }
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
    answers: "answers",
    messages: "Messages",
    no_messages: "This person has written nothing.",
    verifications: "Verifications of this number",
    no_verifications: "There is none, or it belongs to an app that you do not look after.",
    more_verifications: "There are older ones; the search finds them by the number.",
    all: "All conversations",
    older: "Older",
    newest: "Back to the newest",
    kinds: Kinds {
        labels: [
            ("audio", "Sent a voice message or another sound."),
            ("voice", "Sent a voice message."),
            ("image", "Sent a picture."),
            ("video", "Sent a video."),
            ("document", "Sent a document."),
            ("sticker", "Sent a sticker."),
            ("contacts", "Shared a contact."),
            ("location", "Shared a location."),
            ("order", "Placed an order."),
            ("reaction", "Took a reaction back."),
            ("edit", "Changed a message."),
            ("revoke", "Deleted a message."),
            ("system", "WhatsApp reports a change of this person’s account."),
            ("button", "Pressed a button."),
            ("interactive", "Answered with a button or a form."),
            ("request_welcome", "Opened the chat for the first time."),
            (
                "unsupported",
                "Sent something that WhatsApp does not pass on, such as a poll or a group invitation.",
            ),
            ("ephemeral", "Sent a message that disappears."),
            ("unknown", "Sent something that WhatsApp does not name."),
        ],
        with_text: [
            ("image", "Picture:"),
            ("video", "Video:"),
            ("document", "Document:"),
            ("contacts", "Shared contact:"),
            ("location", "Shared location:"),
            ("order", "Order:"),
            ("reaction", "Reacted with:"),
            ("edit", "Changed a message to:"),
            ("system", "WhatsApp reports:"),
        ],
        call_permitted: "Allowed calls.",
        call_refused: "Refused calls.",
        unknown: "Sent a message of a kind that twotick does not know ({kind}).",
        empty: "Sent an empty message.",
    },
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
    answers: "antwortet auf",
    messages: "Nachrichten",
    no_messages: "Diese Person hat nichts geschrieben.",
    verifications: "Verifizierungen dieser Nummer",
    no_verifications: "Es gibt keine, oder sie gehört zu einer App, die Sie nicht betreuen.",
    more_verifications: "Es gibt ältere; die Suche findet sie über die Nummer.",
    all: "Alle Unterhaltungen",
    older: "Ältere",
    newest: "Zurück zu den neuesten",
    kinds: Kinds {
        labels: [
            ("audio", "Hat eine Sprachnachricht oder einen anderen Ton gesendet."),
            ("voice", "Hat eine Sprachnachricht gesendet."),
            ("image", "Hat ein Bild gesendet."),
            ("video", "Hat ein Video gesendet."),
            ("document", "Hat ein Dokument gesendet."),
            ("sticker", "Hat einen Sticker gesendet."),
            ("contacts", "Hat einen Kontakt geteilt."),
            ("location", "Hat einen Standort geteilt."),
            ("order", "Hat etwas bestellt."),
            ("reaction", "Hat eine Reaktion zurückgenommen."),
            ("edit", "Hat eine Nachricht geändert."),
            ("revoke", "Hat eine Nachricht gelöscht."),
            ("system", "WhatsApp meldet eine Änderung am Konto dieser Person."),
            ("button", "Hat eine Schaltfläche gedrückt."),
            ("interactive", "Hat mit einer Schaltfläche oder einem Formular geantwortet."),
            ("request_welcome", "Hat den Chat zum ersten Mal geöffnet."),
            (
                "unsupported",
                "Hat etwas gesendet, das WhatsApp nicht weitergibt, etwa eine Umfrage oder eine Gruppeneinladung.",
            ),
            ("ephemeral", "Hat eine Nachricht gesendet, die wieder verschwindet."),
            ("unknown", "Hat etwas gesendet, das WhatsApp nicht benennt."),
        ],
        with_text: [
            ("image", "Bild:"),
            ("video", "Video:"),
            ("document", "Dokument:"),
            ("contacts", "Geteilter Kontakt:"),
            ("location", "Geteilter Standort:"),
            ("order", "Bestellung:"),
            ("reaction", "Reaktion:"),
            ("edit", "Hat eine Nachricht geändert in:"),
            ("system", "WhatsApp meldet:"),
        ],
        call_permitted: "Hat Anrufe erlaubt.",
        call_refused: "Hat Anrufe abgelehnt.",
        unknown: "Hat eine Nachricht gesendet, deren Art twotick nicht kennt ({kind}).",
        empty: "Hat eine leere Nachricht gesendet.",
    },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_message_has_plain_words_in_both_languages() {
        for words in [&ENGLISH, &GERMAN] {
            for kind in words.kinds.labels.map(|(kind, _)| kind).into_iter().chain(["text", "poll_creation"])
            {
                let (label, text) = words.said(kind, None);
                let label = label.unwrap_or_else(|| panic!("{kind}"));
                assert!(label.ends_with('.') && !label.contains('{') && text.is_none(), "{label}");
            }
            for kind in words.kinds.with_text.map(|(kind, _)| kind) {
                let (label, text) = words.said(kind, Some("what it says"));
                assert!(
                    label.is_some_and(|label| label.ends_with(':')) && text == Some("what it says"),
                    "{kind}"
                );
            }
            assert_eq!(words.said("text", Some("hello")), (None, Some("hello")));
        }
        let named = |table: &[(&'static str, &str)]| table.iter().map(|(kind, _)| *kind).collect::<Vec<_>>();
        assert_eq!(named(&ENGLISH.kinds.labels), named(&GERMAN.kinds.labels));
        assert_eq!(named(&ENGLISH.kinds.with_text), named(&GERMAN.kinds.with_text));
        let permitted = ENGLISH.said("interactive", Some("call_permission_reply: accept"));
        assert_eq!(permitted, (Some("Allowed calls.".to_owned()), None));
        assert!(ENGLISH.said("new <kind>", None).0.is_some_and(|label| label.contains("new <kind>")));
    }
}
