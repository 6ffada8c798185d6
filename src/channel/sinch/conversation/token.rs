//! The token of OAuth2 client credentials: asked for when it is needed, and shown until it is about to end.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::channel::exchange::{self, After as _, Answer, Confidential, Endpoint, Received, unanswered};
use crate::channel::{Basis, SetupError, Submission, lenient, refused, wire};
use crate::clock::Stopwatch;
use crate::verification::values::{ErrorClass, Outcome};

/// A token is not shown in its last minute, in which it might end on the way.
const MARGIN: Duration = Duration::from_secs(60);
/// Of an answer that does not say how long its token lasts. Sinch's last an hour.
const USUAL_SECONDS: u64 = 300;
/// What a provider says beyond this is not believed.
const MOST_SECONDS: u64 = 24 * 60 * 60;

pub(super) struct Tokens {
    endpoint: Endpoint,
    url: Url,
    basic: HeaderValue,
    /// For asking, and for waiting until another message has asked.
    patience: Duration,
    known: Mutex<Option<Arc<Token>>>,
}

pub(super) struct Token {
    pub authorization: HeaderValue,
    age: Stopwatch,
    lasts: Duration,
}

impl Tokens {
    /// `patience` is for one token, from asking to the answer.
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

    /// The token in use, or a new one where there is none or it is the `refused` one. Messages that need a new one at the
    /// same time wait for the first of them to get it. Nothing is sent without, so an outcome here is always a refusal.
    pub(super) async fn one(
        &self,
        refused_one: Option<&Arc<Token>>,
        submission: &Submission<'_>,
    ) -> Result<Arc<Token>, Outcome> {
        let found = tokio::time::timeout(self.patience, self.known_or_new(refused_one, submission)).await;
        found.unwrap_or_else(|_| Err(unavailable("the provider gave no token within the time-out")))
    }

    async fn known_or_new(
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
        let token = Arc::new(self.ask(submission).await?);
        *known = Some(Arc::clone(&token));
        Ok(token)
    }

    async fn ask(&self, submission: &Submission<'_>) -> Result<Token, Outcome> {
        let request = self.endpoint.request(Method::POST, self.url.clone());
        let request = request
            .header(AUTHORIZATION, self.basic.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .body("grant_type=client_credentials");
        let age = Stopwatch::start();
        let received = match self.endpoint.ask(request).await {
            Answer::Lost(why) => return Err(unavailable(why)),
            answer => unanswered(answer)?,
        };
        if !received.status.is_success() {
            let confidential = Confidential::new(submission).by(&self.basic);
            return Err(refusal(&received, &confidential));
        }
        let read = received.body.as_deref().and_then(|body| lenient::find(body, read));
        let (authorization, lasts) =
            read.ok_or_else(|| unavailable("no token can be read in the provider's answer"))?;
        Ok(Token { authorization, age, lasts })
    }
}

pub(super) fn unavailable(why: &str) -> Outcome {
    refused("login_unavailable", why, ErrorClass::Retry)
}

/// Only what is busy or broken may do better next time.
fn refusal(received: &Received, confidential: &Confidential<'_>) -> Outcome {
    let title = received.words(confidential);
    match received.status.as_u16() {
        408 | 429 | 499..=599 => {
            refused("login_unavailable", title, ErrorClass::Retry).after(received.retry_after)
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
    let lasts = Duration::from_secs(seconds.unwrap_or(USUAL_SECONDS).min(MOST_SECONDS));
    Some((authorization, lasts.saturating_sub(MARGIN)))
}
