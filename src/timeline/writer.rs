//! Converts an event into its line: kind, source and data.

use serde_json::{Map, Value, json};

use super::route::Route;
use super::sentence::{Initiator, Sentence};
use super::{Kind, Line, english, german};
use crate::explain::Explanation;
use crate::language::Language;
use crate::verification::event::{Aim, FallbackReason, OperatorAction, Standing};
use crate::verification::values::{DeliveryError, Ordinal, ProviderRef, ReportStatus, Timestamp};
use crate::verification::{Fact, Policy, Verification};

/// The context of an event: the state after it.
pub(super) struct EventContext<'a> {
    pub(super) verification: &'a Verification,
    pub(super) policy: &'a Policy,
    /// The previous event.
    pub(super) before: Option<&'a Fact>,
    pub(super) at: Timestamp,
}

/// The parts of a line that depend on the event.
struct LineParts<'a> {
    kind: Kind,
    source: &'a str,
    message: Option<Ordinal>,
    sentence: Sentence<'a>,
    data: Value,
    error: Option<&'a DeliveryError>,
}

const APP: &str = "app";
const TWOTICK: &str = "twotick";
const OPERATOR: &str = "operator";

impl<'a> EventContext<'a> {
    pub(super) fn line(&self, seq: u32, fact: &'a Fact, language: Language) -> Line {
        let parts = self.line_parts(fact);
        let id = self.verification.id();
        let stale = standing(fact) == Standing::Stale;
        let mut data = if let Value::Object(data) = parts.data { data } else { Map::new() };
        if stale {
            data.insert("stale".to_owned(), Value::Bool(true));
        }
        Line {
            id: id.event(self.at, seq),
            seq,
            kind: parts.kind,
            at: self.at,
            reported_at: if let Fact::Reported { reported_at, .. } = fact { *reported_at } else { None },
            source: parts.source.to_owned(),
            message: parts.message.map(|message| id.message(message)),
            stale,
            text: match language {
                Language::English => english::sentence(&parts.sentence),
                Language::German => german::sentence(&parts.sentence),
            },
            data,
            explanation: parts.error.and_then(|error| self.explain(parts.message, error)),
            error: parts.error.cloned(),
        }
    }

