//! What the store's thread must have in memory, read when the store is opened.

use super::by_id::ById;
use super::chain::Head;
use super::journal::{self, Entry, Journal};
use super::keys::{self, Row};
use super::live::{self, Live};
use super::offline::Trouble;
use super::open::{self, Disk, OpenError};
use super::record::{self, damaged};
use super::{commits, index};
use crate::store::parked::Parked;
use crate::store::{LogPosition, Policies, StoreError};
use crate::verification::due::due_of;
use crate::verification::values::{NumberIndex, Runner, Timestamp, VerificationId};
use crate::verification::{Event, State};

/// Verifications that are gathered in one batch while no server runs, and rows of the journal removed in one.
const GATHERED_AT_ONCE: usize = if cfg!(test) { 5 } else { 500 };

/// What was found on opening.
pub struct Found {
    pub policies: Policies,
    pub live: Vec<FoundLive>,
    pub parked: Vec<Parked>,
    /// Where the alerts stand.
    pub alerts: Vec<LogPosition>,
    pub audit: Head,
    pub journal: Journal,
    /// The verifications with attempts in progress, and the runners of those.
    pub in_progress: Vec<(VerificationId, Runner)>,
}

pub struct FoundLive {
    pub id: VerificationId,
    pub live: Live,
    /// Of which number it is, if it is pending.
    pub pending_for: Option<NumberIndex>,
}

impl Disk {
    /// Everything that must be in memory: policies, live verifications, parked reports. A live mark without a
    /// verification, or any record that cannot be read, is damage.
    pub fn load(&self) -> Result<Found, OpenError> {
        self.guarded(|| {
            let policies = self.policies()?;
            let mut in_progress = Vec::new();
            let (live, journal) = self.live(&policies, &mut in_progress)?;
            open::free_what_was_replaced(live.len());
            let (parked, alerts) = (self.parked()?, self.alerts()?);
            Ok(Found { policies, live, parked, alerts, audit: self.audit_head()?, journal, in_progress })
        })
    }

    /// Those that want something, from the journal and from what was gathered of the ones that are marked.
    fn live(
        &self,
        policies: &Policies,
        in_progress: &mut Vec<(VerificationId, Runner)>,
    ) -> Result<(Vec<FoundLive>, Journal), StoreError> {
        let (mut growing, mut journal) = self.journal()?;
        // Of a million, what a list would double is not given back to the system.
        let mut live = Vec::with_capacity(growing.len());
        for row in self.scan(&[Row::Live as u8]) {
            let (key, _) = row?;
            let id = keys::named(&key)?;
            let kept = self.events(id)?;
            if kept.is_empty() {
                return Err(damaged(&key, "the verification it marks as live has no events"));
            }
            live.push(found_live(id, behind(&kept, growing.remove(&id)), policies, in_progress)?);
        }
        for (id, grown) in growing {
            live.push(found_live(id, grown, policies, in_progress)?);
        }
        live.iter().filter_map(|found| found.live.head().journal).for_each(|turn| journal.hold(turn));
        Ok((live, journal))
    }

    /// What was not gathered yet. Each is held as it will be, so that a start takes no more memory than what it finds.
    fn journal(&self) -> Result<(ById<Live>, Journal), StoreError> {
        let (mut growing, mut journal) = (ById::<Live>::default(), Journal::default());
        for row in self.scan(&[Row::Journal as u8]) {
            let (key, value) = row?;
            let (turn, _) = keys::journal_place(&key).ok_or_else(|| damaged(&key, "it names no turn"))?;
            journal.add_part(turn, 1, value.len() as u64);
            for entry in journal::read(&key, &value)? {
                match entry {
                    Entry::Gathered { id } => drop(growing.remove(&id)),
                    Entry::Added { id, first, commits } => {
                        let before = growing.remove(&id);
                        let head = match &before {
                            Some(before) => before.head(),
                            None => live::Head {
                                journal: Some(turn),
                                version: first.saturating_sub(1),
                                ..live::Head::default()
                            },
                        };
                        if head.version.saturating_add(1) != first {
                            return Err(damaged(&key, MISSING));
                        }
                        let count =
                            commits::count(commits).map_err(|error| record::unreadable(&key, &error))?;
                        let head = live::Head { version: head.version.saturating_add(count), ..head };
                        let before = before.as_ref().map_or(&[][..], Live::commits);
                        growing.insert(id, Live::new(head, before, commits));
                    }
                }
            }
        }
        Ok((growing, journal))
    }

