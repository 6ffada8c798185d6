//! Refusals and their error page.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError, web};
use askama::Template;
use std::time::Duration;

use super::frame::{Frame, Tab};
use super::preferences::Preferences;
use super::words::refusal::Words;
use super::{Console, CurrentUser, sign_in};
use crate::store::StoreError;
use crate::vault::{CannotOpen, CannotSeal};

/// A refused request; rendered as a page in the user's language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Includes verifications of other apps.
    #[error("not found")]
    NotFound,
    #[error("the role does not permit this")]
    Forbidden,
    #[error("not signed in")]
    SignInFirst,
    #[error("no user is configured")]
    NoUsers,
    /// The form's token is missing or belongs to another session.
    #[error("the form belongs to another session")]
    StaleForm,
    /// The request was sent by another site.
    #[error("the request comes from another site")]
    ForeignOrigin,
    /// A form or query that none of our pages creates.
    #[error("the request is malformed")]
    BadRequest,
    #[error("too large")]
    TooLarge,
    #[error("method not allowed")]
    MethodNotAllowed,
    #[error("too many requests; retry after {0:?}")]
    Busy(Duration),
    /// More searches or opened verifications than a person needs.
    #[error("too many preferences-ups; retry after {0:?}")]
    TooManyLookups(Duration),
    #[error("the store is closed")]
    Stopping,
    #[error("the disk is full")]
    Full,
    /// An unreadable record or a failed rendering. Already logged.
    #[error("internal error")]
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
        tracing::error!(%error, "data could not be sealed");
        Self::Full
    }
}

impl From<askama::Error> for Refusal {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "a page could not be rendered");
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

    /// `guard` replaces this by a page.
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
    let signed = CurrentUser::of(console, request.headers(), super::current_user::Touch::Passive);
    let preferences = match &signed {
        Some(signed) => signed.preferences.clone(),
        None => Preferences::of(console, request.headers(), None),
    };
    let words = Words::of(preferences.language);
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
    let frame = Frame::new(console, request, signed.as_ref(), preferences, Tab::None, title);
    let body = Page { frame, words, title, text, details: &details }.render();
    let mut response = HttpResponseBuilder::new(refusal.status_code());
    if let Refusal::Busy(wait) | Refusal::TooManyLookups(wait) = refusal {
        response.insert_header((header::RETRY_AFTER, wait.as_secs().max(1)));
    }
    match body {
        Ok(body) => response.content_type("text/html; charset=utf-8").body(body),
        Err(error) => {
            tracing::error!(%error, "the error page could not be rendered");
            response.finish()
        }
    }
}

/// Whether the request is a navigation rather than a script's request.
fn wants_page(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    request.method().is_safe() && accept.is_some_and(|accept| accept.contains("text/html"))
}

pub async fn unrouted(console: web::Data<Console>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    if console.users.now().is_empty() {
        return Err(Refusal::NoUsers);
    }
    // Without a session, the response must not reveal which pages exist.
    let signed = CurrentUser::of(&console, request.headers(), super::current_user::Touch::Passive);
    Err(match signed {
        None => Refusal::SignInFirst,
        Some(_) if request.match_pattern().is_some() => Refusal::MethodNotAllowed,
        Some(_) => Refusal::NotFound,
    })
}
