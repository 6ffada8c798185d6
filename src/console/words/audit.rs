//! The page of the audit log.

use crate::store::AuditAction;

words! {
    texts {
        title: "Audit log", "Prüfprotokoll";
        lead: "Actions of the staff, newest first. Entries are only appended, and each contains the hash of the one before it.", "Was Mitarbeiter taten, das Neueste zuerst. Einträge kommen nur hinzu, und jeder trägt einen Hash des Eintrags davor.";
        verify: "checks the whole chain and names the first broken link.", "prüft die ganze Kette und nennt das erste gebrochene Glied.";
        export: "Download all (NDJSON)", "Alles herunterladen (NDJSON)";
        none: "Nothing has been recorded yet.", "Noch ist nichts festgehalten.";
        number: "No.", "Nr.";
        when: "Time", "Zeit";
        who: "Who", "Wer";
        what: "What", "Was";
        verification: "Verification", "Verifizierung";
        reason: "Reason or detail", "Grund oder Einzelheit";
        hash: "Hash", "Hash";
        /// For a number or a reason that was erased.
        removed: "removed", "entfernt";
        cannot_open: "cannot be opened: another master key, or damaged", "lässt sich nicht öffnen: anderer Hauptschlüssel oder beschädigt";
        older: "Older", "Ältere";
        newest: "Back to the newest", "Zurück zu den neuesten";
        /// For users who are bound to apps.
        bound: "You see entries about your apps and your own.", "Sie sehen Einträge zu Ihren Apps und Ihre eigenen.";
    }
    match action(AuditAction) {
        AuditAction::SignedIn => "signed in", "meldete sich an";
        AuditAction::SignInRefused => "was refused at sign-in", "wurde bei der Anmeldung abgewiesen";
        AuditAction::SignedOut => "signed out", "meldete sich ab";
        AuditAction::SignedOutEverywhere => "signed out everywhere", "meldete sich überall ab";
        AuditAction::Revealed => "looked at a number", "sah eine Nummer ein";
        AuditAction::Resent => "sent a code again", "sandte einen Code erneut";
        AuditAction::NextStep => "started the next channel", "begann den nächsten Kanal";
        AuditAction::Canceled => "canceled", "brach ab";
        AuditAction::ExportedList => "downloaded a list", "lud eine Liste herunter";
        AuditAction::ExportedAudit => "downloaded this log", "lud dieses Protokoll herunter";
        AuditAction::Searched => "searched by number", "suchte nach einer Nummer";
        AuditAction::Opened => "opened a verification", "öffnete eine Verifizierung";
        AuditAction::Erased => "erased a number", "löschte eine Nummer";
    }
}
