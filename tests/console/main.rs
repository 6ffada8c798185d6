//! The console over HTTP, as used by a browser without scripts and by an attacker.

mod case;
mod doors;
mod guard;
#[path = "../support/hostile.rs"]
mod hostile;
mod numbers;
#[path = "../support/office.rs"]
mod office;
mod people;
mod roles;
mod sessions;
mod strangers;
#[path = "../support/visitor.rs"]
mod visitor;
