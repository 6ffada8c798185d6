//! The lines in German, for support staff.

use super::amounts::seconds;
use super::route::{Medium, Route};
use super::sentence::{Initiator, Sentence};
use crate::language::Language;
use crate::verification::event::{AbandonReason, Aim, FallbackReason, Occasion, OperatorAction, Standing};
use crate::verification::values::{DeliveryError, ReportStatus};

pub(super) fn sentence(sentence: &Sentence<'_>) -> String {
    match sentence {
        Sentence::Requested { profile } => {
            format!("Die App hat einen Code mit dem Profil {profile} angefordert.")
        }
        Sentence::Queued { route, occasion } => {
            let name = route.name();
            match occasion {
                Occasion::Step => format!("Eine Nachricht per {name} steht zum Senden bereit."),
                Occasion::Resend => format!("Derselbe Code steht noch einmal zum Senden bereit, per {name}."),
                Occasion::Doubt => format!(
                    "Niemand weiß, ob die letzte Nachricht gesendet wurde. Deshalb steht derselbe Code noch einmal zum \
                     Senden bereit, per {name}."
                ),
            }
        }
        Sentence::SendStarted { route, attempt } => {
            format!("Anfrage {attempt} wurde an {} gesendet.", Provider(*route).accusative())
        }
        Sentence::Accepted { route } => format!("{} hat die Nachricht angenommen.", Provider(*route).subject()),
        Sentence::Refused { route, error, retry_in } => {
            let again = retry_in.map_or_else(String::new, |wait| {
                format!(" Der nächste Versuch folgt nach {}.", seconds(wait, Language::German))
            });
            let subject = Provider(*route).subject();
            format!("{subject} hat die Nachricht abgelehnt{}.{again}", because(*route, error))
        }
        Sentence::InDoubt { route, error } => format!(
            "Niemand weiß, ob {} die Nachricht gesendet hat{}. Sie wird nicht blind noch einmal gesendet.",
            Provider(*route).within(),
            because(*route, error)
        ),
        Sentence::Reported { route, status: ReportStatus::Unknown(word), .. } => format!(
            "{} meldet den unbekannten Status „{word}“. Das hat nichts geändert.",
            Provider(*route).subject()
        ),
        Sentence::Reported { route, status, standing } => {
            let what = match status {
                ReportStatus::Sent => "Die Nachricht wurde gesendet".to_owned(),
                ReportStatus::Delivered => "Die Nachricht wurde zugestellt".to_owned(),
                ReportStatus::Read => "Die Nachricht wurde gelesen".to_owned(),
                ReportStatus::Failed(error) => {
                    format!("Die Zustellung ist gescheitert{}", because(*route, error))
                }
                ReportStatus::Unknown(word) => format!("Die Nachricht ist „{word}“"),
            };
            format!("{} meldet: {what}.{}", Provider(*route).subject(), no_news(*standing))
        }
        Sentence::FellBack { from, to, reason, initiator } => {
            let provider = Provider(*from).within();
            let why = match reason {
                FallbackReason::Deadline => format!("{provider} nichts rechtzeitig zugestellt hat"),
                FallbackReason::Failed => format!("{provider} einen Fehlschlag gemeldet hat"),
                FallbackReason::Refused => format!("{provider} die Nachricht nicht angenommen hat"),
                FallbackReason::InDoubt => {
                    format!("niemand weiß, was aus der Nachricht per {} geworden ist", from.name())
                }
                FallbackReason::Requested => format!("{} den nächsten Schritt angefordert hat", who(*initiator)),
            };
            format!("Weiter per {}, weil {why}.", to.name())
        }
        Sentence::Skipped { route } => format!(
            "{} wurde übersprungen: Unser Absender war dort kurz zuvor abgelehnt worden.",
            Provider(*route).subject()
        ),
        Sentence::GaveUp => {
            "Alle Schritte sind gescheitert; es folgt kein weiterer Versuch. Der Code bleibt gültig, \
                           bis er abläuft."
                .to_owned()
        }
        Sentence::CheckPassed => "Der Code wurde angenommen.".to_owned(),
        Sentence::CheckFailed { left } => {
            let left = match left {
                0 => "kein weiterer Versuch ist möglich".to_owned(),
                1 => "noch ein Versuch ist möglich".to_owned(),
                more => format!("noch {more} Versuche sind möglich"),
            };
            format!("Ein falscher Code wurde eingegeben; {left}.")
        }
        Sentence::ChecksExhausted => {
            "Es wurden zu viele falsche Codes eingegeben; der Code gilt nicht mehr.".to_owned()
        }
        Sentence::ResendRequested { route, initiator } => {
            let by = route.map_or_else(String::new, |route| format!(", per {}", route.name()));
            format!("{} hat den Code noch einmal angefordert{by}.", capital(who(*initiator)))
        }
        Sentence::Replied { standing } => format!("Die Person hat geantwortet.{}", no_news(*standing)),
        Sentence::Disowned { standing, aim: Aim::This } => {
            format!("Die Person gibt an, dass sie keinen Code angefordert hat.{}", no_news(*standing))
        }
        Sentence::Disowned { standing: _, aim: Aim::Perhaps } => {
            "Die Person gibt an, dass sie keinen Code angefordert hat, aber nicht, welchen. Mehrere sind offen, \
             deshalb wurde keiner abgebrochen."
                .to_owned()
        }
        Sentence::OperatorActed { by, action } => match action {
            OperatorAction::Reveal => format!("{by} hat sich die vollständige Nummer anzeigen lassen."),
            OperatorAction::Resend => {
                format!("{by} hat veranlasst, dass der Code noch einmal gesendet wird.")
            }
            OperatorAction::Next => format!("{by} hat den nächsten Schritt veranlasst."),
            OperatorAction::Cancel => {
                format!("{by} hat veranlasst, dass die Verifizierung abgebrochen wird.")
            }
        },
        Sentence::Erased => "Die Nummer und alle Texte wurden gelöscht; der Verlauf bleibt erhalten.".to_owned(),
        Sentence::Expired => "Der Code ist abgelaufen.".to_owned(),
        Sentence::Canceled { initiator } => {
            format!("{} hat die Verifizierung abgebrochen.", capital(who(*initiator)))
        }
        Sentence::CanceledAsDisowned => {
            "Die Verifizierung wurde abgebrochen, weil die Person sie nicht angefordert hat.".to_owned()
        }
        Sentence::Abandoned { reason: AbandonReason::KeyLost } => {
            "twotick hat die Verifizierung abgebrochen, weil der Schlüssel für Nummer und Code fehlt."
                .to_owned()
        }
        Sentence::Abandoned { reason: AbandonReason::AppRemoved } => {
            "twotick hat die Verifizierung abgebrochen, weil ihre App nicht mehr konfiguriert ist.".to_owned()
        }
    }
}

