//! Faults of the machine, injected into the real binary: kills, power loss, a failing disk and a full disk. Afterwards
//! `support/checker.rs` compares three journals.
//!
//! Some tests need root, loop devices and strace. Without these a test fails, unless `TWOTICK_NO_ROOT_TESTS=1` permits
//! skipping it; the skip is reported prominently.

mod bytes;
#[path = "../support/checker.rs"]
mod checker;
mod clock;
mod cuts;
mod full;
mod image;
mod kills;
mod load;
mod opening;
mod points;
mod power;
mod privilege;
#[path = "../support/proof.rs"]
mod proof;
#[path = "../support/setup.rs"]
mod setup;
mod shim;
mod syscalls;
mod trace;
mod world;
