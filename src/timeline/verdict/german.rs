//! Verdicts in German, with formal address.

use std::time::Duration;

use super::super::amounts::seconds;
use super::super::german::{Provider, because, capital};
use super::super::route::{Medium, Route};
use super::super::sentence::Initiator;
use super::facts::{
    Cause, Disowned, End, Facts, MessageState, NextMessage, ResendOption, Situation, Transition,
};
use crate::explain::Actor;
use crate::language::Language;
use crate::verification::event::AbandonReason;
use crate::verification::values::Timestamp;

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
            clauses.push(format!("insgesamt wurden {} Nachrichten erstellt", transitions.len() + 1));
            transitions = &transitions[transitions.len() - 1..];
        }
        clauses.extend(transitions.iter().map(transition));
        clauses.extend(self.last_state());
        for arrival in &facts.arrivals {
            let after = duration(arrival.after);
            clauses.push(if arrival.route == facts.route {
                format!("eine frühere {} kam nach {after} an", bare(arrival.route))
            } else {
                format!("{} kam auch an, nach {after}", the(arrival.route))
            });
        }
        clauses.extend(self.end());
        format!("{}.", capital(&clauses.join("; ")))
    }

    /// The state of the last message; after a transition, which has just named it, it is `sie`.
    fn last_state(&self) -> Option<String> {
        let facts = self.facts;
        let route = facts.route;
        let first = facts.transitions.is_empty();
        let message = if first { the(route) } else { "sie".to_owned() };
        let its_message = if first { its(route) } else { "sie".to_owned() };
        let is_over = !matches!(facts.end, End::Open);
        let provider = Provider(route).within();
        Some(match &facts.last_state {
            MessageState::Queued { since } if *since < MENTIONED_WAIT => match facts.transitions.last() {
                Some(Transition { next_message: NextMessage::Soon, .. }) => return None,
                Some(_) | None => format!("{message} wird gleich gesendet"),
            },
            MessageState::Queued { since } => {
                format!("{message} wartet seit {} in unserer Warteschlange", duration(*since))
            }
            MessageState::Retrying { error, at } => format!(
                "{provider} hat {its_message} vorerst abgelehnt{}; der nächste Versuch folgt um {}",
                because(route, error),
                (self.clock)(*at)
            ),
            MessageState::Sending if is_over => format!("{provider} hatte noch nicht geantwortet"),
            MessageState::Sending => format!("die Anfrage an {} läuft gerade", Provider(route).accusative()),
            MessageState::Doubt { resend_at: Some(at) } => format!(
                "die Antwort {} ging verloren, sodass niemand weiß, ob {its_message} gesendet wurde, und ohne Meldung \
                 wird derselbe Code um {} noch einmal gesendet",
                Provider(route).of(),
                (self.clock)(*at)
            ),
            MessageState::Doubt { resend_at: None } => format!(
                "die Antwort {} ging verloren, sodass niemand weiß, ob {its_message} gesendet wurde",
                Provider(route).of()
            ),
            MessageState::Accepted { .. } if facts.end == End::GaveUp => {
                format!("{provider} hat {its_message} angenommen und nicht weitergegeben")
            }
            MessageState::Accepted { .. } if is_over => {
                format!("{} hat die Zustellung nie bestätigt", reporter(route))
            }
            MessageState::Accepted { since } => match facts.transitions.last() {
                Some(_) => format!(
                    "{} hat die Zustellung auch nach {} noch nicht bestätigt",
                    reporter(route),
                    duration(*since)
                ),
                None => format!(
                    "{provider} hat {its_message} vor {} angenommen und die Zustellung noch nicht bestätigt",
                    duration(*since)
                ),
            },
            MessageState::Delivered { after, read } if *read == Some(*after) => {
                format!(
                    "{} hat nach {} gemeldet, dass der Code gelesen wurde",
                    reporter(route),
                    duration(*after)
                )
            }
            MessageState::Delivered { after, read } => {
                let read = read.map_or_else(String::new, |read| {
                    format!(", und nach {} wurde die Nachricht gelesen", duration(read))
                });
                match facts.transitions.last() {
                    Some(_) => {
                        format!(
                            "{} hat die Zustellung nach {} bestätigt{read}",
                            reporter(route),
                            duration(*after)
                        )
                    }
                    None => {
                        format!("{} hat den Code nach {} zugestellt{read}", reporter(route), duration(*after))
                    }
                }
            }
            MessageState::Refused { error } => {
                format!("{provider} hat {its_message} nicht angenommen{}", because(route, error))
            }
            MessageState::Failed { after, error } => format!(
                "{} hat nach {} gemeldet, dass {its_message} nicht zugestellt werden konnte{}",
                reporter(route),
                duration(*after),
                error.map_or_else(String::new, |error| because(route, error))
            ),
            MessageState::Skipped
                if matches!(facts.transitions.last(), Some(Transition { cause: Cause::Skipped, .. })) =>
            {
                format!("{} wurde aus demselben Grund ebenfalls übersprungen", route.name())
            }
            MessageState::Skipped => skipped(route),
            MessageState::NeverSent => match facts.transitions.last() {
                Some(Transition { next_message: NextMessage::Never, .. }) => return None,
                Some(_) | None => format!("{message} wurde nie gesendet"),
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
                    clauses.push(format!("kommt der Code bis {at} nicht an, folgt {}", a(route)));
                }
                clauses.push(self.not_entered());
            }
            End::GaveUp => {
                clauses.push("es folgt kein weiterer Versuch".to_owned());
                clauses.push(self.not_entered());
            }
            End::Approved { after } => {
                let after = duration(after);
                clauses.push(match facts.wrong {
                    0 => format!("der richtige Code wurde {after} nach der Anforderung eingegeben"),
                    _ => format!(
                        "{wrong} wurde ein falscher Code eingegeben, {after} nach der Anforderung der richtige"
                    ),
                });
            }
            End::Expired => {
                let at = (self.clock)(facts.expires_at);
                clauses.push(match facts.wrong {
                    0 => format!("der Code wurde nicht eingegeben und ist um {at} abgelaufen"),
                    _ => format!(
                        "{wrong} wurde ein falscher Code eingegeben, der richtige ist um {at} abgelaufen"
                    ),
                });
            }
            End::Canceled(initiator) => clauses.push(format!("{} hat die Verifizierung abgebrochen", who(initiator))),
            End::Abandoned(AbandonReason::KeyLost) => clauses
                .push("die Verifizierung wurde abgebrochen, weil der Schlüssel für Nummer und Code fehlt".to_owned()),
            End::Abandoned(AbandonReason::AppRemoved) => clauses
                .push("die Verifizierung wurde abgebrochen, weil ihre App nicht mehr konfiguriert ist".to_owned()),
            End::Disowned => clauses.push(
                "die Person hat angegeben, dass sie keinen Code angefordert hat, und die Verifizierung wurde \
                 deshalb abgebrochen"
                    .to_owned(),
            ),
            End::Exhausted => {
                clauses.push(format!("{wrong} wurde ein falscher Code eingegeben, der Code gilt daher nicht mehr"));
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
            ) => {
                clauses.push("die Person hat angegeben, dass sie keinen Code angefordert hat".to_owned());
            }
        }
        clauses
    }

    fn not_entered(&self) -> String {
        match self.facts.wrong {
            0 => "der Code wurde noch nicht eingegeben".to_owned(),
            wrong => {
                let left = match self.facts.left {
                    1 => "ein Versuch bleibt".to_owned(),
                    more => format!("{more} Versuche bleiben"),
                };
                format!("{} wurde ein falscher Code eingegeben, {left}", times(wrong))
            }
        }
    }

    fn tell_customer(&self) -> String {
        let facts = self.facts;
        let until = (self.clock)(facts.expires_at);
        match facts.situation() {
            Situation::Approved => "Ihr Code war richtig; Sie sind fertig.".to_owned(),
            Situation::ApprovedAndDisowned => {
                "Ein Code, der an Sie ging, wurde verwendet. Wenn Sie das nicht waren, \
                 sagen Sie es uns bitte jetzt, und geben Sie einen Code niemals weiter."
                    .to_owned()
            }
            Situation::Disowned => {
                "Der Code, der an Sie ging, gilt nicht mehr; Sie müssen nichts tun. Bitte geben Sie \
                 einen Code niemals weiter."
                    .to_owned()
            }
            Situation::Canceled => {
                "Dieser Code wurde abgebrochen und gilt nicht mehr. Bitte fordern Sie in der App \
                 einen neuen an."
                    .to_owned()
            }
            Situation::Exhausted => {
                "Der Code wurde zu oft falsch eingegeben und gilt nicht mehr. Bitte fordern Sie in \
                 der App einen neuen an, und nehmen Sie den aus der neuesten Nachricht."
                    .to_owned()
            }
            Situation::ExpiredDelivered => format!(
                "Der Code war bis {until} gültig. Bitte fordern Sie in der App einen neuen an, und geben Sie ihn ein, \
                 sobald er ankommt."
            ),
            Situation::ExpiredUndelivered => format!(
                "Der Code hat Sie anscheinend nicht rechtzeitig erreicht; er war bis {until} gültig. Bitte prüfen Sie Ihre Nummer \
                 in der App und Ihren Empfang, und fordern Sie einen neuen an."
            ),
            Situation::GaveUp => {
                "Wir konnten Ihnen den Code nicht zustellen. Bitte prüfen Sie, ob die Nummer in der App \
                 stimmt, ob Ihr Telefon eingeschaltet ist und ob Sie Empfang haben."
                    .to_owned()
            }
            Situation::Delivered => {
                format!("Bitte sehen Sie {} nach; der Code gilt bis {until}.", places(&facts.delivered()))
            }
            Situation::Mistyped => format!(
                "Der eingegebene Code war falsch. Bitte sehen Sie {} nach und geben Sie den Code aus der neuesten \
                 Nachricht ein; Sie haben noch {}, bis {until}.",
                places(&facts.delivered()),
                match facts.left {
                    1 => "einen Versuch".to_owned(),
                    more => format!("{more} Versuche"),
                }
            ),
            Situation::OnItsWayWithFallback => match facts.fallback {
                Some((at, next)) => format!(
                    "Der Code ist {} unterwegs. Kommt er bis {} nicht an, erhalten Sie ihn {}. Er gilt bis {until}.",
                    by(facts.route),
                    (self.clock)(at),
                    by(next)
                ),
                None => self.on_its_way(&until),
            },
            Situation::OnItsWay => self.on_its_way(&until),
            Situation::Overdue => format!(
                "Der Code wurde {} gesendet, aber die Zustellung ist noch nicht bestätigt. Bitte prüfen \
                 Sie Ihren Empfang; der Code gilt bis {until}.",
                by(facts.route)
            ),
            Situation::Doubt => format!(
                "Der Code hat Sie {} vielleicht schon erreicht. Bitte sehen Sie {} nach; ist nichts da, senden wir \
                 ihn noch einmal.",
                by(facts.route),
                places(&[facts.route])
            ),
            Situation::Queued => {
                format!("Der Code wird gerade {} gesendet; er gilt bis {until}.", by(facts.route))
            }
            Situation::QueuedTooLong => format!(
                "Der Code ist noch nicht gesendet, weil wir mehr als sonst zu senden haben. Bitte haben Sie \
                 etwas Geduld; er gilt bis {until}."
            ),
        }
    }

    fn on_its_way(&self, until: &str) -> String {
        format!(
            "Der Code ist {} unterwegs und sollte innerhalb einer Minute ankommen; er gilt bis {until}.",
            by(self.facts.route)
        )
    }

    fn to_do(&self) -> String {
        let facts = self.facts;
        match facts.situation() {
            Situation::Approved => "Nichts. Kommt die Person in der App trotzdem nicht weiter, muss deren \
                 Entwicklungsteam nachsehen."
                .to_owned(),
            Situation::ApprovedAndDisowned => "Fragen Sie, ob die Person den Code selbst eingegeben hat. Wenn nicht, war \
                 es jemand anders: Sperren Sie, was damit bestätigt wurde, und verständigen Sie Ihr Sicherheitsteam."
                .to_owned(),
            Situation::Disowned => "Nichts, wenn die Person keinen Code möchte. Kommen an diese Nummer weiter Codes, die \
                 niemand angefordert hat, verständigen Sie das Team der App: Vielleicht versucht jemand, sich Zugang \
                 zu verschaffen."
                .to_owned(),
            Situation::Canceled => {
                "Hier nichts: Möchte die Person noch einen Code, muss sie in der App neu beginnen.".to_owned()
            }
            Situation::Exhausted => "Hier lässt sich nichts mehr senden; für einen neuen Code muss die Person in der App \
                 neu beginnen. Hat sie die falschen Codes nicht selbst eingegeben, rät jemand: Verständigen Sie das \
                 Team der App."
                .to_owned(),
            Situation::ExpiredDelivered => {
                "Lassen Sie die Person in der App einen neuen Code anfordern, solange Sie mit ihr sprechen.".to_owned()
            }
            Situation::ExpiredUndelivered => format!(
                "Lassen Sie sich die Nummer nennen und vergleichen Sie sie. Die Person kann dann in der App einen neuen Code \
                 anfordern.{}",
                self.explained()
            ),
            Situation::GaveUp => format!(
                "Lassen Sie sich die Nummer nennen und vergleichen Sie sie. {}{}",
                self.send_again("Stimmt sie, senden Sie den Code noch einmal"),
                self.explained()
            ),
            Situation::Delivered => format!(
                "Warten Sie, während die Person nachsieht. {}",
                self.send_again("Findet sie den Code nicht, senden Sie ihn noch einmal")
            ),
            Situation::Mistyped => format!(
                "Fragen Sie, woher die Person den Code hat, aber niemals nach dem Code selbst. {}",
                self.send_again("Hat sie ihn nicht mehr, senden Sie ihn noch einmal")
            ),
            Situation::OnItsWayWithFallback => match facts.fallback {
                Some((at, next)) => format!(
                    "Bis {} nichts: Dann folgt {} von selbst. Kann die Person nicht warten, lösen Sie den nächsten \
                     Schritt jetzt aus.",
                    (self.clock)(at),
                    a(next)
                ),
                None => self.wait_a_minute(),
            },
            Situation::OnItsWay => self.wait_a_minute(),
            Situation::Overdue => format!(
                "{}{}",
                self.send_again("Senden Sie den Code noch einmal"),
                self.take_next().unwrap_or_else(|| {
                    " Geht es anderen auch so, verständigen Sie den Betrieb: Vielleicht ist der Versandweg gestört.".to_owned()
                })
            ),
            Situation::Doubt => format!(
                "Fragen Sie, ob der Code da ist. {}",
                self.send_again("Ist er es nicht, senden Sie ihn noch einmal")
            ),
            Situation::Queued => "Nichts: Warten Sie ein paar Sekunden.".to_owned(),
            Situation::QueuedTooLong => format!(
                "Verständigen Sie den Betrieb: {} wartet zu lange in der Warteschlange.{}",
                capital(&the(facts.route)),
                self.take_next().unwrap_or_default()
            ),
        }
    }

    fn wait_a_minute(&self) -> String {
        let again = self.send_again("Ist der Code dann nicht da, senden Sie ihn noch einmal");
        format!("Warten Sie eine Minute. {again}")
    }

    /// `wish` as a sentence, with the time from which it is possible.
    fn send_again(&self, wish: &str) -> String {
        match self.facts.resend {
            ResendOption::Now => format!("{wish}."),
            ResendOption::From(at) => format!("{wish}; das geht ab {}.", (self.clock)(at)),
            ResendOption::Never => {
                "Noch einmal senden lässt er sich nicht; lassen Sie die Person in der App einen neuen \
                 anfordern."
                    .to_owned()
            }
        }
    }

    fn take_next(&self) -> Option<String> {
        self.facts.next.map(|route| format!(" Oder lösen Sie jetzt den nächsten Schritt aus, {}.", by(route)))
    }

    /// The remedy or cause of the last error, from the table of explanations.
    fn explained(&self) -> String {
        let facts = self.facts;
        let Some(entry) = facts.error().and_then(|error| facts.route.explain(error)) else {
            return String::new();
        };
        let text = entry.text(Language::German);
        match entry.who {
            Actor::Operator => format!(" Für den Betrieb: {}", text.fix),
            Actor::App => format!(" Für das Entwicklungsteam der App: {}", text.fix),
            Actor::Customer | Actor::Meta | Actor::Carrier | Actor::Nobody => format!(" {}", text.cause),
        }
    }
}

