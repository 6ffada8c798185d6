//! The log: a journal of turns. A turn is one record, made durable by one `fdatasync` of a file that keeps its length.
//!
//! Segments are files of a fixed size, reused in place once a checkpoint made them superfluous: the head of a segment, not
//! its name, says where it belongs. Records are consecutive, each with a checksum and the number of its turn. The first one
//! that is not whole, or does not follow, is the end: nothing behind it was ever synced. That no durable turn is missing is
//! known from the count in the file `lock` and from the table.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::WriteError;
use crate::failpoint;
use crate::verification::values::VerificationId;

/// Names of its files begin so in the data folder.
pub const PREFIX: &str = "wal.";
const MAGIC: &[u8; 8] = b"twotlog1";
/// Magic, number of the segment, number of its first turn, checksum, and four bytes of nothing.
const HEAD_BYTES: usize = 32;
/// Before the content of a record: its length and checksum in four bytes each, the number of the turn in eight.
const RECORD_HEAD_BYTES: usize = 16;

/// How much of the log is kept; tests lower it.
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    pub segment_bytes: u64,
    /// Files that are kept. There are more only while a checkpoint waits for sled.
    pub segments: usize,
}

/// 64 MiB: an opening reads them in less than a second.
impl Default for LogLimits {
    fn default() -> Self {
        Self { segment_bytes: 8 * 1024 * 1024, segments: 8 }
    }
}

pub struct Log {
    folder: PathBuf,
    limits: LogLimits,
    /// Oldest first; the last one is written.
    segments: VecDeque<Segment>,
    free: Vec<LogFile>,
    /// Number of the next new file.
    files: u32,
}

struct LogFile {
    path: PathBuf,
    file: Arc<File>,
}

struct Segment {
    file: LogFile,
    number: u64,
    first: u64,
    last: u64,
    bytes: u64,
    /// Verifications whose oldest event that only the log has was in this segment when it was added.
    holders: Vec<VerificationId>,
}

/// What an opening found in the log.
pub struct Found {
    /// The last turn that was read; the one before `from` if there was none.
    pub last: u64,
    segments: VecDeque<Segment>,
    free: Vec<LogFile>,
    files: u32,
}

/// Shows `each` the turns from `from` on, in order, as far as none is missing.
pub fn read<E: From<io::Error>>(
    folder: &Path,
    from: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<Found, E> {
    let mut found =
        Found { last: from.saturating_sub(1), segments: VecDeque::new(), free: Vec::new(), files: 0 };
    let mut heads = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(place) = name.strip_prefix(PREFIX).and_then(|place| place.parse::<u32>().ok()) else {
            continue;
        };
        found.files = found.files.max(place + 1);
        let file = Arc::new(File::options().read(true).write(true).open(&path)?);
        let mut head = [0; HEAD_BYTES];
        let head = match file.read_exact_at(&mut head, 0) {
            Ok(()) => read_head(&head),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error.into()),
        };
        match head {
            Some((number, first)) => heads.push((number, first, LogFile { path, file })),
            None => found.free.push(LogFile { path, file }),
        }
    }
    heads.sort_by_key(|(number, ..)| *number);
    let begin = heads.iter().rposition(|(_, first, _)| *first <= from).unwrap_or(heads.len());
    for (at, (number, first, file)) in heads.into_iter().enumerate() {
        let follows = match found.segments.back() {
            None => at == begin,
            Some(before) => at > begin && before.last + 1 == first,
        };
        if !follows {
            found.free.push(file);
            continue;
        }
        let content = content_of(&file.file)?;
        let mut segment =
            Segment { file, number, first, last: first - 1, bytes: HEAD_BYTES as u64, holders: Vec::new() };
        let mut rest = content.get(HEAD_BYTES..).unwrap_or_default();
        while let Some((turn, record, behind)) = first_of(rest).filter(|(turn, ..)| *turn == segment.last + 1)
        {
            if turn >= from {
                each(turn, record)?;
            }
            segment.last = turn;
            segment.bytes += (RECORD_HEAD_BYTES + record.len()) as u64;
            rest = behind;
        }
        found.last = found.last.max(segment.last);
        found.segments.push_back(segment);
    }
    Ok(found)
}

