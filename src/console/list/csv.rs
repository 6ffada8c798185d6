//! CSV export of the list: streamed, with masked numbers, and safe from formula injection.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, rt, web};
use futures_util::stream::unfold;

use super::super::{Action, Console, CurrentUser, Refusal};
use super::filters::{Filters, pairs};
use super::row;
use crate::console::words::list::Words;
use crate::store::{self, AuditAction, Snapshot};
use crate::verification::values::{UserName, VerificationId};

/// Verifications per store query.
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

/// The byte order mark that makes Excel decode UTF-8.
const MARK: &str = "\u{feff}";

#[get("/verifications.csv")]
pub async fn download(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: CurrentUser,
) -> Result<HttpResponse, Refusal> {
    signed.require(Action::ExportList)?;
    let query = pairs(request.query_string())?;
    let filters = Filters::read(&query, &signed.preferences, &console.vault);
    if !filters.unreadable.is_empty() {
        return Err(Refusal::BadRequest);
    }
    let asked = |name: &str| query.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value);
    let separator = match asked("separator") {
        "" | "comma" => b',',
        "semicolon" => b';',
        _ => return Err(Refusal::BadRequest),
    };
    for lookup in filters.lookups() {
        console.record_lookup(&signed, lookup).await?;
    }
    let filter = filters.of_store(&signed);
    let first = console.store.list(filter.clone(), CHUNK, None).await?;
    let asked_for = filters.for_audit(&console.vault);
    // A short list is complete here. For a longer one, a second entry records the final number of rows.
    let audit = match first.next {
        None => {
            let detail = format!("{asked_for} rows={}", first.items.len());
            console.record(&signed, AuditAction::ExportedList, Some(detail)).await?;
            None
        }
        Some(_) => {
            let detail = format!("{asked_for} rows>={}", first.items.len());
            console.record(&signed, AuditAction::ExportedList, Some(detail)).await?;
            Some(ExportAudit {
                console: console.clone(),
                by: signed.name.clone(),
                asked_for,
                rows: 0,
                is_whole: false,
            })
        }
    };
    let mark = if asked("mark") == "yes" { MARK } else { "" };
    let head = format!("{mark}{}", line(separator, HEAD.map(str::to_owned).as_slice()));
    let words = Words::of(signed.preferences.language);
    let export = CsvStream { filter, console, words, separator, place: NextPart::Head(head, first), audit };
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"verifications.csv\""))
        .streaming(unfold(export, |mut export| async move {
            let chunk = export.next().await?;
            Some((chunk, export))
        })))
}

struct CsvStream {
    console: web::Data<Console>,
    words: &'static Words,
    filter: store::Filter,
    separator: u8,
    place: NextPart,
    /// Set if the list continues after the first chunk.
    audit: Option<ExportAudit>,
}

enum NextPart {
    Head(String, ListPage),
    Rows(VerificationId),
    End,
}

type ListPage = store::Page<Arc<Snapshot>, VerificationId>;

/// Records the number of exported rows in the audit log when dropped, also if the download is aborted.
struct ExportAudit {
    console: web::Data<Console>,
    by: UserName,
    asked_for: String,
    rows: usize,
    is_whole: bool,
}

impl Drop for ExportAudit {
    fn drop(&mut self) {
        let end = if self.is_whole { "" } else { ", aborted" };
        let detail = format!("{} rows={}{end}", self.asked_for, self.rows);
        let (console, by) = (self.console.clone(), self.by.clone());
        rt::spawn(async move {
            if console.record_by(by, AuditAction::ExportedList, Some(detail)).await.is_err() {
                tracing::error!("the audit log could not be written at the end of an export");
            }
        });
    }
}

impl CsvStream {
    /// An error aborts the connection, so that a partial file is not mistaken for a complete one.
    async fn next(&mut self) -> Option<Result<web::Bytes, Refusal>> {
        match std::mem::replace(&mut self.place, NextPart::End) {
            NextPart::End => None,
            NextPart::Head(head, first) => Some(Ok(self.lines(head, &first))),
            NextPart::Rows(before) => {
                match self.console.store.list(self.filter.clone(), CHUNK, Some(before)).await {
                    Ok(page) => Some(Ok(self.lines(String::new(), &page))),
                    Err(error) => Some(Err(error.into())),
                }
            }
        }
    }

    fn lines(&mut self, mut text: String, page: &ListPage) -> web::Bytes {
        page.items.iter().for_each(|snapshot| text.push_str(&self.line(snapshot)));
        if let Some(audit) = &mut self.audit {
            audit.rows += page.items.len();
            audit.is_whole = page.next.is_none();
        }
        if let Some(next) = page.next {
            self.place = NextPart::Rows(next);
        }
        web::Bytes::from(text)
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
                row::reference(&self.console, snapshot, 128),
            ],
        )
    }
}

/// An RFC 4180 line with safe cells.
fn line(separator: u8, cells: &[String]) -> String {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(separator)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    // Writing to memory cannot fail; a missing line is better than a panic.
    let written = writer.write_record(cells.iter().map(|cell| harmless(cell)));
    let bytes = written.ok().and_then(|()| writer.into_inner().ok()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Prefixes a formula with an apostrophe, which spreadsheets take for "text" (OWASP, "CSV Injection"). As a spreadsheet
/// may use other separators than ours, text after any common separator is treated as a cell start, ignoring quotes and
/// spaces.
fn harmless(cell: &str) -> String {
    let mut out = String::with_capacity(cell.len() + 1);
    if cell.starts_with(is_risky) || cell.trim_start().starts_with(is_risky) {
        out.push('\'');
    }
    let mut is_start = false;
    for letter in cell.chars() {
        if is_start && is_risky(letter) {
            out.push('\'');
        }
        out.push(letter);
        is_start = separates(letter) || is_start && (letter.is_whitespace() || is_quote(letter));
    }
    out
}

fn is_risky(letter: char) -> bool {
    matches!(
        letter,
        '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠' | '|' | '%' | '\u{2212}'
    )
}

/// Cell separators in any spreadsheet and locale.
fn separates(letter: char) -> bool {
    matches!(
        letter,
        ',' | ';' | '\t' | '|' | ':' | '\r' | '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '“' | '”' | '„')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_never_start_a_formula_or_break_the_line() {
        for formula in
            ["=1+1", "+49 151", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "|cmd", "%0A"]
        {
            assert!(harmless(formula).starts_with('\''), "{formula:?}");
        }
        for harmless_text in ["order-17", "a=b", "", "49 151"] {
            assert_eq!(harmless(harmless_text), harmless_text);
        }
        for (cell, written) in [
            ("order;=1+1", "order;'=1+1"),
            ("order,+49", "order,'+49"),
            ("order\t@SUM(A1)", "order\t'@SUM(A1)"),
            ("a|-2", "a|'-2"),
            ("a; \"=1", "a; \"'=1"),
            ("a\";\"=1", "a\";\"'=1"),
            ("a;;=1", "a;;'=1"),
            ("a\r=1", "a\r'=1"),
            ("a;b=1", "a;b=1"),
        ] {
            assert_eq!(harmless(cell), written);
        }
        let cells = ["a;b".to_owned(), "c,d".to_owned(), "say \"hi\"\r\n=x".to_owned(), String::new()];
        assert_eq!(line(b';', &cells), "\"a;b\";c,d;\"say \"\"hi\"\"\r'\n'=x\";\r\n");
        assert_eq!(line(b',', &cells), "a;b,\"c,d\",\"say \"\"hi\"\"\r'\n'=x\",\r\n");
    }
}
