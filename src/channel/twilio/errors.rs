//! Twilio's error codes and their classes (Twilio's error dictionary, August 2026). A code means the same in a response
//! and in a status callback.

use crate::verification::values::ErrorClass;
use ErrorClass::{Configuration, Fallback, InDoubt, Recipient, Retry, Sender};

/// A code, its class, and a title in case Twilio sends none.
pub(super) type KnownError = (u32, ErrorClass, &'static str);

/// Sorted by code.
pub(super) static TABLE: &[KnownError] = &[
    (20003, Sender, "Authentication failed"),
    (20429, Retry, "Too many requests"),
    (21211, Recipient, "The number is not valid"),
    (21212, Configuration, "The sender is not valid"),
    (21217, Recipient, "The number does not look like one"),
    (21408, Configuration, "The account may not send to this country"),
    (21606, Configuration, "The sender cannot send this kind of message"),
    (21608, Configuration, "A trial account sends only to verified numbers"),
    (21609, Configuration, "The address for status callbacks is not valid"),
    (21610, Fallback, "The person has unsubscribed"),
    (21611, Retry, "The sender's queue is full"),
    (21612, Fallback, "The number cannot be reached from this sender"),
    (21614, Recipient, "The number is not a mobile number"),
    (21617, Configuration, "The text is too long"),
    (21635, Recipient, "The number is a landline"),
    (21654, Configuration, "The content template needs a messaging service or a sender"),
    (21655, Configuration, "The content template does not exist"),
    (21656, Configuration, "The content variables are not valid"),
    (21660, Configuration, "The sender does not belong to the account"),
    (21664, Configuration, "These parameters cannot be combined"),
    (21666, Configuration, "These parameters cannot be combined"),
    (21667, Configuration, "These parameters cannot be combined"),
    (21703, Configuration, "The messaging service has no sender"),
    (30001, Retry, "The queue is full"),
    (30002, Sender, "The account is suspended"),
    (30003, Fallback, "The phone cannot be reached"),
    (30004, Fallback, "The message is blocked"),
    (30005, Fallback, "The number is unknown or no longer in use"),
    (30006, Recipient, "The number is a landline, or its carrier cannot be reached"),
    (30007, Fallback, "The carrier filtered the message"),
    (30008, Fallback, "The carrier gave no reason"),
    (30012, Configuration, "The validity period is too short"),
    (30013, Configuration, "The validity period is too long"),
    (30017, Retry, "The carrier's network is congested"),
    (30018, Configuration, "The country wants the sender to be registered first"),
    (30024, Configuration, "The sender is not registered with the carrier"),
    (30032, Configuration, "The toll-free number is not verified"),
    (30034, Configuration, "The number is not registered for US A2P 10DLC"),
    (30410, InDoubt, "The carrier did not tell in time what became of the message"),
    (63001, Sender, "Authentication with the network failed"),
    (63002, Sender, "The network does not know the sender"),
    (63003, Recipient, "The network does not know the recipient"),
    (63005, Configuration, "The network does not accept the content"),
    (63006, Configuration, "The network cannot carry the message's form"),
    (63007, Sender, "Twilio knows no such sender"),
    (63008, Sender, "The sender is not set up for the network"),
    (63009, Retry, "The network answered with an error"),
    (63010, Retry, "The network had an internal error"),
    (63012, Retry, "The network is not available"),
    (63013, Configuration, "The message violates the network's policy"),
    (63014, Fallback, "The recipient blocks the sender"),
    (63016, Fallback, "A free text needs an open conversation"),
    (63017, Retry, "The network's limit of messages is reached"),
    (63018, Retry, "The sender's limit of messages is reached"),
    (63020, Sender, "The invitation to the business account is not accepted"),
    (63022, Sender, "The business is not verified"),
    (63023, Fallback, "The network failed to deliver the message"),
    (63024, Recipient, "The recipient is not a user of the network"),
    (63026, Sender, "The sender is limited because of spam"),
    (63027, Configuration, "The template does not exist in this language"),
    (63028, Configuration, "The number of parameters differs from the template's"),
    (63032, Fallback, "The network limits messages to this person"),
    (63033, Fallback, "The recipient blocks the sender"),
    (63035, Configuration, "The RCS sender is not launched in this country"),
    (63036, Recipient, "The recipient cannot receive RCS"),
    (63038, Sender, "The account's daily limit of messages is reached"),
    (63041, Sender, "The template is paused"),
];

/// The class of a documented code; `None` for any other.
pub fn class_of_code(code: u32) -> Option<ErrorClass> {
    known(code).map(|(_, class, _)| *class)
}

/// `None` for a code that is not in the table.
pub(super) fn known(code: u32) -> Option<&'static KnownError> {
    TABLE.binary_search_by_key(&code, |(known, ..)| *known).ok().map(|place| &TABLE[place])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::Origin;

    #[test]
    fn the_classes_are_those_that_twilio_documents() {
        assert!(TABLE.is_sorted_by_key(|(code, ..)| *code), "each is found by its place");
        for (class, codes) in [
            (Retry, &[20429, 21611, 30001, 30017, 63009, 63010, 63012, 63017, 63018][..]),
            (Recipient, &[21211, 21217, 21614, 21635, 30006, 63003, 63024, 63036]),
            (Fallback, &[21612, 30003, 30004, 30005, 30007, 30008, 63016, 63023, 63032]),
            // The person opted out.
            (Fallback, &[21610, 63014, 63033]),
            (Configuration, &[21408, 21606, 21608, 21617, 21654, 21655, 21656, 30012, 30013, 30018, 30024]),
            (Configuration, &[30032, 30034, 63005, 63006, 63013, 63027, 63028, 63035, 21664, 21666, 21667]),
            (Sender, &[20003, 30002, 63001, 63002, 63007, 63008, 63020, 63022, 63026, 63038, 63041]),
            (InDoubt, &[30410]),
        ] {
            for code in codes {
                assert_eq!(known(*code).map(|(_, class, _)| *class), Some(class), "{code}");
            }
        }
        for code in [0, 11200, 21610 + 100_000, u32::MAX] {
            assert!(known(code).is_none(), "{code}");
        }
    }

    #[test]
    fn every_code_that_is_explained_has_a_class() {
        let explained = Origin::Twilio.entries();
        assert!(explained.len() > 10);
        for entry in explained {
            assert!(class_of_code(entry.code().parse().unwrap()).is_some(), "{}", entry.code());
        }
    }
}
