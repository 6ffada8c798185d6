//! What turns add to verifications that go on, one row a turn.
//!
//! A report touches a verification that was made seconds ago, and no two reports of a turn touch the same. Were each
//! event a row beside its verification's others, each would change a page of its own. So a turn's events stand
//! together in one row behind the turn before, and a verification's events are gathered in one row of its own when it
//! wants nothing more; until then they are in memory. What was gathered is dead in the journal, and rows go from its old
//! end when all in them is dead. One that wants something for so long that it would hold up the others is gathered
//! early, and marked as live.

use std::collections::VecDeque;

use minicbor::{Decode, Decoder, Encoder};

use super::index::Entry as KeyAndRow;
use super::record::{self, MAX_CONTENT_BYTES};
use super::{commits, keys};
use crate::store::StoreError;
use crate::verification::values::VerificationId;

/// The journal is read whole on opening, at about 100 MB a second, and what it holds is in memory beside it.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Dead rows that one turn removes; more than one turn adds.
const ROWS_REMOVED: usize = 16;
/// Turns whose verifications one turn gathers: more than it adds, because there are turns that gather none.
const TURNS_GATHERED: usize = 2;
/// What an entry takes beside its events: three numbers and an id.
const ENTRY_HEAD_BYTES: usize = 32;
/// Events of one verification that one entry holds at most.
const MOST_COMMITS_BYTES: usize = MAX_CONTENT_BYTES - ENTRY_HEAD_BYTES;

/// One thing that a turn says of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// It has these events more, the first of them with this number.
    Added { id: VerificationId, first: u32, commits: &'a [u8] },
    /// All events up to here stand in rows of its own.
    Gathered { id: VerificationId },
}

/// The entries of one turn, as content of as few rows as hold them.
#[derive(Default)]
pub struct Page {
    parts: Vec<Vec<u8>>,
}

impl Page {
    /// It has the events `commits` more, the first of them with the number `first`.
    pub fn added(&mut self, id: VerificationId, first: u32, commits: &[u8]) -> Result<(), StoreError> {
        if commits.len() <= MOST_COMMITS_BYTES {
            self.push(Entry::Added { id, first, commits });
            return Ok(());
        }
        let unreadable = |error| record::unreadable(&keys::events(id, first), &error);
        let mut first = first;
        for (commits, events) in commits::split(commits, MOST_COMMITS_BYTES).map_err(unreadable)? {
            self.push(Entry::Added { id, first, commits });
            first += events;
        }
        Ok(())
    }

    /// All its events stand in rows of its own.
    pub fn gathered(&mut self, id: VerificationId) {
        self.push(Entry::Gathered { id });
    }

    fn push(&mut self, entry: Entry<'_>) {
        let size = match entry {
            Entry::Added { commits, .. } => ENTRY_HEAD_BYTES + commits.len(),
            Entry::Gathered { .. } => ENTRY_HEAD_BYTES,
        };
        let has_room = |part: &Vec<u8>| part.len() + size <= MAX_CONTENT_BYTES;
        if !self.parts.last().is_some_and(has_room) {
            self.parts.push(Vec::with_capacity(MAX_CONTENT_BYTES / 2));
        }
        if let Some(part) = self.parts.last_mut() {
            // A vector takes every byte.
            let _ = write(part, entry);
        }
    }

    /// Keys and rows of the turn with this number.
    pub fn rows(&self, turn: u64) -> Result<Vec<KeyAndRow>, StoreError> {
        let part = |(part, content): (usize, &Vec<u8>)| {
            let key = keys::journal(turn, u8::try_from(part).map_err(|_| StoreError::TooLarge)?);
            let row = record::encode_compact(&key, content)?;
            Ok((key, row))
        };
        self.parts.iter().enumerate().map(part).collect()
    }
}

fn write(
    part: &mut Vec<u8>,
    entry: Entry<'_>,
) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    let mut encoder = Encoder::new(part);
    match entry {
        Entry::Added { id, first, commits } => {
            encoder.array(3)?.encode(id)?.u32(first)?.bytes(commits)?;
        }
        Entry::Gathered { id } => {
            encoder.array(1)?.encode(id)?;
        }
    }
    Ok(())
}

/// What a row of the journal says.
pub fn read<'a>(key: &[u8], row: &'a [u8]) -> Result<Vec<Entry<'a>>, StoreError> {
    let content = record::decode_compact(key, row)?;
    let mut decoder = Decoder::new(content);
    let mut entries = Vec::new();
    while decoder.position() < content.len() {
        entries.push(read_one(&mut decoder).map_err(|error| record::unreadable(key, &error))?);
    }
    Ok(entries)
}

fn read_one<'a>(decoder: &mut Decoder<'a>) -> Result<Entry<'a>, minicbor::decode::Error> {
    let parts = decoder.array()?;
    let id = VerificationId::decode(decoder, &mut ())?;
    match parts {
        Some(1) => Ok(Entry::Gathered { id }),
        Some(3) => Ok(Entry::Added { id, first: decoder.u32()?, commits: decoder.bytes()? }),
        Some(_) | None => Err(minicbor::decode::Error::message("an entry has one part or three")),
    }
}

