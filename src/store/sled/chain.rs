//! The audit log as rows: each holds its entry, the hash of the row before it and its own.

use super::keys;
use super::record::{self, damaged};
use crate::store::{Audit, AuditLink, AuditRecord, StoreError};

pub use crate::store::audit::Head;

/// The row of `entry` behind `head`, and the head that it becomes.
pub fn append(head: Head, entry: &Audit) -> Result<(Head, Vec<u8>), StoreError> {
    let (head, link) = AuditLink::behind(head, entry)?;
    Ok((head, record::encode(&keys::audit(head.seq), &link)?))
}

/// The record of a row, taken at its word.
pub fn read(key: &[u8], row: &[u8]) -> Result<AuditRecord, StoreError> {
    let seq = keys::audit_seq(key).ok_or_else(|| damaged(key, "it has no number"))?;
    record::decode::<AuditLink>(key, row)?.record(seq)
}

/// Whether a row follows `head`: the head that it makes, or what is wrong with it.
pub fn follow(head: Head, key: &[u8], row: &[u8]) -> Result<Head, String> {
    let seq = keys::audit_seq(key).ok_or("its key has no number")?;
    if seq != head.seq + 1 {
        return Err(format!("number {} is missing", head.seq + 1));
    }
    record::decode::<AuditLink>(key, row).map_err(|error| error.to_string())?.follow(head, seq)
}
