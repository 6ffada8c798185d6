//! twotick delivers one-time passcodes and records what happens to each.
//!
//! The path of a code through the modules, in reading order:
//!
//! 1. An app requests a verification ([`http`]: `http/api`). The request becomes a command; a handler sends nothing
//!    itself.
//! 2. The [`store`] runs the state machine ([`verification`]): a state and a command give events, which are made
//!    durable before the request is answered. One of them starts a message.
//! 3. The [`courier`] carries out the send attempt over a [`channel`] and reports the outcome as a command.
//! 4. Providers report later (`http/webhooks`): the signature of the raw bytes is verified, then reports become
//!    commands.
//! 5. If a message is not delivered in time, the store's timer ticks the state machine, and the next step starts.
//!
//! `ARCHITECTURE.md` has the module map, the invariants, and where to change what. The fuzz targets (`fuzz/`) compile
//! only the modules that parse untrusted input.

pub mod access;
#[cfg(not(fuzzing))]
pub mod app;
pub mod changing;
pub mod channel;
#[cfg(not(fuzzing))]
pub mod cli;
pub mod clock;
pub mod config;
#[cfg(not(fuzzing))]
pub mod console;
#[cfg(not(fuzzing))]
pub mod courier;
pub mod digits;
pub mod excerpt;
pub mod explain;
pub mod failpoint;
#[cfg(not(fuzzing))]
pub mod health;
pub mod hex;
#[cfg(not(fuzzing))]
pub mod http;
pub mod http_client;
pub mod language;
pub mod lifecycle;
pub mod phone;
pub mod retention;
#[cfg(not(fuzzing))]
pub mod sandbox;
#[cfg(not(fuzzing))]
pub mod sse;
pub mod store;
#[cfg(not(fuzzing))]
pub mod sweeps;
pub mod texts;
pub mod timeline;
pub mod vault;
pub mod verification;
