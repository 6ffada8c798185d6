//! Configuration that a reload replaces while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

/// Readers keep the value that they got: an operation ends with the configuration that it began with.
#[derive(Debug, Default)]
pub struct Changing<T>(RwLock<Arc<T>>);

impl<T> Changing<T> {
    pub fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// The current value.
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the value for later readers.
    pub fn change_to(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_its_value() {
        let word = Changing::new("old");
        let begun = word.now();
        word.change_to("new");
        assert_eq!((*begun, *word.now()), ("old", "new"));
    }
}
