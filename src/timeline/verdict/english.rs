//! Verdicts in English.

use std::time::Duration;

use super::super::amounts::seconds;
use super::super::english::capital;
use super::super::saying::Asker;
use super::super::way::{Medium, Way};
use super::case::{Again, Case, Cause, Disowned, End, Fate, Situation, Turn, Went};
use crate::explain::Actor;
use crate::language::Language;
use crate::verification::event::AbandonReason;
use crate::verification::values::{DeliveryError, Timestamp};

/// The sentence, what to tell the customer, and what to do.
pub(super) fn words(case: &Case<'_>, clock: &dyn Fn(Timestamp) -> String) -> [String; 3] {
    let words = Sentences { case, clock };
    [words.sentence(), words.tell_customer(), words.to_do()]
}

/// More turns than these are only counted, but for the last one: nobody can follow a longer sentence.
const MOST_TURNS: usize = 2;
/// Nothing that waits for less is said to wait.
const A_MOMENT: Duration = Duration::from_secs(1);

struct Sentences<'a> {
    case: &'a Case<'a>,
    clock: &'a dyn Fn(Timestamp) -> String,
}

impl Sentences<'_> {
    fn sentence(&self) -> String {
        let case = self.case;
        let mut clauses = Vec::new();
        let mut turns = &case.turns[..];
        if turns.len() > MOST_TURNS {
            clauses.push(format!("{} messages were made in all", turns.len() + 1));
            turns = &turns[turns.len() - 1..];
        }
        clauses.extend(turns.iter().map(turn));
        clauses.extend(self.fate());
        for arrival in &case.arrivals {
            let after = length(arrival.after);
            clauses.push(if arrival.way == case.way {
                format!("an earlier {} arrived after {after}", bare_message(arrival.way))
            } else {
                format!("{} arrived too, after {after}", what(arrival.way))
            });
        }
        clauses.extend(self.end());
        format!("{}.", capital(&clauses.join("; ")))
    }

    /// What became of the last message. After a turn it is `it`: the turn has just named it.
    fn fate(&self) -> Option<String> {
        let case = self.case;
        let way = case.way;
        let first = case.turns.is_empty();
        let message = if first { what(way) } else { "it".to_owned() };
        let its_message = if first { its(way) } else { "it".to_owned() };
        let is_over = !matches!(case.end, End::Open);
        Some(match &case.fate {
            Fate::Queued { since } if *since < A_MOMENT => match case.turns.last() {
                Some(Turn { went: Went::Soon, .. }) => return None,
                Some(_) | None => format!("{message} is about to go out"),
            },
            Fate::Queued { since } => {
                format!("{message} has been waiting in our queue for {}", length(*since))
            }
            Fate::Retrying { error, at } => {
                let at = (self.clock)(*at);
                format!(
                    "{} turned {its_message} away for now{} and is asked again at {at}",
                    taker(way),
                    because(way, error)
                )
            }
            Fate::Sending if is_over => format!("{} had not answered yet", taker(way)),
            Fate::Sending => format!("the request to {} is under way", taker(way)),
            Fate::Doubt { again_at: Some(at) } => format!(
                "the answer of {} was lost, so nobody knows whether {its_message} went out, and unless a report comes \
                 the same code is sent once more at {}",
                taker(way),
                (self.clock)(*at)
            ),
            Fate::Doubt { again_at: None } => {
                format!(
                    "the answer of {} was lost, so nobody knows whether {its_message} went out",
                    taker(way)
                )
            }
            Fate::Taken { .. } if case.end == End::GaveUp => {
                format!("{} took {its_message} and did not pass it on", taker(way))
            }
            Fate::Taken { .. } if is_over => format!("{} never confirmed the delivery", teller(way)),
            Fate::Taken { since } => match case.turns.last() {
                Some(_) => {
                    format!("{} has had it for {} and has not confirmed it yet", teller(way), length(*since))
                }
                None => format!(
                    "{} took {its_message} {} ago and has not confirmed the delivery yet",
                    taker(way),
                    length(*since)
                ),
            },
            Fate::Delivered { after, read } if *read == Some(*after) => {
                format!("{} reported after {} that the code was read", teller(way), length(*after))
            }
            Fate::Delivered { after, read } => {
                let read =
                    read.map_or_else(String::new, |read| format!(" and it was read after {}", length(read)));
                match case.turns.last() {
                    Some(_) => format!("{} confirmed it after {}{read}", teller(way), length(*after)),
                    None => format!("{} delivered the code after {}{read}", teller(way), length(*after)),
                }
            }
            Fate::Refused { error } => {
                format!("{} did not take {its_message}{}", taker(way), because(way, error))
            }
            Fate::Failed { after, error } => format!(
                "{} reported after {} that {its_message} could not be delivered{}",
                teller(way),
                length(*after),
                error.map_or_else(String::new, |error| because(way, error))
            ),
            Fate::Skipped if matches!(case.turns.last(), Some(Turn { cause: Cause::Skipped, .. })) => {
                format!("{} was skipped too, for the same reason", way.name())
            }
            Fate::Skipped => {
                format!("{} was skipped, because our sender had just been refused there", way.name())
            }
            Fate::NeverSent => match case.turns.last() {
                Some(Turn { went: Went::Never, .. }) => return None,
                Some(_) | None => format!("{message} was never sent"),
            },
        })
    }

    fn end(&self) -> Vec<String> {
        let case = self.case;
        let wrong = times(case.wrong);
        let mut clauses = Vec::new();
        match case.end {
            End::Open => {
                if let Some((at, way)) = case.fallback {
                    let at = (self.clock)(at);
                    clauses.push(format!("unless the code arrives by {at}, {} follows", a_message(way)));
                }
                clauses.push(self.not_entered());
            }
            End::GaveUp => {
                clauses.push("there is nothing more to try".to_owned());
                clauses.push(self.not_entered());
            }
            End::Approved { after } => {
                let after = length(after);
                clauses.push(match case.wrong {
                    0 => format!("the right code was entered {after} after it was asked for"),
                    _ => format!(
                        "a wrong code was entered {wrong}, then the right one {after} after it was asked for"
                    ),
                });
            }
            End::Expired => {
                let at = (self.clock)(case.expires_at);
                clauses.push(match case.wrong {
                    0 => format!("the code was not entered and expired at {at}"),
                    _ => format!("only a wrong code was entered, {wrong}, and the right one expired at {at}"),
                });
            }
            End::Canceled(asker) => clauses.push(format!("{} canceled the verification", who(asker))),
            End::Abandoned(AbandonReason::KeyLost) => clauses.push(
                "the verification was canceled, because the key for its number and code is missing"
                    .to_owned(),
            ),
            End::Abandoned(AbandonReason::AppRemoved) => clauses
                .push("the verification was canceled, because its app is no longer configured".to_owned()),
            End::Disowned => clauses.push(
                "the person said that they did not ask for a code, so the verification was canceled"
                    .to_owned(),
            ),
            End::Exhausted => {
                clauses.push(format!("a wrong code was entered {wrong}, so the code is no longer good"))
            }
        }
        match (case.end, case.disowned) {
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
            ) => clauses.push("the person said that they did not ask for a code".to_owned()),
        }
        clauses
    }

    fn not_entered(&self) -> String {
        match self.case.wrong {
            0 => "the code has not been entered".to_owned(),
            wrong => format!("a wrong code was entered {}, {}", times(wrong), tries_left(self.case.left)),
        }
    }

    fn tell_customer(&self) -> String {
        let case = self.case;
        let until = (self.clock)(case.expires_at);
        match case.situation() {
            Situation::Approved => "Your code was right; you are done.".to_owned(),
            Situation::ApprovedAndDisowned => {
                "A code that was sent to you has been used. If that was not you, please \
                 tell us now, and never pass a code on to anybody."
                    .to_owned()
            }
            Situation::Disowned => {
                "The code that was sent to you is no longer good, nothing happens with it. Please \
                 never pass a code on to anybody."
                    .to_owned()
            }
            Situation::Canceled => {
                "This code was withdrawn and is no longer good. Please ask for a new one in the app."
                    .to_owned()
            }
            Situation::Exhausted => {
                "The code was entered wrongly too often and is no longer good. Please ask for a \
                 new one in the app and take the one from the newest message."
                    .to_owned()
            }
            Situation::ExpiredDelivered => format!(
                "The code was good until {until}. Please ask for a new one in the app and enter it as soon as it \
                 arrives."
            ),
            Situation::ExpiredUndelivered => format!(
                "The code does not seem to have reached you in time; it was good until {until}. Please check your number in the app \
                 and your reception, and ask for a new one."
            ),
            Situation::GaveUp => {
                "We could not get the code to you. Please check that the number in the app is right, \
                 that your phone is on and that it has reception."
                    .to_owned()
            }
            Situation::Delivered => {
                format!("Please look {}; the code is good until {until}.", places(&case.delivered()))
            }
            Situation::Mistyped => format!(
                "The code that was entered was wrong. Please look {} and enter the code from the newest message; {}, \
                 until {until}.",
                places(&case.delivered()),
                tries_left_now(case.left)
            ),
            Situation::OnItsWayWithFallback => match case.fallback {
                Some((at, next)) => format!(
                    "The code is on its way {}. If it does not arrive by {}, you get it {}. It is good until \
                     {until}.",
                    by(case.way),
                    (self.clock)(at),
                    by(next)
                ),
                None => self.on_its_way(&until),
            },
            Situation::OnItsWay => self.on_its_way(&until),
            Situation::Overdue => format!(
                "The code went out {}, but we have no word yet that it arrived. Please check your reception; the code \
                 is good until {until}.",
                by(case.way)
            ),
            Situation::Doubt => format!(
                "The code may have reached you {}. Please look {}; if nothing is there, we send it again.",
                by(case.way),
                places(&[case.way])
            ),
            Situation::Queued => {
                format!("The code goes out {} right now; it is good until {until}.", by(case.way))
            }
            Situation::QueuedTooLong => format!(
                "The code has not gone out yet, because we have more to send than usual. Please bear with us; it is \
                 good until {until}."
            ),
        }
    }

    fn on_its_way(&self, until: &str) -> String {
        format!(
            "The code is on its way {} and should arrive within a minute; it is good until {until}.",
            by(self.case.way)
        )
    }

    fn to_do(&self) -> String {
        let case = self.case;
        match case.situation() {
            Situation::Approved => {
                "Nothing. If the app still does not let the customer in, its developers have to look."
                    .to_owned()
            }
            Situation::ApprovedAndDisowned => {
                "Ask whether the customer entered the code themselves. If not, somebody \
                 else did: block what was confirmed with it and tell your security team."
                    .to_owned()
            }
            Situation::Disowned => {
                "Nothing, if the customer does not want a code. If codes nobody asked for keep \
                 coming to this number, tell whoever runs the app: somebody may be trying to get in."
                    .to_owned()
            }
            Situation::Canceled => {
                "Nothing here: if the customer still wants a code, the app has to start again.".to_owned()
            }
            Situation::Exhausted => {
                "Nothing can be sent here any more; a new code needs a new start in the app. If the \
                 customer did not enter those codes, somebody is guessing: tell whoever runs the app."
                    .to_owned()
            }
            Situation::ExpiredDelivered => {
                "Let the customer ask for a new code in the app while you are on the phone.".to_owned()
            }
            Situation::ExpiredUndelivered => format!(
                "Ask the customer for the number and compare it, then let them ask for a new code in the app.{}",
                self.explained()
            ),
            Situation::GaveUp => format!(
                "Ask the customer for the number and compare it. {}{}",
                self.send_again("If it is right, send the code again"),
                self.explained()
            ),
            Situation::Delivered => format!(
                "Wait while the customer looks. {}",
                self.send_again("If they cannot find it, send it again")
            ),
            Situation::Mistyped => format!(
                "Ask where the customer took the code from, but never for the code itself. {}",
                self.send_again("If they have lost it, send it again")
            ),
            Situation::OnItsWayWithFallback => match case.fallback {
                Some((at, next)) => format!(
                    "Nothing until {}: {} follows by itself. If the customer cannot wait, take the next step now.",
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
                    " If that happens to others too, tell your operator: the route may be disturbed."
                        .to_owned()
                })
            ),
            Situation::Doubt => {
                format!("Ask whether the code is there. {}", self.send_again("If it is not, send it again"))
            }
            Situation::Queued => "Nothing: wait a few seconds.".to_owned(),
            Situation::QueuedTooLong => format!(
                "Tell your operator that {} waits in the queue for too long.{}",
                what(case.way),
                self.take_next().unwrap_or_default()
            ),
        }
    }

    fn wait_a_minute(&self) -> String {
        format!("Wait a minute. {}", self.send_again("If it has not arrived then, send the code again"))
    }

    /// `wish` as a sentence, with when it can be had.
    fn send_again(&self, wish: &str) -> String {
        match self.case.again {
            Again::Now => format!("{wish}."),
            Again::From(at) => format!("{wish}, which is possible from {}.", (self.clock)(at)),
            Again::Never => {
                "It cannot be sent again; let the customer ask for a new code in the app.".to_owned()
            }
        }
    }

    fn take_next(&self) -> Option<String> {
        self.case.next.map(|way| format!(" Or take the next step now, {}.", by(way)))
    }

    /// What the table says to do about the last error, where somebody can do anything.
    fn explained(&self) -> String {
        let case = self.case;
        let Some(entry) = case.error().and_then(|error| case.way.explain(error)) else {
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

fn turn(turn: &Turn<'_>) -> String {
    let Turn { from, cause, to, went } = turn;
    let cause = match cause {
        Cause::Deadline { after } => {
            format!("{} did not confirm delivery within {}", teller(*from), length(*after))
        }
        Cause::NotTaken { after, error } => format!(
            "{} did not get out within {}{}",
            what(*from),
            length(*after),
            error.map_or_else(String::new, |error| because(*from, error))
        ),
        Cause::Failed { after, error } => format!(
            "{} reported after {} that {} could not be delivered{}",
            teller(*from),
            length(*after),
            its(*from),
            error.map_or_else(String::new, |error| because(*from, error))
        ),
        Cause::Refused { error } => {
            format!("{} did not take {}{}", taker(*from), its(*from), because(*from, error))
        }
        Cause::Held => format!("{} took {} and did not pass it on", taker(*from), its(*from)),
        Cause::Doubt => format!("the answer of {} was lost", taker(*from)),
        Cause::Skipped => {
            format!("{} was skipped, because our sender had just been refused there", from.name())
        }
        Cause::NextAsked(asker) => format!("{} asked for the next step", who(*asker)),
        Cause::ResendAsked(asker) => format!("{} asked for the code once more", who(*asker)),
    };
    let once_more = if from == to { "another " } else { "" };
    let message = if from == to { bare_message(*to) } else { a_message(*to) };
    match went {
        Went::Out => format!("{cause}, so {once_more}{message} went out"),
        Went::Soon => format!("{cause}, so {once_more}{message} is about to go out"),
        Went::Skipped => cause,
        Went::Never => format!("{cause}, but {once_more}{message} was never sent"),
    }
}

/// `the SMS`, `the message by WhatsApp`.
fn what(way: Way<'_>) -> String {
    match way.medium {
        Some(Medium::Sms) => format!("the SMS{}", way.aside()),
        Some(Medium::WhatsApp) | None => format!("the message by {}", way.name()),
    }
}

/// As [`what`], where who sends it has just been named.
fn its(way: Way<'_>) -> String {
    match way.medium {
        Some(Medium::Sms) => "the SMS".to_owned(),
        Some(Medium::WhatsApp) | None => "the message".to_owned(),
    }
}

/// `an SMS`, `a message by WhatsApp`.
fn a_message(way: Way<'_>) -> String {
    match way.medium {
        Some(Medium::Sms) => format!("an SMS{}", way.aside()),
        Some(Medium::WhatsApp) | None => format!("a message by {}", way.name()),
    }
}

fn bare_message(way: Way<'_>) -> String {
    match way.medium {
        Some(Medium::Sms) => format!("SMS{}", way.aside()),
        Some(Medium::WhatsApp) | None => format!("message by {}", way.name()),
    }
}

/// Who takes the message from us.
fn taker(way: Way<'_>) -> String {
    match way.medium {
        Some(Medium::Sms) => format!("the SMS carrier{}", way.aside()),
        Some(Medium::WhatsApp) | None => way.name(),
    }
}

/// Who tells us what became of it.
fn teller(way: Way<'_>) -> String {
    match way.medium {
        Some(Medium::Sms) => format!("the network{}", way.aside()),
        Some(Medium::WhatsApp) | None => way.name(),
    }
}

fn by(way: Way<'_>) -> String {
    format!("by {}", way.name())
}

/// Where the customer looks.
fn places(ways: &[Way<'_>]) -> String {
    let place = |way: &Way<'_>| match way.medium {
        Some(Medium::Sms) => "among your SMS messages".to_owned(),
        Some(Medium::WhatsApp) => "into WhatsApp".to_owned(),
        None => format!("at what came by {}", way.channel),
    };
    let mut places: Vec<_> = ways.iter().map(place).collect();
    places.dedup();
    match places.len() {
        0 => "at your newest messages".to_owned(),
        1 => places.remove(0),
        _ => format!("{}: the same code is in each", places.join(" or ")),
    }
}

fn who(asker: Asker) -> &'static str {
    match asker {
        Asker::App => "the app",
        Asker::Operator => "the support staff",
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
        1 => "1 try is left".to_owned(),
        more => format!("{more} tries are left"),
    }
}

fn tries_left_now(left: u8) -> String {
    match left {
        1 => "you have 1 more try".to_owned(),
        more => format!("you have {more} more tries"),
    }
}

fn length(duration: Duration) -> String {
    seconds(duration, Language::English)
}

/// ` (131026, Message undeliverable)`, in the provider's own words where the table has none.
fn because(way: Way<'_>, error: &DeliveryError) -> String {
    let title = way.explain(error).map_or(error.title.as_str(), |entry| entry.text(Language::English).title);
    if title.is_empty() { format!(" ({})", error.code) } else { format!(" ({}, {title})", error.code) }
}
