//! The interim log: what turns write while sled is being opened anew, which takes up to a second. A record is a batch
//! that sled does not have yet, with its number; once sled has them all, durably, the log is emptied. Where the process
//! ends before that, the next opening gives them to sled.
//!
//! Records stand one behind the other, each with a checksum, in the order of their numbers. The first one that is not
//! whole, or does not follow the one before, is the end: nothing behind it was ever synced. That nothing durable is
//! missing is told by the count of batches that is kept beside sled.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::open::WriteError;
use super::platter::Platter;
use super::rows::Rows;
use crate::failpoint;

/// The name of its file in the data folder. The file stays, empty.
const NAME: &str = "interim";
/// Before the content: its length and its checksum in four bytes each, the number of the batch in eight.
const HEAD_BYTES: usize = 16;

/// A batch that sled does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub batch: u64,
    pub rows: Rows,
}

/// The log, being written.
pub struct Interim {
    file: Arc<File>,
    bytes: u64,
}

impl Interim {
    /// An empty one, whatever was in it.
    pub fn begin(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        let is_new = !path.exists();
        let file = File::options().write(true).create(true).truncate(true).open(path)?;
        if is_new {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { file: Arc::new(file), bytes: 0 })
    }

    /// Gives a batch to the kernel: durable once the [`Platter`] has synced.
    pub fn append(&mut self, missing: &Missing) -> Result<(), WriteError> {
        let record = record(missing);
        self.file.write_all_at(&record, self.bytes).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::Full,
            _ => WriteError::Failed(format!("{NAME}: {error}")),
        })?;
        failpoint::reach("interim.appended");
        self.bytes += record.len() as u64;
        Ok(())
    }

    /// Bytes of what was appended.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What makes durable what was appended. `lock` is what keeps others out of the folder.
    pub fn platter(&self, lock: Arc<File>) -> Platter {
        Platter::new(Arc::clone(&self.file), lock)
    }

    /// Of what sled has, durably.
    pub fn empty(self) -> io::Result<()> {
        self.file.set_len(0)
    }
}

/// The batches behind number `after`, in order.
pub fn read(folder: &Path, after: u64) -> io::Result<Vec<Missing>> {
    let content = match std::fs::read(folder.join(NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        content => content?,
    };
    let (mut rest, mut all) = (&content[..], Vec::<Missing>::new());
    while let Some((missing, behind)) = first_of(rest) {
        if all.last().is_some_and(|before| before.batch + 1 != missing.batch) {
            break;
        }
        all.push(missing);
        rest = behind;
    }
    let is_gap = all.first().is_some_and(|first| first.batch > after + 1);
    all.retain(|missing| missing.batch > after && !is_gap);
    Ok(all)
}

/// Empties what was read, if there is any: sled has it.
pub fn empty(folder: &Path) -> io::Result<()> {
    match File::options().write(true).open(folder.join(NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        file => file?.set_len(0),
    }
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
        let mut log = Interim::begin(folder.path()).unwrap();
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
        empty(folder.path()).unwrap();
        assert_eq!(numbers(folder.path(), 6), Vec::<u64>::new());
        assert_eq!(numbers(&folder.path().join("nowhere"), 6), Vec::<u64>::new());
    }

    #[test]
    fn a_cut_a_changed_bit_and_what_an_older_log_left_end_it() {
        let folder = written(1..6);
        let path = folder.path().join(NAME);
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
        // One of the log before happens to begin where the first one of this log ends.
        let older = [record(&missing(9)), record(&missing(2))].concat();
        std::fs::write(&path, older).unwrap();
        assert_eq!(numbers(folder.path(), 8), [9_u64]);
    }
}
