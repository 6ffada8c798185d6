//! What is done to the data while no server runs, or by one that does.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::erase::{EraseError, Erased, Unreadable, erase};
use super::master_key::{self, KeyError};
use super::{KEYS, door};
use crate::clock::Clock;
use crate::config::{Backend, Config};
use crate::phone::Phone;
use crate::store::sled::{self, Chain, Exported, Imported, OpenError, Progress, Reindexed, Verified, Way};
use crate::store::{Store, StoreError};
use crate::vault::{self, KeysError, Vault};

/// Why the data could not be worked on. Never quotes a secret.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Erase(#[from] EraseError),
    #[error(transparent)]
    Work(#[from] StoreError),
    #[error("the server that uses the data cannot be asked: {0}")]
    Server(String),
}

/// Makes every row anew by which verifications and messages are found and listed. Blocks on the disk.
pub fn reindex(config: &Config, progress: &mut dyn FnMut(Progress)) -> Result<Reindexed, OfflineError> {
    let (path, vault) = data(config)?;
    Ok(sled::reindex(path, vault.key_id(), progress)?)
}

/// Checks every link of the audit log. Blocks on the disk.
pub fn verify_audit(config: &Config) -> Result<Chain, OfflineError> {
    let (path, vault) = data(config)?;
    Ok(sled::verify_audit(path, vault.key_id())?)
}

/// How many verifications are sealed by keys that are missing before their time was over. Blocks on the disk.
pub fn unreadable_verifications(config: &Config) -> Result<u64, OfflineError> {
    let (path, vault) = data(config)?;
    let settings = sled::Settings { path: path.to_owned(), rates: BTreeMap::new(), key_id: vault.key_id() };
    Ok(super::custody::unreadable(&vault, &sled::load(settings)?)?)
}

/// Writes the whole store to `out`. Blocks on the disk.
pub fn export(
    config: &Config,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(Way),
) -> Result<Exported, OfflineError> {
    let (path, vault) = data(config)?;
    let name = format!("{:016x}", vault::id_bits());
    Ok(sled::export(path, vault.key_id(), &name, Clock::System.now(), out, progress)?)
}

/// Reads an export into an empty data folder. Blocks on the disk.
pub fn import(config: &Config, file: &Path, progress: &mut dyn FnMut(Way)) -> Result<Imported, OfflineError> {
    let path = data_path(config);
    let vault = vault(config, path)?;
    Ok(sled::import(path, vault.key_id(), file, Clock::System.now(), progress)?)
}

/// Writes a copy of every row to `out`: by the server where one runs, as of the moment at which it ends, else here.
/// How many bytes. Blocks.
pub fn backup(
    config: &Config,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, OfflineError> {
    let path = data_path(config);
    let unaskable = |error: std::io::Error| OfflineError::Server(error.to_string());
    if let Some((url, secret)) = door::find(path).map_err(unaskable)? {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unaskable)?;
        let asked = runtime.block_on(super::asked::backup(&url, &secret, out, progress));
        if let Some(bytes) = asked.map_err(OfflineError::Server)? {
            return Ok(bytes);
        }
    }
    let (path, vault) = data(config)?;
    Ok(sled::copy(path, vault.key_id(), Clock::System.now(), out, progress)?)
}

/// Reads a backup into an empty data folder. `open` opens it from its beginning, unpacked. Blocks on the disk.
pub fn restore<R: Read>(
    config: &Config,
    open: impl Fn() -> std::io::Result<R>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Imported, OfflineError> {
    let path = data_path(config);
    let vault = vault(config, path)?;
    Ok(sled::restore(path, vault.key_id(), open, Clock::System.now(), progress)?)
}

/// Checks every row, what follows from others, and the audit log. Blocks on the disk.
pub fn verify(config: &Config, progress: &mut dyn FnMut(u64)) -> Result<Verified, OfflineError> {
    let (path, vault) = data(config)?;
    Ok(sled::verify(path, vault.key_id(), progress)?)
}

/// Forgets a number: by the server where one runs, else here.
pub async fn erase_number(
    config: &Config,
    phone: &Phone,
    unreadable: Unreadable,
) -> Result<Erased, OfflineError> {
    let path = data_path(config);
    let unaskable = |error: std::io::Error| OfflineError::Server(error.to_string());
    if let Some((url, secret)) = door::find(path).map_err(unaskable)? {
        let request = door::EraseRequest { number: phone.as_e164().to_owned(), unreadable };
        if let Some(erased) =
            super::asked::erase(&url, &secret, &request).await.map_err(OfflineError::Server)?
        {
            return Ok(erased);
        }
    }
    let (path, vault) = data(config)?;
    let vault = Arc::new(vault);
    let settings = sled::Settings { path: path.to_owned(), rates: BTreeMap::new(), key_id: vault.key_id() };
    let (store, _errands) = sled::open(settings, Clock::System)?;
    // Nothing is begun here that nobody would carry out.
    store.rest().await?;
    let erased = erase(&store, &vault, &Clock::System, vault.number_index(phone), unreadable).await;
    store.close().await?;
    Ok(erased?)
}

/// Of a folder that there is.
fn data(config: &Config) -> Result<(&Path, Vault), OfflineError> {
    let path = data_path(config);
    // Before the key, which is made where there is neither key nor data.
    if !path.join("db").exists() {
        return Err(OpenError::Missing { path: path.to_owned() }.into());
    }
    Ok((path, vault(config, path)?))
}

pub fn data_path(config: &Config) -> &Path {
    match config.store.backend {
        Backend::Sled => config.store.path.as_path(),
    }
}

pub fn vault(config: &Config, path: &Path) -> Result<Vault, OfflineError> {
    Ok(Vault::with_keys(&*master_key::load(&config.keys.master, path)?, &path.join(KEYS))?)
}
