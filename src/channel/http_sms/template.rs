//! Text with placeholders. Values are inserted once and escaped for their context, so that a value with placeholders or
//! syntax in it stays a plain value.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::BodyType;

/// All but the unreserved characters of RFC 3986, section 2.3. A space becomes `%20`, which forms and queries decode
/// alike.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A value of the message to insert into the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// E.164 with `+`.
    To,
    /// Without the `+`, as many carriers require.
    ToDigits,
    From,
    Text,
    /// Our message id.
    Reference,
    /// The URL for reports on this message.
    Callback,
}

/// The placeholders and their values.
pub const PLACEHOLDERS: [(&str, Placeholder); 6] = [
    ("{to}", Placeholder::To),
    ("{to_digits}", Placeholder::ToDigits),
    ("{from}", Placeholder::From),
    ("{text}", Placeholder::Text),
    ("{reference}", Placeholder::Reference),
    ("{callback}", Placeholder::Callback),
];

/// A part of a parsed text.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Piece<P> {
    Literal(String),
    Value(P),
}

/// An unknown placeholder as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPlaceholder<'a>(pub &'a str);

/// Splits `text` at placeholders `{name}`. Braces around anything but lower-case letters and `_` are literal, as in
/// JSON.
pub(super) fn split<'a, P: Copy>(
    text: &'a str,
    known: &[(&str, P)],
) -> Result<Vec<Piece<P>>, UnknownPlaceholder<'a>> {
    let mut pieces = Vec::new();
    let mut literal = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find('{') {
        let start = from + found;
        from = start + 1;
        let Some(length) = name_length(&text[from..]) else { continue };
        let end = from + length + 1;
        let name = &text[start..end];
        let value = known.iter().find(|(known, _)| *known == name).ok_or(UnknownPlaceholder(name))?.1;
        if literal < start {
            pieces.push(Piece::Literal(text[literal..start].to_owned()));
        }
        pieces.push(Piece::Value(value));
        literal = end;
        from = end;
    }
    if literal < text.len() {
        pieces.push(Piece::Literal(text[literal..].to_owned()));
    }
    Ok(pieces)
}

/// The length of a name up to its closing brace.
fn name_length(rest: &str) -> Option<usize> {
    let length = rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_')?;
    (length > 0 && rest[length..].starts_with('}')).then_some(length)
}

/// The values of one message.
pub(super) struct Values<'a> {
    pub(super) to: &'a str,
    pub(super) from: &'a str,
    pub(super) text: &'a str,
    pub(super) reference: &'a str,
    pub(super) callback: &'a str,
}

impl Values<'_> {
    fn get(&self, placeholder: Placeholder) -> &str {
        match placeholder {
            Placeholder::To => self.to,
            Placeholder::ToDigits => self.to.trim_start_matches('+'),
            Placeholder::From => self.from,
            Placeholder::Text => self.text,
            Placeholder::Reference => self.reference,
            Placeholder::Callback => self.callback,
        }
    }
}

/// A body or query. Its `Debug` shows no content, as it may contain a key.
#[derive(Clone)]
pub struct RequestTemplate {
    body_type: BodyType,
    pieces: Vec<Piece<Placeholder>>,
}

impl fmt::Debug for RequestTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("body_type", &self.body_type).finish_non_exhaustive()
    }
}

/// Why a text is not a valid template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotATemplate<'a> {
    Unknown(UnknownPlaceholder<'a>),
    /// It is not valid JSON for all values.
    NotJson,
    /// A form or query with a character that must be percent-encoded.
    NotEncoded,
}

impl RequestTemplate {
    pub fn parse(text: &str, body_type: BodyType) -> Result<Self, NotATemplate<'_>> {
        let mut pieces = split(text.trim(), &PLACEHOLDERS.map(|(name, value)| (name, value)))
            .map_err(NotATemplate::Unknown)?;
        if body_type != BodyType::Json {
            pieces.iter_mut().for_each(join_lines);
            let encoded = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
            if pieces.iter().any(|piece| matches!(piece, Piece::Literal(text) if !encoded(text))) {
                return Err(NotATemplate::NotEncoded);
            }
        }
        let template = Self { body_type, pieces };
        if body_type == BodyType::Json && !template.makes_json() {
            return Err(NotATemplate::NotJson);
        }
        Ok(template)
    }

    /// The default template.
    pub fn documented(body_type: BodyType) -> Self {
        let text = match body_type {
            BodyType::Json => r#"{"to":"{to}","from":"{from}","text":"{text}","reference":"{reference}"}"#,
            BodyType::Form | BodyType::Query => "to={to}&from={from}&text={text}&reference={reference}",
        };
        Self::parse(text, body_type).expect("both texts are valid templates") // constants, checked by a test
    }

    /// Joins two queries.
    pub fn and(mut self, other: Self) -> Self {
        self.pieces.push(Piece::Literal("&".to_owned()));
        self.pieces.extend(other.pieces);
        self
    }

    pub fn body_type(&self) -> BodyType {
        self.body_type
    }

    pub fn names(&self, placeholder: Placeholder) -> bool {
        self.pieces.contains(&Piece::Value(placeholder))
    }

    pub(super) fn fill(&self, values: &Values<'_>) -> String {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => filled.push_str(text),
                Piece::Value(placeholder) => filled.push_str(&self.escaped(values.get(*placeholder))),
            }
        }
        filled
    }

    fn escaped<'a>(&self, value: &'a str) -> Cow<'a, str> {
        match self.body_type {
            BodyType::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
            }
            BodyType::Form | BodyType::Query => utf8_percent_encode(value, RESERVED).into(),
        }
    }

    /// Only numbers may be unquoted, and only `{to_digits}` always is one.
    fn makes_json(&self) -> bool {
        let nasty = "\"\\a";
        let values =
            Values { to: "+4915228817386", from: nasty, text: nasty, reference: nasty, callback: nasty };
        serde_json::from_str::<serde_json::Value>(&self.fill(&values)).is_ok()
    }
}

