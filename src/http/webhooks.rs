//! What providers tell us: raw bytes → signature → parse → one order to the store → 200 when all of it is durable.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use metrics::counter;

use super::docs::PublicProblems;
use super::error::{Code, Document, Problem};
use super::input::read_body;
use super::meters::{ChannelMeters, Received, StatusLabel};
use super::{Shared, metrics as names};
use crate::channel::{self, Challenge, Channel, Delivery, Readable};
use crate::failpoint;
use crate::phone::Phone;
use crate::store::{self, Answer, Order};
use crate::vault::webhook::{InboundContent, evidence_place, inbound_place};
use crate::vault::{CannotSeal, Vault};
use crate::verification::values::{ChannelName, ProviderRef, Report, Timestamp};

/// Meta, "Webhooks overview": a payload has at most 3 MB (November 2025).
const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// So much of an unreadable delivery is kept: what shows its kind, and less than what the store takes in one record.
const EVIDENCE_BYTES: usize = 8 * 1024;
/// How far ahead of ours a provider's clock may be.
const FASTEST_CLOCK: Duration = Duration::from_secs(24 * 60 * 60);
/// Providers send numbers or a few letters.
const MAX_CHALLENGE_BYTES: usize = 512;

/// A provider's reports and inbound messages
///
/// 200 once everything in it is durable, however much of it is known here. The signature is over the raw body.
#[utoipa::path(
    operation_id = "receive_webhook",
    tag = "webhooks",
    params(
        ("channel" = String, Path, description = "A channel of the configuration", example = "whatsapp"),
        ("X-Hub-Signature-256" = Option<String>, Header, description = "Of kind `meta`: `sha256=` and the HMAC in hexadecimal"),
        ("X-Signature-256" = Option<String>, Header, description = "Of kind `http`: the same by `report_secret`"),
    ),
    request_body(content = Object, description = "As the provider writes it; of kind `http` `{\"id\"?, \"reference\"?, \"status\": \"sent|delivered|failed\", \"error\"?: {\"code\", \"title\"}, \"at\"?}`",
        example = json!({ "reference": "msg_06hzjqd1nbrm4q9a5c2kt7x80h", "status": "delivered" })),
    responses(
        (status = 200, description = "Stored"),
        (status = 401, description = "`signature_refused`", body = Document, content_type = "application/problem+json"),
        PublicProblems,
    ),
)]
#[post("/webhooks/{channel}")]
pub async fn receive(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (channel, meters) = channel(&shared, &request)?;
    let body =
        read_body(&request, payload, BODY_LIMIT).await.inspect_err(|_| meters.webhook(Received::NotRead))?;
    verify(channel, &request, &body).inspect_err(|_| meters.webhook(Received::SignatureRefused))?;
    let delivery = channel.parse(&body);
    let readable = delivery.readable;
    store_all(&shared, channel, meters, delivery, &body)
        .await
        .inspect_err(|_| meters.webhook(Received::NotStored))?;
    meters.webhook(match readable {
        Readable::Yes => Received::Stored,
        Readable::No(_) => Received::Unreadable,
    });
    meters.received_at(shared.clock.now().as_millis() as f64 / 1_000.0);
    Ok(HttpResponse::new(StatusCode::OK))
}

