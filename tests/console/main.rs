//! The console over HTTP, as a browser without scripts and as somebody who means harm.

#[path = "../support/hostile.rs"]
mod hostile;
#[path = "../support/office.rs"]
mod office;
mod sessions;
#[path = "../support/visitor.rs"]
mod visitor;
