//! Kind `http`: carriers with an HTTP interface. Requests and answers here, reports in `report`.

mod report;

use std::collections::BTreeMap;

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::Details;
use crate::channel::http_sms::{
    self, Authorization, BodyType, Decision, NotATemplate, PLACEHOLDERS, Pattern, Placeholder,
    RequestTemplate, SendMethod, Statuses,
};
use crate::channel::{Carries, Settings};
use crate::config::problem::{printable, suggestion};
use crate::config::reader::{Section, Slot};
use crate::config::values::{Address, SecretRule};

const POINTER: &str = "a JSON pointer, such as \"/id\" or \"/messages/0/id\"";
/// Headers that the HTTP client sets, or that would redirect the request.
const OWN_HEADERS: [&str; 7] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"];

pub(super) fn read(section: &mut Section<'_>) -> Details {
    let request = request(section);
    let id_pointer = pointer(&section.defaulted("id_pointer"));
    let error_pointer = or(&section.optional("error_pointer"), String::new(), pointer);
    let statuses = statuses(section);
    let credential = request.as_ref().and_then(Request::credential);
    let reports = report::read(section, credential);
    let settings = || {
        let Request { url, query, method, body, headers, authorization, from } = request?;
        let (proof, reading) = reports?;
        Some(Settings::Http(http_sms::Settings {
            url,
            method,
            query,
            body,
            authorization,
            headers,
            from,
            id_pointer: id_pointer?,
            error_pointer: error_pointer?,
            statuses: statuses?,
            proof,
            reading,
        }))
    };
    Details { carries: Some(Carries::Text), settings: settings() }
}

/// The request.
struct Request {
    url: String,
    query: Option<RequestTemplate>,
    method: SendMethod,
    body: Option<RequestTemplate>,
    headers: Vec<(String, SecretString)>,
    authorization: Option<Authorization>,
    from: String,
}

impl Request {
    /// A secret shared with the carrier.
    fn credential(&self) -> Option<SecretString> {
        match &self.authorization {
            Some(Authorization::Bearer(secret) | Authorization::Basic { password: secret, .. }) => {
                Some(secret.clone())
            }
            None => None,
        }
    }
}

fn request(section: &mut Section<'_>) -> Option<Request> {
    let url_slot = section.required("url");
    let address = url_slot.url(Address::Endpoint).and_then(|url| address(&url_slot, &url));
    let types = [("json", BodyType::Json), ("form", BodyType::Form), ("query", BodyType::Query)];
    let body_type = or(&section.optional("body_type"), BodyType::Json, |slot| slot.choice(&types));
    let method_slot = section.optional("method");
    let methods = [
        ("POST", SendMethod::Post),
        ("GET", SendMethod::Get),
        ("PUT", SendMethod::Put),
        ("PATCH", SendMethod::Patch),
    ];
    let usual = if body_type == Some(BodyType::Query) { SendMethod::Get } else { SendMethod::Post };
    let method = or(&method_slot, usual, |slot| slot.choice(&methods));
    if method == Some(SendMethod::Get) && body_type.is_some_and(|kind| kind != BodyType::Query) {
        method_slot.problem("GET has no body: set body_type = \"query\", or another method");
    }
    let body_slot = section.optional("body");
    let has_query = address.as_ref().is_some_and(|(_, query)| query.is_some());
    let body = body(&body_slot, body_type, has_query);
    let templates = [body.as_ref().and_then(Option::as_ref), address.as_ref().and_then(|(_, q)| q.as_ref())];
    let names = |placeholder| templates.iter().flatten().any(|template| template.names(placeholder));
    let is_read = body.is_some() && address.is_some();
    if is_read && !(names(Placeholder::To) || names(Placeholder::ToDigits)) {
        body_slot.problem("must contain {to} or {to_digits}: the carrier has to know the number");
    }
    if is_read && !names(Placeholder::Text) {
        body_slot.problem("must contain {text}, which has the code");
    }
    let from_slot = section.optional("from");
    let from = if from_slot.is_set() {
        from_slot.line(32)
    } else if is_read && !names(Placeholder::From) {
        Some(String::new())
    } else {
        from_slot.problem("missing; must be text of 1 to 32 characters, on one line");
        None
    };
    let authorization = authorization(section);
    let headers_slot = section.optional("headers");
    let signs_in = authorization.as_ref().is_some_and(Option::is_some);
    let headers = or(&headers_slot, Vec::new(), |slot| headers(slot, signs_in));
    let is_anonymous = !signs_in && !headers_slot.is_set() && !body_slot.is_set() && !has_query;
    if authorization.is_some() && is_anonymous {
        headers_slot.warning("missing, and so are bearer and basic: requests would not be authenticated");
    }
    let ((url, url_query), body, body_type) = (address?, body?, body_type?);
    let (query, body) = match (url_query, body, body_type) {
        (Some(one), Some(other), BodyType::Query) => (Some(one.and(other)), None),
        (one, other, BodyType::Query) => (one.or(other), None),
        (query, body, BodyType::Json | BodyType::Form) => (query, body),
    };
    let is_fit = !(method? == SendMethod::Get && body_type != BodyType::Query);
    is_fit.then_some(())?;
    Some(Request {
        url,
        query,
        method: method?,
        body,
        headers: headers?,
        authorization: authorization?,
        from: from?,
    })
}