/// The provider behind a route, in German grammatical cases.
pub(super) struct Provider<'a>(pub(super) Route<'a>);

impl Provider<'_> {
    /// At the start of a sentence.
    pub(super) fn subject(&self) -> String {
        capital(&self.within())
    }

    /// As subject within a sentence.
    pub(super) fn within(&self) -> String {
        self.in_case("der")
    }

    /// After `an`.
    pub(super) fn accusative(&self) -> String {
        self.in_case("den")
    }

    /// `von WhatsApp`, `vom SMS-Anbieter`.
    pub(super) fn of(&self) -> String {
        match self.0.medium {
            Some(Medium::WhatsApp) => format!("von {}", self.0.name()),
            Some(Medium::Sms) | None => self.in_case("vom"),
        }
    }

    fn in_case(&self, article: &str) -> String {
        let Self(route) = self;
        match route.medium {
            Some(Medium::WhatsApp) => route.name(),
            Some(Medium::Sms) => format!("{article} SMS-Anbieter{}", route.aside()),
            None => format!("{article} Kanal {}", route.channel),
        }
    }
}

fn who(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::App => "die App",
        Initiator::Operator => "der Support",
    }
}

pub(super) fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn no_news(standing: Standing) -> &'static str {
    match standing {
        Standing::Applied => "",
        Standing::Stale => " Das hat nichts geändert: Es war schon bekannt oder ist veraltet.",
    }
}

/// Such as ` (131026, Nachricht nicht zustellbar)`; the provider's own text for unknown codes.
pub(super) fn because(route: Route<'_>, error: &DeliveryError) -> String {
    let title = route.explain(error).map_or(error.title.as_str(), |entry| entry.text(Language::German).title);
    if title.is_empty() { format!(" ({})", error.code) } else { format!(" ({}, {title})", error.code) }
}
