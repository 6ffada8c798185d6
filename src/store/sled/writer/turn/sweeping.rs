//! What a turn forgets: what is older than it is to be kept, and what there is of one number.

use super::super::super::chain;
use super::super::super::index;
use super::super::super::keys::{self, Row};
use super::super::super::record;
use super::{Turn, idempotency_limit};
use crate::store::{Answer, Retention, StoreError, Swept};
use crate::verification::Command;
use crate::verification::values::{NumberIndex, Timestamp, VerificationId};

/// Rows that one visit of the retention sweep may remove.
const ROWS_SWEPT: usize = 64;
/// Verifications and inbound messages of a number that one order forgets: each is read and folded.
const FORGOTTEN_AT_ONCE: usize = 32;

impl Turn<'_> {
    /// Forgets what is older than asked, a bounded share.
    pub fn sweep_old(&mut self, before: Retention) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let started = self.rows.len();
        for parked in self.memory.parked.take_old(self.now, ROWS_SWEPT) {
            self.remove(&keys::parked(
                &parked.channel,
                parked.provider_ref.name(),
                parked.report.status.word(),
            ));
        }
        for key in self.keys_by_time(Row::IdempotencyByTime, 8, idempotency_limit(self.now))? {
            if let Some(forgotten) = keys::trailing_id(&key)
                && !self.is_remembered(forgotten)?
            {
                self.remove(&keys::idempotency(forgotten));
            }
            self.remove(&key);
        }
        for row in [Row::Inbound, Row::Alert] {
            for key in self.keys_by_time(row, 6, before.inbound)? {
                self.remove_inbound_index(row, &key)?;
                self.remove(&key);
            }
        }
        self.sweep_audit(before.audit)?;
        let mut oldest = self.ledger.sled()?.first_after(None)?;
        while let Some(id) = oldest.filter(|id| id.created_at() < before.verifications) {
            if self.rows.len() - started >= ROWS_SWEPT {
                return Ok(Swept { more: true, ..swept });
            }
            if !self.memory.is_live(id) && !self.working.contains_key(&id) {
                self.remove_verification(id)?;
                swept.removed += 1;
            }
            oldest = self.ledger.sled()?.first_after(Some(id))?;
        }
        Ok(Swept { more: self.rows.len() - started >= ROWS_SWEPT, ..swept })
    }

    /// The log is cut at its old end only, and what the rest follows is noted.
    fn sweep_audit(&mut self, before: Timestamp) -> Result<(), StoreError> {
        let mut anchor = None;
        for row in self.ledger.sled()?.scan(&[Row::Audit as u8]).take(ROWS_SWEPT) {
            let (key, value) = row?;
            let record = chain::read(&key, &value)?;
            if record.entry.at >= before {
                break;
            }
            anchor = Some(chain::Head { seq: record.seq, hash: record.hash });
            self.remove(&key);
        }
        if let Some(anchor) = anchor {
            let row = record::encode(&keys::AUDIT_ANCHOR, &anchor)?;
            self.insert(&keys::AUDIT_ANCHOR, row);
        }
        Ok(())
    }

    /// A share of what there is of a number.
    pub(super) fn forget(&mut self, number: NumberIndex) -> Result<Answer, StoreError> {
        let mut ids: Vec<_> = self.memory.pending_of(number);
        for row in self.ledger.sled()?.scan(&keys::numbers_of(number)).take(FORGOTTEN_AT_ONCE) {
            ids.push(keys::named(&row?.0)?);
        }
        let mut forgotten = 0;
        for id in ids {
            forgotten += usize::from(self.run(id, &Command::Erase)?.is_ok_and(|events| !events.is_empty()));
            // Also where an earlier version of its rows was left over.
            self.remove(&keys::number(number, id));
        }
        let messages = self.ledger.sled()?.scan(&keys::inbounds_of(number)).take(FORGOTTEN_AT_ONCE);
        for row in messages.collect::<Result<Vec<_>, _>>()? {
            if let Some(position) = keys::trailing_id(&row.0) {
                self.remove(&keys::inbound(position));
            }
            self.remove(&row.0);
            forgotten += 1;
        }
        Ok(Answer::Forgotten(forgotten))
    }

    /// Keys of a log, oldest first, whose time of `width` bytes is before `before`.
    fn keys_by_time(&self, row: Row, width: usize, before: Timestamp) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut until = vec![row as u8];
        until.extend_from_slice(&before.as_millis().to_be_bytes()[8 - width..]);
        let rows = self.ledger.sled()?.range(vec![row as u8], until).take(ROWS_SWEPT);
        rows.map(|row| Ok(row?.0.to_vec())).collect()
    }

    fn remove_inbound_index(&mut self, row: Row, key: &[u8]) -> Result<(), StoreError> {
        if row == Row::Inbound
            && let Some(value) = self.ledger.sled()?.get(key)?
            && let Some(position) = keys::trailing_id(key)
            && let Some((key, _)) = index::inbound_of(position, &record::decode(key, &value)?)
        {
            self.remove(&key);
        }
        Ok(())
    }

    fn remove_verification(&mut self, id: VerificationId) -> Result<(), StoreError> {
        if let Some(snapshot) = self.ledger.sled()?.snapshot(id, u32::MAX, &self.shared.policies())? {
            for (key, _) in index::rows_of(&snapshot, &self.ledger.sled()?.events(id)?)? {
                self.remove(&key);
            }
        }
        let rows: Result<Vec<_>, _> = self.ledger.sled()?.scan(&keys::events_of(id)).collect();
        rows?.into_iter().for_each(|(key, _)| self.remove(&key));
        Ok(())
    }
}