/// Everything in a file, wherever its own position is.
fn content_of(file: &File) -> io::Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}

impl Log {
    /// Goes on behind what was found, in a segment of its own.
    pub fn begin(folder: &Path, limits: LogLimits, found: &mut Found) -> io::Result<Self> {
        let (last, files) = (found.last, found.files);
        let (segments, free) = (std::mem::take(&mut found.segments), std::mem::take(&mut found.free));
        for LogFile { file, .. } in &free {
            // Turns behind a gap were never durable, and no later reading may take them for others of the same number.
            if head_of(file).is_some_and(|(_, first)| first > last) {
                file.write_all_at(&[0; HEAD_BYTES], 0)?;
                file.sync_data()?;
            }
        }
        let mut log = Self { folder: folder.to_owned(), limits, segments, free, files };
        let segment = log.next_segment(last + 1)?;
        segment.file.file.write_all_at(&head(segment.number, segment.first), 0)?;
        log.segments.push_back(segment);
        Ok(log)
    }

    /// Gives a turn, the next one, to the kernel: durable once [`Log::file`] is synced.
    pub fn append(&mut self, turn: u64, content: &[u8]) -> Result<(), WriteError> {
        let length = (RECORD_HEAD_BYTES + content.len()) as u64;
        let is_full = |segment: &Segment| {
            segment.bytes + length > self.limits.segment_bytes && segment.bytes > HEAD_BYTES as u64
        };
        if self.segments.back().is_none_or(is_full) {
            let segment = self.next_segment(turn).map_err(failed)?;
            segment.file.file.write_all_at(&head(segment.number, segment.first), 0).map_err(failed)?;
            self.segments.push_back(segment);
            failpoint::reach("wal.rolled");
        }
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        segment.file.file.write_all_at(&record(turn, content), segment.bytes).map_err(failed)?;
        failpoint::reach("wal.appended");
        segment.bytes += length;
        segment.last = turn;
        Ok(())
    }

    fn next_segment(&mut self, first: u64) -> io::Result<Segment> {
        let used = self.segments.back().map_or(0, |last| last.number);
        let free = self.free.iter().filter_map(|free| Some(head_of(&free.file)?.0)).max();
        let number = used.max(free.unwrap_or(0)) + 1;
        let file = match self.free.pop() {
            Some(file) => file,
            None => {
                let path = self.folder.join(format!("{PREFIX}{}", self.files));
                let mut options = File::options();
                let file =
                    options.read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
                file.set_len(self.limits.segment_bytes)?;
                file.sync_all()?;
                File::open(&self.folder)?.sync_all()?;
                self.files += 1;
                LogFile { path, file: Arc::new(file) }
            }
        };
        let holders = Vec::new();
        Ok(Segment { file, number, first, last: first - 1, bytes: HEAD_BYTES as u64, holders })
    }

    /// The file that is written now.
    pub fn file(&self) -> Option<Arc<File>> {
        self.segments.back().map(|segment| Arc::clone(&segment.file.file))
    }

    /// Only the log has the events that this turn added to this verification, and none before it.
    pub fn hold(&mut self, turn: u64, id: VerificationId) {
        let behind = self.segments.partition_point(|segment| segment.first <= turn);
        if let Some(segment) = behind.checked_sub(1).and_then(|at| self.segments.get_mut(at)) {
            segment.holders.push(id);
        }
    }

    /// Whether the oldest segment has to go: the last one that there may be is being written.
    pub fn is_long(&self) -> bool {
        self.segments.len() >= self.limits.segments
    }

