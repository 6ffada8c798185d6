//! What a webhook brings that is personal, sealed each for a place of its own.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{CannotOpen, CannotSeal, Vault};
use crate::verification::values::{ChannelName, NumberIndex, Sealed, Timestamp};

/// So much of an inbound message is kept, as JSON: 4,096 letters of almost every script fit, and it is less than
/// what the store takes in one record.
const CONTENT_BYTES: usize = 10 * 1024;

/// The part of an inbound message that only the vault can read.
#[derive(Default, Serialize, Deserialize)]
pub struct InboundContent {
    /// E.164, where the person does not hide it.
    pub from: Option<String>,
    /// The provider's own name for the person.
    pub user_id: Option<String>,
    /// What the person calls itself. Anything may stand in it.
    pub profile_name: Option<String>,
    /// What the person wrote. Anything may stand in it.
    pub text: Option<String>,
    /// What the provider calls the message, and the one that it answers. Missing of those of before they were sealed.
    #[serde(default)]
    pub provider_ref: Option<String>,
    #[serde(default)]
    pub in_reply_to: Option<String>,
}

impl InboundContent {
    /// Seals it for `place`, as something of `number` that came at `at`. At most 10 KiB of it are kept: of what is
    /// longer the text is cut.
    pub fn seal(
        self,
        vault: &Vault,
        at: Timestamp,
        number: Option<NumberIndex>,
        place: &[u8],
    ) -> Result<Sealed, CannotSeal> {
        vault.seal_personal(at, number, place, &self.into_clear())
    }

    pub fn open(vault: &Vault, place: &[u8], sealed: &Sealed) -> Result<Self, CannotOpen> {
        serde_json::from_slice(&vault.open(place, sealed)?).map_err(|_| CannotOpen::Damaged)
    }

    /// Cuts by halves, because escapes make a text longer again.
    fn into_clear(mut self) -> Zeroizing<Vec<u8>> {
        loop {
            // A struct of strings has no part that cannot be written.
            let clear = Zeroizing::new(serde_json::to_vec(&self).unwrap_or_default());
            match &mut self.text {
                Some(text) if clear.len() > CONTENT_BYTES && !text.is_empty() => {
                    text.truncate(text.floor_char_boundary(text.len() / 2));
                }
                Some(_) | None => return clear,
            }
        }
    }
}

/// What an inbound message's content is sealed for.
pub fn inbound_place(channel: &ChannelName, provider_ref: &str) -> Vec<u8> {
    format!("inbound {channel} {provider_ref}").into_bytes()
}

/// What an unreadable delivery is sealed for.
pub fn evidence_place(channel: &ChannelName) -> Vec<u8> {
    format!("evidence {channel}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_comes_back_in_its_place_and_a_text_that_is_too_long_is_cut() {
        let vault = Vault::new(&[7; 32]);
        let place = inbound_place(&ChannelName::new("whatsapp"), "wamid.1");
        for (text, kept) in [("hello".to_owned(), 5), ("\u{1}".repeat(4_096), 1_024)] {
            let content = InboundContent { text: Some(text), ..InboundContent::default() };
            let sealed = content.seal(&vault, Timestamp::from_millis(5), None, &place).unwrap();
            let opened = InboundContent::open(&vault, &place, &sealed).unwrap();
            assert_eq!(opened.text.unwrap().len(), kept);
            assert!(sealed.0.len() < CONTENT_BYTES + 100);
            let elsewhere = inbound_place(&ChannelName::new("whatsapp"), "wamid.2");
            assert!(InboundContent::open(&vault, &elsewhere, &sealed).is_err());
        }
    }
}
