//! What a turn forgets: what is older than it is to be kept, and what there is of one person.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::super::chain;
use super::super::super::index;
use super::super::super::keys::{self, Row};
use super::super::super::record;
use super::{Turn, idempotency_limit, key_of};
use crate::store::{Answer, LogPosition, Retention, StoreError, Swept};
use crate::verification::Command;
use crate::verification::values::{NumberIndex, Timestamp, VerificationId};

/// Rows of each kind that one visit of the retention sweep removes, and the verification that it is at: about a
/// millisecond of the store's time.
const ROWS_SWEPT: usize = 64;
/// How long the next row of a kind should have been gone, where a visit ended before it; `None`: nothing is left.
type Behind = Option<Duration>;
/// Verifications and inbound messages of a number that one order forgets: each is read and folded.
const FORGOTTEN_AT_ONCE: usize = 32;

impl Turn<'_> {
    /// Forgets what is older than asked: of each kind a bounded share, so that none waits for the others.
    pub fn sweep_old(&mut self, before: Retention) -> Result<Swept, StoreError> {
        let parked = self.sweep_parked();
        let idempotency = self.sweep_idempotency()?;
        let inbound = self.sweep_inbound(before.inbound)?;
        let alerts = self.sweep_alerts(before.inbound)?;
        let audit = self.sweep_audit(before.audit)?;
        let (verifications, removed) = self.sweep_verifications(before.verifications)?;
        let mut more = false;
        for (kind, behind) in [
            ("parked_reports", parked),
            ("idempotency_keys", idempotency),
            ("inbound", inbound),
            ("alerts", alerts),
            ("audit", audit),
            ("verifications", verifications),
        ] {
            let seconds = behind.unwrap_or_default().as_secs_f64();
            metrics::gauge!("twotick_retention_behind_seconds", "kind" => kind).set(seconds);
            more |= behind.is_some();
        }
        Ok(Swept { removed, more })
    }

    fn sweep_parked(&mut self) -> Behind {
        let old = self.memory.parked.take_old(self.now, ROWS_SWEPT);
        old.iter().for_each(|parked| self.remove(&key_of(parked)));
        (old.len() >= ROWS_SWEPT).then(|| self.memory.parked.overdue(self.now))
    }

    fn sweep_idempotency(&mut self) -> Result<Behind, StoreError> {
        let limit = idempotency_limit(self.now);
        let keys = self.keys_by_time(Row::IdempotencyByTime, 8, limit)?;
        for key in &keys {
            if let Some(forgotten) = keys::trailing_id(key)
                && !self.is_remembered(forgotten)?
            {
                self.remove(&keys::idempotency(forgotten));
            }
            self.remove(key);
        }
        Ok(behind(&keys, 8, limit))
    }

    /// By arrival: the sender's clock says nothing about how long a message was kept.
    fn sweep_inbound(&mut self, before: Timestamp) -> Result<Behind, StoreError> {
        let keys = self.keys_by_time(Row::InboundByArrival, 6, before)?;
        for key in &keys {
            if let Some((position, _)) = keys::arrived(key) {
                self.remove_inbound(position)?;
            }
            self.remove(key);
        }
        Ok(behind(&keys, 6, before))
    }

    fn sweep_alerts(&mut self, before: Timestamp) -> Result<Behind, StoreError> {
        let keys = self.keys_by_time(Row::Alert, 6, before)?;
        for key in &keys {
            self.remove(key);
            if let Some(position) = keys::trailing_id(key) {
                self.memory.alerts.remove(&position);
            }
        }
        Ok(behind(&keys, 6, before))
    }

    fn sweep_verifications(&mut self, before: Timestamp) -> Result<(Behind, usize), StoreError> {
        let (started, mut removed) = (self.rows.len(), 0);
        let mut oldest = self.ledger.sled()?.first_after(None)?;
        while let Some(id) = oldest.filter(|id| id.created_at() < before) {
            if self.rows.len() - started >= ROWS_SWEPT {
                return Ok((Some(before.since(id.created_at())), removed));
            }
            if !self.memory.is_live(id) && !self.working.contains_key(&id) {
                self.remove_verification(id)?;
                removed += 1;
            }
            oldest = self.ledger.sled()?.first_after(Some(id))?;
        }
        Ok((None, removed))
    }

    /// The log is cut at its old end only, and what the rest follows is noted.
    fn sweep_audit(&mut self, before: Timestamp) -> Result<Behind, StoreError> {
        let (mut anchor, mut removed, mut last) = (None, 0, before);
        for row in self.ledger.sled()?.scan(&[Row::Audit as u8]).take(ROWS_SWEPT) {
            let (key, value) = row?;
            let record = chain::read(&key, &value)?;
            if record.entry.at >= before {
                break;
            }
            anchor = Some(chain::Head { seq: record.seq, hash: record.hash });
            (removed, last) = (removed + 1, record.entry.at);
            self.remove(&key);
        }
        if let Some(anchor) = anchor {
            let row = record::encode(&keys::AUDIT_ANCHOR, &anchor)?;
            self.insert(&keys::AUDIT_ANCHOR, row);
        }
        Ok((removed >= ROWS_SWEPT).then(|| before.since(last)))
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

/// Of keys by time, their time in so many bytes: where they are a whole share, the last of them tells how far the rest is
/// behind.
fn behind(keys: &[Vec<u8>], width: usize, before: Timestamp) -> Behind {
    let last = keys.last().filter(|_| keys.len() >= ROWS_SWEPT)?;
    let mut millis = [0; 8];
    millis[8 - width..].copy_from_slice(last.get(1..=width)?);
    Some(before.since(Timestamp::from_millis(i64::from_be_bytes(millis))))
}
