//! The pure core against its rules: a table of cases, a second and dumber machine, every order of reports,
//! and streams of old.

#[path = "../support/story.rs"]
mod story;
mod table;
