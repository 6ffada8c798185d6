//! Opening reads the log: the table gets the rows that it lacks, and the live verifications are put together again from
//! the log and from the rows of checkpoints.

use std::io;

use super::codec::{self, End, Logged, LoggedGrowth};
use super::error::Trouble;
use super::keys::{self, Row};
use super::live::{self, Head, Live};
use super::log;
use super::memory::due_or_now;
use super::record::{self, damaged};
use super::settle;
use super::table::{Rows, Table};
use crate::store::audit::Head as AuditHead;
use crate::store::by_id::ById;
use crate::store::engine::Parked;
use crate::store::{LogPosition, Policies, Snapshot, StoreError, stream};
use crate::verification::State;
use crate::verification::values::{NumberIndex, Runner, VerificationId};

/// Everything that a store begins with.
pub struct Replayed {
    pub table: Table,
    pub policies: Policies,
    pub live: Vec<FoundLive>,
    /// The verifications with attempts in progress, and the runners of those.
    pub in_progress: Vec<(VerificationId, Runner)>,
    pub parked: Vec<Parked>,
    /// Positions of the alerts.
    pub alerts: Vec<LogPosition>,
    pub audit: AuditHead,
    pub log: log::Found,
}

pub struct FoundLive {
    pub id: VerificationId,
    pub live: Live,
    /// Its number, if it is pending.
    pub pending_for: Option<NumberIndex>,
}

/// Reads the turns from `from` on. A live mark without events, or any record that cannot be read, is damage.
pub fn replay(table: Table, folder: &std::path::Path, from: u64) -> Result<Replayed, Trouble> {
    let policies = table.policies().map_err(StoreError::from)?;
    let mut replay = Replay { applied: table.applied(), table, policies, live: ById::default(), turn: 0 };
    replay.marked()?;
    let log = log::read::<Stopped>(folder, from, |turn, record| {
        replay.turn = turn;
        codec::read(record, |change| replay.take(change).map_err(Stopped::from)).map_err(|stopped| {
            match stopped {
                Stopped::Unclear(error) => Stopped::Unreadable(unclear(turn, &error)),
                stopped => stopped,
            }
        })?;
        if replay.table.is_far_behind() {
            replay.table.step(u64::MAX).map_err(Stopped::Unwritable)?;
        }
        Ok(())
    });
    let log = log.map_err(Trouble::from)?;
    replay.end(log)
}

/// Why the log was not read to its end.
enum Stopped {
    Io(io::Error),
    Unclear(minicbor::decode::Error),
    Unreadable(StoreError),
    Unwritable(super::error::WriteError),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<minicbor::decode::Error> for Stopped {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Unclear(error)
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Stopped> for Trouble {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Io(error) => Self::Input(format!("the log cannot be read: {error}")),
            Stopped::Unclear(error) => Self::Unreadable(unclear(0, &error)),
            Stopped::Unreadable(error) => Self::Unreadable(error),
            Stopped::Unwritable(error) => Self::Unwritable(error),
        }
    }
}

fn unclear(turn: u64, error: &minicbor::decode::Error) -> StoreError {
    let place = error.position().map_or_else(String::new, |byte| format!(" at byte {byte}"));
    StoreError::Damaged {
        key: format!("turn {turn} of the log"),
        reason: format!("it cannot be read{place}"),
    }
}

struct Replay {
    table: Table,
    /// The last turn whose rows the table had when this began.
    applied: u64,
    policies: Policies,
    /// The live verifications up to this turn.
    live: ById<Live>,
    turn: u64,
}

impl Replay {
    /// Takes the verifications that checkpoints saved, each with all events that have rows.
    fn marked(&mut self) -> Result<(), StoreError> {
        let marks: Vec<_> = self.table.scan(&[Row::Live as u8])?.collect::<Result<_, _>>()?;
        for (key, _) in marks {
            let id = keys::named(&key)?;
            let live = self.saved(id)?;
            if live.head().version == 0 {
                return Err(damaged(&key, "the verification that it marks as live has no events"));
            }
            self.live.insert(id, live);
        }
        Ok(())
    }

    /// A verification as its rows have it.
    fn saved(&self, id: VerificationId) -> Result<Live, StoreError> {
        let events = self.table.events(id)?;
        let mut commits = Vec::new();
        stream::append(&mut commits, &events);
        let head = Head {
            version: u32::try_from(events.len()).unwrap_or(u32::MAX),
            saved: u32::try_from(commits.len()).unwrap_or(u32::MAX),
            ..Head::default()
        };
        Ok(Live::new(head, &commits, &[]))
    }

