//! What an attempt to send ended with, whichever provider it went to.

use super::{Actor, Explanation, ours, said};
use Actor::{Carrier, Nobody, Operator};

pub(super) static TABLE: &[Explanation] = &[
    ours(
        "connection_failed",
        Operator,
        said("Provider not reached", "Anbieter nicht erreicht"),
        said(
            "No connection came about: the name did not resolve, nobody listened, or TLS failed. Nothing \
             was sent, and it is tried again.",
            "Es kam keine Verbindung zustande: Der Name war nicht auflösbar, niemand nahm sie an, oder TLS \
             schlug fehl. Nichts wurde gesendet, und es wird wieder versucht.",
        ),
        said(
            "Check DNS, firewall and CA certificates of the machine, and `graph_url` or `url`.",
            "Prüfen Sie DNS, Firewall und CA-Zertifikate der Maschine sowie `graph_url` oder `url`.",
        ),
    ),
    ours(
        "no_answer",
        Nobody,
        said("Sent, but unanswered", "Gesendet, aber ohne Antwort"),
        said(
            "The request went out and the answer did not come in time, or the connection broke. It may \
             have been delivered, so it is not blindly sent again; a report settles it, or the next step \
             follows.",
            "Die Anfrage ging hinaus, doch die Antwort kam nicht rechtzeitig oder die Verbindung brach ab. \
             Die Nachricht ist vielleicht angekommen; deshalb wird sie nicht blind noch einmal gesendet: \
             Eine Meldung klärt es, oder der nächste Schritt folgt.",
        ),
        said(
            "If it happens often, ask the provider, and compare `timeout` with how long it usually takes.",
            "Geschieht es oft, fragen Sie den Anbieter, und vergleichen Sie `timeout` mit der üblichen \
             Dauer.",
        ),
    ),
    ours(
        "unreadable_answer",
        Operator,
        said("Answer not understood", "Antwort nicht verstanden"),
        said(
            "The provider's answer is not what it documents: an HTML page, nothing, no message id, too \
             large. The message may have been delivered all the same.",
            "Die Antwort des Anbieters ist nicht die dokumentierte: eine HTML-Seite, nichts, ohne \
             Nachrichten-Id oder zu groß. Die Nachricht ist vielleicht trotzdem angekommen.",
        ),
        said(
            "Check that the address is the provider's, that no proxy answers in its place, and \
             `id_pointer`.",
            "Prüfen Sie, ob die Adresse die des Anbieters ist, ob kein Proxy an seiner Stelle antwortet, \
             und `id_pointer`.",
        ),
    ),
    ours(
        "interrupted",
        Nobody,
        said("Stopped while sending", "Beim Senden beendet"),
        said(
            "twotick ended after it began a request and before it noted the answer, so nobody knows \
             whether it was sent.",
            "twotick wurde beendet, nachdem eine Anfrage begonnen hatte und bevor die Antwort notiert war. \
             Deshalb weiß niemand, ob sie hinausging.",
        ),
        said(
            "Nothing: a report settles it, or the next step follows.",
            "Nichts zu tun: Eine Meldung klärt es, oder der nächste Schritt folgt.",
        ),
    ),
    ours(
        "expired_before_send",
        Nobody,
        said("Expired before it could be sent", "Vor dem Senden abgelaufen"),
        said(
            "The message's turn came when the code had expired already, so nothing was sent.",
            "Als die Nachricht an die Reihe kam, war der Code schon abgelaufen; deshalb wurde nichts \
             gesendet.",
        ),
        said(
            "If it happens often, the channel's `messages_per_second` is too low for what is asked of it.",
            "Geschieht es oft, ist `messages_per_second` des Kanals zu niedrig für das, was von ihm \
             verlangt wird.",
        ),
    ),
    ours(
        "unknown_channel",
        Operator,
        said("Channel not configured any more", "Kanal nicht mehr eingerichtet"),
        said(
            "A verification began under a configuration that had this channel; now there is none of that \
             name.",
            "Eine Verifizierung begann unter einer Konfiguration, die diesen Kanal hatte; jetzt gibt es \
             keinen dieses Namens.",
        ),
        said(
            "Keep a channel in the configuration until the codes that may still use it have expired (10 \
             minutes).",
            "Lassen Sie einen Kanal in der Konfiguration, bis die Codes abgelaufen sind, die ihn noch \
             brauchen können (10 Minuten).",
        ),
    ),
    ours(
        "no_wording",
        Operator,
        said("No wording in this language", "Kein Text in dieser Sprache"),
        said(
            "The step has neither the app's locale nor the profile's default one.",
            "Der Schritt hat weder für die Sprache der App noch für die Standardsprache des Profils einen \
             Text.",
        ),
        said(
            "Add the profile's `default_locale` to the template's `locales` or to the text.",
            "Nehmen Sie `default_locale` des Profils in die `locales` der Vorlage oder in den Text auf.",
        ),
    ),
    ours(
        "redirected",
        Operator,
        said("Provider redirects", "Anbieter leitet weiter"),
        said(
            "The provider's address answered with a redirect. twotick does not follow any, so that codes \
             go only where the configuration says.",
            "Unter der Adresse des Anbieters kam eine Weiterleitung. twotick folgt keiner, damit Codes nur \
             dorthin gehen, wohin die Konfiguration es sagt.",
        ),
        said(
            "Put the final address into `graph_url` or `url`.",
            "Tragen Sie die endgültige Adresse in `graph_url` oder `url` ein.",
        ),
    ),
    ours(
        "wrong_content",
        Operator,
        said("Step does not fit its channel", "Schritt passt nicht zu seinem Kanal"),
        said(
            "A step names a text on a WhatsApp channel or a template on an SMS channel.",
            "Ein Schritt nennt einen Text für einen WhatsApp-Kanal oder eine Vorlage für einen SMS-Kanal.",
        ),
        said(
            "Give the step a `template` for kind `meta`, a `text` for kind `http`.",
            "Geben Sie dem Schritt ein `template` für die Art `meta`, einen `text` für die Art `http`.",
        ),
    ),
    ours(
        "no_reason",
        Carrier,
        said("Failed without a reason", "Ohne Grund gescheitert"),
        said(
            "The provider reported a failure and did not say why.",
            "Der Anbieter meldete einen Fehlschlag und nannte keinen Grund.",
        ),
        said(
            "Ask the provider, with its message id from the timeline.",
            "Fragen Sie den Anbieter; nennen Sie ihm seine Nachrichten-Id aus dem Verlauf.",
        ),
    ),
    ours(
        "http_400",
        Operator,
        said("Carrier refused the request", "SMS-Anbieter hat die Anfrage abgelehnt"),
        said(
            "The carrier's HTTP status says that the request was wrong (any 4xx that has no entry of its \
             own).",
            "Der HTTP-Status des SMS-Anbieters sagt, dass die Anfrage falsch war (jeder 4xx ohne eigenen \
             Eintrag).",
        ),
        said(
            "Compare what it documents with `{to, from, text, reference}`; check the sender name in `from`.",
            "Vergleichen Sie seine Dokumentation mit `{to, from, text, reference}`; prüfen Sie den \
             Absender in `from`.",
        ),
    ),
    ours(
        "http_401",
        Operator,
        said("Provider does not know us", "Anbieter kennt uns nicht"),
        said("The provider refused the token.", "Der Anbieter hat das Zugangstoken abgelehnt."),
        said(
            "Renew `bearer` (SMS) or `access_token` (WhatsApp).",
            "Erneuern Sie `bearer` (SMS) oder `access_token` (WhatsApp).",
        ),
    ),
    ours(
        "http_402",
        Operator,
        said("Provider wants to be paid", "Anbieter verlangt Bezahlung"),
        said(
            "The account at the provider has no credit left, or a bill is open. Every message is refused until \
             then.",
            "Das Konto beim Anbieter hat kein Guthaben mehr, oder eine Rechnung ist offen. Bis dahin wird jede \
             Nachricht abgelehnt.",
        ),
        said(
            "Top up the account at the provider, and let it warn you earlier.",
            "Laden Sie das Konto beim Anbieter auf, und lassen Sie sich dort früher warnen.",
        ),
    ),
    ours(
        "http_403",
        Operator,
        said("Provider forbids it", "Anbieter erlaubt es nicht"),
        said(
            "The token is known but may not do this: no balance, a country not enabled, a sender not \
             registered.",
            "Das Zugangstoken ist bekannt, darf dies aber nicht: kein Guthaben, ein nicht freigeschaltetes \
             Land, ein nicht angemeldeter Absender.",
        ),
        said("Look into the provider's account.", "Sehen Sie im Konto beim Anbieter nach."),
    ),
    ours(
        "http_404",
        Operator,
        said("No such address at the provider", "Adresse beim Anbieter unbekannt"),
        said(
            "The address of the configuration does not exist at the provider.",
            "Die Adresse aus der Konfiguration gibt es beim Anbieter nicht.",
        ),
        said(
            "Check `url`, or `graph_url`, `graph_version` and `phone_number_id`.",
            "Prüfen Sie `url`, oder `graph_url`, `graph_version` und `phone_number_id`.",
        ),
    ),
    ours(
        "http_429",
        Carrier,
        said("Provider wants fewer messages", "Anbieter will weniger Nachrichten"),
        said(
            "The provider's rate limit was reached. It is tried again while the step has time.",
            "Die Höchstrate des Anbieters war erreicht. Es wird wieder versucht, solange der Schritt Zeit \
             hat.",
        ),
        said(
            "Lower `messages_per_second`, or ask the provider for more.",
            "Senken Sie `messages_per_second`, oder bitten Sie den Anbieter um mehr.",
        ),
    ),
    ours(
        "http_500",
        Operator,
        said("Refused by the carrier", "Vom Anbieter abgelehnt"),
        said(
            "The carrier answered with a status that the configuration counts as a refusal, in `refused` or `retry` of \
             the channel.",
            "Der Anbieter antwortete mit einem Status, der laut Konfiguration eine Ablehnung ist: Er steht in \
             `refused` oder `retry` des Kanals.",
        ),
        said(
            "Nothing if the next step reaches the customer. If the carrier delivers such messages all the same, take \
             the status out of that list.",
            "Nichts, wenn der nächste Schritt den Kunden erreicht. Stellt der Anbieter solche Nachrichten trotzdem zu, \
             streichen Sie den Status aus dieser Liste.",
        ),
    ),
    ours(
        "http_503",
        Carrier,
        said("Provider not available", "Anbieter nicht verfügbar"),
        said(
            "The provider is overloaded or under maintenance. It is tried again while the step has time.",
            "Der Anbieter ist überlastet oder wird gewartet. Es wird wieder versucht, solange der Schritt \
             Zeit hat.",
        ),
        said(
            "Nothing, unless it lasts; then look at its status page.",
            "Nichts zu tun, solange es nicht anhält; sonst sehen Sie auf seiner Statusseite nach.",
        ),
    ),
    ours(
        "login_refused",
        Operator,
        said("Login refused", "Anmeldung abgelehnt"),
        said(
            "The provider gave no access token for the key of the configuration. Nothing was sent.",
            "Der Anbieter hat für den Schlüssel der Konfiguration kein Zugangstoken ausgestellt. Nichts wurde \
             gesendet.",
        ),
        said(
            "Check `key_id`, `key_secret` and `auth_url`; make a new key at the provider if they are right.",
            "Prüfen Sie `key_id`, `key_secret` und `auth_url`; erzeugen Sie beim Anbieter einen neuen Schlüssel, wenn \
             alles stimmt.",
        ),
    ),
    ours(
        "login_unavailable",
        Carrier,
        said("Login not available", "Anmeldung nicht verfügbar"),
        said(
            "The provider gave no access token in time, or is busy. Nothing was sent, and it is tried again while the \
             step has time.",
            "Der Anbieter hat nicht rechtzeitig ein Zugangstoken ausgestellt oder ist überlastet. Nichts wurde gesendet, \
             und es wird wieder versucht, solange der Schritt Zeit hat.",
        ),
        said(
            "Nothing, unless it lasts; then check `auth_url` and the provider's status page.",
            "Nichts zu tun, solange es nicht anhält; sonst prüfen Sie `auth_url` und die Statusseite des Anbieters.",
        ),
    ),
];
