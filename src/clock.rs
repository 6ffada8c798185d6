//! Where time comes from: the machine's clock, or one that tests move by hand.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::verification::values::Timestamp;

#[derive(Clone)]
pub enum Clock {
    System,
    Manual(Arc<ManualClock>),
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since_epoch =
                    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Manual(clock) => clock.now(),
        }
    }

    /// How long to sleep for `at`. `None`: no sleep ends by itself, [`ManualClock::advance`] wakes who waits.
    pub fn until(&self, at: Timestamp) -> Option<Duration> {
        match self {
            Self::System => Some(at.since(self.now())),
            Self::Manual(_) => None,
        }
    }

    /// `wake` is called whenever a manual clock was moved; the machine's clock needs no waking.
    pub fn on_advance(&self, wake: impl Fn() + Send + Sync + 'static) {
        if let Self::Manual(clock) = self {
            clock.sleepers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(wake));
        }
    }
}

/// Virtual time for tests and simulations.
pub struct ManualClock {
    millis: AtomicI64,
    sleepers: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl ManualClock {
    pub fn starting_at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self { millis: AtomicI64::new(start.as_millis()), sleepers: Mutex::default() })
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }

    /// Moves time on and wakes everybody who waits for it.
    pub fn advance(&self, by: Duration) {
        let later = self.now() + by;
        self.millis.store(later.as_millis(), Ordering::SeqCst);
        for wake in self.sleepers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            wake();
        }
    }
}

/// Measures how long something takes, untouched by changes of the clock.
#[derive(Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "durations are measured on the monotonic clock, never decided by"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
