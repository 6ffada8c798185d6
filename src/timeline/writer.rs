//! From an event to its line: what it is, who said it, and what its data are.

use serde_json::{Map, Value, json};

use super::saying::{Asker, Saying};
use super::way::Way;
use super::{Kind, Line, english, german};
use crate::explain::Explanation;
use crate::language::Language;
use crate::verification::event::{Aim, FallbackReason, OperatorAction, Standing};
use crate::verification::values::{DeliveryError, Ordinal, ProviderRef, ReportStatus, Timestamp};
use crate::verification::{Fact, Policy, Verification};

/// The state that an event led to.
pub(super) struct Now<'a> {
    pub(super) verification: &'a Verification,
    pub(super) policy: &'a Policy,
    /// What happened right before.
    pub(super) before: Option<&'a Fact>,
    pub(super) at: Timestamp,
}

/// A line's parts that depend on what happened.
struct Told<'a> {
    kind: Kind,
    source: &'a str,
    message: Option<Ordinal>,
    saying: Saying<'a>,
    data: Value,
    error: Option<&'a DeliveryError>,
}

const APP: &str = "app";
const TWOTICK: &str = "twotick";
const OPERATOR: &str = "operator";

impl<'a> Now<'a> {
    pub(super) fn line(&self, seq: u32, fact: &'a Fact, language: Language) -> Line {
        let told = self.tell(fact);
        let id = self.verification.id();
        let stale = standing(fact) == Standing::Stale;
        let mut data = if let Value::Object(data) = told.data { data } else { Map::new() };
        if stale {
            data.insert("stale".to_owned(), Value::Bool(true));
        }
        Line {
            id: id.event(self.at, seq),
            seq,
            kind: told.kind,
            at: self.at,
            reported_at: if let Fact::Reported { reported_at, .. } = fact { *reported_at } else { None },
            source: told.source.to_owned(),
            message: told.message.map(|message| id.message(message)),
            stale,
            text: match language {
                Language::English => english::sentence(&told.saying),
                Language::German => german::sentence(&told.saying),
            },
            data,
            explanation: told.error.and_then(|error| self.explain(told.message, error)),
            error: told.error.cloned(),
        }
    }

