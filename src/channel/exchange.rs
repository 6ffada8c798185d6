//! One HTTP request to a provider and its response, both bounded in time and size. No retries, no redirects.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{Basis, Content, SetupError, Submission, Timeouts, in_doubt, reason, refused, scrub};
use crate::clock::Clock;
use crate::failpoint;
use crate::http_client;
use crate::verification::values::{ChannelName, ErrorClass, Outcome, Timestamp};

/// Providers' responses are under 2 KiB; anything larger is not theirs.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Below the 5 s after which common servers close idle connections. A request written to a connection that the peer is
/// just closing would end in doubt.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// Longer waits are cut to this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The `Date` of a slower response is too imprecise for comparing clocks.
const QUICK: Duration = Duration::from_secs(2);

/// The HTTP client of one channel.
pub struct Endpoint {
    /// The metric label.
    channel: ChannelName,
    client: Client,
}

impl Endpoint {
    /// Creates a client for the host of `url`. TLS trusts the system's CA certificates; plain `http` needs none.
    pub fn new(basis: &Basis, url: &Url) -> Result<Self, SetupError> {
        Ok(Self { channel: basis.name.clone(), client: client(url, basis.timeouts)? })
    }

    /// A request for the caller to complete with headers, credentials and a body, and to pass to [`Endpoint::send`].
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends the request once.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        // The system clock, even in tests: it is compared with the provider's.
        let asked = Clock::System.now();
        match request.send().await {
            Ok(response) => {
                failpoint::reach("send.answered");
                let ahead = seconds_ahead(response.headers(), asked, Clock::System.now());
                if let Some(ahead) = ahead {
                    let channel = self.channel.as_str().to_owned();
                    metrics::gauge!("twotick_clock_ahead_seconds", "channel" => channel).set(ahead);
                }
                Answer::Received(Received::read(response).await)
            }
            Err(error) if error.is_connect() || error.is_builder() => {
                Answer::NotSent(http_client::cause(&error))
            }
            Err(error) if error.is_timeout() => Answer::Lost("no response within the time-out"),
            Err(_) => Answer::Lost("the connection was lost before a response arrived"),
        }
    }
}

/// Parses an `http` or `https` URL; `setting` is its configuration key.
pub fn http_url(text: &str, setting: &'static str) -> Result<Url, SetupError> {
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or(SetupError::Url(setting))
}

/// A static `Authorization` header, such as `Bearer SECRET`; `setting` is the secret's configuration key.
pub fn authorization(
    scheme: &str,
    secret: &SecretString,
    setting: &'static str,
) -> Result<HeaderValue, SetupError> {
    let mut value = HeaderValue::from_str(&format!("{scheme} {}", secret.expose_secret()))
        .map_err(|_| SetupError::Header(setting))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The `Authorization` header of HTTP Basic authentication; `user` must not contain a colon.
pub fn basic(user: &str, password: &SecretString, setting: &'static str) -> Result<HeaderValue, SetupError> {
    let pair = SecretString::from(format!("{user}:{}", password.expose_secret()));
    authorization("Basic", &STANDARD.encode(pair.expose_secret()).into(), setting)
}

/// Sets a JSON body.
pub fn json(request: RequestBuilder, body: &impl Serialize) -> RequestBuilder {
    let body = serde_json::to_vec(body).expect("strings in structs always serialize"); // no map key, no I/O that could fail
    request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body)
}

/// Sets a form-encoded body.
pub fn form<'a>(
    request: RequestBuilder,
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")).body(body)
}

