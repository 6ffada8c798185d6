//! The retention sweep: records that are older than they are kept go, of each kind a bounded share a visit, so that none
//! waits for the others.

use std::time::Duration;

use super::order::idempotency_limit;
use super::turn::Turn;
use super::{Change, Known, Lookup, Unknown};
use crate::store::{Retention, StoreError, Swept};
use crate::verification::values::Timestamp;

/// Records of each kind that one visit removes: about a millisecond of the store's time.
const RECORDS_SWEPT: usize = 64;
/// Verifications that one visit removes, with about eight rows each.
const VERIFICATIONS_SWEPT: usize = 8;

/// How long the next record of a kind should have been gone, where a visit ended before it; `None`: nothing is left.
type Backlog = Option<Duration>;

impl<L: Lookup> Turn<'_, L> {
    /// # Errors
    /// Where a record cannot be read.
    pub fn sweep_old(&mut self, before: Retention) -> Result<Swept, StoreError> {
        let swept = self.sweep(before);
        self.hand_over();
        swept.map_err(|unknown| match unknown {
            Unknown::Missing(_) => StoreError::Busy,
            Unknown::Failed(error) => error,
        })
    }

    fn sweep(&mut self, before: Retention) -> Known<Swept> {
        let parked = self.sweep_parked()?;
        let idempotency = self.sweep_idempotency()?;
        let inbound = self.lookup.old_inbound(before.inbound, RECORDS_SWEPT)?;
        for &(_, position) in &inbound {
            self.lookup.make(Change::InboundRemoved(position))?;
        }
        let alerts = self.lookup.old_alerts(before.inbound, RECORDS_SWEPT)?;
        for &(_, position) in &alerts {
            self.lookup.make(Change::AlertRemoved(position))?;
        }
        // The log is cut at its old end only.
        let audit = self.lookup.old_audit(before.audit, RECORDS_SWEPT)?;
        if let Some(&(_, last)) = audit.last() {
            self.lookup.make(Change::AuditRemoved(last))?;
        }
        let mut verifications =
            self.lookup.old_verifications(before.verifications, VERIFICATIONS_SWEPT + 1)?;
        let next = verifications.split_off(verifications.len().min(VERIFICATIONS_SWEPT));
        verifications.retain(|id| !self.working.contains_key(id));
        let removed = verifications.len();
        for id in verifications {
            self.lookup.make(Change::StreamRemoved(id))?;
        }
        let mut more = false;
        for (kind, backlog) in [
            ("parked_reports", parked),
            ("idempotency_keys", idempotency),
            ("inbound", behind(&inbound, before.inbound)),
            ("alerts", behind(&alerts, before.inbound)),
            ("audit", behind(&audit, before.audit)),
            ("verifications", next.first().map(|id| before.verifications.since(id.created_at()))),
        ] {
            let seconds = backlog.unwrap_or_default().as_secs_f64();
            metrics::gauge!("twotick_retention_behind_seconds", "kind" => kind).set(seconds);
            more |= backlog.is_some();
        }
        Ok(Swept { removed, more })
    }

    fn sweep_parked(&mut self) -> Known<Backlog> {
        let old = self.lookup.parked().old(self.now, self.limits.parked, RECORDS_SWEPT);
        let is_share = old.len() >= RECORDS_SWEPT;
        for parked in old {
            self.lookup.make(Change::ParkedRemoved(Box::new(parked)))?;
        }
        Ok(is_share.then(|| self.lookup.parked().overdue(self.now)))
    }

    fn sweep_idempotency(&mut self) -> Known<Backlog> {
        let limit = idempotency_limit(self.now);
        let old = self.lookup.old_idempotency(limit, RECORDS_SWEPT)?;
        for &(at, key) in &old {
            self.lookup.make(Change::IdempotencyRemoved { key, at })?;
        }
        Ok(behind(&old, limit))
    }
}

/// Where `old` is a whole share, the last of them tells how far the rest is behind.
fn behind<T>(old: &[(Timestamp, T)], before: Timestamp) -> Backlog {
    old.last().filter(|_| old.len() >= RECORDS_SWEPT).map(|(at, _)| before.since(*at))
}
