//! Status callbacks and inbound messages: forms to which Twilio adds parameters without notice.

use std::borrow::Cow;
use std::collections::HashMap;

use super::errors;
use crate::channel::status::{self, FAILED};
use crate::channel::webhook::Webhook;
use crate::channel::{Delivery, Inbound, Intent, Unknown, scrub};
use crate::excerpt;
use crate::verification::values::{Alias, DeliveryError, ErrorClass, ProviderRef, Report, ReportStatus};

/// Meta's payload of the button "I didn't request a code", passed on by Twilio.
const DID_NOT_REQUEST_CODE: &str = "DID_NOT_REQUEST_CODE";

pub(super) fn parse(webhook: &Webhook<'_>) -> Delivery {
    let form = Form::read(webhook.body);
    let provider_ref = ["MessageSid", "SmsSid", "SmsMessageSid"].iter().find_map(|name| form.reference(name));
    let word = form.get("MessageStatus").or_else(|| form.get("SmsStatus"));
    let is_inbound = match word {
        Some(word) => ["received", "receiving"].iter().any(|inbound| word.eq_ignore_ascii_case(inbound)),
        None => ["Body", "NumMedia", "ButtonPayload"].iter().any(|name| form.0.contains_key(*name)),
    };
    match (word, provider_ref) {
        (_, Some(provider_ref)) if is_inbound => {
            Delivery { inbound: vec![inbound(&form, provider_ref)], ..Delivery::default() }
        }
        (Some(word), provider_ref) if !is_inbound => report(&form, word, provider_ref, webhook),
        (_, _) => Delivery::unreadable("it is neither a status callback nor a message"),
    }
}

/// The form parameters; the first value of each name.
struct Form<'a>(HashMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> Form<'a> {
    fn read(body: &'a [u8]) -> Self {
        let mut fields = HashMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            fields.entry(name).or_insert(value);
        }
        Self(fields)
    }

    /// `None` for an empty value as well.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn reference(&self, name: &str) -> Option<ProviderRef> {
        ProviderRef::parse(self.get(name)?).ok()
    }
}

fn report(form: &Form<'_>, word: &str, provider_ref: Option<ProviderRef>, webhook: &Webhook<'_>) -> Delivery {
    let reference = webhook.reference();
    if provider_ref.is_none() && reference.is_none() {
        return Delivery::unreadable("it names no message: neither its URL nor `MessageSid` is readable");
    }
    let mut delivery = Delivery::default();
    let status = match status::meaning(word) {
        Some(status) if status == FAILED => failure(form, word),
        Some(status) => Some(status),
        None => {
            delivery.count(Unknown::Status);
            status::unknown(word)
        }
    };
    delivery.reports.extend(status.map(|status| Report {
        status,
        // `RawDlrDoneDate` lacks a time zone and seconds.
        reported_at: None,
        provider_ref,
        reference,
        aliases: Vec::new(),
    }));
    delivery
}

/// A failure with an in-doubt code changes nothing: a later report may settle it.
fn failure(form: &Form<'_>, word: &str) -> Option<ReportStatus> {
    let code = form.get("ErrorCode").filter(|code| *code != "0");
    let known = code.and_then(|code| errors::known(code.parse().ok()?));
    let class = known.map_or(ErrorClass::Fallback, |(_, class, _)| *class);
    if class == ErrorClass::InDoubt {
        return status::unknown(&format!("{word}_{}", code.unwrap_or_default()));
    }
    let said = ["ErrorMessage", "ChannelStatusMessage"].iter().find_map(|name| form.get(name));
    let said = said.map(scrub::title).and_then(scrub::non_empty);
    let title = said.or_else(|| known.map(|(_, _, words)| (*words).to_owned()));
    Some(ReportStatus::Failed(DeliveryError {
        code: code.and_then(scrub::token).unwrap_or_else(|| "no_reason".to_owned()),
        title: title.unwrap_or_else(|| status::no_reason("Twilio", word)),
        class,
    }))
}

fn inbound(form: &Form<'_>, provider_ref: ProviderRef) -> Inbound {
    let pressed = form.get("ButtonPayload");
    let kind = match form.get("MessageType") {
        Some(kind) => scrub::token(&kind.to_ascii_lowercase()).unwrap_or_else(|| "unknown".to_owned()),
        None if pressed.is_some() || form.get("ButtonText").is_some() => "button".to_owned(),
        None => medium(form).to_owned(),
    };
    let (number, user_id) = sender(form);
    let cut = |text: &str| excerpt::of_chars(text, Inbound::MAX_TEXT_CHARS);
    Inbound {
        provider_ref,
        from: number,
        user_id: user_id.map(|id| scrub::cut(&id, Inbound::MAX_NAME_CHARS)),
        profile_name: form.get("ProfileName").map(|name| excerpt::of_chars(name, Inbound::MAX_NAME_CHARS)),
        at: None,
        kind,
        text: form.get("Body").or_else(|| form.get("ButtonText")).map(cut),
        in_reply_to: form.reference("OriginalRepliedMessageSid"),
        intent: if pressed == Some(DID_NOT_REQUEST_CODE) { Intent::CodeDisowned } else { Intent::Reply },
    }
}

/// The type of the first media file; `text` without one.
fn medium(form: &Form<'_>) -> &'static str {
    if form.get("NumMedia").is_none_or(|count| count == "0") {
        return "text";
    }
    let content_type = form.get("MediaContentType0").unwrap_or_default();
    match content_type.split('/').next() {
        Some("image") => "image",
        Some("video") => "video",
        Some("audio") => "audio",
        Some(_) | None => "document",
    }
}

/// The number and the user id. `From` is `+49…`, optionally prefixed with a channel, or the id of a person who hides
/// the number.
fn sender(form: &Form<'_>) -> (Option<String>, Option<String>) {
    let from = form.get("From").map(|from| from.split_once(':').map_or(from, |(_, bare)| bare));
    let number = |text: &str| match Alias::number(text) {
        Some(Alias::Number(number)) => Some(String::from(number)),
        Some(Alias::User(_)) | None => None,
    };
    let e164 = from.and_then(number);
    let hidden = from.filter(|from| e164.is_none() && !from.is_empty());
    let user_id = form.get("ExternalUserId").or(hidden).map(str::to_owned);
    (e164.or_else(|| number(form.get("WaId")?)), user_id)
}
