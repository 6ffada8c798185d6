//! Reading requests: bodies within limits of size and time, JSON objects field by field so that all errors are reported
//! at once, and queries.

mod json;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{self, BytesMut};
use actix_web::{HttpMessage, HttpRequest};
use futures_util::StreamExt;
use serde_json::Value;

use super::error::{Code, FieldError, Problem};
use json::Json;

/// Body limit of the API. The largest valid request, with 16 pairs of metadata, has about 12 KiB.
pub const API_BODY_LIMIT: usize = 64 * 1024;
/// Time for a whole body, from the end of the head.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// A body up to this size is always accepted: any API request, and a webhook with a few dozen statuses.
const SMALL_BODY: usize = 16 * 1024;
/// Budget for larger bodies, over all bodies in transfer. A webhook's signature can only be verified once the body is
/// complete, so anybody may start to send 3 MiB; without a budget a few thousand slow senders would use up the memory.
/// When it is used up, further bodies get 503, and providers retry.
const LARGE_BODIES: usize = 64 * 1024 * 1024;
/// Most errors reported; a body of 64 KiB could contain ten thousand.
const MAX_FIELD_ERRORS: usize = 20;
/// Longest part of an unknown field's name that is repeated.
const MAX_NAME_CHARS: usize = 64;

/// Reads a raw body of at most `limit` bytes within [`BODY_TIMEOUT`].
pub async fn read_body(
    request: &HttpRequest,
    payload: web::Payload,
    limit: usize,
) -> Result<web::Bytes, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok()).unwrap_or(0);
    if announced > limit {
        return Err(too_large(limit));
    }
    let mut collecting = pin!(collect(payload, announced, limit));
    // A small body arrives with its head, and needs no timer.
    if let Poll::Ready(body) = poll_fn(|context| Poll::Ready(collecting.as_mut().poll(context))).await {
        return body;
    }
    match tokio::time::timeout(BODY_TIMEOUT, collecting).await {
        Ok(body) => body,
        Err(_elapsed) => Err(Problem::new(
            Code::RequestTimeout,
            format!("it took longer than {} s", BODY_TIMEOUT.as_secs()),
        )),
    }
}

async fn collect(mut payload: web::Payload, announced: usize, limit: usize) -> Result<web::Bytes, Problem> {
    let mut body = BytesMut::new();
    let mut share = Share::default();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| Problem::new(Code::MalformedBody, "the body is shorter than announced"))?;
        let length = body.len() + chunk.len();
        if length > limit {
            return Err(too_large(limit));
        }
        share.grow(length.saturating_sub(SMALL_BODY))?;
        if body.is_empty() && chunk.len() >= announced {
            body = BytesMut::from(chunk);
        } else {
            body.extend_from_slice(&chunk);
        }
    }
    Ok(body.freeze())
}

/// The part of [`LARGE_BODIES`] that one body in transfer uses.
#[derive(Default)]
struct Share(usize);

/// Shared by the whole process, like the memory.
static LARGE_BODIES_TAKEN: AtomicUsize = AtomicUsize::new(0);

impl Share {
    fn grow(&mut self, to: usize) -> Result<(), Problem> {
        let more = to.saturating_sub(self.0);
        if more == 0 {
            return Ok(());
        }
        let fits = |taken: usize| taken.checked_add(more).filter(|&taken| taken <= LARGE_BODIES);
        LARGE_BODIES_TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|_| {
            let problem = Problem::new(Code::StoreBusy, "too many large bodies in transfer");
            problem.retry_after(Duration::from_secs(1))
        })?;
        self.0 = to;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        LARGE_BODIES_TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("at most {} KiB are allowed", limit / 1024))
}

/// Reads the body of an API request as an object. If `optional`, an empty body counts as `{}`.
pub async fn read_fields(
    request: &HttpRequest,
    payload: web::Payload,
    presence: Presence,
) -> Result<Fields, Problem> {
    let body = read_body(request, payload, API_BODY_LIMIT).await?;
    if body.is_empty() && presence == Presence::Optional {
        return Ok(Fields::default());
    }
    require_json(request)?;
    Fields::parse(&body)
}

/// Whether a body is required.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Required,
    Optional,
}

pub fn require_json(request: &HttpRequest) -> Result<(), Problem> {
    let encoded = request.headers().get(header::CONTENT_ENCODING);
    let encoded = encoded.map(|encoding| encoding.as_bytes().trim_ascii());
    if encoded.is_some_and(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::new(Code::UnsupportedMediaType, "compressed bodies are not supported"));
    }
    if request.content_type().trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, "only `Content-Type: application/json` is supported"))
}

/// A JSON object, consumed field by field. Errors are collected until [`Fields::finish`].
#[derive(Default)]
pub struct Fields {
    values: BTreeMap<String, Value>,
    known: Vec<&'static str>,
    wrong: Wrong,
}

