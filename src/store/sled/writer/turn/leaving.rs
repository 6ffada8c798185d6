//! What a turn leaves: the rows for what it made of each verification, and what is published once they are durable.

use super::super::super::Shared;
use super::super::super::commits;
use super::super::super::dump::Novelty;
use super::super::super::index;
use super::super::super::journal::{self, Entry};
use super::super::super::keys;
use super::super::super::live::{Head, Live};
use super::super::super::open::WriteError;
use super::{Stored, Turn, Working};
use crate::store::changes::{Change, Publisher, changes};
use crate::store::dump::Item;
use crate::store::{Errand, Facets, Snapshot, StoreError};
use crate::verification::due::{due, due_while_throttled};
use crate::verification::values::{Timestamp, VerificationId};
use crate::verification::{State, Verification};

/// Most events take less in their compact form.
const USUAL_EVENT_BYTES: usize = 64;

/// What the kernel has been given, to be published once it is durable.
pub struct Written {
    /// Its place among all turns of this process.
    pub number: u64,
    /// The batch that must be durable for it.
    pub batch: u64,
    changed: Vec<Changed>,
    errands: Vec<Errand>,
    deadlines: Vec<Timestamp>,
    changes: Vec<Change>,
}

/// A verification as a turn left it.
struct Changed {
    id: VerificationId,
    version: u32,
    /// `None`: it wants nothing more.
    live: Option<Live>,
}

/// What a turn made of a verification: how it was held in memory, and how it is now.
struct Left {
    verification: Box<Verification>,
    before: Option<Live>,
    after: Option<Live>,
}

