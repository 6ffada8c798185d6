//! Twilio's Messages API and its status callbacks.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use reqwest::Url;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::carrier::{Reports, Sms, TEXT_LIMIT};
use super::handsets::{Channel, Happening, Number};
use super::journal::{Outcome, Request};
use super::player::Player;
use super::scenario::Status;
use super::webhooks::Call;
use crate::channel::twilio::{SIGNATURE, sign};
use crate::hex;

/// Error code of scenario 09.
const UNREACHABLE: &str = "30003";

/// Address and signature of a message's status callbacks.
pub(super) struct Callback {
    /// The address as given in the request, which is signed.
    url: Url,
    /// Signs the callbacks: the auth token of the request, because the sandbox knows no accounts.
    token: SecretString,
    account: String,
    to: String,
    from: String,
}

impl Callback {
    /// A report to the server that receives the carrier's reports, whatever host the address has.
    pub(super) fn call(&self, origin: &Url, id: &str, status: Status) -> Call {
        let word = match status {
            Status::Sent => "sent",
            Status::Delivered | Status::Read => "delivered",
            Status::Failed => "undelivered",
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([("MessageSid", id), ("SmsSid", id), ("SmsStatus", word), ("MessageStatus", word)]);
        form.extend_pairs([("To", &*self.to), ("From", &self.from), ("AccountSid", &self.account)]);
        form.append_pair("ApiVersion", "2010-04-01");
        if status == Status::Failed {
            form.append_pair("ErrorCode", UNREACHABLE);
        }
        let body = form.finish();
        let mut url = origin.clone();
        url.set_path(self.url.path());
        url.set_query(self.url.query());
        Call {
            url,
            content_type: "application/x-www-form-urlencoded",
            headers: vec![(SIGNATURE, sign(&self.token, self.url.as_str(), body.as_bytes()))],
            body,
        }
    }
}

/// `POST /2010-04-01/Accounts/{sid}/Messages.json`
pub(super) async fn send(
    player: web::Data<Player>,
    account: web::Path<String>,
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    let account = account.into_inner();
    let Some((_, token)) = login(&request) else {
        return refused(401, 20003, "Authenticate");
    };
    let Some(room) = player.room() else {
        return refused(429, 20429, "Too Many Requests");
    };
    let order = match body.map_err(|_| (21602, "The form could not be read")).and_then(|body| read(&body)) {
        Ok(order) => order,
        Err((code, message)) => return refused(400, code, message),
    };
    let Order { to, number, from, text, callback } = order;
    let id = format!("SM{}", hex::encode(&player.fresh_id()[..16]));
    player.journal.write(Request {
        channel: Channel::Sms,
        id: Some(id.clone()),
        reference: None,
        to: number.to_string(),
        outcome: Outcome::Accepted,
        at: super::now(),
    });
    player.handsets.note_sms_from(&number, from.clone());
    player.handsets.note(&number, Channel::Sms, Happening::Accepted);
    let answer = json!({
        "sid": id, "account_sid": account, "to": to, "from": from, "body": text, "status": "queued",
        "direction": "outbound-api", "error_code": Value::Null, "error_message": Value::Null,
    });
    let callback = callback.map(|url| Callback { url, token: token.into(), account, to, from });
    player.play_sms(Sms { id, to: number, text, reports: Reports::OfTwilio(callback) }, room);
    HttpResponse::Created().json(answer)
}

struct Order {
    /// As given, with `whatsapp:` if present.
    to: String,
    number: Number,
    from: String,
    text: String,
    callback: Option<Url>,
}

type Refusal = (u32, &'static str);

fn read(body: &[u8]) -> Result<Order, Refusal> {
    let field = |name: &str| {
        let mut fields = form_urlencoded::parse(body);
        fields.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    };
    let to = field("To").ok_or((21604, "A 'To' phone number is required."))?;
    let number = to.strip_prefix("whatsapp:").unwrap_or(&to);
    let number = Number::parse(number).ok_or((21211, "The 'To' number is not a valid phone number."))?;
    let from = field("From").or_else(|| field("MessagingServiceSid"));
    let from = from.ok_or((21603, "A 'From' phone number is required."))?;
    let text = match (field("Body"), field("ContentSid")) {
        (Some(text), None) => text,
        (None, Some(_)) => content(&field("ContentVariables").unwrap_or_default())?,
        (Some(_), Some(_)) => return Err((21664, "'Body' and 'ContentSid' cannot be combined.")),
        (None, None) => return Err((21602, "Message body is required.")),
    };
    if text.is_empty() || text.chars().count() > TEXT_LIMIT {
        return Err((21617, "The message body exceeds the limit of characters."));
    }
    let callback = field("StatusCallback").map(|url| Url::parse(&url)).transpose();
    let callback = callback.map_err(|_| (21609, "The 'StatusCallback' URL is not a valid URL."))?;
    Ok(Order { to, number, from, text, callback })
}

/// An authentication template as WhatsApp shows it.
fn content(variables: &str) -> Result<String, Refusal> {
    let variables: Value = serde_json::from_str(variables).unwrap_or_default();
    let code = variables.get("1").and_then(Value::as_str);
    let code = code.ok_or((21656, "The 'ContentVariables' parameter is invalid."))?;
    Ok(format!("*{code}* is your verification code."))
}

/// User and password of `Authorization: Basic …`.
fn login(request: &HttpRequest) -> Option<(String, String)> {
    let (scheme, pair) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let pair = String::from_utf8(BASE64_STANDARD.decode(pair).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    let fits = scheme.eq_ignore_ascii_case("basic") && !password.is_empty();
    fits.then(|| (user.to_owned(), password.to_owned()))
}

fn refused(status: u16, code: u32, message: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default(); // those above are all valid
    let more_info = format!("https://www.twilio.com/docs/errors/{code}");
    HttpResponse::build(status)
        .json(json!({"code": code, "message": message, "more_info": more_info, "status": status.as_u16()}))
}