fn transition(transition: &Transition<'_>) -> String {
    let Transition { from, cause, to, next_message } = transition;
    let message = if from == to { another(*to) } else { a(*to) };
    let cause = match cause {
        Cause::Deadline { after } => {
            format!(
                "{} hat die Zustellung nicht innerhalb von {} bestätigt",
                reporter(*from),
                duration(*after)
            )
        }
        Cause::NotAccepted { after, error } => format!(
            "{} konnte innerhalb von {} nicht gesendet werden{}",
            the(*from),
            duration(*after),
            error.map_or_else(String::new, |error| because(*from, error))
        ),
        Cause::Failed { after, error } => format!(
            "{} hat nach {} gemeldet, dass {} nicht zugestellt werden konnte{}",
            reporter(*from),
            duration(*after),
            its(*from),
            error.map_or_else(String::new, |error| because(*from, error))
        ),
        Cause::Refused { error } => {
            format!(
                "{} hat {} nicht angenommen{}",
                Provider(*from).within(),
                its(*from),
                because(*from, error)
            )
        }
        Cause::Held => {
            format!("{} hat {} angenommen und nicht weitergegeben", Provider(*from).within(), its(*from))
        }
        Cause::Doubt => format!("die Antwort {} ging verloren", Provider(*from).of()),
        Cause::Skipped => skipped(*from),
        Cause::NextAsked(initiator) => format!("{} hat den nächsten Schritt angefordert", who(*initiator)),
        Cause::ResendAsked(initiator) => format!("{} hat den Code noch einmal angefordert", who(*initiator)),
    };
    match next_message {
        NextMessage::Sent => format!("{cause}, deshalb wurde {message} gesendet"),
        NextMessage::Soon => format!("{cause}, deshalb wird gleich {message} gesendet"),
        NextMessage::Skipped => cause,
        NextMessage::Never => format!("{cause}, doch {message} wurde nicht mehr gesendet"),
    }
}

