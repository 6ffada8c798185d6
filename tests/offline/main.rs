//! Commands on stored data, by the real binary, with and without a server.

mod files;
mod keys;
mod operator;
mod owner;
mod rows;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
mod world;
