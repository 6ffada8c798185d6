//! What a turn forgets: what is older than it is to be kept, and what there is of one person.

use std::collections::BTreeSet;

use super::super::super::chain;
use super::super::super::index;
use super::super::super::keys::{self, Row};
use super::super::super::record;
use super::{Turn, idempotency_limit};
use crate::store::{Answer, LogPosition, Retention, StoreError, Swept};
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
                parked.report.status.name(),
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
        for key in self.keys_by_time(Row::InboundByArrival, 6, before.inbound)? {
            if let Some((position, _)) = keys::arrived(&key) {
                self.remove_inbound(position)?;
            }
            self.remove(&key);
        }
        for key in self.keys_by_time(Row::Alert, 6, before.inbound)? {
            self.remove(&key);
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

    /// A share of what there is of a person. Names that are known through others go first, and of each name last what
    /// teaches that it is the person's: so what is left is found again, also after a crash.
    pub(super) fn forget(&mut self, name: NumberIndex) -> Result<Answer, StoreError> {
        let person = self.person(name)?;
        for (name, through) in person.ways().rev() {
            // One more than goes at once, so that something is left beside the teacher.
            let (mut messages, mut ids) = self.some_of(name, FORGOTTEN_AT_ONCE + 1)?;
            if let Some(teacher) = self.teacher_of(name, through)?
                && messages.len() + ids.len() > 1
            {
                messages.retain(|position| *position != teacher);
                ids.retain(|id| id.to_bytes() != teacher);
            }
            messages.truncate(FORGOTTEN_AT_ONCE);
            let mut forgotten = messages.len();
            for id in ids.into_iter().take(FORGOTTEN_AT_ONCE - messages.len()) {
                forgotten +=
                    usize::from(self.run(id, &Command::Erase)?.is_ok_and(|events| !events.is_empty()));
                // Also where an earlier version of its rows was left over.
                self.remove(&keys::number(name, id));
            }
            for position in messages {
                self.remove_inbound(position)?;
            }
            if forgotten > 0 {
                return Ok(Answer::Forgotten(forgotten));
            }
        }
        Ok(Answer::Forgotten(0))
    }

    /// Inbound messages and verifications of one name, at most so many of each.
    fn some_of(
        &self,
        name: NumberIndex,
        most: usize,
    ) -> Result<(Vec<LogPosition>, BTreeSet<VerificationId>), StoreError> {
        let disk = self.ledger.sled()?;
        let mut messages = Vec::new();
        for row in disk.scan(&keys::inbounds_of(name)).take(most) {
            messages.extend(keys::trailing_id(&row?.0));
        }
        let mut ids: BTreeSet<_> = self.memory.pending_of(name).into_iter().collect();
        for row in disk.scan(&keys::numbers_of(name)).take(most) {
            ids.insert(keys::named(&row?.0)?);
        }
        Ok((messages, ids))
    }

    /// What teaches that a name is the person's: a verification or an inbound message.
    fn teacher_of(
        &self,
        name: NumberIndex,
        through: Option<NumberIndex>,
    ) -> Result<Option<[u8; 16]>, StoreError> {
        let Some(through) = through else { return Ok(None) };
        let mut rows = self.ledger.sled()?.range(
            keys::alias(name, through, [0; 16]),
            [&keys::alias(name, through, [0xff; 16])[..], &[0]].concat(),
        );
        Ok(rows.next_back().transpose()?.and_then(|(key, _)| keys::trailing_id(&key)))
    }

    /// Keys of a log, oldest first, whose time of `width` bytes is before `before`.
    fn keys_by_time(&self, row: Row, width: usize, before: Timestamp) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut until = vec![row as u8];
        until.extend_from_slice(&before.as_millis().to_be_bytes()[8 - width..]);
        let rows = self.ledger.sled()?.range(vec![row as u8], until).take(ROWS_SWEPT);
        rows.map(|row| Ok(row?.0.to_vec())).collect()
    }

    /// The message and what follows from it.
    fn remove_inbound(&mut self, position: LogPosition) -> Result<(), StoreError> {
        let key = keys::inbound(position);
        if let Some(row) = self.ledger.sled()?.get(&key)? {
            for (key, _) in index::inbound_of(position, &record::decode(&key, &row)?)? {
                self.remove(&key);
            }
        }
        self.remove(&key);
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
