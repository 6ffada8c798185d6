//! What happened to a verification, line by line, for apps and support staff.

use std::fmt::Write as _;

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::Shared;
use super::auth::Caller;
use super::docs::ApiProblems;
use super::error::Problem;
use super::input::Query;
use super::view::{Time, checks_left};
use crate::store::Snapshot;
use crate::verification::event::{FallbackReason, Occasion, Standing};
use crate::verification::values::{
    DeliveryError, EventId, MessageId, Ordinal, ReportStatus, Timestamp, VerificationId,
};
use crate::verification::{Event, Fact, OperatorAction, State, evolve};

/// Everything that happened, oldest first
///
/// Every transition, every provider request with its outcome, every webhook that concerned it (a duplicate or stale
/// one too) and every wrong check.
#[utoipa::path(
    operation_id = "read_timeline",
    tag = "verifications",
    params(("id" = String, Path, description = "The verification's id")),
    responses((status = 200, body = Timeline), ApiProblems),
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
    Ok(HttpResponse::Ok().json(Timeline { verification_id: id, events: lines(&snapshot, &events) }))
}

#[derive(Serialize, ToSchema)]
pub struct Timeline {
    #[schema(value_type = String, example = "ver_06hzjqd1nbrm4q9a5c2kt7x80g")]
    verification_id: VerificationId,
    events: Vec<Line>,
}

/// One thing that happened.
#[derive(Serialize, ToSchema)]
#[schema(as = TimelineEvent)]
pub struct Line {
    #[schema(value_type = String, example = "evt_06hzjqd1nbrm4q9a5c2kt7x80g")]
    id: EventId,
    /// From 1, without gaps.
    seq: u32,
    r#type: Kind,
    /// When it happened here.
    at: Time,
    /// When the provider says it happened.
    reported_at: Option<Time>,
    /// `app`, `twotick`, `operator` or the name of the channel whose provider told it.
    #[schema(example = "whatsapp")]
    source: String,
    #[schema(value_type = Option<String>)]
    message_id: Option<MessageId>,
    /// `true` marks a report that changed nothing; otherwise absent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
    /// One plain sentence.
    #[schema(example = "whatsapp reported that the message was delivered.")]
    text: String,
    /// What the type adds; a stale report is marked here too.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    data: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TimelineEventType)]
pub enum Kind {
    Requested,
    MessageQueued,
    SendStarted,
    SendAccepted,
    SendRefused,
    SendInDoubt,
    StatusSent,
    StatusDelivered,
    StatusRead,
    StatusFailed,
    FellBack,
    GaveUp,
    CheckPassed,
    CheckFailed,
    ChecksExhausted,
    ResendRequested,
    StepSkipped,
    ReplyReceived,
    CodeDisowned,
    Expired,
    Canceled,
    OperatorActed,
}

/// `events` are those of `snapshot`'s verification, or more that came since.
pub fn lines(snapshot: &Snapshot, events: &[Event]) -> Vec<Line> {
    let mut before: Option<&Fact> = None;
    let mut state = State::New;
    let mut lines = Vec::with_capacity(events.len());
    for (seq, event) in (1..).zip(events) {
        state = evolve(state, event);
        let State::Known(verification) = &state else { continue };
        let now = Snapshot { verification: (**verification).clone(), policy: snapshot.policy.clone() };
        lines.push(Writer { now: &now, before, at: event.at }.line(seq, &event.fact));
        before = Some(&event.fact);
    }
    lines
}

/// Writes one line: what happened, in the state that it led to.
struct Writer<'a> {
    now: &'a Snapshot,
    before: Option<&'a Fact>,
    at: Timestamp,
}

/// A line's parts that depend on what happened.
struct Told {
    kind: Kind,
    source: String,
    message: Option<Ordinal>,
    text: String,
    data: Value,
}

const APP: &str = "app";
const TWOTICK: &str = "twotick";
const OPERATOR: &str = "operator";

