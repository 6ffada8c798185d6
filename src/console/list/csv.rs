//! The list as CSV: streamed, numbers masked, and nothing in it that a spreadsheet would take for a formula.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use futures_util::stream::unfold;

use super::super::{Action, Console, Refusal, Signed};
use super::filters::{Filters, pairs};
use super::row::{self, shown};
use crate::console::words::list::Words;
use crate::store::{self, AuditAction, Snapshot};
use crate::verification::values::VerificationId;

/// Verifications that are read at once.
const CHUNK: usize = 200;
const HEAD: [&str; 14] = [
    "id",
    "created_at",
    "number",
    "country",
    "app",
    "profile",
    "status",
    "delivery",
    "channel",
    "delivered_by",
    "fallbacks",
    "errors",
    "wrong_codes",
    "client_ref",
];

/// A byte order mark, by which Excel knows UTF-8.
const MARK: &str = "\u{feff}";

#[get("/verifications.csv")]
pub async fn download(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: Signed,
) -> Result<HttpResponse, Refusal> {
    signed.require(Action::ExportList)?;
    let query = pairs(request.query_string())?;
    let filters = Filters::read(&query, &signed.look);
    if !filters.unreadable.is_empty() {
        return Err(Refusal::BadRequest);
    }
    let asked = |name: &str| query.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value);
    let separator = match asked("separator") {
        "" | "comma" => b',',
        "semicolon" => b';',
        _ => return Err(Refusal::BadRequest),
    };
    console.record(&signed, AuditAction::ExportedList, Some(filters.query())).await?;
    let mark = if asked("mark") == "yes" { MARK } else { "" };
    let head = format!("{mark}{}", line(separator, HEAD.map(str::to_owned).as_slice()));
    let words = Words::of(signed.look.language);
    let filter = filters.of_store(&signed);
    let export = Export { filter, console, words, separator, place: Place::Head(head) };
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"verifications.csv\""))
        .streaming(unfold(export, |mut export| async move {
            let chunk = export.next().await?;
            Some((chunk, export))
        })))
}

struct Export {
    console: web::Data<Console>,
    words: &'static Words,
    filter: store::Filter,
    separator: u8,
    place: Place,
}

enum Place {
    Head(String),
    Rows(Option<VerificationId>),
    End,
}

impl Export {
    /// An error breaks the connection off, so that nobody takes a part for the whole.
    async fn next(&mut self) -> Option<Result<web::Bytes, Refusal>> {
        match std::mem::replace(&mut self.place, Place::End) {
            Place::End => None,
            Place::Head(head) => {
                self.place = Place::Rows(None);
                Some(Ok(web::Bytes::from(head)))
            }
            Place::Rows(before) => {
                let page = match self.console.store.list(self.filter.clone(), CHUNK, before).await {
                    Ok(page) => page,
                    Err(error) => return Some(Err(error.into())),
                };
                if let Some(next) = page.next {
                    self.place = Place::Rows(Some(next));
                }
                let lines = page.items.iter().map(|snapshot| self.line(snapshot));
                Some(Ok(web::Bytes::from(lines.collect::<String>())))
            }
        }
    }

    fn line(&self, snapshot: &Snapshot) -> String {
        let verification = &snapshot.verification;
        let request = &verification.request;
        let (delivery, channel) = snapshot.delivery();
        let name = |channel: Option<&crate::verification::values::ChannelName>| {
            channel.map(ToString::to_string).unwrap_or_default()
        };
        let fallbacks: Vec<_> = verification.fallbacks.iter().map(|reason| reason.as_str()).collect();
        line(
            self.separator,
            &[
                request.id.to_string(),
                verification.created_at.to_string(),
                row::number(&self.console, self.words, snapshot),
                request.country.clone().unwrap_or_default(),
                request.app.to_string(),
                snapshot.policy.profile.clone(),
                verification.status().as_str().to_owned(),
                delivery.as_str().to_owned(),
                name(channel),
                name(verification.delivered_by.as_ref()),
                fallbacks.join(" "),
                verification.errors.join(" "),
                verification.failed_checks.to_string(),
                request
                    .client_ref
                    .as_deref()
                    .filter(|_| !verification.erased)
                    .map(|text| shown(text, 128))
                    .unwrap_or_default(),
            ],
        )
    }
}

/// RFC 4180, each cell harmless.
fn line(separator: u8, cells: &[String]) -> String {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(separator)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    // Writing to memory cannot fail; a line less would be noticed, a panic would be worse.
    let written = writer.write_record(cells.iter().map(|cell| harmless(cell)));
    let bytes = written.ok().and_then(|()| writer.into_inner().ok()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// A cell that begins like a formula gets an apostrophe in front, which spreadsheets take for "text" (OWASP, "CSV
/// Injection").
fn harmless(cell: &str) -> String {
    let risky = |letter: char| {
        matches!(letter, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠' | '|' | '%')
    };
    let begins = cell.trim_start().chars().next().is_some_and(risky) || cell.starts_with(risky);
    if begins { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_like_a_formula_and_none_breaks_its_line() {
        for formula in
            ["=1+1", "+49 151", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "|cmd", "%0A"]
        {
            assert!(harmless(formula).starts_with('\''), "{formula:?}");
        }
        for harmless_text in ["order-17", "a=b", "", "49 151"] {
            assert_eq!(harmless(harmless_text), harmless_text);
        }
        let cells = ["a;b".to_owned(), "c,d".to_owned(), "say \"hi\"\r\n=x".to_owned(), String::new()];
        assert_eq!(line(b';', &cells), "\"a;b\";c,d;\"say \"\"hi\"\"\r\n=x\";\r\n");
        assert_eq!(line(b',', &cells), "a;b,\"c,d\",\"say \"\"hi\"\"\r\n=x\",\r\n");
    }
}
