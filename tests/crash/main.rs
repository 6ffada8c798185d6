//! What a machine can do to the server, done to the real binary: kills, the loss of power, a disk that fails and one
//! that is full. Three journals are compared afterwards by `support/checker.rs`.
//!
//! Some of it needs root, loop devices and strace. Where that is missing the test fails and says so, unless
//! `TWOTICK_NO_ROOT_TESTS=1` allows it to be left out, which it then says as loudly.

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
