//! The timeline of a verification, as apps read it.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Shared;
use super::auth::Caller;
use super::docs::ApiProblems;
use super::error::Problem;
use super::input::Query;
use super::view::Time;
use crate::language::Language;
use crate::store::Snapshot;
use crate::timeline::{self, EventKind};
use crate::verification::values::{EventId, MessageId, ProviderRef, VerificationId};

/// Read the timeline, oldest first
///
/// Contains every transition, every provider request with its outcome, every webhook about the verification (duplicate
/// and stale ones too) and every wrong check.
#[utoipa::path(
    operation_id = "read_timeline",
    tag = "verifications",
    params(("id" = String, Path, description = "Verification id")),
    responses((status = 200, body = Timeline, description = "The events"), ApiProblems),
    security(("api_key" = [])),
)]
#[get("/v1/verifications/{id}/timeline")]
pub async fn read(
    shared: web::Data<Shared>,
    caller: Caller,
    request: actix_web::HttpRequest,
) -> Result<HttpResponse, Problem> {
    Query::parse(&request)?.finish()?;
    let snapshot = super::api::owned(&shared, &caller, &request).await?;
    let id = snapshot.verification.id();
    let events = shared.store.timeline(id).await?;
    let mut lines = timeline::lines(&snapshot, &events, Language::English);
    for line in &mut lines {
        show_reference(&shared, &snapshot, &mut line.data);
    }
    Ok(HttpResponse::Ok()
        .json(Timeline { verification_id: id, events: lines.into_iter().map(TimelineEvent::from).collect() }))
}

/// Decrypts the provider's message id in an event; null if it was removed.
fn show_reference(shared: &Shared, snapshot: &Snapshot, data: &mut serde_json::Map<String, Value>) {
    let Some(kept) = data.get_mut("provider_ref") else { return };
    let reference = kept.as_str().and_then(|text| ProviderRef::parse(text).ok());
    let verification = &snapshot.verification;
    let shown = reference.filter(|_| !verification.erased);
    *kept = shown.and_then(|reference| shared.vault.shown_ref(verification.id(), &reference)).into();
}

#[derive(Serialize, ToSchema)]
pub struct Timeline {
    #[schema(value_type = String, example = "ver_06hzjqd1nbrm4q9a5c2kt7x80g")]
    verification_id: VerificationId,
    events: Vec<TimelineEvent>,
}

/// One event.
#[derive(Serialize, ToSchema)]
#[schema(as = TimelineEvent)]
pub struct TimelineEvent {
    #[schema(value_type = String, example = "evt_06hzjqd1nbrm4q9a5c2kt7x80g")]
    id: EventId,
    /// From 1, without gaps.
    seq: u32,
    r#type: EventKind,
    /// When twotick recorded it.
    at: Time,
    /// When it happened, by the provider's clock.
    reported_at: Option<Time>,
    /// `app`, `twotick`, `operator` or the name of the reporting channel.
    #[schema(example = "whatsapp")]
    source: String,
    #[schema(value_type = Option<String>)]
    message_id: Option<MessageId>,
    /// `true` for a report that changed nothing, else absent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
    /// One plain sentence.
    #[schema(example = "whatsapp reported that the message was delivered.")]
    text: String,
    /// Details by type; includes `stale` for a stale report.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    data: serde_json::Map<String, Value>,
}

impl From<timeline::Line> for TimelineEvent {
    fn from(line: timeline::Line) -> Self {
        Self {
            id: line.id,
            seq: line.seq,
            r#type: line.kind,
            at: Time(line.at),
            reported_at: line.reported_at.map(Time),
            source: line.source,
            message_id: line.message,
            stale: line.stale,
            text: line.text,
            data: line.data,
        }
    }
}
