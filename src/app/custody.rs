//! Whether what the store holds can still be used with the keys and the configuration that there are.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use super::{KEYS, StartError};
use crate::store::sled::{Loaded, OpenError};
use crate::vault::{Vault, Whereabouts};
use crate::verification::event::AbandonReason;
use crate::verification::values::{AppName, Timestamp};
use crate::verification::{Request, Verification};

/// What a start does where keys are missing before their time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLoss {
    Refused,
    /// An operator knows, and has no copy.
    Accepted,
}

/// Keys are missing that sealed something in the store, and their time was not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostKeys {
    /// Verifications that cannot be read without them, ended or not.
    pub verifications: u64,
    /// Those of them that are pending: their codes can neither be sent nor checked.
    pub pending: u64,
    /// The newest thing that they sealed.
    pub newest: Option<Timestamp>,
    /// Where they should be.
    pub folder: String,
}

impl std::error::Error for LostKeys {}

impl fmt::Display for LostKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lacks keys that sealed data in the store", self.folder)?;
        if let Some(newest) = self.newest {
            write!(f, ", the newest of them at {newest}")?;
        }
        write!(
            f,
            ". Without them the numbers and texts of {} verifications are unreadable, and {} pending verifications \
             cannot go on. Put back the newest copy of this folder. If there is none, start once with `twotick serve \
             --accept-lost-keys`: what they sealed stays unreadable, and those pending verifications are canceled",
            self.verifications, self.pending
        )
    }
}

/// Which keys are missing that nobody knows of; `None`: none. Looks at what is newest and at what is pending, so it is
/// quick where nothing is missing.
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

/// How many verifications are sealed by keys that are missing before their time was over, whether somebody knows or not.
/// Reads all of them.
pub fn unreadable(vault: &Vault, loaded: &Loaded) -> Result<u64, OpenError> {
    loaded.count(|request| {
        let person = vault.whereabouts(&request.person, request.id.created_at());
        matches!(person, Whereabouts::Lost | Whereabouts::LossAccepted)
    })
}

/// Refuses a start without keys that should be there, unless their loss is accepted, which is noted.
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
                "the loss of keys is accepted: what they sealed stays unreadable, and pending verifications that need \
                 them are canceled"
            );
            Ok(())
        }
    }
}

/// Why twotick cannot go on with a pending verification; `None`: it can. What of its channels and its profile is not
/// configured any more does not matter here: it keeps the policy with which it began, and a step whose channel is gone
/// is refused and falls back.
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
