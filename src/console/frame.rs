//! The frame of every page: head, navigation, search box, preferences, health strip.

use std::borrow::Borrow;

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::preferences::{Preferences, Theme};
use super::strip::Strip;
use super::words::frame::Words;
use super::{Action, Console, CurrentUser, Refusal, assets};
use crate::language::Language;
use crate::verification::values::Timestamp;

/// The field `frame` of a page's struct, used by `base.html`.
pub struct Frame {
    pub words: &'static Words,
    pub preferences: Preferences,
    /// The window title, without the suffix "twotick".
    pub title: String,
    pub tab: Tab,
    /// `None` on pages without sign-in.
    pub signed: Option<CurrentUser>,
    /// The content of the search box.
    pub searched: String,
    pub strip: Option<Strip>,
    /// Path and query of the page, for returning to it.
    pub path: String,
    configured_zone: String,
}

/// The selected entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Verifications,
    Conversations,
    Alerts,
    Audit,
    None,
}

impl Frame {
    /// The frame for a signed-in user.
    pub fn of(
        console: &Console,
        request: &HttpRequest,
        signed: &CurrentUser,
        tab: Tab,
        title: impl Into<String>,
    ) -> Self {
        Self::new(console, request, Some(signed), signed.preferences.clone(), tab, title)
    }

    pub fn new(
        console: &Console,
        request: &HttpRequest,
        signed: Option<&CurrentUser>,
        preferences: Preferences,
        tab: Tab,
        title: impl Into<String>,
    ) -> Self {
        let path = request.uri().path_and_query().map_or("/console", |path| path.as_str());
        // A refused form has no page to return to.
        let path = if request.method().is_safe() { path } else { "/console" };
        Self {
            words: Words::of(preferences.language),
            strip: signed.map(|signed| Strip::now(console, signed)),
            title: title.into(),
            tab,
            signed: signed.cloned(),
            searched: String::new(),
            path: super::address::without_numbers(path),
            configured_zone: super::preferences::Zone::new(console.time_zone.clone()).name().to_owned(),
            preferences,
        }
    }

    /// The URL of an asset.
    pub fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    pub fn language(&self) -> &'static str {
        self.preferences.language.as_str()
    }

    /// A `<time>` element with date and time in the user's zone and RFC 3339 as tooltip; use as `{{ frame.time(at)|safe
    /// }}`.
    pub fn time(&self, at: impl Borrow<Timestamp>) -> String {
        let at = *at.borrow();
        format!("<time datetime=\"{at}\" title=\"{at}\">{}</time>", self.preferences.date_time(at))
    }

    /// Like [`Frame::time`], with only the time of day in milliseconds.
    pub fn clock(&self, at: impl Borrow<Timestamp>) -> String {
        let at = *at.borrow();
        format!("<time datetime=\"{at}\" title=\"{at}\">{}</time>", self.preferences.clock_with_millis(at))
    }

    pub fn links(&self) -> Vec<Link> {
        let Some(signed) = &self.signed else { return Vec::new() };
        let words = self.words;
        let all = [
            (Tab::Verifications, "/console", words.verifications, None),
            (
                Tab::Conversations,
                "/console/conversations",
                words.conversations,
                Some(Action::ReadConversations),
            ),
            (Tab::Alerts, "/console/alerts", words.alerts, Some(Action::ReadAlerts)),
            (Tab::Audit, "/console/audit", words.audit, Some(Action::ReadAudit)),
        ];
        let open = all.into_iter().filter(|(.., needs)| needs.is_none_or(|action| signed.may(action)));
        open.map(|(tab, url, label, _)| Link { url, label, is_here: tab == self.tab }).collect()
    }

    pub fn role(&self) -> &'static str {
        self.signed.as_ref().map_or("", |signed| self.words.role(signed.role))
    }

    pub fn languages(&self) -> [(Language, bool); 2] {
        Language::ALL.map(|language| (language, language == self.preferences.language))
    }

    pub fn themes(&self) -> [(&'static str, &'static str, bool); 3] {
        Theme::ALL.map(|theme| (theme.as_str(), self.words.theme(theme), theme == self.preferences.theme))
    }

    pub fn zone(&self) -> &str {
        self.preferences.zone.name()
    }

    /// The choices without JavaScript; a script adds the browser's zone.
    pub fn zones(&self) -> Vec<&str> {
        let mut zones = vec!["UTC"];
        for zone in [&*self.configured_zone, self.zone()] {
            if !zones.contains(&zone) {
                zones.push(zone);
            }
        }
        zones
    }
}

pub struct Link {
    pub url: &'static str,
    pub label: &'static str,
    pub is_here: bool,
}

/// Renders a page as a response.
pub fn page(page: &impl Template) -> Result<HttpResponse, Refusal> {
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page.render()?))
}
