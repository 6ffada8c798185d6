//! Of the health strip and the page of alerts.

use crate::console::spans::ago;
use crate::health::Alarm;
use crate::language::Language;
use crate::store::Health;
use crate::verification::values::Timestamp;

pub struct Words {
    pub health: &'static str,
    pub queue: &'static str,
    pub deadlines: &'static str,
    pub disk: &'static str,
    pub clock: &'static str,
    pub unknown: &'static str,
    pub none: &'static str,
    pub no_webhook: &'static str,
    pub signatures_refused: &'static str,
    pub breaker_open: &'static str,
    pub more_alarms: &'static str,
    pub all_good: &'static str,
    /// Where figures are bad and it is too early for an alarm.
    pub some_fail: &'static str,
    pub unreached: &'static str,
    /// For who is bound to apps: why there is nothing else, and what to do.
    pub bound: &'static str,
    pub bound_fix: &'static str,
    pub title: &'static str,
    pub now: &'static str,
    pub now_lead: &'static str,
    pub channel: &'static str,
    pub last_webhook: &'static str,
    pub sends: &'static str,
    pub failed: &'static str,
    pub breaker: &'static str,
    pub closed: &'static str,
    pub open: &'static str,
    pub signatures: &'static str,
    pub alerts: &'static str,
    pub alerts_lead: &'static str,
    pub no_alerts: &'static str,
    pub about: &'static str,
    pub cause: &'static str,
    pub who_acts: &'static str,
    pub fix: &'static str,
    pub evidence: &'static str,
    pub evidence_lead: &'static str,
    /// Of what is no longer kept.
    pub removed: &'static str,
    pub cannot_open: &'static str,
    pub older: &'static str,
    pub newest: &'static str,
    phrases: Phrases,
    fixes: Fixes,
}

/// Texts with places for figures.
struct Phrases {
    webhook_ago: &'static str,
    errors: &'static str,
    queued: &'static str,
    queued_waiting: &'static str,
    late: &'static str,
    very_late: &'static str,
    free: &'static str,
    clock_right: &'static str,
    clock_ahead: &'static str,
    clock_behind: &'static str,
    webhooks_stopped: &'static str,
    store_full: &'static str,
    store_stuck: &'static str,
    store_closed: &'static str,
    breaker_open: &'static str,
    signatures_refused: &'static str,
    error_rate: &'static str,
    late_alarm: &'static str,
    little_room: &'static str,
    clock_wrong: &'static str,
    templates: &'static str,
    /// `{channel}`
    bound_channel: &'static str,
    bound_server: &'static str,
}

/// What to do about each alarm.
struct Fixes {
    webhooks_stopped: &'static str,
    store: &'static str,
    breaker_open: &'static str,
    signatures_refused: &'static str,
    error_rate: &'static str,
    late: &'static str,
    little_room: &'static str,
    clock_wrong: &'static str,
    templates: &'static str,
}

