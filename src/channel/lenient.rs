//! Reads the almost-JSON that providers send: with a byte order mark, in Latin-1, with raw line feeds in strings,
//! oversized integers, or emojis cut in half. Repairs have one obvious reading; other errors stay errors.

use std::borrow::Cow;

use serde_json::Value;

/// Integers of up to 18 digits fit into 64 bits.
const SAFE_DIGITS: usize = 18;
/// The most opening brackets tried to find JSON after a warning or inside a page.
const MAX_STARTS: usize = 32;

/// Parses `body` and returns the result of `read`. Some carriers wrap JSON in a warning or a page; then the first JSON
/// value for which `read` succeeds counts.
pub fn find<T>(body: &[u8], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    let text = repaired(body)?;
    if let Ok(value) = serde_json::from_str(&text) {
        return read(&value);
    }
    let starts =
        text.char_indices().filter(|(_, letter)| matches!(letter, '{' | '[')).map(|(start, _)| start);
    starts.take(MAX_STARTS).find_map(|start| {
        // Quotes in the preceding text would shift string boundaries, so the rest is repaired on its own.
        let text = repaired_text(&text[start..]);
        let found: Value = serde_json::Deserializer::from_str(&text).into_iter().next()?.ok()?;
        read(&found)
    })
}

/// `body` as text with repaired JSON. `None` if it is empty.
pub fn repaired(body: &[u8]) -> Option<Cow<'_, str>> {
    let text = match decoded(body) {
        Cow::Borrowed(text) => repaired_text(text.trim_matches(is_padding)),
        Cow::Owned(text) => Cow::Owned(repaired_text(text.trim_matches(is_padding)).into_owned()),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// `body` decoded and trimmed.
pub fn text(body: &[u8]) -> String {
    decoded(body).trim_matches(is_padding).to_owned()
}

/// Senders written in C append NUL, editors prepend U+FEFF.
fn is_padding(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\0' | '\u{feff}')
}

/// Decodes valid UTF-8; UTF-16 if a byte order mark or zero bytes indicate it; else Latin-1, in which every byte is a
/// letter.
fn decoded(body: &[u8]) -> Cow<'_, str> {
    let utf_16 = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match body {
        [0xff, 0xfe, rest @ ..] => Cow::Owned(utf_16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(utf_16(rest, u16::from_be_bytes)),
        [b'{' | b'[', 0, ..] => Cow::Owned(utf_16(body, u16::from_le_bytes)),
        [0, b'{' | b'[', ..] => Cow::Owned(utf_16(body, u16::from_be_bytes)),
        _ => match std::str::from_utf8(body) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(mixed(body)),
        },
    }
}

/// Decodes UTF-8 with stray Latin-1 bytes, as when a template is filled from a database in another encoding.
fn mixed(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|&byte| char::from(byte)));
    }
    text
}

/// Borrowed if nothing needs repair.
fn repaired_text(text: &str) -> Cow<'_, str> {
    let mut repairer = Repairer { text, copied: 0, out: String::new() };
    repairer.run();
    if repairer.copied == 0 { Cow::Borrowed(text) } else { Cow::Owned(repairer.finish()) }
}

struct Repairer<'a> {
    text: &'a str,
    /// The length of the input already copied to `out`.
    copied: usize,
    out: String,
}

impl Repairer<'_> {
    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at = match byte {
                b'"' => self.string(at + 1),
                b'-' | b'+' | b'0'..=b'9' => self.number(at),
                b',' => self.comma(at),
                b'N' | b'I' => self.non_finite(at),
                _ => at + 1,
            };
        }
    }

    /// Starts after the opening quote and returns the position after the closing one.
    fn string(&mut self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = start;
        while let Some(&byte) = bytes.get(at) {
            at = match byte {
                b'"' => return at + 1,
                b'\\' => self.escape(at),
                0..=0x1f => {
                    self.replace(at, 1, &format!("\\u{byte:04x}"));
                    at + 1
                }
                _ => at + 1,
            };
        }
        at
    }

    /// Replaces an unpaired surrogate by `�`, and doubles a backslash that starts no valid escape.
    fn escape(&mut self, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        match bytes.get(at + 1) {
            Some(b'u') => match unit(bytes, at) {
                Some(0xd800..=0xdbff) if matches!(unit(bytes, at + 6), Some(0xdc00..=0xdfff)) => at + 12,
                Some(0xd800..=0xdfff) => {
                    self.replace(at, 6, "\\ufffd");
                    at + 6
                }
                Some(_) => at + 6,
                None => self.literal_backslash(at),
            },
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at + 2,
            Some(_) => self.literal_backslash(at),
            None => at + 1,
        }
    }

    fn literal_backslash(&mut self, at: usize) -> usize {
        self.replace(at, 1, "\\\\");
        at + 1
    }

    /// Quotes integers that would lose digits or are not valid JSON, with a sign or leading zeros.
    fn number(&mut self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._".contains(byte);
        let length = bytes[start..].iter().take_while(|byte| is_part(byte)).count();
        let token = &self.text[start..start + length];
        let digits = token.trim_start_matches(['+', '-']);
        let is_infinite = digits.parse::<f64>().is_ok_and(f64::is_infinite);
        if is_infinite && !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            // Valid in other languages, but not in JSON.
            self.replace(start, length, "null");
            return start + length;
        }
        let strange = digits.len() > SAFE_DIGITS
            || token.starts_with('+')
            || (digits.len() > 1 && digits.starts_with('0'));
        if strange && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            self.replace(start, length, &format!("\"{}\"", token.trim_start_matches('+')));
        }
        start + length
    }

    /// Replaces `NaN` and `Infinity`, which some libraries write, by `null`.
    fn non_finite(&mut self, start: usize) -> usize {
        let rest = &self.text[start..];
        let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        if ["NaN", "Infinity"].contains(&&rest[..length]) {
            self.replace(start, length, "null");
        }
        start + length
    }

    /// Drops a trailing comma in a list or object.
    fn comma(&mut self, at: usize) -> usize {
        let rest = self.text[at + 1..].trim_start();
        if rest.starts_with(['}', ']']) {
            self.replace(at, 1, " ");
        }
        at + 1
    }

    fn replace(&mut self, at: usize, length: usize, with: &str) {
        self.out.push_str(&self.text[self.copied..at]);
        self.out.push_str(with);
        self.copied = at + length;
    }

    fn finish(mut self) -> String {
        self.out.push_str(&self.text[self.copied..]);
        self.out
    }
}

