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
#[allow(dead_code, reason = "each test uses its part")]
#[path = "../crash/privilege.rs"]
mod privilege;
#[path = "../support/proof.rs"]
mod proof;
#[path = "../support/setup.rs"]
mod setup;
#[allow(dead_code, reason = "each test uses its part")]
#[path = "../crash/world.rs"]
mod world;

mod attacks;
mod backlog;
mod connections;
mod house;
mod nonsense;
mod providers;
mod reports;
mod slowhttptest;
