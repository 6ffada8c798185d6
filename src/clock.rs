//! The source of time: the system clock, or a virtual clock for tests.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::verification::values::Timestamp;

#[derive(Clone)]
pub enum Clock {
    /// The system clock, as `Kept` smooths it.
    System,
    Manual(Arc<ManualClock>),
}

impl Clock {
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Kept::of_this_process().now(),
            Self::Manual(clock) => clock.now(),
        }
    }

    /// How long to sleep until `at`. `None` for a virtual clock: [`ManualClock::advance`] wakes the sleepers.
    pub fn until(&self, at: Timestamp) -> Option<Duration> {
        match self {
            Self::System => Some(at.since(self.now())),
            Self::Manual(_) => None,
        }
    }

    /// Registers `wake`, called when a virtual clock moves; the system clock does not need it.
    pub fn on_advance(&self, wake: impl Fn() + Send + Sync + 'static) {
        if let Self::Manual(clock) = self {
            clock.sleepers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(wake));
        }
    }
}

/// Wall-clock time: the system clock's value at the start, carried on by the monotonic clock.
///
/// Somebody may set the system clock while verifications are live: by an hour, after confusing a time zone, or by
/// years, after a battery failure. Using it directly would then send every SMS at once, or none, and let codes live too
/// long. So the kept time drifts slowly towards the system clock, too slowly to affect a deadline. A restart takes over
/// the system clock.
struct Kept {
    origin: Instant,
    origin_micros: i64,
    /// Microseconds drifted towards the system clock since `origin`.
    drifted: AtomicI64,
    /// Time of the last drift, in microseconds since `origin`.
    drifted_at: AtomicU64,
    is_set_off: AtomicBool,
}

/// Inverse drift rate: 500 ppm, as the kernel and NTP correct a clock that must not jump (RFC 5905, 11.3).
const SLOWNESS: i64 = 2_000;
const DRIFTS_EVERY: Duration = Duration::from_secs(1);
/// A pause counts at most this much drift, so that time does not jump after it.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
/// Difference that is logged: NTP's own corrections are smaller, and this one takes three hours to drift away.
const SET_OFF: Duration = Duration::from_secs(5);

impl Kept {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn of_this_process() -> &'static Self {
        static KEPT: OnceLock<Kept> = OnceLock::new();
        KEPT.get_or_init(|| Self::starting_at(Instant::now(), machine_micros()))
    }

    fn starting_at(origin: Instant, origin_micros: i64) -> Self {
        let (drifted, drifted_at) = (AtomicI64::new(0), AtomicU64::new(0));
        Self { origin, origin_micros, drifted, drifted_at, is_set_off: AtomicBool::new(false) }
    }

    fn now(&self) -> Timestamp {
        let elapsed = self.origin.elapsed();
        self.drift(elapsed, machine_micros);
        Timestamp::from_millis(self.micros_after(elapsed).div_euclid(1_000))
    }

    fn micros_after(&self, elapsed: Duration) -> i64 {
        self.origin_micros
            .saturating_add(micros(elapsed))
            .saturating_add(self.drifted.load(Ordering::Relaxed))
    }

    /// Drifts at most once a second.
    fn drift(&self, elapsed: Duration, machine_micros: impl FnOnce() -> i64) {
        let (last, now) = (self.drifted_at.load(Ordering::Relaxed), micros(elapsed).unsigned_abs());
        let passed = Duration::from_micros(now.saturating_sub(last));
        let is_first = || self.drifted_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
        if passed < DRIFTS_EVERY || is_first().is_err() {
            return;
        }
        let gap = machine_micros().saturating_sub(self.micros_after(elapsed));
        let most = micros(passed.min(LONGEST_SILENCE)) / SLOWNESS;
        self.drifted.fetch_add(gap.clamp(-most, most), Ordering::Relaxed);
        self.log_gap(gap);
    }

    fn log_gap(&self, gap: i64) {
        metrics::gauge!("twotick_clock_set_off_seconds").set(gap as f64 / 1e6);
        let is_set_off = gap.unsigned_abs() > micros(SET_OFF).unsigned_abs();
        if is_set_off && !self.is_set_off.swap(is_set_off, Ordering::Relaxed) {
            tracing::error!(
                seconds = gap / 1_000_000,
                "the system clock was set while twotick is running; twotick keeps its own time, and takes over the \
                 system clock at the next start"
            );
        } else if !is_set_off && self.is_set_off.swap(false, Ordering::Relaxed) {
            tracing::info!("the system clock and twotick's time agree again");
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Unix time by the system clock, in microseconds.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn machine_micros() -> i64 {
    micros(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
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

    /// Advances time and wakes the sleepers.
    pub fn advance(&self, by: Duration) {
        let later = self.now() + by;
        self.millis.store(later.as_millis(), Ordering::SeqCst);
        for wake in self.sleepers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            wake();
        }
    }
}

/// Measures durations on the monotonic clock.
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[expect(clippy::disallowed_methods, reason = "a beginning, from which the test counts by itself")]
    fn kept() -> Kept {
        Kept::starting_at(Instant::now(), 1_000 * HOUR)
    }

    #[test]
    fn setting_the_system_clock_hardly_moves_the_kept_time() {
        for jump in [HOUR, -HOUR, 10 * 365 * 24 * HOUR] {
            let kept = kept();
            for second in 1..=600 {
                let elapsed = Duration::from_secs(second);
                kept.drift(elapsed, || 1_000 * HOUR + micros(elapsed) + jump);
            }
            let off = kept.micros_after(Duration::from_secs(600)) - (1_000 * HOUR + 600_000_000);
            assert_eq!(off, 300_000 * jump.signum(), "0.3 s in ten minutes");
            assert!(kept.is_set_off.load(Ordering::Relaxed));
        }
    }

    #[test]
    fn a_small_difference_drifts_away() {
        let kept = kept();
        for second in 1..=100 {
            let elapsed = Duration::from_secs(second);
            kept.drift(elapsed, || 1_000 * HOUR + micros(elapsed) - 20_000);
        }
        let elapsed = Duration::from_secs(100);
        assert_eq!(kept.micros_after(elapsed), 1_000 * HOUR + micros(elapsed) - 20_000);
        assert!(!kept.is_set_off.load(Ordering::Relaxed));
    }

    #[test]
    fn the_system_clock_is_read_once_a_second() {
        let kept = kept();
        kept.drift(Duration::from_millis(999), || panic!("it looked"));
        kept.drift(Duration::from_millis(1_000), || 1_000 * HOUR);
        kept.drift(Duration::from_millis(1_001), || panic!("it looked"));
    }
}
