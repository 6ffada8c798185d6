//! The alerts page: the current state, and each alert with its meaning and remedy.

use actix_web::{HttpRequest, HttpResponse, get, web};
use askama::Template;

use super::plain::plain;
use super::strip::{ShownAlarm, Visibility, shown};
use super::words::health::Words;
use super::{Action, Console, CurrentUser, Frame, Refusal, Tab};
use crate::explain::{self, Text};
use crate::health::{Breaker, ChannelVitals};
use crate::hex;
use crate::store::{self, LogPosition};
use crate::vault::CannotOpen;
use crate::vault::webhook::evidence_place;
use crate::verification::values::{ChannelName, Timestamp};

const ALERTS_PER_PAGE: usize = 30;

#[derive(Template)]
#[template(path = "alerts.html")]
struct Page {
    frame: Frame,
    words: &'static Words,
    alarms: Vec<ShownAlarm>,
    is_fine: bool,
    is_bound: bool,
    channels: Vec<ChannelRow>,
    alerts: Vec<AlertCard>,
    is_further: bool,
    next: Option<String>,
}

struct ChannelRow {
    name: ChannelName,
    last_webhook: Option<Timestamp>,
    sends: u64,
    failed: u64,
    much_fails: bool,
    unreached: u64,
    signatures_refused: u64,
    is_open: bool,
}

struct AlertCard {
    at: Timestamp,
    channel: ChannelName,
    code: String,
    heading: String,
    /// The provider's text.
    title: String,
    subject: Option<String>,
    explained: Option<Explained>,
    evidence: Option<String>,
}

struct Explained {
    text: Text,
    who: &'static str,
}

#[get("/alerts")]
pub async fn page(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: CurrentUser,
) -> Result<HttpResponse, Refusal> {
    signed.require(Action::ReadAlerts)?;
    let before = position(request.query_string())?;
    // Provider alerts concern an account or template shared by all apps, and an unreadable delivery may contain
    // anyone's data. Users restricted to apps see neither.
    let visibility = Visibility::of(&signed);
    let kept = match visibility {
        Visibility::Full => console.store.alerts(ALERTS_PER_PAGE, before).await?,
        Visibility::AppsOnly => store::Page { items: Vec::new(), next: None },
    };
    let language = signed.preferences.language;
    let words = Words::of(language);
    let vitals = console.monitor.vitals();
    super::page(&Page {
        frame: Frame::of(&console, &request, &signed, Tab::Alerts, words.title),
        words,
        alarms: shown(&vitals.alarms, console.clock.now(), language, visibility),
        is_fine: vitals.channels.iter().all(ChannelVitals::is_fine),
        is_bound: visibility == Visibility::AppsOnly,
        channels: vitals
            .channels
            .iter()
            .filter(|_| visibility == Visibility::Full)
            .map(ChannelRow::of)
            .collect(),
        alerts: kept.items.into_iter().map(|alert| AlertCard::of(&console, &signed, alert)).collect(),
        is_further: before.is_some(),
        next: kept.next.map(|next| hex::encode(&next)),
    })
}

/// Parses `before=` with a hexadecimal position, or an empty query.
pub fn position(query: &str) -> Result<Option<LogPosition>, Refusal> {
    if query.is_empty() {
        return Ok(None);
    }
    query.strip_prefix("before=").and_then(sixteen_bytes).map(Some).ok_or(Refusal::BadRequest)
}

/// Parses 32 lower-case hexadecimal digits.
pub fn sixteen_bytes(text: &str) -> Option<[u8; 16]> {
    hex::decode_exactly(text.as_bytes()).filter(|bytes| hex::encode(bytes) == text)
}

impl ChannelRow {
    fn of(channel: &ChannelVitals) -> Self {
        Self {
            name: channel.name.clone(),
            last_webhook: channel.last_webhook,
            sends: channel.sends,
            failed: channel.failed,
            much_fails: channel.much_fails(),
            unreached: channel.unreached,
            signatures_refused: channel.signatures_refused,
            is_open: channel.breaker == Breaker::Open,
        }
    }
}

impl AlertCard {
    fn of(console: &Console, signed: &CurrentUser, alert: store::Alert) -> Self {
        let language = signed.preferences.language;
        let explained = explain::explain(&alert.code).map(|explanation| Explained {
            text: explanation.text(language),
            who: explanation.who.as_str(language),
        });
        let open = |sealed| match console.vault.open(&evidence_place(&alert.channel), sealed) {
            Ok(clear) => plain(&String::from_utf8_lossy(&clear)),
            Err(CannotOpen::Removed) => Words::of(language).removed.to_owned(),
            Err(CannotOpen::Damaged) => Words::of(language).cannot_open.to_owned(),
        };
        Self {
            at: alert.at,
            heading: explained
                .as_ref()
                .map_or_else(|| plain(&alert.code), |explained| explained.text.title.to_owned()),
            evidence: alert.evidence.as_ref().map(open),
            channel: alert.channel,
            code: plain(&alert.code),
            title: plain(&alert.title),
            subject: alert.subject.as_deref().map(plain),
            explained,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_has_one_form() {
        let text = "00".repeat(15) + "ff";
        assert_eq!(sixteen_bytes(&text).map(|bytes| bytes[15]), Some(255));
        assert_eq!(position("").unwrap(), None);
        assert!(position(&format!("before={text}")).unwrap().is_some());
        for wrong in [
            "before=",
            "before=ff",
            "after=00",
            &format!("before={}", text.to_uppercase()),
            &format!("before=+{}", &text[1..]),
        ] {
            assert_eq!(position(wrong).unwrap_err(), Refusal::BadRequest, "{wrong}");
        }
    }
}
