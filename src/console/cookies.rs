//! Cookies: `HttpOnly`, `SameSite=Strict`, and with TLS also `Secure` and bound to the host.

use actix_web::http::header::{self, HeaderMap, HeaderValue};

use super::Console;

/// The session token.
pub const SESSION: &str = "twotick";
/// A token for browsers without a session, to protect the sign-in form against forgery.
pub const VISIT: &str = "twotick-visit";
/// Marks a browser with an earlier sign-in.
pub const DEVICE: &str = "twotick-device";
/// Language, theme and time zone.
pub const PREFERENCES: &str = "twotick-preferences";

/// Browsers accept names with `__Host-` only from this host, over TLS, for all paths.
fn name(console: &Console, name: &str) -> String {
    if console.is_https() { format!("__Host-{name}") } else { name.to_owned() }
}

/// Reads a cookie. `None` if it occurs more than once, because one of them may be forged.
pub fn read<'h>(console: &Console, headers: &'h HeaderMap, cookie: &str) -> Option<&'h str> {
    let name = name(console, cookie);
    let lines = headers.get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
    let first = values.next();
    if values.next().is_some() { None } else { first }
}

/// The lifetime of a cookie in the browser.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CookieAge {
    /// The browser session; the server ends the session earlier.
    Session,
    /// 400 days, the browsers' maximum (RFC 6265bis, draft 20, section 5.5).
    Long,
    /// The lifetime of a known device.
    Device,
    /// Deletes the cookie.
    Expired,
}

/// A `Set-Cookie` value. `value` may only contain letters, digits and `-_./|+`.
pub fn write(console: &Console, cookie: &str, value: &str, life: CookieAge) -> HeaderValue {
    let name = name(console, cookie);
    let secure = if console.is_https() { "; Secure" } else { "" };
    let age = match life {
        CookieAge::Session => String::new(),
        CookieAge::Long => "; Max-Age=34560000".to_owned(),
        CookieAge::Device => format!("; Max-Age={}", super::device::LASTS.as_secs()),
        CookieAge::Expired => "; Max-Age=0".to_owned(),
    };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

impl Console {
    /// Whether browsers use TLS.
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}
