//! Personal data of webhooks, each piece sealed for a place of its own.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{CannotOpen, CannotSeal, Vault};
use crate::excerpt;
use crate::verification::values::{ChannelName, NumberIndex, Sealed, Timestamp};

/// Bytes of JSON that are kept of an inbound message: some 10,000 ASCII letters, or 3,300 of a script with three bytes
/// a letter. Less than the largest record of the store.
const CONTENT_BYTES: usize = 10 * 1024;

/// The sealed part of an inbound message.
#[derive(Default, Serialize, Deserialize)]
pub struct InboundContent {
    /// E.164. `None` where the person hides the number.
    pub from: Option<String>,
    /// The provider's id of the person.
    pub user_id: Option<String>,
    /// The name that the person chose. Not trusted: any text.
    pub profile_name: Option<String>,
    /// The text of the message. Not trusted.
    pub text: Option<String>,
    /// The provider's id of the message.
    pub provider_ref: Option<String>,
    /// The provider's id of the message that this one answers.
    pub in_reply_to: Option<String>,
}

impl InboundContent {
    /// Seals the content for `place`, as data of `number` that arrived at `at`. At most 10 KiB are kept: a longer text
    /// is cut.
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

    /// Cuts a text that is too long to the longest beginning that fits, and marks the cut with `…`.
    fn into_clear(mut self) -> Zeroizing<Vec<u8>> {
        let clear = self.clear();
        if clear.len() <= CONTENT_BYTES {
            return clear;
        }
        let Some(whole) = self.text.take().map(Zeroizing::new) else { return clear };
        let rest = self.clear().len() - "null".len();
        // The serialized length grows with the text, escapes included.
        let fits = |text: &str| {
            let written = Zeroizing::new(serde_json::to_vec(text).unwrap_or_default()).len();
            rest + written <= CONTENT_BYTES
        };
        self.text = Some(excerpt::beginning(&whole, fits));
        self.clear()
    }

    fn clear(&self) -> Zeroizing<Vec<u8>> {
        // A struct of strings always serializes.
        Zeroizing::new(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The place of the content of an inbound message.
pub fn inbound_place(channel: &ChannelName, provider_ref: &str) -> Vec<u8> {
    format!("inbound {channel} {provider_ref}").into_bytes()
}

/// The place of an unreadable webhook body.
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
        let rest = InboundContent { text: Some(String::new()), ..InboundContent::default() }.clear().len();
        let room = CONTENT_BYTES - rest - "…".len();
        // A letter, how many bytes it takes as JSON, and one that it makes up together with others.
        for (letter, written, one) in [
            ("a", 1, "a"),
            ("\u{1}", 6, "\u{1}"),
            ("\"", 2, "\""),
            ("ü", 2, "ü"),
            ("字", 3, "字"),
            ("ก", 3, "ก"),
            ("क", 3, "कि"),
            ("👋", 4, "👋🏽"),
            ("👨", 4, "👨‍👩‍👧"),
            ("e", 1, "e\u{301}"),
        ] {
            for text in ["hello".to_owned(), letter.repeat(3), one.repeat(2)] {
                let content = InboundContent { text: Some(text.clone()), ..InboundContent::default() };
                let sealed = content.seal(&vault, Timestamp::from_millis(5), None, &place).unwrap();
                let opened = InboundContent::open(&vault, &place, &sealed).unwrap();
                assert_eq!(opened.text.unwrap(), text, "what fits stays whole");
            }
            let long = letter.repeat(room / written + 200);
            let content = InboundContent { text: Some(long), ..InboundContent::default() };
            let sealed = content.seal(&vault, Timestamp::from_millis(5), None, &place).unwrap();
            let kept = InboundContent::open(&vault, &place, &sealed).unwrap().text.unwrap();
            assert_eq!(kept, format!("{}…", letter.repeat(room / written)), "{letter}");
            let content = InboundContent { text: Some(one.repeat(4_000)), ..InboundContent::default() };
            let sealed = content.seal(&vault, Timestamp::from_millis(5), None, &place).unwrap();
            let kept = InboundContent::open(&vault, &place, &sealed).unwrap().text.unwrap();
            if let Some(beginning) = kept.strip_suffix('…') {
                assert_eq!(beginning, one.repeat(beginning.len() / one.len()), "no {one} is cut in two");
                assert!(beginning.len() > CONTENT_BYTES / 6 - 200, "{}", beginning.len());
            }
            assert!(sealed.0.len() < CONTENT_BYTES + 100);
            let elsewhere = inbound_place(&ChannelName::new("whatsapp"), "wamid.2");
            assert!(InboundContent::open(&vault, &elsewhere, &sealed).is_err());
        }
    }
}