impl Fields {
    /// Refuses repeated names at any depth, because two parsers may each use a different one of the values.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let Json { value, repeated } = json::read(body).map_err(|error| {
            // Only the position: the parser's message may quote a value.
            let detail = format!("not JSON at line {} column {}", error.line(), error.column());
            Problem::new(Code::MalformedBody, detail)
        })?;
        let Value::Object(values) = value else {
            return Err(Problem::field(Code::InvalidRequest, "", "the body must be a JSON object"));
        };
        let mut wrong = Wrong::default();
        for pointer in repeated {
            wrong.add(Code::InvalidRequest, &pointer, "the name is repeated");
        }
        wrong.finish()?;
        Ok(Self { values: values.into_iter().collect(), ..Self::default() })
    }

    /// All fields that are not null, in the order of their names.
    pub fn given(&self) -> impl Iterator<Item = (&str, &Value)> {
        let given = self.values.iter().filter(|(_, value)| !value.is_null());
        given.map(|(name, value)| (name.as_str(), value))
    }

    /// A string field; `None` if it is missing, null or (which is an error) of another type.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            Value::Null => None,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                self.refuse(Code::InvalidRequest, &pointer(name), "must be a string");
                None
            }
        }
    }

    /// A string field that must be present.
    pub fn required_text(&mut self, name: &'static str) -> Option<String> {
        let missing = !self.has(name);
        let text = self.text(name);
        if missing {
            self.refuse(Code::InvalidRequest, &pointer(name), "is required");
        }
        text
    }

    /// Whether a field is present, not null, and not taken yet.
    pub fn has(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| !value.is_null())
    }

    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.values.remove(name)
    }

    pub fn refuse(&mut self, code: Code, pointer: &str, detail: impl Into<Cow<'static, str>>) {
        self.wrong.add(code, pointer, detail);
    }

    /// Returns all errors, including one for each unknown field.
    pub fn finish(mut self) -> Result<(), Problem> {
        let allowed = match self.known.as_slice() {
            [] => "unknown field; no fields are allowed".to_owned(),
            known => format!("unknown field; allowed: {}", known.join(", ")),
        };
        for name in self.values.keys() {
            self.wrong.add(Code::InvalidRequest, &pointer(name), allowed.clone());
        }
        self.wrong.finish()
    }
}

/// Collected errors of a request.
#[derive(Default)]
struct Wrong(Vec<(Code, FieldError)>);

impl Wrong {
    fn add(&mut self, code: Code, pointer: &str, detail: impl Into<Cow<'static, str>>) {
        if self.0.len() < MAX_FIELD_ERRORS {
            self.0.push((code, FieldError { pointer: pointer.to_owned(), detail: detail.into() }));
        }
    }

    /// The problem has the errors' code if they agree.
    fn finish(self) -> Result<(), Problem> {
        let Some((first, _)) = self.0.first() else { return Ok(()) };
        let same = self.0.iter().all(|(code, _)| code == first);
        let code = if same { *first } else { Code::InvalidRequest };
        Err(Problem::fields(code, self.0.into_iter().map(|(_, error)| error).collect()))
    }
}

/// JSON pointer of a field: `/` and the name, escaped by RFC 6901.
pub fn pointer(name: &str) -> String {
    let name: String = name.chars().take(MAX_NAME_CHARS).collect();
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Query parameters, consumed one by one.
pub struct Query {
    values: BTreeMap<String, String>,
    known: Vec<&'static str>,
    wrong: Wrong,
}

impl Query {
    pub fn parse(request: &HttpRequest) -> Result<Self, Problem> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map_err(|_| Problem::new(Code::InvalidRequest, "the query is malformed"))?;
        let mut query = Self { values: BTreeMap::new(), known: Vec::new(), wrong: Wrong::default() };
        for (name, value) in pairs.into_inner() {
            if query.values.insert(name.clone(), value).is_some() {
                query.wrong.add(Code::InvalidRequest, &pointer(&name), "the parameter is repeated");
            }
        }
        Ok(query)
    }

    pub fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.values.remove(name)
    }

    /// Takes a parameter and parses it; collects the error.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, (Code, Cow<'static, str>)>,
    ) -> Option<T> {
        match parse(&self.take(name)?) {
            Ok(value) => Some(value),
            Err((code, detail)) => {
                self.wrong.add(code, &pointer(name), detail);
                None
            }
        }
    }

    /// Takes a whole number in `range`.
    pub fn number(&mut self, name: &'static str, range: std::ops::RangeInclusive<usize>) -> Option<usize> {
        self.parsed(name, |text| {
            text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
                let detail = format!("must be a whole number from {} to {}", range.start(), range.end());
                (Code::InvalidRequest, detail.into())
            })
        })
    }

    /// Returns all errors, including one for each unknown parameter.
    pub fn finish(mut self) -> Result<(), Problem> {
        let allowed = match self.known.as_slice() {
            [] => "unknown parameter; no parameters are allowed".to_owned(),
            known => format!("unknown parameter; allowed: {}", known.join(", ")),
        };
        for name in self.values.keys() {
            self.wrong.add(Code::InvalidRequest, &pointer(name), allowed.clone());
        }
        self.wrong.finish()
    }
}