impl Words {
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }

    pub fn webhook_ago(&self, ago: &str) -> String {
        self.phrases.webhook_ago.replace("{ago}", ago)
    }

    pub fn errors(&self, rate: f64) -> String {
        self.phrases.errors.replace("{rate}", &percent(rate))
    }

    pub fn queued(&self, live: u64, waiting: u64) -> String {
        let phrase = if waiting == 0 { self.phrases.queued } else { self.phrases.queued_waiting };
        phrase.replace("{live}", &live.to_string()).replace("{waiting}", &waiting.to_string())
    }

    /// `seconds` is the bound of a histogram, so "at most".
    pub fn lateness(&self, seconds: f64) -> String {
        if seconds.is_finite() {
            self.phrases.late.replace("{millis}", &format!("{:.0}", seconds * 1_000.0))
        } else {
            self.phrases.very_late.to_owned()
        }
    }

    pub fn room(&self, bytes: u64) -> String {
        self.phrases.free.replace("{room}", &size(bytes))
    }

    pub fn ahead(&self, seconds: f64) -> String {
        let phrase = match seconds {
            right if right.abs() < 1.5 => self.phrases.clock_right,
            ahead if ahead > 0.0 => self.phrases.clock_ahead,
            _ => self.phrases.clock_behind,
        };
        phrase.replace("{seconds}", &format!("{:.0}", seconds.abs()))
    }

    pub fn alarm(&self, alarm: &Alarm, now: Timestamp, language: Language) -> String {
        let phrases = &self.phrases;
        match alarm {
            Alarm::WebhooksStopped { channel, sends, since } => phrases
                .webhooks_stopped
                .replace("{channel}", channel.as_str())
                .replace("{sends}", &sends.to_string())
                .replace("{ago}", &ago(now.since(*since), language)),
            Alarm::StoreNotReady(Health::Full) => phrases.store_full.to_owned(),
            Alarm::StoreNotReady(Health::Stuck) => phrases.store_stuck.to_owned(),
            Alarm::StoreNotReady(Health::Closed | Health::Ready) => phrases.store_closed.to_owned(),
            Alarm::BreakerOpen(channel) => phrases.breaker_open.replace("{channel}", channel.as_str()),
            Alarm::SignaturesRefused { channel, times, .. } => phrases
                .signatures_refused
                .replace("{channel}", channel.as_str())
                .replace("{times}", &times.to_string()),
            Alarm::ErrorRate { channel, share, sends } => phrases
                .error_rate
                .replace("{channel}", channel.as_str())
                .replace("{share}", &percent(*share))
                .replace("{sends}", &sends.to_string()),
            Alarm::Late { seconds } => phrases.late_alarm.replace("{late}", &self.lateness(*seconds)),
            Alarm::LittleRoom { bytes } => phrases.little_room.replace("{room}", &size(*bytes)),
            Alarm::ClockWrong { ahead } => phrases.clock_wrong.replace("{off}", &self.ahead(*ahead)),
            Alarm::TemplatesNotApproved { count } => phrases.templates.replace("{count}", &count.to_string()),
        }
    }

    /// For who is bound to apps: without figures, in which others' traffic is.
    pub fn bound_alarm(&self, alarm: &Alarm) -> String {
        match alarm.channel() {
            Some(channel) => self.phrases.bound_channel.replace("{channel}", channel.as_str()),
            None => self.phrases.bound_server.to_owned(),
        }
    }

    pub fn fix(&self, alarm: &Alarm) -> &'static str {
        let fixes = &self.fixes;
        match alarm {
            Alarm::WebhooksStopped { .. } => fixes.webhooks_stopped,
            Alarm::StoreNotReady(_) => fixes.store,
            Alarm::BreakerOpen(_) => fixes.breaker_open,
            Alarm::SignaturesRefused { .. } => fixes.signatures_refused,
            Alarm::ErrorRate { .. } => fixes.error_rate,
            Alarm::Late { .. } => fixes.late,
            Alarm::LittleRoom { .. } => fixes.little_room,
            Alarm::ClockWrong { .. } => fixes.clock_wrong,
            Alarm::TemplatesNotApproved { .. } => fixes.templates,
        }
    }
}

/// `0`, `8`, `100`; a share that is there is at least 1.
fn percent(share: f64) -> String {
    let percent = (share * 100.0).round();
    if share > 0.0 && percent < 1.0 { "1".to_owned() } else { format!("{percent:.0}") }
}

/// `480 MB`, `12 GB`, `3 TB`: powers of ten, as disks are sold.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        1_000_000_000..1_000_000_000_000 => format!("{} GB", bytes / 1_000_000_000),
        1_000_000_000_000.. => format!("{} TB", bytes / 1_000_000_000_000),
    }
}

