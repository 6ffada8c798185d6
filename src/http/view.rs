//! The JSON form of a verification.

use std::collections::BTreeMap;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::{Object, Type};

use super::error::Problem;
use crate::store::{DeliveryState, Snapshot, Status};
use crate::vault::{CannotOpen, Vault};
use crate::verification::state::Progress;
use crate::verification::values::{ChannelName, DeliveryError, MessageId, Timestamp, VerificationId};
use crate::verification::{Verification, state};

/// RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-22T17:00:00.250Z")]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A request to prove control of one phone number.
#[derive(Serialize, ToSchema)]
#[schema(as = Verification)]
pub struct View {
    #[schema(value_type = String, example = "ver_06hzjqd1nbrm4q9a5c2kt7x80g")]
    pub id: VerificationId,
    #[schema(schema_with = statuses)]
    status: &'static str,
    /// E.164; null once the number was removed by retention or erasure.
    #[schema(example = "+4915228817386")]
    to: Option<String>,
    #[schema(example = "login")]
    profile: String,
    /// Locale of the text or template that was queued last, as the configuration names it.
    #[schema(example = "de")]
    locale: String,
    /// The locale that was asked for.
    #[schema(example = "de-AT")]
    requested_locale: Option<String>,
    #[schema(example = "order-17")]
    client_ref: Option<String>,
    metadata: BTreeMap<String, String>,
    created_at: Time,
    /// The code is valid before this instant. A resend does not move it.
    expires_at: Time,
    /// Wrong codes that are still allowed.
    #[schema(example = 5)]
    checks_left: u8,
    delivery: Delivery,
    /// In the order in which they were queued.
    messages: Vec<Message>,
    /// Increases with every event; also the `ETag`.
    #[schema(example = 4)]
    pub version: u32,
}

/// Progress of the best message.
#[derive(Serialize, ToSchema)]
struct Delivery {
    /// In rank order; `undelivered` if every step failed.
    #[schema(schema_with = delivery_states)]
    state: &'static str,
    /// Channel of the best message.
    #[schema(value_type = Option<String>, example = "whatsapp")]
    channel: Option<ChannelName>,
    /// Channel that delivered first.
    #[schema(value_type = Option<String>)]
    delivered_by: Option<ChannelName>,
    /// When the next step starts unless a message is delivered first.
    fallback_at: Option<Time>,
}

/// A step that was carried out.
#[derive(Serialize, ToSchema)]
struct Message {
    #[schema(value_type = String, example = "msg_06hzjqd1nbrm4q9a5c2kt7x80h")]
    id: MessageId,
    #[schema(value_type = String, example = "whatsapp")]
    channel: ChannelName,
    /// Position in the profile's steps, from 0.
    step: u8,
    /// `in_doubt`: sent, but the answer was lost. `dropped`: no longer needed, never sent.
    #[schema(schema_with = message_states)]
    state: &'static str,
    /// The provider's id of the message.
    provider_ref: Option<String>,
    queued_at: Time,
    accepted_at: Option<Time>,
    sent_at: Option<Time>,
    delivered_at: Option<Time>,
    read_at: Option<Time>,
    failed_at: Option<Time>,
    #[schema(schema_with = delivery_error)]
    error: Option<DeliveryError>,
    /// Delivered after its step had fallen back.
    late: bool,
}

impl View {
    /// Deterministic: the same snapshot gives the same bytes.
    pub fn new(snapshot: &Snapshot, vault: &Vault) -> Result<Self, Problem> {
        let verification = &snapshot.verification;
        let request = &verification.request;
        let (to, metadata) = match vault.person(verification) {
            Ok(person) => (Some(person.to), person.metadata),
            Err(CannotOpen::Removed) => (None, BTreeMap::new()),
            Err(error @ CannotOpen::Damaged) => return Err(error.into()),
        };
        Ok(Self {
            id: request.id,
            status: verification.status().as_str(),
            to,
            profile: snapshot.policy.profile.clone(),
            locale: snapshot.locale().to_owned(),
            requested_locale: request.locale.clone(),
            // It may contain a name or a number.
            client_ref: request.client_ref.clone().filter(|_| !verification.erased),
            metadata,
            created_at: Time(verification.created_at),
            expires_at: Time(verification.expires_at),
            checks_left: checks_left(snapshot),
            delivery: Delivery::new(snapshot),
            messages: verification
                .messages
                .iter()
                .map(|message| Message::new(verification, message, vault))
                .collect(),
            version: verification.version,
        })
    }

    /// An answer with the verification as its body.
    pub fn respond(&self, status: StatusCode) -> HttpResponse {
        self.head(status).body(self.to_json())
    }

    pub fn head(&self, status: StatusCode) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        response.content_type("application/json").insert_header((header::ETAG, etag(self.version)));
        response
    }

    pub fn to_json(&self) -> String {
        // A struct of strings and numbers always serializes.
        serde_json::to_string(self).unwrap_or_default()
    }
}

pub fn etag(version: u32) -> String {
    format!("\"{version}\"")
}

pub fn checks_left(snapshot: &Snapshot) -> u8 {
    snapshot.policy.checks_left(snapshot.verification.failed_checks)
}

impl Delivery {
    fn new(snapshot: &Snapshot) -> Self {
        let verification = &snapshot.verification;
        let (state, channel) = snapshot.delivery();
        Self {
            state: state.as_str(),
            channel: channel.cloned(),
            delivered_by: verification.delivered_by.clone(),
            fallback_at: verification.fallback_at().map(Time),
        }
    }
}

impl Message {
    fn new(verification: &Verification, message: &state::Message, vault: &Vault) -> Self {
        let reference = message.provider_ref.as_ref().filter(|_| !verification.erased);
        Self {
            id: verification.message_id(message.ordinal),
            channel: message.channel.clone(),
            step: message.step,
            state: message.progress.as_str(),
            provider_ref: reference.and_then(|reference| vault.shown_ref(verification.id(), reference)),
            queued_at: Time(message.queued_at),
            accepted_at: message.accepted_at.map(Time),
            sent_at: message.sent_at.map(Time),
            delivered_at: message.delivered_at.map(Time),
            read_at: message.read_at.map(Time),
            failed_at: message.failed_at.map(Time),
            error: message.error.clone(),
            late: message.late,
        }
    }
}

pub fn statuses() -> Object {
    names(Status::ALL.map(Status::as_str))
}

fn message_states() -> Object {
    names(Progress::NAMES)
}

fn delivery_states() -> Object {
    names(DeliveryState::ALL.map(DeliveryState::as_str))
}

/// Schema of a string enumeration.
pub fn names(names: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}

fn delivery_error() -> Object {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let classes = ["retry", "fallback", "sender", "recipient", "configuration", "in_doubt"];
    ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some("Why the message was refused or failed, as the provider reported"))
        .property("code", text())
        .property("title", text())
        .property("class", names(classes))
        .build()
}
