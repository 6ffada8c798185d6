//! The operator API: commands on this machine ask a running server through its admin listener. A caller must be able to
//! read the file `operator` in the data folder, which holds the address and a secret that changes with each start.
//!
//! A killed server leaves the file behind, and another program may listen at its address later. A command therefore
//! checks that the folder is in use, and makes the server prove that it knows the secret before it sends any data.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{self, BytesMut, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt, stream};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::StartError;
use super::erase::{Unreadable, erase};
use super::offline::dump_heading;
use crate::channel::signature;
use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::dump::Writer;
use crate::store::sled::{DumpLimits, Dumping, SledStore};
use crate::vault::{self, Vault};
use crate::verification::values::Alias;

/// File name in the data folder; removed by an orderly stop.
const FILE: &str = "operator";
/// Request header with the nonce for the proof: 32 random bytes in base64.
pub const NONCE: &str = "x-twotick-nonce";
const LONGEST_NONCE: usize = 64;
/// Largest request body: a number and a word.
const MOST_BYTES: usize = 4 * 1024;
/// Pause of a dump while too many calls wait for the store.
const BUSY_WAIT: Duration = Duration::from_millis(50);

/// State of the handlers.
pub struct OperatorApi {
    endpoint: ServerAccess,
    store: SledStore,
    vault: Arc<Vault>,
    clock: Clock,
}

/// Address of a server, and the secret shared with it.
pub struct ServerAccess {
    /// `http://127.0.0.1:8081`
    pub url: String,
    pub secret: SecretString,
}

impl ServerAccess {
    /// MAC over nonce and address, which only a server that knows the secret can compute.
    pub fn proof(&self, nonce: &str) -> String {
        signature::sign(&self.secret, format!("twotick operator 1\n{}\n{nonce}", self.url).as_bytes())
    }

    /// A random nonce.
    pub fn nonce() -> String {
        URL_SAFE_NO_PAD.encode(*vault::new_token())
    }

    pub fn is_proven(&self, nonce: &str, proof: &str) -> bool {
        self.proof(nonce).as_bytes().ct_eq(proof.trim_end().as_bytes()).into()
    }
}

/// The file in the data folder; removed on drop.
pub struct EndpointFile(PathBuf);

impl Drop for EndpointFile {
    fn drop(&mut self) {
        // If it stays, commands notice that the folder is not in use.
        let _ = fs::remove_file(&self.0);
    }
}

/// Reads the file. `None` if there is none or it is malformed.
pub fn find(data: &Path) -> io::Result<Option<ServerAccess>> {
    let text = match fs::read_to_string(data.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(text
        .split_once(' ')
        .map(|(url, secret)| ServerAccess { url: url.to_owned(), secret: secret.trim_end().into() }))
}

/// Writes the file for a server whose admin listener is at `addr`.
pub fn open(
    data: &Path,
    addr: SocketAddr,
    store: SledStore,
    vault: Arc<Vault>,
    clock: Clock,
) -> Result<(web::Data<OperatorApi>, EndpointFile), StartError> {
    let secret = SecretString::from(URL_SAFE_NO_PAD.encode(*vault::new_token()));
    let endpoint = ServerAccess { url: format!("http://{}", super::local(addr)), secret };
    let path = data.join(FILE);
    let text = format!("{} {}\n", endpoint.url, endpoint.secret.expose_secret());
    put(&path, &text).map_err(|source| StartError::OperatorFile { path: path.clone(), source })?;
    Ok((web::Data::new(OperatorApi { endpoint, store, vault, clock }), EndpointFile(path)))
}

/// Atomic, so that no reader sees half of it.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&beside, path)
}

/// Registers the routes on the admin listener.
pub fn configure(config: &mut ServiceConfig, api: &web::Data<OperatorApi>) {
    config.service(
        web::scope("/operator")
            .app_data(api.clone())
            .route("/hello", web::get().to(prove))
            .route("/erase", web::post().to(erase_number))
            .route("/dump", web::post().to(dump)),
    );
}

/// Body of an erase request.
#[derive(Serialize, Deserialize)]
pub struct EraseRequest {
    /// E.164, a number in WhatsApp's notation, or a business-scoped user id.
    pub person: String,
    pub unreadable: Unreadable,
}

