//! The part of the Graph API that authentication templates need, and Meta's webhooks about them. Formats and error
//! codes: Meta, Cloud API reference and error codes pages, November 2025 to May 2026.

use std::fmt::Write;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::handsets::{Channel, Happening, Number};
use super::journal::{Outcome, Request};
use super::player::Player;
use super::scenario::{SendAnswer, Status};
use crate::hex;

/// Account and number in the webhooks, as in the commented configuration and Meta's samples.
const BUSINESS_ACCOUNT_ID: &str = "102290129340398";
const BUSINESS_NUMBER: &str = "15550783881";

/// Meta, authentication templates: a code has at most 15 characters.
const CODE_LIMIT: usize = 15;
/// Meta, Cloud API reference: `biz_opaque_callback_data` has at most 512 characters.
const CALLBACK_LIMIT: usize = 512;
/// Meta, template reference: a template's name has at most 512 characters.
const NAME_LIMIT: usize = 512;

/// An accepted authentication message.
pub(super) struct TemplateMessage {
    pub(super) wamid: String,
    pub(super) phone_number_id: String,
    pub(super) to: Number,
    pub(super) code: String,
    pub(super) text: String,
    pub(super) callback: Option<String>,
    pub(super) accepted_at: Timestamp,
}

/// `POST /{version}/{phone_number_id}/messages`
pub(super) async fn send(
    player: web::Data<Player>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let (_, phone_number_id) = path.into_inner();
    match accept(&player, phone_number_id, &request, body) {
        Ok(response) => response,
        Err(refusal) => refusal.answer(&player),
    }
}

#[derive(Deserialize)]
pub(super) struct TemplateQuery {
    name: Option<String>,
    language: Option<String>,
}

/// `GET /{version}/{business_account_id}/message_templates?name=…`: every template exists and is approved.
pub(super) async fn templates(
    player: web::Data<Player>,
    query: web::Query<TemplateQuery>,
    request: HttpRequest,
) -> HttpResponse {
    if !has_bearer(&request) {
        return Refusal::no_token().answer(&player);
    }
    let languages = match &query.language {
        Some(language) => vec![language.as_str()],
        None => vec!["en", "en_US", "en_GB", "de", "es", "fr", "pt_BR"],
    };
    let data: Vec<Value> = match &query.name {
        Some(name) if is_template_name(name) => {
            languages.iter().zip(1_u64..).map(|(language, n)| template(name, language, n)).collect()
        }
        Some(_) | None => Vec::new(),
    };
    HttpResponse::Ok()
        .json(json!({"data": data, "paging": {"cursors": {"before": "MAZDZD", "after": "MAZDZD"}}}))
}

/// Unknown paths: Meta's error below a version, a plain one elsewhere.
pub(super) async fn unknown_path(player: web::Data<Player>, request: HttpRequest) -> HttpResponse {
    let path: String = request.path().chars().take(80).collect();
    if path.strip_prefix("/v").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        let message = format!("Unknown path components: {path}");
        return Refusal::new(StatusCode::BAD_REQUEST, 2500, message).answer(&player);
    }
    HttpResponse::NotFound().json(json!({
        "error": "not found",
        "try": ["GET /", "GET /handsets", "GET /handsets/{number}", "DELETE /handsets", "GET /journal",
                "POST /{version}/{phone_number_id}/messages", "POST /sms/send"],
    }))
}

