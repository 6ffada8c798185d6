//! Meta's error codes (Meta, error codes page, November 2025; later ones as client libraries and pages up to
//! September 2026 tell of them) with what we make of each. A code means the same in an answer and in a `failed`
//! status; HTTP statuses drift and are not looked at.

mod messages;
mod templates;

use super::{Actor, Codes, Explanation, Said, said};
use crate::verification::values::ErrorClass;

/// Every entry, in no order that matters.
pub(super) fn all() -> impl Iterator<Item = &'static Explanation> + Clone {
    messages::TABLE.iter().chain(templates::TABLE)
}

const fn one(code: u32, class: ErrorClass, who: Actor, title: Said, cause: Said, fix: Said) -> Explanation {
    range(code, code, class, who, title, cause, fix)
}

const fn range(
    first: u32,
    last: u32,
    class: ErrorClass,
    who: Actor,
    title: Said,
    cause: Said,
    fix: Said,
) -> Explanation {
    Explanation { codes: Codes::Meta { first, last, class }, who, title, cause, fix }
}

const TOKEN: Said = said(
    "Make a new token of the system user in Meta Business settings and put it into `access_token`.",
    "Erzeugen Sie in den Meta-Unternehmenseinstellungen ein neues Token des Systemnutzers und tragen Sie \
     es in `access_token` ein.",
);
const PERMISSION: Said = said(
    "Give the system user the permissions whatsapp_business_messaging and whatsapp_business_management, \
     and assign it the business account.",
    "Geben Sie dem Systemnutzer die Berechtigungen whatsapp_business_messaging und \
     whatsapp_business_management, und weisen Sie ihm das Geschäftskonto zu.",
);
const WAIT: Said = said(
    "Nothing: it is tried again while the step has time, then the next step follows.",
    "Nichts zu tun: Es wird wieder versucht, solange der Schritt Zeit hat, danach folgt der nächste \
     Schritt.",
);
const SLOWER: Said = said(
    "Lower `messages_per_second`, or ask Meta for a higher throughput. It is tried again by itself.",
    "Senken Sie `messages_per_second`, oder bitten Sie Meta um einen höheren Durchsatz. Es wird von selbst \
     wieder versucht.",
);
const TEMPLATE: Said = said(
    "Compare the template at Meta with `[templates]`: name, languages and an authentication template's own \
     parameters (the code in the body and in the button).",
    "Vergleichen Sie die Vorlage bei Meta mit `[templates]`: Name, Sprachen und die eigenen Parameter \
     einer Vorlage zur Authentifizierung (der Code im Text und in der Schaltfläche).",
);
const NOT_OURS: Said = said(
    "twotick sends nothing that leads here; if it appears in a timeline, please report it.",
    "twotick sendet nichts, was hierher führt; steht der Code in einem Verlauf, melden Sie es bitte.",
);
const REGISTER: Said = said(
    "Register the phone number for the Cloud API again, in WhatsApp Manager or by its register call.",
    "Registrieren Sie die Telefonnummer im WhatsApp Manager oder über den Aufruf `register` erneut für die \
     Cloud-API.",
);
