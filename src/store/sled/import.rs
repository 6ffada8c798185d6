//! An export becomes a store. Every line is checked before the first is written; what is written is noted with it, so that
//! an import that stopped goes on where it was. Nothing that was under way is taken up again: the server that was exported
//! may have gone on since, so what was pending is expired or canceled, and nothing is sent.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::commits;
use super::export::{Commit, EXPORT_VERSION, Framed, Heading, Line, Way, sum};
use super::index::Entry;
use super::keys::{self, Row};
use super::offline::{Trouble, reindex_of};
use super::open::{Disk, OpenError};
use super::record;
use crate::store::{Policies, StoreError, step};
use crate::verification::due::due;
use crate::verification::values::{Sealed, Timestamp, VerificationId};
use crate::verification::{Command, Comparison, Event, Fact, State};

/// Rows that are made durable at once. Tests have few and want many batches.
const ROWS_AT_ONCE: usize = if cfg!(test) { 10 } else { 1_000 };
/// No line of ours is longer: a verification of 200 events, all with the longest titles.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// What came of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    pub verifications: u64,
    pub inbound: u64,
    pub audit: u64,
    /// Verifications that were pending, and whose time was over.
    pub expired: u64,
    /// Verifications that were pending and had time left.
    pub canceled: u64,
}

/// How far the import of one export, or the restoring of one backup, is; stands in the store with what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Note {
    pub name: String,
    pub lines: u64,
    pub whole: bool,
    pub done: Imported,
}

/// Whether the import of an export was begun here and is not finished.
pub fn is_half_done(disk: &Disk) -> Result<bool, StoreError> {
    Ok(note(disk)?.is_some_and(|note| !note.whole))
}

/// An export that is read from its beginning as often as it is asked for.
pub struct ExportFile<'a, R> {
    /// For what is said about it.
    pub name: &'a Path,
    /// Opens it, unpacked.
    pub open: &'a (dyn Fn() -> io::Result<R> + Sync),
}

/// Reads the export in `file` into the store in `path`, which is made; or goes on with that. Doing so again changes
/// nothing.
///
/// # Errors
/// Where the file is not whole, or was made under another master key, or the store holds something else.
pub fn import<R: Read>(
    path: &Path,
    key_id: [u8; 4],
    file: &ExportFile<'_, R>,
    now: Timestamp,
    progress: &mut dyn FnMut(Way),
) -> Result<Imported, OpenError> {
    let (heading, lines) = checked(file)?;
    if heading.key_id != key_id {
        return Err(OpenError::Input {
            reason: "the export was made under another master key: set [keys] master to that one".to_owned(),
        });
    }
    let disk = Disk::open_for_import(path, key_id)?;
    disk.guarded(|| {
        let note = begin(&disk, &heading.name)?;
        if note.whole {
            return Ok(note.done);
        }
        let policies = disk.policies()?;
        let mut import =
            Import { disk: &disk, batch: ::sled::Batch::default(), rows: 0, note, policies, now, progress };
        import.run(file, lines)?;
        Ok(import.note.done)
    })
}

/// Checks all there is to check of an export without a store. How many lines there are.
pub fn checked_export<R: Read>(file: &ExportFile<'_, R>) -> Result<u64, OpenError> {
    checked(file).map(|(_, lines)| lines)
}

/// Shows `visit` each verification of an export with what was sealed of its person. None of one that was made under
/// another master key.
pub fn people_of_export<R: Read>(
    file: &ExportFile<'_, R>,
    key_id: [u8; 4],
    visit: &mut dyn FnMut(VerificationId, &Sealed),
) -> Result<(), OpenError> {
    let mut lines = Lines::open(file).map_err(|source| file.unreadable(&source))?;
    while let Some(text) = lines.next().map_err(|source| file.unreadable(&source))? {
        let line = parsed(&text).map_err(|reason| file.wrong(lines.number, &reason))?;
        let commits = match line {
            Line::Verification { commits, .. } => commits,
            Line::Twotick(heading) if heading.key_id != key_id => return Ok(()),
            _other => continue,
        };
        let first = commits.first().and_then(|commit| commit.facts.first());
        if let Some(Fact::Requested { request, .. }) = first {
            visit(request.id, &request.person);
        }
    }
    Ok(())
}