fn accept(
    player: &web::Data<Player>,
    phone_number_id: String,
    request: &HttpRequest,
    body: Result<Bytes, actix_web::Error>,
) -> Result<HttpResponse, Refusal> {
    if !has_bearer(request) {
        return Err(Refusal::no_token());
    }
    if phone_number_id.is_empty() || !phone_number_id.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::unknown_object(&phone_number_id));
    }
    let body = body.map_err(|error| Refusal::unreadable(&error.to_string()))?;
    let template = read(&body)?;
    let room = player.room().ok_or_else(Refusal::rate_limit)?;

    let message = TemplateMessage {
        wamid: wamid(&template.to, &player.fresh_id()),
        phone_number_id,
        text: template.text(),
        to: template.to,
        code: template.code,
        callback: template.callback,
        accepted_at: super::now(),
    };
    let answer = message.to.scenario().answer;
    let outage = answer == SendAnswer::UnavailableAtFirst && player.handsets.take_outage(&message.to);
    let (outcome, happening) = match answer {
        SendAnswer::Undeliverable => (Outcome::Refused, Happening::Refused),
        SendAnswer::UnavailableAtFirst if outage => (Outcome::Unavailable, Happening::Unavailable),
        SendAnswer::AcceptedUnheard => (Outcome::Unheard, Happening::AcceptedUnheard),
        SendAnswer::Accepted | SendAnswer::UnavailableAtFirst => (Outcome::Accepted, Happening::Accepted),
    };
    let accepted = matches!(outcome, Outcome::Accepted | Outcome::Unheard);
    player.journal.write(Request {
        channel: Channel::Whatsapp,
        id: accepted.then(|| message.wamid.clone()),
        reference: message.callback.clone(),
        to: message.to.to_string(),
        outcome,
        at: message.accepted_at,
    });
    player.handsets.note(&message.to, Channel::Whatsapp, happening);
    let reply = json!({
        "messaging_product": "whatsapp",
        "contacts": [{"input": template.input, "wa_id": message.to.digits()}],
        "messages": [{"id": message.wamid, "message_status": "accepted"}],
    });
    match outcome {
        Outcome::Refused => Err(Refusal::undeliverable()),
        Outcome::Unavailable => Err(Refusal::unavailable()),
        Outcome::Accepted => {
            player.play_whatsapp(message, room);
            Ok(HttpResponse::Ok().json(reply))
        }
        Outcome::Unheard => {
            player.play_whatsapp(message, room);
            Ok(cut_off(&reply))
        }
    }
}

/// A truncated answer: half of the announced bytes, then the connection closes.
pub(super) fn cut_off(reply: &Value) -> HttpResponse {
    let whole = reply.to_string().into_bytes();
    let length = whole.len() as u64;
    let half = Bytes::from(whole).slice(..length as usize / 2);
    let body = stream::unfold(Some(half), |rest| async {
        match rest {
            Some(half) => Some((Ok::<Bytes, std::io::Error>(half), None)),
            None => {
                // Lets the server send the first half.
                tokio::task::yield_now().await;
                None
            }
        }
    });
    HttpResponse::Ok().content_type("application/json").body(SizedStream::new(length, body))
}

// ── validation of a send ──────────────────────────────────────────────────────────────────────────────────────

struct TemplateSend {
    input: String,
    to: Number,
    code: String,
    language: String,
    callback: Option<String>,
}

impl TemplateSend {
    /// Meta's fixed text of an authentication template with the security line.
    fn text(&self) -> String {
        let code = &self.code;
        if self.language == "de" {
            return format!(
                "*{code}* ist dein Verifizierungscode. Teile diesen Code aus Sicherheitsgr\u{fc}nden nicht."
            );
        }
        format!("*{code}* is your verification code. For your security, do not share this code.")
    }
}

fn read(body: &[u8]) -> Result<TemplateSend, Refusal> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::unreadable(&format!("the body is not JSON: {error}")))?;
    if text(&body, "/messaging_product")? != "whatsapp" {
        return Err(Refusal::parameter("Param messaging_product must be one of {WHATSAPP}"));
    }
    if !matches!(body.get("recipient_type").map(Value::as_str), None | Some(Some("individual"))) {
        return Err(Refusal::parameter(
            "Param recipient_type must be one of {INDIVIDUAL} for an authentication template",
        ));
    }
    if text(&body, "/type")? != "template" {
        return Err(Refusal::parameter(
            "Param type must be one of {TEMPLATE}: this stand-in supports templates only",
        ));
    }
    let input = text(&body, "/to")?;
    let to =
        Number::parse(input).ok_or_else(|| Refusal::value("to: must be a phone number with country code"))?;
    let name = text(&body, "/template/name")?;
    let language = text(&body, "/template/language/code")?;
    if !is_template_name(name) {
        return Err(Refusal::no_template(name, language));
    }
    Ok(TemplateSend {
        input: input.to_owned(),
        to,
        code: code(&body)?.to_owned(),
        language: language.to_owned(),
        callback: callback(&body)?,
    })
}

