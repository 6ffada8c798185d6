//! The OAuth2 client-credentials token: fetched on demand and cached until shortly before it expires.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::channel::exchange::{
    self, Answer, Confidential, Endpoint, Received, WithRetryAfter as _, require_response,
};
use crate::channel::{Basis, SetupError, Submission, lenient, refused, wire};
use crate::clock::Stopwatch;
use crate::verification::values::{ErrorClass, Outcome};

/// A token is not used in its last minute, as it might expire on the way.
const MARGIN: Duration = Duration::from_secs(60);
/// The assumed lifetime of a token without `expires_in`. Sinch's tokens last an hour.
const USUAL_SECONDS: u64 = 300;
/// Longer lifetimes are cut to this.
const MAX_SECONDS: u64 = 24 * 60 * 60;

pub(super) struct Tokens {
    endpoint: Endpoint,
    url: Url,
    basic: HeaderValue,
    /// The limit for a request, and for waiting while another message makes one.
    patience: Duration,
    known: Mutex<Option<Arc<Token>>>,
}

pub(super) struct Token {
    pub authorization: HeaderValue,
    age: Stopwatch,
    lasts: Duration,
}

impl Tokens {
    /// `patience` is the time limit for obtaining a token.
    pub(super) fn new(
        basis: &Basis,
        url: Url,
        basic: HeaderValue,
        patience: Duration,
    ) -> Result<Self, SetupError> {
        let mut basis = basis.clone();
        basis.timeouts.whole = patience;
        let endpoint = Endpoint::new(&basis, &url)?;
        Ok(Self { endpoint, url, basic, patience, known: Mutex::new(None) })
    }

    /// Returns the cached token, or fetches a new one if there is none or it is `refused_one`. Concurrent callers wait
    /// for a single fetch. Nothing was sent yet, so a failure is always a refusal.
    pub(super) async fn get(
        &self,
        refused_one: Option<&Arc<Token>>,
        submission: &Submission<'_>,
    ) -> Result<Arc<Token>, Outcome> {
        let found = tokio::time::timeout(self.patience, self.cached_or_new(refused_one, submission)).await;
        found.unwrap_or_else(|_| Err(unavailable("the provider issued no token within the time-out")))
    }

    async fn cached_or_new(
        &self,
        refused_one: Option<&Arc<Token>>,
        submission: &Submission<'_>,
    ) -> Result<Arc<Token>, Outcome> {
        let mut known = self.known.lock().await;
        if let Some(token) = &*known
            && token.age.elapsed() < token.lasts
            && !refused_one.is_some_and(|refused| Arc::ptr_eq(refused, token))
        {
            return Ok(Arc::clone(token));
        }
        let token = Arc::new(self.fetch(submission).await?);
        *known = Some(Arc::clone(&token));
        Ok(token)
    }

    async fn fetch(&self, submission: &Submission<'_>) -> Result<Token, Outcome> {
        let request = self.endpoint.request(Method::POST, self.url.clone());
        let request = request
            .header(AUTHORIZATION, self.basic.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .body("grant_type=client_credentials");
        let age = Stopwatch::start();
        let received = match self.endpoint.send(request).await {
            Answer::Lost(why) => return Err(unavailable(why)),
            answer => require_response(answer)?,
        };
        if !received.status.is_success() {
            let confidential = Confidential::new(submission).with_authorization(&self.basic);
            return Err(refusal(&received, &confidential));
        }
        let read = received.body.as_deref().and_then(|body| lenient::find(body, read));
        let (authorization, lasts) =
            read.ok_or_else(|| unavailable("the provider's response contains no token"))?;
        Ok(Token { authorization, age, lasts })
    }
}

pub(super) fn unavailable(why: &str) -> Outcome {
    refused("login_unavailable", why, ErrorClass::Retry)
}

/// Retries only if the server is overloaded or failing.
fn refusal(received: &Received, confidential: &Confidential<'_>) -> Outcome {
    let title = received.error_text(confidential);
    match received.status.as_u16() {
        408 | 429 | 499..=599 => {
            refused("login_unavailable", title, ErrorClass::Retry).with_retry_after(received.retry_after)
        }
        _ => refused("login_refused", title, ErrorClass::Configuration),
    }
}

fn read(json: &Value) -> Option<(HeaderValue, Duration)> {
    let token = SecretString::from(wire::word(json.get("access_token")?)?);
    let is_token = token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic());
    let authorization =
        exchange::authorization("Bearer", &token, "access_token").ok().filter(|_| is_token)?;
    let seconds = json.get("expires_in").and_then(wire::word).and_then(|word| word.parse().ok());
    let lasts = Duration::from_secs(seconds.unwrap_or(USUAL_SECONDS).min(MAX_SECONDS));
    Some((authorization, lasts.saturating_sub(MARGIN)))
}
