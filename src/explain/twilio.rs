//! Those of Twilio's error codes that somebody has to act on (Twilio's error dictionary, August 2026). The class of every code
//! stands in `channel/twilio/errors.rs`.

use super::{Actor, Codes, Explanation, Said, said};
use crate::verification::values::ErrorClass;
use Actor::{Carrier, Customer, Nobody, Operator};
use ErrorClass::{Configuration, Fallback, InDoubt, Recipient, Retry, Sender};

pub(super) static TABLE: &[Explanation] = &[
    twilio(
        "20003",
        Sender,
        Operator,
        said("Twilio refused the login", "Twilio hat die Anmeldung abgelehnt"),
        said(
            "The account's token or the API key is wrong, was replaced, or belongs to another account.",
            "Das Token des Kontos oder der API-Schlüssel ist falsch, wurde ersetzt oder gehört zu einem \
             anderen Konto.",
        ),
        said(
            "Compare `account_sid`, `auth_tokens` and `api_key_secret` with Twilio's console. The first token \
             logs in.",
            "Vergleichen Sie `account_sid`, `auth_tokens` und `api_key_secret` mit der Konsole von Twilio. \
             Das erste Token meldet an.",
        ),
    ),
    twilio(
        "20429",
        Retry,
        Operator,
        said("Too many requests at Twilio", "Zu viele Anfragen bei Twilio"),
        said(
            "Twilio limits how many requests an account makes at once.",
            "Twilio begrenzt, wie viele Anfragen ein Konto gleichzeitig stellt.",
        ),
        said(
            "Lower `messages_per_second`. The message is tried again while its step has time.",
            "Senken Sie `messages_per_second`. Die Nachricht wird wieder versucht, solange ihr Schritt Zeit \
             hat.",
        ),
    ),
    twilio(
        "21211",
        Recipient,
        Customer,
        said("Not a valid number", "Keine gültige Nummer"),
        said("Twilio knows no such phone number.", "Twilio kennt keine solche Telefonnummer."),
        said("Ask the customer for the number again.", "Fragen Sie noch einmal nach der Nummer."),
    ),
    twilio(
        "21408",
        Configuration,
        Operator,
        said("Country not allowed at Twilio", "Land bei Twilio nicht freigegeben"),
        said(
            "The account has no permission to send to this country.",
            "Das Konto darf nicht in dieses Land senden.",
        ),
        said(
            "Allow the country in Twilio's console: Messaging, Settings, Geo permissions.",
            "Geben Sie das Land in der Konsole von Twilio frei: Messaging, Settings, Geo permissions.",
        ),
    ),
    twilio(
        "21606",
        Configuration,
        Operator,
        said("Sender cannot send this", "Absender kann das nicht senden"),
        said(
            "The number in `from` does not belong to the account or cannot send messages of this kind.",
            "Die Nummer in `from` gehört nicht zum Konto oder kann solche Nachrichten nicht senden.",
        ),
        said(
            "Use a number of the account that can send them in `from`, or a `messaging_service_sid`.",
            "Tragen Sie eine Nummer des Kontos, die das kann, in `from` ein, oder nutzen Sie \
             `messaging_service_sid`.",
        ),
    ),
    twilio(
        "21608",
        Configuration,
        Operator,
        said("Trial account", "Testkonto"),
        said(
            "A trial account sends only to numbers that were verified in Twilio's console.",
            "Ein Testkonto sendet nur an Nummern, die in der Konsole von Twilio bestätigt wurden.",
        ),
        said(
            "Upgrade the account, or verify the number in Twilio's console.",
            "Stellen Sie das Konto um, oder bestätigen Sie die Nummer in der Konsole von Twilio.",
        ),
    ),
    twilio(
        "21609",
        Configuration,
        Operator,
        said("Callback address refused", "Rückrufadresse abgelehnt"),
        said(
            "Twilio cannot use the address for status callbacks, which begins with `public_url`.",
            "Twilio kann die Adresse für Statusmeldungen nicht verwenden; sie beginnt mit `public_url`.",
        ),
        said(
            "Set `public_url` to an address that the internet reaches.",
            "Setzen Sie `public_url` auf eine Adresse, die aus dem Internet erreichbar ist.",
        ),
    ),
    twilio(
        "21610",
        Fallback,
        Customer,
        said("The customer has unsubscribed", "Die Person hat sich abgemeldet"),
        said(
            "The customer sent STOP to this sender, and Twilio blocks every further message.",
            "Die Person hat STOP an diesen Absender geschickt, und Twilio sperrt jede weitere Nachricht.",
        ),
        said(
            "The customer sends START to the same sender. Other channels are not affected.",
            "Die Person schickt START an denselben Absender. Andere Wege sind nicht betroffen.",
        ),
    ),
    twilio(
        "21614",
        Recipient,
        Customer,
        said("Not a mobile number", "Keine Mobilfunknummer"),
        said("The number receives no SMS.", "Die Nummer empfängt keine SMS."),
        said("Ask the customer for a mobile number.", "Fragen Sie nach einer Mobilfunknummer."),
    ),
    twilio(
        "30003",
        Fallback,
        Nobody,
        said("Phone not reachable", "Telefon nicht erreichbar"),
        said(
            "The phone is switched off or has no network. Often this passes.",
            "Das Telefon ist ausgeschaltet oder hat kein Netz. Oft geht das vorüber.",
        ),
        NEXT_STEP,
    ),
    twilio(
        "30005",
        Fallback,
        Customer,
        said("Number unknown", "Nummer unbekannt"),
        said(
            "The carrier does not know the number, or it is no longer in use.",
            "Der Netzbetreiber kennt die Nummer nicht, oder sie wird nicht mehr benutzt.",
        ),
        said("Ask the customer for the number again.", "Fragen Sie noch einmal nach der Nummer."),
    ),
    twilio(
        "30006",
        Recipient,
        Customer,
        said("Landline or unreachable carrier", "Festnetz oder Netz nicht erreichbar"),
        said(
            "The number is a landline, or its carrier cannot be reached by SMS.",
            "Die Nummer ist ein Festnetzanschluss, oder ihr Netz ist per SMS nicht erreichbar.",
        ),
        said("Ask the customer for a mobile number.", "Fragen Sie nach einer Mobilfunknummer."),
    ),
    twilio(
        "30007",
        Fallback,
        Operator,
        said("Filtered as spam", "Als Spam gefiltert"),
        said(
            "The carrier or Twilio took the message for spam.",
            "Der Netzbetreiber oder Twilio hielt die Nachricht für Spam.",
        ),
        said(
            "Name your brand in `[texts]`, leave links out, and register the sender where the country wants it.",
            "Nennen Sie in `[texts]` Ihre Marke, lassen Sie Links weg, und registrieren Sie den Absender, wo \
             das Land es verlangt.",
        ),
    ),
    twilio(
        "30008",
        Fallback,
        Carrier,
        said("Not delivered, without a reason", "Nicht zugestellt, ohne Grund"),
        said("The carrier gave no reason.", "Der Netzbetreiber nannte keinen Grund."),
        NEXT_STEP,
    ),
    twilio(
        "30034",
        Configuration,
        Operator,
        said("Number not registered (US A2P 10DLC)", "Nummer nicht registriert (US A2P 10DLC)"),
        said(
            "Carriers in the United States block messages from numbers that belong to no registered campaign.",
            "Netzbetreiber in den USA sperren Nachrichten von Nummern, die zu keiner registrierten Kampagne \
             gehören.",
        ),
        said(
            "Register brand and campaign in Twilio's console and add the number to its messaging service.",
            "Registrieren Sie Marke und Kampagne in der Konsole von Twilio, und fügen Sie die Nummer dem \
             Messaging Service hinzu.",
        ),
    ),
    twilio(
        "30410",
        InDoubt,
        Nobody,
        said("Result unknown at the carrier", "Ergebnis beim Netzbetreiber unbekannt"),
        said(
            "The carrier did not tell in time what became of the message. It may have been delivered.",
            "Der Netzbetreiber meldete nicht rechtzeitig, was aus der Nachricht wurde. Vielleicht kam sie an.",
        ),
        said(
            "Nothing: a later report settles it, or the next step follows at its deadline.",
            "Nichts zu tun: Eine spätere Meldung klärt es, oder der nächste Schritt folgt zu seiner Frist.",
        ),
    ),
    twilio(
        "63007",
        Sender,
        Operator,
        said("Twilio knows no such sender", "Twilio kennt den Absender nicht"),
        said(
            "The account has no WhatsApp or RCS sender with the name in `from`.",
            "Das Konto hat keinen Absender für WhatsApp oder RCS mit dem Namen in `from`.",
        ),
        said(
            "Compare `from` with Twilio's console, without `whatsapp:` or `rcs:` before it.",
            "Vergleichen Sie `from` mit der Konsole von Twilio, ohne `whatsapp:` oder `rcs:` davor.",
        ),
    ),
    twilio(
        "63016",
        Fallback,
        Operator,
        said("Free text without a conversation", "Freier Text ohne Unterhaltung"),
        said(
            "WhatsApp takes free text only within 24 hours of the customer's last message.",
            "WhatsApp nimmt freien Text nur innerhalb von 24 Stunden nach der letzten Nachricht der Person an.",
        ),
        said(
            "Send an approved template: set `content_sids` on the channel.",
            "Senden Sie eine genehmigte Vorlage: Setzen Sie `content_sids` beim Kanal.",
        ),
    ),
    twilio(
        "63024",
        Recipient,
        Customer,
        said("Not on this network", "Nicht in diesem Netz"),
        said(
            "The number has no account on WhatsApp, or cannot receive the message there.",
            "Die Nummer hat kein Konto bei WhatsApp oder kann die Nachricht dort nicht empfangen.",
        ),
        NEXT_STEP,
    ),
    twilio(
        "63027",
        Configuration,
        Operator,
        said("Template missing in this language", "Vorlage fehlt in dieser Sprache"),
        said(
            "The content template is not approved in the language that was asked for.",
            "Die Vorlage ist in der verlangten Sprache nicht genehmigt.",
        ),
        said(
            "Compare `content_sids` with the approved templates in Twilio's Content Template Builder.",
            "Vergleichen Sie `content_sids` mit den genehmigten Vorlagen im Content Template Builder von \
             Twilio.",
        ),
    ),
    twilio(
        "63036",
        Recipient,
        Nobody,
        said("No RCS on this phone", "Kein RCS auf diesem Telefon"),
        said(
            "The phone or its carrier does not support RCS.",
            "Das Telefon oder sein Netz unterstützt RCS nicht.",
        ),
        NEXT_STEP,
    ),
];

const NEXT_STEP: Said =
    said("Nothing: the next step follows at once.", "Nichts zu tun: Der nächste Schritt folgt sofort.");

const fn twilio(
    code: &'static str,
    class: ErrorClass,
    who: Actor,
    title: Said,
    cause: Said,
    fix: Said,
) -> Explanation {
    Explanation { codes: Codes::Provider { code, class }, who, title, cause, fix }
}
