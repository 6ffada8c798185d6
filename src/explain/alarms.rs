//! The alarms that twotick raises about itself.

use super::{Actor, Explanation, ours, said};
use Actor::Operator;

pub(super) static TABLE: &[Explanation] = &[
    ours(
        "webhooks_stopped",
        Operator,
        said("Webhooks no longer come", "Webhooks bleiben aus"),
        said(
            "The provider accepted messages, but none of its webhooks has come since, so no delivery is known and \
             codes also go out by the next step.",
            "Der Anbieter hat Nachrichten angenommen, aber seither kam keiner seiner Webhooks. Daher ist keine \
             Zustellung bekannt, und Codes gehen auch über den nächsten Schritt hinaus.",
        ),
        said(
            "Check that the webhook address at the provider is `server.public_url` plus /webhooks/ and the channel's \
             name, that it can be reached from outside, that the subscription is active (Meta: the field messages), \
             and that `app_secrets` or `report_secret` is the provider's.",
            "Prüfen Sie, ob beim Anbieter als Webhook-Adresse `server.public_url` mit /webhooks/ und dem Namen des \
             Kanals steht, ob sie von außen erreichbar ist, ob das Abonnement aktiv ist (Meta: das Feld messages) und \
             ob `app_secrets` oder `report_secret` mit dem Geheimnis des Anbieters übereinstimmt.",
        ),
    ),
    ours(
        "signatures_refused",
        Operator,
        said("Webhooks with a wrong signature", "Webhooks mit falscher Signatur"),
        said(
            "Webhooks came whose signature does not fit the secret of the configuration. They change nothing.",
            "Es kamen Webhooks, deren Signatur nicht zum Geheimnis der Konfiguration passt. Sie ändern nichts.",
        ),
        said(
            "Compare `app_secrets` (Meta: App settings, Basic, App secret) or `report_secret` with what the provider \
             has. If they are equal, somebody else sends webhooks to this address.",
            "Vergleichen Sie `app_secrets` (Meta: App-Einstellungen, Allgemeines, App-Geheimcode) oder \
             `report_secret` mit dem Wert beim Anbieter. Sind sie gleich, sendet jemand anderes Webhooks an diese \
             Adresse.",
        ),
    ),
    ours(
        "sender_refused",
        Operator,
        said("Sender refused", "Absender abgelehnt"),
        said(
            "The provider refuses our account, number or token. The channel pauses for a minute, then one message \
             tries it.",
            "Der Anbieter lehnt unser Konto, unsere Nummer oder unser Token ab. Der Kanal pausiert eine Minute, dann \
             erprobt ihn eine Nachricht.",
        ),
        said(
            "Look at the newest alert of the channel. Codes go out by the next step meanwhile.",
            "Sehen Sie sich die neueste Meldung des Kanals an. Codes gehen so lange über den nächsten Schritt hinaus.",
        ),
    ),
    ours(
        "high_error_rate",
        Operator,
        said("Many requests to a provider fail", "Viele Anfragen an einen Anbieter schlagen fehl"),
        said(
            "A large share of the requests of the last five minutes was refused, or their answers were lost.",
            "Ein großer Teil der Anfragen der letzten fünf Minuten wurde abgelehnt, oder die Antworten gingen \
             verloren.",
        ),
        said(
            "Look at the error codes in the list of verifications; each is explained there.",
            "Sehen Sie sich die Fehlercodes in der Liste der Verifizierungen an; jeder ist dort erklärt.",
        ),
    ),
    ours(
        "store_not_ready",
        Operator,
        said("No writes are taken", "Es wird nichts angenommen"),
        said(
            "The disk is full or does not answer, so requests are refused with 503.",
            "Die Festplatte ist voll oder antwortet nicht; Anfragen werden daher mit 503 abgelehnt.",
        ),
        said(
            "Make room, or look at what holds the disk up. twotick goes on by itself.",
            "Schaffen Sie Platz, oder sehen Sie nach, was die Festplatte aufhält. twotick macht von selbst weiter.",
        ),
    ),
    ours(
        "disk_nearly_full",
        Operator,
        said("Disk nearly full", "Festplatte fast voll"),
        said(
            "The disk of the data folder has little room left.",
            "Auf der Festplatte des Datenordners ist nur noch wenig Platz.",
        ),
        said(
            "Make room before it is full: then no writes are taken.",
            "Schaffen Sie Platz, bevor sie voll ist: dann wird nichts mehr angenommen.",
        ),
    ),
    ours(
        "deadlines_late",
        Operator,
        said("Deadlines are late", "Fristen verspäten sich"),
        said(
            "Fallbacks start later than they should, because the server is overloaded or its disk is slow.",
            "Der nächste Schritt beginnt später als vorgesehen, weil der Server überlastet oder seine Festplatte \
             langsam ist.",
        ),
        said("Look at the load of the machine.", "Sehen Sie sich die Last des Servers an."),
    ),
    ours(
        "clock_wrong",
        Operator,
        said("Clock is wrong", "Uhr geht falsch"),
        said(
            "The clock of this machine differs from that of every provider.",
            "Die Uhr dieses Servers weicht von der Uhr jedes Anbieters ab.",
        ),
        said("Switch on time synchronisation (NTP).", "Schalten Sie die Zeitsynchronisation (NTP) ein."),
    ),
    ours(
        "templates_not_approved",
        Operator,
        said("Templates are not approved", "Vorlagen sind nicht genehmigt"),
        said(
            "Meta does not let templates be sent that profiles need.",
            "Meta lässt Vorlagen nicht senden, die Profile brauchen.",
        ),
        said(
            "`twotick doctor` names them. Look at them in WhatsApp Manager.",
            "`twotick doctor` nennt sie. Sehen Sie im WhatsApp Manager nach.",
        ),
    ),
];
