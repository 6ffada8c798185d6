//! The console over HTTP, as a browser without scripts and as somebody who means harm.

mod case;
mod guard;
#[path = "../support/hostile.rs"]
mod hostile;
#[path = "../support/office.rs"]
mod office;
mod people;
mod roles;
mod sessions;
mod strangers;
#[path = "../support/visitor.rs"]
mod visitor;
