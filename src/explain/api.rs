//! What the API answers.

use super::{Actor, Explanation, ours, said};
use Actor::{App, Customer, Operator};

pub(super) static TABLE: &[Explanation] = &[
    ours(
        "unauthorized",
        App,
        said("No valid API key", "Kein gültiger API-Schlüssel"),
        said(
            "The request has no `Authorization: Bearer` header, or its key is none of the configured ones.",
            "Der Anfrage fehlt der Header `Authorization: Bearer`, oder sein Schlüssel ist keiner der \
             eingerichteten.",
        ),
        said(
            "Send one of the keys under `[[apps]] api_keys`. After a rotation, make sure the app uses the \
             new one.",
            "Senden Sie einen der Schlüssel aus `[[apps]] api_keys`. Prüfen Sie nach einem Wechsel, ob die \
             App den neuen verwendet.",
        ),
    ),
    ours(
        "not_found",
        App,
        said("Nothing there", "Hier ist nichts"),
        said(
            "The address is not one of the API's, or it names a verification that does not exist or \
             belongs to another app.",
            "Die Adresse gehört nicht zur API, oder sie nennt eine Verifizierung, die es nicht gibt oder \
             die zu einer anderen App gehört.",
        ),
        said(
            "Check the path and the id; ids start with `ver_`. An app sees only its own verifications.",
            "Prüfen Sie Pfad und Id; Ids beginnen mit `ver_`. Eine App sieht nur ihre eigenen \
             Verifizierungen.",
        ),
    ),
    ours(
        "method_not_allowed",
        App,
        said("Wrong method", "Falsche Methode"),
        said(
            "The address exists, but not for this HTTP method.",
            "Die Adresse gibt es, aber nicht für diese HTTP-Methode.",
        ),
        said(
            "Use a method that the `Allow` header of the answer lists.",
            "Verwenden Sie eine Methode, die der Header `Allow` der Antwort nennt.",
        ),
    ),
    ours(
        "host_not_allowed",
        Operator,
        said("Unknown name of the admin listener", "Unbekannter Name des Admin-Zugangs"),
        said(
            "The admin listener was called by a host name that the configuration does not know. It answers only to \
             names it is known by, so that no web page can reach it through somebody's browser.",
            "Der Admin-Zugang wurde unter einem Hostnamen aufgerufen, den die Konfiguration nicht kennt. Er antwortet \
             nur unter bekannten Namen, damit keine Webseite ihn über den Browser eines Benutzers erreicht.",
        ),
        said(
            "Call it by localhost, its IP address or the host of `console.public_url`, or add the name to \
             `admin_hosts` in `[server]`.",
            "Rufen Sie ihn unter localhost, seiner IP-Adresse oder dem Host aus `console.public_url` auf, oder tragen \
             Sie den Namen unter `admin_hosts` in `[server]` ein.",
        ),
    ),
    ours(
        "unsupported_media_type",
        App,
        said("Body is not JSON", "Inhalt ist kein JSON"),
        said(
            "The request has a body whose `Content-Type` is not `application/json`.",
            "Die Anfrage hat einen Inhalt, dessen `Content-Type` nicht `application/json` ist.",
        ),
        said("Send `Content-Type: application/json`.", "Senden Sie `Content-Type: application/json`."),
    ),
    ours(
        "body_too_large",
        App,
        said("Body too large", "Inhalt zu groß"),
        said(
            "A body of the API may have 64 KiB, one of a webhook 3 MiB.",
            "Eine Anfrage an die API darf 64 KiB groß sein, ein Webhook 3 MiB.",
        ),
        said(
            "Send less; large `metadata` belongs into the app's own database, with its key in `client_ref`.",
            "Senden Sie weniger; umfangreiche `metadata` gehören in die Datenbank der App, ihr Schlüssel \
             in `client_ref`.",
        ),
    ),
    ours(
        "malformed_body",
        App,
        said("Body cannot be read", "Inhalt nicht lesbar"),
        said(
            "The body is not JSON, or it ended early.",
            "Der Inhalt ist kein JSON, oder er brach vorzeitig ab.",
        ),
        said(
            "Write the body with a JSON library and check that all of it is sent.",
            "Erzeugen Sie den Inhalt mit einer JSON-Bibliothek und prüfen Sie, ob er ganz gesendet wird.",
        ),
    ),
    ours(
        "invalid_request",
        App,
        said("A field is wrong", "Ein Feld stimmt nicht"),
        said(
            "A field is missing, unknown, of the wrong type or out of its range; `errors` names each.",
            "Ein Feld fehlt, ist unbekannt, hat den falschen Typ oder liegt außerhalb seiner Grenzen; \
             `errors` nennt jedes.",
        ),
        said(
            "Correct the fields that `errors` points at.",
            "Berichtigen Sie die Felder, auf die `errors` zeigt.",
        ),
    ),
    ours(
        "not_a_code",
        Customer,
        said("Not a code", "Kein Code"),
        said(
            "What was typed cannot be a code of this profile: it is empty, has letters, or another length. It was not \
             compared and does not count as a try. Blanks, hyphens and dots make no difference.",
            "Die Eingabe kann kein Code dieses Profils sein: Sie ist leer, enthält Buchstaben oder hat eine andere \
             Länge. Sie wurde nicht verglichen und zählt nicht als Versuch. Leerzeichen, Bindestriche und Punkte \
             spielen keine Rolle.",
        ),
        said(
            "Type the code again, as it stands in the message.",
            "Den Code noch einmal eingeben, wie er in der Nachricht steht.",
        ),
    ),
    ours(
        "unknown_profile",
        App,
        said("No such profile", "Profil unbekannt"),
        said(
            "`profile` is none of the configured ones, or there are several and none was named.",
            "`profile` ist keines der eingerichteten, oder es gibt mehrere und keines wurde genannt.",
        ),
        said(
            "Name one of the `[profiles]` of the configuration.",
            "Nennen Sie eines der `[profiles]` der Konfiguration.",
        ),
    ),
    ours(
        "invalid_number",
        Customer,
        said("Not a phone number", "Keine Telefonnummer"),
        said(
            "`to` is not a possible number in E.164 form, with `+` and country code.",
            "`to` ist keine mögliche Nummer im Format E.164, also mit `+` und Landesvorwahl.",
        ),
        said(
            "Ask the customer for the number with its country, and send it as `+4915228817386`.",
            "Fragen Sie nach der Nummer mit Landesvorwahl und senden Sie sie in der Form `+4915228817386`.",
        ),
    ),
    ours(
        "resend_too_early",
        Customer,
        said("Too early to send again", "Zu früh für einen erneuten Versand"),
        said(
            "The pause between two sends (`resend_after`) is not over.",
            "Die Pause zwischen zwei Sendungen (`resend_after`) ist noch nicht vorbei.",
        ),
        said(
            "Wait as long as `Retry-After` says; show the customer a countdown.",
            "Warten Sie so lange, wie `Retry-After` angibt; die App sollte die verbleibende Zeit anzeigen.",
        ),
    ),
    ours(
        "resend_limit",
        Customer,
        said("No more resends", "Kein weiterer Versand möglich"),
        said(
            "The code was sent as often as the profile's `resend_after` allows.",
            "Der Code wurde so oft gesendet, wie `resend_after` im Profil erlaubt.",
        ),
        said(
            "Let the verification expire and start a new one; check that the number is right.",
            "Lassen Sie die Verifizierung ablaufen und beginnen Sie eine neue; prüfen Sie, ob die Nummer \
             stimmt.",
        ),
    ),
    ours(
        "not_pending",
        App,
        said("Already ended", "Schon beendet"),
        said(
            "The verification is approved, expired, canceled or exhausted, so nothing can be sent for it \
             any more.",
            "Die Verifizierung ist bestätigt, abgelaufen, abgebrochen oder durch falsche Eingaben \
             gesperrt; für sie wird nichts mehr gesendet.",
        ),
        said("Start a new verification.", "Beginnen Sie eine neue Verifizierung."),
    ),
    ours(
        "no_next_step",
        App,
        said("No further step", "Kein weiterer Schritt"),
        said(
            "The verification is at the last step of its profile.",
            "Die Verifizierung ist beim letzten Schritt ihres Profils.",
        ),
        said(
            "Use resend, or add a step to the profile.",
            "Senden Sie den Code erneut, oder fügen Sie dem Profil einen Schritt hinzu.",
        ),
    ),
    ours(
        "idempotency_key_reused",
        App,
        said(
            "Idempotency key used for another request",
            "Idempotenzschlüssel für eine andere Anfrage verwendet",
        ),
        said(
            "The same `Idempotency-Key` came within 24 h with a different body.",
            "Derselbe `Idempotency-Key` kam innerhalb von 24 Stunden mit einem anderen Inhalt.",
        ),
        said(
            "Make a new key for each new request; repeat a key only with exactly the same body.",
            "Erzeugen Sie für jede neue Anfrage einen neuen Schlüssel; wiederholen Sie einen nur mit genau \
             demselben Inhalt.",
        ),
    ),
    ours(
        "idempotency_key_in_use",
        App,
        said("The same request is under way", "Dieselbe Anfrage läuft noch"),
        said(
            "A request with this `Idempotency-Key` has not been answered yet.",
            "Eine Anfrage mit diesem `Idempotency-Key` ist noch nicht beantwortet.",
        ),
        said(
            "Wait a moment and repeat it; it will get the first one's answer.",
            "Warten Sie einen Moment und wiederholen Sie sie; sie erhält dann die Antwort der ersten.",
        ),
    ),
    ours(
        "store_full",
        Operator,
        said("Disk full", "Speicherplatz voll"),
        said(
            "The store cannot write. Nothing was accepted; reading still works.",
            "Es kann nichts mehr gespeichert werden. Nichts wurde angenommen; Lesen ist weiter möglich.",
        ),
        said(
            "Make room on the disk that holds `[store] path`. twotick goes on by itself.",
            "Schaffen Sie Platz auf dem Datenträger, auf dem `[store] path` liegt. twotick macht dann von \
             selbst weiter.",
        ),
    ),
    ours(
        "store_busy",
        Operator,
        said("Too much at once", "Zu viel auf einmal"),
        said(
            "The queue to the store is full. Nothing was accepted; callers may try again as `Retry-After` \
             says.",
            "Die Warteschlange zum Speicher ist voll. Nichts wurde angenommen; ein neuer Versuch ist \
             möglich, sobald `Retry-After` vorbei ist.",
        ),
        said(
            "If it lasts, look at the disk's `fdatasync` time and at who sends so much.",
            "Wenn es anhält, prüfen Sie, wie lange `fdatasync` auf dem Datenträger dauert und wer so viel \
             sendet.",
        ),
    ),
    ours(
        "too_many_waiting",
        App,
        said("Too many long polls and streams", "Zu viele Long Polls und Streams"),
        said(
            "The app has as many long polls and streams open as `[server] max_waiting_per_app` allows, or all apps \
             together hold seven eighths of `max_connections`.",
            "Die App hält so viele Long Polls und Streams offen, wie `[server] max_waiting_per_app` erlaubt, oder \
             alle Apps zusammen belegen sieben Achtel von `max_connections`.",
        ),
        said(
            "Close streams when their `end` event comes, and try again after `Retry-After`. If the app needs more, \
             raise the limit.",
            "Schließen Sie Streams, sobald ihr Ereignis `end` kommt, und versuchen Sie es nach `Retry-After` erneut. \
             Braucht die App mehr, erhöhen Sie die Grenze.",
        ),
    ),
    ours(
        "too_many_connections",
        App,
        said("Too many connections", "Zu viele Verbindungen"),
        said(
            "Nearly `[server] max_connections` connections are open; the last ones are kept for webhooks and health \
             checks.",
            "Fast `[server] max_connections` Verbindungen sind offen; die letzten bleiben Webhooks und \
             Zustandsprüfungen vorbehalten.",
        ),
        said(
            "Try again after `Retry-After`, and reuse connections. If it happens often, raise the limit or look for the \
             caller that opens so many.",
            "Versuchen Sie es nach `Retry-After` erneut und verwenden Sie Verbindungen mehrfach. Geschieht es oft, \
             erhöhen Sie die Grenze oder suchen Sie den Aufrufer, der so viele öffnet.",
        ),
    ),
    ours(
        "draining",
        App,
        said("Shutting down", "Wird beendet"),
        said(
            "The server is about to stop and takes nothing new.",
            "Der Server wird gleich beendet und nimmt nichts Neues an.",
        ),
        said(
            "Repeat the request; another instance, or this one after its restart, will take it.",
            "Wiederholen Sie die Anfrage; eine andere Instanz nimmt sie an, oder diese nach ihrem Neustart.",
        ),
    ),
    ours(
        "record_damaged",
        Operator,
        said("A stored record is damaged", "Ein gespeicherter Eintrag ist beschädigt"),
        said(
            "A record's checksum or form is wrong: the disk, or somebody else, changed the data folder.",
            "Prüfsumme oder Form eines Eintrags stimmen nicht: Der Datenträger oder jemand anders hat den \
             Datenordner verändert.",
        ),
        said(
            "Keep a copy of the folder, check the disk, and restore the last backup.",
            "Sichern Sie eine Kopie des Ordners, prüfen Sie den Datenträger und stellen Sie die letzte \
             Sicherung wieder her.",
        ),
    ),
    ours(
        "internal",
        Operator,
        said("A fault of twotick", "Ein Fehler in twotick"),
        said(
            "Something happened that should not. The log has a line with the same request id.",
            "Es ist etwas geschehen, das nicht geschehen sollte. Im Protokoll steht eine Zeile mit \
             derselben Anfrage-Id.",
        ),
        said("Please report it with that line.", "Bitte melden Sie den Fehler mit dieser Zeile."),
    ),
    ours(
        "bad_signature",
        Operator,
        said("Webhook not signed by the provider", "Webhook nicht vom Anbieter unterschrieben"),
        said(
            "The signature header is missing, doubled, of the wrong form, or made with another secret. \
             Nothing was read.",
            "Der Header mit der Signatur fehlt, ist doppelt, hat die falsche Form oder wurde mit einem \
             anderen Geheimnis erzeugt. Nichts wurde gelesen.",
        ),
        said(
            "Compare `app_secrets` with the app's secret at Meta (for an SMS carrier: `report_secret`). A \
             proxy must pass the body on unchanged. If the secret is right, somebody else sent it.",
            "Vergleichen Sie `app_secrets` mit dem Geheimnis der App bei Meta (bei einem SMS-Anbieter: \
             `report_secret`). Ein Proxy muss den Inhalt unverändert weitergeben. Stimmt das Geheimnis, \
             hat jemand anders den Webhook gesendet.",
        ),
    ),
];
