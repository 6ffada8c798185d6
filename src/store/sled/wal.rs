//! The write-ahead log. A turn is one record of it, made durable by one `fdatasync` of a file that mostly keeps its
//! length; sled is given the same rows right afterwards and makes them durable in its own time. So nobody waits for
//! sled's writes, and while sled is opened anew turns go on without it. What a process leaves here the next opening gives
//! to sled.
//!
//! There are two files: while sled makes durable what one holds, turns go on in the other, over what it held before.
//! Records stand one behind the other, each with a checksum, in the order of their numbers. The first one that is not
//! whole, or does not follow the one before, is the end: nothing behind it was ever synced. That nothing durable is
//! missing is told by the count of batches that is kept in the file `lock`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::open::WriteError;
use super::rows::Rows;
use crate::failpoint;

/// The names of its files in the data folder.
const NAMES: [&str; 2] = ["wal.0", "wal.1"];
/// Before the content: its length and its checksum in four bytes each, the number of the batch in eight.
const HEAD_BYTES: usize = 16;

/// A batch that sled does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub batch: u64,
    pub rows: Rows,
}

/// The log, being written.
pub struct Wal {
    /// The first of them is written.
    files: [Arc<File>; 2],
    bytes: u64,
}

impl Wal {
    /// An empty one, whatever was in it.
    pub fn begin(folder: &Path) -> io::Result<Self> {
        let are_new = NAMES.iter().any(|name| !folder.join(name).exists());
        let open = |name| File::options().write(true).create(true).truncate(true).open(folder.join(name));
        let files = [Arc::new(open(NAMES[0])?), Arc::new(open(NAMES[1])?)];
        if are_new {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { files, bytes: 0 })
    }

    /// Gives a batch to the kernel: durable once [`Wal::file`] is synced.
    pub fn append(&mut self, missing: &Missing) -> Result<(), WriteError> {
        let record = record(missing);
        self.files[0].write_all_at(&record, self.bytes).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::Full,
            _ => WriteError::Failed(format!("the write-ahead log: {error}")),
        })?;
        failpoint::reach("wal.appended");
        self.bytes += record.len() as u64;
        Ok(())
    }

    /// Bytes that were appended since it was turned.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is written now.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.files[0])
    }

    /// Goes on in the other file, over what stands there: sled has it, durably.
    pub fn turn_over(&mut self) {
        self.files.swap(0, 1);
        self.bytes = 0;
    }

    /// Of what sled has, durably.
    pub fn empty(&self) -> io::Result<()> {
        self.files.iter().try_for_each(|file| file.set_len(0))
    }
}

/// The batches behind number `after`, in order, as far as none is missing between them.
pub fn read(folder: &Path, after: u64) -> io::Result<Vec<Missing>> {
    let mut all = Vec::new();
    for name in NAMES {
        let content = match std::fs::read(folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            content => content?,
        };
        all.extend(records(&content));
    }
    all.sort_by_key(|missing: &Missing| missing.batch);
    all.retain(|missing| missing.batch > after);
    let whole = all.iter().zip(after + 1..).take_while(|(missing, number)| missing.batch == *number).count();
    all.truncate(whole);
    Ok(all)
}

/// The records of one file, up to the first that is not whole or does not follow.
fn records(mut log: &[u8]) -> Vec<Missing> {
    let mut all = Vec::<Missing>::new();
    while let Some((missing, behind)) = first_of(log) {
        if all.last().is_some_and(|before| before.batch + 1 != missing.batch) {
            break;
        }
        all.push(missing);
        log = behind;
    }
    all
}

fn record(missing: &Missing) -> Vec<u8> {
    let mut record = vec![0; HEAD_BYTES];
    missing.rows.append_to(&mut record);
    // A turn has at most two megabytes.
    let length = u32::try_from(record.len() - HEAD_BYTES).unwrap_or(u32::MAX);
    record[8..HEAD_BYTES].copy_from_slice(&missing.batch.to_le_bytes());
    let sum = crc32fast::hash(&record[8..]);
    record[..4].copy_from_slice(&length.to_le_bytes());
    record[4..8].copy_from_slice(&sum.to_le_bytes());
    record
}