/// The code unit of a `\uXXXX` escape.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(body: &[u8]) -> Option<Value> {
        find(body, |value| value.get("id").map(|_| value.clone()))
    }

    fn utf_16(text: &str, write: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(write).collect()
    }

    #[test]
    fn invalid_numbers_only_affect_themselves() {
        for strange in ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"] {
            for text in [
                format!("{{\"id\":\"n1\",\"cost\":{strange}}}"),
                format!("{{\"cost\":{strange},\"id\":\"n1\"}}"),
            ] {
                assert_eq!(object(text.as_bytes()), Some(json!({"id": "n1", "cost": null})), "{text}");
            }
        }
        let text = br#"{"id":"NaN Infinity"}"#;
        assert_eq!(object(text), Some(json!({"id": "NaN Infinity"})));
    }

    #[test]
    fn valid_json_is_borrowed_unchanged() {
        for text in [
            r#"{"id":"a\"\\\/\b\f\n\r\té😀\ud83d\ude00","n":[0,-1,1.5,1e9,123456789012345678]}"#,
            r#""a, ] b""#,
            "7",
            "[[],{}]",
        ] {
            assert!(matches!(repaired(text.as_bytes()), Some(Cow::Borrowed(same)) if same == text), "{text}");
            let strict: Value = serde_json::from_str(text).unwrap();
            assert_eq!(find(text.as_bytes(), |value| Some(value.clone())), Some(strict), "{text}");
        }
    }

    #[test]
    fn almost_json_is_repaired() {
        let id = Some(json!({ "id": "a-1" }));
        let with = |id: &str, note: &str| Some(json!({ "id": id, "note": note }));
        let plain = r#"{"id":"a-1"}"#;
        for (body, meant) in [
            (format!("\u{feff}{plain}").into_bytes(), id.clone()),
            (format!(" \r\n\t{plain}\0\0\n").into_bytes(), id.clone()),
            ([&[0xff, 0xfe][..], &utf_16(plain, u16::to_le_bytes)].concat(), id.clone()),
            ([&[0xfe, 0xff][..], &utf_16(plain, u16::to_be_bytes)].concat(), id.clone()),
            (utf_16(plain, u16::to_le_bytes), id.clone()),
            (utf_16(plain, u16::to_be_bytes), id.clone()),
            (b"{\"id\":\"a-1\",\"note\":\"M\xfcller\"}".to_vec(), with("a-1", "Müller")),
            (b"{\"id\":\"a-1\",\"note\":\"M\xfcller \xc3\xbc\"}".to_vec(), with("a-1", "Müller ü")),
            (
                b"{\"id\":\"a-1\",\"note\":\"one\ntwo\r\n\tthree\x01\"}".to_vec(),
                with("a-1", "one\ntwo\r\n\tthree\u{1}"),
            ),
            (br#"{"id":"a-1","note":"cut \ud83d"}"#.to_vec(), with("a-1", "cut \u{fffd}")),
            (
                br#"{"id":"a-1","note":"\ude00 \ud83dx \u12"}"#.to_vec(),
                with("a-1", "\u{fffd} \u{fffd}x \\u12"),
            ),
            (br#"{"id":"a-1","note":"it\'s C:\dir"}"#.to_vec(), with("a-1", r"it\'s C:\dir")),
            (br#"{"id":"a-1",}"#.to_vec(), id.clone()),
            (br#"{"id":36893488147419103232}"#.to_vec(), Some(json!({ "id": "36893488147419103232" }))),
            (br#"{"id":9007199254740993000}"#.to_vec(), Some(json!({ "id": "9007199254740993000" }))),
            (br#"{"id":-9007199254740993000}"#.to_vec(), Some(json!({ "id": "-9007199254740993000" }))),
            (br#"{"id":00123}"#.to_vec(), Some(json!({ "id": "00123" }))),
            (format!("<b>Warning</b>: [8] in \"a.php\"\n{plain}").into_bytes(), id.clone()),
            (format!("<html><body><pre>{plain}</pre></body></html>").into_bytes(), id.clone()),
            (format!("callback({plain});").into_bytes(), id.clone()),
            (format!(")]}}',\n{plain}").into_bytes(), id.clone()),
            (format!("{plain}{plain}").into_bytes(), id.clone()),
            (format!("OK {plain}").into_bytes(), id),
        ] {
            assert_eq!(object(&body), meant, "{}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn non_json_is_refused_quickly() {
        for body in
            [&b""[..], b" ", b"OK", b"<html>", b"{", b"{\"id\":\"a", b"\"", b"\\", b"-", b"\xff", b"{]"]
        {
            let found = find(body, |value| Some(value.clone()));
            assert_eq!(found, None, "{}", String::from_utf8_lossy(body));
        }
        for strange in ["{\"a\":", "[", "\\u", "{,", "-0", "\u{feff}\"", "99999999999999999999"] {
            assert_eq!(object(strange.repeat(64 * 1024 / strange.len()).as_bytes()), None, "{strange}");
        }
    }
}
