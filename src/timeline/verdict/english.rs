//! Verdicts in English.

use std::time::Duration;

use super::super::amounts::seconds;
use super::super::english::capital;
use super::super::route::{Medium, Route};
use super::super::sentence::Initiator;
use super::facts::{
    Cause, Disowned, End, Facts, MessageState, NextMessage, ResendOption, Situation, Transition,
};
use crate::explain::Actor;
use crate::language::Language;
use crate::verification::event::AbandonReason;
use crate::verification::values::{DeliveryError, Timestamp};

/// The summary, the text for the customer, and the next action.
pub(super) fn words(facts: &Facts<'_>, clock: &dyn Fn(Timestamp) -> String) -> [String; 3] {
    let verdict = Sentences { facts, clock };
    [verdict.sentence(), verdict.tell_customer(), verdict.to_do()]
}

/// With more transitions than this, only the last one is described, to keep the sentence readable.
const MAX_TRANSITIONS: usize = 2;
/// Shorter waits are not mentioned.
const MENTIONED_WAIT: Duration = Duration::from_secs(1);

struct Sentences<'a> {
    facts: &'a Facts<'a>,
    clock: &'a dyn Fn(Timestamp) -> String,
}

impl Sentences<'_> {
    fn sentence(&self) -> String {
        let facts = self.facts;
        let mut clauses = Vec::new();
        let mut transitions = &facts.transitions[..];
        if transitions.len() > MAX_TRANSITIONS {
            clauses.push(format!("{} messages were created in total", transitions.len() + 1));
            transitions = &transitions[transitions.len() - 1..];
        }
        clauses.extend(transitions.iter().map(transition));
        clauses.extend(self.last_state());
        for arrival in &facts.arrivals {
            let after = duration(arrival.after);
            clauses.push(if arrival.route == facts.route {
                format!("an earlier {} arrived after {after}", bare_message(arrival.route))
            } else {
                format!("{} also arrived, after {after}", what(arrival.route))
            });
        }
        clauses.extend(self.end());
        format!("{}.", capital(&clauses.join("; ")))
    }

    /// The state of the last message; after a transition, which has just named it, it is `it`.
    fn last_state(&self) -> Option<String> {
        let facts = self.facts;
        let route = facts.route;
        let first = facts.transitions.is_empty();
        let message = if first { what(route) } else { "it".to_owned() };
        let its_message = if first { its(route) } else { "it".to_owned() };
        let is_over = !matches!(facts.end, End::Open);
        Some(match &facts.last_state {
            MessageState::Queued { since } if *since < MENTIONED_WAIT => match facts.transitions.last() {
                Some(Transition { next_message: NextMessage::Soon, .. }) => return None,
                Some(_) | None => format!("{message} is about to be sent"),
            },
            MessageState::Queued { since } => {
                format!("{message} has been waiting in our queue for {}", duration(*since))
            }
            MessageState::Retrying { error, at } => {
                let at = (self.clock)(*at);
                format!(
                    "{} refused {its_message} for now{}, and the next attempt is at {at}",
                    provider(route),
                    because(route, error)
                )
            }
            MessageState::Sending if is_over => format!("{} had not responded yet", provider(route)),
            MessageState::Sending => format!("the request to {} is in progress", provider(route)),
            MessageState::Doubt { resend_at: Some(at) } => format!(
                "the response of {} was lost, so it is unknown whether {its_message} was sent, and unless a report \
                 arrives the same code is sent again at {}",
                provider(route),
                (self.clock)(*at)
            ),
            MessageState::Doubt { resend_at: None } => {
                format!(
                    "the response of {} was lost, so it is unknown whether {its_message} was sent",
                    provider(route)
                )
            }
            MessageState::Accepted { .. } if facts.end == End::GaveUp => {
                format!("{} accepted {its_message} but did not pass it on", provider(route))
            }
            MessageState::Accepted { .. } if is_over => {
                format!("{} never confirmed delivery", reporter(route))
            }
            MessageState::Accepted { since } => match facts.transitions.last() {
                Some(_) => {
                    format!(
                        "{} has had it for {} and has not confirmed delivery yet",
                        reporter(route),
                        duration(*since)
                    )
                }
                None => format!(
                    "{} accepted {its_message} {} ago and has not confirmed delivery yet",
                    provider(route),
                    duration(*since)
                ),
            },
            MessageState::Delivered { after, read } if *read == Some(*after) => {
                format!("{} reported after {} that the code was read", reporter(route), duration(*after))
            }
            MessageState::Delivered { after, read } => {
                let read = read
                    .map_or_else(String::new, |read| format!(" and it was read after {}", duration(read)));
                match facts.transitions.last() {
                    Some(_) => format!("{} confirmed it after {}{read}", reporter(route), duration(*after)),
                    None => {
                        format!("{} delivered the code after {}{read}", reporter(route), duration(*after))
                    }
                }
            }
            MessageState::Refused { error } => {
                format!("{} did not accept {its_message}{}", provider(route), because(route, error))
            }
            MessageState::Failed { after, error } => format!(
                "{} reported after {} that {its_message} could not be delivered{}",
                reporter(route),
                duration(*after),
                error.map_or_else(String::new, |error| because(route, error))
            ),
            MessageState::Skipped
                if matches!(facts.transitions.last(), Some(Transition { cause: Cause::Skipped, .. })) =>
            {
                format!("{} was skipped too, for the same reason", route.name())
            }
            MessageState::Skipped => {
                format!("{} was skipped, because it had just refused our sender", route.name())
            }
            MessageState::NeverSent => match facts.transitions.last() {
                Some(Transition { next_message: NextMessage::Never, .. }) => return None,
                Some(_) | None => format!("{message} was never sent"),
            },
        })
    }

    fn end(&self) -> Vec<String> {
        let facts = self.facts;
        let wrong = times(facts.wrong);
        let mut clauses = Vec::new();
        match facts.end {
            End::Open => {
                if let Some((at, route)) = facts.fallback {
                    let at = (self.clock)(at);
                    clauses.push(format!("unless the code arrives by {at}, {} follows", a_message(route)));
                }
                clauses.push(self.not_entered());
            }
            End::GaveUp => {
                clauses.push("no further attempt follows".to_owned());
                clauses.push(self.not_entered());
            }
            End::Approved { after } => {
                let after = duration(after);
                clauses.push(match facts.wrong {
                    0 => format!("the correct code was entered {after} after the request"),
                    _ => format!(
                        "a wrong code was entered {wrong}, then the correct one {after} after the request"
                    ),
                });
            }
            End::Expired => {
                let at = (self.clock)(facts.expires_at);
                clauses.push(match facts.wrong {
                    0 => format!("the code was not entered and expired at {at}"),
                    _ => format!("a wrong code was entered {wrong}, and the code expired at {at}"),
                });
            }
            End::Canceled(initiator) => clauses.push(format!("{} canceled the verification", who(initiator))),
            End::Abandoned(AbandonReason::KeyLost) => clauses.push(
                "the verification was canceled, because the key for its number and code is missing"
                    .to_owned(),
            ),
            End::Abandoned(AbandonReason::AppRemoved) => clauses
                .push("the verification was canceled, because its app is no longer configured".to_owned()),
            End::Disowned => clauses.push(
                "the person said that they did not request a code, so the verification was canceled"
                    .to_owned(),
            ),
            End::Exhausted => {
                clauses.push(format!("a wrong code was entered {wrong}, so the code is no longer valid"))
            }
        }
        match (facts.end, facts.disowned) {
            (End::Disowned, _) | (_, Disowned::No) => {}
            (
                End::Open
                | End::GaveUp
                | End::Approved { .. }
                | End::Expired
                | End::Canceled(_)
                | End::Abandoned(_)
                | End::Exhausted,
                Disowned::Yes,
            ) => clauses.push("the person said that they did not request a code".to_owned()),
        }
        clauses
    }

    fn not_entered(&self) -> String {
        match self.facts.wrong {
            0 => "the code has not been entered yet".to_owned(),
            wrong => format!("a wrong code was entered {}, {}", times(wrong), tries_left(self.facts.left)),
        }
    }

    fn tell_customer(&self) -> String {
        let facts = self.facts;
        let until = (self.clock)(facts.expires_at);
        match facts.situation() {
            Situation::Approved => "Your code was correct; you are done.".to_owned(),
            Situation::ApprovedAndDisowned => {
                "A code that we sent you was used. If that was not you, please tell us now. Never share a code \
                 with anyone."
                    .to_owned()
            }
            Situation::Disowned => {
                "The code that we sent you is no longer valid, and you need not do anything. Never share a code \
                 with anyone."
                    .to_owned()
            }
            Situation::Canceled => {
                "This code was canceled and is no longer valid. Please request a new one in the app."
                    .to_owned()
            }
            Situation::Exhausted => {
                "Too many wrong codes were entered, so the code is no longer valid. Please request a new one in \
                 the app and use the code from the latest message."
                    .to_owned()
            }
            Situation::ExpiredDelivered => format!(
                "The code was valid until {until}. Please request a new one in the app and enter it as soon as it \
                 arrives."
            ),
            Situation::ExpiredUndelivered => format!(
                "The code does not seem to have reached you in time; it was valid until {until}. Please check your number in the app \
                 and your reception, and request a new code."
            ),
            Situation::GaveUp => {
                "We could not deliver the code. Please check that the number in the app is correct, that your \
                 phone is on, and that it has reception."
                    .to_owned()
            }
            Situation::Delivered => {
                format!("Please check {}; the code is valid until {until}.", places(&facts.delivered()))
            }
            Situation::Mistyped => format!(
                "The code that was entered is wrong. Please check {} and enter the code from the latest message; {}, \
                 until {until}.",
                places(&facts.delivered()),
                tries_left_now(facts.left)
            ),
            Situation::OnItsWayWithFallback => match facts.fallback {
                Some((at, next)) => format!(
                    "The code is on its way {}. If it does not arrive by {}, we send it {}. It is valid until \
                     {until}.",
                    by(facts.route),
                    (self.clock)(at),
                    by(next)
                ),
                None => self.on_its_way(&until),
            },
            Situation::OnItsWay => self.on_its_way(&until),
            Situation::Overdue => format!(
                "The code was sent {}, but its delivery is not confirmed yet. Please check your reception; the code \
                 is valid until {until}.",
                by(facts.route)
            ),
            Situation::Doubt => format!(
                "The code may have reached you {}. Please check {}; if it is not there, we will send it again.",
                by(facts.route),
                places(&[facts.route])
            ),
            Situation::Queued => {
                format!("The code is being sent {} right now; it is valid until {until}.", by(facts.route))
            }
            Situation::QueuedTooLong => format!(
                "The code has not been sent yet, because we have more to send than usual. Please bear with us; it is \
                 valid until {until}."
            ),
        }
    }

    fn on_its_way(&self, until: &str) -> String {
        format!(
            "The code is on its way {} and should arrive within a minute; it is valid until {until}.",
            by(self.facts.route)
        )
    }

    fn to_do(&self) -> String {
        let facts = self.facts;
        match facts.situation() {
            Situation::Approved => {
                "Nothing. If the app still does not let the customer continue, its developers need to investigate."
                    .to_owned()
            }
            Situation::ApprovedAndDisowned => {
                "Ask whether the customer entered the code. If not, someone else did: block what the code \
                 confirmed and inform your security team."
                    .to_owned()
            }
            Situation::Disowned => {
                "Nothing, if the customer does not want a code. If unrequested codes keep arriving at this number, \
                 inform the app's team: someone may be trying to get in."
                    .to_owned()
            }
            Situation::Canceled => {
                "Nothing here. If the customer still wants a code, they need to start again in the app.".to_owned()
            }
            Situation::Exhausted => {
                "Nothing more can be sent here; the customer needs to start again in the app. If they did not \
                 enter these codes, someone is guessing: inform the app's team."
                    .to_owned()
            }
            Situation::ExpiredDelivered => {
                "Let the customer request a new code in the app while you are on the phone.".to_owned()
            }
            Situation::ExpiredUndelivered => format!(
                "Ask the customer for the number and compare it, then let them request a new code in the app.{}",
                self.explained()
            ),
            Situation::GaveUp => format!(
                "Ask the customer for the number and compare it. {}{}",
                self.send_again("If it is correct, send the code again"),
                self.explained()
            ),
            Situation::Delivered => format!(
                "Wait while the customer checks. {}",
                self.send_again("If they cannot find it, send it again")
            ),
            Situation::Mistyped => format!(
                "Ask where the customer got the code, but never for the code itself. {}",
                self.send_again("If they no longer have it, send it again")
            ),
            Situation::OnItsWayWithFallback => match facts.fallback {
                Some((at, next)) => format!(
                    "Nothing until {}: then {} follows automatically. If the customer cannot wait, trigger the next step now.",
                    (self.clock)(at),
                    a_message(next)
                ),
                None => self.wait_a_minute(),
            },
            Situation::OnItsWay => self.wait_a_minute(),
            Situation::Overdue => format!(
                "{}{}",
                self.send_again("Send the code again"),
                self.take_next().unwrap_or_else(|| {
                    " If this affects others too, inform your operator: the route may be disrupted."
                        .to_owned()
                })
            ),
            Situation::Doubt => {
                format!("Ask whether the code arrived. {}", self.send_again("If it did not, send it again"))
            }
            Situation::Queued => "Nothing: wait a few seconds.".to_owned(),
            Situation::QueuedTooLong => format!(
                "Inform your operator that {} has been in the queue for too long.{}",
                what(facts.route),
                self.take_next().unwrap_or_default()
            ),
        }
    }

    fn wait_a_minute(&self) -> String {
        format!("Wait a minute. {}", self.send_again("If the code has not arrived by then, send it again"))
    }

    /// `wish` as a sentence, with the time from which it is possible.
    fn send_again(&self, wish: &str) -> String {
        match self.facts.resend {
            ResendOption::Now => format!("{wish}."),
            ResendOption::From(at) => format!("{wish}; this is possible from {}.", (self.clock)(at)),
            ResendOption::Never => {
                "It cannot be sent again; let the customer request a new code in the app.".to_owned()
            }
        }
    }

    fn take_next(&self) -> Option<String> {
        self.facts.next.map(|route| format!(" Or trigger the next step now, {}.", by(route)))
    }

    /// The remedy or cause of the last error, from the table of explanations.
    fn explained(&self) -> String {
        let facts = self.facts;
        let Some(entry) = facts.error().and_then(|error| facts.route.explain(error)) else {
            return String::new();
        };
        let text = entry.text(Language::English);
        match entry.who {
            Actor::Operator | Actor::App => {
                format!(" For {}: {}", entry.who.as_str(Language::English), text.fix)
            }
            Actor::Customer | Actor::Meta | Actor::Carrier | Actor::Nobody => format!(" {}", text.cause),
        }
    }
}

