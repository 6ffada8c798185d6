//! The audit log page and its download: a hash chain of staff actions.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use askama::Template;
use futures_util::stream::unfold;
use serde::Serialize;

use super::plain::plain;
use super::words::audit::Words;
use super::{Action, Console, CurrentUser, Frame, Refusal, Tab};
use crate::hex;
use crate::store::{AuditAction, AuditRecord, StoreError};
use crate::vault::CannotOpen;
use crate::verification::values::{Timestamp, UserName, VerificationId};

const ENTRIES_PER_PAGE: usize = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    frame: Frame,
    words: &'static Words,
    rows: Vec<AuditRow>,
    is_further: bool,
    is_bound: bool,
    next: Option<u64>,
}

struct AuditRow {
    seq: u64,
    at: Timestamp,
    by: UserName,
    action: &'static str,
    verification: Option<VerificationId>,
    reason: Option<String>,
    detail: Option<String>,
    hash: String,
}

#[get("/audit")]
pub async fn page(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: CurrentUser,
) -> Result<HttpResponse, Refusal> {
    signed.require(Action::ReadAudit)?;
    let before = before(request.query_string())?;
    let kept = console.store.audit(ENTRIES_PER_PAGE, before).await?;
    let words = Words::of(signed.preferences.language);
    let mut rows = Vec::new();
    for record in kept.items {
        if let Some(visible) = VisibleEntry::of(&console, &signed, record).await? {
            rows.push(AuditRow::of(words, visible));
        }
    }
    super::page(&Page {
        frame: Frame::of(&console, &request, &signed, Tab::Audit, words.title),
        words,
        rows,
        is_bound: signed.apps.is_some(),
        is_further: before.is_some(),
        next: kept.next,
    })
}

/// Downloads the complete log as NDJSON, newest first. The first line records the download itself.
#[get("/audit.ndjson")]
pub async fn download(console: web::Data<Console>, signed: CurrentUser) -> Result<HttpResponse, Refusal> {
    signed.require(Action::ReadAudit)?;
    let newest = console.store.audit(1, None).await?.items.first().map_or(0, |record| record.seq);
    console.record(&signed, AuditAction::ExportedAudit, Some(format!("up to no. {newest}"))).await?;
    let name = format!("attachment; filename=\"twotick-audit-{}.ndjson\"", day(console.clock.now()));
    let start = Some((console, signed, None));
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, name))
        .streaming(unfold(start, |state| async move {
            let (console, signed, before) = state?;
            match lines(&console, &signed, before).await {
                Ok((text, next)) => Some((Ok(text), next.map(|next| (console, signed, Some(next))))),
                // An aborted download cannot be mistaken for a complete one.
                Err(error) => Some((Err(error), None)),
            }
        })))
}

/// Parses `before=` with a number, or an empty query.
fn before(query: &str) -> Result<Option<u64>, Refusal> {
    if query.is_empty() {
        return Ok(None);
    }
    query.strip_prefix("before=").and_then(|seq| seq.parse().ok()).map(Some).ok_or(Refusal::BadRequest)
}

async fn lines(
    console: &Console,
    signed: &CurrentUser,
    before: Option<u64>,
) -> Result<(web::Bytes, Option<u64>), StoreError> {
    let kept = console.store.audit(ENTRIES_PER_PAGE, before).await?;
    let mut text = String::new();
    for record in kept.items {
        let Some(visible) = VisibleEntry::of(console, signed, record).await? else { continue };
        // Strings and numbers always serialize.
        text.push_str(&serde_json::to_string(&ExportedEntry::of(&visible)).unwrap_or_default());
        text.push('\n');
    }
    Ok((web::Bytes::from(text), kept.next))
}

/// An entry visible to the user, with its opened reason.
struct VisibleEntry {
    record: AuditRecord,
    reason: Option<Result<String, CannotOpen>>,
}

impl VisibleEntry {
    /// Users restricted to apps see entries about their apps' verifications, and their own entries. The reason on an
    /// erased person is hidden even if its key still exists.
    async fn of(
        console: &Console,
        signed: &CurrentUser,
        record: AuditRecord,
    ) -> Result<Option<Self>, StoreError> {
        let entry = &record.entry;
        let is_asked = entry.reason.is_some() || signed.apps.is_some();
        let snapshot = match entry.verification.filter(|_| is_asked) {
            Some(id) => console.store.read(id).await?,
            None => None,
        };
        let of_app = snapshot.as_ref().map(|snapshot| signed.sees(&snapshot.verification.request.app));
        let is_own = entry.verification.is_none() && entry.by == signed.name;
        if signed.apps.is_some() && !of_app.unwrap_or(is_own) {
            return Ok(None);
        }
        let is_kept = snapshot.is_some_and(|snapshot| !snapshot.verification.erased);
        let reason = entry.verification.zip(entry.reason.as_ref()).map(|(id, reason)| match is_kept {
            true => console.vault.open_reason(id, reason),
            false => Err(CannotOpen::Removed),
        });
        Ok(Some(Self { record, reason }))
    }
}

#[derive(Serialize)]
struct ExportedEntry<'a> {
    seq: u64,
    at: String,
    by: &'a UserName,
    action: &'static str,
    verification: Option<VerificationId>,
    reason: Option<String>,
    detail: Option<&'a str>,
    /// Hexadecimal SHA-256 over the previous entry's hash, the sequence number and the stored bytes.
    hash: String,
}

impl<'a> ExportedEntry<'a> {
    fn of(visible: &'a VisibleEntry) -> Self {
        let VisibleEntry { record, reason } = visible;
        let entry = &record.entry;
        Self {
            seq: record.seq,
            at: entry.at.to_string(),
            by: &entry.by,
            action: entry.action.as_str(),
            verification: entry.verification,
            reason: reason.as_ref().and_then(|reason| reason.as_ref().ok()).cloned(),
            detail: entry.detail.as_deref(),
            hash: hex::encode(&record.hash),
        }
    }
}

impl AuditRow {
    fn of(words: &'static Words, visible: VisibleEntry) -> Self {
        let VisibleEntry { record: AuditRecord { seq, entry, hash }, reason } = visible;
        let reason = reason.map(|reason| match reason {
            Ok(text) => plain(&text),
            Err(CannotOpen::Removed) => words.removed.to_owned(),
            Err(CannotOpen::Damaged) => words.cannot_open.to_owned(),
        });
        Self {
            seq,
            at: entry.at,
            action: words.action(entry.action),
            verification: entry.verification,
            reason,
            detail: entry.detail.as_deref().map(plain),
            by: entry.by,
            hash: hex::encode(&hash),
        }
    }

    /// Enough for comparison by eye.
    fn short_hash(&self) -> &str {
        self.hash.get(..12).unwrap_or_default()
    }
}

/// `2026-11-22`.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