impl<R> ExportFile<'_, R> {
    fn wrong(&self, number: u64, reason: &str) -> OpenError {
        let name = self.name.display();
        OpenError::Input { reason: format!("{name}, line {number}: {reason}; nothing was imported") }
    }

    fn unreadable(&self, source: &io::Error) -> OpenError {
        OpenError::Input { reason: format!("{} cannot be read: {source}", self.name.display()) }
    }
}

/// Where to go on with what is called so; only in a store that holds nothing else.
pub fn begin(disk: &Disk, name: &str) -> Result<Note, Trouble> {
    match note(disk)? {
        Some(note) if note.name == name => Ok(note),
        None if disk.is_unused()? => {
            Ok(Note { name: name.to_owned(), lines: 0, whole: false, done: Imported::default() })
        }
        Some(_) | None => {
            Err(Trouble::Input("the store is in use already: an empty folder is needed".to_owned()))
        }
    }
}

/// Ends what is live in a store whose rows are all there.
pub fn finish(disk: &Disk, now: Timestamp) -> Result<Imported, Trouble> {
    disk.gather_all()?;
    let policies = disk.policies()?;
    let mut done = note(disk)?.map(|note| note.done).unwrap_or_default();
    for row in disk.scan(&[Row::Live as u8]) {
        let id = keys::named(&row?.0)?;
        let mut events = disk.events(id)?;
        settle(&mut events, &policies, now, &mut done)?;
        let mut batch = ::sled::Batch::default();
        for row in disk.scan(&keys::events_of(id)) {
            batch.remove(row?.0);
        }
        rows_of_events(id, &events)?.into_iter().for_each(|(key, row)| batch.insert(key, row));
        batch.remove(keys::live(id));
        // What was counted is written with what it counts.
        if let Some(note) = note(disk)? {
            batch.insert(&keys::IMPORT, record::encode(&keys::IMPORT, &Note { done, ..note })?);
        }
        disk.write(batch, 4)?;
    }
    let mut next = disk.first_after(None)?;
    done.verifications = 0;
    while let Some(id) = next {
        done.verifications += 1;
        next = disk.first_after(Some(id))?;
    }
    done.inbound = count(disk, Row::Inbound)?;
    done.audit = count(disk, Row::Audit)?;
    Ok(done)
}

fn count(disk: &Disk, kind: Row) -> Result<u64, StoreError> {
    disk.scan(&[kind as u8]).try_fold(0, |count, row| row.map(|_| count + 1))
}

/// Notes that it is whole.
pub fn end(disk: &Disk, done: Imported) -> Result<(), Trouble> {
    let Some(note) = note(disk)? else { return Ok(()) };
    let mut batch = ::sled::Batch::default();
    batch.insert(&keys::IMPORT, record::encode(&keys::IMPORT, &Note { whole: true, done, ..note })?);
    Ok(disk.write(batch, 1)?)
}

fn note(disk: &Disk) -> Result<Option<Note>, StoreError> {
    disk.get(&keys::IMPORT)?.map(|row| record::decode(&keys::IMPORT, &row)).transpose()
}

