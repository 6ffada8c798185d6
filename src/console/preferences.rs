//! Display preferences: language, theme and time zone, and their form.

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpResponse, post, web};
use jiff::tz::TimeZone;

use super::cookies::{self, CookieAge};
use super::posted::PostedForm;
use super::sign_in::safe_return;
use super::{Console, CurrentUser, Refusal, User};
use crate::language::Language;
use crate::verification::values::Timestamp;

#[derive(Clone, Debug)]
pub struct Preferences {
    pub language: Language,
    pub theme: Theme,
    pub zone: Zone,
    chosen: StoredPreferences,
}

/// The preferences in the cookie; `None` means the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredPreferences {
    pub theme: Option<Theme>,
    pub language: Option<Language>,
    /// `UTC` or an IANA name.
    pub zone: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// The operating system's preference.
    System,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }
}

/// The time zone for display.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    pub fn new(zone: TimeZone) -> Self {
        Self(zone)
    }

    /// Parses `UTC` or a known IANA name.
    pub fn parse(name: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-/".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_allowed) {
            return None;
        }
        TimeZone::get(name).ok().map(Self)
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    fn at(&self, instant: Timestamp) -> jiff::Zoned {
        let instant = jiff::Timestamp::from_millisecond(instant.as_millis());
        instant.unwrap_or(jiff::Timestamp::MAX).to_zoned(self.0.clone())
    }
}

impl Preferences {
    /// The preferences from the cookie, else from the user's configuration, else from the browser.
    pub fn of(console: &Console, headers: &HeaderMap, user: Option<&User>) -> Self {
        let cookie = cookies::read(console, headers, cookies::PREFERENCES);
        let chosen = cookie.map(StoredPreferences::parse).unwrap_or_default();
        let accepted = || headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let browser = || Language::parse(accepted().unwrap_or_default());
        let language = chosen.language.or_else(|| user?.language).unwrap_or_else(browser);
        let zone = chosen.zone.as_deref().and_then(Zone::parse);
        Self {
            language,
            theme: chosen.theme.unwrap_or(Theme::System),
            zone: zone.unwrap_or_else(|| Zone::new(console.time_zone.clone())),
            chosen,
        }
    }

    /// English, UTC.
    #[cfg(test)]
    pub fn plain() -> Self {
        let zone = Zone::new(TimeZone::UTC);
        Self { language: Language::English, theme: Theme::System, zone, chosen: StoredPreferences::default() }
    }

    pub fn chosen(&self) -> &StoredPreferences {
        &self.chosen
    }

    /// Formats as `22 Nov 2026 21:20:05` or `22.11.2026 21:20:05`.
    pub fn date_time(&self, instant: Timestamp) -> String {
        let form = match self.language {
            Language::English => "%-d %b %Y %H:%M:%S",
            Language::German => "%d.%m.%Y %H:%M:%S",
        };
        self.zone.at(instant).strftime(form).to_string()
    }

    /// Formats as `21:20:05`.
    pub fn clock(&self, instant: Timestamp) -> String {
        self.zone.at(instant).strftime("%H:%M:%S").to_string()
    }

    /// Formats as `21:20:05.250` or `21:20:05,250`.
    pub fn clock_with_millis(&self, instant: Timestamp) -> String {
        let form = match self.language {
            Language::English => "%H:%M:%S%.3f",
            Language::German => "%H:%M:%S",
        };
        let clock = self.zone.at(instant).strftime(form).to_string();
        match self.language {
            Language::English => clock,
            Language::German => format!("{clock},{:03}", instant.as_millis().rem_euclid(1_000)),
        }
    }

    /// Formats for `<input type="datetime-local">`: `2026-11-22T21:20` in the zone.
    pub fn input(&self, instant: Timestamp) -> String {
        self.zone.at(instant).strftime("%Y-%m-%dT%H:%M").to_string()
    }

