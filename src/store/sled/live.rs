//! A live verification as it is held in memory: its events in their compact form, from which its state is folded when it
//! is asked for. A folded state would be six times as large, and a million of them are kept.

use std::sync::Arc;

use super::{keys, record};
use crate::store::{Policies, Snapshot, StoreError, stream};
use crate::verification::values::{Timestamp, VerificationId};
use crate::verification::{Event, Policy, State, Verification};

/// One allocation: [`Head`], then the events.
#[derive(Clone)]
pub struct Live(Arc<[u8]>);

/// What is asked for more often than the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub due: Timestamp,
    /// The first turn whose events of it only the log has; `None`: all events have rows.
    pub logged_since: Option<u64>,
    /// Number of its events.
    pub version: u32,
    /// Bytes of its events that have rows.
    pub saved: u32,
}

const HEAD_BYTES: usize = 24;

impl Live {
    /// `commits` and behind them `added`.
    pub fn new(head: Head, commits: &[u8], added: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + commits.len() + added.len());
        bytes.extend_from_slice(&head.due.as_millis().to_le_bytes());
        bytes.extend_from_slice(&head.logged_since.unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(&head.version.to_le_bytes());
        bytes.extend_from_slice(&head.saved.to_le_bytes());
        bytes.extend_from_slice(commits);
        bytes.extend_from_slice(added);
        Self(bytes.into())
    }

    pub fn head(&self) -> Head {
        let word = |at: usize| self.0[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or(0);
        let half = |at: usize| self.0[at..at + 4].try_into().map(u32::from_le_bytes).unwrap_or(0);
        Head {
            due: Timestamp::from_millis(i64::try_from(word(0)).unwrap_or(i64::MAX)),
            logged_since: Some(word(8)).filter(|&turn| turn != 0),
            version: half(16),
            saved: half(20),
        }
    }

    /// The same, due at another time.
    pub fn due_at(mut self, due: Timestamp) -> Self {
        match Arc::get_mut(&mut self.0) {
            Some(bytes) => {
                bytes[..8].copy_from_slice(&due.as_millis().to_le_bytes());
                self
            }
            None => Self::new(Head { due, ..self.head() }, self.commits(), &[]),
        }
    }

    /// All its events.
    pub fn commits(&self) -> &[u8] {
        &self.0[HEAD_BYTES..]
    }

    /// The events that only the log has, and the number of the first of them.
    pub fn unsaved(&self) -> Result<(u32, &[u8]), minicbor::decode::Error> {
        let head = self.head();
        let unsaved = self.commits().get(head.saved as usize..).unwrap_or_default();
        Ok((head.version + 1 - stream::count(unsaved)?, unsaved))
    }

    /// The same, with rows for all events.
    pub fn saved(&self) -> Self {
        let saved = u32::try_from(self.commits().len()).unwrap_or(u32::MAX);
        Self::new(Head { logged_since: None, saved, ..self.head() }, self.commits(), &[])
    }

    pub fn events(&self, id: VerificationId) -> Result<Vec<Event>, StoreError> {
        stream::read(self.commits()).map_err(|error| record::unreadable(&keys::events_of(id), &error))
    }

    pub fn state(&self, id: VerificationId) -> Result<State, StoreError> {
        stream::fold(self.commits()).map_err(|error| record::unreadable(&keys::events_of(id), &error))
    }

    /// The app that it belongs to.
    pub fn app(&self, id: VerificationId) -> Result<&str, StoreError> {
        stream::app(self.commits()).map_err(|error| record::unreadable(&keys::events_of(id), &error))
    }

    pub fn snapshot(&self, id: VerificationId, policies: &Policies) -> Result<Arc<Snapshot>, StoreError> {
        snapshot(id, self.state(id)?, policies)
    }
}

/// A folded state with the policy that was applied.
pub fn snapshot(id: VerificationId, state: State, policies: &Policies) -> Result<Arc<Snapshot>, StoreError> {
    let State::Known(verification) = state else {
        return Err(record::damaged(&keys::events_of(id), "it does not begin with a request"));
    };
    let policy = policy_of(&verification, policies)?;
    Ok(Arc::new(Snapshot { verification: *verification, policy }))
}

/// The policy that was applied to it.
pub fn policy_of(verification: &Verification, policies: &Policies) -> Result<Arc<Policy>, StoreError> {
    let hash = verification.request.policy;
    let missing = || record::damaged(&keys::policy(hash), "the policy is missing");
    policies.get(&hash).map(Arc::clone).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out() {
        let head = Head { due: Timestamp::from_millis(7), logged_since: Some(9), version: 3, saved: 2 };
        let live = Live::new(head, b"abc", b"de");
        assert_eq!((live.head(), live.commits()), (head, &b"abcde"[..]));
        let saved = live.saved();
        let expected = Head { logged_since: None, saved: 5, ..head };
        assert_eq!(
            (saved.head(), saved.commits(), saved.unsaved().unwrap().1),
            (expected, live.commits(), &b""[..])
        );
        let head = Head { due: Timestamp::from_millis(8), ..head };
        for other in [live.clone(), Live::new(live.head(), live.commits(), b"")] {
            let other = other.due_at(head.due);
            assert_eq!((other.head(), other.commits()), (head, live.commits()));
        }
        assert_ne!(live.head(), head, "a shared copy is not changed");
    }
}