/// The question whether a webhook is ours, of kind `meta`
#[utoipa::path(
    operation_id = "answer_challenge",
    tag = "webhooks",
    params(
        ("channel" = String, Path, description = "A channel of the configuration", example = "whatsapp"),
        ("hub.mode" = String, Query, example = "subscribe"),
        ("hub.verify_token" = String, Query),
        ("hub.challenge" = String, Query, example = "1158201444"),
    ),
    responses(
        (status = 200, description = "The bare challenge", body = String, content_type = "text/plain"),
        (status = 403, description = "`challenge_refused`", body = Document, content_type = "application/problem+json"),
        PublicProblems,
    ),
)]
#[get("/webhooks/{channel}")]
pub async fn challenge(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (channel, _) = channel(&shared, &request)?;
    match channel {
        Channel::Meta(_) => {}
        Channel::Http(_) => return Err(Problem::method_not_allowed("POST".to_owned())),
    }
    let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let pairs = pairs.map(web::Query::into_inner).unwrap_or_default();
    let value = |name| pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
    let asked = Challenge {
        mode: value("hub.mode"),
        verify_token: value("hub.verify_token"),
        challenge: value("hub.challenge"),
    };
    let lawful = (1..=MAX_CHALLENGE_BYTES).contains(&asked.challenge.len())
        && asked.challenge.bytes().all(|byte| byte.is_ascii_graphic());
    match channel.answer_challenge(&asked).filter(|_| lawful) {
        Some(answer) => {
            Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(answer.to_owned()))
        }
        None => Err(Problem::new(Code::ChallengeRefused, "mode, token or challenge is missing or wrong")),
    }
}

fn channel<'a>(
    shared: &'a Shared,
    request: &HttpRequest,
) -> Result<(&'a Channel, &'a ChannelMeters), Problem> {
    let name = request.match_info().get("channel");
    let known = name.and_then(|name| Some((&**shared.channels.get(name)?, shared.webhooks.get(name)?)));
    known.ok_or_else(|| Problem::new(Code::NotFound, "there is no such channel"))
}

fn verify(channel: &Channel, request: &HttpRequest, body: &[u8]) -> Result<(), Problem> {
    let headers: Vec<&[u8]> =
        request.headers().get_all(channel.signature_header()).map(|value| value.as_bytes()).collect();
    channel.verify(&headers, body).map_err(|bad| {
        tracing::warn!(channel = %channel.name(), reason = bad.as_str(), "a webhook's signature was refused");
        Problem::new(Code::SignatureRefused, "nothing of it was read")
    })
}

async fn store_all(
    shared: &Shared,
    channel: &Channel,
    meters: &ChannelMeters,
    delivery: Delivery,
    body: &[u8],
) -> Result<(), Problem> {
    count_unknown(&delivery);
    let now = shared.clock.now();
    let Writer { orders, labels } = Writer::of(channel, delivery, body, &shared.vault, now)?;
    if orders.is_empty() {
        return Ok(());
    }
    failpoint::reach("webhook.before");
    let answers = shared.store.execute(orders).await?;
    failpoint::reach("webhook.after");
    count_reports(meters, &labels, &answers);
    Ok(())
}

/// Turns a delivery into orders. `labels` are the statuses of the reports, which come first.
struct Writer {
    orders: Vec<Order>,
    labels: Vec<StatusLabel>,
}

impl Writer {
    fn of(
        channel: &Channel,
        delivery: Delivery,
        body: &[u8],
        vault: &Vault,
        now: Timestamp,
    ) -> Result<Self, CannotSeal> {
        let Delivery { reports, inbound, alerts, readable, .. } = delivery;
        let name = channel.name();
        let labels = reports.iter().map(|report| StatusLabel::of(&report.status)).collect();
        let reports = reports.into_iter().map(|report| {
            let provider_ref = report.provider_ref.map(|reference| vault.hidden_ref(reference));
            Order::Report { channel: name.clone(), report: Report { provider_ref, ..report } }
        });
        let inbound: Vec<_> = inbound
            .into_iter()
            .map(|message| Ok(Order::Inbound(std::sync::Arc::new(kept_inbound(name, message, vault, now)?))))
            .collect::<Result<_, CannotSeal>>()?;
        let alerts = alerts.into_iter().map(|alert| {
            warn_operator(name, &alert);
            Order::Alert(kept_alert(name, alert, now))
        });
        let mut orders: Vec<Order> = reports.chain(inbound).chain(alerts).collect();
        match readable {
            Readable::Yes => {}
            Readable::No(why) => orders.push(Order::Alert(unreadable(name, why, body, vault, now)?)),
        }
        Ok(Self { orders, labels })
    }
}

