//! Client of the operator API: commands that ask a running server.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};
use secrecy::ExposeSecret;

use super::erase::Erased;
use super::operator::{self, EraseRequest, NONCE, ServerAccess};
use crate::http_client;
use crate::store::sled::{self, OpenError};

/// The server answers after the turn in progress.
const PROOF_WITHIN: Duration = Duration::from_secs(10);
/// Longer than any proof; bounds what another program may answer.
const LONGEST_PROOF: usize = 256;
/// A number may have thousands of records.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Longest pause within a backup. Reading a part of the store takes a millisecond, plus the turns before it.
const SILENCE: Duration = Duration::from_secs(60);

/// Why the server that uses the data folder cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("cannot ask the server that uses the data: {}: {source}", path.display())]
    EndpointFile { path: std::path::PathBuf, source: io::Error },
    #[error(
        "{folder} is in use by another process, but {url} is not the server that uses it. Nothing was \
         done; stop the process that uses the folder and try again"
    )]
    Stranger { folder: String, url: String },
    #[error("the server that uses the data failed: {0}")]
    Failed(String),
}

/// The server that uses the data folder, authenticated.
pub struct RunningServer(ServerAccess);

impl RunningServer {
    /// Finds the server. `None` if no process uses the folder, even if an old endpoint file is left in it.
    ///
    /// # Errors
    ///
    /// If the process that uses the folder cannot be asked, or another program answers in its place.
    pub async fn find(data: &Path) -> Result<Option<Self>, AskError> {
        // An unused folder has no server, but a stranger could impersonate one.
        if !sled::is_in_use(data)? {
            return Ok(None);
        }
        let in_use = || AskError::Store(OpenError::InUse { path: data.to_owned() });
        let endpoint = operator::find(data)
            .map_err(|source| AskError::EndpointFile { path: data.join("operator"), source })?;
        let endpoint = endpoint.ok_or_else(in_use)?;
        let client = http_client::builder(&endpoint.url).timeout(PROOF_WITHIN).build().map_err(failed)?;
        let nonce = ServerAccess::nonce();
        let asked = client.get(format!("{}/operator/hello", endpoint.url)).header(NONCE, &nonce);
        let is_proven = match asked.send().await {
            Ok(answer) => is_proof(&endpoint, &nonce, answer).await,
            // Another command uses the folder, or a server is starting or stopping.
            Err(error) if error.is_connect() => return Err(in_use()),
            Err(error) if error.is_timeout() => return Err(failed(error)),
            // The answer is not HTTP.
            Err(_) => false,
        };
        if is_proven {
            Ok(Some(Self(endpoint)))
        } else {
            Err(AskError::Stranger { folder: data.display().to_string(), url: endpoint.url })
        }
    }

    /// URL of the admin listener.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    pub async fn erase(&self, request: &EraseRequest) -> Result<Erased, AskError> {
        let client = http_client::builder(self.url()).timeout(TIMEOUT).build().map_err(failed)?;
        let body = serde_json::to_string(request).map_err(|error| AskError::Failed(error.to_string()))?;
        let asked = self.post(&client, "erase").header("content-type", "application/json").body(body);
        let answer = asked.send().await.map_err(failed)?;
        let status = answer.status();
        let text = answer.text().await.map_err(failed)?;
        if !status.is_success() {
            return Err(AskError::Failed(format!("it answered {status} {text}")));
        }
        serde_json::from_str(&text).map_err(|error| AskError::Failed(error.to_string()))
    }

    /// Writes a dump of the server's store to `out`; bytes before an error stay written.
    pub async fn dump(&self, out: &mut (dyn Write + Send)) -> Result<(), AskError> {
        let client = http_client::builder(self.url()).read_timeout(SILENCE).build().map_err(failed)?;
        let mut answer = self.post(&client, "dump").send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(AskError::Failed(format!("it answered {}", answer.status())));
        }
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            out.write_all(&chunk).map_err(|error| AskError::Failed(error.to_string()))?;
        }
        Ok(())
    }

    fn post(&self, client: &Client, what: &str) -> RequestBuilder {
        client.post(format!("{}/operator/{what}", self.0.url)).bearer_auth(self.0.secret.expose_secret())
    }
}

async fn is_proof(endpoint: &ServerAccess, nonce: &str, mut answer: Response) -> bool {
    let mut proof = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        proof.extend_from_slice(&chunk);
        if proof.len() > LONGEST_PROOF {
            return false;
        }
    }
    answer.status().is_success()
        && std::str::from_utf8(&proof).is_ok_and(|proof| endpoint.is_proven(nonce, proof))
}

fn failed(error: reqwest::Error) -> AskError {
    AskError::Failed(error.without_url().to_string())
}