    fn line_parts(&self, fact: &'a Fact) -> LineParts<'a> {
        match fact {
            Fact::Requested { request, expires_at } => LineParts {
                data: json!({ "profile": self.policy.profile,
                    "locale": self.policy.locale_of(0, request.locale.as_deref()),
                    "requested_locale": request.locale,
                    "country": request.country, "expires_at": time(*expires_at) }),
                ..basic_parts(Kind::Requested, APP, Sentence::Requested { profile: &self.policy.profile })
            },
            Fact::MessageQueued { message, step, channel, occasion, fallback_at } => LineParts {
                message: Some(*message),
                data: json!({ "channel": channel, "step": step, "occasion": occasion,
                    "fallback_at": fallback_at.map(time) }),
                ..basic_parts(
                    Kind::MessageQueued,
                    TWOTICK,
                    Sentence::Queued { route: self.route(channel.as_str()), occasion: *occasion },
                )
            },
            Fact::SendStarted { message, attempt } => {
                let channel = self.channel(*message);
                LineParts {
                    message: Some(*message),
                    data: json!({ "channel": channel, "attempt": attempt }),
                    ..basic_parts(
                        Kind::SendStarted,
                        TWOTICK,
                        Sentence::SendStarted { route: self.route(channel), attempt: *attempt },
                    )
                }
            }
            Fact::SendAccepted { message, attempt, provider_ref, aliases: _ } => {
                let channel = self.channel(*message);
                LineParts {
                    message: Some(*message),
                    data: json!({ "attempt": attempt, "provider_ref": provider_ref.as_ref().map(ProviderRef::as_str) }),
                    ..basic_parts(
                        Kind::SendAccepted,
                        channel,
                        Sentence::Accepted { route: self.route(channel) },
                    )
                }
            }
            Fact::SendRefused { message, attempt, error, retry_at } => {
                let channel = self.channel(*message);
                let retry_in = retry_at.map(|at| at.since(self.at));
                LineParts {
                    message: Some(*message),
                    data: json!({ "attempt": attempt, "error": error, "retry_at": retry_at.map(time) }),
                    error: Some(error),
                    ..basic_parts(
                        Kind::SendRefused,
                        channel,
                        Sentence::Refused { route: self.route(channel), error, retry_in },
                    )
                }
            }
            Fact::SendInDoubt { message, attempt, error, settle_by } => {
                let channel = self.channel(*message);
                LineParts {
                    message: Some(*message),
                    data: json!({ "attempt": attempt, "error": error, "settle_by": settle_by.map(time) }),
                    error: Some(error),
                    ..basic_parts(
                        Kind::SendInDoubt,
                        TWOTICK,
                        Sentence::InDoubt { route: self.route(channel), error },
                    )
                }
            }
            Fact::Reported { message, status, standing, .. } => self.reported(*message, status, *standing),
            Fact::FellBack { message, to_step, reason } => self.fell_back(*message, *to_step, *reason),
            Fact::StepSkipped { message } => {
                let channel = self.channel(*message);
                LineParts {
                    message: Some(*message),
                    data: json!({ "channel": channel }),
                    ..basic_parts(
                        Kind::StepSkipped,
                        TWOTICK,
                        Sentence::Skipped { route: self.route(channel) },
                    )
                }
            }
            Fact::GaveUp => basic_parts(Kind::GaveUp, TWOTICK, Sentence::GaveUp),
            Fact::CheckPassed => basic_parts(Kind::CheckPassed, APP, Sentence::CheckPassed),
            Fact::CheckFailed => {
                let left = self.policy.checks_left(self.verification.failed_checks);
                LineParts {
                    data: json!({ "checks_left": left }),
                    ..basic_parts(Kind::CheckFailed, APP, Sentence::CheckFailed { left })
                }
            }
            Fact::ChecksExhausted => LineParts {
                data: json!({ "max_checks": self.policy.max_checks }),
                ..basic_parts(Kind::ChecksExhausted, TWOTICK, Sentence::ChecksExhausted)
            },
            Fact::ResendRequested { channel } => {
                let initiator = self.initiator();
                let route = channel.as_ref().map(|name| self.route(name.as_str()));
                let sentence = Sentence::ResendRequested { route, initiator };
                LineParts {
                    data: json!({ "channel": channel }),
                    ..basic_parts(Kind::ResendRequested, source(initiator), sentence)
                }
            }
            Fact::ReplyReceived { message, kind, standing } => LineParts {
                message: *message,
                data: json!({ "kind": kind }),
                ..basic_parts(
                    Kind::ReplyReceived,
                    self.reply_source(*message),
                    Sentence::Replied { standing: *standing },
                )
            },
            Fact::CodeDisowned { message, standing, aim } => LineParts {
                message: *message,
                data: match aim {
                    Aim::This => json!({}),
                    Aim::Perhaps => json!({ "certain": false }),
                },
                ..basic_parts(
                    Kind::CodeDisowned,
                    self.reply_source(*message),
                    Sentence::Disowned { standing: *standing, aim: *aim },
                )
            },
            Fact::OperatorActed { by, action, .. } => LineParts {
                data: json!({ "by": by.as_str(), "action": action.as_str() }),
                ..basic_parts(Kind::OperatorActed, OPERATOR, Sentence::OperatorActed { by, action: *action })
            },
            Fact::Expired => basic_parts(Kind::Expired, TWOTICK, Sentence::Expired),
            Fact::Canceled => self.canceled(),
            Fact::Abandoned { reason } => LineParts {
                data: json!({ "reason": reason.as_str() }),
                ..basic_parts(Kind::Canceled, TWOTICK, Sentence::Abandoned { reason: *reason })
            },
            Fact::Erased => basic_parts(Kind::Erased, OPERATOR, Sentence::Erased),
        }
    }

    fn reported(&self, message: Ordinal, status: &'a ReportStatus, standing: Standing) -> LineParts<'a> {
        let channel = self.channel(message);
        let (kind, error) = match status {
            ReportStatus::Sent => (Kind::StatusSent, None),
            ReportStatus::Delivered => (Kind::StatusDelivered, None),
            ReportStatus::Read => (Kind::StatusRead, None),
            ReportStatus::Failed(error) => (Kind::StatusFailed, Some(error)),
            ReportStatus::Unknown(_) => (Kind::StatusUnknown, None),
        };
        let mut data = json!({ "channel": channel });
        if let ReportStatus::Unknown(word) = status {
            data["status"] = json!(word);
        }
        if let Some(error) = error {
            data["error"] = json!(error);
        }
        LineParts {
            message: Some(message),
            data,
            error,
            ..basic_parts(kind, channel, Sentence::Reported { route: self.route(channel), status, standing })
        }
    }

    fn fell_back(&self, message: Ordinal, to_step: u8, reason: FallbackReason) -> LineParts<'a> {
        let from = self.channel(message);
        let to = self.policy.steps.get(usize::from(to_step)).map_or("", |step| step.channel.as_str());
        let initiator = self.initiator();
        let source = if reason == FallbackReason::Requested { source(initiator) } else { TWOTICK };
        LineParts {
            message: Some(message),
            data: json!({ "reason": reason.as_str(), "from": from, "to": to, "to_step": to_step }),
            ..basic_parts(
                Kind::FellBack,
                source,
                Sentence::FellBack { from: self.route(from), to: self.route(to), reason, initiator },
            )
        }
    }

    fn canceled(&self) -> LineParts<'a> {
        if let Some(Fact::CodeDisowned { standing: Standing::Applied, aim: Aim::This, .. }) = self.before {
            return LineParts {
                data: json!({ "reason": "code_disowned" }),
                ..basic_parts(Kind::Canceled, TWOTICK, Sentence::CanceledAsDisowned)
            };
        }
        let initiator = self.initiator();
        LineParts {
            data: json!({ "reason": "requested" }),
            ..basic_parts(Kind::Canceled, source(initiator), Sentence::Canceled { initiator })
        }
    }

