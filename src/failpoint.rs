//! Named points at which a test can end the process as SIGKILL does. They exist only in builds with debug assertions;
//! `tests/crash/points.rs` checks that a release build does not contain them.
//!
//! `TWOTICK_FAILPOINT=NAME:N` ends the process when it reaches NAME for the N-th time. The tests find the names in the
//! source, so that each new one is tested.
//!
//! With `TWOTICK_SHORT_LOG` the store shortens its log every few turns instead of every few hundred megabytes.

#[cfg(debug_assertions)]
pub use armed::{log_is_short, reach};

/// Does nothing in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn reach(_name: &'static str) {}

/// False in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn log_is_short() -> bool {
    false
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    struct Armed {
        name: String,
        left: AtomicU32,
    }

    /// Whether a test asked for a log that is shortened every few turns.
    #[expect(clippy::disallowed_methods, reason = "not a setting: only tests know of it, no release has it")]
    pub fn log_is_short() -> bool {
        static SHORT: OnceLock<bool> = OnceLock::new();
        *SHORT.get_or_init(|| std::env::var_os("TWOTICK_SHORT_LOG").is_some())
    }

    /// Ends the process if a test asked for it at this point.
    pub fn reach(name: &'static str) {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let Some(armed) = ARMED.get_or_init(asked_for) else { return };
        if armed.name == name && armed.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            // A process may always kill itself; if not, the waiting test fails.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "not a setting: only tests know of it, and no release has it"
    )]
    fn asked_for() -> Option<Armed> {
        let asked = std::env::var("TWOTICK_FAILPOINT").ok()?;
        let (name, times) = asked.split_once(':')?;
        Some(Armed { name: name.to_owned(), left: AtomicU32::new(times.parse().ok()?) })
    }
}
