//! The HTTP interfaces from outside: a real server on a real socket with a real store, in virtual time.

mod admin;
mod bad_input;
mod checks;
mod commands;
mod creates;
mod description;
mod lists;
mod logs;
mod operations;
mod people;
mod reads;
mod sinch;
mod support;
mod timelines;
mod waiting;
mod webhooks;