    fn tell(&self, fact: &'a Fact) -> Told<'a> {
        match fact {
            Fact::Requested { request, expires_at } => Told {
                data: json!({ "profile": self.policy.profile,
                    "locale": self.policy.locale_of(0, request.locale.as_deref()),
                    "requested_locale": request.locale,
                    "country": request.country, "expires_at": time(*expires_at) }),
                ..said(Kind::Requested, APP, Saying::Requested { profile: &self.policy.profile })
            },
            Fact::MessageQueued { message, step, channel, occasion, fallback_at } => Told {
                message: Some(*message),
                data: json!({ "channel": channel, "step": step, "occasion": occasion,
                    "fallback_at": fallback_at.map(time) }),
                ..said(
                    Kind::MessageQueued,
                    TWOTICK,
                    Saying::Queued { way: self.way(channel.as_str()), occasion: *occasion },
                )
            },
            Fact::SendStarted { message, attempt, runner: _ } => {
                let channel = self.channel(*message);
                Told {
                    message: Some(*message),
                    data: json!({ "channel": channel, "attempt": attempt }),
                    ..said(
                        Kind::SendStarted,
                        TWOTICK,
                        Saying::SendStarted { way: self.way(channel), attempt: *attempt },
                    )
                }
            }
            Fact::SendAccepted { message, attempt, provider_ref, aliases: _ } => {
                let channel = self.channel(*message);
                Told {
                    message: Some(*message),
                    data: json!({ "attempt": attempt, "provider_ref": provider_ref.as_ref().map(ProviderRef::as_str) }),
                    ..said(Kind::SendAccepted, channel, Saying::Accepted { way: self.way(channel) })
                }
            }
            Fact::SendRefused { message, attempt, error, retry_at } => {
                let channel = self.channel(*message);
                let retry_in = retry_at.map(|at| at.since(self.at));
                Told {
                    message: Some(*message),
                    data: json!({ "attempt": attempt, "error": error, "retry_at": retry_at.map(time) }),
                    error: Some(error),
                    ..said(
                        Kind::SendRefused,
                        channel,
                        Saying::Refused { way: self.way(channel), error, retry_in },
                    )
                }
            }
            Fact::SendInDoubt { message, attempt, error, settle_by } => {
                let channel = self.channel(*message);
                Told {
                    message: Some(*message),
                    data: json!({ "attempt": attempt, "error": error, "settle_by": settle_by.map(time) }),
                    error: Some(error),
                    ..said(Kind::SendInDoubt, TWOTICK, Saying::InDoubt { way: self.way(channel), error })
                }
            }
            Fact::Reported { message, status, standing, .. } => self.reported(*message, status, *standing),
            Fact::FellBack { message, to_step, reason } => self.fell_back(*message, *to_step, *reason),
            Fact::StepSkipped { message } => {
                let channel = self.channel(*message);
                Told {
                    message: Some(*message),
                    data: json!({ "channel": channel }),
                    ..said(Kind::StepSkipped, TWOTICK, Saying::Skipped { way: self.way(channel) })
                }
            }
            Fact::GaveUp => said(Kind::GaveUp, TWOTICK, Saying::GaveUp),
            Fact::CheckPassed => said(Kind::CheckPassed, APP, Saying::CheckPassed),
            Fact::CheckFailed => {
                let left = self.policy.checks_left(self.verification.failed_checks);
                Told {
                    data: json!({ "checks_left": left }),
                    ..said(Kind::CheckFailed, APP, Saying::CheckFailed { left })
                }
            }
            Fact::ChecksExhausted => Told {
                data: json!({ "max_checks": self.policy.max_checks }),
                ..said(Kind::ChecksExhausted, TWOTICK, Saying::ChecksExhausted)
            },
            Fact::ResendRequested { channel } => {
                let asker = self.asker();
                let way = channel.as_ref().map(|name| self.way(name.as_str()));
                let saying = Saying::ResendRequested { way, asker };
                Told {
                    data: json!({ "channel": channel }),
                    ..said(Kind::ResendRequested, source(asker), saying)
                }
            }
            Fact::ReplyReceived { message, kind, standing } => Told {
                message: *message,
                data: json!({ "kind": kind }),
                ..said(Kind::ReplyReceived, self.teller(*message), Saying::Replied { standing: *standing })
            },
            Fact::CodeDisowned { message, standing, aim } => Told {
                message: *message,
                data: match aim {
                    Aim::This => json!({}),
                    Aim::Perhaps => json!({ "certain": false }),
                },
                ..said(
                    Kind::CodeDisowned,
                    self.teller(*message),
                    Saying::Disowned { standing: *standing, aim: *aim },
                )
            },
            Fact::OperatorActed { by, action, .. } => Told {
                data: json!({ "by": by.as_str(), "action": action.as_str() }),
                ..said(Kind::OperatorActed, OPERATOR, Saying::OperatorActed { by, action: *action })
            },
            Fact::Expired => said(Kind::Expired, TWOTICK, Saying::Expired),
            Fact::Canceled => self.canceled(),
            Fact::Abandoned { reason } => Told {
                data: json!({ "reason": reason.as_str() }),
                ..said(Kind::Canceled, TWOTICK, Saying::Abandoned { reason: *reason })
            },
            Fact::Erased => said(Kind::Erased, OPERATOR, Saying::Erased),
        }
    }

    fn reported(&self, message: Ordinal, status: &'a ReportStatus, standing: Standing) -> Told<'a> {
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
        Told {
            message: Some(message),
            data,
            error,
            ..said(kind, channel, Saying::Reported { way: self.way(channel), status, standing })
        }
    }

    fn fell_back(&self, message: Ordinal, to_step: u8, reason: FallbackReason) -> Told<'a> {
        let from = self.channel(message);
        let to = self.policy.steps.get(usize::from(to_step)).map_or("", |step| step.channel.as_str());
        let asker = self.asker();
        let source = if reason == FallbackReason::Requested { source(asker) } else { TWOTICK };
        Told {
            message: Some(message),
            data: json!({ "reason": reason.as_str(), "from": from, "to": to, "to_step": to_step }),
            ..said(
                Kind::FellBack,
                source,
                Saying::FellBack { from: self.way(from), to: self.way(to), reason, asker },
            )
        }
    }

    fn canceled(&self) -> Told<'a> {
        if let Some(Fact::CodeDisowned { standing: Standing::Applied, aim: Aim::This, .. }) = self.before {
            return Told {
                data: json!({ "reason": "code_disowned" }),
                ..said(Kind::Canceled, TWOTICK, Saying::CanceledAsDisowned)
            };
        }
        let asker = self.asker();
        Told {
            data: json!({ "reason": "requested" }),
            ..said(Kind::Canceled, source(asker), Saying::Canceled { asker })
        }
    }

    /// On whose wish the present event happened, if on anybody's: an operator's act that is carried out stands right
    /// in front of it, in the same commit. Nothing follows from a look at the number.
    fn asker(&self) -> Asker {
        match self.before {
            Some(Fact::OperatorActed { action, .. }) => match action {
                OperatorAction::Reveal => Asker::App,
                OperatorAction::Resend | OperatorAction::Next | OperatorAction::Cancel => Asker::Operator,
            },
            Some(Fact::Erased) => Asker::Operator,
            Some(_) | None => Asker::App,
        }
    }

    /// Who tells of what a person wrote: the channel of the message that it answers.
    fn teller(&self, message: Option<Ordinal>) -> &'a str {
        message.map_or(TWOTICK, |message| self.channel(message))
    }

    fn explain(&self, message: Option<Ordinal>, error: &DeliveryError) -> Option<&'static Explanation> {
        self.way(self.channel(message?)).explain(error)
    }

    fn way(&self, channel: &'a str) -> Way<'a> {
        Way::of(self.policy, channel)
    }

    fn channel(&self, message: Ordinal) -> &'a str {
        self.verification.message(message).map_or(TWOTICK, |message| message.channel.as_str())
    }
}

fn said<'a>(kind: Kind, source: &'a str, saying: Saying<'a>) -> Told<'a> {
    Told { kind, source, message: None, saying, data: json!({}), error: None }
}

fn source(asker: Asker) -> &'static str {
    match asker {
        Asker::App => APP,
        Asker::Operator => OPERATOR,
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

/// As every interface of ours writes time.
fn time(at: Timestamp) -> String {
    at.to_string()
}
