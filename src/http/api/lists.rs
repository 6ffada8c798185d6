//! Lists of verifications and inbound messages, newest first. A cursor is encrypted and bound to its filters.

use std::borrow::Cow;
use std::collections::BTreeSet;

use actix_web::{HttpRequest, HttpResponse, get, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Shared;
use super::super::auth::Caller;
use super::super::docs::ApiProblems;
use super::super::error::{Code, Problem};
use super::super::input::Query;
use super::super::view::{Time, View, names};
use crate::phone::Phone;
use crate::store::{self, Filter, Intent, Status};
use crate::vault::webhook::{InboundContent, inbound_place};
use crate::vault::{CannotOpen, Vault};
use crate::verification::values::{Alias, ChannelName, NumberIndex, ProviderRef, Sealed, VerificationId};

const LIMITS: std::ops::RangeInclusive<usize> = 1..=100;
const DEFAULT_LIMIT: usize = 20;
const MAX_CLIENT_REF_CHARS: usize = 128;

/// List the app's verifications, newest first
#[utoipa::path(
    operation_id = "list_verifications",
    tag = "verifications",
    params(
        ("to" = Option<String>, Query, description = "Only for this number, E.164 with `+`, or for the number that WhatsApp uses for the same person"),
        ("client_ref" = Option<String>, Query, description = "Only with this `client_ref`"),
        ("status" = Option<String>, Query, description = "`pending`, `approved`, `expired`, `canceled` or `exhausted`"),
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "Page size; default 20"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page; valid only with the same filters"),
    ),
    responses((status = 200, body = VerificationPage, description = "A page of verifications"), ApiProblems),
    security(("api_key" = [])),
)]
#[get("/v1/verifications")]
pub async fn list(
    shared: web::Data<Shared>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::parse(&request)?;
    let number = query.parsed("to", |text| number(&shared.vault, text));
    let client_ref = query.parsed("client_ref", client_ref);
    let status = query.parsed("status", status);
    let limit = query.number("limit", LIMITS).unwrap_or(DEFAULT_LIMIT);
    let apps = Some(BTreeSet::from([caller.0.clone()]));
    let filter = Filter { apps, number, client_ref, status, ..Filter::default() };
    let cursors = Cursors::new(&shared.vault, &format!("verifications {filter:?}"));
    let before = query.parsed("cursor", |text| cursors.open(text));
    query.finish()?;
    let page = shared.store.list(filter, limit, before.map(VerificationId::from_bytes)).await?;
    let data = page.items.iter().map(|snapshot| View::new(snapshot, &shared.vault));
    Ok(HttpResponse::Ok().json(VerificationPage {
        data: data.collect::<Result<_, _>>()?,
        next_cursor: page.next.map(|next| cursors.seal(next.to_bytes())),
    }))
}

#[derive(Serialize, ToSchema)]
struct VerificationPage {
    data: Vec<View>,
    /// Cursor of the next page; null on the last.
    next_cursor: Option<String>,
}

/// List inbound messages, newest first
///
/// Messages that answer a verification of this app, and messages that answer none.
#[utoipa::path(
    operation_id = "list_inbound",
    tag = "inbound",
    params(
        ("from" = Option<String>, Query, description = "Only from this number, E.164 with `+`: the number that the app gave, or the one that WhatsApp uses for the same person"),
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "Page size; default 20"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page; valid only with the same filters"),
    ),
    responses((status = 200, body = InboundPage, description = "A page of messages"), ApiProblems),
    security(("api_key" = [])),
)]
#[get("/v1/inbound")]
pub async fn inbound(
    shared: web::Data<Shared>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::parse(&request)?;
    let from = query.parsed("from", |text| number(&shared.vault, text));
    let limit = query.number("limit", LIMITS).unwrap_or(DEFAULT_LIMIT);
    let cursors = Cursors::new(&shared.vault, &format!("inbound {} {from:?}", caller.0));
    let before = query.parsed("cursor", |text| cursors.open(text));
    query.finish()?;
    let page = shared.store.inbound(Some(caller.0), from, limit, before).await?;
    let data = page.items.into_iter().map(|message| InboundMessage::new(&shared.vault, message));
    Ok(HttpResponse::Ok().json(InboundPage {
        data: data.collect::<Result<_, _>>()?,
        next_cursor: page.next.map(|next| cursors.seal(next)),
    }))
}

#[derive(Serialize, ToSchema)]
struct InboundPage {
    data: Vec<InboundMessage>,
    /// Cursor of the next page; null on the last.
    next_cursor: Option<String>,
}

