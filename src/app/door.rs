//! What the command line does with a server that runs: on the admin listener, for who can read the file `operator` in the
//! data folder. It holds the address and a secret that is new at each start.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::erase::{Unreadable, erase};
use crate::clock::Clock;
use crate::phone::Phone;
use crate::store::Store;
use crate::vault::{self, Vault};

/// Beside the store; gone after an orderly stop.
const FILE: &str = "operator";

/// What the handlers work with.
pub struct Door {
    secret: SecretString,
    pub store: Arc<dyn Store>,
    pub vault: Arc<Vault>,
    pub clock: Clock,
}

/// The file, removed when the server stops.
pub struct Notice(PathBuf);

impl Drop for Notice {
    fn drop(&mut self) {
        // Who finds an old one meets a closed door.
        let _ = fs::remove_file(&self.0);
    }
}

/// Where a server that uses this folder is reached, and by which secret. `None`: none says that it runs.
pub fn find(data: &Path) -> io::Result<Option<(String, SecretString)>> {
    let text = match fs::read_to_string(data.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(text.split_once(' ').map(|(url, secret)| (url.to_owned(), secret.trim_end().into())))
}

/// Writes the file for a server whose admin listener is at `addr`.
pub fn open(
    data: &Path,
    addr: SocketAddr,
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    clock: Clock,
) -> io::Result<(web::Data<Door>, Notice)> {
    let secret = SecretString::from(URL_SAFE_NO_PAD.encode(*vault::new_token()));
    let (path, beside) = (data.join(FILE), data.join("operator.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    writeln!(file, "http://{} {}", super::local(addr), secret.expose_secret())?;
    fs::rename(&beside, &path)?;
    Ok((web::Data::new(Door { secret, store, vault, clock }), Notice(path)))
}

/// Registers its routes, for the admin listener.
pub fn configure(config: &mut ServiceConfig, door: &web::Data<Door>) {
    config.service(
        web::scope("/operator").app_data(door.clone()).route("/erase", web::post().to(erase_number)),
    );
}

/// What [`erase`] is asked for.
#[derive(Serialize, Deserialize)]
pub struct EraseRequest {
    /// E.164.
    pub number: String,
    pub unreadable: Unreadable,
}

async fn erase_number(door: web::Data<Door>, request: HttpRequest, body: web::Json<EraseRequest>) -> HttpResponse {
    if !door.admits(&request) {
        return HttpResponse::Unauthorized().finish();
    }
    let Ok(phone) = Phone::parse(&body.number) else { return HttpResponse::UnprocessableEntity().finish() };
    let number = door.vault.number_index(&phone);
    match erase(&*door.store, &door.vault, &door.clock, number, body.unreadable).await {
        Ok(erased) => HttpResponse::Ok().json(erased),
        Err(error) => {
            tracing::error!(%error, "a number could not be erased");
            HttpResponse::ServiceUnavailable().body(error.to_string())
        }
    }
}

impl Door {
    fn admits(&self, request: &HttpRequest) -> bool {
        let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        given.as_bytes().ct_eq(self.secret.expose_secret().as_bytes()).into()
    }
}
