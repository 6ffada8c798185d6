//! Erasing a person, in the store of a running server or one opened for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::clock::Clock;
use crate::hex;
use crate::store::{Answer, Audit, AuditAction, Filter, Order, Store, StoreError};
use crate::vault::{KeyId, Vault};
use crate::verification::Fact;
use crate::verification::values::{NumberIndex, Sealed, UserName};

/// Records read per call.
const PAGE: usize = 50;

/// When data encrypted with the person's keys becomes unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// At once: the keys of this number are destroyed.
    Now,
    /// When retention destroys the keys of its days.
    InTime,
}

/// The result of erasing a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Erased {
    /// Verifications and inbound messages.
    pub records: usize,
    /// Days with a key that had encrypted data of the person.
    pub days: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write the keys, so nothing was erased: {0}")]
    Keys(std::io::Error),
}

/// Erases everything about the person with this number, including their other identifiers: nothing is shown or found
/// any more. The intent is recorded first with the blind index; an interrupted erasure is completed by another call.
pub async fn erase(
    store: &dyn Store,
    vault: &Arc<Vault>,
    clock: &Clock,
    number: NumberIndex,
    unreadable: Unreadable,
) -> Result<Erased, EraseError> {
    let index = hex::encode(&number.0);
    let entry = Audit {
        at: clock.now(),
        // Access to the data folder's secrets is the only identity here.
        by: UserName::parse("operator").map_err(|error| EraseError::Keys(std::io::Error::other(error)))?,
        action: AuditAction::Erased,
        verification: None,
        reason: None,
        detail: Some(index),
    };
    store.execute(vec![Order::Audit(entry)]).await?;
    let mut erased = Erased::default();
    if unreadable == Unreadable::Now {
        let (keys, vault) = (keys_of(store, number).await?, Arc::clone(vault));
        let names: Vec<_> = store.person(number).await?.names().collect();
        let forgotten = tokio::task::spawn_blocking(move || vault.forget_person(&names, &keys)).await;
        erased.days =
            forgotten.map_err(std::io::Error::other).and_then(|done| done).map_err(EraseError::Keys)?;
    }
    loop {
        match store.execute(vec![Order::Forget(number)]).await?.pop() {
            Some(Answer::Forgotten(records)) if records > 0 => erased.records += records,
            Some(_) | None => return Ok(erased),
        }
    }
}

/// Keys that encrypt data of the person.
async fn keys_of(store: &dyn Store, number: NumberIndex) -> Result<BTreeSet<KeyId>, StoreError> {
    let mut keys = BTreeSet::new();
    let mut note = |sealed: &Sealed| keys.extend(Vault::day_key_of(sealed));
    let (filter, mut before) = (Filter { number: Some(number), ..Filter::default() }, None);
    loop {
        let page = store.list(filter.clone(), PAGE, before).await?;
        for snapshot in &page.items {
            note(&snapshot.verification.request.person);
            for event in store.timeline(snapshot.verification.id()).await? {
                if let Fact::OperatorActed { reason: Some(reason), .. } = &event.fact {
                    note(reason);
                }
            }
        }
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let mut before = None;
    loop {
        let page = store.inbound(None, Some(number), PAGE, before).await?;
        page.items.iter().for_each(|message| note(&message.content));
        before = page.next;
        if before.is_none() {
            return Ok(keys);
        }
    }
}
