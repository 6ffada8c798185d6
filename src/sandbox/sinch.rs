//! The part of Sinch's APIs that codes need: tokens, sends, and signed reports to the callback address of each send.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::carrier::{bearer, code_in};
use super::graph::cut_off;
use super::handsets::{Channel, HandsetEntry, Happening, Number};
use super::journal::{Outcome, Request};
use super::player::Player;
use super::scenario::{ScenarioStep, SendAnswer, Sms, Status};
use super::webhooks::{Taken, Webhooks};
use crate::hex;

/// Signs the reports.
pub const WEBHOOK_SECRET: &str = "sandbox-sinch-secret";
/// The only token that is issued and accepted.
const TOKEN: &str = "sandbox-sinch-token";

/// An accepted message.
struct SinchMessage {
    id: String,
    to: Number,
    text: String,
    code: Option<String>,
    medium: Channel,
    hook: Webhooks,
    api: Api,
}

/// The API that was called, and what reports echo.
enum Api {
    Conversation { project_id: String, app_id: String, channel: String, metadata: String },
    Sms { client_reference: String },
}

/// `POST /oauth2/token`
pub(super) async fn token(request: HttpRequest, body: Bytes) -> HttpResponse {
    let basic = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if basic.and_then(|value| value.strip_prefix("Basic ")).is_none_or(str::is_empty) {
        return HttpResponse::Unauthorized().json(json!({"error": "invalid_client"}));
    }
    if &body[..] != b"grant_type=client_credentials" {
        return HttpResponse::BadRequest().json(json!({"error": "unsupported_grant_type"}));
    }
    HttpResponse::Ok().json(json!({"access_token": TOKEN, "expires_in": 3600, "token_type": "bearer"}))
}

/// `POST /xms/v1/{service_plan_id}/batches`
pub(super) async fn batch(
    player: web::Data<Player>,
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    if bearer(&request).is_none_or(str::is_empty) {
        return HttpResponse::Unauthorized().finish();
    }
    let Some(room) = player.room() else {
        return HttpResponse::TooManyRequests().insert_header((header::RETRY_AFTER, "1")).finish();
    };
    let id = hex::encode(&player.fresh_id()[..13]).to_uppercase();
    match sms(&player, id, body) {
        Ok(message) => {
            player.note_request(&message, Outcome::Accepted, Happening::Accepted);
            let reply =
                json!({"id": message.id, "to": [message.to.digits()], "canceled": false, "type": "mt_text"});
            player.play_sinch(message, room);
            HttpResponse::Created().json(reply)
        }
        Err(why) => {
            HttpResponse::BadRequest().json(json!({"code": "syntax_invalid_parameter_format", "text": why}))
        }
    }
}

fn sms(player: &Player, id: String, body: Result<Bytes, actix_web::Error>) -> Result<SinchMessage, String> {
    let body = json_of(body)?;
    let said = text(&body, "/body")?;
    text(&body, "/from")?;
    if text(&body, "/delivery_report")? != "per_recipient" {
        return Err("this stand-in supports per_recipient reports only".to_owned());
    }
    let expires: Option<Timestamp> = text(&body, "/expire_at")?.parse().ok();
    if expires.is_none_or(|expires| expires <= super::now()) {
        return Err("expire_at must be in the future".to_owned());
    }
    Ok(SinchMessage {
        id,
        to: Number::parse(text(&body, "/to/0")?).ok_or("to must hold phone numbers with country code")?,
        text: said.to_owned(),
        code: code_in(said),
        medium: Channel::Sms,
        hook: player.sinch_hook(text(&body, "/callback_url")?).ok_or("callback_url must be a web address")?,
        api: Api::Sms { client_reference: text(&body, "/client_reference")?.to_owned() },
    })
}

