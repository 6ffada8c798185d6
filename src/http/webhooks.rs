//! Provider webhooks: verify the raw bytes, parse, submit one group of orders, answer 200 once they are durable.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Resource, get, post, web};
use metrics::counter;

use super::docs::PublicProblems;
use super::error::{Code, Document, Problem};
use super::input::read_body;
use super::meters::{ChannelMeters, Received};
use super::{Shared, metrics as names, routes};
use crate::channel::receipts::Receipt;
use crate::channel::webhook::{Incoming, Method, Reply, SignedDelivery, Webhook, WebhookError};
use crate::channel::{self, Channel, Delivery, Readable};
use crate::failpoint;
use crate::store::{self, Answer, Order};
use crate::vault::webhook::{InboundContent, evidence_place, inbound_place};
use crate::vault::{CannotSeal, Vault};
use crate::verification::values::{Alias, ChannelName, ProviderRef, Timestamp};

/// Meta, "Webhooks overview": a payload has at most 3 MB (November 2025).
const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// Part of an unreadable delivery that is kept: enough to recognize it, less than the store allows per record.
const EVIDENCE_BYTES: usize = 8 * 1024;
/// Tolerance for a provider's clock that is ahead of ours.
const FASTEST_CLOCK: Duration = Duration::from_secs(24 * 60 * 60);

/// Receive delivery reports and inbound messages of a provider
///
/// 200 once all known content is durable; unknown content is accepted too. The signature covers the raw body.
#[utoipa::path(
    operation_id = "receive_webhook",
    tag = "webhooks",
    params(
        ("channel" = String, Path, description = "Name of a channel in the configuration", example = "whatsapp"),
        ("X-Hub-Signature-256" = Option<String>, Header, description = "Kind `meta`: `sha256=` and the HMAC in hexadecimal, in either case"),
        ("X-Signature-256" = Option<String>, Header, description = "Kind `http`: as above, under `report_secret`, unless `report` configures another header or scheme"),
        ("X-Sinch-Webhook-Signature" = Option<String>, Header, description = "Kinds `sinch-…`: HMAC-SHA256 of body, nonce and timestamp in base64"),
        ("X-Sinch-Webhook-Nonce" = Option<String>, Header, description = "Unique per delivery; a repeated one is refused"),
        ("X-Sinch-Webhook-Timestamp" = Option<String>, Header, description = "Unix seconds, within 5 minutes of our clock"),
    ),
    request_body(content = Object, description = "In the provider's format; for kind `http`  `{\"id\"?, \"reference\"?, \"status\": \"sent|delivered|failed\", \"error\"?: {\"code\", \"title\"}, \"at\"?}`; common words of carriers such as `DELIVRD` or `EXPIRED` count as well",
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
    hear(&shared, &request, Method::Post, Some(payload)).await
}

/// Answer Meta's verification request (kind `meta`)
#[utoipa::path(
    operation_id = "answer_challenge",
    tag = "webhooks",
    params(
        ("channel" = String, Path, description = "Name of a channel in the configuration", example = "whatsapp"),
        ("hub.mode" = String, Query, example = "subscribe"),
        ("hub.verify_token" = String, Query),
        ("hub.challenge" = String, Query, example = "1158201444"),
    ),
    responses(
        (status = 200, description = "The challenge", body = String, content_type = "text/plain"),
        (status = 403, description = "`challenge_refused`", body = Document, content_type = "application/problem+json"),
        PublicProblems,
    ),
)]
#[get("/webhooks/{channel}")]
pub async fn challenge(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    hear(&shared, &request, Method::Get, None).await
}

/// Webhook addresses with a secret in the path, for kinds of channel whose provider does not sign. They are not in the
/// OpenAPI document: twotick generates them and passes them to the provider.
pub fn secret_addresses() -> Resource {
    let report = |shared: web::Data<Shared>, request: HttpRequest, payload: web::Payload| async move {
        hear(&shared, &request, Method::Post, Some(payload)).await
    };
    let ask = |shared: web::Data<Shared>, request: HttpRequest| async move {
        hear(&shared, &request, Method::Get, None).await
    };
    web::resource("/webhooks/{channel}/{secret}")
        .route(web::post().to(report))
        .route(web::get().to(ask))
        .default_service(web::to(routes::unrouted))
}

