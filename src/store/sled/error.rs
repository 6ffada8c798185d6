//! Why a store cannot be opened, or work on one that no server uses ended early.

use std::io;
use std::path::{Path, PathBuf};

use super::STORE_FORMAT;
use super::table::Absent;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{path} is in use by another process, and only one twotick may use a data folder. Stop the server first; \
         `twotick backup`, which also verifies the copy, `twotick export` and `twotick erase` work while it runs"
    )]
    InUse { path: PathBuf },
    #[error("{path} cannot be used: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} is full: twotick needs 8 MiB of free room to start")]
    Full { path: PathBuf },
    #[error(
        "the data in {path} is damaged and was left untouched: {reason}. Restore a backup or an export; \
         do not delete anything before a copy of the folder is safe"
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("the data in {path} has format {found}, this version of twotick reads format {STORE_FORMAT}")]
    Format { path: PathBuf, found: u32 },
    #[error(
        "the search indexes of the data in {path} are missing, incomplete or of another version: run `twotick reindex`"
    )]
    Unindexed { path: PathBuf },
    #[error("there is no data in {path}")]
    Missing { path: PathBuf },
    #[error("the output cannot be written: {0}")]
    Output(io::Error),
    #[error("{reason}")]
    Input { reason: String },
    #[error("an import into {path} was not finished: run it again with the same file")]
    HalfImported { path: PathBuf },
    #[error("the data in {path} was written under another master key: check [keys] master")]
    OtherKey { path: PathBuf },
}

impl OpenError {
    /// The same error of the data in `path`.
    pub fn of(self, path: &Path) -> Self {
        let path = path.to_owned();
        match self {
            Self::InUse { .. } => Self::InUse { path },
            Self::Io { source, .. } => Self::Io { path, source },
            Self::Full { .. } => Self::Full { path },
            Self::Damaged { reason, .. } => Self::Damaged { path, reason },
            Self::Format { found, .. } => Self::Format { path, found },
            Self::Unindexed { .. } => Self::Unindexed { path },
            Self::Missing { .. } => Self::Missing { path },
            Self::HalfImported { .. } => Self::HalfImported { path },
            Self::OtherKey { .. } => Self::OtherKey { path },
            Self::Output(source) => Self::Output(source),
            Self::Input { reason } => Self::Input { reason },
        }
    }
}

/// Why data did not become durable.
#[derive(Debug)]
pub enum WriteError {
    /// No room. What was written of it may or may not count.
    Full,
    /// The disk did not do what it was asked. Nothing is known any more.
    Failed(String),
}

impl WriteError {
    pub fn opening(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Full => OpenError::Full { path },
            Self::Failed(reason) => OpenError::Io { path, source: io::Error::other(reason) },
        }
    }
}

/// Why work on a store that no server uses ended early.
#[derive(Debug)]
pub enum Trouble {
    Unreadable(StoreError),
    Unwritable(WriteError),
    /// The output, which is not the store.
    Output(io::Error),
    /// The input is not what it should be.
    Input(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Absent> for Trouble {
    fn from(absent: Absent) -> Self {
        Self::Unreadable(absent.into())
    }
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Self {
        Self::Unwritable(error)
    }
}

impl Trouble {
    pub fn opening(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Unreadable(StoreError::Full) => OpenError::Full { path },
            Self::Unreadable(error) => OpenError::Damaged { path, reason: error.to_string() },
            Self::Unwritable(error) => error.opening(&path),
            Self::Output(source) => OpenError::Output(source),
            Self::Input(reason) => OpenError::Input { reason },
        }
    }
}