/// The value of an optional key.
fn or<T>(slot: &Slot<'_>, otherwise: T, read: impl FnOnce(&Slot<'_>) -> Option<T>) -> Option<T> {
    if slot.is_set() { read(slot) } else { Some(otherwise) }
}

fn pointer(slot: &Slot<'_>) -> Option<String> {
    slot.text(POINTER, |text| is_json_pointer(text).then(|| text.to_owned()))
}

/// RFC 6901: empty, or parts that each begin with `/`, in which `~` is followed by 0 or 1.
fn is_json_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes && text.len() <= 256
}

/// The URL and its query.
fn address(slot: &Slot<'_>, url: &str) -> Option<(String, Option<RequestTemplate>)> {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    if address.contains(['{', '}']) {
        slot.problem("may have placeholders only after the ?");
        return None;
    }
    let query = match query {
        Some(query) => Some(template(slot, query, BodyType::Query)?),
        None => None,
    };
    Some((address.to_owned(), query))
}

/// The body; none if the query has everything.
fn body(slot: &Slot<'_>, body_type: Option<BodyType>, has_query: bool) -> Option<Option<RequestTemplate>> {
    let written = or(slot, None, |slot| slot.private_text().map(Some))?;
    let body_type = body_type?;
    match written {
        Some(text) => template(slot, text.expose_secret(), body_type).map(Some),
        None if body_type == BodyType::Query && has_query => Some(None),
        None => Some(Some(RequestTemplate::documented(body_type))),
    }
}

fn template(slot: &Slot<'_>, text: &str, body_type: BodyType) -> Option<RequestTemplate> {
    let problem = match RequestTemplate::parse(text, body_type) {
        Ok(template) => return Some(template),
        Err(NotATemplate::Unknown(unknown)) => unknown_placeholder(unknown.0, &PLACEHOLDERS.map(|(name, _)| name)),
        Err(NotATemplate::NotJson) => {
            "must be JSON, with every placeholder but {to_digits} within quotes; for another form set body_type"
                .to_owned()
        }
        Err(NotATemplate::NotEncoded) => {
            "must be NAME=VALUE joined by &, percent-encoded except for placeholders (a space is %20)".to_owned()
        }
    };
    slot.problem(problem);
    None
}

