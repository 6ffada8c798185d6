//! Interprets a carrier's response to a send: its status, the message id, the error code. Responses may be JSON, XML, a
//! form or a line of text; the same pointer finds a field in all of them.

use serde_json::Value;

use super::super::status::{self, FAILED};
use super::super::{lenient, wire};
use crate::verification::values::ProviderRef;

/// The most occurrences of a field name that are examined.
const MAX_PLACES: usize = 1_000;

/// The carrier's decision, by the status of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Accepted,
    Refused,
    /// Refused for now: nothing was sent, and the message may be sent again.
    Retry,
}

/// One status such as `429`, or a class such as `2xx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// Takes precedence over a class.
    One(u16),
    Class(u16),
}

impl Pattern {
    /// Accepts final statuses, 200 to 599.
    pub fn parse(text: &str) -> Option<Self> {
        let [class @ b'2'..=b'5', rest @ ..] = text.as_bytes() else { return None };
        match rest {
            b"xx" | b"XX" => Some(Self::Class(u16::from(class - b'0'))),
            [tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit() => {
                text.parse().ok().map(Self::One)
            }
            _ => None,
        }
    }

    fn fits(self, status: u16) -> bool {
        match self {
            Self::One(one) => one == status,
            Self::Class(class) => class == status / 100,
        }
    }
}

/// The configured meanings of statuses. Other statuses have their usual meaning.
#[derive(Clone, Debug, Default)]
pub struct Statuses(Vec<(Pattern, Decision)>);

impl Statuses {
    /// `rules` may be in any order.
    pub fn new(mut rules: Vec<(Pattern, Decision)>) -> Self {
        rules.sort_by_key(|(pattern, _)| *pattern);
        Self(rules)
    }

    pub(super) fn verdict(&self, status: u16) -> Option<Decision> {
        self.0.iter().find(|(pattern, _)| pattern.fits(status)).map(|(_, verdict)| *verdict)
    }
}

/// The carrier's message id. `pointer` is a JSON pointer, empty if there is none.
pub(super) fn message_id(body: &[u8], pointer: &str) -> Option<ProviderRef> {
    find(body, pointer, wire::reference, |word| ProviderRef::parse(word).ok())
}

/// The carrier's error code. `None` for codes that mean success.
pub(super) fn error_code(body: &[u8], pointer: &str) -> Option<String> {
    find(body, pointer, wire::word, |word| Some(word.to_owned())).filter(|code| is_an_error(code))
}

fn is_an_error(code: &str) -> bool {
    let plain = code.to_ascii_lowercase().replace(['_', '-', ' '], "");
    let is_zero = plain.bytes().all(|byte| byte == b'0');
    let is_2xx =
        plain.len() == 3 && plain.starts_with('2') && plain.bytes().all(|byte| byte.is_ascii_digit());
    let is_fine =
        matches!(&*plain, "ok" | "okay" | "success" | "successful" | "none" | "null" | "false" | "noerror");
    let is_sent = status::meaning(code).is_some_and(|status| status != FAILED);
    !(is_zero || is_2xx || is_fine || is_sent)
}

fn find<T>(
    body: &[u8],
    pointer: &str,
    of_json: impl Fn(&Value) -> Option<T>,
    of_text: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    if pointer.is_empty() {
        return None;
    }
    lenient::find(body, |json| of_json(json.pointer(pointer)?)).or_else(|| {
        let text = lenient::text(body);
        // The pointer would have found the field in valid JSON; broken JSON is not searched.
        if text.starts_with(['{', '[']) {
            return None;
        }
        of_text(named(&text, field(pointer)?)?)
    })
}

/// The last part of a pointer that is not an index.
fn field(pointer: &str) -> Option<&str> {
    let is_name = |part: &&str| !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit());
    pointer.rsplit('/').find(is_name)
}

/// The value in `ID: 123`, `status=0&id=123` or `<id>123</id>`. Attributes and HTML pages do not count: `<div
/// id="main">` would give every message the same id.
fn named<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    // ASCII lower case preserves byte positions.
    let (lower, name) = (text.to_ascii_lowercase(), name.to_ascii_lowercase());
    if lower.starts_with('<') {
        let is_page =
            lower.starts_with("<html") || lower.starts_with("<!doctype html") || lower.contains("<body");
        return if is_page { None } else { element(text, &lower, &name) };
    }
    let value = lower.match_indices(&name).take(MAX_PLACES).find_map(|(start, _)| {
        let is_inside =
            lower[..start].ends_with(|before: char| before.is_alphanumeric() || "_-".contains(before));
        let rest = text[start + name.len()..].trim_start_matches([' ', '\t']);
        let rest = rest.strip_prefix([':', '=']).filter(|_| !is_inside)?;
        let rest = rest.trim_start_matches([' ', '\t', '"', '\'']);
        rest.split(|letter: char| letter.is_whitespace() || "&;,<>\"'".contains(letter)).next()
    });
    value.filter(|value| !value.is_empty())
}

