//! Forgetting a person: a bounded share of what there is of them at a time.

use std::collections::BTreeSet;

use super::turn::Turn;
use super::{Change, Known, Lookup};
use crate::store::{Answer, LogPosition};
use crate::verification::Command;
use crate::verification::values::{NumberIndex, VerificationId};

/// Verifications and inbound messages of a number that one order forgets: each is read and folded.
const FORGOTTEN_AT_ONCE: usize = 32;

impl<L: Lookup> Turn<'_, L> {
    /// Names that are known through others go first, and of each name last the record that teaches that it is the
    /// person's: so the rest is found again, also after a crash.
    pub(super) fn forget(&mut self, name: NumberIndex) -> Known<Answer> {
        let person = self.person(name)?;
        for (name, through) in person.ways().rev() {
            // One more than goes at once, so that something is left beside the teacher.
            let (mut messages, mut ids) = self.some_of(name, FORGOTTEN_AT_ONCE + 1)?;
            let teacher = match through {
                Some(through) => self.lookup.taught_by(name, through)?,
                None => None,
            };
            if let Some(teacher) = teacher
                && messages.len() + ids.len() > 1
            {
                messages.retain(|position| *position != teacher);
                ids.retain(|id| id.to_bytes() != teacher);
            }
            messages.truncate(FORGOTTEN_AT_ONCE);
            ids.truncate(FORGOTTEN_AT_ONCE - messages.len());
            for &id in &ids {
                self.load(id)?;
            }
            let mut forgotten = messages.len();
            for id in ids {
                forgotten +=
                    usize::from(self.run(id, &Command::Erase)?.is_ok_and(|events| !events.is_empty()));
            }
            for position in messages {
                self.lookup.make(Change::InboundRemoved(position))?;
            }
            if forgotten > 0 {
                return Ok(Answer::Forgotten(forgotten));
            }
        }
        Ok(Answer::Forgotten(0))
    }

    /// Inbound messages and verifications of one name, at most so many of each.
    fn some_of(&mut self, name: NumberIndex, most: usize) -> Known<(Vec<LogPosition>, Vec<VerificationId>)> {
        let messages = self.lookup.inbound_of(name, most)?;
        let mut ids: BTreeSet<_> = self.lookup.live_of(name).into_iter().collect();
        ids.extend(self.lookup.verifications_of(name, VerificationId::first_at(Default::default()), most)?);
        Ok((messages, ids.into_iter().collect()))
    }
}
