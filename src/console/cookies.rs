//! Cookies: read from the header, written bound to this host and, where there is TLS, to that.

use actix_web::http::header::{self, HeaderMap, HeaderValue};

use super::Console;

/// The session.
pub const SESSION: &str = "twotick";
/// Of a browser that is not signed in, so that its forms can be told from forged ones.
pub const VISIT: &str = "twotick-visit";
/// Of a browser at which somebody signed in before.
pub const DEVICE: &str = "twotick-device";
/// Language, theme and zone.
pub const LOOK: &str = "twotick-look";

/// With TLS, browsers take `__Host-` names only from this host itself, by TLS, for all paths.
fn name(console: &Console, name: &str) -> String {
    if console.is_https() { format!("__Host-{name}") } else { name.to_owned() }
}

/// The value of a cookie. `None` where it comes more than once: one of them may be forged.
pub fn read<'h>(console: &Console, headers: &'h HeaderMap, cookie: &str) -> Option<&'h str> {
    let name = name(console, cookie);
    let lines = headers.get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
    let first = values.next();
    if values.next().is_some() { None } else { first }
}

/// How long a browser keeps a cookie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Until the browser is closed; the server ends it earlier.
    Browser,
    /// 400 days, the longest that browsers grant (RFC 6265bis, draft 20, section 5.5).
    Long,
    /// As long as a known device is one.
    Device,
    /// Removes it.
    Over,
}

/// For `Set-Cookie`. `value` holds nothing but letters, digits and `-_./|+`.
pub fn write(console: &Console, cookie: &str, value: &str, life: Life) -> HeaderValue {
    let name = name(console, cookie);
    let secure = if console.is_https() { "; Secure" } else { "" };
    let age = match life {
        Life::Browser => String::new(),
        Life::Long => "; Max-Age=34560000".to_owned(),
        Life::Device => format!("; Max-Age={}", super::device::LASTS.as_secs()),
        Life::Over => "; Max-Age=0".to_owned(),
    };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

impl Console {
    /// Whether browsers reach it by TLS.
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}