/// The code, which must be the same in body and button.
fn code(body: &Value) -> Result<&str, Refusal> {
    let components = body.pointer("/template/components").and_then(Value::as_array);
    let component = |kind: &str| {
        components
            .into_iter()
            .flatten()
            .find(|c| c["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(kind)))
    };
    let in_body = match component("body") {
        Some(body) => only_parameter(body, "body")?,
        None => return Err(Refusal::count("body", 0)),
    };
    let button = component("button")
        .ok_or_else(|| Refusal::missing("buttons: Button at index 0 of type Url requires a parameter"))?;
    if !button["sub_type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("url")) {
        return Err(Refusal::format("button: sub_type must be url, also for a copy-code button"));
    }
    if button["index"].as_str() != Some("0") && button["index"].as_u64() != Some(0) {
        return Err(Refusal::value("button: index must be 0"));
    }
    let in_button = only_parameter(button, "button")?;
    if in_body != in_button {
        return Err(Refusal::value("the code must be the same in the body and in the button"));
    }
    if in_body.is_empty() {
        return Err(Refusal::missing("body: the text of the parameter is empty"));
    }
    if in_body.chars().count() > CODE_LIMIT || in_body.chars().any(char::is_control) {
        return Err(Refusal::content(
            "the code of an authentication template has at most 15 characters, all visible",
        ));
    }
    Ok(in_body)
}

fn only_parameter<'a>(component: &'a Value, place: &str) -> Result<&'a str, Refusal> {
    let parameters = component["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    let [parameter] = parameters else { return Err(Refusal::count(place, parameters.len())) };
    match (parameter["type"].as_str(), parameter["text"].as_str()) {
        (Some("text"), Some(text)) => Ok(text),
        (Some("text"), None) => Err(Refusal::missing(&format!("{place}: the parameter has no text"))),
        _ => Err(Refusal::format(&format!("{place}: the parameter must be of type text"))),
    }
}

fn callback(body: &Value) -> Result<Option<String>, Refusal> {
    match body.get("biz_opaque_callback_data") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(data)) if data.chars().count() <= CALLBACK_LIMIT => Ok(Some(data.clone())),
        Some(_) => Err(Refusal::parameter(
            "Param biz_opaque_callback_data must be a string of at most 512 characters",
        )),
    }
}

/// A required text. Meta answers 100 for a missing top-level parameter and 131008 for one in the template.
fn text<'a>(body: &'a Value, pointer: &str) -> Result<&'a str, Refusal> {
    let name = pointer.trim_start_matches('/').replace('/', ".");
    match body.pointer(pointer) {
        None | Some(Value::Null) if name.contains('.') => {
            Err(Refusal::missing(&format!("{name} is required")))
        }
        None | Some(Value::Null) => Err(Refusal::parameter(&format!("The parameter {name} is required."))),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Refusal::parameter(&format!("Param {name} must be a string"))),
    }
}

fn is_template_name(name: &str) -> bool {
    (1..=NAME_LIMIT).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn has_bearer(request: &HttpRequest) -> bool {
    super::carrier::bearer(request).is_some_and(|token| !token.is_empty())
}

fn template(name: &str, language: &str, n: u64) -> Value {
    json!({
        "id": (594_425_479_261_000 + n).to_string(),
        "name": name,
        "language": language,
        "status": "APPROVED",
        "category": "AUTHENTICATION",
        "message_send_ttl_seconds": 30,
        "quality_score": {"score": "GREEN"},
        "rejected_reason": "NONE",
        "components": [
            {"type": "BODY", "text": "*{{1}}* is your verification code. For your security, do not share this code.",
             "add_security_recommendation": true},
            {"type": "FOOTER", "text": "This code expires in 10 minutes.", "code_expiration_minutes": 10},
            {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Copy code",
             "url": "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}"}]},
        ],
    })
}

