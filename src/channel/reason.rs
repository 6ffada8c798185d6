//! Extracts the provider's own error text from a response of any format.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::{lenient, scrub};

/// Field names without case and separators, in order of preference. A heading names the error, details explain it.
const HEADINGS: &[&str] = &[
    "title",
    "message",
    "errormessage",
    "errortext",
    "errormsg",
    "errordesc",
    "msg",
    "faultstring",
    "statusmessage",
    "statustext",
    "text",
    "reason",
    "error",
    "err",
    "fault",
    "result",
];
const DETAILS: &[&str] = &["detail", "details", "description", "errordescription", "explanation"];
const CODES: &[&str] = &["code", "errorcode", "errcode", "messageid", "name", "type"];
/// HTML and XML elements that may hold the error text, in order of preference.
const ELEMENTS: &[&str] =
    &["message", "description", "error", "faultstring", "reason", "text", "title", "h1", "p"];
/// The most objects and lists visited.
const MAX_NODES: usize = 64;

/// Lower-case phrases of errors that concern the account or its credentials rather than one recipient.
const ACCOUNT_PHRASES: &[&str] = &[
    "insufficient credit",
    "insufficient balance",
    "insufficient fund",
    "not enough credit",
    "not enough balance",
    "not enough fund",
    "no credit",
    "out of credit",
    "low credit",
    "low balance",
    "credit limit",
    "credits exhausted",
    "balance is too low",
    "balance too low",
    "no balance",
    "payment required",
    "unpaid invoice",
    "prepaid balance",
    "account suspended",
    "account is suspended",
    "account disabled",
    "account is disabled",
    "account blocked",
    "account is blocked",
    "account locked",
    "account is locked",
    "account inactive",
    "account is inactive",
    "account not active",
    "account is not active",
    "account expired",
    "account closed",
    "trial account",
    "trial expired",
    "invalid api key",
    "invalid apikey",
    "invalid api token",
    "api key is invalid",
    "invalid token",
    "token is invalid",
    "token expired",
    "token has expired",
    "invalid credential",
    "bad credential",
    "wrong credential",
    "invalid login",
    "authentication failed",
    "authentication error",
    "not authenticated",
    "login failed",
    "invalid username or password",
    "ip not allowed",
    "ip address not allowed",
    "ip not whitelisted",
];

/// The error text of a response: one line, at most 200 characters, with numbers, codes and tokens masked. `secrets` are
/// strings of the request that the provider may quote.
pub fn of_answer(body: &[u8], secrets: &[&str]) -> Option<String> {
    let words = lenient::find(body, of_value).or_else(|| of_text(&lenient::repaired(body)?))?;
    scrub::non_empty(scrub::reason(&words, secrets))
}

