//! Rows that are written or removed together.

use sled::{Batch, IVec};

/// In the order in which they were decided: the last one of a key counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows(Vec<(IVec, Option<IVec>)>);

impl Rows {
    pub fn insert(&mut self, key: &[u8], row: &[u8]) {
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

    /// Of keys and rows together.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(key, row)| key.len() + row.as_ref().map_or(0, |row| row.len())).sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = &(IVec, Option<IVec>)> {
        self.0.iter()
    }

    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub fn add_to(&self, batch: &mut Batch) {
        for (key, row) in &self.0 {
            match row {
                Some(row) => batch.insert(key.clone(), row.clone()),
                None => batch.remove(key.clone()),
            }
        }
    }
}
