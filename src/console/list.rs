//! The list of verifications, newest first: filters in the URL, keyset pagination, a notice of new ones, and CSV
//! export.

mod csv;
mod filters;
mod live;
mod row;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use askama::Template;

use super::posted::PostedForm;
use super::search;
use super::words::list::Words;
use super::{Action, Console, CurrentUser, Frame, Refusal, Tab};

pub use csv::download;
pub use filters::{Filters, encoded, number_index};
pub use live::follow;
pub use row::{Row, reference};

/// Rows per page.
pub const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "list.html")]
struct Page {
    frame: Frame,
    words: &'static Words,
    filters: Filters,
    form: filters::FilterForm,
    chips: Vec<filters::Chip>,
    rows: Vec<Row>,
    /// The link to the first page, on later ones.
    newest: Option<String>,
    /// The link to the next page.
    older: Option<Older>,
    live: Option<String>,
    exports: bool,
    /// Shows the field for a number.
    may_search: bool,
}

struct Older {
    url: String,
    /// Set if the search ran out of time before it filled the page.
    searched_back_to: Option<crate::verification::values::Timestamp>,
}

#[get("")]
pub async fn page(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: CurrentUser,
) -> Result<HttpResponse, Refusal> {
    let query = filters::pairs(request.query_string())?;
    let filters = Filters::read(&query, &signed.preferences, &console.vault);
    if !filters.is_canonical(&query) {
        // Redirects to the canonical URL, without empty fields and with zoned times, so that it can be shared.
        let place = format!("/console{}", filters.query());
        return Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, place)).finish());
    }
    show(&console, &request, &signed, filters).await
}

/// Redirects a submitted filter form to a URL that can be shared. The form is posted, so that a typed number never
/// appears in a URL.
#[post("/filters")]
pub async fn filter(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: CurrentUser,
    posted: PostedForm,
) -> Result<HttpResponse, Refusal> {
    let mut filters = Filters::read(&posted.pairs(), &signed.preferences, &console.vault);
    let who = posted.text("who").trim();
    if !who.is_empty() {
        signed.require(Action::SearchByNumber)?;
        match search::number_filter(&console, &signed, who).await? {
            Some(search::NumberFilter::Number(index)) => (filters.number, filters.tail) = (Some(index), None),
            Some(search::NumberFilter::Tail(tail)) => (filters.number, filters.tail) = (None, Some(tail)),
            None => filters.unreadable.push("number"),
        }
    }
    if filters.unreadable.is_empty() {
        let place = format!("/console{}", filters.query());
        return Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, place)).finish());
    }
    show(&console, &request, &signed, filters).await
}

async fn show(
    console: &Console,
    request: &HttpRequest,
    signed: &CurrentUser,
    filters: Filters,
) -> Result<HttpResponse, Refusal> {
    for lookup in filters.lookups() {
        console.record_lookup(signed, lookup).await?;
    }
    let words = Words::of(signed.preferences.language);
    let found = console.store.list(filters.of_store(signed), ROWS, filters.before).await?;
    let rows: Vec<_> = found.items.iter().map(|snapshot| Row::new(console, words, snapshot)).collect();
    let newest_known = found.items.first().map(|snapshot| snapshot.verification.id());
    let older = found.next.map(|next| Older {
        url: format!("/console{}", filters.before(Some(next)).query()),
        searched_back_to: (found.items.len() < ROWS).then(|| next.created_at()),
    });
    let shown = Page {
        frame: Frame::of(console, request, signed, Tab::Verifications, words.title),
        words,
        form: filters.form(console, signed, words),
        chips: filters.chips(&signed.preferences, words),
        rows,
        newest: filters.before.map(|_| format!("/console{}", filters.before(None).query())),
        older,
        live: filters.is_live().then(|| live::url(&filters, newest_known)),
        exports: signed.may(Action::ExportList),
        may_search: signed.may(Action::SearchByNumber),
        filters,
    };
    super::page(&shown)
}
