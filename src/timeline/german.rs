//! The lines in German, as support reads them aloud.

use super::amounts::seconds;
use super::saying::{Asker, Saying};
use super::way::{Medium, Way};
use crate::language::Language;
use crate::verification::event::{AbandonReason, Aim, FallbackReason, Occasion, OperatorAction, Standing};
use crate::verification::values::{DeliveryError, ReportStatus};

pub(super) fn sentence(saying: &Saying<'_>) -> String {
    match saying {
        Saying::Requested { profile } => {
            format!("Die App hat einen Code mit dem Profil {profile} angefordert.")
        }
        Saying::Queued { way, occasion } => {
            let name = way.name();
            match occasion {
                Occasion::Step => format!("Eine Nachricht per {name} steht zum Senden bereit."),
                Occasion::Resend => format!("Derselbe Code steht noch einmal zum Senden bereit, per {name}."),
                Occasion::Doubt => format!(
                    "Niemand weiß, ob die letzte Nachricht hinausging. Deshalb steht derselbe Code noch einmal zum \
                     Senden bereit, per {name}."
                ),
            }
        }
        Saying::SendStarted { way, attempt } => {
            format!("Anfrage {attempt} an {} ging hinaus.", Provider(*way).accusative())
        }
        Saying::Accepted { way } => format!("{} hat die Nachricht angenommen.", Provider(*way).subject()),
        Saying::Refused { way, error, retry_in } => {
            let again = retry_in.map_or_else(String::new, |wait| {
                format!(" Der nächste Versuch folgt nach {}.", seconds(wait, Language::German))
            });
            let subject = Provider(*way).subject();
            format!("{subject} hat die Nachricht abgelehnt{}.{again}", because(*way, error))
        }
        Saying::InDoubt { way, error } => format!(
            "Niemand weiß, ob {} die Nachricht gesendet hat{}. Sie wird nicht blind noch einmal gesendet.",
            Provider(*way).within(),
            because(*way, error)
        ),
        Saying::Reported { way, status: ReportStatus::Unknown(word), .. } => format!(
            "{} meldet „{word}“. twotick kennt diesen Status nicht; das hat nichts geändert.",
            Provider(*way).subject()
        ),
        Saying::Reported { way, status, standing } => {
            let what = match status {
                ReportStatus::Sent => "Die Nachricht wurde gesendet".to_owned(),
                ReportStatus::Delivered => "Die Nachricht wurde zugestellt".to_owned(),
                ReportStatus::Read => "Die Nachricht wurde gelesen".to_owned(),
                ReportStatus::Failed(error) => {
                    format!("Die Nachricht ist gescheitert{}", because(*way, error))
                }
                ReportStatus::Unknown(word) => format!("Die Nachricht ist „{word}“"),
            };
            format!("{} meldet: {what}.{}", Provider(*way).subject(), no_news(*standing))
        }
        Saying::FellBack { from, to, reason, asker } => {
            let provider = Provider(*from).within();
            let why = match reason {
                FallbackReason::Deadline => format!("{provider} nichts rechtzeitig zugestellt hat"),
                FallbackReason::Failed => format!("{provider} einen Fehlschlag gemeldet hat"),
                FallbackReason::Refused => format!("{provider} die Nachricht nicht angenommen hat"),
                FallbackReason::InDoubt => {
                    format!("niemand weiß, was aus der Nachricht per {} geworden ist", from.name())
                }
                FallbackReason::Requested => format!("{} den nächsten Schritt verlangt hat", who(*asker)),
            };
            format!("Weiter per {}, weil {why}.", to.name())
        }
        Saying::Skipped { way } => format!(
            "{} wurde übersprungen: Unser Absender war dort kurz zuvor abgelehnt worden.",
            Provider(*way).subject()
        ),
        Saying::GaveUp => {
            "Alle Schritte sind gescheitert; mehr lässt sich nicht versuchen. Der Code bleibt gültig, \
                           bis er abläuft."
                .to_owned()
        }
        Saying::CheckPassed => "Der richtige Code wurde eingegeben.".to_owned(),
        Saying::CheckFailed { left } => {
            let left = match left {
                0 => "kein weiterer Versuch ist möglich".to_owned(),
                1 => "noch ein Versuch ist möglich".to_owned(),
                more => format!("noch {more} Versuche sind möglich"),
            };
            format!("Ein falscher Code wurde eingegeben; {left}.")
        }
        Saying::ChecksExhausted => {
            "Es wurden zu viele falsche Codes eingegeben; der Code gilt nicht mehr.".to_owned()
        }
        Saying::ResendRequested { way, asker } => {
            let by = way.map_or_else(String::new, |way| format!(", per {}", way.name()));
            format!("{} hat den Code noch einmal angefordert{by}.", capital(who(*asker)))
        }
        Saying::Replied { standing } => format!("Die Person hat geantwortet.{}", no_news(*standing)),
        Saying::Disowned { standing, aim: Aim::This } => {
            format!("Die Person gibt an, dass sie keinen Code angefordert hat.{}", no_news(*standing))
        }
        Saying::Disowned { standing: _, aim: Aim::Perhaps } => {
            "Die Person gibt an, dass sie keinen Code angefordert hat, aber nicht, welchen. Mehrere sind offen, \
             deshalb wurde keiner abgebrochen."
                .to_owned()
        }
        Saying::OperatorActed { by, action } => match action {
            OperatorAction::Reveal => format!("{by} hat sich die vollständige Nummer anzeigen lassen."),
            OperatorAction::Resend => {
                format!("{by} hat veranlasst, dass der Code noch einmal gesendet wird.")
            }
            OperatorAction::Next => format!("{by} hat den nächsten Schritt veranlasst."),
            OperatorAction::Cancel => {
                format!("{by} hat veranlasst, dass die Verifizierung abgebrochen wird.")
            }
        },
        Saying::Erased => "Nummer und Texte wurden gelöscht; was geschah, steht noch hier.".to_owned(),
        Saying::Expired => "Der Code ist abgelaufen.".to_owned(),
        Saying::Canceled { asker } => {
            format!("{} hat die Verifizierung abgebrochen.", capital(who(*asker)))
        }
        Saying::CanceledAsDisowned => {
            "Die Verifizierung wurde abgebrochen, weil die Person sie nicht angefordert hat.".to_owned()
        }
        Saying::Abandoned { reason: AbandonReason::KeyLost } => {
            "twotick hat die Verifizierung abgebrochen, weil der Schlüssel für Nummer und Code fehlt."
                .to_owned()
        }
        Saying::Abandoned { reason: AbandonReason::AppRemoved } => {
            "twotick hat die Verifizierung abgebrochen, weil ihre App nicht mehr konfiguriert ist.".to_owned()
        }
    }
}

