//! sled 0.34.7 can sleep for ever on a disk that fails: when a write in its background fails, one of the two places
//! that start such writes (`exit_reservation` in its `logger.rs`) notes the error and wakes nobody, and the thread in
//! `flush` waits on. A second flush finds the noted error at once and wakes everybody. Beside opening and closing it is
//! the only thing that a thread other than the store's ever does with sled.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a failed write may stay unnoticed: short for who waits, and ten looks a second cost nothing.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub struct Waker(Arc<Watched>);

struct Watched {
    config: sled::Config,
    /// `None` once the store lets go of it.
    db: Mutex<Option<sled::Db>>,
    writing: AtomicBool,
}

impl Waker {
    /// `config` is the one that `db` was opened by: they share the note of an error.
    pub fn start(config: sled::Config, db: sled::Db) -> io::Result<Self> {
        let watched = Arc::new(Watched { config, db: Mutex::new(Some(db)), writing: AtomicBool::new(false) });
        let weak = Arc::downgrade(&watched);
        thread::Builder::new().name("store-waker".to_owned()).spawn(move || {
            while let Some(watched) = weak.upgrade() {
                watched.look();
                drop(watched);
                thread::sleep(LOOK_EVERY);
            }
        })?;
        Ok(Self(watched))
    }

    /// Carries out `write`, which ends even if sled forgets to.
    pub fn watch<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.writing.store(true, Ordering::SeqCst);
        let written = write();
        self.0.writing.store(false, Ordering::SeqCst);
        written
    }
}

impl Watched {
    fn look(&self) {
        if self.writing.load(Ordering::SeqCst)
            && self.config.global_error().is_err()
            && let Some(db) = &*self.db.lock().unwrap_or_else(PoisonError::into_inner)
        {
            // It fails with the error that is noted, which the woken thread gets, too.
            let _ = db.flush();
        }
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        *self.0.db.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
