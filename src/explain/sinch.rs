//! Reason codes of Sinch's Conversation API. The class of each stands in `channel/sinch/conversation/errors.rs`.

use super::{Actor, Explanation, Said, ours, said};
use Actor::{Customer, Nobody, Operator};

const NEXT_STEP: Said = said("Nothing: the next step follows.", "Nichts zu tun: Der nächste Schritt folgt.");
const APP: Said = said(
    "In the Sinch dashboard, open the app with this `app_id` and check the channel that `via` names: its sender, its \
     credentials and its state.",
    "Öffnen Sie im Sinch-Dashboard die App mit dieser `app_id` und prüfen Sie den Kanal, den `via` nennt: Absender, \
     Zugangsdaten und Zustand.",
);
const TEMPLATE: Said = said(
    "Compare name and languages in `[templates.NAME]` with the template in the WhatsApp Manager: it must be an approved \
     authentication template with a code button.",
    "Vergleichen Sie Name und Sprachen in `[templates.NAME]` mit der Vorlage im WhatsApp-Manager: Sie muss eine \
     genehmigte Authentifizierungsvorlage mit Code-Schaltfläche sein.",
);
const REQUEST: Said = said(
    "Read the provider's words beside this code; if they do not help, send them with the message's id to Sinch.",
    "Lesen Sie die Worte des Anbieters neben diesem Code; helfen sie nicht, senden Sie sie mit der Nachrichten-Id an \
     Sinch.",
);

