//! The console over HTTP, as a browser without scripts and as somebody who means harm.

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
