//! The lines in English, as the API tells them: what stands here is read by programs' logs too, so it changes rarely.

use super::saying::{Asker, Saying};
use crate::verification::event::{AbandonReason, Aim, FallbackReason, Occasion, OperatorAction, Standing};
use crate::verification::values::{DeliveryError, ReportStatus};

/// Channels are called as the configuration calls them, as in every other field of the API.
pub(super) fn sentence(saying: &Saying<'_>) -> String {
    match saying {
        Saying::Requested { profile } => format!("The app asked for a code under the profile {profile}."),
        Saying::Queued { way, occasion } => match occasion {
            Occasion::Step => format!("A message by {way} was queued."),
            Occasion::Resend => format!("The same code was queued once more, by {way}."),
            Occasion::Doubt => format!(
                "Nobody knows whether the last message went out, so the same code was queued again, by {way}."
            ),
        },
        Saying::SendStarted { way, attempt } => format!("Request {attempt} to {way} went out."),
        Saying::Accepted { way } => format!("{way} accepted the message."),
        Saying::Refused { way, error, retry_in } => {
            let again = retry_in.map_or_else(String::new, |wait| {
                format!(" It is tried again {:.1} s later.", wait.as_secs_f32())
            });
            format!("{way} refused the message{}.{again}", because(error))
        }
        Saying::InDoubt { way, error } => format!(
            "Nobody knows whether {way} sent the message{}; it is not sent again blindly.",
            because(error)
        ),
        Saying::Reported { way, status: ReportStatus::Unknown(word), .. } => {
            format!("{way} reported \"{word}\", a status that twotick does not know. That changed nothing.")
        }
        Saying::Reported { way, status, standing } => {
            let what = match status {
                ReportStatus::Sent => "was sent".to_owned(),
                ReportStatus::Delivered => "was delivered".to_owned(),
                ReportStatus::Read => "was read".to_owned(),
                ReportStatus::Failed(error) => format!("failed{}", because(error)),
                ReportStatus::Unknown(word) => format!("is \"{word}\""),
            };
            format!("{way} reported that the message {what}.{}", no_news(*standing))
        }
        Saying::FellBack { from, to, reason, asker } => {
            let why = match reason {
                FallbackReason::Deadline => format!("{from} delivered nothing in time"),
                FallbackReason::Failed => format!("{from} reported a failure"),
                FallbackReason::Refused => format!("{from} did not take the message"),
                FallbackReason::InDoubt => format!("nobody knows what became of the message by {from}"),
                FallbackReason::Requested => format!("{} asked for the next step", who(*asker)),
            };
            format!("On to {to}, because {why}.")
        }
        Saying::Skipped { way } => {
            format!("{way} was skipped, because it refused our sender a moment ago.")
        }
        Saying::GaveUp => {
            "Every step failed; there is nothing more to try. The code stays good until it expires."
                .to_owned()
        }
        Saying::CheckPassed => "The right code was checked.".to_owned(),
        Saying::CheckFailed { left } => format!("A wrong code was checked; {left} more may be tried."),
        Saying::ChecksExhausted => {
            "Too many wrong codes were checked; the code is no longer good.".to_owned()
        }
        Saying::ResendRequested { way, asker } => {
            let by = way.map_or_else(String::new, |way| format!(", by {way}"));
            format!("{} asked for the code once more{by}.", capital(who(*asker)))
        }
        Saying::Replied { standing } => format!("The person wrote back.{}", no_news(*standing)),
        Saying::Disowned { standing, aim: Aim::This } => {
            format!("The person says that they did not ask for a code.{}", no_news(*standing))
        }
        Saying::Disowned { standing: _, aim: Aim::Perhaps } => {
            "The person says that they did not ask for a code, but not which one. Several are pending, so none was \
             canceled."
                .to_owned()
        }
        Saying::OperatorActed { by, action } => match action {
            OperatorAction::Reveal => format!("{by} looked at the full number."),
            OperatorAction::Resend => format!("{by} asked for the code to be sent once more."),
            OperatorAction::Next => format!("{by} asked for the next step."),
            OperatorAction::Cancel => format!("{by} asked for the verification to be canceled."),
        },
        Saying::Erased => "Number and texts were erased; what happened is still told.".to_owned(),
        Saying::Expired => "The code expired.".to_owned(),
        Saying::Canceled { asker } => format!("{} canceled the verification.", capital(who(*asker))),
        Saying::CanceledAsDisowned => {
            "The verification was canceled, because the person did not ask for it.".to_owned()
        }
        Saying::Abandoned { reason: AbandonReason::KeyLost } => {
            "twotick canceled the verification, because the key for its number and code is missing."
                .to_owned()
        }
        Saying::Abandoned { reason: AbandonReason::AppRemoved } => {
            "twotick canceled the verification, because its app is no longer configured.".to_owned()
        }
    }
}

fn who(asker: Asker) -> &'static str {
    match asker {
        Asker::App => "the app",
        Asker::Operator => "the support staff",
    }
}

pub(super) fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What was known already says so.
fn no_news(standing: Standing) -> &'static str {
    match standing {
        Standing::Applied => "",
        Standing::Stale => " That changed nothing: it was known, or older than what was known.",
    }
}

/// ` (131026, Message undeliverable)`
fn because(error: &DeliveryError) -> String {
    if error.title.is_empty() {
        format!(" ({})", error.code)
    } else {
        format!(" ({}, {})", error.code, error.title)
    }
}
