//! Reads a dump into an empty store.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::error::{OpenError, Trouble};
use super::super::index::{self, Entry};
use super::super::keys::{self, Row};
use super::super::offline::reindex_of;
use super::super::open::{Folder, guarded, is_unused};
use super::super::record;
use super::super::table::{Rows, Table};
use super::key_of;
use crate::store::dump::{
    self, Checked, DumpFile, DumpProgress, Imported, Item, Line, Settled, Unreadable, Unsettled, settle,
};
use crate::store::{Idempotency, StoreError, stream};
use crate::verification::Event;
use crate::verification::values::{Timestamp, VerificationId};

/// Rows that an import makes durable at once.
const ROWS_AT_ONCE: usize = 1_000;

/// Progress of the import of one dump, as it stands in the store.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    name: String,
    lines: u64,
    whole: bool,
    done: Imported,
}

/// Whether an import was begun in this store and is not finished.
pub fn is_half_imported(table: &Table) -> Result<bool, StoreError> {
    Ok(note(table)?.is_some_and(|note| !note.whole))
}

/// Reads a dump into the store in `path`, which is made where it is missing, or resumes that. What was pending ends, and
/// nothing is sent. A second import of the same dump changes nothing.
///
/// # Errors
/// Where the dump was made under another master key, or the store holds something else.
pub fn import<R: Read>(
    path: &Path,
    key_id: [u8; 4],
    file: &DumpFile<'_, R>,
    checked: &Checked,
    now: Timestamp,
    progress: &mut dyn FnMut(DumpProgress),
) -> Result<Imported, OpenError> {
    import_in_steps(ROWS_AT_ONCE, path, key_id, (file, checked), now, progress)
}

/// The same, with so many rows made durable at once.
pub fn import_in_steps<R: Read>(
    rows_at_once: usize,
    path: &Path,
    key_id: [u8; 4],
    (file, checked): (&DumpFile<'_, R>, &Checked),
    now: Timestamp,
    progress: &mut dyn FnMut(DumpProgress),
) -> Result<Imported, OpenError> {
    if checked.heading.key_id != key_id {
        return Err(OpenError::Input {
            reason: "the file was made under another master key: set [keys] master to that one".to_owned(),
        });
    }
    let (mut table, held) = Folder::open_for_import(path, key_id)?.saved()?;
    guarded(&held.path, || {
        let note = begin(&table, &checked.heading.name)?;
        if note.whole {
            return Ok(note.done);
        }
        let rows = Rows::default();
        Import { table: &mut table, rows_at_once, rows, note, now }.run(file, checked.lines(), progress)
    })
}

/// Where to go on with this dump; only in a store that holds nothing else.
fn begin(table: &Table, name: &str) -> Result<Note, Trouble> {
    match note(table)? {
        Some(note) if note.name == name => Ok(note),
        None if is_unused(table)? => {
            Ok(Note { name: name.to_owned(), lines: 0, whole: false, done: Imported::default() })
        }
        Some(_) | None => {
            Err(Trouble::Input("the store is in use already: an empty folder is needed".to_owned()))
        }
    }
}

fn note(table: &Table) -> Result<Option<Note>, StoreError> {
    table.get(&keys::IMPORT)?.map(|row| record::decode(&keys::IMPORT, &row)).transpose()
}

struct Import<'a> {
    table: &'a mut Table,
    rows_at_once: usize,
    rows: Rows,
    note: Note,
    now: Timestamp,
}

