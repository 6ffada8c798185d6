//! URLs of the console. They must never contain a phone number in clear, because they end up in histories, bookmarks
//! and proxy logs. A text that may contain one is sealed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::list::encoded;
use crate::phone::digits::{self, may_hold_a_number};
use crate::vault::Vault;
use crate::verification::values::{MessageId, Sealed, VerificationId};

/// The prefix of a sealed text.
const SEALED: char = '~';
/// Our parameters with times, positions and keyed hashes; each has a strict parser.
const STRUCTURED: [&str; 6] = ["since", "until", "number", "tail", "before", "after"];

/// A text typed by a user, with its representation in URLs.
#[derive(Clone, Debug)]
pub struct UrlText {
    pub text: String,
    written: String,
}

impl UrlText {
    pub fn new(vault: &Vault, text: String) -> Self {
        let written = if is_harmless(&text) { text.clone() } else { sealed(vault, &text) };
        Self { text, written }
    }

    /// Parses a URL parameter. `None` if it is malformed or sealed with another key.
    pub fn read(vault: &Vault, value: &str) -> Option<Self> {
        let Some(token) = value.strip_prefix(SEALED) else { return Some(Self::new(vault, value.to_owned())) };
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let clear = vault.open(PLACE, &Sealed(bytes.into())).ok()?;
        let text = String::from_utf8(clear.to_vec()).ok()?;
        // Keeps the sealed form, so that the URL stays the same.
        let written = if is_harmless(&text) { text.clone() } else { value.to_owned() };
        Some(Self { text, written })
    }

    pub fn written(&self) -> &str {
        &self.written
    }
}

/// Compares the text only, because sealing is not deterministic.
impl PartialEq for UrlText {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for UrlText {}

const PLACE: &[u8] = b"console address";

fn sealed(vault: &Vault, text: &str) -> String {
    format!("{SEALED}{}", URL_SAFE_NO_PAD.encode(vault.seal(PLACE, text.as_bytes()).0))
}

/// A wamid contains the recipient's number in Base64.
fn is_harmless(text: &str) -> bool {
    let has_few_digits = is_id(text) || digits::count(text) < digits::OF_A_NUMBER;
    has_few_digits && !text.to_ascii_lowercase().contains("wamid.") && !text.starts_with(SEALED)
}

/// Removes what may be a phone number from a console URL, for links and redirects back to a page.
pub fn without_numbers(address: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let names_one = |part: &str| may_hold_a_number(&decoded(part)) && !is_id(part);
    if path.split('/').any(names_one) {
        return "/console".to_owned();
    }
    let is_kept = |pair: &&str| {
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let value = decoded(value);
        is_id(&value) || value.starts_with(SEALED) || is_harmless(&value) || is_structured(name, &value)
    };
    let kept: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).filter(is_kept).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

fn is_structured(name: &str, value: &str) -> bool {
    let is_time = || value.contains('T') && value.contains(':');
    let is_hash = || value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    STRUCTURED.contains(&name) && (is_time() || is_hash())
}

/// Our own ids and blind indexes.
fn is_id(text: &str) -> bool {
    let is_hash = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash || text.parse::<VerificationId>().is_ok() || text.parse::<MessageId>().is_ok()
}

fn decoded(text: &str) -> String {
    let pair = format!("q={text}");
    let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(&pair);
    let decoded = pairs.ok().and_then(|pairs| pairs.into_inner().into_iter().next());
    decoded.map_or_else(|| text.to_owned(), |(_, value)| value)
}

/// A percent-encoded `name=value`.
pub fn pair(name: &str, value: &str) -> String {
    format!("{name}={}", encoded(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_numbers_are_sealed_and_round_trip() {
        let vault = Vault::new(&[7; 32]);
        for text in ["order-17", "12345", "Tür 7", ""] {
            let wording = UrlText::new(&vault, text.to_owned());
            assert_eq!(wording.written(), text);
            assert_eq!(UrlText::read(&vault, text), Some(wording));
        }
        for text in
            ["order 49 1522 8817386", "5550100", "٠١٥٢٢٨٨١٧٣٨٦", "wamid.HBgLMTIwMjU1NTAxMDA", "~tilde"]
        {
            let wording = UrlText::new(&vault, text.to_owned());
            assert!(wording.written().starts_with('~') && !wording.written().contains(text), "{text}");
            let read = UrlText::read(&vault, wording.written()).unwrap();
            assert_eq!((&*read.text, read.written()), (text, wording.written()));
        }
        for forged in ["~", "~abc", "~AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(UrlText::read(&vault, forged), None, "{forged}");
        }
    }

    #[test]
    fn a_return_url_contains_no_number() {
        for (asked, kept) in [
            ("/console", "/console"),
            ("/console?status=pending&country=DE", "/console?status=pending&country=DE"),
            ("/console/search?q=%2B4915228817386&range=7d", "/console/search?range=7d"),
            ("/console/search?q=01522+8817386", "/console/search"),
            ("/console/search?q=order-17", "/console/search?q=order-17"),
            ("/console?ref=%D9%A0%D9%A1%D9%A5%D9%A2", "/console?ref=%D9%A0%D9%A1%D9%A5%D9%A2"),
            ("/console?ref=%D9%A0%D9%A1%D9%A5%D9%A2%D9%A2%D9%A1%D9%A7", "/console"),
            ("/console?number=4915228817386&app=shop", "/console?app=shop"),
            (
                "/console?number=000102030405060708090a0b0c0d0e0f",
                "/console?number=000102030405060708090a0b0c0d0e0f",
            ),
            ("/console?since=2026-11-22T20:00:00.000Z", "/console?since=2026-11-22T20:00:00.000Z"),
            ("/console?since=4915228817386", "/console"),
            ("/console?before=4915228817386", "/console"),
            ("/console?4915228817386", "/console"),
            ("/console/verifications/+4915228817386", "/console"),
            (
                "/console/conversations/000102030405060708090a0b0c0d0e0f",
                "/console/conversations/000102030405060708090a0b0c0d0e0f",
            ),
        ] {
            assert_eq!(without_numbers(asked), kept, "{asked}");
        }
    }
}
