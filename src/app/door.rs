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
use futures_util::stream::unfold;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::StartError;
use super::erase::{Unreadable, erase};
use crate::clock::Clock;
use crate::phone::Phone;
use crate::store::StoreError;
use crate::store::sled::{CopySum, SledStore, copy_head};
use crate::vault::{self, Vault};

/// Beside the store; gone after an orderly stop.
const FILE: &str = "operator";

/// What the handlers work with.
pub struct Door {
    secret: SecretString,
    store: SledStore,
    vault: Arc<Vault>,
    clock: Clock,
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
    store: SledStore,
    vault: Arc<Vault>,
    clock: Clock,
) -> Result<(web::Data<Door>, Notice), StartError> {
    let secret = SecretString::from(URL_SAFE_NO_PAD.encode(*vault::new_token()));
    let path = data.join(FILE);
    let text = format!("http://{} {}\n", super::local(addr), secret.expose_secret());
    put(&path, &text).map_err(|source| StartError::Door { path: path.clone(), source })?;
    Ok((web::Data::new(Door { secret, store, vault, clock }), Notice(path)))
}

/// In one go, so that nobody reads half of it.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&beside, path)
}

/// Registers its routes, for the admin listener.
pub fn configure(config: &mut ServiceConfig, door: &web::Data<Door>) {
    config.service(
        web::scope("/operator")
            .app_data(door.clone())
            .route("/erase", web::post().to(erase_number))
            .route("/backup", web::post().to(back_up)),
    );
}

/// What [`erase`] is asked for.
#[derive(Serialize, Deserialize)]
pub struct EraseRequest {
    /// E.164, or a number that only WhatsApp writes so.
    pub number: String,
    pub unreadable: Unreadable,
}

async fn erase_number(
    door: web::Data<Door>,
    request: HttpRequest,
    body: web::Json<EraseRequest>,
) -> HttpResponse {
    if !door.admits(&request) {
        return HttpResponse::Unauthorized().finish();
    }
    let Some(phone) = Phone::reported(&body.number) else {
        return HttpResponse::UnprocessableEntity().finish();
    };
    let number = door.vault.number_index(&phone);
    match erase(&door.store, &door.vault, &door.clock, number, body.unreadable).await {
        Ok(erased) => HttpResponse::Ok().json(erased),
        Err(error) => {
            tracing::error!(%error, "a number could not be erased");
            HttpResponse::ServiceUnavailable().body(error.to_string())
        }
    }
}

/// Every row, as of the moment at which the answer ends. One that breaks off has no end.
async fn back_up(door: web::Data<Door>, request: HttpRequest) -> HttpResponse {
    if !door.admits(&request) {
        return HttpResponse::Unauthorized().finish();
    }
    if let Err(error) = door.store.begin_copy().await {
        return HttpResponse::ServiceUnavailable().body(error.to_string());
    }
    let head = copy_head(door.vault.key_id(), door.clock.now());
    let start = Some((door, CopySum::default(), Some(head)));
    HttpResponse::Ok().content_type("application/octet-stream").streaming(unfold(start, |state| async move {
        let (door, mut sum, head) = state?;
        if let Some(head) = head {
            sum.add(&head);
            return Some((Ok(web::Bytes::from(head)), Some((door, sum, None))));
        }
        match door.store.copy_some().await {
            Ok(Some(copied)) => {
                sum.add(&copied.bytes);
                let mut bytes = copied.bytes;
                if copied.is_whole {
                    bytes.extend_from_slice(&sum.end());
                    return Some((Ok(web::Bytes::from(bytes)), None));
                }
                Some((Ok(web::Bytes::from(bytes)), Some((door, sum, None))))
            }
            Ok(None) => Some((Err(StoreError::Busy), None)),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

impl Door {
    fn admits(&self, request: &HttpRequest) -> bool {
        let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        given.as_bytes().ct_eq(self.secret.expose_secret().as_bytes()).into()
    }
}
