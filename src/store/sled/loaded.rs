//! A store that was read and whose thread does not run yet: what it holds can be examined before anything is done with it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::bounded;
use tokio::sync::mpsc;

use super::error::OpenError;
use super::keys::Row;
use super::open::{Folder, guarded};
use super::{Job, QUEUE, Settings, Shared, SledStore, record, table, writer};
use crate::clock::Clock;
use crate::store::{Alert, Errand, Inbound, StoreError};
use crate::verification::event::AbandonReason;
use crate::verification::values::{Sealed, Timestamp, VerificationId};
use crate::verification::{Command, Request, State, Verification};

/// Alerts that are looked through for one with something sealed: most have nothing.
const ALERTS_LOOKED_AT: usize = 1_000;

pub struct Loaded {
    folder: Folder,
    settings: Settings,
}

/// Reads the store. Blocks while the logs are read (about 3 s a GB).
pub fn load(settings: Settings) -> Result<Loaded, OpenError> {
    let folder = Folder::open(&settings.path, settings.key_id, settings.limits)?;
    Ok(Loaded { folder, settings })
}

impl Loaded {
    /// Starts the thread. Errands come out of the receiver once their intent is durable. `fate` says with which of the
    /// pending verifications twotick cannot go on; they end before anything else is done.
    pub fn start(
        self,
        clock: Clock,
        fate: impl Fn(&Verification) -> Option<AbandonReason>,
    ) -> Result<(SledStore, mpsc::UnboundedReceiver<Errand>), OpenError> {
        let (jobs, queue) = bounded(QUEUE);
        let (errands, courier) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new());
        let waker = jobs.clone();
        clock.on_advance(move || {
            // A full queue means that the thread is about to look at the clock anyway.
            let _ = waker.try_send(Job::Wake);
        });
        let abandoned = self
            .pending()
            .filter_map(|verification| Some((verification.id(), Command::Abandon(fate(&verification)?))));
        let abandoned = abandoned.collect();
        let Self { folder, settings } = self;
        writer::start(folder, settings, abandoned, clock.clone(), queue, Arc::clone(&shared), errands)?;
        Ok((SledStore { jobs, shared, clock }, courier))
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.settings.path
    }

    /// The pending verifications.
    pub fn pending(&self) -> impl Iterator<Item = Box<Verification>> {
        let pending = self.folder.replayed.live.iter().filter(|found| found.pending_for.is_some());
        pending.filter_map(|found| match found.live.state(found.id) {
            Ok(State::Known(verification)) => Some(verification),
            // It was folded a moment ago, when it was read.
            Ok(State::New) | Err(_) => None,
        })
    }

    /// The newest of each kind of row that holds something sealed, and when that was sealed.
    pub fn newest_sealed(&self) -> Result<Vec<(Timestamp, Sealed)>, OpenError> {
        guarded(self.folder(), || {
            let mut newest = Vec::new();
            let kept = match self.table().newest().map_err(StoreError::from)? {
                Some(id) => {
                    let kept = self.table().snapshot(id, u32::MAX, &self.folder.replayed.policies);
                    kept.map_err(StoreError::from)?
                }
                None => None,
            };
            let kept = kept.map(|snapshot| Arc::clone(&snapshot.verification.request));
            let live = self.folder.replayed.live.iter().max_by_key(|found| found.id);
            let live = live.and_then(|found| match found.live.state(found.id) {
                Ok(State::Known(verification)) => Some(verification.request),
                Ok(State::New) | Err(_) => None,
            });
            let request = kept.into_iter().chain(live).max_by_key(|request| request.id);
            newest.extend(request.map(|request| (request.id.created_at(), request.person.clone())));
            for row in self.back(Row::Inbound)?.take(1) {
                let (key, row) = row?;
                let message: Inbound = record::decode(&key, &row)?;
                newest.push((message.received_at, message.content));
            }
            for row in self.back(Row::Alert)?.take(ALERTS_LOOKED_AT) {
                let (key, row) = row?;
                let alert: Alert = record::decode(&key, &row)?;
                if let Some(evidence) = alert.evidence {
                    newest.push((alert.at, evidence));
                    break;
                }
            }
            Ok(newest)
        })
    }

    /// How many verifications there are of which this is so. Reads all of them.
    pub fn count(&self, is_so: impl Fn(&Request) -> bool) -> Result<u64, OpenError> {
        guarded(self.folder(), || {
            let mut count = 0;
            for found in &self.folder.replayed.live {
                if let State::Known(verification) = found.live.state(found.id)? {
                    count += u64::from(is_so(&verification.request));
                }
            }
            let live: HashSet<_> = self.folder.replayed.live.iter().map(|found| found.id).collect();
            let mut next = self.table().first_after(None).map_err(StoreError::from)?;
            while let Some(id) = next {
                if !live.contains(&id)
                    && let Some(request) = self.request(id)?
                {
                    count += u64::from(is_so(&request));
                }
                next = self.table().first_after(Some(id)).map_err(StoreError::from)?;
            }
            Ok(count)
        })
    }

    fn request(&self, id: VerificationId) -> Result<Option<Arc<Request>>, StoreError> {
        let snapshot = self.table().snapshot(id, u32::MAX, &self.folder.replayed.policies)?;
        Ok(snapshot.map(|snapshot| Arc::clone(&snapshot.verification.request)))
    }

    fn table(&self) -> &table::Table {
        &self.folder.replayed.table
    }

    /// The rows of a kind, from the last.
    fn back(
        &self,
        kind: Row,
    ) -> Result<impl Iterator<Item = Result<table::Entry, StoreError>> + use<'_>, StoreError> {
        Ok(self.table().range_back(&[kind as u8], &[kind as u8 + 1])?)
    }
}