impl Import<'_> {
    fn run<R: Read>(
        mut self,
        file: &DumpFile<'_, R>,
        lines: u64,
        progress: &mut dyn FnMut(DumpProgress),
    ) -> Result<Imported, Trouble> {
        // From here until the end the store is not opened for anything else.
        self.write()?;
        let mut verifications = 0;
        file.read(&mut |number, line| {
            verifications += u64::from(matches!(line, Line::Verification { .. }));
            if number <= self.note.lines {
                return Ok(());
            }
            self.take(line)?;
            self.note.lines = number;
            if self.rows.len() >= self.rows_at_once {
                self.write()?;
                let thousandths = u16::try_from(number * 1_000 / lines.max(1)).unwrap_or(1_000);
                progress(DumpProgress { verifications, thousandths });
            }
            Ok::<_, Trouble>(())
        })?;
        self.write()?;
        self.settle_all()?;
        let found = reindex_of(self.table, &mut |_| {})?;
        let audit = self.count(Row::Audit)?;
        let (verifications, inbound) = (found.verifications, found.inbound);
        self.note.done = Imported { verifications, inbound, audit, ..self.note.done };
        self.note.whole = true;
        self.write()?;
        progress(DumpProgress { verifications, thousandths: 1_000 });
        Ok(self.note.done)
    }

    fn count(&self, kind: Row) -> Result<u64, StoreError> {
        self.table.scan(&[kind as u8])?.try_fold(0, |count, row| row.map(|_| count + 1))
    }

    fn take(&mut self, line: Line) -> Result<(), Trouble> {
        match line {
            Line::Twotick(_) | Line::End(_) | Line::Aborted(_) => {}
            Line::Policy(policy) => self.put(keys::policy(policy.hash()), &*policy)?,
            // A later line holds the events of an earlier one and more, so it replaces all of its rows.
            Line::Verification { id, commits } => self.put_events(id, &dump::events(commits))?,
            Line::Inbound(message) => self.put(keys::inbound(keys::position_of(&message)), &*message)?,
            Line::Alert(alert) => self.put(keys::alert(keys::position_of_alert(&alert)), &*alert)?,
            Line::Idempotency(known) => {
                self.insert((keys::idempotency_by_time(known.at, known.key), Vec::new()));
                self.put(keys::idempotency(known.key), &known)?;
            }
            Line::Parked(parked) => {
                let word = parked.report.status.word();
                self.put(keys::parked(&parked.channel, parked.provider_ref.name(), word), &*parked)?;
            }
            Line::Audit { seq, link } => self.put(keys::audit(seq), &link)?,
            Line::AuditAnchor(head) | Line::AuditHead(head) if head.seq == 0 => {}
            Line::AuditAnchor(anchor) => self.put(keys::AUDIT_ANCHOR.to_vec(), &anchor)?,
            Line::AuditHead(head) => self.put(keys::AUDIT_HEAD.to_vec(), &head)?,
            Line::Gone(item) => self.remove(&item)?,
        }
        Ok(())
    }

    fn remove(&mut self, item: &Item) -> Result<(), Trouble> {
        // Its rows may be among those that wait.
        self.write()?;
        let key = key_of(item);
        if let Item::Idempotency(_) = item
            && let Some(row) = self.table.get(&key)?
        {
            let known: Idempotency = record::decode(&key, &row)?;
            self.rows.remove(&keys::idempotency_by_time(known.at, known.key));
        }
        for row in self.table.scan(&key)? {
            self.rows.remove(&row?.0);
        }
        Ok(())
    }

    /// Ends what was live, now that every line was read.
    fn settle_all(&mut self) -> Result<(), Trouble> {
        let policies = self.table.policies()?;
        let mut next = self.table.first_after(None)?;
        while let Some(id) = next {
            let mut events = self.table.events(id)?;
            let done = &mut self.note.done;
            match settle(&mut events, &policies, self.now)? {
                Settled::Already => {}
                settled @ (Settled::Ended | Settled::Expired | Settled::Canceled) => {
                    done.expired += u64::from(settled == Settled::Expired);
                    done.canceled += u64::from(settled == Settled::Canceled);
                    self.put_events(id, &events)?;
                }
            }
            if self.rows.len() >= self.rows_at_once {
                self.write()?;
            }
            next = self.table.first_after(Some(id))?;
        }
        self.write()
    }

    fn put_events(&mut self, id: VerificationId, events: &[Event]) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        stream::append(&mut bytes, events);
        index::events(id, 1, &bytes)?.into_iter().for_each(|entry| self.insert(entry));
        Ok(())
    }

    fn put<T: Serialize>(&mut self, key: Vec<u8>, content: &T) -> Result<(), StoreError> {
        let row = record::encode(&key, content)?;
        self.insert((key, row));
        Ok(())
    }

    fn insert(&mut self, (key, row): Entry) {
        self.rows.insert(&key, &row);
    }

    /// Makes durable what waits, with the note of how far the import is.
    fn write(&mut self) -> Result<(), Trouble> {
        let row = record::encode(&keys::IMPORT, &self.note)?;
        self.insert((keys::IMPORT.to_vec(), row));
        let rows = std::mem::take(&mut self.rows);
        Ok(self.table.write(rows)?)
    }
}

impl From<Unreadable> for Trouble {
    fn from(error: Unreadable) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<Unsettled> for Trouble {
    fn from(error: Unsettled) -> Self {
        Self::Input(error.to_string())
    }
}