    /// Parses the value of an `<input type="datetime-local">` in the zone.
    pub fn instant(&self, input: &str) -> Option<Timestamp> {
        let local: jiff::civil::DateTime = input.parse().ok()?;
        let instant = self.zone.0.to_timestamp(local).ok()?;
        Some(Timestamp::from_millis(instant.as_millisecond()))
    }
}

impl StoredPreferences {
    /// Formats as `dark.de.Europe/Berlin`, with `-` for defaults.
    pub fn to_text(&self) -> String {
        let theme = self.theme.map_or("-", Theme::as_str);
        let language = self.language.map_or("-", Language::as_str);
        format!("{theme}.{language}.{}", self.zone.as_deref().unwrap_or("-"))
    }

    /// Invalid parts are defaults.
    fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '.');
        Self {
            theme: parts.next().and_then(Theme::parse),
            language: parts.next().and_then(language),
            zone: parts.next().and_then(Zone::parse).map(|zone| zone.name().to_owned()),
        }
    }
}

/// Parses `en` or `de`.
pub fn language(text: &str) -> Option<Language> {
    [Language::English, Language::German].into_iter().find(|language| language.as_str() == text)
}

#[post("/preferences")]
pub async fn change(
    console: web::Data<Console>,
    signed: CurrentUser,
    posted: PostedForm,
) -> Result<HttpResponse, Refusal> {
    let mut choice = signed.preferences.chosen().clone();
    // A form may contain only one of them.
    if let Some(theme) = Theme::parse(posted.text("theme")) {
        choice.theme = Some(theme);
    }
    if let Some(language) = language(posted.text("language")) {
        choice.language = Some(language);
    }
    if let Some(zone) = Zone::parse(posted.text("zone")) {
        choice.zone = Some(zone.name().to_owned());
    }
    Ok(HttpResponse::SeeOther()
        .insert_header((
            header::SET_COOKIE,
            cookies::write(&console, cookies::PREFERENCES, &choice.to_text(), CookieAge::Long),
        ))
        .insert_header((header::LOCATION, safe_return(posted.text("return"))))
        .finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_795_011_200_250);

    fn preferences(language: Language, zone: &str) -> Preferences {
        let zone = Zone::parse(zone).unwrap();
        Preferences { language, theme: Theme::System, zone, chosen: StoredPreferences::default() }
    }

    #[test]
    fn times_are_written_as_the_language_does_in_the_zone() {
        let english = preferences(Language::English, "UTC");
        let german = preferences(Language::German, "Europe/Berlin");
        assert_eq!(english.date_time(AT), "18 Nov 2026 14:13:20");
        assert_eq!(german.date_time(AT), "18.11.2026 15:13:20");
        assert_eq!(english.clock_with_millis(AT), "14:13:20.250");
        assert_eq!(german.clock_with_millis(AT), "15:13:20,250");
        assert_eq!(german.clock(AT), "15:13:20");
    }

    #[test]
    fn input_fields_are_in_the_users_zone() {
        let german = preferences(Language::German, "Europe/Berlin");
        assert_eq!(german.input(AT), "2026-11-18T15:13");
        assert_eq!(german.instant("2026-11-18T15:13").unwrap().to_string(), "2026-11-18T14:13:00.000Z");
        assert_eq!(german.instant("yesterday"), None);
    }

    #[test]
    fn preferences_round_trip_and_invalid_ones_are_ignored() {
        let choice = StoredPreferences {
            theme: Some(Theme::Dark),
            language: Some(Language::German),
            zone: Some("Europe/Berlin".to_owned()),
        };
        assert_eq!(StoredPreferences::parse(&choice.to_text()), choice);
        assert_eq!(
            StoredPreferences::parse(&StoredPreferences::default().to_text()),
            StoredPreferences::default()
        );
        for nonsense in ["", "....", "blue.fr.Mars/Olympus", "-.-.../../etc/passwd", "-.-.\u{202e}"] {
            assert_eq!(StoredPreferences::parse(nonsense), StoredPreferences::default(), "{nonsense}");
        }
    }
}