    fn take(&mut self, change: Logged<'_>) -> Result<(), StoreError> {
        let is_new = self.turn > self.applied;
        let mut rows = Rows::default();
        match change {
            Logged::Stream(growth) => return self.grow(&growth),
            Logged::Policy(policy) => {
                settle::policy(&mut rows, &policy)?;
                self.policies.insert(policy.hash(), policy.into());
            }
            _known if !is_new => return Ok(()),
            Logged::StreamRemoved(id) => settle::stream_removed(&mut rows, &self.table, id, &self.policies)?,
            Logged::Idempotency(known) => settle::idempotency(&mut rows, &known)?,
            Logged::IdempotencyRemoved { key, at } => {
                settle::idempotency_removed(&mut rows, &self.table, key, at)?;
            }
            Logged::Parked(parked) => settle::parked(&mut rows, &parked)?,
            Logged::ParkedRemoved(parked) => settle::parked_removed(&mut rows, &parked),
            Logged::Inbound(message) => drop(settle::inbound(&mut rows, &message)?),
            Logged::InboundRemoved(position) => settle::inbound_removed(&mut rows, &self.table, position)?,
            Logged::Alert(alert) => drop(settle::alert(&mut rows, &alert)?),
            Logged::AlertRemoved(position) => settle::alert_removed(&mut rows, position),
            Logged::Audit(head, link) => settle::audit(&mut rows, head, &link)?,
            Logged::AuditRemoved(until) => settle::audit_removed(&mut rows, &self.table, until)?,
        }
        if is_new {
            self.table.put(self.turn, rows);
        }
        Ok(())
    }

    /// Rows may know more of a verification than this turn: then it is old news.
    fn grow(&mut self, growth: &LoggedGrowth<'_>) -> Result<(), StoreError> {
        let &LoggedGrowth { id, first, commits, end } = growth;
        let unreadable = |error| record::unreadable(&keys::events_of(id), &error);
        let added = stream::count(commits).map_err(unreadable)?;
        let (before, is_live) = match self.live.remove(&id) {
            Some(live) => (live, true),
            None if first == 1 => (Live::new(Head::default(), &[], &[]), true),
            None => (self.saved(id)?, false),
        };
        let version = before.head().version;
        if version + 1 > first || (!is_live && version == 0 && self.turn <= self.applied) {
            // Known from rows, or removed since.
            if is_live {
                self.live.insert(id, before);
            }
            return Ok(());
        }
        if version + 1 != first {
            return Err(damaged(&keys::events_of(id), "events before it are missing"));
        }
        if !is_live && self.turn <= self.applied {
            return Err(damaged(&keys::events_of(id), "its rows lack events that the table was given"));
        }
        let logged_since = before.head().logged_since.or((added > 0).then_some(self.turn));
        let head = Head { version: version + added, logged_since, ..before.head() };
        let after = Live::new(head, before.commits(), commits);
        let mut rows = Rows::default();
        match (is_live, end) {
            (true, End::Live) => drop(self.live.insert(id, after)),
            (true, End::Settled) if self.turn > self.applied => {
                let snapshot = after.snapshot(id, &self.policies)?;
                settle::live_settles(&mut rows, &after, &snapshot)?;
            }
            (true, End::Settled) => {}
            (false, End::Live) => {
                let snapshot = before.snapshot(id, &self.policies)?;
                settle::revives(&mut rows, (&snapshot, &before.events(id)?), before.head().due)?;
                self.live.insert(id, after);
            }
            (false, End::Settled) => {
                let snapshots: [std::sync::Arc<Snapshot>; 2] =
                    [before.snapshot(id, &self.policies)?, after.snapshot(id, &self.policies)?];
                let added = stream::read(commits).map_err(unreadable)?;
                let before = (&*snapshots[0], &before.events(id)?[..]);
                settle::settled_grows(&mut rows, before, &snapshots[1], &added)?;
            }
        }
        self.table.put(self.turn, rows);
        Ok(())
    }

    fn end(mut self, log: log::Found) -> Result<Replayed, Trouble> {
        self.table.settle()?;
        let mut live = Vec::with_capacity(self.live.len());
        let mut in_progress = Vec::new();
        for (id, one) in std::mem::take(&mut self.live) {
            live.push(found(id, one, &self.policies, &mut in_progress)?);
        }
        let (mut parked, mut alerts): (Vec<Parked>, Vec<_>) = Default::default();
        for row in self.table.scan(&[Row::Parked as u8]).map_err(StoreError::from)? {
            let (key, row) = row?;
            parked.push(record::decode(&key, &row)?);
        }
        parked.sort_by_key(|report| report.at);
        for row in self.table.scan(&[Row::Alert as u8]).map_err(StoreError::from)? {
            let (key, _) = row?;
            alerts.push(keys::trailing_id(&key).ok_or_else(|| damaged(&key, "it names no alert"))?);
        }
        let audit = self.table.audit_head().map_err(StoreError::from)?;
        let Self { table, policies, .. } = self;
        Ok(Replayed { table, policies, live, in_progress, parked, alerts, audit, log })
    }
}

fn found(
    id: VerificationId,
    live: Live,
    policies: &Policies,
    in_progress: &mut Vec<(VerificationId, Runner)>,
) -> Result<FoundLive, StoreError> {
    let State::Known(verification) = live.state(id)? else {
        return Err(damaged(&keys::events_of(id), "it does not begin with a request"));
    };
    if verification.version != live.head().version {
        return Err(damaged(&keys::events_of(id), "events before it are missing"));
    }
    live::policy_of(&verification, policies)?;
    in_progress.extend(verification.runners().into_iter().map(|runner| (id, runner)));
    Ok(FoundLive {
        id,
        live: live.due_at(due_or_now(&verification)),
        pending_for: verification.is_pending().then_some(verification.request.number),
    })
}
