//! What the staff did: a log that only grows, in which each entry seals the one before it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::StoreError;
use crate::verification::OperatorAct;
use crate::verification::values::{Sealed, Timestamp, UserName, VerificationId};

/// One thing that a person of the staff did, or tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    pub at: Timestamp,
    pub by: UserName,
    pub action: AuditAction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationId>,
    /// Sealed for that verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sealed>,
    /// What the action adds: the channel of a resend, the filters of an export. Never a number or a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    SignedIn,
    SignInRefused,
    SignedOut,
    SignedOutEverywhere,
    Revealed,
    Resent,
    NextStep,
    Canceled,
    ExportedList,
    ExportedAudit,
    /// Searched by a number or its end. `detail` is a keyed hash of it.
    Searched,
    /// Opened the page of a verification.
    Opened,
    /// A number was forgotten. `detail` is its blind index in hexadecimal.
    Erased,
}

impl AuditAction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::SignInRefused => "sign_in_refused",
            Self::SignedOut => "signed_out",
            Self::SignedOutEverywhere => "signed_out_everywhere",
            Self::Revealed => "revealed",
            Self::Resent => "resent",
            Self::NextStep => "next_step",
            Self::Canceled => "canceled",
            Self::ExportedList => "exported_list",
            Self::ExportedAudit => "exported_audit",
            Self::Searched => "searched",
            Self::Opened => "opened",
            Self::Erased => "erased",
        }
    }
}

impl From<&OperatorAct> for AuditAction {
    fn from(act: &OperatorAct) -> Self {
        match act {
            OperatorAct::Reveal => Self::Revealed,
            OperatorAct::Resend { .. } => Self::Resent,
            OperatorAct::Next => Self::NextStep,
            OperatorAct::Cancel => Self::Canceled,
        }
    }
}

/// An entry in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// From 1, without gaps.
    pub seq: u64,
    pub entry: Audit,
    /// Over the hash of the record before it, `seq` and the entry.
    pub hash: ChainHash,
}

pub type ChainHash = [u8; 32];

/// What the first record follows.
pub const CHAIN_START: ChainHash = [0; 32];

/// SHA-256 of the previous hash, `seq` as 8 bytes big-endian, and the entry as it is stored.
pub fn chain_hash(previous: ChainHash, seq: u64, entry: &[u8]) -> ChainHash {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(seq.to_be_bytes());
    hasher.update(entry);
    hasher.finalize().into()
}

/// The newest record of the audit log, which the next one follows. It is stored beside the records, so that a log whose
/// end was cut off is noticed.
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

/// A record as it is stored: the entry as it was written, because the hash is over its bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditLink {
    entry: Box<RawValue>,
    #[serde(with = "hex")]
    previous: ChainHash,
    #[serde(with = "hex")]
    hash: ChainHash,
}

impl AuditLink {
    /// The record of `entry` behind `head`, and the head that it makes.
    ///
    /// # Errors
    /// Where the entry cannot be written as JSON.
    pub fn behind(head: Head, entry: &Audit) -> Result<(Head, Self), StoreError> {
        let seq = head.seq + 1;
        let entry =
            serde_json::value::to_raw_value(entry).map_err(|error| unreadable(seq, &error.to_string()))?;
        let hash = chain_hash(head.hash, seq, entry.get().as_bytes());
        Ok((Head { seq, hash }, Self { entry, previous: head.hash, hash }))
    }

    /// The record with number `seq`, its hashes unchecked.
    ///
    /// # Errors
    /// Where the entry is not one of this version.
    pub fn record(&self, seq: u64) -> Result<AuditRecord, StoreError> {
        let entry = serde_json::from_str(self.entry.get()).map_err(|error| {
            unreadable(seq, &format!("its entry cannot be read ({:?})", error.classify()))
        })?;
        Ok(AuditRecord { seq, entry, hash: self.hash })
    }

    /// The head that it makes as number `seq` behind `head`.
    ///
    /// # Errors
    /// What is wrong with it, if it does not follow `head`.
    pub fn follow(&self, head: Head, seq: u64) -> Result<Head, String> {
        if seq != head.seq + 1 {
            return Err(format!("number {} is missing", head.seq + 1));
        }
        if self.previous != head.hash {
            return Err(format!("it does not follow number {}: the hash of that is another", head.seq));
        }
        if self.hash != chain_hash(head.hash, seq, self.entry.get().as_bytes()) {
            return Err("its hash is not that of its entry".to_owned());
        }
        self.record(seq).map_err(|error| error.to_string())?;
        Ok(Head { seq, hash: self.hash })
    }
}

fn unreadable(seq: u64, reason: &str) -> StoreError {
    StoreError::Damaged { key: format!("audit record {seq}"), reason: reason.to_owned() }
}

/// 32 bytes as 64 letters.
mod hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
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
