//! A part of the configuration that a reload replaces while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

/// Readers hold on to what they got: work that has begun ends with what it began with.
#[derive(Debug, Default)]
pub struct Changing<T>(RwLock<Arc<T>>);

impl<T> Changing<T> {
    pub fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// What counts now.
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What counts for everything that begins from here on.
    pub fn change_to(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_begun_keeps_what_it_began_with() {
        let word = Changing::new("old");
        let begun = word.now();
        word.change_to("new");
        assert_eq!((*begun, *word.now()), ("old", "new"));
    }
}
