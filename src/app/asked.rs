//! The other side of the door: what is asked of a server that runs.

use std::io::Write;
use std::time::Duration;

use reqwest::ClientBuilder;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};

use super::door::EraseRequest;
use super::erase::Erased;

/// A number may have some thousand records.
const TIMEOUT: Duration = Duration::from_secs(300);
/// A visit to the store takes a millisecond, and waits for the turns before it.
const SILENCE: Duration = Duration::from_secs(60);

/// `None`: nobody listens there; the server is gone, and only its notice was left.
pub async fn erase(
    url: &str,
    secret: &SecretString,
    request: &EraseRequest,
) -> Result<Option<Erased>, String> {
    let client = client().timeout(TIMEOUT).build().map_err(|error| error.to_string())?;
    let body = serde_json::to_string(request).map_err(|error| error.to_string())?;
    let asked = client
        .post(format!("{url}/operator/erase"))
        .bearer_auth(secret.expose_secret())
        .header("content-type", "application/json")
        .body(body);
    let answer = match asked.send().await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => return Ok(None),
        Err(error) => return Err(error.without_url().to_string()),
    };
    let status = answer.status();
    let text = answer.text().await.map_err(|error| error.without_url().to_string())?;
    if !status.is_success() {
        return Err(format!("it answered {status} {text}"));
    }
    serde_json::from_str(&text).map(Some).map_err(|error| error.to_string())
}

/// Writes a copy of the server's store to `out`. `None`: nobody listens there.
pub async fn backup(
    url: &str,
    secret: &SecretString,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<u64>, String> {
    let client = client().read_timeout(SILENCE).build().map_err(|error| error.to_string())?;
    let asked = client.post(format!("{url}/operator/backup")).bearer_auth(secret.expose_secret());
    let mut answer = match asked.send().await {
        Ok(answer) => answer,
        Err(error) if error.is_connect() => return Ok(None),
        Err(error) => return Err(error.without_url().to_string()),
    };
    if !answer.status().is_success() {
        return Err(format!("it answered {}", answer.status()));
    }
    let mut bytes = 0;
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.without_url().to_string())? {
        out.write_all(&chunk).map_err(|error| error.to_string())?;
        bytes += chunk.len() as u64;
        progress(bytes);
    }
    Ok(Some(bytes))
}

fn client() -> ClientBuilder {
    // Fails when one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).redirect(Policy::none())
}