/// Like [`of_answer`], for parsed JSON, before scrubbing.
pub fn of_value(value: &Value) -> Option<String> {
    let mut nodes = VecDeque::from([value]);
    let mut seen = 0;
    while let Some(node) = nodes.pop_front()
        && seen < MAX_NODES
    {
        seen += 1;
        match node {
            Value::Object(fields) => {
                if let Some(words) = of_object(fields) {
                    return Some(words);
                }
                nodes.extend(fields.values());
            }
            Value::Array(items) => nodes.extend(items),
            // An error list may consist of plain strings.
            Value::String(text) if seen == 1 || text.contains(' ') => return Some(text.clone()),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    None
}

fn of_object(fields: &Map<String, Value>) -> Option<String> {
    let heading = first_text(fields, HEADINGS);
    let details = first_text(fields, DETAILS).filter(|details| heading != Some(*details));
    let words = match (heading, details) {
        (Some(heading), Some(details)) => format!("{}: {details}", heading.trim_end_matches('.')),
        (Some(words), None) | (None, Some(words)) => words.to_owned(),
        (None, None) => return None,
    };
    // Keeps a symbolic code. Numbers would be masked anyway, and an address says nothing.
    let code = first_text(fields, CODES).filter(|code| !code.contains([' ', '/']) && !words.contains(code));
    Some(code.map_or_else(|| words.clone(), |code| format!("{words} ({code})")))
}

fn first_text<'a>(fields: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    let text = |name: &&str| {
        fields.iter().find_map(|(key, value)| {
            let text = value.as_str().map(str::trim).filter(|text| !text.is_empty())?;
            (plain(key) == **name).then_some(text)
        })
    };
    names.iter().find_map(text)
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// The matching element of HTML or XML, or the whole of a plain text. `None` for broken JSON.
fn of_text(text: &str) -> Option<String> {
    match text.chars().next()? {
        '<' => of_markup(text),
        '{' | '[' => None,
        _ => Some(text.to_owned()),
    }
}

fn of_markup(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    ELEMENTS.iter().find_map(|name| {
        let opening = lower.match_indices(&format!("<{name}")).find(|(at, tag)| {
            lower[at + tag.len()..].starts_with(|next: char| next == '>' || next.is_ascii_whitespace())
        });
        let (at, _) = opening?;
        let start = at + lower[at..].find('>')? + 1;
        let content = &text[start..start + lower[start..].find("</")?];
        Some(content.trim().to_owned()).filter(|content| !content.is_empty() && !content.contains('<'))
    })
}

/// Whether the text concerns our account at the provider, so that an operator has to act.
pub fn concerns_account(words: &str) -> bool {
    let words = words.to_lowercase().replace(['-', '_'], " ");
    ACCOUNT_PHRASES.iter().any(|phrase| words.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_where_carriers_put_it() {
        for (body, reason) in [
            (r#"{"error":"Insufficient credit"}"#, Some("Insufficient credit")),
            (r#"{"error":{"code":402,"message":"Insufficient credit."}}"#, Some("Insufficient credit.")),
            (
                r#"{"requestError":{"serviceException":{"messageId":"UNAUTHORIZED","text":"Invalid login details"}}}"#,
                Some("Invalid login details (UNAUTHORIZED)"),
            ),
            (
                r#"{"code":21211,"message":"The 'To' number +15005550001 is not valid.","more_info":"https://x.example/21211","status":400}"#,
                Some("The 'To' number +… is not valid."),
            ),
            (
                r#"{"type":"https://x.example/e","title":"Low balance","detail":"Your account has no balance."}"#,
                Some("Low balance: Your account has no balance."),
            ),
            (
                r#"{"messages":[{"to":"447700900000","status":"4","error-text":"Bad Credentials"}]}"#,
                Some("Bad Credentials"),
            ),
            (r#"{"errors":[{"description":"no credit","parameter":null}]}"#, Some("no credit")),
            (r#"{"errors":["Sender is not registered"]}"#, Some("Sender is not registered")),
            (
                "{\"ErrorMessage\":\"Guthaben f\u{fc}r Code 483920 aufgebraucht\"}",
                Some("Guthaben für Code … aufgebraucht"),
            ),
            ("ERR 103: no credit", Some("ERR 103: no credit")),
            ("<html><head><title>403 Forbidden</title></head><body>x</body></html>", Some("403 Forbidden")),
            ("<?xml version=\"1.0\"?><r><Message>No route</Message></r>", Some("No route")),
            ("", None),
            ("{}", None),
            ("[]", None),
            ("\"No credit\"", Some("No credit")),
            ("7", Some("7")),
            ("{\"id\":7,\"ok\":false}", None),
            ("{\"error\":", None),
            ("<html></html>", None),
        ] {
            let found = of_answer(body.as_bytes(), &["483920"]);
            assert_eq!(found.as_deref(), reason, "{body}");
        }
        let latin_1 = b"{\"error\":\"Empf\xe4nger gesperrt\"}";
        assert_eq!(of_answer(latin_1, &[]).as_deref(), Some("Empfänger gesperrt"));
        let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
        assert_eq!(of_answer(deep.as_bytes(), &[]), None);
    }

    #[test]
    fn account_errors_are_distinguished_from_recipient_errors() {
        for words in [
            "Insufficient credit",
            "INSUFFICIENT_BALANCE",
            "Your account is suspended.",
            "Invalid API key",
            "Low balance: top up",
            "Authentication failed",
        ] {
            assert!(concerns_account(words), "{words}");
        }
        for words in [
            "Unknown destination",
            "Subscriber suspended",
            "Number blocked",
            "Invalid number",
            "Absent subscriber",
            "",
        ] {
            assert!(!concerns_account(words), "{words}");
        }
    }
}
