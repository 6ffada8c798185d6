//! Faults from outside the machine: misbehaving providers, reports in any order and at any time, a sudden backlog, and
//! attackers. Afterwards `support/checker.rs` compares three journals.
//!
//! Each test is the short form of its proof; `support/proof.rs` documents the long form.

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
mod nonsense;
mod providers;
mod reports;
mod server;
mod slowhttptest;