/// `POST /v1/projects/{project_id}/messages:send`
pub(super) async fn send(
    player: web::Data<Player>,
    project_id: web::Path<String>,
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    if bearer(&request) != Some(TOKEN) {
        return refusal(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "the token is missing or has expired");
    }
    let Some(room) = player.room() else {
        return refusal(StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", "too many messages in progress");
    };
    let id = hex::encode(&player.fresh_id()[..13]).to_uppercase();
    let message = match conversation(&player, id, project_id.into_inner(), body) {
        Ok(message) => message,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", &why),
    };
    let answer = match message.medium {
        Channel::Whatsapp => message.to.scenario().answer,
        Channel::Sms => SendAnswer::Accepted,
    };
    let outage = answer == SendAnswer::UnavailableAtFirst && player.handsets.take_outage(&message.to);
    let (outcome, happening) = match answer {
        SendAnswer::UnavailableAtFirst if outage => (Outcome::Unavailable, Happening::Unavailable),
        SendAnswer::AcceptedUnheard => (Outcome::Unheard, Happening::AcceptedUnheard),
        // Sinch learns this from Meta after it has answered.
        SendAnswer::Undeliverable | SendAnswer::Accepted | SendAnswer::UnavailableAtFirst => {
            (Outcome::Accepted, Happening::Accepted)
        }
    };
    player.note_request(&message, outcome, happening);
    if outcome == Outcome::Unavailable {
        return refusal(StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", "slow down");
    }
    let reply = json!({"message_id": message.id, "accepted_time": super::now().to_string()});
    player.play_sinch(message, room);
    match outcome {
        Outcome::Unheard => cut_off(&reply),
        Outcome::Accepted | Outcome::Refused | Outcome::Unavailable => HttpResponse::Ok().json(reply),
    }
}

fn refusal(status: StatusCode, word: &str, message: &str) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    if status == StatusCode::TOO_MANY_REQUESTS {
        answer.insert_header((header::RETRY_AFTER, "1"));
    }
    answer
        .json(json!({"error": {"code": status.as_u16(), "message": message, "status": word, "details": []}}))
}

fn text<'a>(body: &'a Value, pointer: &str) -> Result<&'a str, String> {
    body.pointer(pointer).and_then(Value::as_str).ok_or_else(|| format!("{pointer} must be a string"))
}

fn json_of(body: Result<Bytes, actix_web::Error>) -> Result<Value, String> {
    let body = body.map_err(|error| error.to_string())?;
    serde_json::from_slice(&body).map_err(|error| format!("the body is not JSON: {error}"))
}

fn conversation(
    player: &Player,
    id: String,
    project_id: String,
    body: Result<Bytes, actix_web::Error>,
) -> Result<SinchMessage, String> {
    let body = json_of(body)?;
    let channel = text(&body, "/recipient/identified_by/channel_identities/0/channel")?;
    let identity = text(&body, "/recipient/identified_by/channel_identities/0/identity")?;
    if body["channel_priority_order"] != json!([channel]) {
        return Err("channel_priority_order must name the recipient's only channel".to_owned());
    }
    if text(&body, "/processing_strategy")? != "DISPATCH_ONLY" {
        return Err("this stand-in supports processing_strategy DISPATCH_ONLY only".to_owned());
    }
    let seconds = text(&body, "/ttl")?.strip_suffix('s').and_then(|seconds| seconds.parse::<u64>().ok());
    if seconds.is_none_or(|seconds| seconds < 3) {
        return Err("ttl must be 3s or more".to_owned());
    }
    let (medium, text_of, code) = match channel {
        "WHATSAPP" => {
            let template = "/message/template_message/channel_template/WHATSAPP";
            text(&body, &format!("{template}/template_id"))?;
            text(&body, &format!("{template}/language_code"))?;
            let code = text(&body, &format!("{template}/parameters/body[1]text"))?;
            if text(&body, &format!("{template}/parameters/button[0]url[1]text"))? != code {
                return Err("the button must have the same code as the body".to_owned());
            }
            let said =
                format!("*{code}* is your verification code. For your security, do not share this code.");
            (Channel::Whatsapp, said, Some(code.to_owned()))
        }
        "SMS" | "RCS" => {
            let said = text(&body, "/message/text_message/text")?;
            (Channel::Sms, said.to_owned(), code_in(said))
        }
        _ => return Err(format!("this stand-in does not support the channel {channel}")),
    };
    Ok(SinchMessage {
        id,
        to: Number::parse(identity).ok_or("identity must be a phone number with country code")?,
        text: text_of,
        code,
        medium,
        hook: player.sinch_hook(text(&body, "/callback_url")?).ok_or("callback_url must be a web address")?,
        api: Api::Conversation {
            project_id,
            app_id: text(&body, "/app_id")?.to_owned(),
            channel: channel.to_owned(),
            metadata: text(&body, "/message_metadata")?.to_owned(),
        },
    })
}

impl SinchMessage {
    fn reference(&self) -> &str {
        match &self.api {
            Api::Conversation { metadata, .. } => metadata,
            Api::Sms { client_reference } => client_reference,
        }
    }

    fn steps(&self) -> Vec<ScenarioStep> {
        let scenario = self.to.scenario();
        match (self.medium, scenario.sms) {
            (Channel::Whatsapp, _) if scenario.answer == SendAnswer::Undeliverable => {
                vec![ScenarioStep::Failed]
            }
            (Channel::Whatsapp, _) => scenario.whatsapp.to_vec(),
            (Channel::Sms, Sms::Delivered) => vec![ScenarioStep::Sent, ScenarioStep::Delivered],
            (Channel::Sms, Sms::Failed) => vec![ScenarioStep::Sent, ScenarioStep::Failed],
        }
    }

