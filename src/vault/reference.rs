//! Providers' ids of messages. An id of Meta contains the phone number in base 64, so it is hidden before it reaches
//! the store: a keyed hash recognises it, and beside the hash stands the id itself, sealed.

use super::{CannotSeal, Vault};
use crate::verification::values::{NumberIndex, ProviderRef, Timestamp, VerificationId};

/// Prefix of Meta's ids. Base 64 of some 40 bytes follows, the number among them.
const PREFIX: &str = "wamid.";
/// A shorter id has no room for a number beside its unique part.
const SHORTEST: usize = 24;

impl Vault {
    /// The id in the form that may be stored: hidden if it could contain the number. It is recognised but cannot be
    /// shown.
    pub fn hidden_ref(&self, reference: ProviderRef) -> ProviderRef {
        if names_a_person(&reference) {
            ProviderRef::hidden(self.ref_tag(&reference), None)
        } else {
            reference
        }
    }

    /// As [`Vault::hidden_ref`], with the sealed id, so that it can be shown as long as personal data of `number` are
    /// kept.
    pub fn sealed_ref(
        &self,
        id: VerificationId,
        number: NumberIndex,
        at: Timestamp,
        reference: ProviderRef,
    ) -> Result<ProviderRef, CannotSeal> {
        if !names_a_person(&reference) {
            return Ok(reference);
        }
        let clear = reference.as_str().as_bytes();
        let sealed = self.seal_personal(at, Some(number), &ref_place(id), clear)?;
        Ok(ProviderRef::hidden(self.ref_tag(&reference), Some(&sealed)))
    }

    /// The provider's id in clear. `None`: it is not stored, or was removed.
    pub fn shown_ref(&self, id: VerificationId, reference: &ProviderRef) -> Option<String> {
        if !reference.is_hidden() {
            return Some(reference.as_str().to_owned());
        }
        let clear = self.open(&ref_place(id), &reference.sealed()?).ok()?;
        std::str::from_utf8(&clear).map(str::to_owned).ok()
    }

    fn ref_tag(&self, reference: &ProviderRef) -> [u8; 16] {
        self.fingerprint("provider ref", reference.as_str().as_bytes())
    }
}

/// An id that looks like a hidden one is hidden too, so that no sender can forge the hash of another id.
fn names_a_person(reference: &ProviderRef) -> bool {
    let is_base64 =
        |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'+' | b'/' | b'=' | b'-' | b'_');
    reference.is_hidden()
        || reference
            .as_str()
            .strip_prefix(PREFIX)
            .is_some_and(|rest| rest.len() >= SHORTEST && rest.bytes().all(is_base64))
}

fn ref_place(id: VerificationId) -> [u8; 17] {
    let mut place = [b'm'; 17];
    place[1..].copy_from_slice(&id.to_bytes());
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::values::Bucket;

    #[test]
    fn a_wamid_is_recognised_and_shown_but_not_told() {
        let vault = Vault::new(&[7; 32]);
        let now = Timestamp::from_millis(1_795_000_000_000);
        let (id, number) = (VerificationId::new(now, Bucket::new(5), 77), NumberIndex([9; 16]));
        // Under its base 64 stands 12025550100.
        let wamid = "wamid.HBgLMTIwMjU1NTAxMDAVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA";
        let parsed = || ProviderRef::parse(wamid).unwrap();
        let (sealed, hidden) =
            (vault.sealed_ref(id, number, now, parsed()).unwrap(), vault.hidden_ref(parsed()));
        assert_eq!(sealed, hidden);
        assert_eq!(sealed.name(), hidden.as_str());
        assert_eq!(ProviderRef::parse(sealed.as_str()).unwrap().as_str(), sealed.as_str());
        assert!(!sealed.as_str().contains("MTIwMjU1"), "{sealed:?}");
        assert_eq!(vault.shown_ref(id, &sealed).as_deref(), Some(wamid));
        assert_eq!(vault.shown_ref(id, &hidden), None);
        vault.forget_days(now + std::time::Duration::from_secs(2 * 86_400)).unwrap();
        assert_eq!(vault.shown_ref(id, &sealed), None);
        for plain in ["sms-17", "wamid.1", "3EB0A7"] {
            let plain = ProviderRef::parse(plain).unwrap();
            assert_eq!(vault.hidden_ref(plain.clone()).as_str(), plain.as_str());
            assert_eq!(vault.shown_ref(id, &plain).as_deref(), Some(plain.as_str()));
        }
        let forged = ProviderRef::parse(hidden.as_str()).unwrap();
        assert_ne!(vault.hidden_ref(forged), hidden, "nobody names a message by its hash");
    }
}