/// Reads every line of a file and checks all there is to check of it without a store. How many lines there are.
fn checked<R: Read>(file: &ExportFile<'_, R>) -> Result<(Heading, u64), OpenError> {
    let wrong = |number: u64, reason: &str| file.wrong(number, reason);
    let mut lines = Lines::open(file).map_err(|source| file.unreadable(&source))?;
    let (mut heading, mut ended, mut hash) = (None, false, Sha256::new());
    while let Some(text) = lines.next().map_err(|source| file.unreadable(&source))? {
        let number = lines.number;
        let line = parsed(&text).map_err(|reason| wrong(number, &reason))?;
        match line {
            Line::Twotick(found) if number == 1 && found.version <= EXPORT_VERSION => heading = Some(found),
            Line::Twotick(found) if number == 1 => {
                let newer =
                    format!("it is of version {}, this twotick reads up to {EXPORT_VERSION}", found.version);
                return Err(wrong(number, &newer));
            }
            Line::End(end) if !ended => {
                if end.lines != number - 1 || end.sha256 != record::hex(&hash.clone().finalize()) {
                    return Err(wrong(number, "lines before it were changed or are missing"));
                }
                ended = true;
            }
            _other if heading.is_none() => return Err(wrong(number, "it is no export of twotick")),
            _other if ended => return Err(wrong(number, "there is something behind the end")),
            _other => {}
        }
        hash.update(&text);
    }
    match heading {
        Some(heading) if ended => Ok((heading, lines.number)),
        Some(_) => Err(wrong(lines.number, "the end is missing: the export was cut short")),
        None => Err(wrong(1, "it is no export of twotick")),
    }
}

fn parsed(text: &str) -> Result<Line, String> {
    // Only the kind of the error: its text could quote what is personal.
    let unclear = |error: serde_json::Error| format!("it cannot be read ({:?})", error.classify());
    let framed: Framed<'_> = serde_json::from_str(text).map_err(unclear)?;
    if framed.sum != sum(framed.line.get()) {
        return Err("its checksum is wrong".to_owned());
    }
    serde_json::from_str(framed.line.get()).map_err(unclear)
}

struct Lines<R> {
    reader: BufReader<R>,
    /// Of the line that was read last, from 1.
    number: u64,
}

impl<R: Read> Lines<R> {
    fn open(file: &ExportFile<'_, R>) -> io::Result<Self> {
        Ok(Self { reader: BufReader::new((file.open)()?), number: 0 })
    }

    /// With its end.
    fn next(&mut self) -> io::Result<Option<String>> {
        let mut text = String::new();
        let read = io::Read::take(&mut self.reader, LONGEST_LINE).read_line(&mut text)?;
        self.number += u64::from(read > 0);
        Ok((read > 0).then_some(text))
    }
}

struct Import<'a> {
    disk: &'a Disk,
    batch: ::sled::Batch,
    rows: usize,
    note: Note,
    policies: Policies,
    now: Timestamp,
    progress: &'a mut dyn FnMut(Way),
}