/// A text that a person wrote, or a button that they pressed.
#[derive(Serialize, ToSchema)]
struct InboundMessage {
    /// The provider's id; null once it was removed, because it may contain the number.
    provider_ref: Option<String>,
    #[schema(value_type = String, example = "whatsapp")]
    channel: ChannelName,
    /// E.164; null if the person hides the number, or once it was removed.
    #[schema(example = "+4915228817386")]
    from: Option<String>,
    /// Meta's business-scoped user id.
    user_id: Option<String>,
    profile_name: Option<String>,
    /// The provider's type: `text`, `button`, `image`, …
    #[schema(example = "text")]
    kind: String,
    text: Option<String>,
    #[schema(schema_with = intents)]
    intent: Intent,
    /// When it was written, by the provider's clock.
    at: Time,
    received_at: Time,
    /// The provider's id of the message that it answers.
    in_reply_to: Option<String>,
    /// The verification that it answers.
    #[schema(value_type = Option<String>)]
    verification_id: Option<VerificationId>,
}

impl InboundMessage {
    fn new(vault: &Vault, message: store::Inbound) -> Result<Self, Problem> {
        let place = inbound_place(&message.channel, &message.provider_ref);
        let content = match InboundContent::open(vault, &place, &message.content) {
            Err(CannotOpen::Removed) => InboundContent::default(),
            opened => opened?,
        };
        Ok(Self {
            provider_ref: content.provider_ref.or_else(|| in_clear(message.provider_ref)),
            channel: message.channel,
            from: content.from,
            user_id: content.user_id,
            profile_name: content.profile_name,
            kind: message.kind,
            text: content.text,
            intent: message.intent,
            at: Time(message.at),
            received_at: Time(message.received_at),
            in_reply_to: content.in_reply_to.or_else(|| message.in_reply_to.and_then(in_clear)),
            verification_id: message.verification,
        })
    }
}

/// Only the encrypted copy is shown in clear.
fn in_clear(reference: String) -> Option<String> {
    Some(reference).filter(|reference| !ProviderRef::parse(reference).is_ok_and(|parsed| parsed.is_hidden()))
}

fn intents() -> utoipa::openapi::schema::Object {
    names(["reply", "code_disowned"])
}

/// Parses a number in a query. An unescaped `+` arrives as a space. Also accepts a number that only WhatsApp uses,
/// though it may be invalid by the metadata.
fn number(vault: &Vault, text: &str) -> Result<NumberIndex, (Code, Cow<'static, str>)> {
    let text = match text.strip_prefix(' ') {
        Some(digits) => Cow::Owned(format!("+{digits}")),
        None => Cow::Borrowed(text),
    };
    if let Some(user @ Alias::User(_)) = Alias::written(&text) {
        return Ok(vault.known_as(&user).index);
    }
    let phone =
        Phone::parse(&text).or_else(|error| match text.strip_prefix('+').and_then(Phone::reported) {
            Some(phone) => Ok(phone),
            None => Err((Code::InvalidNumber, error.to_string().into())),
        })?;
    Ok(vault.number_index(&phone))
}

fn client_ref(text: &str) -> Result<String, (Code, Cow<'static, str>)> {
    if (1..=MAX_CLIENT_REF_CHARS).contains(&text.chars().count()) {
        return Ok(text.to_owned());
    }
    Err((Code::InvalidRequest, format!("must have 1 to {MAX_CLIENT_REF_CHARS} characters").into()))
}

fn status(text: &str) -> Result<Status, (Code, Cow<'static, str>)> {
    let known = Status::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| {
        let detail = format!("must be one of {}", Status::ALL.map(Status::as_str).join(", "));
        (Code::InvalidRequest, detail.into())
    })
}

/// Encrypts and decrypts the cursors of one list with one set of filters.
pub struct Cursors<'a> {
    vault: &'a Vault,
    place: [u8; 16],
}

impl<'a> Cursors<'a> {
    pub fn new(vault: &'a Vault, filters: &str) -> Self {
        Self { vault, place: vault.fingerprint("cursor", filters.as_bytes()) }
    }

    pub fn seal(&self, position: [u8; 16]) -> String {
        URL_SAFE_NO_PAD.encode(self.vault.seal(&self.place, &position).0)
    }

    pub fn open(&self, cursor: &str) -> Result<[u8; 16], (Code, Cow<'static, str>)> {
        let sealed = URL_SAFE_NO_PAD.decode(cursor).ok().map(|bytes| Sealed(bytes.into()));
        let position = sealed.and_then(|sealed| self.vault.open(&self.place, &sealed).ok());
        position.and_then(|position| <[u8; 16]>::try_from(position.as_slice()).ok()).ok_or((
            Code::InvalidRequest,
            Cow::Borrowed("is not a cursor of this list with these filters; start without a cursor"),
        ))
    }
}
