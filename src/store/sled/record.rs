//! How a row is written: one byte of format, four of checksum over key and content, then the content.

use minicbor::{Decode, Decoder, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{StoreError, stream};
use crate::verification::Event;

/// The first byte of a row.
const JSON: u8 = 1;
const COMPACT: u8 = 2;
const HEADER_BYTES: usize = 5;
/// Room for most rows, so that they are written without growing.
const USUAL_BYTES: usize = 256;
const USUAL_SMALL_BYTES: usize = 64;
/// sled puts large values into files of their own, which nothing syncs.
pub const MAX_BYTES: usize = 16 * 1024;
/// What a row has room for beside its header.
pub const MAX_CONTENT_BYTES: usize = MAX_BYTES - HEADER_BYTES;

/// The row for `content` under `key`. Its only failure is a row over [`MAX_BYTES`].
pub fn encode<T: Serialize>(key: &[u8], content: &T) -> Result<Vec<u8>, StoreError> {
    let mut row = Vec::with_capacity(USUAL_BYTES);
    row.extend_from_slice(&[JSON, 0, 0, 0, 0]);
    serde_json::to_writer(&mut row, content).map_err(|error| damaged(key, &error.to_string()))?;
    finish(key, row)
}

/// The row for content that is compact already. Its only failure is a row over [`MAX_BYTES`].
pub fn encode_compact(key: &[u8], content: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut row = Vec::with_capacity(HEADER_BYTES + content.len());
    row.extend_from_slice(&[COMPACT, 0, 0, 0, 0]);
    row.extend_from_slice(content);
    finish(key, row)
}

/// The row for content that has a compact form. Its only failure is a row over [`MAX_BYTES`].
pub fn encode_small<T: Encode<()>>(key: &[u8], content: &T) -> Result<Vec<u8>, StoreError> {
    let mut row = Vec::with_capacity(USUAL_SMALL_BYTES);
    row.extend_from_slice(&[COMPACT, 0, 0, 0, 0]);
    minicbor::encode(content, &mut row).map_err(|error| damaged(key, &error.to_string()))?;
    finish(key, row)
}

fn finish(key: &[u8], mut row: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    if row.len() > MAX_BYTES {
        return Err(StoreError::TooLarge);
    }
    let sum = checksum(key, &row[HEADER_BYTES..]);
    row[1..HEADER_BYTES].copy_from_slice(&sum);
    Ok(row)
}

pub fn decode<T: DeserializeOwned>(key: &[u8], row: &[u8]) -> Result<T, StoreError> {
    match checked(key, row)? {
        (JSON, content) => from_json(key, content),
        _ => Err(unknown_format(key)),
    }
}

/// The content of a row that [`encode_small`] made.
pub fn decode_small<T: for<'b> Decode<'b, ()>>(key: &[u8], row: &[u8]) -> Result<T, StoreError> {
    from_cbor(decode_compact(key, row)?).map_err(|error| unreadable(key, &error))
}

/// The content of a row that [`encode_compact`] made.
pub fn decode_compact<'a>(key: &[u8], row: &'a [u8]) -> Result<&'a [u8], StoreError> {
    match checked(key, row)? {
        (COMPACT, content) => Ok(content),
        _ => Err(unknown_format(key)),
    }
}

/// The events of a row.
pub fn decode_events(key: &[u8], row: &[u8]) -> Result<Vec<Event>, StoreError> {
    stream::read(decode_compact(key, row)?).map_err(|error| unreadable(key, &error))
}

fn from_json<T: DeserializeOwned>(key: &[u8], content: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(content).map_err(|error| {
        // Only the kind and place of the error: its text could quote the record.
        damaged(key, &format!("it cannot be read ({:?} at byte {})", error.classify(), error.column()))
    })
}

fn from_cbor<T: for<'b> Decode<'b, ()>>(content: &[u8]) -> Result<T, minicbor::decode::Error> {
    let mut decoder = Decoder::new(content);
    let read = decoder.decode()?;
    match decoder.position() == content.len() {
        true => Ok(read),
        false => Err(minicbor::decode::Error::message("more than it should be").at(decoder.position())),
    }
}

/// The format and content of a row that is as it was written.
fn checked<'a>(key: &[u8], row: &'a [u8]) -> Result<(u8, &'a [u8]), StoreError> {
    let (header, content) =
        row.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged(key, "it is too short"))?;
    if !matches!(header[0], JSON | COMPACT) {
        return Err(unknown_format(key));
    }
    if header[1..] != checksum(key, content) {
        return Err(damaged(key, "its checksum is wrong"));
    }
    Ok((header[0], content))
}

/// Whether a row is as it was written, whatever it says.
pub fn verify(key: &[u8], row: &[u8]) -> Result<(), StoreError> {
    checked(key, row).map(|_| ())
}

fn unknown_format(key: &[u8]) -> StoreError {
    damaged(key, "it has a format that this version does not know")
}

/// Says only where it cannot be read: the text of the error could quote the record.
pub fn unreadable(key: &[u8], error: &minicbor::decode::Error) -> StoreError {
    let place = error.position().map_or_else(String::new, |byte| format!(" at byte {byte}"));
    damaged(key, &format!("it cannot be read{place}"))
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
    use crate::store::{DeliveryState, Facets};
    use crate::verification::Fact;
    use crate::verification::event::FallbackReason;
    use crate::verification::state::Ending;
    use crate::verification::values::{AppName, ChannelName, MessageId, NumberTail, Timestamp};

    #[test]
    fn a_changed_byte_a_missing_byte_and_another_place_are_noticed() {
        let events = [Event { at: Timestamp::from_millis(5), fact: Fact::Expired }];
        let mut content = Vec::new();
        stream::append(&mut content, &events);
        let row = encode_compact(b"key", &content).unwrap();
        assert_eq!(decode_events(b"key", &row).unwrap(), events);
        assert!(decode_events(b"other", &row).is_err());
        for index in 0..row.len() {
            for bit in 0..8 {
                let mut changed = row.clone();
                changed[index] ^= 1 << bit;
                assert!(decode_events(b"key", &changed).is_err(), "bit {bit} of byte {index}");
            }
            assert!(decode_events(b"key", &row[..index]).is_err(), "cut to {index} bytes");
        }
    }

    #[test]
    fn small_content_has_this_form() {
        let message: MessageId = "msg_01m83hzv0pesyaa8aah08jgec1".parse().unwrap();
        let facets = Facets {
            app: AppName::new("shop"),
            profile: "login".to_owned(),
            ending: Some(Ending::Approved),
            delivery: DeliveryState::Read,
            channels: vec![ChannelName::new("sms"), ChannelName::new("whatsapp")],
            fallbacks: vec![FallbackReason::Failed],
            errors: vec!["131026".to_owned()],
            country: Some("DE".to_owned()),
            tail: Some(NumberTail(7_126)),
        };
        is_written_as(&message, "5001a2071fec16767ca5214a8811283981");
        is_written_as(
            &facets,
            "896473686f70656c6f67696e00078263736d7368776861747361707081018166313331303236624445191bd6",
        );
        let row = encode_compact(b"key", &[0x50; 18]).unwrap();
        assert!(decode_small::<MessageId>(b"key", &row).is_err(), "more than an id");
    }

    fn is_written_as<T>(content: &T, form: &str)
    where
        T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + std::fmt::Debug,
    {
        let row = encode_small(b"key", content).unwrap();
        assert_eq!(hex(&row[HEADER_BYTES..]), form);
        assert_eq!(decode_small::<T>(b"key", &row).unwrap(), *content);
    }
}