fn transition(transition: &Transition<'_>) -> String {
    let Transition { from, cause, to, next_message } = transition;
    let cause = match cause {
        Cause::Deadline { after } => {
            format!("{} did not confirm delivery within {}", reporter(*from), duration(*after))
        }
        Cause::NotAccepted { after, error } => format!(
            "{} could not be sent within {}{}",
            what(*from),
            duration(*after),
            error.map_or_else(String::new, |error| because(*from, error))
        ),
        Cause::Failed { after, error } => format!(
            "{} reported after {} that {} could not be delivered{}",
            reporter(*from),
            duration(*after),
            its(*from),
            error.map_or_else(String::new, |error| because(*from, error))
        ),
        Cause::Refused { error } => {
            format!("{} did not accept {}{}", provider(*from), its(*from), because(*from, error))
        }
        Cause::Held => format!("{} accepted {} but did not pass it on", provider(*from), its(*from)),
        Cause::Doubt => format!("the response of {} was lost", provider(*from)),
        Cause::Skipped => {
            format!("{} was skipped, because it had just refused our sender", from.name())
        }
        Cause::NextAsked(initiator) => format!("{} requested the next step", who(*initiator)),
        Cause::ResendAsked(initiator) => format!("{} requested a resend", who(*initiator)),
    };
    let once_more = if from == to { "another " } else { "" };
    let message = if from == to { bare_message(*to) } else { a_message(*to) };
    match next_message {
        NextMessage::Sent => format!("{cause}, so {once_more}{message} was sent"),
        NextMessage::Soon => format!("{cause}, so {once_more}{message} is about to be sent"),
        NextMessage::Skipped => cause,
        NextMessage::Never => format!("{cause}, but {once_more}{message} was never sent"),
    }
}