fn unknown_placeholder(unknown: &str, known: &[&'static str]) -> String {
    let suggestion = suggestion(unknown, known.iter().copied());
    format!("unknown placeholder {}; allowed: {}{suggestion}", printable(unknown), known.join(", "))
}

/// `bearer`, `basic` or neither.
fn authorization(section: &mut Section<'_>) -> Option<Option<Authorization>> {
    let (bearer_slot, basic_slot) = (section.optional("bearer"), section.optional("basic"));
    let bearer = or(&bearer_slot, None, |slot| {
        slot.secret(SecretRule::PROVIDER_TOKEN).map(|secret| Some(Authorization::Bearer(secret)))
    });
    let basic = or(&basic_slot, None, |slot| basic(slot).map(Some));
    if bearer_slot.is_set() && basic_slot.is_set() {
        basic_slot.problem("not allowed together with bearer: a request has one Authorization");
        return None;
    }
    Some(bearer?.or(basic?))
}

fn basic(slot: &Slot<'_>) -> Option<Authorization> {
    let mut section =
        slot.table("a table, such as { user = \"acme\", password = { env = \"SMS_PASSWORD\" } }")?;
    let (user, password) = user_and_password(&mut section);
    section.end();
    Some(Authorization::Basic { user: user?, password: password? })
}

/// By RFC 7617: no colon in the name.
fn user_and_password(section: &mut Section<'_>) -> (Option<String>, Option<SecretString>) {
    let user =
        section.required("user").text("text of 1 to 256 characters without a colon, on one line", |text| {
            let fits = (1..=256).contains(&text.chars().count());
            (fits && !text.contains(|letter: char| letter == ':' || letter.is_control()))
                .then(|| text.to_owned())
        });
    (user, section.required("password").secret(SecretRule::PASSWORD))
}

fn headers(slot: &Slot<'_>, signs_in: bool) -> Option<Vec<(String, SecretString)>> {
    let entries = slot.table("a table, such as { X-Api-Key = { env = \"SMS_KEY\" } }")?.entries();
    let headers: Vec<_> = entries
        .into_iter()
        .map(|(name, slot)| {
            let lower = name.to_ascii_lowercase();
            let problem = match HeaderName::from_bytes(name.as_bytes()) {
                Err(_) => Some("the key must be the name of an HTTP header"),
                Ok(_) if OWN_HEADERS.contains(&&*lower) => {
                    Some("is set by the HTTP client and cannot be chosen")
                }
                Ok(_) if signs_in && lower == "authorization" => {
                    Some("not allowed together with bearer or basic: a request has one Authorization")
                }
                Ok(_) => None,
            };
            let value = slot.private_text();
            if let Some(problem) = problem {
                slot.problem(problem);
                return None;
            }
            let value = value?;
            if HeaderValue::from_str(value.expose_secret()).is_err() {
                slot.problem("must be visible ASCII characters and spaces");
                return None;
            }
            Some((lower, value))
        })
        .collect();
    headers.into_iter().collect()
}

fn statuses(section: &mut Section<'_>) -> Option<Statuses> {
    let mut rules: BTreeMap<Pattern, (&'static str, Decision)> = BTreeMap::new();
    let mut complete = true;
    for (key, verdict) in
        [("accepted", Decision::Accepted), ("refused", Decision::Refused), ("retry", Decision::Retry)]
    {
        let slot = section.optional(key);
        if !slot.is_set() {
            continue;
        }
        let patterns = slot.list("a list of up to 100 statuses, such as [\"2xx\", \"409\"]", 0..=100);
        complete &= patterns.is_some();
        for slot in patterns.unwrap_or_default() {
            let pattern = slot
                .text("a status from \"200\" to \"599\", or all of a class, such as \"2xx\"", Pattern::parse);
            complete &= pattern.is_some();
            let Some(pattern) = pattern else { continue };
            let (other, _) = *rules.entry(pattern).or_insert((key, verdict));
            if other != key {
                slot.problem(format!("is in {other} too; a status can have only one meaning"));
                complete = false;
            }
        }
    }
    complete
        .then(|| Statuses::new(rules.into_iter().map(|(pattern, (_, verdict))| (pattern, verdict)).collect()))
}

#[cfg(test)]
mod tests;
