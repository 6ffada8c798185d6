//! What is done to the data while no server runs, by the real binary.

mod files;
mod keys;
mod operator;
mod owner;
mod rows;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
mod world;