/// `the SMS`, `the message via WhatsApp`.
fn what(route: Route<'_>) -> String {
    match route.medium {
        Some(Medium::Sms) => format!("the SMS{}", route.aside()),
        Some(Medium::WhatsApp) | None => format!("the message via {}", route.name()),
    }
}

/// Like [`what`], if the provider was just named.
fn its(route: Route<'_>) -> String {
    match route.medium {
        Some(Medium::Sms) => "the SMS".to_owned(),
        Some(Medium::WhatsApp) | None => "the message".to_owned(),
    }
}

/// `an SMS`, `a message via WhatsApp`.
fn a_message(route: Route<'_>) -> String {
    match route.medium {
        Some(Medium::Sms) => format!("an SMS{}", route.aside()),
        Some(Medium::WhatsApp) | None => format!("a message via {}", route.name()),
    }
}

fn bare_message(route: Route<'_>) -> String {
    match route.medium {
        Some(Medium::Sms) => format!("SMS{}", route.aside()),
        Some(Medium::WhatsApp) | None => format!("message via {}", route.name()),
    }
}

/// The party that accepts the message.
fn provider(route: Route<'_>) -> String {
    match route.medium {
        Some(Medium::Sms) => format!("the SMS carrier{}", route.aside()),
        Some(Medium::WhatsApp) | None => route.name(),
    }
}