/// A real wamid contains the recipient's number in base64; so does this one.
fn wamid(to: &Number, fresh: &[u8; 32]) -> String {
    let mut bytes = vec![0x1c, 0x18, to.digits().len() as u8];
    bytes.extend_from_slice(to.digits().as_bytes());
    bytes.extend_from_slice(&[0x15, 0x02, 0x00, 0x11, 0x18, 0x12]);
    bytes.extend_from_slice(hex::encode(&fresh[..9]).to_uppercase().as_bytes());
    bytes.push(0);
    format!("wamid.{}", STANDARD.encode(bytes))
}

// ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────

/// Meta's error object with its HTTP status.
struct Refusal {
    status: StatusCode,
    code: u32,
    message: String,
    details: Option<String>,
    subcode: Option<u32>,
    kind: &'static str,
}

impl Refusal {
    fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: None, subcode: None, kind: "OAuthException" }
    }

    fn with_details(status: StatusCode, code: u32, title: &str, details: &str) -> Self {
        let details = Some(details.to_owned());
        Self { details, ..Self::new(status, code, format!("(#{code}) {title}")) }
    }

    fn no_token() -> Self {
        let message = "Invalid OAuth access token - Cannot parse access token";
        Self::new(StatusCode::UNAUTHORIZED, 190, message)
    }

    fn unknown_object(id: &str) -> Self {
        let id: String = id.chars().take(40).collect();
        let message = format!(
            "Unsupported post request. Object with ID '{id}' does not exist, cannot be loaded due to missing \
             permissions, or does not support this operation"
        );
        let refusal = Self::new(StatusCode::BAD_REQUEST, 100, message);
        Self { subcode: Some(33), kind: "GraphMethodException", ..refusal }
    }

    fn unreadable(details: &str) -> Self {
        Self::with_details(StatusCode::BAD_REQUEST, 100, "Invalid parameter", details)
    }

    fn parameter(what: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 100, format!("(#100) {what}"))
    }

    fn missing(details: &str) -> Self {
        Self::with_details(StatusCode::BAD_REQUEST, 131008, "Required parameter is missing", details)
    }

    fn value(details: &str) -> Self {
        Self::with_details(StatusCode::BAD_REQUEST, 131009, "Parameter value is not valid", details)
    }

    fn count(place: &str, found: usize) -> Self {
        let details = format!(
            "{place}: number of localizable_params ({found}) does not match the expected number of params (1)"
        );
        let title = "Number of parameters does not match the expected number of params";
        Self::with_details(StatusCode::BAD_REQUEST, 132000, title, &details)
    }

    fn no_template(name: &str, language: &str) -> Self {
        let short = |text: &str| text.chars().take(60).collect::<String>();
        let details = format!("template name ({}) does not exist in {}", short(name), short(language));
        let title = "Template name does not exist in the translation";
        Self::with_details(StatusCode::NOT_FOUND, 132001, title, &details)
    }

    fn format(details: &str) -> Self {
        let title = "Parameter format does not match format in the created template";
        Self::with_details(StatusCode::BAD_REQUEST, 132012, title, details)
    }

    fn content(details: &str) -> Self {
        let title = "There's an issue with the parameters in your template";
        Self::with_details(StatusCode::BAD_REQUEST, 132018, title, details)
    }

    fn undeliverable() -> Self {
        Self::with_details(StatusCode::BAD_REQUEST, 131026, UNDELIVERABLE, UNDELIVERABLE_DETAILS)
    }

    fn unavailable() -> Self {
        let details = "A service is temporarily unavailable.";
        Self::with_details(StatusCode::INTERNAL_SERVER_ERROR, 131016, "Service unavailable", details)
    }

    fn rate_limit() -> Self {
        let details = "Cloud API message throughput has been reached.";
        Self::with_details(StatusCode::BAD_REQUEST, 130429, "Rate limit hit", details)
    }

    fn answer(&self, player: &Player) -> HttpResponse {
        let trace = hex::encode(&player.fresh_id()[..11]);
        let mut error = json!({
            "message": self.message,
            "type": self.kind,
            "code": self.code,
            "fbtrace_id": format!("A{trace}"),
        });
        if let Some(details) = &self.details {
            error["error_data"] = json!({"messaging_product": "whatsapp", "details": details});
        }
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
        }
        HttpResponse::build(self.status).json(json!({ "error": error }))
    }
}

