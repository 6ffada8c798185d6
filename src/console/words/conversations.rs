//! The pages of what people wrote.

use crate::console::plain::plain;
use crate::store::{DeliveryState, Status};
use crate::verification::state::Ending;

words! {
    texts {
        title: "Conversations", "Unterhaltungen";
        lead: "What people wrote to the business number, newest first.", "Was Menschen an die Geschäftsnummer schrieben, das Neueste zuerst.";
        none: "Nobody has written yet. Answers to a code and presses of “I didn’t request a code” appear here.", "Noch hat niemand geschrieben. Antworten auf einen Code und „Ich habe keinen Code angefordert“ erscheinen hier.";
        person: "Person", "Person";
        last_message: "Last message", "Letzte Nachricht";
        when: "Time", "Zeit";
        count: "Messages", "Nachrichten";
        hidden_number: "hidden number", "verborgene Nummer";
        disowned: "Did not request a code", "Hat keinen Code angefordert";
        disowned_note: "This person says that they did not request the code. Somebody else may have typed their number, by mistake or to get into their account.", "Diese Person sagt, dass sie den Code nicht angefordert hat. Vielleicht hat jemand anderes ihre Nummer eingegeben, aus Versehen oder um in ihr Konto zu gelangen.";
        /// In place of a message that was erased.
        removed: "This message has been removed.", "Diese Nachricht wurde entfernt.";
        cannot_open: "This message cannot be opened: another master key, or damaged.", "Diese Nachricht lässt sich nicht öffnen: anderer Hauptschlüssel oder beschädigt.";
        answers: "answers", "antwortet auf";
        messages: "Messages", "Nachrichten";
        no_messages: "This person has not written anything.", "Diese Person hat nichts geschrieben.";
        verifications: "Verifications of this number", "Verifizierungen dieser Nummer";
        no_verifications: "There is none, or it belongs to an app that you are not assigned to.", "Es gibt keine, oder sie gehört zu einer App, die Sie nicht betreuen.";
        more_verifications: "There are older ones; the search finds them by the number.", "Es gibt ältere; die Suche findet sie über die Nummer.";
        all: "All conversations", "Alle Unterhaltungen";
        older: "Older", "Ältere";
        newest: "Back to the newest", "Zurück zu den neuesten";
        call_permitted: "Allowed calls.", "Hat Anrufe erlaubt.";
        call_refused: "Refused calls.", "Hat Anrufe abgelehnt.";
        /// `{kind}`
        unknown_kind: "Sent a message of a type that twotick does not know ({kind}).", "Hat eine Nachricht gesendet, deren Art twotick nicht kennt ({kind}).";
        empty: "Sent an empty message.", "Hat eine leere Nachricht gesendet.";
    }
    match status(Status) {
        Status::Pending => "pending", "läuft";
        Status::Ended(Ending::Approved) => "approved", "bestätigt";
        Status::Ended(Ending::Expired) => "expired", "abgelaufen";
        Status::Ended(Ending::Canceled) => "canceled", "abgebrochen";
        Status::Ended(Ending::Exhausted) => "locked", "gesperrt";
    }
    match delivery(DeliveryState) {
        DeliveryState::Undelivered => "undelivered", "nicht zugestellt";
        DeliveryState::Queued => "queued", "eingereiht";
        DeliveryState::Sending => "sending", "wird gesendet";
        DeliveryState::InDoubt => "in doubt", "ungewiss";
        DeliveryState::Accepted => "accepted", "angenommen";
        DeliveryState::Sent => "sent", "gesendet";
        DeliveryState::Delivered => "delivered", "zugestellt";
        DeliveryState::Read => "read", "gelesen";
    }
    // What a message is, by the provider's word for its kind.
    find label {
        "audio" => "Sent a voice message or other audio.", "Hat eine Sprachnachricht oder einen anderen Ton gesendet.";
        "voice" => "Sent a voice message.", "Hat eine Sprachnachricht gesendet.";
        "image" => "Sent a picture.", "Hat ein Bild gesendet.";
        "video" => "Sent a video.", "Hat ein Video gesendet.";
        "document" => "Sent a document.", "Hat ein Dokument gesendet.";
        "sticker" => "Sent a sticker.", "Hat einen Sticker gesendet.";
        "contacts" => "Shared a contact.", "Hat einen Kontakt geteilt.";
        "location" => "Shared a location.", "Hat einen Standort geteilt.";
        "order" => "Placed an order.", "Hat etwas bestellt.";
        "reaction" => "Removed a reaction.", "Hat eine Reaktion zurückgenommen.";
        "edit" => "Changed a message.", "Hat eine Nachricht geändert.";
        "revoke" => "Deleted a message.", "Hat eine Nachricht gelöscht.";
        "system" => "WhatsApp reports a change of this person’s account.", "WhatsApp meldet eine Änderung am Konto dieser Person.";
        "button" => "Pressed a button.", "Hat eine Schaltfläche gedrückt.";
        "interactive" => "Answered with a button or a form.", "Hat mit einer Schaltfläche oder einem Formular geantwortet.";
        "request_welcome" => "Opened the chat for the first time.", "Hat den Chat zum ersten Mal geöffnet.";
        "unsupported" => "Sent something that WhatsApp does not pass on, such as a poll or a group invitation.", "Hat etwas gesendet, das WhatsApp nicht weitergibt, etwa eine Umfrage oder eine Gruppeneinladung.";
        "ephemeral" => "Sent a disappearing message.", "Hat eine Nachricht gesendet, die wieder verschwindet.";
        "unknown" => "Sent something that WhatsApp does not name.", "Hat etwas gesendet, das WhatsApp nicht benennt.";
    }
    // The label before what the person wrote, by the provider's word for the kind.
    find label_of_text {
        "image" => "Picture:", "Bild:";
        "video" => "Video:", "Video:";
        "document" => "Document:", "Dokument:";
        "contacts" => "Shared contact:", "Geteilter Kontakt:";
        "location" => "Shared location:", "Geteilter Standort:";
        "order" => "Order:", "Bestellung:";
        "reaction" => "Reacted with:", "Reaktion:";
        "edit" => "Changed a message to:", "Hat eine Nachricht geändert in:";
        "system" => "WhatsApp reports:", "WhatsApp meldet:";
    }
}

