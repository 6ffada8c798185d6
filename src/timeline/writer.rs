//! Converts an event into its line: kind, source and data.

use serde_json::{Map, Value, json};

use super::route::Route;
use super::sentence::{Initiator, Sentence};
use super::{EventKind, Line, english, german};
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
    kind: EventKind,
    source: &'a str,
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
        let stale = fact.standing() == Standing::Stale;
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
            message: fact.message().map(|message| id.message(message)),
            stale,
            text: match language {
                Language::English => english::sentence(&parts.sentence),
                Language::German => german::sentence(&parts.sentence),
            },
            data,
            explanation: parts
                .error
                .and_then(|error| self.route(self.channel(fact.message())).explain(error)),
            error: parts.error.cloned(),
        }
    }

    fn line_parts(&self, fact: &'a Fact) -> LineParts<'a> {
        // The channel of the message that it is about.
        let channel = self.channel(fact.message());
        let route = self.route(channel);
        match fact {
            Fact::Requested { request, expires_at } => LineParts {
                data: json!({ "profile": self.policy.profile,
                    "locale": self.policy.locale_of(0, request.locale.as_deref()),
                    "requested_locale": request.locale,
                    "country": request.country, "expires_at": time(*expires_at) }),
                ..basic_parts(
                    EventKind::Requested,
                    APP,
                    Sentence::Requested { profile: &self.policy.profile },
                )
            },
            Fact::MessageQueued { message: _, step, channel, occasion, fallback_at } => LineParts {
                data: json!({ "channel": channel, "step": step, "occasion": occasion,
                    "fallback_at": fallback_at.map(time) }),
                ..basic_parts(
                    EventKind::MessageQueued,
                    TWOTICK,
                    Sentence::Queued { route, occasion: *occasion },
                )
            },
            Fact::SendStarted { attempt, .. } => LineParts {
                data: json!({ "channel": channel, "attempt": attempt }),
                ..basic_parts(
                    EventKind::SendStarted,
                    TWOTICK,
                    Sentence::SendStarted { route, attempt: *attempt },
                )
            },
            Fact::SendAccepted { attempt, provider_ref, .. } => LineParts {
                data: json!({ "attempt": attempt, "provider_ref": provider_ref.as_ref().map(ProviderRef::as_str) }),
                ..basic_parts(EventKind::SendAccepted, channel, Sentence::Accepted { route })
            },
            Fact::SendRefused { attempt, error, retry_at, .. } => {
                let retry_in = retry_at.map(|at| at.since(self.at));
                LineParts {
                    data: json!({ "attempt": attempt, "error": error, "retry_at": retry_at.map(time) }),
                    error: Some(error),
                    ..basic_parts(
                        EventKind::SendRefused,
                        channel,
                        Sentence::Refused { route, error, retry_in },
                    )
                }
            }
            Fact::SendInDoubt { attempt, error, settle_by, .. } => LineParts {
                data: json!({ "attempt": attempt, "error": error, "settle_by": settle_by.map(time) }),
                error: Some(error),
                ..basic_parts(EventKind::SendInDoubt, TWOTICK, Sentence::InDoubt { route, error })
            },
            Fact::Reported { status, standing, .. } => reported(route, status, *standing),
            Fact::FellBack { to_step, reason, .. } => self.fell_back(route, *to_step, *reason),
            Fact::StepSkipped { .. } => LineParts {
                data: json!({ "channel": channel }),
                ..basic_parts(EventKind::StepSkipped, TWOTICK, Sentence::Skipped { route })
            },
            Fact::GaveUp => basic_parts(EventKind::GaveUp, TWOTICK, Sentence::GaveUp),
            Fact::CheckPassed => basic_parts(EventKind::CheckPassed, APP, Sentence::CheckPassed),
            Fact::CheckFailed => {
                let left = self.policy.checks_left(self.verification.failed_checks);
                LineParts {
                    data: json!({ "checks_left": left }),
                    ..basic_parts(EventKind::CheckFailed, APP, Sentence::CheckFailed { left })
                }
            }
            Fact::ChecksExhausted => LineParts {
                data: json!({ "max_checks": self.policy.max_checks }),
                ..basic_parts(EventKind::ChecksExhausted, TWOTICK, Sentence::ChecksExhausted)
            },
            Fact::ResendRequested { channel } => {
                let initiator = self.initiator();
                let route = channel.as_ref().map(|name| self.route(name.as_str()));
                let sentence = Sentence::ResendRequested { route, initiator };
                LineParts {
                    data: json!({ "channel": channel }),
                    ..basic_parts(EventKind::ResendRequested, source(initiator), sentence)
                }
            }
            Fact::ReplyReceived { kind, standing, .. } => LineParts {
                data: json!({ "kind": kind }),
                ..basic_parts(EventKind::ReplyReceived, channel, Sentence::Replied { standing: *standing })
            },
            Fact::CodeDisowned { standing, aim, .. } => LineParts {
                data: match aim {
                    Aim::This => json!({}),
                    Aim::Perhaps => json!({ "certain": false }),
                },
                ..basic_parts(
                    EventKind::CodeDisowned,
                    channel,
                    Sentence::Disowned { standing: *standing, aim: *aim },
                )
            },
            Fact::OperatorActed { by, action, .. } => LineParts {
                data: json!({ "by": by.as_str(), "action": action.as_str() }),
                ..basic_parts(
                    EventKind::OperatorActed,
                    OPERATOR,
                    Sentence::OperatorActed { by, action: *action },
                )
            },
            Fact::Expired => basic_parts(EventKind::Expired, TWOTICK, Sentence::Expired),
            Fact::Canceled => self.canceled(),
            Fact::Abandoned { reason } => LineParts {
                data: json!({ "reason": reason.as_str() }),
                ..basic_parts(EventKind::Canceled, TWOTICK, Sentence::Abandoned { reason: *reason })
            },
            Fact::Erased => basic_parts(EventKind::Erased, OPERATOR, Sentence::Erased),
        }
    }

    fn fell_back(&self, from: Route<'a>, to_step: u8, reason: FallbackReason) -> LineParts<'a> {
        let to = self.policy.steps.get(usize::from(to_step)).map_or("", |step| step.channel.as_str());
        let initiator = self.initiator();
        let source = if reason == FallbackReason::Requested { source(initiator) } else { TWOTICK };
        LineParts {
            data: json!({ "reason": reason.as_str(), "from": from.channel, "to": to, "to_step": to_step }),
            ..basic_parts(
                EventKind::FellBack,
                source,
                Sentence::FellBack { from, to: self.route(to), reason, initiator },
            )
        }
    }

    fn canceled(&self) -> LineParts<'a> {
        if let Some(Fact::CodeDisowned { standing: Standing::Applied, aim: Aim::This, .. }) = self.before {
            return LineParts {
                data: json!({ "reason": "code_disowned" }),
                ..basic_parts(EventKind::Canceled, TWOTICK, Sentence::CanceledAsDisowned)
            };
        }
        let initiator = self.initiator();
        LineParts {
            data: json!({ "reason": "requested" }),
            ..basic_parts(EventKind::Canceled, source(initiator), Sentence::Canceled { initiator })
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

    fn route(&self, channel: &'a str) -> Route<'a> {
        Route::of(self.policy, channel)
    }

    /// `twotick` where there is no such message.
    fn channel(&self, message: Option<Ordinal>) -> &'a str {
        let message = message.and_then(|message| self.verification.message(message));
        message.map_or(TWOTICK, |message| message.channel.as_str())
    }
}

fn reported<'a>(route: Route<'a>, status: &'a ReportStatus, standing: Standing) -> LineParts<'a> {
    let (kind, error) = match status {
        ReportStatus::Sent => (EventKind::StatusSent, None),
        ReportStatus::Delivered => (EventKind::StatusDelivered, None),
        ReportStatus::Read => (EventKind::StatusRead, None),
        ReportStatus::Failed(error) => (EventKind::StatusFailed, Some(error)),
        ReportStatus::Unknown(_) => (EventKind::StatusUnknown, None),
    };
    let mut data = json!({ "channel": route.channel });
    if let ReportStatus::Unknown(word) = status {
        data["status"] = json!(word);
    }
    if let Some(error) = error {
        data["error"] = json!(error);
    }
    LineParts {
        data,
        error,
        ..basic_parts(kind, route.channel, Sentence::Reported { route, status, standing })
    }
}

fn basic_parts<'a>(kind: EventKind, source: &'a str, sentence: Sentence<'a>) -> LineParts<'a> {
    LineParts { kind, source, sentence, data: json!({}), error: None }
}

fn source(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::App => APP,
        Initiator::Operator => OPERATOR,
    }
}

/// RFC 3339, as in all interfaces.
fn time(at: Timestamp) -> String {
    at.to_string()
}