/// Who takes messages of a way and tells what becomes of them.
pub(super) struct Provider<'a>(pub(super) Way<'a>);

impl Provider<'_> {
    /// At the start of a sentence.
    pub(super) fn subject(&self) -> String {
        capital(&self.within())
    }

    /// As the subject of a clause.
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
        let Self(way) = self;
        match way.medium {
            Some(Medium::WhatsApp) => way.name(),
            Some(Medium::Sms) => format!("{article} SMS-Anbieter{}", way.aside()),
            None => format!("{article} Kanal {}", way.channel),
        }
    }
}

fn who(asker: Asker) -> &'static str {
    match asker {
        Asker::App => "die App",
        Asker::Operator => "der Support",
    }
}

pub(super) fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn no_news(standing: Standing) -> &'static str {
    match standing {
        Standing::Applied => "",
        Standing::Stale => " Das hat nichts geändert: Es war schon bekannt oder älter als das Bekannte.",
    }
}

/// ` (131026, Nachricht nicht zustellbar)`, in the provider's own words where the table has none.
pub(super) fn because(way: Way<'_>, error: &DeliveryError) -> String {
    let title = way.explain(error).map_or(error.title.as_str(), |entry| entry.text(Language::German).title);
    if title.is_empty() { format!(" ({})", error.code) } else { format!(" ({}, {title})", error.code) }
}
