//! Of the audit log's page.

use crate::language::Language;
use crate::store::AuditAction;

pub struct Words {
    pub title: &'static str,
    pub lead: &'static str,
    pub verify: &'static str,
    pub export: &'static str,
    pub none: &'static str,
    pub number: &'static str,
    pub when: &'static str,
    pub who: &'static str,
    pub what: &'static str,
    pub verification: &'static str,
    pub reason: &'static str,
    pub hash: &'static str,
    /// Of what is no longer kept.
    pub removed: &'static str,
    pub cannot_open: &'static str,
    pub older: &'static str,
    pub newest: &'static str,
    /// For who is bound to apps.
    pub bound: &'static str,
    actions: Actions,
}

struct Actions {
    signed_in: &'static str,
    sign_in_refused: &'static str,
    signed_out: &'static str,
    signed_out_everywhere: &'static str,
    revealed: &'static str,
    resent: &'static str,
    next_step: &'static str,
    canceled: &'static str,
    exported_list: &'static str,
    exported_audit: &'static str,
    searched: &'static str,
    opened: &'static str,
    erased: &'static str,
}

impl Words {
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }

    pub fn action(&self, action: AuditAction) -> &'static str {
        let actions = &self.actions;
        match action {
            AuditAction::SignedIn => actions.signed_in,
            AuditAction::SignInRefused => actions.sign_in_refused,
            AuditAction::SignedOut => actions.signed_out,
            AuditAction::SignedOutEverywhere => actions.signed_out_everywhere,
            AuditAction::Revealed => actions.revealed,
            AuditAction::Resent => actions.resent,
            AuditAction::NextStep => actions.next_step,
            AuditAction::Canceled => actions.canceled,
            AuditAction::ExportedList => actions.exported_list,
            AuditAction::ExportedAudit => actions.exported_audit,
            AuditAction::Searched => actions.searched,
            AuditAction::Opened => actions.opened,
            AuditAction::Erased => actions.erased,
        }
    }
}

const ENGLISH: Words = Words {
    title: "Audit log",
    lead: "What the staff did, newest first. Entries are only ever added, and each holds a hash of the one before it.",
    verify: "checks the whole chain and names the first broken link.",
    export: "Download all (NDJSON)",
    none: "Nothing has been recorded yet.",
    number: "No.",
    when: "Time",
    who: "Who",
    what: "What",
    verification: "Verification",
    reason: "Reason or detail",
    hash: "Hash",
    removed: "removed",
    cannot_open: "cannot be opened: another master key, or damaged",
    older: "Older",
    newest: "Back to the newest",
    bound: "You see entries about your apps and your own.",
    actions: Actions {
        signed_in: "signed in",
        sign_in_refused: "was refused at sign-in",
        signed_out: "signed out",
        signed_out_everywhere: "signed out everywhere",
        revealed: "looked at a number",
        resent: "sent a code again",
        next_step: "started the next channel",
        canceled: "canceled",
        exported_list: "downloaded a list",
        exported_audit: "downloaded this log",
        searched: "searched by number",
        opened: "opened a verification",
        erased: "erased a number",
    },
};

const GERMAN: Words = Words {
    title: "Prüfprotokoll",
    lead: "Was Mitarbeiter taten, das Neueste zuerst. Einträge kommen nur hinzu, und jeder trägt einen Hash des Eintrags davor.",
    verify: "prüft die ganze Kette und nennt das erste gebrochene Glied.",
    export: "Alles herunterladen (NDJSON)",
    none: "Noch ist nichts festgehalten.",
    number: "Nr.",
    when: "Zeit",
    who: "Wer",
    what: "Was",
    verification: "Verifizierung",
    reason: "Grund oder Einzelheit",
    hash: "Hash",
    removed: "entfernt",
    cannot_open: "lässt sich nicht öffnen: anderer Hauptschlüssel oder beschädigt",
    older: "Ältere",
    newest: "Zurück zu den neuesten",
    bound: "Sie sehen Einträge zu Ihren Apps und Ihre eigenen.",
    actions: Actions {
        signed_in: "meldete sich an",
        sign_in_refused: "wurde bei der Anmeldung abgewiesen",
        signed_out: "meldete sich ab",
        signed_out_everywhere: "meldete sich überall ab",
        revealed: "sah eine Nummer ein",
        resent: "sandte einen Code erneut",
        next_step: "begann den nächsten Kanal",
        canceled: "brach ab",
        exported_list: "lud eine Liste herunter",
        exported_audit: "lud dieses Protokoll herunter",
        searched: "suchte nach einer Nummer",
        opened: "öffnete eine Verifizierung",
        erased: "löschte eine Nummer",
    },
};