    /// Leaves nothing in the journal: what is live stands in rows of its own, marked as live. For what is done while
    /// no server runs, which then finds every verification in its rows.
    pub fn gather_all(&self) -> Result<(), Trouble> {
        let (live, mut journal) = self.live(&self.policies()?, &mut Vec::new())?;
        let waiting: Vec<_> = live.iter().filter(|found| found.live.head().journal.is_some()).collect();
        for some in waiting.chunks(GATHERED_AT_ONCE) {
            let (mut batch, mut count) = (::sled::Batch::default(), 0);
            let mut page = journal::Page::default();
            let mut insert = |(key, row): index::Entry| {
                batch.insert(key, row);
                count += 1;
            };
            for found in some {
                index::gathered(found.id, &found.live)?.into_iter().for_each(&mut insert);
                insert((keys::live(found.id), Vec::new()));
                page.gathered(found.id);
            }
            let rows = page.rows(self.next_batch())?;
            journal.add(self.next_batch(), &rows);
            rows.into_iter().for_each(&mut insert);
            self.write(batch, count)?;
        }
        let dead: Vec<_> = journal.rows().collect();
        for some in dead.chunks(GATHERED_AT_ONCE) {
            let mut batch = ::sled::Batch::default();
            some.iter().for_each(|key| batch.remove(&**key));
            self.write(batch, some.len())?;
        }
        Ok(())
    }

    fn alerts(&self) -> Result<Vec<LogPosition>, StoreError> {
        let position = |row: Result<(::sled::IVec, ::sled::IVec), StoreError>| {
            let (key, _) = row?;
            keys::trailing_id(&key).ok_or_else(|| damaged(&key, "it names no alert"))
        };
        self.scan(&[Row::Alert as u8]).map(position).collect()
    }

    fn parked(&self) -> Result<Vec<Parked>, StoreError> {
        self.scan(&[Row::Parked as u8])
            .map(|row| row.and_then(|(key, value)| record::decode(&key, &value)))
            .collect()
    }
}

/// `kept` are the events in rows of its own, `grown` those that came after.
fn behind(kept: &[Event], grown: Option<Live>) -> Live {
    let mut commits = Vec::new();
    commits::append(&mut commits, kept);
    let version = u32::try_from(kept.len()).unwrap_or(u32::MAX);
    let head = grown.as_ref().map_or(live::Head { version, ..live::Head::default() }, Live::head);
    let head = live::Head { kept: u32::try_from(commits.len()).unwrap_or(u32::MAX), ..head };
    Live::new(head, &commits, grown.as_ref().map_or(&[], Live::commits))
}

fn found_live(
    id: VerificationId,
    live: Live,
    policies: &Policies,
    in_progress: &mut Vec<(VerificationId, Runner)>,
) -> Result<FoundLive, StoreError> {
    let (state, version) = (live.state(id)?, live.head().version);
    let verification = match state {
        State::Known(verification) if verification.version == version => verification,
        State::New if commits::count(live.commits()).is_ok_and(|count| count == version) => {
            return Err(damaged(&keys::events_of(id), "it does not begin with a request"));
        }
        State::Known(_) | State::New => return Err(damaged(&keys::events_of(id), MISSING)),
    };
    live::policy_of(&verification, policies)?;
    // One that wants nothing is attended to at once, which finds that out and gathers it.
    in_progress.extend(verification.runners().into_iter().map(|runner| (id, runner)));
    let due = due_of(&verification).map_or(Timestamp::default(), |(at, _)| at);
    Ok(FoundLive {
        id,
        live: live.due_at(due),
        pending_for: verification.is_pending().then_some(verification.request.number),
    })
}

const MISSING: &str = "events before it are missing";
