//! The lines in English. The API returns these texts and programs log them, so they should change rarely.

use super::sentence::{Initiator, Sentence};
use crate::verification::event::{AbandonReason, Aim, FallbackReason, Occasion, OperatorAction, Standing};
use crate::verification::values::{DeliveryError, ReportStatus};

/// Channels appear under their configured names, as elsewhere in the API.
pub(super) fn sentence(sentence: &Sentence<'_>) -> String {
    match sentence {
        Sentence::Requested { profile } => format!("The app requested a code with the profile {profile}."),
        Sentence::Queued { route, occasion } => match occasion {
            Occasion::Step => format!("A message via {route} was queued."),
            Occasion::Resend => format!("The same code was queued again via {route}."),
            Occasion::Doubt => format!(
                "The outcome of the last message is unknown, so the same code was queued again via {route}."
            ),
        },
        Sentence::SendStarted { route, attempt } => format!("Request {attempt} was sent to {route}."),
        Sentence::Accepted { route } => format!("{route} accepted the message."),
        Sentence::Refused { route, error, retry_in } => {
            let again = retry_in.map_or_else(String::new, |wait| {
                format!(" The next attempt follows after {:.1} s.", wait.as_secs_f32())
            });
            format!("{route} refused the message{}.{again}", because(error))
        }
        Sentence::InDoubt { route, error } => format!(
            "It is unknown whether {route} sent the message{}; it is not resent blindly.",
            because(error)
        ),
        Sentence::Reported { route, status: ReportStatus::Unknown(word), .. } => {
            format!("{route} reported the unknown status \"{word}\". Nothing changed.")
        }
        Sentence::Reported { route, status, standing } => {
            let what = match status {
                ReportStatus::Sent => "was sent".to_owned(),
                ReportStatus::Delivered => "was delivered".to_owned(),
                ReportStatus::Read => "was read".to_owned(),
                ReportStatus::Failed(error) => format!("failed{}", because(error)),
                ReportStatus::Unknown(word) => format!("is \"{word}\""),
            };
            format!("{route} reported that the message {what}.{}", no_news(*standing))
        }
        Sentence::FellBack { from, to, reason, initiator } => {
            let why = match reason {
                FallbackReason::Deadline => format!("{from} did not deliver in time"),
                FallbackReason::Failed => format!("{from} reported a failure"),
                FallbackReason::Refused => format!("{from} did not accept the message"),
                FallbackReason::InDoubt => format!("the outcome of the message via {from} is unknown"),
                FallbackReason::Requested => format!("{} requested the next step", who(*initiator)),
            };
            format!("Falling back to {to}: {why}.")
        }
        Sentence::Skipped { route } => {
            format!("{route} was skipped, because it has just refused our sender.")
        }
        Sentence::GaveUp => {
            "All steps failed, and no further attempt follows. The code stays valid until it expires."
                .to_owned()
        }
        Sentence::CheckPassed => "The code was accepted.".to_owned(),
        Sentence::CheckFailed { left: 1 } => "A wrong code was entered; 1 attempt is left.".to_owned(),
        Sentence::CheckFailed { left } => format!("A wrong code was entered; {left} attempts are left."),
        Sentence::ChecksExhausted => {
            "Too many wrong codes were entered; the code is no longer valid.".to_owned()
        }
        Sentence::ResendRequested { route, initiator } => {
            let by = route.map_or_else(String::new, |route| format!(" via {route}"));
            format!("{} requested a resend{by}.", capital(who(*initiator)))
        }
        Sentence::Replied { standing } => format!("The person replied.{}", no_news(*standing)),
        Sentence::Disowned { standing, aim: Aim::This } => {
            format!("The person said that they did not request a code.{}", no_news(*standing))
        }
        Sentence::Disowned { standing: _, aim: Aim::Perhaps } => {
            "The person said that they did not request a code, but not which one. Several are pending, so none was \
             canceled."
                .to_owned()
        }
        Sentence::OperatorActed { by, action } => match action {
            OperatorAction::Reveal => format!("{by} viewed the full number."),
            OperatorAction::Resend => format!("{by} requested a resend."),
            OperatorAction::Next => format!("{by} requested the next step."),
            OperatorAction::Cancel => format!("{by} requested the cancellation of the verification."),
        },
        Sentence::Erased => "The number and all texts were erased; the timeline is kept.".to_owned(),
        Sentence::Expired => "The code expired.".to_owned(),
        Sentence::Canceled { initiator } => format!("{} canceled the verification.", capital(who(*initiator))),
        Sentence::CanceledAsDisowned => {
            "The verification was canceled, because the person did not request it.".to_owned()
        }
        Sentence::Abandoned { reason: AbandonReason::KeyLost } => {
            "twotick canceled the verification, because the key for its number and code is missing."
                .to_owned()
        }
        Sentence::Abandoned { reason: AbandonReason::AppRemoved } => {
            "twotick canceled the verification, because its app is no longer configured.".to_owned()
        }
    }
}

fn who(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::App => "the app",
        Initiator::Operator => "support",
    }
}

pub(super) fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The note for reports without effect.
fn no_news(standing: Standing) -> &'static str {
    match standing {
        Standing::Applied => "",
        Standing::Stale => " Nothing changed: this was already known or is outdated.",
    }
}

/// Such as ` (131026, Message undeliverable)`.
fn because(error: &DeliveryError) -> String {
    if error.title.is_empty() {
        format!(" ({})", error.code)
    } else {
        format!(" ({}, {})", error.code, error.title)
    }
}
