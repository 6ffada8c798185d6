//! The page of one verification: a summary, the timeline, a time bar, advice for the customer, and manual actions.

mod actions;
mod bar;
mod live;
mod parts;
mod rows;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, get, web};
use askama::Template;

use super::lookups::Lookup;
use super::words::case::Words;
use super::{Action, Console, CurrentUser, Frame, Refusal, Tab};
use crate::hex;
use crate::phone::Phone;
use crate::store::Snapshot;
use crate::vault::CannotOpen;
use crate::verification::Event;
use crate::verification::values::{Timestamp, VerificationId};
use parts::{PageState, Parts};

/// All routes of this page.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(page)
        .service(live::events)
        .service(actions::reveal)
        .service(actions::resend)
        .service(actions::next)
        .service(actions::cancel);
}

#[derive(Template)]
#[template(path = "detail.html")]
struct Page {
    frame: Frame,
    words: &'static Words,
    id: VerificationId,
    version: u32,
    /// Masked unless revealed.
    number: String,
    number_is_revealed: bool,
    note: Option<Notice>,
    parts: Parts,
    /// The person's conversation, for users who may read it.
    conversation: Option<String>,
    printed_at: Timestamp,
    is_live: bool,
}

/// The result of the last action.
struct Notice {
    class: &'static str,
    icon: &'static str,
    text: String,
}

impl Notice {
    fn done(words: &Words) -> Self {
        Self { class: "good", icon: "i-good", text: words.done.to_owned() }
    }

    fn not_done(words: &Words, why: &str) -> Self {
        Self { class: "bad", icon: "i-trouble", text: format!("{} {why}", words.not_done) }
    }
}

#[get("/verifications/{id}")]
pub async fn page(
    console: web::Data<Console>,
    request: HttpRequest,
    id: web::Path<String>,
    signed: CurrentUser,
) -> Result<HttpResponse, Refusal> {
    let detail = Detail::load(&console, &signed, &id).await?;
    console.record_lookup(&signed, Lookup::Verification(detail.snapshot.verification.id())).await?;
    let words = Words::of(signed.preferences.language);
    let was_done = request.query_string() == DONE;
    let note = was_done.then(|| Notice::done(words));
    detail.show(&console, &request, &signed, PageOptions { note, ..PageOptions::default() }, StatusCode::OK)
}

/// The page's query after an action succeeded.
const DONE: &str = "done";

/// A verification with all its events.
struct Detail {
    snapshot: Arc<Snapshot>,
    events: Vec<Event>,
}

/// Optional content of the page.
#[derive(Default)]
struct PageOptions {
    note: Option<Notice>,
    /// The full number.
    revealed: Option<Phone>,
    /// A refused reason, for editing.
    reason: String,
}

impl Detail {
    /// Also returns not found for verifications of apps that the user does not see.
    async fn load(console: &Console, signed: &CurrentUser, id: &str) -> Result<Self, Refusal> {
        let id: VerificationId = id.parse().map_err(|_| Refusal::NotFound)?;
        let snapshot = console.store.read(id).await?.ok_or(Refusal::NotFound)?;
        if !signed.sees(&snapshot.verification.request.app) {
            return Err(Refusal::NotFound);
        }
        Self::of(console, snapshot).await
    }

    async fn of(console: &Console, snapshot: Arc<Snapshot>) -> Result<Self, Refusal> {
        let mut events = console.store.timeline(snapshot.verification.id()).await?;
        // Later events belong to the next snapshot.
        events.truncate(snapshot.verification.version as usize);
        Ok(Self { snapshot, events })
    }

    /// `None` if it was erased.
    fn phone(&self, console: &Console) -> Result<Option<Phone>, Refusal> {
        let person = match console.vault.person(&self.snapshot.verification) {
            Ok(person) => person,
            Err(CannotOpen::Removed) => return Ok(None),
            Err(error @ CannotOpen::Damaged) => return Err(error.into()),
        };
        Phone::parse(&person.to).map(Some).map_err(|error| {
            tracing::error!(%error, "a stored phone number is invalid");
            Refusal::Internal
        })
    }

    fn show(
        &self,
        console: &Console,
        request: &HttpRequest,
        signed: &CurrentUser,
        shown: PageOptions,
        status: StatusCode,
    ) -> Result<HttpResponse, Refusal> {
        let words = Words::of(signed.preferences.language);
        let verification = &self.snapshot.verification;
        let masked = self.phone(console)?.map_or_else(|| words.removed.to_owned(), |phone| phone.masked());
        let (number, number_is_revealed) = match &shown.revealed {
            Some(phone) => (phone.as_e164().to_owned(), true),
            None => (masked.clone(), false),
        };
        let title = format!("{} {masked}", words.title);
        let frame = Frame::of(console, request, signed, Tab::Verifications, title);
        let conversation = signed
            .may(Action::ReadConversations)
            .then(|| format!("/console/conversations/{}", hex::encode(&verification.request.number.0)));
        let shown = Page {
            frame,
            words,
            id: verification.id(),
            version: verification.version,
            number,
            number_is_revealed,
            note: shown.note,
            parts: Parts::of(console, signed, self, PageState { rows: 0, reason: &shown.reason })?,
            conversation,
            printed_at: console.clock.now(),
            is_live: !number_is_revealed,
        };
        Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(shown.render()?))
    }
}
