//! Faults of the machine, injected into the real binary: kills, power loss, failing and full disks.
//! `support/checker.rs` compares three journals afterwards.
//!
//! Some tests need root, loop devices and strace. Without these they fail with a message, unless
//! `TWOTICK_NO_ROOT_TESTS=1` allows skipping them, which is reported just as clearly.

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
