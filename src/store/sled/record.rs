//! How a row is written: one byte of format, four of checksum over key and content, then JSON.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::store::StoreError;
use crate::verification::values::Timestamp;
use crate::verification::{Event, Fact};

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 5;
/// Room for most rows, so that they are written without growing.
const USUAL_BYTES: usize = 256;
/// sled puts large values into files of their own, which nothing syncs.
pub const MAX_BYTES: usize = 16 * 1024;

/// What was committed together to one verification.
#[derive(Serialize, Deserialize)]
pub struct Commit {
    pub at: Timestamp,
    pub facts: Vec<Fact>,
}

impl Commit {
    pub fn into_events(self) -> impl Iterator<Item = Event> {
        let at = self.at;
        self.facts.into_iter().map(move |fact| Event { at, fact })
    }
}

/// The row for `content` under `key`. Its only failure is a row over [`MAX_BYTES`].
pub fn encode<T: Serialize>(key: &[u8], content: &T) -> Result<Vec<u8>, StoreError> {
    let mut row = Vec::with_capacity(USUAL_BYTES);
    row.extend_from_slice(&[FORMAT, 0, 0, 0, 0]);
    serde_json::to_writer(&mut row, content).map_err(|error| damaged(key, &error.to_string()))?;
    if row.len() > MAX_BYTES {
        return Err(StoreError::TooLarge);
    }
    let sum = checksum(key, &row[HEADER_BYTES..]);
    row[1..HEADER_BYTES].copy_from_slice(&sum);
    Ok(row)
}

pub fn decode<T: DeserializeOwned>(key: &[u8], row: &[u8]) -> Result<T, StoreError> {
    let (header, content) =
        row.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged(key, "it is too short"))?;
    if header[0] != FORMAT {
        return Err(damaged(key, "it has a format that this version does not know"));
    }
    if header[1..] != checksum(key, content) {
        return Err(damaged(key, "its checksum is wrong"));
    }
    serde_json::from_slice(content).map_err(|error| {
        // Only the kind and place of the error: its text could quote the record.
        damaged(key, &format!("it cannot be read ({:?} at byte {})", error.classify(), error.column()))
    })
}

pub fn damaged(key: &[u8], reason: &str) -> StoreError {
    StoreError::Damaged { key: hex(key), reason: reason.to_owned() }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn checksum(key: &[u8], content: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(content);
    hasher.finalize().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_a_missing_byte_and_another_place_are_noticed() {
        let row =
            encode(b"key", &Commit { at: Timestamp::from_millis(5), facts: vec![Fact::Expired] }).unwrap();
        assert_eq!(decode::<Commit>(b"key", &row).unwrap().facts, [Fact::Expired]);
        assert!(decode::<Commit>(b"other", &row).is_err());
        for index in 0..row.len() {
            for bit in 0..8 {
                let mut changed = row.clone();
                changed[index] ^= 1 << bit;
                assert!(decode::<Commit>(b"key", &changed).is_err(), "bit {bit} of byte {index}");
            }
            assert!(decode::<Commit>(b"key", &row[..index]).is_err(), "cut to {index} bytes");
        }
    }
}