    /// The initiator of the current event. An operator's action is recorded as the event before its effects, in the
    /// same commit. Viewing the number has no effects.
    fn initiator(&self) -> Initiator {
        match self.before {
            Some(Fact::OperatorActed { action, .. }) => match action {
                OperatorAction::Reveal => Initiator::App,
                OperatorAction::Resend | OperatorAction::Next | OperatorAction::Cancel => Initiator::Operator,
            },
            Some(Fact::Erased) => Initiator::Operator,
            Some(_) | None => Initiator::App,
        }
    }

    /// The source of an inbound message: the channel of the message it replies to.
    fn reply_source(&self, message: Option<Ordinal>) -> &'a str {
        message.map_or(TWOTICK, |message| self.channel(message))
    }

    fn explain(&self, message: Option<Ordinal>, error: &DeliveryError) -> Option<&'static Explanation> {
        self.route(self.channel(message?)).explain(error)
    }

    fn route(&self, channel: &'a str) -> Route<'a> {
        Route::of(self.policy, channel)
    }

    fn channel(&self, message: Ordinal) -> &'a str {
        self.verification.message(message).map_or(TWOTICK, |message| message.channel.as_str())
    }
}

fn basic_parts<'a>(kind: Kind, source: &'a str, sentence: Sentence<'a>) -> LineParts<'a> {
    LineParts { kind, source, message: None, sentence, data: json!({}), error: None }
}

fn source(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::App => APP,
        Initiator::Operator => OPERATOR,
    }
}

fn standing(fact: &Fact) -> Standing {
    match fact {
        Fact::Reported { standing, .. }
        | Fact::ReplyReceived { standing, .. }
        | Fact::CodeDisowned { standing, .. } => *standing,
        Fact::Requested { .. }
        | Fact::MessageQueued { .. }
        | Fact::SendStarted { .. }
        | Fact::SendAccepted { .. }
        | Fact::SendRefused { .. }
        | Fact::SendInDoubt { .. }
        | Fact::FellBack { .. }
        | Fact::StepSkipped { .. }
        | Fact::GaveUp
        | Fact::CheckPassed
        | Fact::CheckFailed
        | Fact::ChecksExhausted
        | Fact::ResendRequested { .. }
        | Fact::OperatorActed { .. }
        | Fact::Expired
        | Fact::Canceled
        | Fact::Abandoned { .. }
        | Fact::Erased => Standing::Applied,
    }
}

/// RFC 3339, as in all interfaces.
fn time(at: Timestamp) -> String {
    at.to_string()
}