impl Turn<'_> {
    /// Gives everything of this turn to the kernel as one.
    pub fn write(mut self) -> Result<Written, WriteError> {
        let (mut page, mut left) = (journal::Page::default(), Vec::new());
        let errands = self.errands();
        for (id, working) in std::mem::take(&mut self.working) {
            left.extend(self.leave(id, working, &mut page).map_err(unwritable)?);
        }
        let gathered = self.gather_oldest(&left, &mut page).map_err(unwritable)?;
        left.extend(gathered);
        self.keep_journal(&left, &page).map_err(unwritable)?;
        if !self.rows.is_empty() {
            self.ledger.hand_over(std::mem::take(&mut self.rows))?;
        }
        let mut changed = Vec::with_capacity(left.len());
        for Left { verification, before, after } in left {
            self.memory.put(self.number, before.as_ref(), &verification, after.clone());
            changed.push(Changed { id: verification.id(), version: verification.version, live: after });
        }
        let (number, batch) = (self.number, self.ledger.batches());
        Ok(Written { number, batch, changed, errands, deadlines: self.deadlines, changes: self.changes })
    }

    /// What is to be carried out once this turn is durable.
    fn errands(&mut self) -> Vec<Errand> {
        let asked = std::mem::take(&mut self.errands);
        let errand = |(id, message, attempt)| {
            let snapshot = self.snapshot_of(id).ok()?;
            Some(Errand { snapshot, message, attempt })
        };
        asked.into_iter().filter_map(errand).collect()
    }

    /// The rows for what this turn made of a verification. `None`: nothing that anybody would notice.
    fn leave(
        &mut self,
        id: VerificationId,
        working: Working,
        page: &mut journal::Page,
    ) -> Result<Option<Left>, StoreError> {
        let wanted = match self.memory.stands_at_gate(&working.state) {
            true => due_while_throttled(&working.state),
            false => due(&working.state),
        };
        let is_live = due(&working.state).is_some();
        let Working { state, policy, events, stored } = working;
        let State::Known(verification) = state else { return Ok(None) };
        self.changes.extend(changes(&verification, &events));
        if !events.is_empty() {
            let is_new = matches!(&stored, Stored::Nowhere);
            let novelty = if is_new { Novelty::New } else { Novelty::Known };
            self.ledger.note_change(Item::Verification(id), novelty);
        }
        let mut added = Vec::with_capacity(USUAL_EVENT_BYTES * events.len());
        commits::append(&mut added, &events);
        let (before, head, commits) = match &stored {
            Stored::Live(live) => (Some(live.clone()), live.head(), live.commits()),
            Stored::Nowhere | Stored::Kept(_) => (None, Head::default(), &[][..]),
        };
        let mut head = Head { version: verification.version, ..head };
        if let Some((at, _)) = wanted.filter(|_| is_live) {
            if events.is_empty() && before.as_ref().is_some_and(|before| before.head().due == at) {
                return Ok(None);
            }
            head.due = at;
            let after = match &stored {
                Stored::Kept(_) => self.revive(id, head, &added)?,
                Stored::Live(_) | Stored::Nowhere => {
                    if !events.is_empty() {
                        page.added(id, head.version + 1 - events.len() as u32, &added)?;
                        head.journal.get_or_insert(self.ledger.next_batch());
                    }
                    Live::new(head, commits, &added)
                }
            };
            return Ok(Some(Left { verification, before, after: Some(after) }));
        }
        if events.is_empty() && before.is_none() {
            return Ok(None);
        }
        self.insert_all(index::gathered(id, &Live::new(head, commits, &added))?);
        if before.is_some() {
            page.gathered(id);
            if head.kept > 0 {
                self.remove(&keys::live(id));
            }
        }
        let snapshot = Snapshot { verification: *verification, policy };
        if !matches!(&stored, Stored::Kept(before) if Facets::of(before) == Facets::of(&snapshot)) {
            self.insert_all(vec![index::facets(&snapshot)?]);
        }
        Ok(Some(Left { verification: Box::new(snapshot.verification), before, after: None }))
    }

    /// One that wanted nothing more wants something again: it goes on from the rows that it has.
    fn revive(&mut self, id: VerificationId, head: Head, added: &[u8]) -> Result<Live, StoreError> {
        let mut commits = Vec::new();
        commits::append(&mut commits, &self.ledger.sled()?.events(id)?);
        let grown = Live::new(Head { kept: length(&commits), ..head }, &commits, added);
        self.insert_all(index::gathered(id, &grown)?);
        self.insert_all(vec![(keys::live(id), Vec::new())]);
        self.remove(&keys::facets(id));
        Ok(Live::new(Head { kept: length(grown.commits()), ..head }, grown.commits(), &[]))
    }

    /// Where the journal is longer than it may be, what holds its oldest rows is gathered although it goes on.
    fn gather_oldest(&mut self, left: &[Left], page: &mut journal::Page) -> Result<Vec<Left>, StoreError> {
        let mut gathered = Vec::new();
        for (turn, key) in self.memory.journal.too_old() {
            // While sled is opened anew they become a little older.
            let Some(row) = self.ledger.row_of(turn, &key)? else { break };
            for entry in journal::read(&key, &row)? {
                let (Entry::Added { id, .. } | Entry::Gathered { id }) = entry;
                let is_at_hand = |left: &Left| left.verification.id() == id;
                let Some(live) = self.memory.live(id).filter(|live| live.head().journal == Some(turn)) else {
                    continue;
                };
                if left.iter().chain(&gathered).any(is_at_hand) {
                    continue;
                }
                let State::Known(verification) = live.state(id)? else { continue };
                self.insert_all(index::gathered(id, &live)?);
                self.insert_all(vec![(keys::live(id), Vec::new())]);
                page.gathered(id);
                let head = Head { journal: None, kept: length(live.commits()), ..live.head() };
                let after = Live::new(head, live.commits(), &[]);
                gathered.push(Left { verification, before: Some(live), after: Some(after) });
            }
        }
        Ok(gathered)
    }

    /// Adds this turn's page, and removes what is dead.
    fn keep_journal(&mut self, left: &[Left], page: &journal::Page) -> Result<(), StoreError> {
        let turn = self.ledger.next_batch();
        let rows = page.rows(turn)?;
        if !rows.is_empty() {
            self.memory.journal.add(turn, &rows);
            self.insert_all(rows);
        }
        for Left { before, after, .. } in left {
            let held = |live: &Option<Live>| live.as_ref().and_then(|live| live.head().journal);
            if held(before) != held(after) {
                held(after).into_iter().for_each(|turn| self.memory.journal.hold(turn));
                held(before).into_iter().for_each(|turn| self.memory.journal.let_go(turn));
            }
        }
        for key in self.memory.journal.take_dead() {
            self.remove(&key);
        }
        Ok(())
    }
}

impl Written {
    /// Shows the new states, now that they are durable, and gives back what is to be carried out because of them.
    pub fn publish(self, shared: &Shared, publisher: &mut Publisher, now: Timestamp) -> Vec<Errand> {
        if !self.deadlines.is_empty() {
            let lateness = metrics::histogram!("twotick_deadline_lateness_seconds");
            self.deadlines.iter().for_each(|&due| lateness.record(now.since(due).as_secs_f64()));
        }
        for Changed { id, version, live } in self.changed {
            shared.publish(id, version, live);
        }
        publisher.publish(self.changes);
        self.errands
    }
}

fn length(commits: &[u8]) -> u32 {
    u32::try_from(commits.len()).unwrap_or(u32::MAX)
}

fn unwritable(error: StoreError) -> WriteError {
    WriteError::Failed(error.to_string())
}