impl Import<'_> {
    fn run<R: Read>(&mut self, file: &ExportFile<'_, R>, lines: u64) -> Result<(), Trouble> {
        let unreadable =
            |error: io::Error| Trouble::Input(format!("{} cannot be read: {error}", file.name.display()));
        let mut read = Lines::open(file).map_err(unreadable)?;
        // From here until the end the store is not opened for anything else.
        self.note_and_write()?;
        while let Some(text) = read.next().map_err(unreadable)? {
            if read.number <= self.note.lines {
                continue;
            }
            let line = parsed(&text).map_err(Trouble::Input)?;
            self.take(line)?;
            self.note.lines = read.number;
            if self.rows >= ROWS_AT_ONCE {
                self.note_and_write()?;
                let thousandths = u16::try_from(read.number * 1_000 / lines.max(1)).unwrap_or(1_000);
                (self.progress)(Way { verifications: self.note.done.verifications, thousandths });
            }
        }
        self.note_and_write()?;
        reindex_of(self.disk, &mut |_| {})?;
        self.note.whole = true;
        self.note_and_write()?;
        (self.progress)(Way { verifications: self.note.done.verifications, thousandths: 1_000 });
        Ok(())
    }

    fn take(&mut self, line: Line) -> Result<(), Trouble> {
        match line {
            Line::Twotick(_) | Line::End(_) => {}
            Line::Policy(policy) => {
                self.put(keys::policy(policy.hash()), &*policy)?;
                self.policies.insert(policy.hash(), (*policy).into());
            }
            Line::Verification { id, commits } => self.verification(id, commits)?,
            Line::Inbound(message) => {
                self.put(keys::inbound(keys::position_of(&message)), &*message)?;
                self.note.done.inbound += 1;
            }
            Line::Alert(alert) => self.put(keys::alert(keys::position_of_alert(&alert)), &alert)?,
            Line::Idempotency(known) => {
                self.insert((keys::idempotency_by_time(known.at, known.key), Vec::new()));
                self.put(keys::idempotency(known.key), &known)?;
            }
            Line::Parked(parked) => {
                let word = parked.report.status.word();
                self.put(keys::parked(&parked.channel, parked.provider_ref.name(), word), &*parked)?;
            }
            Line::AuditAnchor(anchor) if anchor.seq == 0 => {}
            Line::AuditAnchor(anchor) => self.put(keys::AUDIT_ANCHOR.to_vec(), &anchor)?,
            Line::Audit { seq, link } => {
                self.put(keys::audit(seq), &link)?;
                self.note.done.audit += 1;
            }
            Line::AuditHead(head) if head.seq == 0 => {}
            Line::AuditHead(head) => self.put(keys::AUDIT_HEAD.to_vec(), &head)?,
        }
        Ok(())
    }

    fn verification(&mut self, id: VerificationId, commits: Vec<Commit>) -> Result<(), Trouble> {
        let mut events: Vec<Event> = Vec::new();
        for Commit { at, facts } in commits {
            events.extend(facts.into_iter().map(|fact| Event { at, fact }));
        }
        settle(&mut events, &self.policies, self.now, &mut self.note.done)?;
        for (key, row) in rows_of_events(id, &events)? {
            self.insert((key, row));
        }
        self.note.done.verifications += 1;
        Ok(())
    }

    fn put<T: Serialize>(&mut self, key: Vec<u8>, content: &T) -> Result<(), StoreError> {
        let row = record::encode(&key, content)?;
        self.insert((key, row));
        Ok(())
    }

    fn insert(&mut self, (key, row): Entry) {
        self.batch.insert(key, row);
        self.rows += 1;
    }

    fn note_and_write(&mut self) -> Result<(), Trouble> {
        let row = record::encode(&keys::IMPORT, &self.note)?;
        self.insert((keys::IMPORT.to_vec(), row));
        let (batch, rows) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.rows));
        Ok(self.disk.write(batch, rows)?)
    }
}

/// What was under way ends here: attempts without an outcome are in doubt, and what is pending is over.
fn settle(
    events: &mut Vec<Event>,
    policies: &Policies,
    now: Timestamp,
    done: &mut Imported,
) -> Result<(), Trouble> {
    let mut state = State::fold(&*events);
    let State::Known(verification) = &state else {
        return Err(Trouble::Input("a verification does not begin with a request".to_owned()));
    };
    if due(&state).is_none() {
        return Ok(());
    }
    let policy = policies.get(&verification.request.policy).cloned();
    let policy = policy.ok_or_else(|| Trouble::Input("a policy is missing".to_owned()))?;
    let (was_pending, is_over) = (verification.is_pending(), now >= verification.expires_at);
    // Of one whose time is over a check only finds that.
    let ending = if is_over { Command::Check(Comparison::Differ) } else { Command::Cancel };
    // The processes that wrote the export have no part in this store.
    let interrupts = verification.runners().into_iter().map(|gone| Command::Interrupt { gone });
    for command in interrupts.chain([ending]).collect::<Vec<_>>() {
        // Refused is what has ended before.
        if let Ok(more) = step(&mut state, &policy, &command, now) {
            events.extend(more);
        }
    }
    if was_pending {
        *(if is_over { &mut done.expired } else { &mut done.canceled }) += 1;
    }
    Ok(())
}

/// The rows of all events of one verification that wants nothing more.
fn rows_of_events(id: VerificationId, events: &[Event]) -> Result<Vec<Entry>, StoreError> {
    let mut bytes = Vec::new();
    commits::append(&mut bytes, events);
    let unreadable = |error| record::unreadable(&keys::events_of(id), &error);
    let mut first = 1;
    let row = |(commits, events): (&[u8], u32)| {
        let key = keys::events(id, first);
        first += events;
        let row = record::encode_compact(&key, commits)?;
        Ok((key, row))
    };
    commits::split(&bytes, record::MAX_CONTENT_BYTES).map_err(unreadable)?.into_iter().map(row).collect()
}