/// The record that `log` begins with, and what stands behind it.
fn first_of(log: &[u8]) -> Option<(Missing, &[u8])> {
    let (head, rest) = log.split_first_chunk::<HEAD_BYTES>()?;
    let (length, sum) =
        (u32::from_le_bytes(*head.first_chunk()?), u32::from_le_bytes(*head[4..].first_chunk()?));
    let (content, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    if crc32fast::hash(&log[8..HEAD_BYTES + content.len()]) != sum {
        return None;
    }
    let batch = u64::from_le_bytes(*head.last_chunk()?);
    Some((Missing { batch, rows: Rows::read(content).ok()? }, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(batch: u64) -> Missing {
        let mut rows = Rows::default();
        rows.insert(&batch.to_be_bytes(), vec![5; batch as usize % 40]);
        rows.remove(b"gone");
        Missing { batch, rows }
    }

    fn written(batches: impl Iterator<Item = u64>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Wal::begin(folder.path()).unwrap();
        batches.for_each(|batch| assert!(log.append(&missing(batch)).is_ok()));
        folder
    }

    fn numbers(folder: &Path, after: u64) -> Vec<u64> {
        read(folder, after).unwrap().into_iter().map(|missing| missing.batch).collect()
    }

    #[test]
    fn what_is_appended_is_read_from_where_sled_ends() {
        let folder = written(7..60);
        let all: Vec<_> = (7..60).map(missing).collect();
        assert_eq!(read(folder.path(), 6).unwrap(), all);
        assert_eq!(read(folder.path(), 20).unwrap(), all[14..]);
        assert_eq!(numbers(folder.path(), 59), Vec::<u64>::new());
        assert_eq!(numbers(folder.path(), 5), Vec::<u64>::new(), "6 is nowhere");
        Wal::begin(folder.path()).unwrap();
        assert_eq!(numbers(folder.path(), 6), Vec::<u64>::new());
        assert_eq!(numbers(&folder.path().join("nowhere"), 6), Vec::<u64>::new());
    }

    #[test]
    fn a_cut_a_changed_bit_and_what_an_older_log_left_end_it() {
        let folder = written(1..6);
        let path = folder.path().join(NAMES[0]);
        let whole = std::fs::read(&path).unwrap();
        let ends: Vec<usize> =
            (1..=6).map(|upto| (1..upto).map(|batch| record(&missing(batch)).len()).sum()).collect();
        for at in 0..whole.len() {
            let before = ends.iter().filter(|end| **end <= at).count() as u64 - 1;
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(numbers(folder.path(), 0), (1..=before).collect::<Vec<_>>(), "cut to {at} bytes");
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                std::fs::write(&path, changed).unwrap();
                assert_eq!(
                    numbers(folder.path(), 0),
                    (1..=before).collect::<Vec<_>>(),
                    "bit {bit} of byte {at}"
                );
            }
        }
        // One of the time before happens to begin where the first one now ends.
        let older = [record(&missing(9)), record(&missing(2))].concat();
        std::fs::write(&path, older).unwrap();
        assert_eq!(numbers(folder.path(), 8), [9_u64]);
    }
    #[test]
    fn it_goes_on_over_what_it_held_before_the_last_turning() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Wal::begin(folder.path()).unwrap();
        let mut appended = |batches: std::ops::Range<u64>| {
            batches.for_each(|batch| assert!(log.append(&missing(batch)).is_ok()));
            log.turn_over();
        };
        appended(1..30);
        appended(30..60);
        appended(60..70);
        assert_eq!(numbers(folder.path(), 29), (30..70).collect::<Vec<_>>());
        appended(70..80);
        assert_eq!(numbers(folder.path(), 59), (60..80).collect::<Vec<_>>());
        assert_eq!(numbers(folder.path(), 58), Vec::<u64>::new(), "59 was written over");
    }
}
