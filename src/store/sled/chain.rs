//! The audit log as rows: each holds its entry, the hash of the row before it and its own.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::keys;
use super::record::{self, damaged};
use crate::store::audit::{CHAIN_START, chain_hash};
use crate::store::{Audit, AuditRecord, ChainHash, StoreError};

/// The newest record; what the next one follows. Stands in a row of its own, so that a log whose end was cut off is
/// noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub seq: u64,
    #[serde(with = "hex")]
    pub hash: ChainHash,
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: CHAIN_START }
    }
}

/// One row. The entry is kept as it was written, because the hash is over its bytes.
#[derive(Serialize, Deserialize)]
pub struct Link {
    entry: Box<RawValue>,
    #[serde(with = "hex")]
    previous: ChainHash,
    #[serde(with = "hex")]
    hash: ChainHash,
}

/// The row of `entry` behind `head`, and the head that it becomes.
pub fn append(head: Head, entry: &Audit) -> Result<(Head, Vec<u8>), StoreError> {
    let seq = head.seq + 1;
    let key = keys::audit(seq);
    let entry = serde_json::value::to_raw_value(entry).map_err(|error| damaged(&key, &error.to_string()))?;
    let hash = chain_hash(head.hash, seq, entry.get().as_bytes());
    let row = record::encode(&key, &Link { entry, previous: head.hash, hash })?;
    Ok((Head { seq, hash }, row))
}

/// The record of a row, taken at its word.
pub fn read(key: &[u8], row: &[u8]) -> Result<AuditRecord, StoreError> {
    let seq = keys::audit_seq(key).ok_or_else(|| damaged(key, "it has no number"))?;
    let link: Link = record::decode(key, row)?;
    let entry = serde_json::from_str(link.entry.get())
        .map_err(|error| damaged(key, &format!("its entry cannot be read ({:?})", error.classify())))?;
    Ok(AuditRecord { seq, entry, hash: link.hash })
}

/// Whether a row follows `head`: the head that it makes, or what is wrong with it.
pub fn follow(head: Head, key: &[u8], row: &[u8]) -> Result<Head, String> {
    let seq = keys::audit_seq(key).ok_or("its key has no number")?;
    if seq != head.seq + 1 {
        return Err(format!("number {} is missing", head.seq + 1));
    }
    let link: Link = record::decode(key, row).map_err(|error| error.to_string())?;
    if link.previous != head.hash {
        return Err(format!("it does not follow number {}: the hash of that is another", head.seq));
    }
    if link.hash != chain_hash(head.hash, seq, link.entry.get().as_bytes()) {
        return Err("its hash is not that of its entry".to_owned());
    }
    serde_json::from_str::<Audit>(link.entry.get())
        .map_err(|error| format!("its entry cannot be read ({:?})", error.classify()))?;
    Ok(Head { seq, hash: link.hash })
}

/// 32 bytes as 64 letters.
mod hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::record::hex(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = text.as_bytes().chunks_exact(2);
        let bytes: Option<Vec<u8>> = pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
        let bytes = bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| D::Error::custom("a hash has 64 hexadecimal letters"))
    }
}
