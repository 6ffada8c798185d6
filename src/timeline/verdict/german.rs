//! Verdicts in German, with formal address.

use std::time::Duration;

use super::super::amounts::seconds;
use super::super::german::{Provider, because, capital};
use super::super::saying::Asker;
use super::super::way::{Medium, Way};
use super::case::{Again, Case, Cause, Disowned, End, Fate, Situation, Turn, Went};
use crate::explain::Actor;
use crate::language::Language;
use crate::verification::event::AbandonReason;
use crate::verification::values::Timestamp;

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
            clauses.push(format!("insgesamt gab es {} Nachrichten", turns.len() + 1));
            turns = &turns[turns.len() - 1..];
        }
        clauses.extend(turns.iter().map(turn));
        clauses.extend(self.fate());
        for arrival in &case.arrivals {
            let after = length(arrival.after);
            clauses.push(if arrival.way == case.way {
                format!("eine frühere {} kam nach {after} an", bare(arrival.way))
            } else {
                format!("{} kam auch an, nach {after}", the(arrival.way))
            });
        }
        clauses.extend(self.end());
        format!("{}.", capital(&clauses.join("; ")))
    }

    /// What became of the last message. After a turn it is `sie`: the turn has just named it.
    fn fate(&self) -> Option<String> {
        let case = self.case;
        let way = case.way;
        let first = case.turns.is_empty();
        let message = if first { the(way) } else { "sie".to_owned() };
        let its_message = if first { its(way) } else { "sie".to_owned() };
        let is_over = !matches!(case.end, End::Open);
        let taker = Provider(way).within();
        Some(match &case.fate {
            Fate::Queued { since } if *since < A_MOMENT => match case.turns.last() {
                Some(Turn { went: Went::Soon, .. }) => return None,
                Some(_) | None => format!("{message} geht gleich hinaus"),
            },
            Fate::Queued { since } => {
                format!("{message} wartet seit {} in unserer Warteschlange", length(*since))
            }
            Fate::Retrying { error, at } => format!(
                "{taker} hat {its_message} vorerst abgelehnt{} und wird um {} wieder gefragt",
                because(way, error),
                (self.clock)(*at)
            ),
            Fate::Sending if is_over => format!("{taker} hatte noch nicht geantwortet"),
            Fate::Sending => format!("die Anfrage an {} läuft gerade", Provider(way).accusative()),
            Fate::Doubt { again_at: Some(at) } => format!(
                "die Antwort {} ging verloren, sodass niemand weiß, ob {its_message} hinausging, und ohne Meldung \
                 wird derselbe Code um {} noch einmal gesendet",
                Provider(way).of(),
                (self.clock)(*at)
            ),
            Fate::Doubt { again_at: None } => format!(
                "die Antwort {} ging verloren, sodass niemand weiß, ob {its_message} hinausging",
                Provider(way).of()
            ),
            Fate::Taken { .. } if case.end == End::GaveUp => {
                format!("{taker} hat {its_message} angenommen und nicht weitergegeben")
            }
            Fate::Taken { .. } if is_over => format!("{} hat die Zustellung nie bestätigt", teller(way)),
            Fate::Taken { since } => match case.turns.last() {
                Some(_) => format!(
                    "{} hat die Zustellung auch nach {} noch nicht bestätigt",
                    teller(way),
                    length(*since)
                ),
                None => format!(
                    "{taker} hat {its_message} vor {} angenommen und die Zustellung noch nicht bestätigt",
                    length(*since)
                ),
            },
            Fate::Delivered { after, read } if *read == Some(*after) => {
                format!("{} hat nach {} gemeldet, dass der Code gelesen wurde", teller(way), length(*after))
            }
            Fate::Delivered { after, read } => {
                let read = read.map_or_else(String::new, |read| {
                    format!(", und nach {} wurde die Nachricht gelesen", length(read))
                });
                match case.turns.last() {
                    Some(_) => {
                        format!("{} hat die Zustellung nach {} bestätigt{read}", teller(way), length(*after))
                    }
                    None => format!("{} hat den Code nach {} zugestellt{read}", teller(way), length(*after)),
                }
            }
            Fate::Refused { error } => {
                format!("{taker} hat {its_message} nicht angenommen{}", because(way, error))
            }
            Fate::Failed { after, error } => format!(
                "{} hat nach {} gemeldet, dass {its_message} nicht zugestellt werden konnte{}",
                teller(way),
                length(*after),
                error.map_or_else(String::new, |error| because(way, error))
            ),
            Fate::Skipped if matches!(case.turns.last(), Some(Turn { cause: Cause::Skipped, .. })) => {
                format!("{} wurde aus demselben Grund ebenfalls übersprungen", way.name())
            }
            Fate::Skipped => skipped(way),
            Fate::NeverSent => match case.turns.last() {
                Some(Turn { went: Went::Never, .. }) => return None,
                Some(_) | None => format!("{message} wurde nie gesendet"),
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
                    clauses.push(format!("kommt der Code bis {at} nicht an, folgt {}", a(way)));
                }
                clauses.push(self.not_entered());
            }
            End::GaveUp => {
                clauses.push("mehr lässt sich nicht versuchen".to_owned());
                clauses.push(self.not_entered());
            }
            End::Approved { after } => {
                let after = length(after);
                clauses.push(match case.wrong {
                    0 => format!("der richtige Code wurde {after} nach der Anforderung eingegeben"),
                    _ => format!(
                        "{wrong} wurde ein falscher Code eingegeben, {after} nach der Anforderung der richtige"
                    ),
                });
            }
            End::Expired => {
                let at = (self.clock)(case.expires_at);
                clauses.push(match case.wrong {
                    0 => format!("der Code wurde nicht eingegeben und ist um {at} abgelaufen"),
                    _ => format!(
                        "{wrong} wurde ein falscher Code eingegeben, der richtige ist um {at} abgelaufen"
                    ),
                });
            }
            End::Canceled(asker) => clauses.push(format!("{} hat die Verifizierung abgebrochen", who(asker))),
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
            ) => {
                clauses.push("die Person hat angegeben, dass sie keinen Code angefordert hat".to_owned());
            }
        }
        clauses
    }

    fn not_entered(&self) -> String {
        match self.case.wrong {
            0 => "der Code wurde noch nicht eingegeben".to_owned(),
            wrong => {
                let left = match self.case.left {
                    1 => "ein Versuch bleibt".to_owned(),
                    more => format!("{more} Versuche bleiben"),
                };
                format!("{} wurde ein falscher Code eingegeben, {left}", times(wrong))
            }
        }
    }

    fn tell_customer(&self) -> String {
        let case = self.case;
        let until = (self.clock)(case.expires_at);
        match case.situation() {
            Situation::Approved => "Ihr Code war richtig; Sie sind fertig.".to_owned(),
            Situation::ApprovedAndDisowned => {
                "Ein Code, der an Sie ging, wurde verwendet. Wenn Sie das nicht waren, \
                 sagen Sie es uns bitte jetzt, und geben Sie einen Code niemals weiter."
                    .to_owned()
            }
            Situation::Disowned => {
                "Der Code, der an Sie ging, gilt nicht mehr; damit geschieht nichts. Bitte geben Sie \
                 einen Code niemals weiter."
                    .to_owned()
            }
            Situation::Canceled => {
                "Dieser Code wurde zurückgezogen und gilt nicht mehr. Bitte fordern Sie in der App \
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
                format!("Bitte sehen Sie {} nach; der Code gilt bis {until}.", places(&case.delivered()))
            }
            Situation::Mistyped => format!(
                "Der eingegebene Code war falsch. Bitte sehen Sie {} nach und geben Sie den Code aus der neuesten \
                 Nachricht ein; Sie haben noch {}, bis {until}.",
                places(&case.delivered()),
                match case.left {
                    1 => "einen Versuch".to_owned(),
                    more => format!("{more} Versuche"),
                }
            ),
            Situation::OnItsWayWithFallback => match case.fallback {
                Some((at, next)) => format!(
                    "Der Code ist {} unterwegs. Kommt er bis {} nicht an, erhalten Sie ihn {}. Er gilt bis {until}.",
                    by(case.way),
                    (self.clock)(at),
                    by(next)
                ),
                None => self.on_its_way(&until),
            },
            Situation::OnItsWay => self.on_its_way(&until),
            Situation::Overdue => format!(
                "Der Code ging {} hinaus, aber wir haben noch keine Bestätigung, dass er angekommen ist. Bitte prüfen \
                 Sie Ihren Empfang; der Code gilt bis {until}.",
                by(case.way)
            ),
            Situation::Doubt => format!(
                "Der Code hat Sie {} vielleicht schon erreicht. Bitte sehen Sie {} nach; ist nichts da, senden wir \
                 ihn noch einmal.",
                by(case.way),
                places(&[case.way])
            ),
            Situation::Queued => {
                format!("Der Code geht gerade {} hinaus; er gilt bis {until}.", by(case.way))
            }
            Situation::QueuedTooLong => format!(
                "Der Code ist noch nicht hinausgegangen, weil wir mehr als sonst zu senden haben. Bitte haben Sie \
                 etwas Geduld; er gilt bis {until}."
            ),
        }
    }

    fn on_its_way(&self, until: &str) -> String {
        format!(
            "Der Code ist {} unterwegs und sollte innerhalb einer Minute ankommen; er gilt bis {until}.",
            by(self.case.way)
        )
    }

    fn to_do(&self) -> String {
        let case = self.case;
        match case.situation() {
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
            Situation::OnItsWayWithFallback => match case.fallback {
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
                    " Geht es anderen auch so, verständigen Sie den Betrieb: Vielleicht ist der Weg gestört.".to_owned()
                })
            ),
            Situation::Doubt => format!(
                "Fragen Sie, ob der Code da ist. {}",
                self.send_again("Ist er es nicht, senden Sie ihn noch einmal")
            ),
            Situation::Queued => "Nichts: Warten Sie ein paar Sekunden.".to_owned(),
            Situation::QueuedTooLong => format!(
                "Verständigen Sie den Betrieb: {} wartet zu lange in der Warteschlange.{}",
                capital(&the(case.way)),
                self.take_next().unwrap_or_default()
            ),
        }
    }

    fn wait_a_minute(&self) -> String {
        let again = self.send_again("Ist der Code dann nicht da, senden Sie ihn noch einmal");
        format!("Warten Sie eine Minute. {again}")
    }

    /// `wish` as a sentence, with when it can be had.
    fn send_again(&self, wish: &str) -> String {
        match self.case.again {
            Again::Now => format!("{wish}."),
            Again::From(at) => format!("{wish}; das geht ab {}.", (self.clock)(at)),
            Again::Never => {
                "Noch einmal senden lässt er sich nicht; lassen Sie die Person in der App einen neuen \
                 anfordern."
                    .to_owned()
            }
        }
    }

    fn take_next(&self) -> Option<String> {
        self.case.next.map(|way| format!(" Oder lösen Sie jetzt den nächsten Schritt aus, {}.", by(way)))
    }

    /// What the table says to do about the last error, where somebody can do anything.
    fn explained(&self) -> String {
        let case = self.case;
        let Some(entry) = case.error().and_then(|error| case.way.explain(error)) else {
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

fn turn(turn: &Turn<'_>) -> String {
    let Turn { from, cause, to, went } = turn;
    let message = if from == to { another(*to) } else { a(*to) };
    let cause = match cause {
        Cause::Deadline { after } => {
            format!("{} hat die Zustellung nicht innerhalb von {} bestätigt", teller(*from), length(*after))
        }
        Cause::NotTaken { after, error } => format!(
            "{} ging innerhalb von {} nicht hinaus{}",
            the(*from),
            length(*after),
            error.map_or_else(String::new, |error| because(*from, error))
        ),
        Cause::Failed { after, error } => format!(
            "{} hat nach {} gemeldet, dass {} nicht zugestellt werden konnte{}",
            teller(*from),
            length(*after),
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
        Cause::NextAsked(asker) => format!("{} hat den nächsten Schritt verlangt", who(*asker)),
        Cause::ResendAsked(asker) => format!("{} hat den Code noch einmal angefordert", who(*asker)),
    };
    match went {
        Went::Out => format!("{cause}, deshalb ging {message} hinaus"),
        Went::Soon => format!("{cause}, deshalb geht gleich {message} hinaus"),
        Went::Skipped => cause,
        Went::Never => format!("{cause}, doch {message} wurde nicht mehr gesendet"),
    }
}

fn skipped(way: Way<'_>) -> String {
    format!("{} wurde übersprungen, weil unser Absender dort gerade abgelehnt worden war", way.name())
}

/// `die SMS`, `die Nachricht per WhatsApp`: the same as subject and as object.
fn the(way: Way<'_>) -> String {
    match way.medium {
        Some(Medium::Sms) => format!("die SMS{}", way.aside()),
        Some(Medium::WhatsApp) | None => format!("die Nachricht {}", by(way)),
    }
}

/// As [`the`], where who sends it has just been named.
fn its(way: Way<'_>) -> String {
    match way.medium {
        Some(Medium::Sms) => "die SMS".to_owned(),
        Some(Medium::WhatsApp) | None => "die Nachricht".to_owned(),
    }
}

fn a(way: Way<'_>) -> String {
    format!("eine {}", bare(way))
}

fn another(way: Way<'_>) -> String {
    format!("noch eine {}", bare(way))
}

fn bare(way: Way<'_>) -> String {
    match way.medium {
        Some(Medium::Sms) => format!("SMS{}", way.aside()),
        Some(Medium::WhatsApp) | None => format!("Nachricht {}", by(way)),
    }
}

/// Who tells us what became of it, as the subject of a clause.
fn teller(way: Way<'_>) -> String {
    match way.medium {
        Some(Medium::Sms) => format!("das Mobilfunknetz{}", way.aside()),
        Some(Medium::WhatsApp) | None => Provider(way).within(),
    }
}

fn by(way: Way<'_>) -> String {
    match way.medium {
        Some(Medium::WhatsApp | Medium::Sms) => format!("per {}", way.name()),
        None => format!("über {}", way.channel),
    }
}

/// Where the customer looks.
fn places(ways: &[Way<'_>]) -> String {
    let place = |way: &Way<'_>| match way.medium {
        Some(Medium::Sms) => "bei Ihren SMS".to_owned(),
        Some(Medium::WhatsApp) => "in WhatsApp".to_owned(),
        None => format!("bei {}", way.channel),
    };
    let mut places: Vec<_> = ways.iter().map(place).collect();
    places.dedup();
    if places.is_empty() { "bei Ihren neuesten Nachrichten".to_owned() } else { places.join(" oder ") }
}

fn who(asker: Asker) -> &'static str {
    match asker {
        Asker::App => "die App",
        Asker::Operator => "der Support",
    }
}

fn times(count: u8) -> String {
    match count {
        1 => "einmal".to_owned(),
        2 => "zweimal".to_owned(),
        more => format!("{more}-mal"),
    }
}

fn length(duration: Duration) -> String {
    seconds(duration, Language::German)
}