fn kept_inbound(
    channel: &ChannelName,
    message: channel::Inbound,
    vault: &Vault,
    now: Timestamp,
) -> Result<store::Inbound, CannotSeal> {
    let hidden = |reference: ProviderRef| vault.hidden_ref(reference).as_str().to_owned();
    let in_clear = message.provider_ref.as_str().to_owned();
    let answered = message.in_reply_to.as_ref().map(|reference| reference.as_str().to_owned());
    let provider_ref = hidden(message.provider_ref);
    let number = message.from.as_deref().and_then(|from| Phone::parse(from).ok());
    let content = InboundContent {
        from: message.from,
        user_id: message.user_id,
        profile_name: message.profile_name,
        text: message.text,
        provider_ref: Some(in_clear),
        in_reply_to: answered,
    };
    let number = number.map(|phone| vault.number_index(&phone));
    Ok(store::Inbound {
        content: content.seal(vault, now, number, &inbound_place(channel, &provider_ref))?,
        provider_ref,
        channel: channel.clone(),
        received_at: now,
        at: plausible(message.at, now),
        kind: message.kind,
        number,
        in_reply_to: message.in_reply_to.map(hidden),
        intent: match message.intent {
            channel::Intent::Reply => store::Intent::Reply,
            channel::Intent::CodeDisowned => store::Intent::CodeDisowned,
        },
        verification: None,
        app: None,
    })
}

/// The provider's time, unless it lies so far ahead that the record would outlive every retention. A clock that is
/// merely fast is believed, because a repeated delivery is recognised by its time as well.
fn plausible(at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    at.filter(|&at| at <= now + FASTEST_CLOCK).unwrap_or(now)
}

fn kept_alert(channel: &ChannelName, alert: channel::Alert, now: Timestamp) -> store::Alert {
    store::Alert {
        at: plausible(alert.at, now),
        channel: channel.clone(),
        code: alert.code,
        title: alert.title,
        subject: alert.subject,
        evidence: None,
    }
}

fn unreadable(
    channel: &ChannelName,
    why: &'static str,
    body: &[u8],
    vault: &Vault,
    now: Timestamp,
) -> Result<store::Alert, CannotSeal> {
    tracing::warn!(%channel, why, bytes = body.len(), "a signed webhook cannot be read; it is kept for the operator");
    let evidence = &body[..body.len().min(EVIDENCE_BYTES)];
    Ok(store::Alert {
        at: now,
        channel: channel.clone(),
        code: "unreadable_webhook".to_owned(),
        title: why.to_owned(),
        subject: None,
        evidence: Some(vault.seal_personal(now, None, &evidence_place(channel), evidence)?),
    })
}

fn warn_operator(channel: &ChannelName, alert: &channel::Alert) {
    match alert.severity {
        channel::Severity::Notice => {
            tracing::info!(%channel, code = alert.code, "the provider tells: {}", alert.title);
        }
        channel::Severity::Warning => {
            tracing::warn!(%channel, code = alert.code, "the provider warns: {}", alert.title);
        }
        channel::Severity::Critical => {
            tracing::error!(%channel, code = alert.code, "the provider stops or will stop codes: {}", alert.title);
        }
    }
}

fn count_unknown(delivery: &Delivery) {
    for (unknown, &times) in &delivery.unknown {
        counter!(names::WEBHOOK_ITEMS_UNKNOWN, "kind" => unknown.as_str()).increment(times as u64);
    }
    if delivery.foreign > 0 {
        counter!(names::WEBHOOK_ITEMS_FOREIGN).increment(delivery.foreign as u64);
    }
}

fn count_reports(meters: &ChannelMeters, labels: &[StatusLabel], answers: &[Answer]) {
    for (&status, answer) in labels.iter().zip(answers) {
        if let Answer::Reported(matched) = answer {
            meters.report(status, *matched);
        }
    }
}
