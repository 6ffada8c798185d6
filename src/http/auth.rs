//! Authentication: `Authorization: Bearer KEY`.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use secrecy::ExposeSecret;
use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::Shared;
use super::error::{Code, Problem};
use crate::access::App;
use crate::vault::Vault;
use crate::verification::values::AppName;

/// The authenticated app. As a handler argument it rejects unauthenticated requests.
#[derive(Clone)]
pub struct Caller(pub AppName);

/// Keyed hashes of all API keys.
pub struct KeyRing(Vec<([u8; 16], AppName)>);

/// Longest accepted key; 32 random bytes take 64 characters at most.
const MAX_KEY_BYTES: usize = 512;

impl KeyRing {
    pub fn new(vault: &Vault, apps: &[App]) -> Self {
        let of_app = |app: &App| {
            let name = app.name.clone();
            let hashes: Vec<_> = app.api_keys.iter().map(|key| hash(vault, key.expose_secret())).collect();
            hashes.into_iter().map(move |hash| (hash, name.clone()))
        };
        Self(apps.iter().flat_map(of_app).collect())
    }

    /// Compares with every key, in constant time.
    fn owner(&self, vault: &Vault, key: &str) -> Option<&AppName> {
        let given = hash(vault, key);
        let mut found = u64::MAX;
        for (index, (known, _)) in (0_u64..).zip(&self.0) {
            found.conditional_assign(&index, known.ct_eq(&given));
        }
        usize::try_from(found).ok().and_then(|index| self.0.get(index)).map(|(_, app)| app)
    }
}

fn hash(vault: &Vault, key: &str) -> [u8; 16] {
    vault.fingerprint("api key", key.as_bytes())
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(authenticate(request).ok_or_else(|| {
            Problem::new(Code::Unauthorized, "the API key is missing, wrong, or given more than once")
        }))
    }
}

fn authenticate(request: &HttpRequest) -> Option<Caller> {
    let shared = request.app_data::<web::Data<Shared>>()?;
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() || key.len() > MAX_KEY_BYTES {
        return None;
    }
    let app = shared.keys.now().owner(&shared.vault, key).cloned()?;
    request.extensions_mut().insert(app.clone());
    Some(Caller(app))
}
