//! Posts webhooks, signed, and tries again for a while, as Meta and carriers do.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Waits before each further try of one report: 26 s in all, enough for a server to restart. Meta goes on for
/// seven days (Meta, webhooks overview, 2026); nobody waits that long for a stand-in.
const WAITS_MS: [u64; 10] = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000];
/// One try, from connecting to the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One receiver of signed reports.
#[derive(Clone)]
pub(super) struct Webhooks {
    client: Client,
    url: Url,
    header: &'static str,
    key: Hmac<Sha256>,
}

/// One report, signed.
pub(super) struct Call {
    pub(super) url: Url,
    pub(super) content_type: &'static str,
    pub(super) header: &'static str,
    pub(super) signature: String,
    pub(super) body: String,
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
        header: &'static str,
        secret: &SecretString,
    ) -> io::Result<Self> {
        let url = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| invalid("the URL that takes the webhooks must begin with http:// or https://"))?;
        let key = Hmac::new_from_slice(secret.expose_secret().as_bytes())
            .map_err(|_| invalid("the secret that signs the webhooks cannot be used as a key"))?;
        Ok(Self { client: client.clone(), url, header, key })
    }

    /// Scheme, host and port of the receiver.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Posts exactly these bytes until they are answered with 200, at most eleven times.
    pub(super) async fn post(&self, body: String) -> Taken {
        let (url, signature) = (self.url.clone(), self.sign(body.as_bytes()));
        self.make(Call { url, content_type: "application/json", header: self.header, signature, body }).await
    }

    /// Makes a call until it is answered with 200, at most eleven times.
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
                    "sandbox: a report was answered with 401: do both sides have the same secret?"
                );
            }
            Ok(status) => {
                tracing::warn!(status = status.as_u16(), "sandbox: a report was never answered with 200")
            }
            Err(Unreachable) => {
                tracing::warn!(
                    receiver = self.origin(),
                    "sandbox: the receiver of the reports cannot be reached"
                );
            }
        }
        Taken::No
    }

    async fn try_once(&self, call: &Call) -> Result<StatusCode, Unreachable> {
        let request = self
            .client
            .post(call.url.clone())
            .header(CONTENT_TYPE, call.content_type)
            .header(call.header, &call.signature)
            .body(call.body.clone());
        let response = request.send().await.map_err(|error| {
            tracing::debug!(error = %error.without_url(), "sandbox: a report was not taken, trying again");
            Unreachable
        })?;
        Ok(response.status())
    }

    fn sign(&self, body: &[u8]) -> String {
        let mut key = self.key.clone();
        key.update(body);
        format!("sha256={}", hex(&key.finalize().into_bytes()))
    }
}

/// The client for both receivers. Straight there: no proxy, no redirect.
pub(super) fn client() -> io::Result<Client> {
    // An error only says that a provider stands already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().redirect(Policy::none()).timeout(TIMEOUT).build().map_err(io::Error::other)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Unreachable;

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
