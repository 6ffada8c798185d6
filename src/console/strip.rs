//! The health strip on every page: shows whether codes are sent and webhooks arrive.

use actix_web::{HttpResponse, get, web};
use askama::Template;

use super::spans::ago;
use super::words::health::Words;
use super::{BackgroundUser, Console, CurrentUser, Refusal};
use crate::health::{Alarm, Breaker, Vitals};
use crate::language::Language;
use crate::verification::values::Timestamp;

#[derive(Template)]
#[template(path = "health.html")]
pub struct Strip {
    words: &'static Words,
    /// The worst alarm.
    alarm: Option<ShownAlarm>,
    more_alarms: usize,
    items: Vec<StripItem>,
}

/// An alarm in the user's language.
pub struct ShownAlarm {
    pub class: &'static str,
    pub text: String,
    pub fix: &'static str,
}

struct StripItem {
    class: &'static str,
    icon: &'static str,
    name: String,
    value: String,
    /// Set if the value is an age.
    at: Option<Timestamp>,
    /// Hidden on small screens, because it is normal.
    is_calm: bool,
}

impl Strip {
    /// The state at the last sample.
    pub fn now(console: &Console, signed: &CurrentUser) -> Self {
        Self::of(
            &console.monitor.vitals(),
            console.clock.now(),
            signed.preferences.language,
            Visibility::of(signed),
        )
    }

    fn of(vitals: &Vitals, now: Timestamp, language: Language, visibility: Visibility) -> Self {
        let words = Words::of(language);
        let alarms = shown(&vitals.alarms, now, language, visibility);
        let more_alarms = alarms.len().saturating_sub(1);
        let alarm = alarms.into_iter().next();
        Self { words, alarm, more_alarms, items: items(vitals, now, language, words, visibility) }
    }
}

/// The strip alone; a script replaces it periodically.
#[get("/health")]
pub async fn fragment(
    console: web::Data<Console>,
    watching: BackgroundUser,
) -> Result<HttpResponse, Refusal> {
    let strip = Strip::now(&console, &watching.0);
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(strip.render()?))
}

/// The part of the service's state that a user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Full,
    /// For users restricted to apps: whether something is wrong, without figures that include other apps' traffic.
    AppsOnly,
}

impl Visibility {
    pub fn of(signed: &CurrentUser) -> Self {
        if signed.apps.is_some() { Self::AppsOnly } else { Self::Full }
    }
}

/// All alarms in the user's language, the worst first.
pub fn shown(
    alarms: &[Alarm],
    now: Timestamp,
    language: Language,
    visibility: Visibility,
) -> Vec<ShownAlarm> {
    let words = Words::of(language);
    let shown = |alarm: &Alarm| ShownAlarm {
        class: if alarm.is_severe() { "bad" } else { "waiting" },
        text: match visibility {
            Visibility::Full => words.alarm(alarm, now),
            Visibility::AppsOnly => words.bound_alarm(alarm),
        },
        fix: match visibility {
            Visibility::Full => words.fix(alarm),
            Visibility::AppsOnly => words.bound_fix,
        },
    };
    alarms.iter().map(shown).collect()
}

