//! What the staff did: a log that only grows, in which each entry seals the one before it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
