//! The console over HTTP, as used by a browser without scripts and by an attacker.

mod detail;
mod guard;
#[path = "../support/hostile.rs"]
mod hostile;
mod limits;
mod numbers;
#[path = "../support/office.rs"]
mod office;
mod people;
mod roles;
mod sessions;
mod untrusted;
#[path = "../support/visitor.rs"]
mod visitor;