    /// Whether there are more segments than there may be: a checkpoint is behind.
    pub fn is_too_long(&self) -> bool {
        self.segments.len() > self.limits.segments
    }

    /// Whether there are segments beside the one that is written.
    pub fn has_old(&self) -> bool {
        self.segments.len() > 1
    }

    /// Takes the verifications that may still need the oldest segment, which is not the one that is written, and its last
    /// turn.
    pub fn take_holders(&mut self) -> Option<(u64, Vec<VerificationId>)> {
        let is_old = self.has_old();
        self.segments
            .front_mut()
            .filter(|_| is_old)
            .map(|oldest| (oldest.last, std::mem::take(&mut oldest.holders)))
    }

    /// The oldest segment is not needed any more: its file is used again.
    pub fn release_oldest(&mut self) -> io::Result<()> {
        if self.has_old()
            && let Some(oldest) = self.segments.pop_front()
        {
            if self.segments.len() + self.free.len() < self.limits.segments {
                self.free.push(oldest.file);
            } else {
                fs::remove_file(&oldest.file.path)?;
            }
        }
        Ok(())
    }

    /// About how many bytes its files take.
    pub fn size(&self) -> u64 {
        let used: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        used + self.free.len() as u64 * self.limits.segment_bytes
    }
}

fn failed(error: io::Error) -> WriteError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::Full,
        _ => WriteError::Failed(format!("the log: {error}")),
    }
}

fn head(number: u64, first: u64) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(MAGIC);
    head[8..16].copy_from_slice(&number.to_le_bytes());
    head[16..24].copy_from_slice(&first.to_le_bytes());
    let sum = crc32fast::hash(&head[..24]);
    head[24..28].copy_from_slice(&sum.to_le_bytes());
    head
}

fn head_of(file: &File) -> Option<(u64, u64)> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact_at(&mut head, 0).ok()?;
    read_head(&head)
}

/// Number and first turn of a segment.
fn read_head(head: &[u8; HEAD_BYTES]) -> Option<(u64, u64)> {
    let word = |at: usize| head[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let is_whole = head.starts_with(MAGIC) && head[24..28] == crc32fast::hash(&head[..24]).to_le_bytes();
    is_whole.then_some(())?;
    Some((word(8)?, word(16)?)).filter(|(_, first)| *first > 0)
}

fn record(turn: u64, content: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD_HEAD_BYTES + content.len());
    // A turn has at most two megabytes.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(&[0; 4]);
    record.extend_from_slice(&turn.to_le_bytes());
    record.extend_from_slice(content);
    let sum = crc32fast::hash(&record[8..]);
    record[4..8].copy_from_slice(&sum.to_le_bytes());
    record
}

