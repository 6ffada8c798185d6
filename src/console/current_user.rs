//! The signed-in user of a request.

use std::collections::BTreeSet;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpRequest, web};

use super::preferences::Preferences;
use super::sessions::{Token, TokenHash};
use super::{Action, Console, Refusal, cookies};
use crate::access::Role;
use crate::hex;
use crate::vault::Vault;
use crate::verification::values::{AppName, UserName};

/// A signed-in user. A handler with this parameter requires sign-in.
#[derive(Clone, Debug)]
pub struct CurrentUser {
    pub name: UserName,
    pub role: Role,
    /// The only apps whose verifications the user sees; `None` for all.
    pub apps: Option<BTreeSet<AppName>>,
    pub preferences: Preferences,
    /// The CSRF token of every form in this session.
    pub csrf: String,
    session: TokenHash,
}

/// Like [`CurrentUser`], for automatic requests (streams, the health strip), which do not extend the session.
#[derive(Clone, Debug)]
pub struct BackgroundUser(pub CurrentUser);

/// Whether a request extends its session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    Extend,
    Passive,
}

impl CurrentUser {
    pub fn of(console: &Console, headers: &HeaderMap, touch: Touch) -> Option<Self> {
        let token = Token::parse(cookies::read(console, headers, cookies::SESSION)?)?;
        let (session, now) = (token.hash(), console.clock.now());
        let name = match touch {
            Touch::Extend => console.sessions.used(session, now),
            Touch::Passive => console.sessions.seen(session, now),
        }?;
        let users = console.users.now();
        let user = users.iter().find(|user| user.name == name)?;
        Some(Self {
            name,
            role: user.role,
            apps: user.apps.clone(),
            preferences: Preferences::of(console, headers, Some(user)),
            csrf: csrf(&console.vault, &token),
            session,
        })
    }

    pub fn may(&self, action: Action) -> bool {
        self.role.may(action)
    }

    /// Returns a refusal unless the role permits `action`.
    pub fn require(&self, action: Action) -> Result<(), Refusal> {
        if self.may(action) { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// Whether the user may see verifications of `app`.
    pub fn sees(&self, app: &AppName) -> bool {
        self.apps.as_ref().is_none_or(|apps| apps.contains(app))
    }

    /// Whether the session is still open; streams check this regularly.
    pub fn is_still_signed_in(&self, console: &Console) -> bool {
        console.sessions.seen(self.session, console.clock.now()).is_some()
    }

    pub fn session(&self) -> TokenHash {
        self.session
    }
}

/// The CSRF token: a keyed hash of the session or visit token.
pub fn csrf(vault: &Vault, token: &Token) -> String {
    hex::encode(&vault.fingerprint("console form", token.bytes()))
}

fn extract(request: &HttpRequest, touch: Touch) -> Result<CurrentUser, Refusal> {
    let console = request.app_data::<web::Data<Console>>().ok_or(Refusal::Internal)?;
    if console.users.now().is_empty() {
        return Err(Refusal::NoUsers);
    }
    CurrentUser::of(console, request.headers(), touch).ok_or(Refusal::SignInFirst)
}

impl FromRequest for CurrentUser {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(extract(request, Touch::Extend))
    }
}

impl FromRequest for BackgroundUser {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(extract(request, Touch::Passive).map(BackgroundUser))
    }
}
