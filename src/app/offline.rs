//! Commands on the stored data. They work on the closed store, or ask the running server if they can. Everything runs
//! as the owner of the data folder (`folder`), and checks write nothing.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::custody::KeyLoss;
use super::erase::{EraseError, Erased, Unreadable, erase};
use super::folder::{FolderError, Purpose, as_owner, check_reach, data_path};
use super::lost::{Count, Expected};
use super::master_key::{self, KeyError};
use super::operator::EraseRequest;
use super::operator_client::{AskError, RunningServer};
use super::{KEYS, key_files};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::dump::{
    self, Counts, DumpFile, DumpProgress, Heading, Imported, Line, Metered, NotWhole,
    Unreadable as UnreadableDump,
};
use crate::store::sled::{self, Chain, OpenError, Progress, Reindexed, Verified};
use crate::store::{Store, StoreError};
use crate::vault::{self, KeysError, Vault};
use crate::verification::values::{Alias, Timestamp};

/// Why a command on the data failed. Never quotes a secret.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error(transparent)]
    Folder(#[from] FolderError),
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
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("{0}; nothing was written")]
    Dump(#[from] UnreadableDump),
    #[error(transparent)]
    NotWhole(#[from] NotWhole),
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    #[error(
        "the keys of {lost} of the verifications in the file are missing in {}{}: without them their numbers and texts \
         cannot be read. Put the newest copy of that folder in its place first, or accept the loss with \
         --accept-lost-keys; nothing was written", keys.display(),
        if keys.exists() { "" } else { ", which does not exist" }
    )]
    LostKeys { lost: u64, keys: std::path::PathBuf },
}

/// Rebuilds the search indexes. Blocks on the disk.
pub fn reindex(
    config: &Config,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Reindexed, OfflineError> {
    as_owner(config, Purpose::Write, |path| {
        let vault = vault_of_data(config, path)?;
        Ok(sled::reindex(path, vault.key_id(), progress)?)
    })?
}

/// Checks the hash chain of the audit log. Blocks on the disk.
pub fn verify_audit(config: &Config) -> Result<Chain, OfflineError> {
    as_owner(config, Purpose::Check, |path| {
        let vault = vault_of_data(config, path)?;
        Ok(sled::verify_audit(path, vault.key_id())?)
    })?
}

/// Writes a dump of the store to `out`: by the server where one runs, as of the moment at which it ends, else here. Blocks.
pub fn dump(
    config: &Config,
    out: &mut (dyn Write + Send),
    progress: &mut (dyn FnMut(DumpProgress) + Send),
) -> Result<Counts, OfflineError> {
    check_reach(config)?;
    let mut out = Metered::new(out, progress);
    let is_done = runtime()?.block_on(async {
        match running(config).await? {
            Some(server) => server.dump(&mut out).await.map(|()| true),
            None => Ok(false),
        }
    })?;
    if !is_done {
        as_owner(config, Purpose::Write, |path| -> Result<_, OfflineError> {
            let vault = vault_of_data(config, path)?;
            Ok(sled::dump(path, dump_heading(vault.key_id(), Clock::System.now()), &mut out)?)
        })??;
    }
    out.flush().map_err(OpenError::Output)?;
    Ok(out.finish()?)
}

/// The first line of a new dump.
pub fn dump_heading(key_id: [u8; 4], at: Timestamp) -> Heading {
    Heading { version: dump::VERSION, name: format!("{:016x}", vault::id_bits()), key_id, at }
}

/// Reads a dump into an empty data folder. Blocks on the disk.
pub fn import<R: Read>(
    config: &Config,
    file: &DumpFile<'_, R>,
    key_loss: KeyLoss,
    progress: &mut (dyn FnMut(DumpProgress) + Send),
) -> Result<Imported, OfflineError> {
    as_owner(config, Purpose::Write, |path| {
        let vault = vault_put_back(config, path)?;
        let now = Clock::System.now();
        let (mut count, mut is_of_this_key) = (Count::new(expected(config, &vault)), false);
        let checked = file.check(&mut |line| match (line, line.person()) {
            (Line::Twotick(heading), _) => is_of_this_key = heading.key_id == vault.key_id(),
            (_, Some((id, person))) if is_of_this_key => count.look_at(id, person),
            _other => {}
        })?;
        if key_loss == KeyLoss::Refused {
            refuse_lost(&count, path)?;
        }
        Ok(sled::import(path, vault.key_id(), file, &checked, now, progress)?)
    })?
}

/// Checks every row, derived data, and the audit log. Blocks on the disk.
pub fn verify(config: &Config, progress: &mut (dyn FnMut(u64) + Send)) -> Result<Verified, OfflineError> {
    as_owner(config, Purpose::Check, |path| {
        let vault = vault_of_data(config, path)?;
        Ok(sled::verify(path, vault.key_id(), progress)?)
    })?
}

/// Erases a person, by number or user id: through the running server, else here. Blocks.
pub fn erase_person(config: &Config, person: &Alias, unreadable: Unreadable) -> Result<Erased, OfflineError> {
    check_reach(config)?;
    let asked = runtime()?.block_on(async {
        match running(config).await? {
            Some(server) => {
                let request = EraseRequest { person: person.as_written().to_owned(), unreadable };
                server.erase(&request).await.map(Some)
            }
            None => Ok(None),
        }
    })?;
    if let Some(erased) = asked {
        return Ok(erased);
    }
    as_owner(config, Purpose::Write, |path| {
        let vault = Arc::new(vault_of_data(config, path)?);
        let settings = sled::Settings {
            path: path.to_owned(),
            rates: BTreeMap::new(),
            key_id: vault.key_id(),
            limits: sled::Limits::default(),
        };
        let (store, _errands) = sled::open(settings, Clock::System)?;
        // The threads of this runtime inherit the identity.
        runtime()?.block_on(async {
            // No sends: nobody would carry them out.
            store.rest().await?;
            let number = vault.known_as(person).index;
            let erased = erase(&store, &vault, &Clock::System, number, unreadable).await;
            store.close().await?;
            Ok(erased?)
        })
    })?
}

/// The server that uses the data folder, if there is data and a server.
async fn running(config: &Config) -> Result<Option<RunningServer>, AskError> {
    RunningServer::find(data_path(config)).await
}

fn runtime() -> Result<tokio::runtime::Runtime, OfflineError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(OfflineError::Threads)
}

/// The keys that this vault should have now.
pub fn expected<'v>(config: &Config, vault: &'v Vault) -> Expected<'v> {
    Expected { vault, now: Clock::System.now(), personal: config.retention.personal }
}

fn refuse_lost(count: &Count<'_>, data: &Path) -> Result<(), OfflineError> {
    match count.lost() {
        0 => Ok(()),
        lost => Err(OfflineError::LostKeys { lost, keys: data.join(KEYS) }),
    }
}

/// Opens the vault of existing data. Never creates the master key.
pub fn vault_of_data(config: &Config, path: &Path) -> Result<Vault, OfflineError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    if !path.join("db").try_exists().map_err(io)? {
        return Err(OpenError::Missing { path: path.to_owned() }.into());
    }
    Ok(Vault::with_keys(&*master_key::load(&config.keys.master, path)?, key_files(path))?)
}

/// Opens the vault for data from elsewhere, with keys that were put in place before.
fn vault_put_back(config: &Config, path: &Path) -> Result<Vault, OfflineError> {
    Ok(Vault::with_keys(&*master_key::put_back(&config.keys.master, path)?, key_files(path))?)
}
