//! Meta's numbers below 132000: access, limits, and what becomes of a message.

use super::super::{Actor, Explanation, said};
use super::{NOT_OURS, PERMISSION, REGISTER, SLOWER, TEMPLATE, TOKEN, WAIT, one, range};
use crate::verification::values::ErrorClass;
use Actor::{App, Customer, Meta, Nobody, Operator};
use ErrorClass::{Configuration, Fallback, Recipient, Retry, Sender};

pub(super) static TABLE: &[Explanation] = &[
    one(
        0,
        Sender,
        Operator,
        said("Not authenticated", "Nicht angemeldet"),
        said(
            "The access token has expired or was withdrawn.",
            "Das Zugangstoken ist abgelaufen oder wurde zurückgezogen.",
        ),
        TOKEN,
    ),
    one(
        1,
        Retry,
        Meta,
        said("Unknown API error", "Unbekannter Fehler der API"),
        said(
            "Meta could not read the request, or had a fault of its own.",
            "Meta konnte die Anfrage nicht lesen oder hatte selbst einen Fehler.",
        ),
        WAIT,
    ),
    one(
        2,
        Retry,
        Meta,
        said("Service down", "Dienst nicht erreichbar"),
        said(
            "Meta's API is overloaded or down for a while.",
            "Die API von Meta ist überlastet oder für eine Weile ausgefallen.",
        ),
        WAIT,
    ),
    one(
        3,
        Sender,
        Operator,
        said("Capability missing", "Fähigkeit fehlt"),
        said(
            "The app lacks a capability or permission for this call.",
            "Der App fehlt für diesen Aufruf eine Fähigkeit oder Berechtigung.",
        ),
        PERMISSION,
    ),
    one(
        4,
        Retry,
        Operator,
        said("App rate limit", "Grenze der App erreicht"),
        said("The app made too many calls to the Graph API.", "Die App hat die Graph-API zu oft aufgerufen."),
        said(
            "Find what else calls Meta with the same app. It is tried again by itself.",
            "Finden Sie heraus, was sonst mit derselben App bei Meta anfragt. Es wird von selbst wieder \
             versucht.",
        ),
    ),
    one(
        10,
        Sender,
        Operator,
        said("Permission denied", "Berechtigung verweigert"),
        said(
            "The permission was not given, or was taken back.",
            "Die Berechtigung wurde nicht erteilt oder wieder entzogen.",
        ),
        PERMISSION,
    ),
    one(
        33,
        Sender,
        Operator,
        said("Phone number gone", "Telefonnummer nicht mehr da"),
        said("The business phone number was deleted.", "Die geschäftliche Telefonnummer wurde gelöscht."),
        said(
            "Put the id of an existing number into `phone_number_id`.",
            "Tragen Sie die Id einer bestehenden Nummer in `phone_number_id` ein.",
        ),
    ),
    one(
        100,
        Configuration,
        Operator,
        said("Invalid parameter", "Ungültiger Parameter"),
        said(
            "Something in the request is unknown to Meta or misspelled: an id, the version, the template.",
            "Etwas in der Anfrage kennt Meta nicht, oder es ist falsch geschrieben: eine Id, die Version, \
             die Vorlage.",
        ),
        said(
            "Check `phone_number_id`, `graph_version` and the template; the error's own words name the \
             parameter.",
            "Prüfen Sie `phone_number_id`, `graph_version` und die Vorlage; der Wortlaut des Fehlers nennt \
             den Parameter.",
        ),
    ),
    one(
        190,
        Sender,
        Operator,
        said("Token expired", "Zugangstoken abgelaufen"),
        said("The access token has expired.", "Das Zugangstoken ist abgelaufen."),
        TOKEN,
    ),
    range(
        200,
        299,
        Sender,
        Operator,
        said("API permission missing", "Berechtigung für die API fehlt"),
        said("The token may not make this call.", "Mit diesem Zugangstoken ist der Aufruf nicht erlaubt."),
        PERMISSION,
    ),
    one(
        368,
        Sender,
        Operator,
        said("Blocked for a while", "Für eine Weile gesperrt"),
        said(
            "Meta blocks the business account for breaking its policies.",
            "Meta sperrt das Geschäftskonto, weil es gegen Richtlinien verstößt.",
        ),
        said(
            "Read the violation in Meta Business Support and appeal or correct it.",
            "Lesen Sie den Verstoß im Meta Business Support und legen Sie Einspruch ein, oder beheben Sie \
             ihn.",
        ),
    ),
    range(
        80007,
        80008,
        Retry,
        Operator,
        said("Account rate limit", "Grenze des Kontos erreicht"),
        said("The business account made too many calls.", "Das Geschäftskonto hat zu viele Aufrufe gemacht."),
        SLOWER,
    ),
    one(
        130429,
        Retry,
        Operator,
        said("Throughput reached", "Durchsatz erreicht"),
        said(
            "More messages a second than the phone number may send.",
            "Es waren mehr Nachrichten je Sekunde, als die Telefonnummer senden darf.",
        ),
        SLOWER,
    ),
    one(
        130472,
        Fallback,
        Nobody,
        said("Customer in an experiment", "Person ist Teil eines Versuchs"),
        said(
            "Meta leaves out some customers to measure the effect of messages; sending again ends the same.",
            "Meta lässt einige Personen aus, um die Wirkung von Nachrichten zu messen; ein neuer Versand \
             endet ebenso.",
        ),
        said("Nothing: the next step follows.", "Nichts zu tun: Der nächste Schritt folgt."),
    ),
    one(
        130497,
        Configuration,
        Operator,
        said("Country not allowed", "Land nicht erlaubt"),
        said(
            "The business account may not message people in this country.",
            "Das Geschäftskonto darf Personen in diesem Land nicht schreiben.",
        ),
        said(
            "Give numbers of this country a profile without WhatsApp, or ask Meta.",
            "Geben Sie Nummern dieses Landes ein Profil ohne WhatsApp, oder fragen Sie Meta.",
        ),
    ),
    one(
        131000,
        Retry,
        Meta,
        said("Something went wrong", "Etwas ging schief"),
        said("Meta does not say what.", "Meta sagt nicht, was."),
        WAIT,
    ),
    one(
        131005,
        Sender,
        Operator,
        said("Access denied", "Zugriff verweigert"),
        said("A permission is missing or was taken back.", "Eine Berechtigung fehlt oder wurde entzogen."),
        PERMISSION,
    ),
    one(
        131008,
        Configuration,
        Operator,
        said("Parameter missing", "Parameter fehlt"),
        said("The request lacks a required parameter.", "Der Anfrage fehlt ein vorgeschriebener Parameter."),
        TEMPLATE,
    ),
    one(
        131009,
        Configuration,
        Operator,
        said("Parameter value invalid", "Wert eines Parameters ungültig"),
        said(
            "A value is not allowed, or the number is none of the business account's.",
            "Ein Wert ist nicht erlaubt, oder die Nummer gehört nicht zum Geschäftskonto.",
        ),
        TEMPLATE,
    ),
    one(
        131016,
        Retry,
        Meta,
        said("Service not available", "Dienst nicht verfügbar"),
        said("A service of Meta is down for a while.", "Ein Dienst von Meta ist für eine Weile ausgefallen."),
        WAIT,
    ),
    one(
        131020,
        Configuration,
        App,
        said("Group not found", "Gruppe nicht gefunden"),
        said("About WhatsApp groups.", "Betrifft WhatsApp-Gruppen."),
        NOT_OURS,
    ),
    one(
        131021,
        Recipient,
        App,
        said("Recipient is the sender", "Empfänger ist der Absender"),
        said(
            "The number to verify is the business phone number itself.",
            "Die zu bestätigende Nummer ist die geschäftliche Telefonnummer selbst.",
        ),
        said("Do not verify your own sending number.", "Bestätigen Sie nicht Ihre eigene Absendernummer."),
    ),
    one(
        131026,
        Recipient,
        Customer,
        said("Message undeliverable", "Nachricht nicht zustellbar"),
        said(
            "The number is not on WhatsApp, has an old version, or has not accepted its current terms. \
             Meta does not tell which.",
            "Die Nummer ist nicht bei WhatsApp, hat eine alte Version oder hat den aktuellen Bedingungen \
             nicht zugestimmt. Meta sagt nicht, was davon zutrifft.",
        ),
        said(
            "Nothing: the next step follows. A customer who wants WhatsApp can update it and accept its \
             terms.",
            "Nichts zu tun: Der nächste Schritt folgt. Wer WhatsApp nutzen will, kann es aktualisieren und \
             den Bedingungen zustimmen.",
        ),
    ),
    one(
        131030,
        Configuration,
        Operator,
        said("Recipient not on the test list", "Empfänger nicht auf der Testliste"),
        said(
            "A test number of Meta sends only to listed recipients.",
            "Eine Testnummer von Meta sendet nur an eingetragene Empfänger.",
        ),
        said(
            "Add the recipient at Meta, or use a real business number.",
            "Tragen Sie den Empfänger bei Meta ein, oder verwenden Sie eine echte Geschäftsnummer.",
        ),
    ),
    one(
        131031,
        Sender,
        Operator,
        said("Account locked", "Konto gesperrt"),
        said(
            "The business account is locked for breaking a policy, or its PIN is wrong.",
            "Das Geschäftskonto ist gesperrt, weil es gegen eine Richtlinie verstößt, oder seine PIN ist \
             falsch.",
        ),
        said("Look into Meta Business Support.", "Sehen Sie im Meta Business Support nach."),
    ),
    one(
        131037,
        Sender,
        Operator,
        said("Display name not approved", "Anzeigename nicht genehmigt"),
        said(
            "The phone number needs an approved display name before it may send.",
            "Die Telefonnummer braucht einen genehmigten Anzeigenamen, bevor sie senden darf.",
        ),
        said(
            "Submit a display name in WhatsApp Manager.",
            "Reichen Sie im WhatsApp Manager einen Anzeigenamen ein.",
        ),
    ),
    one(
        131041,
        Configuration,
        App,
        said("Group message failed", "Gruppennachricht gescheitert"),
        said("About WhatsApp groups.", "Betrifft WhatsApp-Gruppen."),
        NOT_OURS,
    ),
    one(
        131042,
        Sender,
        Operator,
        said("Payment problem", "Problem mit der Zahlung"),
        said(
            "No valid payment method, credit or currency on the business account.",
            "Dem Geschäftskonto fehlt eine gültige Zahlungsart, Guthaben oder Währung.",
        ),
        said(
            "Settle it in Meta Business settings, under payments.",
            "Klären Sie es in den Meta-Unternehmenseinstellungen unter Zahlungen.",
        ),
    ),
    one(
        131045,
        Sender,
        Operator,
        said("Wrong certificate", "Falsches Zertifikat"),
        said(
            "The phone number is not registered properly.",
            "Die Telefonnummer ist nicht richtig registriert.",
        ),
        REGISTER,
    ),
    one(
        131047,
        Configuration,
        App,
        said("More than 24 hours since the last reply", "Mehr als 24 Stunden seit der letzten Antwort"),
        said(
            "Free text may only answer people who wrote within 24 hours; templates may always be sent.",
            "Freier Text darf nur Personen antworten, die in den letzten 24 Stunden geschrieben haben; \
             Vorlagen dürfen immer gesendet werden.",
        ),
        NOT_OURS,
    ),
    one(
        131048,
        Sender,
        Operator,
        said("Spam limit", "Grenze wegen Spam"),
        said(
            "Too many messages of this number were blocked or reported, so Meta limits it.",
            "Zu viele Nachrichten dieser Nummer wurden blockiert oder gemeldet; deshalb begrenzt Meta sie.",
        ),
        said(
            "Look at the number's quality in WhatsApp Manager, and at who gets codes without asking.",
            "Sehen Sie im WhatsApp Manager nach der Qualität der Nummer, und wer Codes bekommt, ohne sie \
             angefordert zu haben.",
        ),
    ),
    one(
        131049,
        Fallback,
        Nobody,
        said("Meta chose not to deliver", "Meta stellt nicht zu"),
        said(
            "To keep its users from too many messages Meta does not deliver this one; documented for \
             marketing only.",
            "Um Personen vor zu vielen Nachrichten zu schützen, stellt Meta diese nicht zu; dokumentiert \
             ist das nur für Werbung.",
        ),
        said(
            "Nothing: the next step follows. By WhatsApp again only after 24 hours.",
            "Nichts zu tun: Der nächste Schritt folgt. Per WhatsApp erst wieder nach 24 Stunden.",
        ),
    ),
    one(
        131050,
        Fallback,
        Customer,
        said("Marketing refused", "Werbung abbestellt"),
        said("The customer stopped marketing messages.", "Die Person hat Werbenachrichten abbestellt."),
        NOT_OURS,
    ),
    one(
        131051,
        Configuration,
        App,
        said("Unsupported message type", "Art der Nachricht nicht unterstützt"),
        said("The type of the message is unknown.", "Die Art der Nachricht ist unbekannt."),
        NOT_OURS,
    ),
    range(
        131052,
        131053,
        Configuration,
        App,
        said("Media problem", "Problem mit Medien"),
        said(
            "Media could not be fetched or uploaded.",
            "Medien konnten nicht geladen oder hochgeladen werden.",
        ),
        NOT_OURS,
    ),
    one(
        131055,
        Configuration,
        App,
        said("Method not allowed", "Methode nicht erlaubt"),
        said("About Meta's marketing messages API.", "Betrifft die API von Meta für Werbenachrichten."),
        NOT_OURS,
    ),
    one(
        131056,
        Fallback,
        App,
        said("Too many messages to one person", "Zu viele Nachrichten an eine Person"),
        said(
            "More than one message in 6 seconds, on average, went from this number to this person.",
            "Von dieser Nummer ging an diese Person im Schnitt mehr als eine Nachricht in 6 Sekunden.",
        ),
        said(
            "Nothing for one code; if it repeats, somebody may be requesting codes for a stranger's number.",
            "Bei einem Code nichts zu tun; wiederholt es sich, fordert vielleicht jemand Codes für eine \
             fremde Nummer an.",
        ),
    ),
    one(
        131057,
        Retry,
        Meta,
        said("Number under maintenance", "Nummer wird gewartet"),
        said(
            "The phone number is being moved to a higher throughput, which takes up to a minute.",
            "Die Telefonnummer wird auf einen höheren Durchsatz umgestellt; das dauert bis zu einer Minute.",
        ),
        WAIT,
    ),
    one(
        131059,
        Configuration,
        Operator,
        said("Paging cursor out of date", "Marke der Liste veraltet"),
        said(
            "A list of templates was read with an old cursor.",
            "Eine Liste von Vorlagen wurde mit einer alten Marke gelesen.",
        ),
        said("List again from the start.", "Lesen Sie die Liste noch einmal von vorn."),
    ),
    one(
        131060,
        Configuration,
        App,
        said("Message not available", "Nachricht nicht verfügbar"),
        said(
            "About numbers shared with the WhatsApp app.",
            "Betrifft Nummern, die auch in der WhatsApp-App verwendet werden.",
        ),
        NOT_OURS,
    ),
    one(
        131062,
        Configuration,
        App,
        said("Needs a phone number", "Telefonnummer nötig"),
        said(
            "Authentication templates cannot be sent to a business-scoped user id.",
            "Vorlagen zur Authentifizierung können nicht an eine Nutzer-Id des Unternehmens gesendet \
             werden.",
        ),
        NOT_OURS,
    ),
    one(
        131063,
        Configuration,
        Operator,
        said("Marketing not on this API", "Werbung nicht über diese API"),
        said("Marketing templates are off.", "Werbevorlagen sind abgeschaltet."),
        NOT_OURS,
    ),
    one(
        131064,
        Sender,
        Operator,
        said("Limit lowered for wrong categories", "Grenze wegen falscher Kategorien gesenkt"),
        said(
            "The messaging limit is reached after templates were filed under wrong categories.",
            "Die Grenze für Nachrichten ist erreicht, nachdem Vorlagen unter falschen Kategorien \
             eingereicht wurden.",
        ),
        said(
            "Correct the categories of the templates in WhatsApp Manager.",
            "Berichtigen Sie die Kategorien der Vorlagen im WhatsApp Manager.",
        ),
    ),
    range(
        131200,
        131299,
        Configuration,
        App,
        said("Group error", "Fehler bei Gruppen"),
        said("About WhatsApp groups.", "Betrifft WhatsApp-Gruppen."),
        NOT_OURS,
    ),
];
