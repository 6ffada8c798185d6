//! Meta's numbers from 132000 on: templates, registration of numbers, and what is not ours.

use super::super::{Actor, Explanation, said};
use super::{NOT_OURS, REGISTER, TEMPLATE, WAIT, one, range};
use crate::verification::values::ErrorClass;
use Actor::{App, Customer, Meta, Operator};
use ErrorClass::{Configuration, Recipient, Retry, Sender};

pub(super) static TABLE: &[Explanation] = &[
    one(
        132000,
        Configuration,
        Operator,
        said("Wrong number of parameters", "Falsche Zahl von Parametern"),
        said("The template has others than ours.", "Die Vorlage hat andere Parameter als unsere."),
        TEMPLATE,
    ),
    one(
        132001,
        Configuration,
        Operator,
        said("No such template", "Vorlage gibt es nicht"),
        said(
            "The template does not exist in this language, or is not approved.",
            "Die Vorlage gibt es in dieser Sprache nicht, oder sie ist nicht genehmigt.",
        ),
        said(
            "Compare `[templates]` name and `locales` with WhatsApp Manager.",
            "Vergleichen Sie Namen und `locales` aus `[templates]` mit dem WhatsApp Manager.",
        ),
    ),
    one(
        132005,
        Configuration,
        Operator,
        said("Text too long", "Text zu lang"),
        said("With its parameters the text is too long.", "Mit seinen Parametern ist der Text zu lang."),
        TEMPLATE,
    ),
    one(
        132007,
        Configuration,
        Operator,
        said("Template breaks a policy", "Vorlage verstößt gegen eine Richtlinie"),
        said(
            "The template's contents are against a policy.",
            "Der Inhalt der Vorlage verstößt gegen eine Richtlinie.",
        ),
        said("Correct the template in WhatsApp Manager.", "Berichtigen Sie die Vorlage im WhatsApp Manager."),
    ),
    one(
        132008,
        Configuration,
        Operator,
        said("Parameter value invalid", "Wert eines Parameters ungültig"),
        said("A parameter has a value not allowed.", "Ein Parameter hat einen Wert, der nicht erlaubt ist."),
        TEMPLATE,
    ),
    one(
        132012,
        Configuration,
        Operator,
        said("Parameter format", "Form eines Parameters"),
        said(
            "A parameter is of another form than the template's.",
            "Ein Parameter hat eine andere Form als der der Vorlage.",
        ),
        TEMPLATE,
    ),
    // Of one template, not of the sender: another profile's template is not to suffer from it.
    one(
        132015,
        Configuration,
        Operator,
        said("Template paused", "Vorlage pausiert"),
        said(
            "Meta paused the template because of poor feedback: 3 hours the first time, 6 the second, then \
             for good.",
            "Meta hat die Vorlage wegen schlechter Rückmeldungen pausiert: beim ersten Mal 3 Stunden, beim \
             zweiten 6, danach endgültig.",
        ),
        said(
            "Look at its quality in WhatsApp Manager. Until it is back, codes go by the next step.",
            "Sehen Sie im WhatsApp Manager nach ihrer Qualität. Bis sie wieder da ist, gehen Codes über \
             den nächsten Schritt.",
        ),
    ),
    one(
        132016,
        Configuration,
        Operator,
        said("Template disabled", "Vorlage gesperrt"),
        said("Meta disabled the template for good.", "Meta hat die Vorlage endgültig gesperrt."),
        said(
            "Create a new one and name it in the profile. Until then codes go by the next step.",
            "Legen Sie eine neue an und nennen Sie sie im Profil. Bis dahin gehen Codes über den nächsten \
             Schritt.",
        ),
    ),
    one(
        132018,
        Configuration,
        Operator,
        said("Parameter invalid", "Parameter ungültig"),
        said("A template parameter is wrong.", "Ein Parameter der Vorlage ist falsch."),
        TEMPLATE,
    ),
    range(
        132068,
        132069,
        Configuration,
        App,
        said("Flow blocked or throttled", "Flow blockiert oder gebremst"),
        said("About WhatsApp Flows.", "Betrifft WhatsApp Flows."),
        NOT_OURS,
    ),
    one(
        133000,
        Sender,
        Operator,
        said("Deregistration incomplete", "Abmeldung unvollständig"),
        said(
            "An earlier deregistration failed half-way.",
            "Eine frühere Abmeldung ist auf halbem Weg gescheitert.",
        ),
        REGISTER,
    ),
    one(
        133004,
        Retry,
        Meta,
        said("Server not available", "Server nicht verfügbar"),
        said("Meta's server is down for a while.", "Der Server von Meta ist für eine Weile ausgefallen."),
        WAIT,
    ),
    range(
        133005,
        133006,
        Sender,
        Operator,
        said("PIN or verification", "PIN oder Bestätigung"),
        said(
            "The two-step PIN is wrong, or the number must be verified again.",
            "Die PIN für die Bestätigung in zwei Schritten ist falsch, oder die Nummer muss erneut \
             bestätigt werden.",
        ),
        REGISTER,
    ),
    range(
        133008,
        133010,
        Sender,
        Operator,
        said("Number not registered", "Nummer nicht registriert"),
        said(
            "The phone number is not registered, or its PIN was tried too often or too fast.",
            "Die Telefonnummer ist nicht registriert, oder ihre PIN wurde zu oft oder zu schnell versucht.",
        ),
        REGISTER,
    ),
    range(
        133015,
        133016,
        Sender,
        Operator,
        said("Registration limited", "Registrierung begrenzt"),
        said(
            "The number was just deleted, or registered too often.",
            "Die Nummer wurde gerade erst gelöscht oder zu oft registriert.",
        ),
        said(
            "Wait as long as the error says, then register it again.",
            "Warten Sie so lange, wie der Fehler es sagt, und registrieren Sie sie dann erneut.",
        ),
    ),
    one(
        134011,
        Configuration,
        Operator,
        said("Payments terms", "Bedingungen für Zahlungen"),
        said("About WhatsApp Payments.", "Betrifft WhatsApp-Zahlungen."),
        NOT_OURS,
    ),
    range(
        134100,
        134102,
        Configuration,
        App,
        said("Marketing messages API", "API für Werbenachrichten"),
        said("Only marketing templates go this way.", "Auf diesem Weg gehen nur Werbevorlagen."),
        NOT_OURS,
    ),
    one(
        135000,
        Retry,
        Meta,
        said("Unknown fault in the request", "Unbekannter Fehler in der Anfrage"),
        said("Meta does not say what is wrong.", "Meta sagt nicht, was falsch ist."),
        WAIT,
    ),
    // The account behind the number is not the one we knew. An SMS reaches whoever holds the SIM card, so the next
    // step is as good as without WhatsApp; WhatsApp itself would not be. We send no key hash today.
    one(
        137000,
        Recipient,
        Customer,
        said("WhatsApp account changed hands", "WhatsApp-Konto gehört jemand anderem"),
        said(
            "The number's WhatsApp account is no longer the one that was seen before: a new phone, or a \
             new owner.",
            "Das WhatsApp-Konto der Nummer ist nicht mehr das, das zuvor gesehen wurde: ein neues Telefon \
             oder eine neue Person.",
        ),
        said(
            "Nothing: the next step follows. If the number may have a new owner, ask the customer another \
             way.",
            "Nichts zu tun: Der nächste Schritt folgt. Hat die Nummer vielleicht eine neue Person, fragen \
             Sie auf anderem Weg nach.",
        ),
    ),
    range(
        138000,
        138999,
        Configuration,
        App,
        said("Calling error", "Fehler bei Anrufen"),
        said("About WhatsApp calls.", "Betrifft WhatsApp-Anrufe."),
        NOT_OURS,
    ),
    range(
        139000,
        139999,
        Configuration,
        App,
        said("Block list or flow error", "Fehler bei Sperrliste oder Flow"),
        said("About blocked users and flows.", "Betrifft blockierte Personen und Flows."),
        NOT_OURS,
    ),
    range(
        147000,
        147999,
        Configuration,
        App,
        said("Username error", "Fehler beim Benutzernamen"),
        said("About usernames.", "Betrifft Benutzernamen."),
        NOT_OURS,
    ),
    range(
        200_005,
        200_007,
        Configuration,
        Operator,
        said("Template insights", "Statistik der Vorlagen"),
        said("About statistics of templates.", "Betrifft Statistiken über Vorlagen."),
        NOT_OURS,
    ),
    one(
        2_388_001,
        Configuration,
        Operator,
        said("Phone migration", "Umzug der Nummer"),
        said("About moving a number between accounts.", "Betrifft den Umzug einer Nummer zwischen Konten."),
        NOT_OURS,
    ),
    one(
        2_388_012,
        Configuration,
        Operator,
        said("Phone migration", "Umzug der Nummer"),
        said("About moving a number between accounts.", "Betrifft den Umzug einer Nummer zwischen Konten."),
        NOT_OURS,
    ),
    one(
        2_388_019,
        Configuration,
        Operator,
        said("Too many templates", "Zu viele Vorlagen"),
        said(
            "The business account has as many templates as it may.",
            "Das Geschäftskonto hat so viele Vorlagen, wie es haben darf.",
        ),
        said("Delete templates that nobody uses.", "Löschen Sie Vorlagen, die niemand verwendet."),
    ),
    one(
        2_388_040,
        Configuration,
        Operator,
        said("Template field too long", "Feld der Vorlage zu lang"),
        said("A field of a new template is too long.", "Ein Feld einer neuen Vorlage ist zu lang."),
        TEMPLATE,
    ),
    one(
        2_388_047,
        Configuration,
        Operator,
        said("Template header wrong", "Kopf der Vorlage falsch"),
        said(
            "A new template's header has a wrong form.",
            "Der Kopf einer neuen Vorlage hat eine falsche Form.",
        ),
        TEMPLATE,
    ),
    range(
        2_388_072,
        2_388_073,
        Configuration,
        Operator,
        said("Template body or footer wrong", "Text oder Fuß der Vorlage falsch"),
        said(
            "A new template's body or footer has a wrong form.",
            "Text oder Fuß einer neuen Vorlage hat eine falsche Form.",
        ),
        TEMPLATE,
    ),
    one(
        2_388_091,
        Configuration,
        Operator,
        said("Phone migration", "Umzug der Nummer"),
        said("About moving a number between accounts.", "Betrifft den Umzug einer Nummer zwischen Konten."),
        NOT_OURS,
    ),
    one(
        2_388_093,
        Configuration,
        Operator,
        said("Phone migration", "Umzug der Nummer"),
        said("About moving a number between accounts.", "Betrifft den Umzug einer Nummer zwischen Konten."),
        NOT_OURS,
    ),
    one(
        2_388_103,
        Configuration,
        Operator,
        said("Phone migration", "Umzug der Nummer"),
        said("About moving a number between accounts.", "Betrifft den Umzug einer Nummer zwischen Konten."),
        NOT_OURS,
    ),
    one(
        2_388_293,
        Configuration,
        Operator,
        said("Template ratio wrong", "Verhältnis in der Vorlage falsch"),
        said(
            "A new template has too many parameters for its text.",
            "Eine neue Vorlage hat zu viele Parameter für ihren Text.",
        ),
        TEMPLATE,
    ),
    one(
        2_388_299,
        Configuration,
        Operator,
        said("Template parameters wrong", "Parameter der Vorlage falsch"),
        said(
            "A new template begins or ends with a parameter.",
            "Eine neue Vorlage beginnt oder endet mit einem Parameter.",
        ),
        TEMPLATE,
    ),
    one(
        2_494_100,
        Configuration,
        Meta,
        said("Number under maintenance", "Nummer wird gewartet"),
        said(
            "The number is not available for management calls.",
            "Die Nummer steht für Verwaltungsaufrufe nicht zur Verfügung.",
        ),
        WAIT,
    ),
];
