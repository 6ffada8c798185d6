//! The console over HTTP, as a browser without scripts and as an attacker.

mod case;
mod guard;
#[path = "../support/hostile.rs"]
mod hostile;
mod lockout;
mod numbers;
#[path = "../support/office.rs"]
mod office;
mod people;
mod roles;
mod sessions;
mod strangers;
#[path = "../support/visitor.rs"]
mod visitor;
