//! The health strip and the page of alerts.

use crate::console::spans::ago;
use crate::health::Alarm;
use crate::store::Health;
use crate::verification::values::Timestamp;

words! {
    texts {
        health: "State of the system", "Zustand des Systems";
        queue: "Queue", "Warteschlange";
        deadlines: "Deadlines", "Fristen";
        disk: "Disk", "Festplatte";
        clock: "Clock", "Uhr";
        unknown: "not yet known", "noch nicht bekannt";
        none: "none due", "keine fällig";
        no_webhook: "no webhook yet", "noch kein Webhook";
        signatures_refused: "wrongly signed", "falsch signiert";
        breaker_open: "paused", "ruht";
        more_alarms: "and more", "und weitere";
        all_good: "Nothing needs attention.", "Nichts verlangt Aufmerksamkeit.";
        /// For figures that are bad before there is an alarm.
        some_fail: "Some of the few messages of the last minutes failed: see below.", "Von den wenigen Nachrichten der letzten Minuten sind einige gescheitert: siehe unten.";
        unreached: "Person not reachable", "Person nicht erreichbar";
        /// For users who are bound to apps.
        bound: "You are assigned to individual apps. Providers' alerts and figures concern all apps and are shown only to operators of all apps.", "Sie betreuen einzelne Apps. Meldungen der Anbieter und Zahlen betreffen alle Apps; der Betrieb aller Apps sieht sie.";
        bound_fix: "Tell an operator who is responsible for all apps.", "Sagen Sie es jemandem vom Betrieb, der alle Apps betreut.";
        title: "Alerts", "Meldungen";
        now: "Now", "Jetzt";
        now_lead: "The last five minutes, measured every ten seconds.", "Die letzten fünf Minuten, alle zehn Sekunden gemessen.";
        channel: "Channel", "Kanal";
        last_webhook: "Last webhook", "Letzter Webhook";
        sends: "Sends", "Sendungen";
        failed: "Failed", "Fehlgeschlagen";
        breaker: "Sending", "Versand";
        closed: "allowed", "erlaubt";
        open: "paused: the provider refused our sender", "ruht: unser Absender wurde abgelehnt";
        signatures: "Wrong signatures", "Falsche Signaturen";
        alerts: "What providers and twotick reported", "Was Anbieter und twotick gemeldet haben";
        alerts_lead: "Newest first, with cause and remedy.", "Das Neueste zuerst, mit Bedeutung und Abhilfe.";
        no_alerts: "There are no alerts.", "Es wurde nichts gemeldet.";
        about: "About", "Betrifft";
        cause: "Cause", "Ursache";
        who_acts: "Who has to act", "Wer handelt";
        fix: "How to fix it", "Was hilft";
        evidence: "What was received", "Was empfangen wurde";
        evidence_lead: "The beginning of the webhook as it arrived. Its contents are not checked.", "Der Anfang der Sendung, wie sie kam. Darin kann alles stehen.";
        /// In place of evidence that was erased.
        removed: "It has been removed.", "Es wurde entfernt.";
        cannot_open: "It cannot be opened: another master key, or damaged.", "Es lässt sich nicht öffnen: anderer Hauptschlüssel oder beschädigt.";
        older: "Older", "Ältere";
        newest: "Back to the newest", "Zurück zu den neuesten";
        /// `{ago}`
        webhook_ago: "webhook {ago} ago", "Webhook vor {ago}";
        /// `{rate}`
        errors: "{rate} % errors", "{rate} % Fehler";
        /// `{live}`
        queued: "{live} in progress", "{live} laufen";
        /// `{live}`, `{waiting}`
        queued_waiting: "{live} in progress, {waiting} waiting for their channel", "{live} laufen, {waiting} warten auf ihren Kanal";
        /// `{millis}`
        late: "at most {millis} ms late", "höchstens {millis} ms zu spät";
        very_late: "more than 10 s late", "mehr als 10 s zu spät";
        /// `{room}`
        free: "{room} free", "{room} frei";
        clock_right: "right", "richtig";
        /// `{seconds}`
        clock_ahead: "{seconds} s ahead", "geht {seconds} s vor";
        /// `{seconds}`
        clock_behind: "{seconds} s behind", "geht {seconds} s nach";
        /// `{channel}`
        bound_channel: "{channel} does not work as it should.", "{channel} arbeitet nicht, wie es sollte.";
        bound_server: "The server does not work as it should.", "Der Server arbeitet nicht, wie er sollte.";
    }
    // With `{channel}` and the figures of the alarm.
    match alarm_phrase(&Alarm) {
        Alarm::WebhooksStopped { .. } => "{channel}: {sends} messages were sent in the last {ago}, and no webhook arrived.", "{channel}: {sends} Nachrichten gingen in den letzten {ago} hinaus, und kein Webhook kam zurück.";
        Alarm::StoreNotReady(Health::Full) => "The disk is full: no requests are accepted.", "Die Festplatte ist voll: es wird nichts mehr angenommen.";
        Alarm::StoreNotReady(Health::Stuck) => "The disk has not answered for more than 5 s.", "Die Festplatte antwortet seit mehr als 5 s nicht.";
        Alarm::StoreNotReady(Health::Closed | Health::Ready) => "The store is closed.", "Der Speicher ist geschlossen.";
        Alarm::BreakerOpen(_) => "{channel} refused our sender: the channel is paused and probed once a minute.", "{channel} hat unseren Absender abgelehnt: der Kanal ruht und wird einmal je Minute erprobt.";
        Alarm::SignaturesRefused { .. } => "{channel}: {times} webhooks with a wrong signature in 5 minutes.", "{channel}: {times} Webhooks mit falscher Signatur in 5 Minuten.";
        Alarm::ErrorRate { .. } => "{channel}: {share} % of the last {sends} requests failed.", "{channel}: {share} % der letzten {sends} Anfragen schlugen fehl.";
        Alarm::Late { .. } => "Deadlines are late: {late}.", "Fristen verspäten sich: {late}.";
        Alarm::LittleRoom { .. } => "The disk is nearly full: {room} left.", "Die Festplatte ist fast voll: noch {room}.";
        Alarm::ClockWrong { .. } => "The clock of this server is wrong: {off}.", "Die Uhr dieses Servers ist falsch: sie {off}.";
        Alarm::TemplatesNotApproved { .. } => "{count} templates are not approved at Meta; messages with them are refused.", "{count} Vorlagen sind bei Meta nicht freigegeben; Nachrichten damit werden abgelehnt.";
    }
    // How to fix what the alarm reports.
    match fix(&Alarm) {
        Alarm::WebhooksStopped { .. } => "Check that the provider still has the right webhook address, that it can reach it from outside (firewall, certificate, DNS), and that its subscription is active. Until then no delivery is known and every code also goes out by the next channel.", "Prüfen Sie, ob der Anbieter noch die richtige Webhook-Adresse hat, ob er sie von außen erreicht (Firewall, Zertifikat, DNS) und ob sein Abonnement aktiv ist. Bis dahin ist keine Zustellung bekannt, und jeder Code geht auch über den nächsten Kanal hinaus.";
        Alarm::StoreNotReady(_) => "Free disk space, or find out what blocks the disk; twotick then resumes by itself.", "Schaffen Sie Platz auf der Festplatte oder sehen Sie nach, was sie aufhält; twotick macht von selbst weiter.";
        Alarm::BreakerOpen(_) => "Check the newest alert of this channel below: account, number or token need attention. Until then, codes go out by the next channel.", "Sehen Sie sich unten die neueste Meldung dieses Kanals an: Konto, Nummer oder Token brauchen Aufmerksamkeit. Codes gehen so lange über den nächsten Kanal hinaus.";
        Alarm::SignaturesRefused { .. } => "Compare the app secret or report secret of the configuration with that of the provider. If they match, somebody else is trying to send webhooks.", "Vergleichen Sie das App-Geheimnis oder Berichtsgeheimnis der Konfiguration mit dem des Anbieters. Stimmen sie überein, versucht jemand anderes, Webhooks zu senden.";
        Alarm::ErrorRate { .. } => "Check the error codes in the list of verifications; each is explained there.", "Sehen Sie sich die Fehlercodes in der Liste der Verifizierungen an; jeder ist dort erklärt.";
        Alarm::Late { .. } => "The server is overloaded or its disk is slow. Check its load.", "Der Server ist überlastet, oder seine Festplatte ist langsam. Sehen Sie sich seine Last an.";
        Alarm::LittleRoom { .. } => "Free space on the disk of the data folder before it is full: then no requests are accepted.", "Schaffen Sie Platz auf der Festplatte des Datenordners, bevor sie voll ist: dann wird nichts mehr angenommen.";
        Alarm::ClockWrong { .. } => "Switch on time synchronisation (NTP). Expiries and deadlines are computed from this clock.", "Schalten Sie die Zeitsynchronisation (NTP) ein. Nach dieser Uhr richten sich Ablauf und Fristen.";
        Alarm::TemplatesNotApproved { .. } => "Check the templates in Meta’s business manager; the alerts below name them.", "Sehen Sie sich die Vorlagen im Business-Manager von Meta an; die Meldungen unten nennen sie.";
    }
}

