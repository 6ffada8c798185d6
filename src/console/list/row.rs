//! A verification as a row of the list.

use super::super::Console;
use super::super::masking::Masker;
use super::super::plain::plain;
use super::super::words::list::Words;
use crate::phone::Phone;
use crate::store::{DeliveryState, Snapshot, Status};
use crate::vault::CannotOpen;
use crate::verification::state::Ending;
use crate::verification::values::{Timestamp, VerificationId};

pub struct Row {
    pub id: VerificationId,
    pub at: Timestamp,
    /// Masked.
    pub number: String,
    pub country: String,
    pub status: Badge,
    pub delivery: Badge,
    pub channel: String,
    pub fallbacks: Vec<&'static str>,
    pub errors: Vec<String>,
    pub app: String,
    pub profile: String,
    pub reference: String,
}

/// A label with an icon; `mood` is a CSS class.
pub struct Badge {
    pub mood: &'static str,
    pub icon: &'static str,
    pub label: &'static str,
}

/// The length of a reference in the list; the verification's page shows all of it.
const REFERENCE_CHARS: usize = 40;

impl Row {
    pub fn new(console: &Console, words: &'static Words, snapshot: &Snapshot) -> Self {
        let verification = &snapshot.verification;
        let request = &verification.request;
        let (state, channel) = snapshot.delivery();
        Self {
            id: request.id,
            at: verification.created_at,
            number: number(console, words, snapshot),
            country: request.country.clone().unwrap_or_default(),
            status: status(words, verification.status()),
            delivery: delivery(words, state),
            channel: channel.map(ToString::to_string).unwrap_or_default(),
            fallbacks: verification.fallbacks.iter().map(|reason| words.fallback(*reason)).collect(),
            errors: verification.errors.iter().map(|code| shown(code, 24)).collect(),
            app: request.app.to_string(),
            profile: snapshot.policy.profile.clone(),
            reference: reference(console, snapshot, REFERENCE_CHARS),
        }
    }
}

/// The masked number; only bullets if the record is unreadable.
pub fn number(console: &Console, words: &'static Words, snapshot: &Snapshot) -> String {
    let person = match console.vault.person(&snapshot.verification) {
        Ok(person) => Some(person),
        Err(CannotOpen::Removed) => return words.removed.to_owned(),
        Err(CannotOpen::Damaged) => None,
    };
    let phone = person.and_then(|person| Phone::parse(&person.to).ok());
    phone.map_or_else(|| "•••••".to_owned(), |phone| phone.masked())
}

/// The app's reference, masked, because some apps put the person's number there.
pub fn reference(console: &Console, snapshot: &Snapshot, most: usize) -> String {
    let verification = &snapshot.verification;
    let text = verification.request.client_ref.as_deref().filter(|_| !verification.erased);
    let person = console.vault.person(verification).ok();
    let phone = person.and_then(|person| Phone::parse(&person.to).ok());
    let masker = phone.iter().fold(Masker::default(), Masker::with_number);
    text.map(|text| shown(&masker.hide_known(text), most)).unwrap_or_default()
}

/// Untrusted text on one line, truncated.
pub fn shown(text: &str, most: usize) -> String {
    let cut: String = text.chars().take(most).collect();
    let mut shown = plain(&cut).replace(['\n', '\t'], " ");
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

fn status(words: &'static Words, status: Status) -> Badge {
    let (mood, icon) = match status {
        Status::Pending => ("waiting", "i-waiting"),
        Status::Ended(Ending::Approved) => ("good", "i-good"),
        Status::Ended(Ending::Expired | Ending::Canceled) => ("over", "i-over"),
        Status::Ended(Ending::Exhausted) => ("bad", "i-bad"),
    };
    Badge { mood, icon, label: words.status(status) }
}

fn delivery(words: &'static Words, state: DeliveryState) -> Badge {
    let (mood, icon) = match state {
        DeliveryState::Undelivered => ("bad", "i-bad"),
        DeliveryState::InDoubt => ("waiting", "i-trouble"),
        DeliveryState::Queued | DeliveryState::Sending => ("waiting", "i-waiting"),
        DeliveryState::Accepted | DeliveryState::Sent => ("info", "i-move"),
        DeliveryState::Delivered => ("good", "i-good"),
        DeliveryState::Read => ("good", "i-double"),
    };
    Badge { mood, icon, label: words.delivery(state) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_text_is_one_truncated_line() {
        assert_eq!(shown("order-17 ä 漢", 40), "order-17 ä 漢");
        assert_eq!(shown("a\u{202e}b\u{200b}c\nd\te", 40), "a\u{fffd}b\u{fffd}c d e");
        assert_eq!(shown(&"x".repeat(4_096), 3), "xxx…");
        assert_eq!(shown("xxx", 3), "xxx");
    }
}