async fn hear(
    shared: &Shared,
    request: &HttpRequest,
    method: Method,
    payload: Option<web::Payload>,
) -> Result<HttpResponse, Problem> {
    let (channel, meters) = channel(shared, request)?;
    let channel = &*channel;
    let body = match payload {
        Some(payload) => read_body(request, payload, BODY_LIMIT).await,
        None => Ok(web::Bytes::new()),
    };
    let body = body.inspect_err(|_| meters.webhook(Received::NotRead))?;
    match ask(shared, channel, request, method, &body) {
        Ok(Incoming::Delivery(SignedDelivery { own, of_others, reply, receipt })) => {
            let readable = own.readable;
            let told = Deliveries { shared, channel, meters, own, of_others, receipt };
            told.store(&body).await.inspect_err(|_| meters.webhook(Received::NotStored))?;
            meters.webhook(match readable {
                Readable::Yes => Received::Stored,
                Readable::No(_) => Received::Unreadable,
            });
            Ok(answer(reply))
        }
        Ok(Incoming::Challenge(reply)) => Ok(answer(reply)),
        Err(WebhookError::Signature(_)) => {
            meters.webhook(Received::SignatureRefused);
            meters.refused_in_a_row(channel.refused_in_a_row());
            Err(Problem::not_proved(channel.challenge()))
        }
        Err(WebhookError::Challenge) => {
            Err(Problem::new(Code::ChallengeRefused, "mode, token or challenge is missing or wrong"))
        }
        Err(WebhookError::Method(allowed)) => Err(Problem::method_not_allowed(allowed.to_owned())),
        Err(WebhookError::NoSuchAddress) => Err(Problem::new(Code::NotFound, "nothing exists at this path")),
    }
}

fn ask(
    shared: &Shared,
    channel: &Channel,
    request: &HttpRequest,
    method: Method,
    body: &[u8],
) -> Result<Incoming, WebhookError> {
    let headers: Vec<(&str, &[u8])> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    channel.receive(&Webhook {
        method,
        callback: channel.callback(),
        // The part after `/webhooks/` and the channel name.
        path: request.uri().path().splitn(4, '/').nth(3),
        query: request.uri().query(),
        headers: &headers,
        body,
        now: shared.clock.now(),
    })
}

fn answer(reply: Reply) -> HttpResponse {
    match reply.content_type {
        Some(content_type) => HttpResponse::Ok().content_type(content_type).body(reply.body),
        None => HttpResponse::new(StatusCode::OK),
    }
}

fn channel<'a>(
    shared: &'a Shared,
    request: &HttpRequest,
) -> Result<(Arc<Channel>, &'a ChannelMeters), Problem> {
    let name = request.match_info().get("channel");
    let known = name.and_then(|name| named(shared, name));
    known.ok_or_else(|| Problem::new(Code::NotFound, "unknown channel"))
}

fn named<'a>(shared: &'a Shared, name: &str) -> Option<(Arc<Channel>, &'a ChannelMeters)> {
    Some((shared.channels.now().get(name).cloned()?, shared.webhooks.get(name)?))
}

/// The content of one webhook, by channel.
struct Deliveries<'a> {
    shared: &'a Shared,
    /// The channel whose address received it.
    channel: &'a Channel,
    meters: &'a ChannelMeters,
    own: Delivery,
    of_others: Vec<(ChannelName, Delivery)>,
    receipt: Option<Receipt>,
}

impl Deliveries<'_> {
    async fn store(self, body: &[u8]) -> Result<(), Problem> {
        let Self { shared, channel, meters, own, of_others, receipt } = self;
        let now = shared.clock.now();
        count_unknown(&own);
        count_consents(channel.name(), &own);
        channel.log_ignored(&own, now);
        let readable = own.readable;
        let own_is_empty = own.reports.is_empty() && own.inbound.is_empty() && own.alerts.is_empty();
        let mut writer = Writer::default();
        writer.add(channel.name(), meters, own, &shared.vault, now)?;
        if let Readable::No(why) = readable {
            writer.orders.push(Order::Alert(unreadable(channel.name(), why, body, &shared.vault, now)?));
        }
        let others = of_others.into_iter().filter_map(|(name, delivery)| {
            let (other, meters) = named(shared, name.as_str())?;
            Some((other, meters, delivery))
        });
        let mut heard_of = Vec::new();
        for (other, meters, delivery) in others {
            count_unknown(&delivery);
            writer.add(other.name(), meters, delivery, &shared.vault, now)?;
            heard_of.push((other, meters));
        }
        writer.write(shared).await?;
        let own = [(channel, meters, receipt)];
        let all = heard_of.iter().map(|(other, meters)| (&**other, *meters, None)).chain(own);
        for (channel, meters, receipt) in all {
            if channel.stored(receipt, now) > 0 {
                meters.refused_in_a_row(0);
            }
        }
        let now = now.as_millis() as f64 / 1_000.0;
        // A delivery that only concerns other channels does not show that this channel's webhooks work.
        if heard_of.is_empty() || !own_is_empty {
            meters.received_at(now);
        }
        heard_of.iter().for_each(|(_, meters)| meters.received_at(now));
        Ok(())
    }
}

/// Converts deliveries into orders.
#[derive(Default)]
struct Writer<'a> {
    orders: Vec<Order>,
    /// Indexes of the orders that are reports, with their labels and metrics.
    reports: Vec<(usize, &'static str, &'a ChannelMeters)>,
}

