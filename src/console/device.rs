//! Known devices: browsers with an earlier sign-in. The cookie signs nobody in; it gives the owner of a name a separate
//! limit while others guess passwords for it.

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::Console;
use super::cookies::{self, CookieAge};
use super::sessions::Token;
use crate::vault::Vault;
use crate::verification::values::{Timestamp, UserName};

/// The time since the last sign-in after which a device is no longer known; also the cookie's lifetime.
pub const LASTS: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A random id of one browser and user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device([u8; 16]);

impl Device {
    pub fn new() -> Self {
        let mut id = [0; 16];
        id.iter_mut().zip(Token::new().bytes()).for_each(|(to, from)| *to = *from);
        Self(id)
    }

    /// The device in the cookie, if we issued it for this name and it has not expired.
    pub fn known(console: &Console, headers: &HeaderMap, name: &UserName) -> Option<Self> {
        let text = cookies::read(console, headers, cookies::DEVICE)?;
        read(&console.vault, text, name, console.clock.now())
    }

    /// A renewed cookie.
    pub fn cookie(self, console: &Console, name: &UserName) -> HeaderValue {
        let text = written(&console.vault, self, name, console.clock.now());
        cookies::write(console, cookies::DEVICE, &text, CookieAge::Device)
    }
}

/// The cookie's format: `ID.MILLIS.TAG`.
fn written(vault: &Vault, device: Device, name: &UserName, now: Timestamp) -> String {
    let tag = tag(vault, device, name, now.as_millis());
    format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(device.0), now.as_millis(), URL_SAFE_NO_PAD.encode(tag))
}

fn read(vault: &Vault, text: &str, name: &UserName, now: Timestamp) -> Option<Device> {
    let mut parts = text.split('.');
    let (id, millis, found) = (parts.next()?, parts.next()?, parts.next()?);
    let id = URL_SAFE_NO_PAD.decode(id).ok()?;
    let device = Device(id.as_slice().try_into().ok()?);
    let millis: i64 = millis.parse().ok().filter(|millis| *millis >= 0)?;
    let found = URL_SAFE_NO_PAD.decode(found).ok()?;
    let is_ours = bool::from(tag(vault, device, name, millis).ct_eq(found.as_slice()));
    let is_fresh = now.since(Timestamp::from_millis(millis)) < LASTS;
    (is_ours && is_fresh && parts.next().is_none()).then_some(device)
}

fn tag(vault: &Vault, device: Device, name: &UserName, millis: i64) -> [u8; 16] {
    let mut signed = device.0.to_vec();
    signed.extend_from_slice(&millis.to_be_bytes());
    signed.extend_from_slice(name.as_str().as_bytes());
    vault.fingerprint("console device", &signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    #[test]
    fn a_device_cookie_is_valid_for_its_name_and_ninety_days_and_cannot_be_forged() {
        let (vault, other) = (Vault::new(&[7; 32]), Vault::new(&[8; 32]));
        let name = |text: &str| UserName::parse(text).unwrap();
        let device = Device::new();
        let text = written(&vault, device, &name("ada"), START);
        let last = START + (LASTS - Duration::from_millis(1));
        assert_eq!(read(&vault, &text, &name("ada"), last), Some(device));
        assert_eq!(read(&vault, &text, &name("ada"), START + LASTS), None, "too old");
        assert_eq!(read(&vault, &text, &name("bob"), START), None, "of another user");
        assert_eq!(read(&other, &text, &name("ada"), START), None, "of another server");
        let later = text.replace("1795000000000", "1795000000001");
        for wrong in [&*later, "", "..", "a.b.c", &text[1..], &format!("{text}.x"), &format!("{text}A")] {
            assert_eq!(read(&vault, wrong, &name("ada"), START), None, "{wrong}");
        }
        assert_ne!(Device::new(), device);
    }
}
