//! Checks at the start that stored data can still be used with the present keys and configuration.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use super::{KEYS, StartError};
use crate::store::sled::{Loaded, OpenError};
use crate::vault::{Vault, Whereabouts};
use crate::verification::event::AbandonReason;
use crate::verification::values::{AppName, Timestamp};
use crate::verification::{Request, Verification};

/// The treatment of keys that are missing before their retention is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLoss {
    Refused,
    /// The operator has no copy of the keys and accepts the loss.
    Accepted,
}

/// Keys are missing that encrypted stored data and are still within retention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostKeys {
    /// Verifications, live or settled, that are unreadable without them.
    pub verifications: u64,
    /// The pending ones among these: their codes can be neither sent nor checked.
    pub pending: u64,
    /// Creation of the newest affected verification.
    pub newest: Option<Timestamp>,
    /// The key folder.
    pub folder: String,
}

impl std::error::Error for LostKeys {}

impl fmt::Display for LostKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keys are missing in {} that encrypted stored data", self.folder)?;
        if let Some(newest) = self.newest {
            write!(f, ", the newest data is of {newest}")?;
        }
        write!(
            f,
            ". Without them the numbers and texts of {} verifications are unreadable, and {} pending verifications \
             cannot continue. Restore the newest copy of this folder. If there is none, start once with `twotick serve \
             --accept-lost-keys`: that data stays unreadable, and those pending verifications are canceled",
            self.verifications, self.pending
        )
    }
}

/// Finds missing keys whose loss was not accepted before. Looks at the newest and at pending verifications only, so it
/// is fast if nothing is missing.
pub fn lost_keys(vault: &Vault, loaded: &Loaded, folder: &Path) -> Result<Option<LostKeys>, OpenError> {
    let is_lost = |request: &Request| vault.whereabouts_of(request).contains(&Whereabouts::Lost);
    let newest = loaded.newest_sealed()?.into_iter();
    let newest = newest.filter(|(at, sealed)| vault.whereabouts(sealed, *at) == Whereabouts::Lost);
    let newest = newest.map(|(at, _)| at).max();
    let pending: Vec<_> = loaded.pending().filter(|known| is_lost(&known.request)).collect();
    let newest_pending = pending.iter().map(|known| known.created_at).max();
    if newest.is_none() && newest_pending.is_none() {
        return Ok(None);
    }
    Ok(Some(LostKeys {
        verifications: unreadable(vault, loaded)?,
        pending: pending.len() as u64,
        newest: newest.max(newest_pending),
        folder: folder.display().to_string(),
    }))
}

/// Counts verifications whose key is missing within retention, whether accepted or not. Reads all verifications.
pub fn unreadable(vault: &Vault, loaded: &Loaded) -> Result<u64, OpenError> {
    loaded.count(|request| {
        let person = vault.whereabouts(&request.person, request.id.created_at());
        matches!(person, Whereabouts::Lost | Whereabouts::LossAccepted)
    })
}

/// Refuses to start without keys that should exist, unless their loss is accepted; records the acceptance.
pub fn check(vault: &Vault, loaded: &Loaded, key_loss: KeyLoss) -> Result<(), StartError> {
    let Some(lost) = lost_keys(vault, loaded, &loaded.folder().join(KEYS))? else { return Ok(()) };
    match key_loss {
        KeyLoss::Refused => Err(StartError::LostKeys(lost)),
        KeyLoss::Accepted => {
            if let Some(newest) = lost.newest {
                vault.accept_loss(newest).map_err(StartError::KeyLossNotNoted)?;
            }
            tracing::warn!(
                verifications = lost.verifications,
                pending = lost.pending,
                keys = lost.folder,
                "loss of keys accepted: data encrypted with them stays unreadable, and pending verifications that need \
                 them are canceled"
            );
            Ok(())
        }
    }
}

/// Why a pending verification cannot continue; `None` if it can. Removed channels and profiles do not matter: a
/// verification keeps the policy under which it began, and a step whose channel is gone is refused and falls back.
pub fn fate(vault: &Vault, apps: &BTreeSet<AppName>, verification: &Verification) -> Option<AbandonReason> {
    let is_there = |whereabouts| whereabouts == Whereabouts::There;
    if !vault.whereabouts_of(&verification.request).into_iter().all(is_there) {
        Some(AbandonReason::KeyLost)
    } else if !apps.contains(&verification.request.app) {
        Some(AbandonReason::AppRemoved)
    } else {
        None
    }
}
