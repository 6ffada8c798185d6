//! What one batch writes and removes.

use minicbor::decode::Error;
use minicbor::{Decoder, Encoder};
use sled::IVec;

/// Rows to be written or removed as one, in the order in which that was decided: of one key the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows(Vec<(IVec, Option<IVec>)>);

impl Rows {
    pub fn insert(&mut self, key: &[u8], row: Vec<u8>) {
        self.0.push((key.into(), Some(row.into())));
    }

    pub fn remove(&mut self, key: &[u8]) {
        self.0.push((key.into(), None));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of keys and contents together.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(key, row)| key.len() + row.as_ref().map_or(0, |row| row.len())).sum()
    }

    /// As sled takes them.
    pub fn add_to(&self, batch: &mut sled::Batch) {
        for (key, row) in &self.0 {
            match row {
                Some(row) => batch.insert(key.clone(), row.clone()),
                None => batch.remove(key.clone()),
            }
        }
    }

    /// As [`Rows::read`] reads them: key and content in turn, nothing for the content of a row that is removed.
    pub fn append_to(&self, bytes: &mut Vec<u8>) {
        let mut encoder = Encoder::new(bytes);
        for (key, row) in &self.0 {
            // A vector takes every byte.
            let _ = encoder.bytes(key).and_then(|encoder| match row {
                Some(row) => encoder.bytes(row),
                None => encoder.null(),
            });
        }
    }

    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let (mut decoder, mut rows) = (Decoder::new(bytes), Self::default());
        while decoder.position() < bytes.len() {
            let key = decoder.bytes()?.into();
            let row = match decoder.datatype()? {
                minicbor::data::Type::Null => decoder.null().map(|()| None)?,
                _ => Some(decoder.bytes()?.into()),
            };
            rows.0.push((key, row));
        }
        Ok(rows)
    }
}
