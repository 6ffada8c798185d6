//! What an operator is alerted of.

use super::{Actor, Explanation, ours, said};
use Actor::{Nobody, Operator};

pub(super) static TABLE: &[Explanation] = &[
    ours(
        "webhook_test",
        Nobody,
        said("Test webhook arrived", "Test-Webhook angekommen"),
        said(
            "Somebody pressed the button \"Test\" on the webhook page of Meta's dashboard. The sample arrived and \
             one of the `app_secrets` signed it.",
            "Jemand hat auf der Webhook-Seite von Metas Dashboard den Knopf „Test“ gedrückt. Das Muster kam an, und \
             eines der `app_secrets` hat es unterschrieben.",
        ),
        said(
            "Nothing: address and secret are right. To receive real reports, the WhatsApp account must be subscribed \
             to the app as well.",
            "Nichts zu tun: Adresse und Geheimnis stimmen. Für echte Meldungen muss auch das WhatsApp-Konto die App \
             abonniert haben.",
        ),
    ),
    ours(
        "lookup_limit",
        Operator,
        said("Too many look-ups at the console", "Zu viele Abfragen in der Konsole"),
        said(
            "One user searched for more numbers, or opened more verifications, than a person does. Somebody may be \
             trying out masked numbers, or using another person's session.",
            "Jemand hat mehr Nummern gesucht oder mehr Verifizierungen geöffnet, als eine Person es tut. \
             Möglicherweise werden verdeckte Nummern durchprobiert, oder eine fremde Sitzung wird benutzt.",
        ),
        said(
            "Read what the user did in the audit log. If it was not that person, change the password and restart \
             twotick, which ends all sessions.",
            "Lesen Sie im Prüfprotokoll, was getan wurde. War es nicht diese Person, ändern Sie das Passwort und \
             starten Sie twotick neu: das beendet alle Sitzungen.",
        ),
    ),
    ours(
        "template_missing",
        Operator,
        said("Template does not exist", "Vorlage gibt es nicht"),
        said(
            "A profile names a template, or a language of it, that the WhatsApp business account does not \
             have.",
            "Ein Profil nennt eine Vorlage, oder eine Sprache davon, die es im WhatsApp-Geschäftskonto \
             nicht gibt.",
        ),
        said(
            "Create it in WhatsApp Manager, or correct `[templates]`. Until then its messages are refused \
             and go by SMS.",
            "Legen Sie sie im WhatsApp Manager an, oder berichtigen Sie `[templates]`. Bis dahin werden \
             ihre Nachrichten abgelehnt und gehen per SMS.",
        ),
    ),
    ours(
        "template_not_approved",
        Operator,
        said("Template not approved", "Vorlage nicht genehmigt"),
        said(
            "A template that a profile needs is there, but Meta does not let it be sent now.",
            "Eine Vorlage, die ein Profil braucht, ist da, aber Meta lässt sie derzeit nicht senden.",
        ),
        said(
            "Look at its state in WhatsApp Manager. Until then its messages are refused and go by SMS.",
            "Sehen Sie im WhatsApp Manager nach ihrem Zustand. Bis dahin werden ihre Nachrichten abgelehnt \
             und gehen per SMS.",
        ),
    ),
    ours(
        "template_approved",
        Nobody,
        said("Template approved", "Vorlage genehmigt"),
        said(
            "Meta approved the template, or put it back into use.",
            "Meta hat die Vorlage genehmigt oder wieder freigegeben.",
        ),
        said("Nothing.", "Nichts zu tun."),
    ),
    ours(
        "template_paused",
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
    ours(
        "template_disabled",
        Operator,
        said("Template disabled", "Vorlage gesperrt"),
        said("Meta disabled the template for good.", "Meta hat die Vorlage endgültig gesperrt."),
        said(
            "Create a new one and name it in the profile. Until then codes go by the next step.",
            "Legen Sie eine neue an und nennen Sie sie im Profil. Bis dahin gehen Codes über den nächsten \
             Schritt.",
        ),
    ),
    ours(
        "template_rejected",
        Operator,
        said("Template rejected", "Vorlage abgelehnt"),
        said(
            "Meta did not approve the template; the alert names its reason.",
            "Meta hat die Vorlage nicht genehmigt; der Hinweis nennt den Grund.",
        ),
        said(
            "Correct it in WhatsApp Manager and submit it again.",
            "Berichtigen Sie sie im WhatsApp Manager und reichen Sie sie erneut ein.",
        ),
    ),
    ours(
        "template_deleted",
        Operator,
        said("Template deleted", "Vorlage gelöscht"),
        said(
            "The template was deleted, archived or locked, or soon will be.",
            "Die Vorlage wurde gelöscht, archiviert oder gesperrt, oder sie wird es bald.",
        ),
        said(
            "If a profile uses it, name another one there.",
            "Wenn ein Profil sie verwendet, nennen Sie dort eine andere.",
        ),
    ),
    ours(
        "template_flagged",
        Operator,
        said("Template at risk", "Vorlage gefährdet"),
        said(
            "The template's quality is low; Meta may pause it.",
            "Die Qualität der Vorlage ist niedrig; Meta pausiert sie vielleicht.",
        ),
        said(
            "Find out who gets codes without asking for them.",
            "Finden Sie heraus, wer Codes bekommt, ohne sie angefordert zu haben.",
        ),
    ),
    ours(
        "template_changed",
        Nobody,
        said("Template changed", "Vorlage geändert"),
        said(
            "The template's review state or contents changed in a way that stops nothing.",
            "Prüfstand oder Inhalt der Vorlage hat sich so geändert, dass nichts stillsteht.",
        ),
        said("Nothing, if it was you.", "Nichts zu tun, wenn Sie es waren."),
    ),
    ours(
        "template_quality",
        Operator,
        said("Template quality changed", "Qualität der Vorlage geändert"),
        said(
            "Meta's quality score of the template is another one: GREEN, YELLOW or RED.",
            "Meta bewertet die Qualität der Vorlage neu: GREEN (gut), YELLOW (mittel) oder RED (schlecht).",
        ),
        said(
            "On YELLOW or RED, find out who gets codes without asking for them.",
            "Finden Sie bei YELLOW oder RED heraus, wer Codes bekommt, ohne sie angefordert zu haben.",
        ),
    ),
    ours(
        "template_category",
        Operator,
        said("Template gets another category", "Vorlage bekommt eine andere Kategorie"),
        said(
            "Meta moves the template to another category. That also forgets how long a message of it stays \
             valid.",
            "Meta ordnet die Vorlage einer anderen Kategorie zu. Damit geht auch verloren, wie lange eine \
             Nachricht gültig bleibt.",
        ),
        said(
            "Appeal in WhatsApp Manager, or set the validity (`message_send_ttl_seconds`) again.",
            "Legen Sie im WhatsApp Manager Einspruch ein, oder stellen Sie die Gültigkeit \
             (`message_send_ttl_seconds`) neu ein.",
        ),
    ),
    ours(
        "account_disabled",
        Operator,
        said("Business account disabled or deleted", "Geschäftskonto gesperrt oder gelöscht"),
        said(
            "Meta disabled the WhatsApp business account, or will, or it was deleted. Nothing goes out by \
             WhatsApp.",
            "Meta hat das WhatsApp-Geschäftskonto gesperrt oder wird es sperren, oder es wurde gelöscht. \
             Per WhatsApp geht nichts hinaus.",
        ),
        said(
            "Appeal in Meta Business Support. Codes go by the next step.",
            "Legen Sie im Meta Business Support Einspruch ein. Codes gehen über den nächsten Schritt.",
        ),
    ),
    ours(
        "account_restricted",
        Operator,
        said("Business account restricted", "Geschäftskonto eingeschränkt"),
        said(
            "Meta limits what the account may do, because of its policies; the alert names the restriction.",
            "Meta schränkt wegen seiner Richtlinien ein, was das Konto darf; der Hinweis nennt die \
             Einschränkung.",
        ),
        said(
            "Read the violation in Business Support and appeal or correct it.",
            "Lesen Sie den Verstoß im Business Support und legen Sie Einspruch ein, oder beheben Sie ihn.",
        ),
    ),
    ours(
        "account_violation",
        Operator,
        said("Policy violation", "Verstoß gegen Richtlinien"),
        said(
            "Meta found that the account broke a policy. Restrictions may follow.",
            "Meta hat festgestellt, dass das Konto gegen eine Richtlinie verstößt. Einschränkungen können \
             folgen.",
        ),
        said(
            "Read the violation in Business Support and act on it.",
            "Lesen Sie den Verstoß im Business Support und handeln Sie danach.",
        ),
    ),
    ours(
        "account_reinstated",
        Nobody,
        said("Business account back in use", "Geschäftskonto wieder in Betrieb"),
        said(
            "Meta lifted what it had imposed on the account.",
            "Meta hat aufgehoben, was es dem Konto auferlegt hatte.",
        ),
        said("Nothing.", "Nichts zu tun."),
    ),
    ours(
        "account_price",
        Operator,
        said("Prices change", "Preise ändern sich"),
        said(
            "Meta changes what the account pays: authentication-international rates or a volume tier.",
            "Meta ändert, was das Konto zahlt: die Preise für internationale Authentifizierung oder eine \
             Mengenstaffel.",
        ),
        said(
            "Compare the date in the alert with your budget.",
            "Vergleichen Sie das Datum im Hinweis mit Ihrer Planung.",
        ),
    ),
    ours(
        "account_changed",
        Nobody,
        said("Business account changed", "Geschäftskonto geändert"),
        said(
            "A partner, an app or a setting of the account changed.",
            "Ein Partner, eine App oder eine Einstellung des Kontos hat sich geändert.",
        ),
        said("Nothing, if it was you.", "Nichts zu tun, wenn Sie es waren."),
    ),
    ours(
        "account_review",
        Operator,
        said("Business account reviewed", "Geschäftskonto geprüft"),
        said(
            "Meta decided on the review of the account.",
            "Meta hat über die Prüfung des Kontos entschieden.",
        ),
        said(
            "If it was not approved, read why in Business Support.",
            "Wurde es nicht genehmigt, lesen Sie den Grund im Business Support.",
        ),
    ),
    ours(
        "account_alert",
        Operator,
        said("Alert of the business account", "Hinweis zum Geschäftskonto"),
        said(
            "Meta has something to say about the account; the alert names it.",
            "Meta hat zum Konto etwas mitzuteilen; der Hinweis nennt es.",
        ),
        said("Read it in WhatsApp Manager.", "Lesen Sie es im WhatsApp Manager."),
    ),
    ours(
        "phone_number_name",
        Operator,
        said("Display name reviewed", "Anzeigename geprüft"),
        said(
            "Meta decided on the display name of the phone number.",
            "Meta hat über den Anzeigenamen der Telefonnummer entschieden.",
        ),
        said(
            "If it was not approved, choose another name in WhatsApp Manager.",
            "Wurde er nicht genehmigt, wählen Sie im WhatsApp Manager einen anderen.",
        ),
    ),
    ours(
        "phone_number_quality",
        Operator,
        said("Limit of the phone number changed", "Grenze der Telefonnummer geändert"),
        said(
            "The phone number's limit or throughput is another one.",
            "Die Telefonnummer hat jetzt eine andere Grenze oder einen anderen Durchsatz.",
        ),
        said(
            "After an upgrade `messages_per_second` may be raised; after a downgrade look at the quality \
             rating.",
            "Nach einer Erhöhung darf `messages_per_second` steigen; nach einer Senkung sehen Sie nach der \
             Qualität der Nummer.",
        ),
    ),
    ours(
        "capability_changed",
        Operator,
        said("Limits of the business changed", "Grenzen des Unternehmens geändert"),
        said(
            "How many people the business may write to, or how many numbers it may have, is another number.",
            "Wie vielen Personen das Unternehmen schreiben oder wie viele Nummern es haben darf, hat sich \
             geändert.",
        ),
        said(
            "Compare it with how many codes you send a day.",
            "Vergleichen Sie die Zahl damit, wie viele Codes Sie am Tag senden.",
        ),
    ),
    ours(
        "security_pin",
        Operator,
        said("Two-step PIN touched", "Zwei-Schritt-PIN berührt"),
        said(
            "Somebody changed, or asked to reset, the two-step verification PIN of the phone number.",
            "Jemand hat die PIN für die Bestätigung der Telefonnummer in zwei Schritten geändert oder \
             wollte sie zurücksetzen.",
        ),
        said(
            "If it was not you, secure the business account at once.",
            "Waren Sie es nicht, sichern Sie sofort das Geschäftskonto.",
        ),
    ),
];
