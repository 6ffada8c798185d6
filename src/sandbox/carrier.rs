//! An SMS carrier with a plain HTTP interface, and its delivery reports.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::handsets::{Channel, Happening, Number};
use super::journal::{Outcome, Request};
use super::player::Player;
use super::scenario::Status;
use super::twilio;
use crate::hex;

/// Ten concatenated SMS of 153 characters, the usual maximum of carriers.
pub(super) const TEXT_LIMIT: usize = 1_530;
/// Longest reference that is echoed.
const REFERENCE_LIMIT: usize = 512;

/// An accepted SMS.
pub(super) struct Sms {
    pub(super) id: String,
    pub(super) to: Number,
    pub(super) text: String,
    pub(super) reports: Reports,
}

/// Sender of the reports on an SMS.
pub(super) enum Reports {
    /// The carrier with the HTTP interface, which echoes this reference.
    OfCarrier(Option<String>),
    /// Twilio, if the request had a callback URL.
    OfTwilio(Option<twilio::Callback>),
}

/// A delivery report.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    pub(super) id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<&'a str>,
    pub(super) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Failure>,
    #[serde(serialize_with = "super::rfc3339")]
    pub(super) at: Timestamp,
}

#[derive(Debug, Serialize)]
pub(super) struct Failure {
    code: &'static str,
    title: &'static str,
}

/// The error of scenario 09.
pub(super) const UNREACHABLE: Failure =
    Failure { code: "unreachable", title: "The handset could not be reached" };

/// `POST /sms/send`
pub(super) async fn send(
    player: web::Data<Player>,
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    if bearer(&request).is_none_or(str::is_empty) {
        return HttpResponse::Unauthorized().insert_header((header::WWW_AUTHENTICATE, "Bearer")).json(
            json!({"error": {"code": "unauthorized", "title": "Authorization: Bearer TOKEN is missing"}}),
        );
    }
    let Some(room) = player.room() else {
        return HttpResponse::TooManyRequests()
            .insert_header((header::RETRY_AFTER, "1"))
            .json(json!({"error": {"code": "too_many_requests", "title": "Too many messages in progress"}}));
    };
    let (order, to) = match read(body) {
        Ok(read) => read,
        Err(title) => {
            return HttpResponse::BadRequest()
                .json(json!({"error": {"code": "invalid_request", "title": title}}));
        }
    };
    let id = format!("sms-{}", hex::encode(&player.fresh_id()[..10]));
    player.journal.write(Request {
        channel: Channel::Sms,
        id: Some(id.clone()),
        reference: order.reference.clone(),
        to: to.to_string(),
        outcome: Outcome::Accepted,
        at: super::now(),
    });
    if let Some(from) = order.from {
        player.handsets.note_sms_from(&to, from);
    }
    player.handsets.note(&to, Channel::Sms, Happening::Accepted);
    let answer = HttpResponse::Ok().json(json!({ "id": id }));
    player.play_sms(Sms { id, to, text: order.text, reports: Reports::OfCarrier(order.reference) }, room);
    answer
}

/// The token of `Authorization: Bearer TOKEN`.
pub(super) fn bearer(request: &HttpRequest) -> Option<&str> {
    let (scheme, token) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The code in an SMS: the first of its longest runs of 4 to 10 digits, else the first word of that length with a
/// digit.
pub(super) fn code_in(text: &str) -> Option<String> {
    let words =
        || text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| (4..=10).contains(&word.len()));
    let digits = words().filter(|word| word.bytes().all(|b| b.is_ascii_digit()));
    digits
        .reduce(|longest, word| if word.len() > longest.len() { word } else { longest })
        .or_else(|| words().find(|word| word.bytes().any(|b| b.is_ascii_digit())))
        .map(str::to_owned)
}

#[derive(Deserialize)]
struct Order {
    to: String,
    from: Option<String>,
    text: String,
    reference: Option<String>,
}

fn read(body: Result<Bytes, actix_web::Error>) -> Result<(Order, Number), String> {
    let body = body.map_err(|error| error.to_string())?;
    let order: Order = serde_json::from_slice(&body)
        .map_err(|error| format!("the body must be JSON with to, from, text and reference: {error}"))?;
    let to = Number::parse(&order.to).ok_or("to must be a phone number with country code")?;
    if order.text.is_empty() || order.text.chars().count() > TEXT_LIMIT {
        return Err(format!("text must have 1 to {TEXT_LIMIT} characters"));
    }
    if order.reference.as_ref().is_some_and(|reference| reference.len() > REFERENCE_LIMIT) {
        return Err(format!("reference must have at most {REFERENCE_LIMIT} bytes"));
    }
    if order.from.as_ref().is_some_and(|from| from.chars().count() > 20) {
        return Err("from must have at most 20 characters".to_owned());
    }
    Ok((order, to))
}

#[cfg(test)]
mod tests {
    use super::code_in;

    #[test]
    fn the_code_is_found_in_a_text() {
        let cases = [
            ("493817 is your Acme code. It expires in 10 minutes.", Some("493817")),
            ("Acme 2024: your code is 493817", Some("493817")),
            ("493817 ist Ihr Acme-Code. Er läuft in 10 Minuten ab.", Some("493817")),
            ("Use K7Q2 within 10 minutes", Some("K7Q2")),
            ("<#> 4938 is your code\nFA+9qCX9VSu", Some("4938")),
            ("no code here, 123", None),
            ("", None),
        ];
        for (text, code) in cases {
            assert_eq!(code_in(text).as_deref(), code, "{text}");
        }
    }
}