const ENGLISH: Words = Words {
    health: "State of the system",
    queue: "Queue",
    deadlines: "Deadlines",
    disk: "Disk",
    clock: "Clock",
    unknown: "not known yet",
    none: "none due",
    no_webhook: "no webhook yet",
    signatures_refused: "wrongly signed",
    breaker_open: "resting",
    more_alarms: "and more",
    all_good: "Nothing needs attention.",
    some_fail: "Some of the few messages of the last minutes failed: see below.",
    unreached: "Person not reachable",
    bound: "You look after single apps. What providers reported, and figures, concern all apps and are shown to operators of all of them.",
    bound_fix: "Tell an operator who looks after all apps.",
    title: "Alerts",
    now: "Now",
    now_lead: "The last five minutes, measured every ten seconds.",
    channel: "Channel",
    last_webhook: "Last webhook",
    sends: "Sends",
    failed: "Failed",
    breaker: "Sending",
    closed: "allowed",
    open: "resting: our sender was refused",
    signatures: "Wrong signatures",
    alerts: "What providers and twotick reported",
    alerts_lead: "Newest first, with what it means and what to do.",
    no_alerts: "Nothing was reported.",
    about: "About",
    cause: "Cause",
    who_acts: "Who acts",
    fix: "What helps",
    evidence: "What was received",
    evidence_lead: "The beginning of the delivery, as it came. It may hold anything.",
    removed: "It has been removed.",
    cannot_open: "It cannot be opened: another master key, or damaged.",
    older: "Older",
    newest: "Back to the newest",
    phrases: Phrases {
        webhook_ago: "webhook {ago} ago",
        errors: "{rate} % errors",
        queued: "{live} under way",
        queued_waiting: "{live} under way, {waiting} wait for their channel",
        late: "at most {millis} ms late",
        very_late: "more than 10 s late",
        free: "{room} free",
        clock_right: "right",
        clock_ahead: "{seconds} s ahead",
        clock_behind: "{seconds} s behind",
        webhooks_stopped: "{channel}: {sends} messages went out in the last {ago} and no webhook came back.",
        store_full: "The disk is full: nothing is taken any more.",
        store_stuck: "The disk has not answered for more than 5 s.",
        store_closed: "The store is closed.",
        breaker_open: "{channel} refused our sender: the channel rests and is probed once a minute.",
        signatures_refused: "{channel}: {times} webhooks with a wrong signature in 5 minutes.",
        error_rate: "{channel}: {share} % of the last {sends} requests failed.",
        late_alarm: "Deadlines are late: {late}.",
        little_room: "The disk is nearly full: {room} left.",
        clock_wrong: "The clock of this server is wrong: {off}.",
        templates: "{count} templates are not approved at Meta; messages with them are refused.",
        bound_channel: "{channel} does not work as it should.",
        bound_server: "The server does not work as it should.",
    },
    fixes: Fixes {
        webhooks_stopped: "Check that the provider still has the right webhook address, that it can reach it from outside (firewall, certificate, DNS), and that its subscription is active. Until then no delivery is known and every code also goes out by the next channel.",
        store: "Make room on the disk or look at what holds it up; twotick goes on by itself.",
        breaker_open: "Look at the newest alert of this channel below: account, number or token need attention. Codes go out by the next channel meanwhile.",
        signatures_refused: "Compare the app secret or report secret of the configuration with that of the provider. If they are right, somebody else is trying to send webhooks.",
        error_rate: "Look at the error codes in the list of verifications; each is explained there.",
        late: "The server is overloaded or its disk is slow. Look at its load.",
        little_room: "Make room on the disk of the data folder before it is full: then nothing is taken any more.",
        clock_wrong: "Switch on time synchronisation (NTP). Expiries and deadlines are computed from this clock.",
        templates: "Look at the templates in Meta’s business manager; the alerts below name them.",
    },
};