    fn report(&self, status: Status, at: Timestamp) -> Value {
        match &self.api {
            Api::Conversation { project_id, app_id, channel, metadata } => {
                let word = match status {
                    Status::Sent => "QUEUED_ON_CHANNEL",
                    Status::Delivered => "DELIVERED",
                    Status::Read => "READ",
                    Status::Failed => "FAILED",
                };
                let mut report = json!({
                    "message_id": self.id, "conversation_id": "", "status": word,
                    "channel_identity": {"channel": channel, "identity": self.to.digits(), "app_id": ""},
                    "contact_id": "", "metadata": metadata, "processing_mode": "DISPATCH",
                });
                if status == Status::Failed {
                    let channel_code = if self.medium == Channel::Whatsapp { "131026" } else { "" };
                    report["reason"] = json!({
                        "code": "RECIPIENT_NOT_REACHABLE", "description": "The recipient could not be reached",
                        "sub_code": "UNSPECIFIED_SUB_CODE", "channel_code": channel_code,
                    });
                }
                json!({
                    "app_id": app_id, "accepted_time": at.to_string(), "event_time": at.to_string(),
                    "project_id": project_id, "message_metadata": metadata, "message_delivery_report": report,
                })
            }
            Api::Sms { client_reference } => {
                let (word, code) = match status {
                    Status::Sent => ("Dispatched", 401),
                    Status::Delivered | Status::Read => ("Delivered", 0),
                    Status::Failed => ("Failed", 402),
                };
                json!({
                    "type": "recipient_delivery_report_sms", "batch_id": self.id, "recipient": self.to.digits(),
                    "status": word, "code": code, "at": at.to_string(), "client_reference": client_reference,
                })
            }
        }
    }

    /// The person presses the button "I didn't request a code".
    fn disowned(&self, id: &str, at: Timestamp) -> Option<Value> {
        match &self.api {
            Api::Conversation { project_id, app_id, channel, .. } => Some(json!({
                "app_id": app_id, "accepted_time": at.to_string(), "event_time": at.to_string(),
                "project_id": project_id, "message_metadata": "",
                "message": {
                    "id": id, "direction": "TO_APP", "conversation_id": "", "contact_id": "", "metadata": "",
                    "contact_message": {"choice_response_message":
                        {"message_id": self.id, "postback_data": "DID_NOT_REQUEST_CODE"}},
                    "channel_identity": {"channel": channel, "identity": self.to.digits(), "app_id": ""},
                    "accept_time": at.to_string(),
                },
            })),
            Api::Sms { .. } => None,
        }
    }
}

impl Player {
    fn note_request(&self, message: &SinchMessage, outcome: Outcome, happening: Happening) {
        let accepted = matches!(outcome, Outcome::Accepted | Outcome::Unheard);
        self.journal.write(Request {
            channel: message.medium,
            id: accepted.then(|| message.id.clone()),
            reference: Some(message.reference().to_owned()),
            to: message.to.to_string(),
            outcome,
            at: super::now(),
        });
        self.handsets.note(&message.to, message.medium, happening);
    }

    fn play_sinch(self: &Arc<Self>, message: SinchMessage, room: OwnedSemaphorePermit) {
        if message.medium == Channel::Sms {
            self.texts(&message.to);
        }
        let player = Arc::clone(self);
        self.spawn(async move {
            let mut texted = player.texted();
            let mut arrived = false;
            for step in message.steps() {
                player.wait_before(step, &message.to, &mut texted).await;
                arrived = player.sinch_step(&message, step, arrived).await;
            }
            drop(room);
        });
    }

    /// Returns whether the message is on the phone now.
    async fn sinch_step(&self, message: &SinchMessage, step: ScenarioStep, arrived: bool) -> bool {
        let Some(status) = step.status() else {
            self.handsets.note(&message.to, message.medium, Happening::Disowned);
            let id = hex::encode(&self.fresh_id()[..13]).to_uppercase();
            if let Some(body) = message.disowned(&id, super::now()) {
                self.tell_of_sinch(message, &body).await;
            }
            return arrived;
        };
        let arrives = matches!(status, Status::Delivered | Status::Read);
        if arrives && !arrived {
            let (channel, text, code) = (message.medium, message.text.clone(), message.code.clone());
            self.handsets.receive(&message.to, HandsetEntry { channel, text, code, at: super::now() });
        }
        self.handsets.note(&message.to, message.medium, status.into());
        self.tell_of_sinch(message, &message.report(status, super::now())).await;
        arrived || arrives
    }

    async fn tell_of_sinch(&self, message: &SinchMessage, body: &Value) {
        if message.hook.post(body.to_string()).await == Taken::No {
            self.handsets.note(&message.to, message.medium, Happening::ReportNotTaken);
        }
    }
}