fn element<'a>(text: &'a str, lower: &str, name: &str) -> Option<&'a str> {
    let value = lower.match_indices(name).take(MAX_PLACES).find_map(|(start, _)| {
        // With or without a namespace prefix.
        let opening = lower[..start].rfind('<').filter(|opening| {
            let between = &lower[opening + 1..start];
            between.is_empty() || (between.ends_with(':') && !between.contains([' ', '>', '/']))
        });
        let rest = &text[start + name.len()..];
        let follows = |next: char| next == '>' || next.is_ascii_whitespace();
        opening.filter(|_| rest.starts_with(follows))?;
        let content = rest.split_once('>')?.1;
        Some(content.split_once('<')?.0.trim())
    });
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_one_or_a_class() {
        for (text, pattern) in [
            ("429", Some(Pattern::One(429))),
            ("2xx", Some(Pattern::Class(2))),
            ("5XX", Some(Pattern::Class(5))),
            ("599", Some(Pattern::One(599))),
            ("1xx", None),
            ("199", None),
            ("600", None),
            ("2x", None),
            ("2xxx", None),
            ("20x", None),
            ("x", None),
            ("", None),
            ("+20", None),
            ("4294967496", None),
        ] {
            assert_eq!(Pattern::parse(text), pattern, "{text}");
        }
        let rules = [("4xx", Decision::Refused), ("429", Decision::Retry), ("409", Decision::Accepted)];
        let rules = rules.map(|(text, verdict)| (Pattern::parse(text).unwrap(), verdict));
        let statuses = Statuses::new(rules.to_vec());
        for (status, verdict) in [
            (429, Some(Decision::Retry)),
            (409, Some(Decision::Accepted)),
            (400, Some(Decision::Refused)),
            (500, None),
            (200, None),
        ] {
            assert_eq!(statuses.verdict(status), verdict, "{status}");
        }
    }

    #[test]
    fn an_id_is_found_in_any_format_with_its_field() {
        for (pointer, body, id) in [
            ("/id", &b"{\"id\":\"a-1\"}"[..], Some("a-1")),
            ("/id", b"ID: 123", Some("123")),
            ("/id", b"OK\r\nid = 77 \r\n", Some("77")),
            ("/msgid", b"status=0&msgid=9f-2&credits=4", Some("9f-2")),
            ("/messages/0/MsgId", b"err=0;msgid=\"9f-2\"", Some("9f-2")),
            ("/id", b"OK;mid=1;id=2", Some("2")),
            ("/messageId", b"<?xml version=\"1.0\"?><r><MessageId>55</MessageId></r>", Some("55")),
            ("/r/id", b"<r xmlns:s=\"urn:x\"><s:id type=\"n\"> 55 </s:id></r>", Some("55")),
            ("/id", b"Best\xe4tigt, ID: 12", Some("12")),
            ("/id", b"OK 123", None),
            ("/id", b"OK", None),
            ("/id", b"", None),
            ("/id", b"ID:", None),
            ("/id", b"ID: \xfc", None),
            ("/id", b"paid: 5", None),
            ("/id", b"<r><sms id=\"main\">x</sms><grid>5</grid></r>", None),
            ("/id", b"<html><div id=\"main\">x</div><id>5</id></html>", None),
            ("/id", b"<id>", None),
            ("/id", b"{\"id\": 12", None),
            ("", b"ID: 123", None),
            ("/0", b"0: 123", None),
        ] {
            let found = message_id(body, pointer);
            let shown = String::from_utf8_lossy(body);
            assert_eq!(found.as_ref().map(ProviderRef::as_str), id, "{pointer} in {shown}");
        }
    }

    #[test]
    fn success_codes_are_not_errors() {
        for (body, code) in [
            (&b"{\"code\":17}"[..], Some("17")),
            (b"{\"code\":\"E_NOCREDIT\"}", Some("E_NOCREDIT")),
            (b"code=17&text=no", Some("17")),
            (b"<r><code>17</code></r>", Some("17")),
            (b"{\"code\":0}", None),
            (b"{\"code\":\"000\"}", None),
            (b"{\"code\":\"OK\"}", None),
            (b"{\"code\":\"No-Error\"}", None),
            (b"{\"code\":\"Success\"}", None),
            (b"{\"code\":200}", None),
            (b"{\"code\":\"queued\"}", None),
            (b"{\"code\":null}", None),
            (b"{\"code\":false}", None),
            (b"{\"code\":\"\"}", None),
            (b"{}", None),
            (b"OK", None),
        ] {
            let shown = String::from_utf8_lossy(body);
            assert_eq!(error_code(body, "/code").as_deref(), code, "{shown}");
        }
    }

    #[test]
    fn hostile_input_is_parsed_quickly() {
        for strange in ["id", "<id", "id=", "<", "<id>", "id:\"", "<a:id "] {
            let body = strange.repeat(64 * 1024 / strange.len());
            let _ = message_id(body.as_bytes(), "/id");
        }
    }
}