const GERMAN: Words = Words {
    health: "Zustand des Systems",
    queue: "Warteschlange",
    deadlines: "Fristen",
    disk: "Festplatte",
    clock: "Uhr",
    unknown: "noch nicht bekannt",
    none: "keine fällig",
    no_webhook: "noch kein Webhook",
    signatures_refused: "falsch signiert",
    breaker_open: "ruht",
    more_alarms: "und weitere",
    all_good: "Nichts verlangt Aufmerksamkeit.",
    some_fail: "Von den wenigen Nachrichten der letzten Minuten sind einige gescheitert: siehe unten.",
    unreached: "Person nicht erreichbar",
    bound: "Sie betreuen einzelne Apps. Meldungen der Anbieter und Zahlen betreffen alle Apps; der Betrieb aller Apps sieht sie.",
    bound_fix: "Sagen Sie es jemandem vom Betrieb, der alle Apps betreut.",
    title: "Meldungen",
    now: "Jetzt",
    now_lead: "Die letzten fünf Minuten, alle zehn Sekunden gemessen.",
    channel: "Kanal",
    last_webhook: "Letzter Webhook",
    sends: "Sendungen",
    failed: "Fehlgeschlagen",
    breaker: "Versand",
    closed: "erlaubt",
    open: "ruht: unser Absender wurde abgelehnt",
    signatures: "Falsche Signaturen",
    alerts: "Was Anbieter und twotick gemeldet haben",
    alerts_lead: "Das Neueste zuerst, mit Bedeutung und Abhilfe.",
    no_alerts: "Es wurde nichts gemeldet.",
    about: "Betrifft",
    cause: "Ursache",
    who_acts: "Wer handelt",
    fix: "Was hilft",
    evidence: "Was empfangen wurde",
    evidence_lead: "Der Anfang der Sendung, wie sie kam. Darin kann alles stehen.",
    removed: "Es wurde entfernt.",
    cannot_open: "Es lässt sich nicht öffnen: anderer Hauptschlüssel oder beschädigt.",
    older: "Ältere",
    newest: "Zurück zu den neuesten",
    phrases: Phrases {
        webhook_ago: "Webhook vor {ago}",
        errors: "{rate} % Fehler",
        queued: "{live} laufen",
        queued_waiting: "{live} laufen, {waiting} warten auf ihren Kanal",
        late: "höchstens {millis} ms zu spät",
        very_late: "mehr als 10 s zu spät",
        free: "{room} frei",
        clock_right: "richtig",
        clock_ahead: "geht {seconds} s vor",
        clock_behind: "geht {seconds} s nach",
        webhooks_stopped: "{channel}: {sends} Nachrichten gingen in den letzten {ago} hinaus, und kein Webhook kam zurück.",
        store_full: "Die Festplatte ist voll: es wird nichts mehr angenommen.",
        store_stuck: "Die Festplatte antwortet seit mehr als 5 s nicht.",
        store_closed: "Der Speicher ist geschlossen.",
        breaker_open: "{channel} hat unseren Absender abgelehnt: der Kanal ruht und wird einmal je Minute erprobt.",
        signatures_refused: "{channel}: {times} Webhooks mit falscher Signatur in 5 Minuten.",
        error_rate: "{channel}: {share} % der letzten {sends} Anfragen schlugen fehl.",
        late_alarm: "Fristen verspäten sich: {late}.",
        little_room: "Die Festplatte ist fast voll: noch {room}.",
        clock_wrong: "Die Uhr dieses Servers ist falsch: sie {off}.",
        templates: "{count} Vorlagen sind bei Meta nicht freigegeben; Nachrichten damit werden abgelehnt.",
        bound_channel: "{channel} arbeitet nicht, wie es sollte.",
        bound_server: "Der Server arbeitet nicht, wie er sollte.",
    },
    fixes: Fixes {
        webhooks_stopped: "Prüfen Sie, ob der Anbieter noch die richtige Webhook-Adresse hat, ob er sie von außen erreicht (Firewall, Zertifikat, DNS) und ob sein Abonnement aktiv ist. Bis dahin ist keine Zustellung bekannt, und jeder Code geht auch über den nächsten Kanal hinaus.",
        store: "Schaffen Sie Platz auf der Festplatte oder sehen Sie nach, was sie aufhält; twotick macht von selbst weiter.",
        breaker_open: "Sehen Sie sich unten die neueste Meldung dieses Kanals an: Konto, Nummer oder Token brauchen Aufmerksamkeit. Codes gehen so lange über den nächsten Kanal hinaus.",
        signatures_refused: "Vergleichen Sie das App-Geheimnis oder Berichtsgeheimnis der Konfiguration mit dem des Anbieters. Stimmen sie überein, versucht jemand anderes, Webhooks zu senden.",
        error_rate: "Sehen Sie sich die Fehlercodes in der Liste der Verifizierungen an; jeder ist dort erklärt.",
        late: "Der Server ist überlastet, oder seine Festplatte ist langsam. Sehen Sie sich seine Last an.",
        little_room: "Schaffen Sie Platz auf der Festplatte des Datenordners, bevor sie voll ist: dann wird nichts mehr angenommen.",
        clock_wrong: "Schalten Sie die Zeitsynchronisation (NTP) ein. Nach dieser Uhr richten sich Ablauf und Fristen.",
        templates: "Sehen Sie sich die Vorlagen im Business-Manager von Meta an; die Meldungen unten nennen sie.",
    },
};
