//! What providers call messages. Meta's ids hold the phone number under their base 64, so those are hidden before they
//! come near the store: a keyed hash by which they are recognised, and beside it the id itself, sealed.

use super::{CannotSeal, Vault};
use crate::verification::values::{NumberIndex, ProviderRef, Timestamp, VerificationId};

/// Meta's begin so; behind it stands base 64 of some 40 bytes, the number among them.
const PREFIX: &str = "wamid.";
/// Shorter ones have no room for a number beside what makes them unique.
const SHORTEST: usize = 24;

impl Vault {
    /// As it may be kept: hidden if it could name the person, and only to be recognised.
    pub fn hidden_ref(&self, reference: ProviderRef) -> ProviderRef {
        if names_a_person(&reference) {
            ProviderRef::hidden(self.ref_tag(&reference), None)
        } else {
            reference
        }
    }

    /// The same, so that the vault can show it for as long as it keeps what is personal of `number`.
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

    /// What the provider calls it. `None`: that is not kept, or not any more.
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

/// What looks as if it were hidden is hidden too, so that nobody chooses what is recognised.
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