fn items(
    vitals: &Vitals,
    now: Timestamp,
    language: Language,
    words: &'static Words,
    visibility: Visibility,
) -> Vec<StripItem> {
    let mut items = Vec::new();
    for channel in &vitals.channels {
        let mut alarms =
            vitals.alarms.iter().filter(|alarm| alarm.channel() == Some(&channel.name)).peekable();
        let is_fine = alarms.peek().is_none() && channel.is_fine();
        let (class, icon) = match (is_fine, alarms.any(Alarm::is_severe)) {
            (true, _) => ("good", "i-good"),
            (false, true) => ("bad", "i-trouble"),
            (false, false) => ("waiting", "i-trouble"),
        };
        let mut value = match channel.last_webhook {
            Some(at) => words.webhook_ago(&ago(now.since(at), language)),
            None => words.no_webhook.to_owned(),
        };
        if let Some(rate) = channel.error_rate.filter(|_| visibility == Visibility::Full) {
            value.push_str(&format!(", {}", words.errors(rate)));
        }
        if channel.signatures_refused > 0 && visibility == Visibility::Full {
            value.push_str(&format!(", {} {}", channel.signatures_refused, words.signatures_refused));
        }
        match channel.breaker {
            Breaker::Closed => {}
            Breaker::Open => value.push_str(&format!(", {}", words.breaker_open)),
        }
        let name = channel.name.to_string();
        items.push(StripItem { class, icon, name, value, at: channel.last_webhook, is_calm: false });
    }
    if visibility == Visibility::AppsOnly {
        return items;
    }
    let mut calm = |name: &str, value: String, alarming: fn(&Alarm) -> bool| {
        let is_calm = !vitals.alarms.iter().any(alarming);
        let (class, icon) = if is_calm { ("", "") } else { ("bad", "i-trouble") };
        items.push(StripItem { class, icon, name: name.to_owned(), value, at: None, is_calm });
    };
    calm(words.queue, words.queued(vitals.live.unwrap_or(0), vitals.waiting), |_| false);
    let late = vitals.lateness_p99.map_or_else(|| words.none.to_owned(), |late| words.lateness(late));
    calm(words.deadlines, late, |alarm| matches!(alarm, Alarm::Late { .. }));
    let room = vitals.disk_free.map_or_else(|| words.unknown.to_owned(), |free| words.room(free));
    calm(words.disk, room, |alarm| matches!(alarm, Alarm::LittleRoom { .. } | Alarm::StoreNotReady(_)));
    let ahead = vitals.clock_ahead.map_or_else(|| words.unknown.to_owned(), |ahead| words.ahead(ahead));
    calm(words.clock, ahead, |alarm| matches!(alarm, Alarm::ClockWrong { .. }));
    items
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::health::ChannelVitals;
    use crate::store::Health;
    use crate::verification::values::ChannelName;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + seconds * 1_000)
    }

    fn vitals(alarms: Vec<Alarm>) -> Vitals {
        let channel = ChannelVitals {
            name: ChannelName::new("whatsapp"),
            last_webhook: Some(at(0)),
            webhooks: 4,
            signatures_refused: 2,
            breaker: Breaker::Open,
            sends: 40,
            failed: 1,
            unreached: 0,
            error_rate: Some(0.004),
        };
        Vitals {
            channels: vec![channel],
            store: Health::Ready,
            live: Some(12),
            waiting: 3,
            lateness_p99: Some(0.005),
            disk_free: Some(46_000_000_000),
            clock_ahead: Some(-7.4),
            alarms,
        }
    }

    fn rendered(vitals: &Vitals, language: Language) -> String {
        Strip::of(vitals, at(25), language, Visibility::Full).render().unwrap()
    }

    #[test]
    fn the_strip_shows_the_state_in_both_languages() {
        let english = rendered(&vitals(Vec::new()), Language::English);
        for part in [
            "webhook 25 s ago, 1 % errors, 2 wrongly signed, paused",
            "12 in progress, 3 waiting for their channel",
            "at most 5 ms late",
            "46 GB free",
            "7 s behind",
        ] {
            assert!(english.contains(part), "{part}: {english}");
        }
        assert!(!english.contains("class=\"alarm"), "{english}");
        let german = rendered(&vitals(Vec::new()), Language::German);
        assert!(german.contains("Webhook vor 25 s, 1 % Fehler, 2 falsch signiert, ruht"), "{german}");
    }

    #[test]
    fn bad_figures_have_no_check_mark() {
        let good = |rate| ChannelVitals {
            signatures_refused: 0,
            breaker: Breaker::Closed,
            error_rate: Some(rate),
            ..vitals(Vec::new()).channels.remove(0)
        };
        for (rate, class) in
            [(0.0, "good"), (0.094, "good"), (0.096, "waiting"), (0.29, "waiting"), (1.0, "waiting")]
        {
            let vitals = Vitals { channels: vec![good(rate)], ..vitals(Vec::new()) };
            let items =
                items(&vitals, at(0), Language::English, Words::of(Language::English), Visibility::Full);
            assert_eq!(items[0].class, class, "{}", items[0].value);
        }
        let alarm = |share| Alarm::ErrorRate { channel: ChannelName::new("whatsapp"), share, sends: 20 };
        for (share, class) in [(0.29, "waiting"), (0.75, "bad")] {
            let vitals = Vitals { channels: vec![good(share)], ..vitals(vec![alarm(share)]) };
            let items =
                items(&vitals, at(0), Language::English, Words::of(Language::English), Visibility::Full);
            assert_eq!(items[0].class, class);
        }
    }

    #[test]
    fn restricted_users_see_alarms_without_figures() {
        let alarm = Alarm::ErrorRate { channel: ChannelName::new("whatsapp"), share: 0.75, sends: 4_711 };
        let vitals = vitals(vec![alarm]);
        for language in Language::ALL {
            let strip = Strip::of(&vitals, at(25), language, Visibility::AppsOnly).render().unwrap();
            assert!(strip.contains("whatsapp") && strip.contains("alarm bad"), "{strip}");
            for figure in ["4711", "75", "12 ", " 3 ", "46 GB", "1 %"] {
                assert!(!strip.contains(figure), "{figure}: {strip}");
            }
        }
    }

    #[test]
    fn the_worst_alarm_is_shown_and_the_others_are_counted() {
        let stopped = Alarm::WebhooksStopped {
            channel: ChannelName::new("whatsapp"),
            sends: 5,
            since: at(0) + Duration::from_secs(1),
        };
        let shown =
            rendered(&vitals(vec![stopped, Alarm::LittleRoom { bytes: 1_000_000 }]), Language::English);
        assert!(shown.contains("class=\"alarm bad\""), "{shown}");
        assert!(
            shown.contains("whatsapp: 5 messages were sent in the last 24 s, and no webhook arrived."),
            "{shown}"
        );
        assert!(shown.contains("(and more: 1)"), "{shown}");
    }

    #[test]
    fn every_alarm_has_a_complete_text() {
        let channel = || ChannelName::new("sms");
        let alarms = [
            Alarm::WebhooksStopped { channel: channel(), sends: 5, since: at(0) },
            Alarm::StoreNotReady(Health::Full),
            Alarm::StoreNotReady(Health::Stuck),
            Alarm::StoreNotReady(Health::Closed),
            Alarm::BreakerOpen(channel()),
            Alarm::SignaturesRefused { channel: channel(), times: 2, fitting: 0 },
            Alarm::ErrorRate { channel: channel(), share: 0.75, sends: 20 },
            Alarm::Late { seconds: f64::INFINITY },
            Alarm::LittleRoom { bytes: 4_000_000 },
            Alarm::ClockWrong { ahead: 9.0 },
            Alarm::TemplatesNotApproved { count: 2 },
        ];
        for language in Language::ALL {
            for alarm in &alarms {
                assert!(crate::explain::explain(alarm.code()).is_some(), "{}", alarm.code());
            }
            for alarm in [Visibility::Full, Visibility::AppsOnly]
                .into_iter()
                .flat_map(|visibility| shown(&alarms, at(90), language, visibility))
            {
                assert!(!alarm.text.contains(['{', '}']) && alarm.text.ends_with('.'), "{}", alarm.text);
                assert!(alarm.fix.len() > 20, "{}", alarm.text);
            }
        }
    }
}
