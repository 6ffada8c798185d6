//! The page of a verification.

use crate::store::Status;
use crate::timeline::{EventKind, Mood};
use crate::verification::state::Ending;

words! {
    texts {
        /// In place of a number that was erased.
        removed: "number removed", "Nummer entfernt";
        title: "Verification", "Verifizierung";
        tell_customer: "Tell the customer", "Sagen Sie dem Kunden";
        to_do: "What to do", "Was zu tun ist";
        timeline: "What happened", "Was geschah";
        timeline_caption: "Everything that happened, oldest first", "Alles, was geschah, das Älteste zuerst";
        what: "What", "Was";
        when: "Time", "Zeit";
        since_start: "Since start", "Seit Beginn";
        since_before: "Since previous row", "Seit der Zeile davor";
        said_by: "Source", "Laut";
        evidence: "Evidence", "Beleg";
        stale: "changed nothing", "änderte nichts";
        reason: "Reason", "Grund";
        event: "Event", "Ereignis";
        message: "Message", "Nachricht";
        reported_at: "Provider’s time", "Zeit des Anbieters";
        recorded: "Recorded", "Aufgezeichnet";
        cause: "Cause", "Ursache";
        who_acts: "Who has to act", "Wer handelt";
        fix: "How to fix it", "Was hilft";
        where_time_went: "Where the time went", "Wo die Zeit blieb";
        in_all: "in total", "insgesamt";
        as_table: "Show as a table", "Als Tabelle zeigen";
        stretch: "Phase", "Abschnitt";
        channel: "Channel", "Kanal";
        lasted: "Duration", "Dauer";
        from: "From", "Von";
        until: "Until", "Bis";
        still: "ongoing", "dauert noch an";
        no_time: "Nothing took any time yet.", "Noch ist keine Zeit vergangen.";
        facts: "Details", "Einzelheiten";
        id: "Id", "Kennung";
        client_ref: "Reference of the app", "Referenz der App";
        app: "App", "App";
        profile: "Profile", "Profil";
        locale: "Language of the message", "Sprache der Nachricht";
        country: "Country", "Land";
        requested_at: "Requested", "Angefordert";
        expires_at: "Valid until", "Gültig bis";
        status: "Status", "Status";
        tries_left: "Tries left", "Verbleibende Versuche";
        messages: "Messages", "Nachrichten";
        link: "Copy link", "Link kopieren";
        copy: "Copy", "Kopieren";
        print: "Print", "Drucken";
        live: "Live", "Live";
        live_paused: "Paused", "Angehalten";
        live_lost: "Not live: reload the page to see what is new", "Nicht mehr live: laden Sie die Seite neu, um Neues zu sehen";
        pause: "Pause", "Anhalten";
        resume: "Resume", "Fortsetzen";
        conversation: "What this person wrote", "Was diese Person schrieb";
        actions: "Actions", "Eingreifen";
        actions_note: "Each action is written to the audit log with your name and your reason.", "Jeder Eingriff steht mit Ihrem Namen und Ihrem Grund im Prüfprotokoll.";
        reason_label: "Reason", "Grund";
        reason_hint: "for example the ticket’s number", "zum Beispiel die Nummer des Tickets";
        reveal: "Show the number", "Nummer zeigen";
        reveal_does: "Shows it in full for one minute.", "Zeigt sie eine Minute lang vollständig.";
        revealed: "The number in full", "Die vollständige Nummer";
        revealed_until: "It is hidden again after one minute.", "Nach einer Minute wird sie wieder verborgen.";
        hide: "Hide now", "Jetzt verbergen";
        resend: "Send the code again", "Code erneut senden";
        resend_does: "Sends the same code again. Its expiry does not change.", "Derselbe Code noch einmal. Er bleibt bis zur selben Zeit gültig.";
        resend_channel: "By", "Per";
        same_channel: "the same channel", "demselben Kanal";
        next: "Start the next channel now", "Nächsten Kanal jetzt beginnen";
        next_does: "Does not wait for the deadline of the current step.", "Wartet nicht auf die Frist des laufenden Schritts.";
        cancel: "Cancel the verification", "Verifizierung abbrechen";
        cancel_does: "The code becomes invalid. This cannot be undone.", "Der Code gilt dann nicht mehr. Das lässt sich nicht rückgängig machen.";
        ended: "This verification has ended; nothing more can be sent.", "Diese Verifizierung ist beendet; es kann nichts mehr gesendet werden.";
        done: "Done.", "Erledigt.";
        not_done: "Not done.", "Nicht ausgeführt.";
        reason_missing: "Please give a reason of at most 240 characters.", "Bitte geben Sie einen Grund mit höchstens 240 Zeichen an.";
        not_pending: "The verification has already ended.", "Die Verifizierung ist bereits beendet.";
        too_early: "It is too early for another send; possible from", "Für einen weiteren Versand ist es zu früh; möglich ab";
        resend_limit: "The code was sent as often as the profile allows.", "Der Code wurde so oft gesendet, wie das Profil erlaubt.";
        no_next_step: "The last channel is already in progress.", "Der letzte Kanal läuft bereits.";
        no_step_on_channel: "The profile has no step on this channel.", "Das Profil hat keinen Schritt auf diesem Kanal.";
        printed: "Printed", "Gedruckt";
    }
    match status(Status) {
        Status::Pending => "pending", "läuft";
        Status::Ended(Ending::Approved) => "approved", "bestätigt";
        Status::Ended(Ending::Expired) => "expired", "abgelaufen";
        Status::Ended(Ending::Canceled) => "canceled", "abgebrochen";
        Status::Ended(Ending::Exhausted) => "locked after too many tries", "nach zu vielen Versuchen gesperrt";
    }
    // A word next to the icon.
    match mood(Mood) {
        Mood::Good => "In order", "In Ordnung";
        Mood::Waiting => "In progress", "Läuft";
        Mood::Trouble => "Needs attention", "Handlungsbedarf";
        Mood::Over => "Ended", "Beendet";
    }
    match kind(EventKind) {
        EventKind::Requested => "Requested", "Angefordert";
        EventKind::MessageQueued => "Queued", "Eingereiht";
        EventKind::SendStarted => "Sending", "Versand";
        EventKind::SendAccepted => "Accepted", "Angenommen";
        EventKind::SendRefused => "Refused", "Abgelehnt";
        EventKind::SendInDoubt => "In doubt", "Ungewiss";
        EventKind::StatusSent => "Sent", "Gesendet";
        EventKind::StatusDelivered => "Delivered", "Zugestellt";
        EventKind::StatusRead => "Read", "Gelesen";
        EventKind::StatusFailed => "Failed", "Fehlgeschlagen";
        EventKind::StatusUnknown => "Unknown status", "Unbekannter Status";
        EventKind::FellBack => "Next channel", "Nächster Kanal";
        EventKind::GaveUp => "Gave up", "Aufgegeben";
        EventKind::CheckPassed => "Right code", "Richtiger Code";
        EventKind::CheckFailed => "Wrong code", "Falscher Code";
        EventKind::ChecksExhausted => "Locked", "Gesperrt";
        EventKind::ResendRequested => "Resend", "Noch einmal";
        EventKind::StepSkipped => "Skipped", "Übersprungen";
        EventKind::ReplyReceived => "Reply", "Antwort";
        EventKind::CodeDisowned => "Not requested", "Nicht angefordert";
        EventKind::Erased => "Erased", "Gelöscht";
        EventKind::OperatorActed => "Staff", "Mitarbeiter";
        EventKind::Expired => "Expired", "Abgelaufen";
        EventKind::Canceled => "Canceled", "Abgebrochen";
    }
    // By the name that the API uses; a channel has no entry and is called by its own name.
    find source {
        "app" => "app", "App";
        "twotick" => "twotick", "twotick";
        "operator" => "staff", "Mitarbeiter";
    }
}
