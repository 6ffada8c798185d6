//! Changes as rows of the table.

use super::index::{self, Entry};
use super::keys;
use super::live::{Head, Live};
use super::record;
use super::table::{Absent, Rows, Table};
use crate::store::audit::Head as AuditHead;
use crate::store::engine::Parked;
use crate::store::{
    Alert, AuditLink, Idempotency, Inbound, LogPosition, Policies, Snapshot, StoreError, stream,
};
use crate::verification::values::{Timestamp, VerificationId};
use crate::verification::{Event, Policy};

fn put(rows: &mut Rows, (key, row): Entry) {
    rows.insert(&key, &row);
}

fn put_json<T: serde::Serialize>(rows: &mut Rows, key: &[u8], content: &T) -> Result<(), StoreError> {
    rows.insert(key, &record::encode(key, content)?);
    Ok(())
}

pub fn policy(rows: &mut Rows, policy: &Policy) -> Result<(), StoreError> {
    put_json(rows, &keys::policy(policy.hash()), policy)
}

/// A live verification is settled: the rows that it does not have yet.
pub fn live_settles(rows: &mut Rows, live: &Live, snapshot: &Snapshot) -> Result<(), StoreError> {
    let id = snapshot.verification.id();
    let unreadable = |error| record::unreadable(&keys::events_of(id), &error);
    let (first, unsaved) = live.unsaved().map_err(unreadable)?;
    index::events(id, first, unsaved)?.into_iter().for_each(|entry| put(rows, entry));
    if live.head().saved > 0 {
        rows.remove(&keys::live(id));
    }
    index::settled(snapshot, &live.events(id)?)?.into_iter().for_each(|entry| put(rows, entry));
    Ok(())
}

/// A settled verification gets more events and stays settled.
pub fn settled_grows(
    rows: &mut Rows,
    before: (&Snapshot, &[Event]),
    after: &Snapshot,
    added: &[Event],
) -> Result<(), StoreError> {
    let id = after.verification.id();
    let mut commits = Vec::new();
    stream::append(&mut commits, added);
    index::events(id, before.0.verification.version + 1, &commits)?
        .into_iter()
        .for_each(|entry| put(rows, entry));
    let all = [before.1, added].concat();
    index::replace(rows, &index::settled(before.0, before.1)?, &index::settled(after, &all)?);
    Ok(())
}

/// A settled verification is live again: it is found in memory from now on. It goes on from the rows that it has.
pub fn revives(rows: &mut Rows, before: (&Snapshot, &[Event]), due: Timestamp) -> Result<Live, StoreError> {
    let id = before.0.verification.id();
    index::settled(before.0, before.1)?.iter().for_each(|(key, _)| rows.remove(key));
    rows.insert(&keys::live(id), &[]);
    let mut commits = Vec::new();
    stream::append(&mut commits, before.1);
    let head = Head {
        due,
        logged_since: None,
        version: before.0.verification.version,
        saved: u32::try_from(commits.len()).unwrap_or(u32::MAX),
    };
    Ok(Live::new(head, &commits, &[]))
}

/// A checkpoint: rows for the events of a live verification that only the log has.
pub fn saves(rows: &mut Rows, id: VerificationId, live: &Live) -> Result<(), StoreError> {
    let (first, unsaved) =
        live.unsaved().map_err(|error| record::unreadable(&keys::events_of(id), &error))?;
    index::events(id, first, unsaved)?.into_iter().for_each(|entry| put(rows, entry));
    if live.head().saved == 0 {
        rows.insert(&keys::live(id), &[]);
    }
    Ok(())
}

/// A settled verification goes, with all that finds it.
pub fn stream_removed(
    rows: &mut Rows,
    table: &Table,
    id: VerificationId,
    policies: &Policies,
) -> Result<(), Absent> {
    if let Some(snapshot) = table.snapshot(id, u32::MAX, policies)? {
        for (key, _) in index::rows_of(&snapshot, &table.events(id)?)? {
            rows.remove(&key);
        }
    }
    for row in table.scan(&keys::events_of(id))? {
        rows.remove(&row?.0);
    }
    Ok(())
}

pub fn idempotency(rows: &mut Rows, known: &Idempotency) -> Result<(), StoreError> {
    put_json(rows, &keys::idempotency(known.key), known)?;
    rows.insert(&keys::idempotency_by_time(known.at, known.key), &[]);
    Ok(())
}

pub fn idempotency_removed(
    rows: &mut Rows,
    table: &Table,
    key: [u8; 16],
    at: Timestamp,
) -> Result<(), Absent> {
    rows.remove(&keys::idempotency_by_time(at, key));
    // It may have been used again since.
    if table.idempotency(key)?.is_some_and(|known| known.at == at) {
        rows.remove(&keys::idempotency(key));
    }
    Ok(())
}

fn key_of(parked: &Parked) -> Vec<u8> {
    keys::parked(&parked.channel, parked.provider_ref.name(), parked.report.status.word())
}

pub fn parked(rows: &mut Rows, parked: &Parked) -> Result<(), StoreError> {
    put_json(rows, &key_of(parked), parked)
}

pub fn parked_removed(rows: &mut Rows, parked: &Parked) {
    rows.remove(&key_of(parked));
}

pub fn inbound(rows: &mut Rows, message: &Inbound) -> Result<LogPosition, StoreError> {
    let position = keys::position_of(message);
    put_json(rows, &keys::inbound(position), message)?;
    index::inbound_of(position, message)?.into_iter().for_each(|entry| put(rows, entry));
    Ok(position)
}

pub fn inbound_removed(rows: &mut Rows, table: &Table, position: LogPosition) -> Result<(), Absent> {
    if let Some(message) = table.inbound_at(position)? {
        index::inbound_of(position, &message)?.iter().for_each(|(key, _)| rows.remove(key));
    }
    rows.remove(&keys::inbound(position));
    Ok(())
}

pub fn alert(rows: &mut Rows, alert: &Alert) -> Result<LogPosition, StoreError> {
    let position = keys::position_of_alert(alert);
    put_json(rows, &keys::alert(position), alert)?;
    Ok(position)
}

pub fn alert_removed(rows: &mut Rows, position: LogPosition) {
    rows.remove(&keys::alert(position));
}

pub fn audit(rows: &mut Rows, head: AuditHead, link: &AuditLink) -> Result<(), StoreError> {
    put_json(rows, &keys::audit(head.seq), link)?;
    put_json(rows, &keys::AUDIT_HEAD, &head)
}

pub fn audit_removed(rows: &mut Rows, table: &Table, until: AuditHead) -> Result<(), Absent> {
    for row in table.range(&keys::audit(0), &keys::audit(until.seq + 1))? {
        rows.remove(&row?.0);
    }
    put_json(rows, &keys::AUDIT_ANCHOR, &until)?;
    Ok(())
}