/// Open to everybody: the proof reveals nothing without the secret.
async fn prove(api: web::Data<OperatorApi>, request: HttpRequest) -> HttpResponse {
    let nonce = request.headers().get(NONCE).and_then(|nonce| nonce.to_str().ok());
    match nonce.filter(|nonce| (1..=LONGEST_NONCE).contains(&nonce.len())) {
        Some(nonce) => HttpResponse::Ok().content_type("text/plain").body(api.endpoint.proof(nonce)),
        None => HttpResponse::BadRequest().finish(),
    }
}

/// Authenticates before it reads the body, so that a stranger cannot make the server wait.
async fn erase_number(api: web::Data<OperatorApi>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    if !api.admits(&request) {
        return HttpResponse::Unauthorized().finish();
    }
    let Some(body) = read(body).await else { return HttpResponse::BadRequest().finish() };
    let Ok(wanted) = serde_json::from_slice::<EraseRequest>(&body) else {
        return HttpResponse::BadRequest().finish();
    };
    let Some(alias) = Alias::written(&wanted.person) else {
        return HttpResponse::UnprocessableEntity().finish();
    };
    let number = api.vault.known_as(&alias).index;
    match erase(&api.store, &api.vault, &api.clock, number, wanted.unreadable).await {
        Ok(erased) => HttpResponse::Ok().json(erased),
        Err(error) => {
            tracing::error!(%error, "cannot erase a number");
            HttpResponse::ServiceUnavailable().body(error.to_string())
        }
    }
}

/// `None` if it is too large or incomplete; the listener limits the time.
async fn read(mut payload: web::Payload) -> Option<BytesMut> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        body.extend_from_slice(&chunk.ok()?);
        if body.len() > MOST_BYTES {
            return None;
        }
    }
    Some(body)
}

/// Streams a dump as of the moment at which it ends.
async fn dump(api: web::Data<OperatorApi>, request: HttpRequest) -> HttpResponse {
    if !api.admits(&request) {
        return HttpResponse::Unauthorized().finish();
    }
    let dumping = match api.store.begin_dump(DumpLimits::default()).await {
        Ok(dumping) => dumping,
        Err(error) => return HttpResponse::ServiceUnavailable().body(error.to_string()),
    };
    let mut writer = Writer::default();
    let heading = writer.begin(dump_heading(api.vault.key_id(), api.clock.now()));
    let first = stream::once(async { Ok(web::Bytes::from(heading)) });
    let rest = stream::unfold(Some((dumping, writer)), |dump| async {
        let (dumping, writer) = dump?;
        Some(next_lines(dumping, writer).await)
    });
    HttpResponse::Ok().content_type("application/x-ndjson").streaming(first.chain(rest))
}

/// The lines of one visit, and what the next ones need.
async fn next_lines(
    dumping: Dumping,
    mut writer: Writer,
) -> (Result<web::Bytes, StoreError>, Option<(Dumping, Writer)>) {
    let visited = loop {
        match dumping.visit().await {
            Err(StoreError::Busy) => tokio::time::sleep(BUSY_WAIT).await,
            other => break other,
        }
    };
    let visited = match visited {
        Ok(Ok(visited)) => visited,
        Ok(Err(given_up)) => return (Ok(writer.abort(&given_up.to_string()).into()), None),
        Err(error) => return (Ok(writer.abort(&error.to_string()).into()), None),
    };
    let is_last = visited.end.is_some();
    // Thousands of lines as JSON take longer than a listener's thread may be kept.
    let written = tokio::task::spawn_blocking(move || {
        let mut lines = Vec::new();
        let written = visited.write(&mut writer, &mut lines);
        if let Err(error) = &written {
            lines.extend(writer.abort(&error.to_string()));
        }
        (lines, (written.is_ok() && !is_last).then_some(writer))
    });
    match written.await {
        Ok((lines, writer)) => (Ok(lines.into()), writer.map(|writer| (dumping, writer))),
        // The process stops.
        Err(_) => (Err(StoreError::Closed), None),
    }
}

impl OperatorApi {
    fn admits(&self, request: &HttpRequest) -> bool {
        let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        given.as_bytes().ct_eq(self.endpoint.secret.expose_secret().as_bytes()).into()
    }
}
