//! From an event to its line: what it is, who said it, and what its data are.

use serde_json::{Map, Value, json};

use super::saying::{Asker, Saying};
use super::way::Way;
use super::{EventKind, Line, english, german};
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
    kind: EventKind,
    source: &'a str,
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
        let stale = fact.standing() == Standing::Stale;
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
            message: fact.message().map(|message| id.message(message)),
            stale,
            text: match language {
                Language::English => english::sentence(&told.saying),
                Language::German => german::sentence(&told.saying),
            },
            data,
            explanation: told.error.and_then(|error| self.way(self.channel(fact.message())).explain(error)),
            error: told.error.cloned(),
        }
    }

    fn tell(&self, fact: &'a Fact) -> Told<'a> {
        // The channel of the message that it is about.
        let channel = self.channel(fact.message());
        let way = self.way(channel);
        match fact {
            Fact::Requested { request, expires_at } => Told {
                data: json!({ "profile": self.policy.profile,
                    "locale": self.policy.locale_of(0, request.locale.as_deref()),
                    "requested_locale": request.locale,
                    "country": request.country, "expires_at": time(*expires_at) }),
                ..said(EventKind::Requested, APP, Saying::Requested { profile: &self.policy.profile })
            },
            Fact::MessageQueued { message: _, step, channel, occasion, fallback_at } => Told {
                data: json!({ "channel": channel, "step": step, "occasion": occasion,
                    "fallback_at": fallback_at.map(time) }),
                ..said(EventKind::MessageQueued, TWOTICK, Saying::Queued { way, occasion: *occasion })
            },
            Fact::SendStarted { attempt, .. } => Told {
                data: json!({ "channel": channel, "attempt": attempt }),
                ..said(EventKind::SendStarted, TWOTICK, Saying::SendStarted { way, attempt: *attempt })
            },
            Fact::SendAccepted { attempt, provider_ref, .. } => Told {
                data: json!({ "attempt": attempt, "provider_ref": provider_ref.as_ref().map(ProviderRef::as_str) }),
                ..said(EventKind::SendAccepted, channel, Saying::Accepted { way })
            },
            Fact::SendRefused { attempt, error, retry_at, .. } => {
                let retry_in = retry_at.map(|at| at.since(self.at));
                Told {
                    data: json!({ "attempt": attempt, "error": error, "retry_at": retry_at.map(time) }),
                    error: Some(error),
                    ..said(EventKind::SendRefused, channel, Saying::Refused { way, error, retry_in })
                }
            }
            Fact::SendInDoubt { attempt, error, settle_by, .. } => Told {
                data: json!({ "attempt": attempt, "error": error, "settle_by": settle_by.map(time) }),
                error: Some(error),
                ..said(EventKind::SendInDoubt, TWOTICK, Saying::InDoubt { way, error })
            },
            Fact::Reported { status, standing, .. } => reported(way, status, *standing),
            Fact::FellBack { to_step, reason, .. } => self.fell_back(way, *to_step, *reason),
            Fact::StepSkipped { .. } => Told {
                data: json!({ "channel": channel }),
                ..said(EventKind::StepSkipped, TWOTICK, Saying::Skipped { way })
            },
            Fact::GaveUp => said(EventKind::GaveUp, TWOTICK, Saying::GaveUp),
            Fact::CheckPassed => said(EventKind::CheckPassed, APP, Saying::CheckPassed),
            Fact::CheckFailed => {
                let left = self.policy.checks_left(self.verification.failed_checks);
                Told {
                    data: json!({ "checks_left": left }),
                    ..said(EventKind::CheckFailed, APP, Saying::CheckFailed { left })
                }
            }
            Fact::ChecksExhausted => Told {
                data: json!({ "max_checks": self.policy.max_checks }),
                ..said(EventKind::ChecksExhausted, TWOTICK, Saying::ChecksExhausted)
            },
            Fact::ResendRequested { channel } => {
                let asker = self.asker();
                let way = channel.as_ref().map(|name| self.way(name.as_str()));
                let saying = Saying::ResendRequested { way, asker };
                Told {
                    data: json!({ "channel": channel }),
                    ..said(EventKind::ResendRequested, source(asker), saying)
                }
            }
            Fact::ReplyReceived { kind, standing, .. } => Told {
                data: json!({ "kind": kind }),
                ..said(EventKind::ReplyReceived, channel, Saying::Replied { standing: *standing })
            },
            Fact::CodeDisowned { standing, aim, .. } => Told {
                data: match aim {
                    Aim::This => json!({}),
                    Aim::Perhaps => json!({ "certain": false }),
                },
                ..said(EventKind::CodeDisowned, channel, Saying::Disowned { standing: *standing, aim: *aim })
            },
            Fact::OperatorActed { by, action, .. } => Told {
                data: json!({ "by": by.as_str(), "action": action.as_str() }),
                ..said(EventKind::OperatorActed, OPERATOR, Saying::OperatorActed { by, action: *action })
            },
            Fact::Expired => said(EventKind::Expired, TWOTICK, Saying::Expired),
            Fact::Canceled => self.canceled(),
            Fact::Abandoned { reason } => Told {
                data: json!({ "reason": reason.as_str() }),
                ..said(EventKind::Canceled, TWOTICK, Saying::Abandoned { reason: *reason })
            },
            Fact::Erased => said(EventKind::Erased, OPERATOR, Saying::Erased),
        }
    }

    fn fell_back(&self, from: Way<'a>, to_step: u8, reason: FallbackReason) -> Told<'a> {
        let to = self.policy.steps.get(usize::from(to_step)).map_or("", |step| step.channel.as_str());
        let asker = self.asker();
        let source = if reason == FallbackReason::Requested { source(asker) } else { TWOTICK };
        Told {
            data: json!({ "reason": reason.as_str(), "from": from.channel, "to": to, "to_step": to_step }),
            ..said(EventKind::FellBack, source, Saying::FellBack { from, to: self.way(to), reason, asker })
        }
    }

    fn canceled(&self) -> Told<'a> {
        if let Some(Fact::CodeDisowned { standing: Standing::Applied, aim: Aim::This, .. }) = self.before {
            return Told {
                data: json!({ "reason": "code_disowned" }),
                ..said(EventKind::Canceled, TWOTICK, Saying::CanceledAsDisowned)
            };
        }
        let asker = self.asker();
        Told {
            data: json!({ "reason": "requested" }),
            ..said(EventKind::Canceled, source(asker), Saying::Canceled { asker })
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

    fn way(&self, channel: &'a str) -> Way<'a> {
        Way::of(self.policy, channel)
    }

    /// `twotick` where there is no such message.
    fn channel(&self, message: Option<Ordinal>) -> &'a str {
        let message = message.and_then(|message| self.verification.message(message));
        message.map_or(TWOTICK, |message| message.channel.as_str())
    }
}

fn reported<'a>(way: Way<'a>, status: &'a ReportStatus, standing: Standing) -> Told<'a> {
    let (kind, error) = match status {
        ReportStatus::Sent => (EventKind::StatusSent, None),
        ReportStatus::Delivered => (EventKind::StatusDelivered, None),
        ReportStatus::Read => (EventKind::StatusRead, None),
        ReportStatus::Failed(error) => (EventKind::StatusFailed, Some(error)),
        ReportStatus::Unknown(_) => (EventKind::StatusUnknown, None),
    };
    let mut data = json!({ "channel": way.channel });
    if let ReportStatus::Unknown(word) = status {
        data["status"] = json!(word);
    }
    if let Some(error) = error {
        data["error"] = json!(error);
    }
    Told { data, error, ..said(kind, way.channel, Saying::Reported { way, status, standing }) }
}

fn said<'a>(kind: EventKind, source: &'a str, saying: Saying<'a>) -> Told<'a> {
    Told { kind, source, saying, data: json!({}), error: None }
}

fn source(asker: Asker) -> &'static str {
    match asker {
        Asker::App => APP,
        Asker::Operator => OPERATOR,
    }
}

/// As every interface of ours writes time.
fn time(at: Timestamp) -> String {
    at.to_string()
}
