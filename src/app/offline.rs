//! What is done to the data while no server runs.

use std::path::Path;

use super::master_key::{self, KeyError};
use crate::config::{Backend, Config};
use crate::store::sled::{self, Chain, OpenError, Progress, Reindexed};
use crate::vault::Vault;

/// Why the data could not be worked on. Never quotes a secret.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// Makes every row anew by which verifications and messages are found and listed. Blocks on the disk.
pub fn reindex(config: &Config, progress: &mut dyn FnMut(Progress)) -> Result<Reindexed, OfflineError> {
    let (path, key_id) = data(config)?;
    Ok(sled::reindex(path, key_id, progress)?)
}

/// Checks every link of the audit log. Blocks on the disk.
pub fn verify_audit(config: &Config) -> Result<Chain, OfflineError> {
    let (path, key_id) = data(config)?;
    Ok(sled::verify_audit(path, key_id)?)
}

fn data(config: &Config) -> Result<(&Path, [u8; 4]), OfflineError> {
    let path = match config.store.backend {
        Backend::Sled => config.store.path.as_path(),
    };
    // Before the key, which is made where there is neither key nor data.
    if !path.join("db").exists() {
        return Err(OpenError::Missing { path: path.to_owned() }.into());
    }
    let vault = Vault::new(&*master_key::load(&config.keys.master, path)?);
    Ok((path, vault.key_id()))
}