pub(super) static TABLE: &[Explanation] = &[
    ours(
        "recipient_not_reachable",
        Customer,
        said("Not reachable on this channel", "Auf diesem Kanal nicht erreichbar"),
        said(
            "The number has no account on this channel, or the phone cannot take the message.",
            "Die Nummer hat auf diesem Kanal kein Konto, oder das Telefon kann die Nachricht nicht annehmen.",
        ),
        NEXT_STEP,
    ),
    ours(
        "recipient_invalid_channel_identity",
        Customer,
        said("Number not valid on this channel", "Nummer auf diesem Kanal ungültig"),
        said(
            "Sinch does not take this number on this channel.",
            "Sinch nimmt diese Nummer auf diesem Kanal nicht an.",
        ),
        said(
            "Ask for another number if the next step fails too.",
            "Fragen Sie nach einer anderen Nummer, falls auch der nächste Schritt scheitert.",
        ),
    ),
    ours(
        "no_channel_identity_for_contact",
        Customer,
        said("Not known on this channel", "Auf diesem Kanal unbekannt"),
        said(
            "The number has no identity on this channel.",
            "Die Nummer hat auf diesem Kanal keine Identität.",
        ),
        NEXT_STEP,
    ),
    ours(
        "recipient_not_opted_in",
        Customer,
        said("No opt-in", "Keine Einwilligung"),
        said(
            "The person opted out of messages on this channel, or never opted in.",
            "Die Person hat Nachrichten auf diesem Kanal abbestellt oder ihnen nie zugestimmt.",
        ),
        said(
            "Nothing: the next step follows. The person can write START to the business number.",
            "Nichts zu tun: Der nächste Schritt folgt. Die Person kann START an die Geschäftsnummer schreiben.",
        ),
    ),
    ours(
        "channel_bad_configuration",
        Operator,
        said("Channel set up wrongly at Sinch", "Kanal bei Sinch falsch eingerichtet"),
        said(
            "The app's settings for this channel are wrong.",
            "Die App-Einstellungen für diesen Kanal sind falsch.",
        ),
        APP,
    ),
    ours(
        "channel_configuration_missing",
        Operator,
        said("Channel not set up at Sinch", "Kanal bei Sinch nicht eingerichtet"),
        said("The app has no such channel.", "Die App hat keinen solchen Kanal."),
        APP,
    ),
    ours(
        "unknown_app",
        Operator,
        said("App unknown at Sinch", "App bei Sinch unbekannt"),
        said(
            "The project has no app with this id in this region.",
            "Das Projekt hat in dieser Region keine App mit dieser Id.",
        ),
        said(
            "Check `app_id`, `project_id` and `region`: an app lives in one region only.",
            "Prüfen Sie `app_id`, `project_id` und `region`: Eine App gibt es nur in einer Region.",
        ),
    ),
    ours(
        "no_permission",
        Operator,
        said("Key without permission", "Schlüssel ohne Berechtigung"),
        said("The access key may not use this app.", "Der Zugriffsschlüssel darf diese App nicht verwenden."),
        said(
            "Check that `key_id` belongs to the project `project_id`, or make a new key there.",
            "Prüfen Sie, ob `key_id` zum Projekt `project_id` gehört, oder erzeugen Sie dort einen neuen Schlüssel.",
        ),
    ),
    ours(
        "inactive_credential",
        Operator,
        said("Sender inactive", "Absender inaktiv"),
        said(
            "The sender of this channel is suspended or not yet active at Sinch.",
            "Der Absender dieses Kanals ist bei Sinch gesperrt oder noch nicht aktiv.",
        ),
        APP,
    ),
    ours(
        "template_not_found",
        Operator,
        said("Template not found", "Vorlage nicht gefunden"),
        said("The WhatsApp account has no such template.", "Das WhatsApp-Konto hat keine solche Vorlage."),
        TEMPLATE,
    ),
    ours(
        "template_insufficient_parameters",
        Operator,
        said("Template of another form", "Vorlage von anderer Form"),
        said(
            "The template wants other parameters than a code in its body and in its first button.",
            "Die Vorlage verlangt andere Parameter als einen Code im Text und in der ersten Schaltfläche.",
        ),
        TEMPLATE,
    ),
    ours(
        "template_non_existing_language_or_version",
        Operator,
        said("Template not in this language", "Vorlage nicht in dieser Sprache"),
        said("The template does not exist in this language.", "Die Vorlage gibt es in dieser Sprache nicht."),
        TEMPLATE,
    ),
    ours(
        "bad_request",
        Operator,
        said("Request refused", "Anfrage abgelehnt"),
        said(
            "Sinch accepted the request and found it wrong afterwards.",
            "Sinch hat die Anfrage angenommen und danach für falsch befunden.",
        ),
        REQUEST,
    ),
    ours(
        "unsupported_operation",
        Operator,
        said("Not possible on this channel", "Auf diesem Kanal nicht möglich"),
        said(
            "The channel that `via` names does not carry such a message.",
            "Der Kanal, den `via` nennt, überträgt eine solche Nachricht nicht.",
        ),
        REQUEST,
    ),
    ours(
        "message_split_required",
        Operator,
        said("Text too long", "Text zu lang"),
        said(
            "The text is longer than one message of this channel.",
            "Der Text ist länger als eine Nachricht dieses Kanals.",
        ),
        said("Shorten the text in `[texts.NAME]`.", "Kürzen Sie den Text in `[texts.NAME]`."),
    ),
    ours(
        "outside_allowed_sending_window",
        Operator,
        said("Outside the sending window", "Außerhalb des Sendefensters"),
        said(
            "The channel takes free text only for a while after the person wrote.",
            "Der Kanal nimmt freien Text nur eine Zeit lang an, nachdem die Person geschrieben hat.",
        ),
        APP,
    ),
    ours(
        "delivery_rejected_due_to_policy",
        Operator,
        said("Against the channel's policy", "Gegen die Richtlinien des Kanals"),
        said(
            "The channel or Sinch refused the message by one of its rules.",
            "Der Kanal oder Sinch hat die Nachricht nach einer seiner Regeln abgelehnt.",
        ),
        REQUEST,
    ),
    ours(
        "message_expired",
        Nobody,
        said("Too late to be delivered", "Zu spät für die Zustellung"),
        said(
            "The message was not delivered within its time and was withdrawn.",
            "Die Nachricht wurde nicht rechtzeitig zugestellt und deshalb zurückgezogen.",
        ),
        NEXT_STEP,
    ),
];
