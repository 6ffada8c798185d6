//! Why a page was not given, and the page that says so.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError, web};
use askama::Template;
use std::time::Duration;

use super::frame::{Frame, Place};
use super::look::Look;
use super::words::refusal::Words;
use super::{Console, Signed, sign_in};
use crate::store::StoreError;
use crate::vault::{CannotOpen, CannotSeal};

/// Becomes a page in the reader's language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Also what another app's verification is.
    #[error("there is nothing here")]
    NotFound,
    #[error("the role does not allow it")]
    Forbidden,
    #[error("nobody is signed in")]
    SignInFirst,
    #[error("no user is configured")]
    NoUsers,
    /// The form's token is missing, or of another session.
    #[error("the form is not of this session")]
    StaleForm,
    /// Another site sent it.
    #[error("the request comes from another site")]
    ForeignOrigin,
    /// A form or a query that no page of ours makes.
    #[error("the request cannot be read")]
    BadRequest,
    #[error("too large")]
    TooLarge,
    #[error("the method is not taken here")]
    MethodNotAllowed,
    #[error("too many requests; next in {0:?}")]
    Busy(Duration),
    /// More numbers, or more verifications, than a person looks up.
    #[error("too many look-ups; next in {0:?}")]
    TooManyLookups(Duration),
    #[error("the store is closed")]
    Stopping,
    #[error("no room on the disk")]
    Full,
    /// A record that cannot be read, or a page that cannot be made. It has been logged.
    #[error("internal")]
    Internal,
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy(Duration::from_secs(1)),
            StoreError::Full => Self::Full,
            StoreError::Closed => Self::Stopping,
            StoreError::TooLarge => Self::TooLarge,
            StoreError::Damaged { key, reason } => {
                tracing::error!(key, reason, "a record is damaged");
                Self::Internal
            }
        }
    }
}

impl From<CannotOpen> for Refusal {
    fn from(error: CannotOpen) -> Self {
        tracing::error!(%error, "a record cannot be opened");
        Self::Internal
    }
}

impl From<CannotSeal> for Refusal {
    fn from(error: CannotSeal) -> Self {
        tracing::error!(%error, "nothing can be sealed");
        Self::Full
    }
}

impl From<askama::Error> for Refusal {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "a page cannot be made");
        Self::Internal
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::StaleForm | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::SignInFirst => StatusCode::UNAUTHORIZED,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyLookups(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoUsers | Self::Busy(_) | Self::Stopping | Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Replaced by a page in `guard`.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct Page<'a> {
    frame: Frame,
    words: &'static Words,
    title: &'static str,
    text: &'static str,
    details: &'a [(&'static str, String)],
}

/// The page that replaces the requested one.
pub fn page(console: &Console, request: &HttpRequest, refusal: &Refusal) -> HttpResponse {
    if *refusal == Refusal::SignInFirst && wants_page(request) {
        return sign_in::redirect(request);
    }
    let signed = Signed::of(console, request.headers(), super::signed::Touch::Leave);
    let look = match &signed {
        Some(signed) => signed.look.clone(),
        None => Look::of(console, request.headers(), None),
    };
    let words = Words::of(look.language);
    let (title, text) = (words.title(refusal), words.text(refusal));
    let details = match refusal {
        Refusal::NoUsers => vec![
            (words.make_hash, "twotick user hash".to_owned()),
            (
                words.enter_user,
                "[[console.users]]\nname = \"ada\"\nrole = \"operator\"\npassword_hash = \"$argon2id$…\""
                    .to_owned(),
            ),
            (words.restart, "twotick config check".to_owned()),
        ],
        _other => Vec::new(),
    };
    let frame = Frame::new(console, request, signed.as_ref(), look, Place::Elsewhere, title);
    let body = Page { frame, words, title, text, details: &details }.render();
    let mut response = HttpResponseBuilder::new(refusal.status_code());
    if let Refusal::Busy(wait) | Refusal::TooManyLookups(wait) = refusal {
        response.insert_header((header::RETRY_AFTER, wait.as_secs().max(1)));
    }
    match body {
        Ok(body) => response.content_type("text/html; charset=utf-8").body(body),
        Err(error) => {
            tracing::error!(%error, "the error page cannot be made");
            response.finish()
        }
    }
}

/// Somebody navigates; not a script that asks for a piece.
fn wants_page(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    request.method().is_safe() && accept.is_some_and(|accept| accept.contains("text/html"))
}

pub async fn unrouted(console: web::Data<Console>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    if console.users.now().is_empty() {
        return Err(Refusal::NoUsers);
    }
    // Who is not signed in does not learn which pages there are.
    let signed = Signed::of(&console, request.headers(), super::signed::Touch::Leave);
    Err(match signed {
        None => Refusal::SignInFirst,
        Some(_) if request.match_pattern().is_some() => Refusal::MethodNotAllowed,
        Some(_) => Refusal::NotFound,
    })
}