fn skipped(route: Route<'_>) -> String {
    format!("{} wurde übersprungen, weil unser Absender dort gerade abgelehnt worden war", route.name())
}

/// `die SMS`, `die Nachricht per WhatsApp`; nominative and accusative are the same.
fn the(route: Route<'_>) -> String {
    match route.medium {
        Some(Medium::Sms) => format!("die SMS{}", route.aside()),
        Some(Medium::WhatsApp) | None => format!("die Nachricht {}", by(route)),
    }
}

/// Like [`the`], if the provider was just named.
fn its(route: Route<'_>) -> String {
    match route.medium {
        Some(Medium::Sms) => "die SMS".to_owned(),
        Some(Medium::WhatsApp) | None => "die Nachricht".to_owned(),
    }
}

fn a(route: Route<'_>) -> String {
    format!("eine {}", bare(route))
}

fn another(route: Route<'_>) -> String {
    format!("noch eine {}", bare(route))
}

fn bare(route: Route<'_>) -> String {
    match route.medium {
        Some(Medium::Sms) => format!("SMS{}", route.aside()),
        Some(Medium::WhatsApp) | None => format!("Nachricht {}", by(route)),
    }
}

/// The party that reports the delivery, as the subject of a clause.
fn reporter(route: Route<'_>) -> String {
    match route.medium {
        Some(Medium::Sms) => format!("das Mobilfunknetz{}", route.aside()),
        Some(Medium::WhatsApp) | None => Provider(route).within(),
    }
}

fn by(route: Route<'_>) -> String {
    match route.medium {
        Some(Medium::WhatsApp | Medium::Sms) => format!("per {}", route.name()),
        None => format!("über {}", route.channel),
    }
}

/// The apps that the customer should check.
fn places(routes: &[Route<'_>]) -> String {
    let place = |route: &Route<'_>| match route.medium {
        Some(Medium::Sms) => "bei Ihren SMS".to_owned(),
        Some(Medium::WhatsApp) => "in WhatsApp".to_owned(),
        None => format!("bei {}", route.channel),
    };
    let mut places: Vec<_> = routes.iter().map(place).collect();
    places.dedup();
    if places.is_empty() { "bei Ihren neuesten Nachrichten".to_owned() } else { places.join(" oder ") }
}

fn who(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::App => "die App",
        Initiator::Operator => "der Support",
    }
}

fn times(count: u8) -> String {
    match count {
        1 => "einmal".to_owned(),
        2 => "zweimal".to_owned(),
        more => format!("{more}-mal"),
    }
}

fn duration(duration: Duration) -> String {
    seconds(duration, Language::German)
}