/// Which rows there are, and how many verifications have their oldest events that were not gathered in each.
#[derive(Default)]
pub struct Journal {
    turns: VecDeque<TurnRows>,
    bytes: u64,
}

struct TurnRows {
    turn: u64,
    parts: u8,
    bytes: u64,
    held_by: u32,
}

impl Journal {
    /// The next turn's rows, which are younger than all others.
    pub fn add(&mut self, turn: u64, rows: &[KeyAndRow]) {
        let bytes = rows.iter().map(|(_, row)| row.len() as u64).sum();
        self.add_part(turn, u8::try_from(rows.len()).unwrap_or(u8::MAX), bytes);
    }

    /// As it is found on opening: rows in order.
    pub fn add_part(&mut self, turn: u64, parts: u8, bytes: u64) {
        self.bytes += bytes;
        match self.turns.back_mut() {
            Some(last) if last.turn == turn => {
                last.parts += parts;
                last.bytes += bytes;
            }
            Some(_) | None => self.turns.push_back(TurnRows { turn, parts, bytes, held_by: 0 }),
        }
    }

    pub fn hold(&mut self, turn: u64) {
        if let Some(rows) = self.rows_of(turn) {
            rows.held_by += 1;
        }
    }

    pub fn let_go(&mut self, turn: u64) {
        if let Some(rows) = self.rows_of(turn) {
            rows.held_by = rows.held_by.saturating_sub(1);
        }
    }

    fn rows_of(&mut self, turn: u64) -> Option<&mut TurnRows> {
        self.turns.binary_search_by_key(&turn, |rows| rows.turn).ok().and_then(|at| self.turns.get_mut(at))
    }

    /// Keys of the oldest rows in which nothing is alive; they are forgotten here.
    pub fn take_dead(&mut self) -> Vec<Vec<u8>> {
        let mut dead = Vec::new();
        while dead.len() < ROWS_REMOVED
            && let Some(oldest) = self.turns.pop_front_if(|oldest| oldest.held_by == 0)
        {
            self.bytes -= oldest.bytes;
            dead.extend((0..oldest.parts).map(|part| keys::journal(oldest.turn, part)));
        }
        dead
    }

    /// Turns and keys of the oldest rows, if the journal is longer than it may be.
    pub fn too_old(&self) -> Vec<(u64, Vec<u8>)> {
        let mut bytes = self.bytes;
        let is_too_many = |rows: &&TurnRows| {
            let before = bytes;
            bytes -= rows.bytes;
            before > MOST_BYTES
        };
        let oldest = self.turns.iter().take(TURNS_GATHERED).take_while(is_too_many);
        oldest
            .flat_map(|rows| (0..rows.parts).map(|part| (rows.turn, keys::journal(rows.turn, part))))
            .collect()
    }

    /// Keys of all rows, the oldest first.
    pub fn rows(&self) -> impl Iterator<Item = Vec<u8>> {
        self.turns.iter().flat_map(|rows| (0..rows.parts).map(|part| keys::journal(rows.turn, part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::values::{Bucket, Timestamp};

    fn id(n: u64) -> VerificationId {
        VerificationId::new(Timestamp::from_millis(1_795_000_000_000), Bucket::new(7), n)
    }

    #[test]
    fn entries_come_out_as_they_went_in_over_as_many_rows_as_they_need() {
        let mut page = Page::default();
        let commits = vec![5; 900];
        let entries: Vec<_> = (0..100)
            .map(|n| match n % 3 {
                0 => Entry::Gathered { id: id(n) },
                _ => Entry::Added { id: id(n), first: n as u32, commits: &commits[..n as usize * 9] },
            })
            .collect();
        entries.iter().for_each(|&entry| page.push(entry));
        let rows = page.rows(77).unwrap();
        assert!(rows.len() > 1);
        let mut found = Vec::new();
        for (part, (key, row)) in rows.iter().enumerate() {
            assert_eq!(keys::journal_place(key), Some((77, part as u8)));
            found.extend(read(key, row).unwrap());
        }
        assert_eq!(found, entries);
    }

    #[test]
    fn rows_go_from_the_old_end_when_nobody_holds_them() {
        let row = |turn| vec![(keys::journal(turn, 0), vec![0; 100])];
        let mut journal = Journal::default();
        for turn in [3, 5, 6] {
            journal.add(turn, &row(turn));
            journal.hold(turn);
        }
        journal.let_go(5);
        assert!(journal.take_dead().is_empty(), "one before it is held");
        journal.let_go(3);
        assert_eq!(journal.take_dead(), [keys::journal(3, 0), keys::journal(5, 0)]);
        assert_eq!(journal.bytes, 100);
        journal.let_go(6);
        assert_eq!(journal.take_dead(), [keys::journal(6, 0)]);
        assert_eq!(journal.bytes, 0);
    }
}
