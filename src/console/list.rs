//! The list of verifications, newest first: filters in the address, pages by key, a pill for what is new, and CSV.

mod csv;
mod filters;
mod live;
mod row;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use askama::Template;

use super::posted::Posted;
use super::search;
use super::words::list::Words;
use super::{Action, Console, Frame, Place, Refusal, Signed};

pub use csv::download;
pub use filters::{Filters, encoded, number_index};
pub use live::follow;
pub use row::{Row, reference};

/// Rows of a page.
pub const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "list.html")]
struct Page {
    frame: Frame,
    words: &'static Words,
    filters: Filters,
    form: filters::Form,
    chips: Vec<filters::Chip>,
    rows: Vec<Row>,
    /// Where a page that is not the first goes back to.
    newest: Option<String>,
    /// Where the next page is, and whether this one ended for want of time and not of rows.
    older: Option<Older>,
    live: Option<String>,
    exports: bool,
    /// Who may search by number has a field for one.
    may_search: bool,
}

struct Older {
    url: String,
    /// Less than a page was found so far; the rest is further back.
    searched_back_to: Option<crate::verification::values::Timestamp>,
}

#[get("")]
pub async fn page(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: Signed,
) -> Result<HttpResponse, Refusal> {
    let query = filters::pairs(request.query_string())?;
    let filters = Filters::read(&query, &signed.look, &console.vault);
    if !filters.is_canonical(&query) {
        // So that the address means the same to everybody: without empty fields, times with their zone.
        let place = format!("/console{}", filters.query());
        return Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, place)).finish());
    }
    show(&console, &request, &signed, filters).await
}

/// What the form was filled with, as an address that can be shared. It is posted, so that a number that somebody types
/// never stands in an address.
#[post("/filters")]
pub async fn filter(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: Signed,
    posted: Posted,
) -> Result<HttpResponse, Refusal> {
    let mut filters = Filters::read(&posted.pairs(), &signed.look, &console.vault);
    let who = posted.text("who").trim();
    if !who.is_empty() {
        signed.require(Action::SearchByNumber)?;
        match search::who(&console, &signed, who).await? {
            Some(search::Who::Number(index)) => (filters.number, filters.tail) = (Some(index), None),
            Some(search::Who::Tail(tail)) => (filters.number, filters.tail) = (None, Some(tail)),
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
    signed: &Signed,
    filters: Filters,
) -> Result<HttpResponse, Refusal> {
    for lookup in filters.lookups() {
        console.looked_up(signed, lookup).await?;
    }
    let words = Words::of(signed.look.language);
    let found = console.store.list(filters.of_store(signed), ROWS, filters.before).await?;
    let rows: Vec<_> = found.items.iter().map(|snapshot| Row::new(console, words, snapshot)).collect();
    let newest_known = found.items.first().map(|snapshot| snapshot.verification.id());
    let older = found.next.map(|next| Older {
        url: format!("/console{}", filters.before(Some(next)).query()),
        searched_back_to: (found.items.len() < ROWS).then(|| next.created_at()),
    });
    let shown = Page {
        frame: Frame::of(console, request, signed, Place::Verifications, words.title),
        words,
        form: filters.form(console, signed, words),
        chips: filters.chips(&signed.look, words),
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