impl Words {
    pub fn webhook_ago(&self, ago: &str) -> String {
        self.webhook_ago.replace("{ago}", ago)
    }

    pub fn errors(&self, rate: f64) -> String {
        self.errors.replace("{rate}", &percent(rate))
    }

    pub fn queued(&self, live: u64, waiting: u64) -> String {
        let phrase = if waiting == 0 { self.queued } else { self.queued_waiting };
        phrase.replace("{live}", &live.to_string()).replace("{waiting}", &waiting.to_string())
    }

    /// `seconds` is the upper bound of a histogram's bucket, so the text says "at most".
    pub fn lateness(&self, seconds: f64) -> String {
        if seconds.is_finite() {
            self.late.replace("{millis}", &format!("{:.0}", seconds * 1_000.0))
        } else {
            self.very_late.to_owned()
        }
    }

    pub fn room(&self, bytes: u64) -> String {
        self.free.replace("{room}", &size(bytes))
    }

    /// How far the clock is ahead, in seconds; behind if negative.
    pub fn ahead(&self, seconds: f64) -> String {
        let phrase = match seconds {
            right if right.abs() < 1.5 => self.clock_right,
            ahead if ahead > 0.0 => self.clock_ahead,
            _ => self.clock_behind,
        };
        phrase.replace("{seconds}", &format!("{:.0}", seconds.abs()))
    }

