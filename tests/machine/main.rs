//! The pure core against its rules: a table of cases, a simpler second machine, every order of reports, and old
//! streams.

#[path = "../support/invariants.rs"]
mod invariants;
#[path = "../support/story.rs"]
mod story;

mod model;
mod orders;
mod policy;
mod simple;
mod staff;
mod stored;
mod streams;
mod table;
mod texts;
mod values;