/// Turn and content of the record that `log` begins with, and what is behind it.
fn first_of(log: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (head, rest) = log.split_first_chunk::<RECORD_HEAD_BYTES>()?;
    let (length, sum) =
        (u32::from_le_bytes(*head.first_chunk()?), u32::from_le_bytes(*head[4..].first_chunk()?));
    let (content, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    if crc32fast::hash(&log[8..RECORD_HEAD_BYTES + content.len()]) != sum {
        return None;
    }
    Some((u64::from_le_bytes(*head.last_chunk()?), content, behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::values::{Bucket, Timestamp};

    const LIMITS: LogLimits = LogLimits { segment_bytes: 400, segments: 4 };

    fn content(turn: u64) -> Vec<u8> {
        vec![turn as u8; turn as usize % 40]
    }

    fn turns(folder: &Path, from: u64) -> Vec<u64> {
        let mut turns = Vec::new();
        let found = read::<io::Error>(folder, from, |turn, record| {
            assert_eq!(record, content(turn));
            turns.push(turn);
            Ok(())
        });
        assert_eq!(found.unwrap().last, turns.last().copied().unwrap_or(from - 1));
        turns
    }

    fn open(folder: &Path, from: u64) -> Log {
        let mut found = read::<io::Error>(folder, from, |_, _| Ok(())).unwrap();
        Log::begin(folder, LIMITS, &mut found).unwrap()
    }

    fn all(range: std::ops::Range<u64>) -> Vec<u64> {
        range.collect()
    }

    #[test]
    fn turns_are_read_from_where_they_are_needed_across_segments_and_openings() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path(), 1);
        (1..60).for_each(|turn| log.append(turn, &content(turn)).unwrap());
        assert!(log.is_long() && log.segments.len() > 4);
        let mut log = open(folder.path(), 1);
        (60..70).for_each(|turn| log.append(turn, &content(turn)).unwrap());
        for from in [1, 2, 30, 69] {
            assert_eq!(turns(folder.path(), from), all(from..70));
        }
        assert_eq!(turns(folder.path(), 70), all(0..0));
        assert_eq!(turns(folder.path(), 100), all(0..0));
    }

    #[test]
    fn files_of_released_segments_are_used_again_and_never_more_than_a_few_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path(), 1);
        let mut from = 1;
        for turn in 1..500 {
            log.append(turn, &content(turn)).unwrap();
            while log.is_long() {
                from = log.take_holders().unwrap().0 + 1;
                log.release_oldest().unwrap();
            }
            assert_eq!(turns(folder.path(), from), all(from..turn + 1), "after turn {turn}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
        assert!(turns(folder.path(), 1).is_empty(), "the first turns were written over");
        let mut log = open(folder.path(), from);
        (500..520).for_each(|turn| log.append(turn, &content(turn)).unwrap());
        assert_eq!(turns(folder.path(), from), all(from..520));
    }

    #[test]
    fn a_cut_and_a_changed_bit_end_it_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path(), 1);
        (1..6).for_each(|turn| log.append(turn, &content(turn)).unwrap());
        let path = folder.path().join("wal.0");
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> = (1..=6)
            .map(|upto| HEAD_BYTES + (1..upto).map(|turn| record(turn, &content(turn)).len()).sum::<usize>())
            .collect();
        for at in 0..*ends.last().unwrap() {
            let before = (ends.iter().filter(|end| **end <= at).count() as u64).saturating_sub(1);
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(turns(folder.path(), 1), all(1..before + 1), "cut to {at} bytes");
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                fs::write(&path, changed).unwrap();
                // Four bytes of the head say nothing.
                let expected = if (28..HEAD_BYTES).contains(&at) { 5 } else { before };
                assert_eq!(turns(folder.path(), 1), all(1..expected + 1), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn turns_behind_a_gap_are_not_read_and_do_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path(), 1);
        (1..60).for_each(|turn| log.append(turn, &content(turn)).unwrap());
        let second = &log.segments[1];
        let (first, last) = (second.first, second.last);
        let mut damaged = fs::read(&second.file.path).unwrap();
        let end = usize::try_from(second.bytes).unwrap();
        damaged[end - 1] ^= 1;
        fs::write(&second.file.path, damaged).unwrap();
        assert_eq!(turns(folder.path(), first), all(first..last), "its last turn is gone, and all behind it");
        let mut log = open(folder.path(), first);
        for turn in last..90 {
            log.append(turn, &content(turn)).unwrap();
            assert_eq!(turns(folder.path(), first), all(first..turn + 1));
        }
    }

    #[test]
    fn a_segment_knows_who_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path(), 1);
        let id = |n: u64| VerificationId::new(Timestamp::from_millis(0), Bucket::new(1), n);
        for turn in 1..40 {
            log.append(turn, &content(turn)).unwrap();
            log.hold(turn, id(turn));
        }
        log.hold(2, id(100));
        let (last, holders) = log.take_holders().unwrap();
        assert!(last > 2 && last < 39);
        let expected: Vec<_> = (1..=last).chain([100]).map(id).collect();
        assert_eq!(holders, expected);
    }
}