impl<'a> Writer<'a> {
    fn add(
        &mut self,
        name: &ChannelName,
        meters: &'a ChannelMeters,
        delivery: Delivery,
        vault: &Vault,
        now: Timestamp,
    ) -> Result<(), CannotSeal> {
        let Delivery { reports, inbound, alerts, .. } = delivery;
        self.orders.reserve(reports.len() + inbound.len() + alerts.len());
        self.reports.reserve(reports.len());
        for report in reports {
            self.reports.push((self.orders.len(), report.status.name(), meters));
            let report = vault.hidden_report(report);
            self.orders.push(Order::Report { channel: name.clone(), report });
        }
        for message in inbound {
            self.orders.push(Order::Inbound(std::sync::Arc::new(kept_inbound(name, message, vault, now)?)));
        }
        for alert in alerts {
            warn_operator(name, &alert);
            self.orders.push(Order::Alert(kept_alert(name, alert, now)));
        }
        Ok(())
    }

    /// Makes all orders durable.
    async fn write(self, shared: &Shared) -> Result<(), Problem> {
        if self.orders.is_empty() {
            return Ok(());
        }
        failpoint::reach("webhook.before");
        let answers = shared.store.execute(self.orders).await?;
        failpoint::reach("webhook.after");
        for (place, status, meters) in self.reports {
            if let Some(Answer::Reported(matched)) = answers.get(place) {
                meters.report(status, *matched);
            }
        }
        Ok(())
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
    let known_as = |alias: Option<Alias>| alias.map(|alias| vault.known_as(&alias));
    let number = known_as(message.from.as_deref().and_then(Alias::number));
    let user = known_as(message.user_id.as_deref().and_then(Alias::user));
    let content = InboundContent {
        from: message.from,
        user_id: message.user_id,
        profile_name: message.profile_name,
        text: message.text,
        provider_ref: Some(in_clear),
        in_reply_to: answered,
    };
    let writer = number.or(user).map(|known| known.index);
    Ok(store::Inbound {
        content: content.seal(vault, now, writer, &inbound_place(channel, &provider_ref))?,
        provider_ref,
        channel: channel.clone(),
        received_at: now,
        at: plausible(message.at, now),
        kind: message.kind,
        arrival: 0,
        number: number.map(|known| known.index),
        tail: number.and_then(|known| known.tail),
        user: user.map(|known| known.index),
        in_reply_to: message.in_reply_to.map(hidden),
        intent: match message.intent {
            channel::Intent::Reply => store::Intent::Reply,
            channel::Intent::CodeDisowned => store::Intent::CodeDisowned,
        },
        verification: None,
        app: None,
    })
}

/// The provider's time, unless it is so far ahead that the message would stay at the top of every list. A clock that is
/// merely fast is accepted.
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
        fingerprint: alert.fingerprint,
    }
}

fn unreadable(
    channel: &ChannelName,
    why: &'static str,
    body: &[u8],
    vault: &Vault,
    now: Timestamp,
) -> Result<store::Alert, CannotSeal> {
    tracing::warn!(%channel, why, bytes = body.len(), "cannot parse a signed webhook; stored it for the operator");
    let evidence = &body[..body.len().min(EVIDENCE_BYTES)];
    Ok(store::Alert {
        at: now,
        channel: channel.clone(),
        code: "unreadable_webhook".to_owned(),
        title: why.to_owned(),
        subject: None,
        evidence: Some(vault.seal_personal(now, None, &evidence_place(channel), evidence)?),
        fingerprint: None,
    })
}

fn warn_operator(channel: &ChannelName, alert: &channel::Alert) {
    match alert.severity {
        channel::Severity::Notice => {
            tracing::info!(%channel, code = alert.code, "notice of the provider: {}", alert.title);
        }
        channel::Severity::Warning => {
            tracing::warn!(%channel, code = alert.code, "warning of the provider: {}", alert.title);
        }
        channel::Severity::Critical => {
            tracing::error!(%channel, code = alert.code, "the provider stops or will stop sending: {}", alert.title);
        }
    }
}

/// Consents are only counted and logged so far.
fn count_consents(channel: &ChannelName, delivery: &Delivery) {
    for (consent, &people) in &delivery.consents {
        let (name, state) = (channel.as_str().to_owned(), consent.as_str());
        counter!(names::CONSENTS, "channel" => name, "state" => state).increment(people as u64);
        tracing::info!(%channel, state, people, "people opted in or out at the provider; not stored");
    }
}

fn count_unknown(delivery: &Delivery) {
    for (unknown, &times) in &delivery.unknown {
        counter!(names::WEBHOOK_ITEMS_UNKNOWN, "kind" => unknown.as_str()).increment(times as u64);
    }
    let ignored = delivery.ignored_items();
    if ignored > 0 {
        counter!(names::WEBHOOK_ITEMS_FOREIGN).increment(ignored as u64);
    }
}