/// Joins a form that is split over several lines for readability.
fn join_lines(piece: &mut Piece<Placeholder>) {
    if let Piece::Literal(text) = piece
        && text.contains(['\n', '\r'])
    {
        *text = text.lines().map(str::trim).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'_> = Values {
        to: "+4915228817386",
        from: "Läden & Co",
        text: "{code} \"483920\"\\\n{to} +%=;é😀\u{1}",
        reference: "msg_1",
        callback: "https://otp.example.com/webhooks/sms?message=msg_1",
    };

    fn filled(text: &str, body_type: BodyType) -> String {
        RequestTemplate::parse(text, body_type).unwrap().fill(&VALUES)
    }

    #[test]
    fn values_are_escaped_and_never_reinterpreted() {
        let text = r#"{"to": "{to}", "n": {to_digits}, "o": {"from": "<{from}>", "t": ["{text}"]}, "e": {}}"#;
        let json: serde_json::Value = serde_json::from_str(&filled(text, BodyType::Json)).unwrap();
        assert_eq!(json["to"], VALUES.to);
        assert_eq!(json["n"], 4_915_228_817_386_u64);
        assert_eq!(json["o"]["from"], "<Läden & Co>");
        assert_eq!(json["o"]["t"][0], VALUES.text);
        for body_type in [BodyType::Form, BodyType::Query] {
            let text =
                "k=%2B1&\n  to={to}&d={to_digits}&from={from}&text={text}&\n  dlr={callback}&r={reference}\n";
            let filled = filled(text, body_type);
            assert!(filled.bytes().all(|byte| byte.is_ascii_graphic()), "{filled}");
            let pairs: Vec<_> = form_urlencoded::parse(filled.as_bytes()).collect();
            let expected = [
                ("k", "+1"),
                ("to", VALUES.to),
                ("d", "4915228817386"),
                ("from", VALUES.from),
                ("text", VALUES.text),
                ("dlr", VALUES.callback),
                ("r", VALUES.reference),
            ];
            assert_eq!(pairs, expected.map(|(name, value)| (name.into(), value.into())));
        }
    }

    #[test]
    fn the_default_templates_are_valid() {
        for body_type in [BodyType::Json, BodyType::Form, BodyType::Query] {
            let template = RequestTemplate::documented(body_type);
            for placeholder in [Placeholder::To, Placeholder::From, Placeholder::Text, Placeholder::Reference]
            {
                assert!(template.names(placeholder), "{placeholder:?}");
            }
            assert!(!template.names(Placeholder::Callback));
        }
    }

    #[test]
    fn invalid_templates_have_a_reason() {
        for (text, body_type, why) in [
            ("{\"t\":\"{txt}\"}", BodyType::Json, NotATemplate::Unknown(UnknownPlaceholder("{txt}"))),
            ("to={number}", BodyType::Form, NotATemplate::Unknown(UnknownPlaceholder("{number}"))),
            ("{\"t\":{text}}", BodyType::Json, NotATemplate::NotJson),
            ("{\"t\":{reference}}", BodyType::Json, NotATemplate::NotJson),
            ("{\"t\":\"{text}\"", BodyType::Json, NotATemplate::NotJson),
            ("", BodyType::Json, NotATemplate::NotJson),
            ("to={to}&text=your code {text}", BodyType::Form, NotATemplate::NotEncoded),
            ("to={to}&sender=Läden", BodyType::Query, NotATemplate::NotEncoded),
            ("to={to}#x", BodyType::Query, NotATemplate::NotEncoded),
        ] {
            assert_eq!(RequestTemplate::parse(text, body_type).err(), Some(why), "{text}");
        }
        for literal in ["a={}", "a={A}", "a={to", "a={{", "a=}{"] {
            assert_eq!(filled(literal, BodyType::Form), literal);
        }
    }
}