/// The party that reports the delivery.
fn reporter(route: Route<'_>) -> String {
    match route.medium {
        Some(Medium::Sms) => format!("the network{}", route.aside()),
        Some(Medium::WhatsApp) | None => route.name(),
    }
}

fn by(route: Route<'_>) -> String {
    format!("via {}", route.name())
}

/// The apps that the customer should check.
fn places(routes: &[Route<'_>]) -> String {
    let place = |route: &Route<'_>| match route.medium {
        Some(Medium::Sms) => "your SMS messages".to_owned(),
        Some(Medium::WhatsApp) => "WhatsApp".to_owned(),
        None => format!("your messages via {}", route.channel),
    };
    let mut places: Vec<_> = routes.iter().map(place).collect();
    places.dedup();
    match places.len() {
        0 => "your latest messages".to_owned(),
        1 => places.remove(0),
        _ => format!("{} (the code is the same)", places.join(" or ")),
    }
}

fn who(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::App => "the app",
        Initiator::Operator => "support",
    }
}

fn times(count: u8) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

fn tries_left(left: u8) -> String {
    match left {
        1 => "1 attempt is left".to_owned(),
        more => format!("{more} attempts are left"),
    }
}

fn tries_left_now(left: u8) -> String {
    match left {
        1 => "you have 1 attempt left".to_owned(),
        more => format!("you have {more} attempts left"),
    }
}

fn duration(duration: Duration) -> String {
    seconds(duration, Language::English)
}

/// Such as ` (131026, Message undeliverable)`; the provider's own text for unknown codes.
fn because(route: Route<'_>, error: &DeliveryError) -> String {
    let title =
        route.explain(error).map_or(error.title.as_str(), |entry| entry.text(Language::English).title);
    if title.is_empty() { format!(" ({})", error.code) } else { format!(" ({}, {title})", error.code) }
}
