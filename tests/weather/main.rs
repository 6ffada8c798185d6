//! What comes from outside the machine: providers that misbehave, reports in any order and at any moment, a backlog
//! that arrives at once, and callers who mean harm. Three journals are compared afterwards by `support/checker.rs`.
//!
//! Each test is the short form of its proof; `support/proof.rs` says how the long form is asked for.

#[allow(dead_code, reason = "each test uses its part")]
#[path = "../api/support.rs"]
mod api;
#[path = "../support/chaos.rs"]
mod chaos;
#[path = "../support/checker.rs"]
mod checker;
#[path = "../support/proof.rs"]
mod proof;
#[allow(dead_code, reason = "each test uses its part")]
#[path = "../crash/world.rs"]
mod world;

mod attacks;
mod backlog;
mod house;
mod providers;
mod reports;

/// These tests measure and fill the machine, so one runs at a time.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}
