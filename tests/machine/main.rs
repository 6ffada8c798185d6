//! The pure core against its rules: a table of cases, a second and dumber machine, every order of reports,
//! and streams of old.

#[path = "../support/invariants.rs"]
mod invariants;
#[path = "../support/story.rs"]
mod story;

mod dumber;
mod kept;
mod model;
mod orders;
mod policy;
mod staff;
mod streams;
mod table;
mod told;
mod values;
