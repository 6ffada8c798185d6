//! Posts signed webhooks with retries, as Meta and carriers do.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::{hex, http_client};

/// Delays before each retry of a report: 26 s in total, enough for a server to restart. Meta retries for seven days
/// (Meta, webhooks overview, 2026).
const WAITS_MS: [u64; 10] = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000];
/// Time-out of one try, from connecting to the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A receiver of signed reports.
#[derive(Clone)]
pub(super) struct Webhooks {
    client: Client,
    url: Url,
    signing: Signing,
    key: Hmac<Sha256>,
}

/// A signed report.
pub(super) struct Call {
    pub(super) url: Url,
    pub(super) content_type: &'static str,
    /// The signature and its parameters.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// Placement and content of the signature.
#[derive(Clone, Copy)]
pub(super) enum Signing {
    /// `sha256=` and the HMAC of the body, in this header.
    Header(&'static str),
    /// In four headers, with nonce and time.
    Sinch,
}

/// Whether a report was answered with 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    No,
}

impl Webhooks {
    pub(super) fn new(
        client: &Client,
        url: &str,
        signing: Signing,
        secret: &SecretString,
    ) -> io::Result<Self> {
        let url = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| invalid("the webhook URL must begin with http:// or https://"))?;
        let key = keyed(secret.expose_secret())
            .ok_or_else(|| invalid("the webhook secret cannot be used as a key"))?;
        Ok(Self { client: client.clone(), url, signing, key })
    }

    /// Receiver on the same server, whatever host `callback` names: nothing is sent elsewhere.
    pub(super) fn for_sinch(&self, callback: &str) -> Option<Self> {
        let named = Url::parse(callback).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let mut url = self.url.clone();
        url.set_path(named.path());
        url.set_query(named.query());
        let key = keyed(super::sinch::WEBHOOK_SECRET)?;
        Some(Self { client: self.client.clone(), url, signing: Signing::Sinch, key })
    }

    /// Scheme, host and port of the receiver.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Posts these bytes until they are answered with 200, at most eleven times.
    pub(super) async fn post(&self, body: String) -> Taken {
        let (url, headers) = (self.url.clone(), self.signed(body.as_bytes()));
        self.make(Call { url, content_type: "application/json", headers, body }).await
    }

    /// Sends a report until it is answered with 200, at most eleven times.
    pub(super) async fn make(&self, call: Call) -> Taken {
        let mut answer = self.try_once(&call).await;
        for wait in WAITS_MS {
            if answer == Ok(StatusCode::OK) {
                return Taken::Yes;
            }
            tokio::time::sleep(Duration::from_millis(wait)).await;
            answer = self.try_once(&call).await;
        }
        match answer {
            Ok(StatusCode::OK) => return Taken::Yes,
            Ok(StatusCode::UNAUTHORIZED) => {
                tracing::warn!(
                    "sandbox: a report was answered with 401: check that both sides use the same secret"
                );
            }
            Ok(status) => {
                tracing::warn!(status = status.as_u16(), "sandbox: a report was never answered with 200")
            }
            Err(Unreachable) => {
                tracing::warn!(receiver = self.origin(), "sandbox: cannot reach the receiver of the reports");
            }
        }
        Taken::No
    }

    async fn try_once(&self, call: &Call) -> Result<StatusCode, Unreachable> {
        let request = self.client.post(call.url.clone()).header(CONTENT_TYPE, call.content_type);
        let request =
            call.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let request = request.body(call.body.clone());
        let response = request.send().await.map_err(|error| {
            tracing::debug!(error = %error.without_url(), "sandbox: a report failed, retrying");
            Unreachable
        })?;
        Ok(response.status())
    }

    /// Retries of a report have the same headers as the first try.
    fn signed(&self, body: &[u8]) -> Vec<(&'static str, String)> {
        let mut key = self.key.clone();
        key.update(body);
        match self.signing {
            Signing::Header(name) => {
                vec![(name, format!("sha256={}", hex::encode(&key.finalize().into_bytes())))]
            }
            Signing::Sinch => {
                let now = super::now();
                let mut nonce = self.key.clone();
                nonce.update(
                    format!("{} {now}", hex::encode(&key.clone().finalize().into_bytes())).as_bytes(),
                );
                let nonce = hex::encode(&nonce.finalize().into_bytes()[..13]).to_uppercase();
                let time = now.as_second().to_string();
                key.update(format!(".{nonce}.{time}").as_bytes());
                vec![
                    ("X-Sinch-Webhook-Signature", STANDARD.encode(key.finalize().into_bytes())),
                    ("X-Sinch-Webhook-Nonce", nonce),
                    ("X-Sinch-Webhook-Timestamp", time),
                    ("X-Sinch-Webhook-Algorithm", "HmacSHA256".to_owned()),
                ]
            }
        }
    }
}

fn keyed(secret: &str) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(secret.as_bytes()).ok()
}

/// The client for all receivers: no proxy, no redirects.
pub(super) fn client() -> io::Result<Client> {
    http_client::builder("https://").no_proxy().timeout(TIMEOUT).build().map_err(io::Error::other)
}

#[derive(Debug, PartialEq, Eq)]
struct Unreachable;

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
