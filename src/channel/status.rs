//! The status words of providers in all spellings: SMPP's abbreviations, those of the larger carriers, Meta's.

use super::scrub;
use crate::verification::values::{DeliveryError, ErrorClass, ReportStatus};

/// The report of a word that says only that a message will not arrive: code and title are empty.
pub const FAILED: ReportStatus = ReportStatus::Failed(DeliveryError {
    code: String::new(),
    title: String::new(),
    class: ErrorClass::Fallback,
});

/// In lower case and without separators. Excludes words and numbers that carriers use differently, such as `unknown`
/// and `unconfirmed`.
static WORDS: &[(ReportStatus, &[&str])] = &[
    (
        ReportStatus::Sent,
        &[
            // SMPP 3.4, section 5.2.28, and how gateways write it.
            "enroute",
            "acceptd",
            "accepted",
            "scheduled",
            "transit",
            "intransit",
            // Twilio, Vonage, Sinch, Plivo, Infobip, Telnyx, MessageBird.
            "sent",
            "sending",
            "queued",
            "buffered",
            "buffrd",
            "submitted",
            "submitd",
            "dispatched",
            "pending",
            "pendingenroute",
            "pendingaccepted",
            "pendingwaitingdelivery",
            "deliveredtooperator",
            "deliveredtonetwork",
            "deliveredtocarrier",
            "deliveredtosmsc",
            "deliveredtogateway",
            "senttocarrier",
            "senttooperator",
            "senttonetwork",
            "queuedonchannel",
            "processing",
            "processed",
            "inprogress",
            "initiated",
            "created",
            "forwarded",
            "retrying",
        ],
    ),
    (
        ReportStatus::Delivered,
        &[
            "delivered",
            "delivrd",
            "deliverd",
            "deliveredtohandset",
            "deliveredtoterminal",
            "deliveredtodevice",
            "deliveredtorecipient",
            "deliverysuccess",
            "deliverysuccessful",
            "successfullydelivered",
            "dlvrd",
        ],
    ),
    (ReportStatus::Read, &["read", "seen", "opened", "displayed", "played"]),
    (
        FAILED,
        &[
            "failed",
            "failure",
            "fail",
            "error",
            "deliveryfailed",
            "deliveryfailure",
            "deliveryerror",
            "sendingfailed",
            "sendfailed",
            "permanentfailure",
            "permanenterror",
            "undeliv",
            "undelivered",
            "undeliverable",
            "undeliverd",
            "undlvrd",
            "nondelivered",
            "notdelivered",
            "undeliverablenotdelivered",
            "undeliverablerejectedoperator",
            "expired",
            "expird",
            "deliveryexpired",
            "timeout",
            "timedout",
            "deliverytimedout",
            "ttlexpired",
            "deleted",
            "deletd",
            "canceled",
            "cancelled",
            "cancelld",
            "aborted",
            "dropped",
            "skipped",
            "rejectd",
            "rejected",
            "reject",
            "denied",
            "refused",
            "blocked",
            "barred",
            "blacklisted",
            "filtered",
            "spam",
            "notsent",
            "invalid",
            "invalidnumber",
            "unroutable",
            "noroute",
        ],
    ),
];

/// [`FAILED`] for every word of a failure; `None` for an unknown word.
pub fn meaning(word: &str) -> Option<ReportStatus> {
    let plain = plain(word);
    let (status, _) = WORDS.iter().find(|(_, words)| words.contains(&plain.as_str()))?;
    Some(status.clone())
}

/// What a provider reports by `word`; `failure` says why a message failed.
pub fn report(word: &str, failure: impl FnOnce() -> DeliveryError) -> Option<ReportStatus> {
    meaning(word).map(|status| explained(status, failure))
}

/// Puts the reason into a [`FAILED`].
pub fn explained(status: ReportStatus, failure: impl FnOnce() -> DeliveryError) -> ReportStatus {
    if status == FAILED { ReportStatus::Failed(failure()) } else { status }
}

/// Normalizes a word: lower case, without separators.
pub fn plain(word: &str) -> String {
    word.chars()
        .filter(|letter| !letter.is_whitespace() && !matches!(letter, '-' | '_' | '.' | '/' | ':'))
        .take(ReportStatus::MAX_WORD_CHARS)
        .flat_map(char::to_lowercase)
        .collect()
}

/// An unknown word, scrubbed for storage. `None` if nothing readable is left.
pub fn unknown(word: &str) -> Option<ReportStatus> {
    let word = scrub::token(word.trim())?;
    Some(ReportStatus::Unknown(scrub::cut(&word, ReportStatus::MAX_WORD_CHARS)))
}

/// The title of a failure that comes without an error text.
pub fn no_reason(provider: &str, word: &str) -> String {
    match unknown(word) {
        Some(ReportStatus::Unknown(word)) if !word.eq_ignore_ascii_case("failed") => {
            format!("{provider} reported {word} and gave no reason")
        }
        Some(_) | None => format!("{provider} gave no reason"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_word_is_unique_and_normalized() {
        let mut seen = HashSet::new();
        for (expected, words) in WORDS {
            for word in *words {
                assert!(seen.insert(word), "{word} stands twice");
                assert_eq!(meaning(word).as_ref(), Some(expected), "{word}");
                assert_eq!(
                    meaning(&format!(" {}\n", word.to_uppercase())).as_ref(),
                    Some(expected),
                    "{word}"
                );
            }
        }
    }

    #[test]
    fn words_are_recognized_in_any_spelling() {
        for (word, expected) in [
            ("DELIVRD", Some(ReportStatus::Delivered)),
            ("Delivered", Some(ReportStatus::Delivered)),
            ("DELIVERED_TO_HANDSET", Some(ReportStatus::Delivered)),
            ("DELIVERED_TO_OPERATOR", Some(ReportStatus::Sent)),
            ("In Transit", Some(ReportStatus::Sent)),
            ("not-delivered", Some(FAILED)),
            ("Timed out", Some(FAILED)),
            ("UNKNOWN", None),
            ("delivery_unconfirmed", None),
            ("2", None),
            ("", None),
            ("délivré", None),
        ] {
            assert_eq!(meaning(word), expected, "{word}");
        }
    }

    #[test]
    fn an_unknown_word_keeps_no_number_and_is_short() {
        let word = |text: &str| match unknown(text) {
            Some(ReportStatus::Unknown(word)) => Some(word),
            _ => None,
        };
        assert_eq!(word(" WARNING\n").as_deref(), Some("WARNING"));
        assert_eq!(word("to +4915228817386").as_deref(), Some("to +…"));
        assert_eq!(word(&"x".repeat(5_000)).map(|word| word.chars().count()), Some(64));
        assert_eq!(word(" \n"), None);
    }
}