fn client(url: &Url, timeouts: Timeouts) -> Result<Client, SetupError> {
    http_client::builder(url.as_str())
        .user_agent(concat!("twotick/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .pool_idle_timeout(POOL_IDLE)
        .connect_timeout(timeouts.connect.min(timeouts.whole / 2))
        .read_timeout(timeouts.whole)
        .timeout(timeouts.whole)
        .build()
        .map_err(SetupError::Tls)
}

/// The result of one request.
pub enum Answer {
    /// No connection was made, so nothing was sent. The text is the reason given by the operating system or TLS.
    NotSent(String),
    /// The provider may have received the request. The text says why there is no response.
    Lost(&'static str),
    Received(Received),
}

pub struct Received {
    pub status: StatusCode,
    /// `Retry-After`, at most 24 h.
    pub retry_after: Option<Duration>,
    /// `None` if it was cut off or exceeded 64 KiB.
    pub body: Option<Vec<u8>>,
}

impl Received {
    async fn read(mut response: Response) -> Self {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER_BYTES => {
                    body.extend_from_slice(&chunk)
                }
                Ok(None) => return Self { status, retry_after, body: Some(body) },
                Ok(Some(_)) | Err(_) => return Self { status, retry_after, body: None },
            }
        }
    }

    /// The provider's error text if there is one, else its status. At most 200 characters, with numbers, codes and
    /// tokens masked.
    pub fn error_text(&self, confidential: &Confidential<'_>) -> String {
        let reason = self.body.as_deref().and_then(|body| reason::of_answer(body, &confidential.0));
        reason.unwrap_or_else(|| format!("the provider answered {}", self.status))
    }

    /// The outcome by HTTP status alone, for a response without a known error format. After an unreadable 2xx or a 5xx
    /// the message may have been sent, so these are in doubt.
    pub fn outcome_by_status(&self, confidential: &Confidential<'_>) -> Outcome {
        let code = format!("http_{}", self.status.as_u16());
        let title = self.error_text(confidential);
        let class = match self.status.as_u16() {
            300..=399 => {
                let title = "the provider answered with a redirect, which is not followed";
                return refused("redirected", title, ErrorClass::Configuration);
            }
            429 => ErrorClass::Retry,
            // Request cut off, or a proxy timed out: it may have been passed on.
            408 | 499 => return in_doubt("unreadable_answer", title),
            // Wrong token, account, URL, method or format: other recipients would fail too.
            401..=405 | 407 | 410 | 411 | 415 | 421 | 426 => ErrorClass::Configuration,
            400..=499 if reason::concerns_account(&title) => ErrorClass::Configuration,
            400..=499 => ErrorClass::Fallback,
            _ => return in_doubt("unreadable_answer", title),
        };
        refused(code, title, class).with_retry_after(self.retry_after)
    }
}

#[cfg(fuzzing)]
impl Received {
    /// Builds a response as [`Received::read`] would; `None` for an impossible status or header.
    pub fn of(status: u16, headers: &[(&'static str, &[u8])], body: Option<Vec<u8>>) -> Option<Self> {
        let status = StatusCode::from_u16(status).ok()?;
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(*name, HeaderValue::from_bytes(value).ok()?);
        }
        Some(Self { status, retry_after: retry_after(&all), body })
    }
}

/// Strings of the request that a provider may quote in its response and that must not be shown.
pub struct Confidential<'a>(Vec<&'a str>);

impl<'a> Confidential<'a> {
    pub fn new(submission: &Submission<'a>) -> Self {
        let text = match submission.content {
            Content::Text(text) => Some(text),
            Content::Template { .. } | Content::ById(_) => None,
        };
        let number = [submission.to, submission.to.trim_start_matches('+')];
        // The text comes first: once the code in it is masked, it would not be found.
        Self(text.into_iter().chain([submission.code]).chain(number).collect())
    }

    /// Adds the credentials in the `Authorization` header.
    pub fn with_authorization(mut self, authorization: &'a HeaderValue) -> Self {
        let header = authorization.to_str().unwrap_or_default();
        self.0.extend(header.split_once(' ').map(|(_, secret)| secret));
        self
    }

    /// Adds other secrets of the request.
    pub fn with_secrets(mut self, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.extend(secrets);
        self
    }

    pub fn as_slice(&self) -> &[&'a str] {
        &self.0
    }
}

/// Returns the response, or the outcome if there is none.
pub fn require_response(answer: Answer) -> Result<Received, Outcome> {
    match answer {
        Answer::Received(received) => Ok(received),
        Answer::Lost(why) => Err(in_doubt("no_answer", why)),
        Answer::NotSent(why) => {
            let title = scrub::title(&format!("no connection to the provider: {why}"));
            Err(refused("connection_failed", title, ErrorClass::Retry))
        }
    }
}

/// Adds the provider's `Retry-After` to a refusal.
pub trait WithRetryAfter {
    fn with_retry_after(self, wish: Option<Duration>) -> Self;
}

impl WithRetryAfter for Outcome {
    fn with_retry_after(self, wish: Option<Duration>) -> Self {
        match self {
            Self::Refused { error, .. } => Self::Refused { error, retry_after: wish },
            Self::Accepted { .. } | Self::Held { .. } | Self::InDoubt { .. } => self,
        }
    }
}

/// Seconds, or a date relative to the response's own `Date`, so that our clock does not matter (RFC 9110, section
/// 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let wish = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !wish.is_empty() && wish.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = wish.parse().unwrap_or(u64::MAX); // only too large a number fails here
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let until = http_date(wish)?.duration_since(http_date(headers.get(DATE)?.to_str().ok()?)?);
    Some(Duration::try_from(until).unwrap_or(Duration::ZERO).min(MAX_RETRY_AFTER))
}

/// The lead of our clock over the provider's, to about one second: `Date` is truncated to seconds, so half a second is
/// added. `None` if the response has no `Date` or took too long.
fn seconds_ahead(headers: &HeaderMap, asked: Timestamp, answered: Timestamp) -> Option<f64> {
    let took = answered.since(asked);
    let date = http_date(headers.get(DATE)?.to_str().ok()?).filter(|_| took <= QUICK)?;
    let ours = (asked + took / 2).as_millis();
    Some((ours - date.as_millisecond() - 500) as f64 / 1_000.0)
}

fn http_date(text: &str) -> Option<jiff::Timestamp> {
    Some(jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(text).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_compared_with_the_date_of_a_quick_answer() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let asked = at("2026-11-22T17:00:10.400Z");
        for (date, answered, ahead) in [
            ("Sun, 22 Nov 2026 17:00:10 GMT", "2026-11-22T17:00:10.600Z", Some(0.0)),
            ("Sun, 22 Nov 2026 16:59:10 GMT", "2026-11-22T17:00:10.600Z", Some(60.0)),
            ("Sun, 22 Nov 2026 17:00:20 GMT", "2026-11-22T17:00:11.400Z", Some(-9.6)),
            ("Sun, 22 Nov 2026 17:00:10 GMT", "2026-11-22T17:00:13.400Z", None),
            ("yesterday", "2026-11-22T17:00:10.600Z", None),
        ] {
            let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static(date))]);
            assert_eq!(seconds_ahead(&headers, asked, at(answered)), ahead, "{date}");
        }
        assert_eq!(seconds_ahead(&HeaderMap::new(), asked, asked), None);
    }
}