    pub fn alarm(&self, alarm: &Alarm, now: Timestamp) -> String {
        let channel = alarm.channel().map_or("", |channel| channel.as_str());
        let phrase = self.alarm_phrase(alarm).replace("{channel}", channel);
        match alarm {
            Alarm::WebhooksStopped { sends, since, .. } => phrase
                .replace("{sends}", &sends.to_string())
                .replace("{ago}", &ago(now.since(*since), self.lang)),
            Alarm::StoreNotReady(_) | Alarm::BreakerOpen(_) => phrase,
            Alarm::SignaturesRefused { times, .. } => phrase.replace("{times}", &times.to_string()),
            Alarm::ErrorRate { share, sends, .. } => {
                phrase.replace("{share}", &percent(*share)).replace("{sends}", &sends.to_string())
            }
            Alarm::Late { seconds } => phrase.replace("{late}", &self.lateness(*seconds)),
            Alarm::LittleRoom { bytes } => phrase.replace("{room}", &size(*bytes)),
            Alarm::ClockWrong { ahead } => phrase.replace("{off}", &self.ahead(*ahead)),
            Alarm::TemplatesNotApproved { count } => phrase.replace("{count}", &count.to_string()),
        }
    }

    /// For users who are bound to apps: without figures, which include other apps' traffic.
    pub fn bound_alarm(&self, alarm: &Alarm) -> String {
        match alarm.channel() {
            Some(channel) => self.bound_channel.replace("{channel}", channel.as_str()),
            None => self.bound_server.to_owned(),
        }
    }
}

/// A share in percent: `0`, `8`, `100`. A share above 0 is at least 1.
fn percent(share: f64) -> String {
    let percent = (share * 100.0).round();
    if share > 0.0 && percent < 1.0 { "1".to_owned() } else { format!("{percent:.0}") }
}

/// `480 MB`, `12 GB`, `3 TB`, in powers of ten like the sizes of disks.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        1_000_000_000..1_000_000_000_000 => format!("{} GB", bytes / 1_000_000_000),
        1_000_000_000_000.. => format!("{} TB", bytes / 1_000_000_000_000),
    }
}