impl Writer<'_> {
    fn line(&self, seq: u32, fact: &Fact) -> Line {
        let told = self.tell(fact);
        let id = self.now.verification.id();
        let reported_at =
            if let Fact::Reported { reported_at, .. } = fact { reported_at.map(Time) } else { None };
        Line {
            id: id.event(self.at, seq),
            seq,
            r#type: told.kind,
            at: Time(self.at),
            reported_at,
            source: told.source,
            message_id: told.message.map(|message| id.message(message)),
            stale: matches!(
                fact,
                Fact::Reported { standing: Standing::Stale, .. }
                    | Fact::ReplyReceived { standing: Standing::Stale, .. }
                    | Fact::CodeDisowned { standing: Standing::Stale, .. }
            ),
            text: told.text,
            data: if let Value::Object(data) = told.data { data } else { Map::new() },
        }
    }

    fn tell(&self, fact: &Fact) -> Told {
        match fact {
            Fact::Requested { request, expires_at } => Told {
                kind: Kind::Requested,
                source: APP.to_owned(),
                message: None,
                text: format!("The app asked for a code under the profile {}.", self.now.policy.profile),
                data: json!({ "profile": self.now.policy.profile, "locale": request.locale,
                    "country": request.country, "expires_at": Time(*expires_at) }),
            },
            Fact::MessageQueued { message, step, channel, occasion, fallback_at } => self.ours(
                Kind::MessageQueued,
                Some(*message),
                match occasion {
                    Occasion::Step => format!("A message by {channel} was queued."),
                    Occasion::Resend => format!("The same code was queued once more, by {channel}."),
                    Occasion::Doubt => format!(
                        "Nobody knows whether the last message went out, so the same code was queued again, by {channel}."
                    ),
                },
                json!({ "channel": channel, "step": step, "occasion": occasion,
                    "fallback_at": fallback_at.map(Time) }),
            ),
            Fact::SendStarted { message, attempt } => self.ours(
                Kind::SendStarted,
                Some(*message),
                format!("Request {attempt} to {} went out.", self.channel(*message)),
                json!({ "channel": self.channel(*message), "attempt": attempt }),
            ),
            Fact::SendAccepted { message, attempt, provider_ref } => self.theirs(
                Kind::SendAccepted,
                *message,
                format!("{} accepted the message.", self.channel(*message)),
                json!({ "attempt": attempt, "provider_ref": provider_ref.as_str() }),
            ),
            Fact::SendRefused { message, attempt, error, retry_at } => {
                let mut text = format!("{} refused the message{}.", self.channel(*message), because(error));
                if let Some(at) = retry_at {
                    let _ = write!(text, " It is tried again {:.1} s later.", at.since(self.at).as_secs_f32());
                }
                let data = json!({ "attempt": attempt, "error": error, "retry_at": retry_at.map(Time) });
                self.theirs(Kind::SendRefused, *message, text, data)
            }
            Fact::SendInDoubt { message, attempt, error, settle_by } => self.ours(
                Kind::SendInDoubt,
                Some(*message),
                format!(
                    "Nobody knows whether {} sent the message{}; it is not sent again blindly.",
                    self.channel(*message),
                    because(error)
                ),
                json!({ "attempt": attempt, "error": error, "settle_by": settle_by.map(Time) }),
            ),
            Fact::Reported { message, status, standing, .. } => self.report(*message, status, *standing),
            Fact::FellBack { message, to_step, reason } => self.fell_back(*message, *to_step, *reason),
            Fact::StepSkipped { message } => self.ours(
                Kind::StepSkipped,
                Some(*message),
                format!(
                    "{} was skipped, because it refused our sender a moment ago.",
                    self.channel(*message)
                ),
                json!({ "channel": self.channel(*message) }),
            ),
            Fact::GaveUp => self.ours(
                Kind::GaveUp,
                None,
                "Every step failed; there is nothing more to try. The code stays good until it expires.",
                json!({}),
            ),
            Fact::CheckPassed => {
                self.apps(Kind::CheckPassed, "The right code was checked.", json!({}))
            }
            Fact::CheckFailed => {
                let left = checks_left(self.now);
                self.apps(
                    Kind::CheckFailed,
                    format!("A wrong code was checked; {left} more may be tried."),
                    json!({ "checks_left": left }),
                )
            }
            Fact::ChecksExhausted => self.ours(
                Kind::ChecksExhausted,
                None,
                "Too many wrong codes were checked; the code is no longer good.",
                json!({ "max_checks": self.now.policy.max_checks }),
            ),
            Fact::ResendRequested { channel } => self.apps(
                Kind::ResendRequested,
                match channel {
                    Some(channel) => format!("The app asked for the code once more, by {channel}."),
                    None => "The app asked for the code once more.".to_owned(),
                },
                json!({ "channel": channel }),
            ),
            Fact::ReplyReceived { message, kind, standing } => {
                let text = "The person wrote back.";
                self.persons(Kind::ReplyReceived, *message, text, json!({ "kind": kind })).marked(*standing)
            }
            Fact::CodeDisowned { message, standing } => {
                let text = "The person says that they did not ask for a code.";
                self.persons(Kind::CodeDisowned, *message, text, json!({})).marked(*standing)
            }
            Fact::Expired => self.ours(Kind::Expired, None, "The code expired.", json!({})),
            Fact::Canceled => match self.before {
                Some(Fact::CodeDisowned { standing: Standing::Applied, .. }) => self.ours(
                    Kind::Canceled,
                    None,
                    "The verification was canceled, because the person did not ask for it.",
                    json!({ "reason": "code_disowned" }),
                ),
                Some(_) | None => self.apps(
                    Kind::Canceled,
                    "The app canceled the verification.",
                    json!({ "reason": "requested" }),
                ),
            },
            Fact::OperatorActed { by, action, .. } => Told {
                kind: Kind::OperatorActed,
                source: OPERATOR.to_owned(),
                message: None,
                text: match action {
                    OperatorAction::Reveal => format!("{by} of the staff looked at the number."),
                    OperatorAction::Resend => format!("{by} of the staff asked for the code once more."),
                    OperatorAction::Next => format!("{by} of the staff asked for the next step."),
                    OperatorAction::Cancel => format!("{by} of the staff canceled the verification."),
                },
                data: json!({ "by": by, "action": action.as_str() }),
            },
        }
    }

    fn report(&self, message: Ordinal, status: &ReportStatus, standing: Standing) -> Told {
        let channel = self.channel(message);
        let (kind, what, error) = match status {
            ReportStatus::Sent => (Kind::StatusSent, "was sent".to_owned(), None),
            ReportStatus::Delivered => (Kind::StatusDelivered, "was delivered".to_owned(), None),
            ReportStatus::Read => (Kind::StatusRead, "was read".to_owned(), None),
            ReportStatus::Failed(error) => {
                (Kind::StatusFailed, format!("failed{}", because(error)), Some(error))
            }
        };
        let mut data = json!({ "channel": channel });
        if let Some(error) = error {
            data["error"] = json!(error);
        }
        let text = format!("{channel} reported that the message {what}.");
        self.theirs(kind, message, text, data).marked(standing)
    }

    fn fell_back(&self, message: Ordinal, to_step: u8, reason: FallbackReason) -> Told {
        let from = self.channel(message);
        let to = self.now.policy.steps.get(usize::from(to_step));
        let to = to.map_or_else(String::new, |step| step.channel.to_string());
        let why = match reason {
            FallbackReason::Deadline => format!("{from} delivered nothing in time"),
            FallbackReason::Failed => format!("{from} reported a failure"),
            FallbackReason::Refused => format!("{from} did not take the message"),
            FallbackReason::InDoubt => format!("nobody knows what became of the message by {from}"),
            FallbackReason::Requested => "the app asked for the next step".to_owned(),
        };
        let data = json!({ "reason": reason.as_str(), "from": from, "to": to, "to_step": to_step });
        let mut told = self.ours(Kind::FellBack, Some(message), format!("On to {to}, because {why}."), data);
        if reason == FallbackReason::Requested {
            told.source = APP.to_owned();
        }
        told
    }

    fn apps(&self, kind: Kind, text: impl Into<String>, data: Value) -> Told {
        Told { kind, source: APP.to_owned(), message: None, text: text.into(), data }
    }

    fn ours(&self, kind: Kind, message: Option<Ordinal>, text: impl Into<String>, data: Value) -> Told {
        Told { kind, source: TWOTICK.to_owned(), message, text: text.into(), data }
    }

    fn theirs(&self, kind: Kind, message: Ordinal, text: impl Into<String>, data: Value) -> Told {
        Told { kind, source: self.channel(message), message: Some(message), text: text.into(), data }
    }

    fn persons(&self, kind: Kind, message: Option<Ordinal>, text: &str, data: Value) -> Told {
        match message {
            Some(message) => self.theirs(kind, message, text, data),
            None => self.ours(kind, None, text, data),
        }
    }

    fn channel(&self, message: Ordinal) -> String {
        let message = self.now.verification.message(message);
        message.map_or_else(|| TWOTICK.to_owned(), |message| message.channel.to_string())
    }
}

impl Told {
    /// What was known already says so.
    fn marked(mut self, standing: Standing) -> Self {
        match standing {
            Standing::Applied => {}
            Standing::Stale => {
                self.data["stale"] = json!(true);
                self.text.push_str(" That changed nothing: it was known, or older than what was known.");
            }
        }
        self
    }
}

/// ` (131026, Message undeliverable)`
fn because(error: &DeliveryError) -> String {
    if error.title.is_empty() {
        format!(" ({})", error.code)
    } else {
        format!(" ({}, {})", error.code, error.title)
    }
}