impl Words {
    /// A message in words: a label, unless the kind is obvious, and the text. `kind` is the provider's word.
    pub fn said<'t>(&self, kind: &str, text: Option<&'t str>) -> (Option<String>, Option<&'t str>) {
        let label = match (kind, text) {
            // The channel writes the answer like this; otherwise an interactive message is a choice.
            ("interactive", Some("call_permission_reply: accept")) => {
                return (Some(self.call_permitted.to_owned()), None);
            }
            ("interactive", Some("call_permission_reply: reject")) => {
                return (Some(self.call_refused.to_owned()), None);
            }
            ("text" | "button" | "interactive", Some(_)) => None,
            ("text", None) => Some(self.empty.to_owned()),
            (_, Some(_)) => self.label_of_text(kind).or_else(|| self.label(kind)).map(str::to_owned),
            (_, None) => Some(match self.label(kind) {
                Some(label) => label.to_owned(),
                None => self.unknown_kind.replace("{kind}", &plain(kind)),
            }),
        };
        (label, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    const LABELED: [&str; 19] = [
        "audio",
        "voice",
        "image",
        "video",
        "document",
        "sticker",
        "contacts",
        "location",
        "order",
        "reaction",
        "edit",
        "revoke",
        "system",
        "button",
        "interactive",
        "request_welcome",
        "unsupported",
        "ephemeral",
        "unknown",
    ];
    const LABELED_WITH_TEXT: [&str; 9] =
        ["image", "video", "document", "contacts", "location", "order", "reaction", "edit", "system"];

    #[test]
    fn every_kind_of_message_has_plain_words_in_both_languages() {
        for words in [&ENGLISH, &GERMAN] {
            for kind in LABELED.into_iter().chain(["text", "poll_creation"]) {
                let (label, text) = words.said(kind, None);
                let label = label.unwrap_or_else(|| panic!("{kind}"));
                assert!(label.ends_with('.') && !label.contains('{') && text.is_none(), "{label}");
            }
            for kind in LABELED_WITH_TEXT {
                assert!(words.label_of_text(kind).is_some(), "{kind}");
                let (label, text) = words.said(kind, Some("what it says"));
                let ends_with_colon = label.is_some_and(|label| label.ends_with(':'));
                assert!(ends_with_colon && text == Some("what it says"), "{kind}");
            }
            assert_eq!(words.said("text", Some("hello")), (None, Some("hello")));
        }
        let words = Words::of(Language::English);
        let permitted = words.said("interactive", Some("call_permission_reply: accept"));
        assert_eq!(permitted, (Some("Allowed calls.".to_owned()), None));
        assert!(words.said("new <kind>", None).0.is_some_and(|label| label.contains("new <kind>")));
    }
}