const UNDELIVERABLE: &str = "Message undeliverable";
const UNDELIVERABLE_DETAILS: &str = "Message Undeliverable.";

// ── webhooks ──────────────────────────────────────────────────────────────────────────────────────────────

/// A status webhook as in Graph v25.0, with the price where Meta includes it.
pub(super) fn status_webhook(
    message: &TemplateMessage,
    status: Status,
    at: Timestamp,
    price: Option<Price>,
) -> Value {
    let mut item = json!({
        "id": message.wamid,
        "status": status.as_str(),
        "timestamp": at.as_second().to_string(),
        "recipient_id": message.to.digits(),
    });
    if let Some(callback) = &message.callback {
        item["biz_opaque_callback_data"] = json!(callback);
    }
    if let Some(Price) = price {
        item["pricing"] = json!({
            "billable": true, "pricing_model": "PMP", "type": "regular", "category": "authentication",
        });
    }
    let mut value = metadata(message);
    if status == Status::Failed {
        item["errors"] = json!([{
            "code": 131026,
            "title": UNDELIVERABLE,
            "message": UNDELIVERABLE,
            "error_data": {"details": UNDELIVERABLE_DETAILS},
            "href": "/documentation/business-messaging/whatsapp/support/error-codes",
        }]);
    } else {
        item["recipient_user_id"] = json!(user_id(message));
        value["contacts"] = contacts(message);
    }
    value["statuses"] = json!([item]);
    envelope(value)
}

/// The status includes the price of the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Price;

/// The person presses "I didn't request a code": an inbound button message that answers ours. Meta's sample has the
/// person's own number in `context.from` (authentication template pages, November 2025).
pub(super) fn disowned_webhook(message: &TemplateMessage, fresh: &[u8; 32], at: Timestamp) -> Value {
    let mut value = metadata(message);
    value["contacts"] = contacts(message);
    value["messages"] = json!([{
        "context": {"from": message.to.digits(), "id": message.wamid},
        "from": message.to.digits(),
        "from_user_id": user_id(message),
        "id": wamid(&message.to, fresh),
        "timestamp": at.as_second().to_string(),
        "from_logical_id": "131063108133020",
        "type": "button",
        "button": {"payload": "DID_NOT_REQUEST_CODE", "text": "I didn't request a code"},
    }]);
    envelope(value)
}

/// Escapes JSON as Meta does: non-ASCII as `\uXXXX`, a slash as `\/`.
pub(super) fn escaped(body: &Value) -> String {
    let plain = body.to_string();
    let mut escaped = String::with_capacity(plain.len() + 64);
    for c in plain.chars() {
        match c {
            '/' => escaped.push_str("\\/"),
            c if c.is_ascii() => escaped.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
        }
    }
    escaped
}

fn envelope(value: Value) -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": BUSINESS_ACCOUNT_ID, "changes": [{"value": value, "field": "messages"}]}],
    })
}

fn metadata(message: &TemplateMessage) -> Value {
    json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": BUSINESS_NUMBER, "phone_number_id": message.phone_number_id},
    })
}

fn contacts(message: &TemplateMessage) -> Value {
    json!([{
        "profile": {"name": "Zo\u{eb} \u{1f41d}"},
        "wa_id": message.to.digits(),
        "user_id": user_id(message),
    }])
}

/// A business-scoped user id: a country, a dot and a stable string of letters and digits.
fn user_id(message: &TemplateMessage) -> String {
    format!("US.1349{}", message.to.digits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_escaped_as_meta_does_and_parse_back() {
        let body = json!({"text": "café 👍 http://x \"quoted\" back\\slash"});
        let escaped = escaped(&body);
        assert!(escaped.is_ascii());
        assert!(escaped.contains(r"caf\u00e9 \ud83d\udc4d http:\/\/x"), "{escaped}");
        let back: Value = serde_json::from_str(&escaped).expect("JSON");
        assert_eq!(back, body);
    }
}
