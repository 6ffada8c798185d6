//! twotick gets a one-time passcode to a person and knows what became of it.
//!
//! The walk of a code through the house, in reading order:
//!
//! 1. An app asks for a verification ([`http`]: `http/api`). The request becomes a command; nothing is sent inside it.
//! 2. The [`store`] runs the machine ([`verification`]): from a state and a command come events, which are made
//!    durable before anybody is answered. One of them says that a message starts.
//! 3. The [`courier`] carries that one attempt out over a [`channel`] and reports what became of it, as a command.
//! 4. Providers tell later (`http/webhooks`): signature over the raw bytes, then reports, then commands.
//! 5. What is not delivered in time is due: the store's own timer ticks the machine, and the next step starts.
//!
//! `ARCHITECTURE.md` has the map, the invariants, and where to change what. The fuzz targets (`fuzz/`) are built of the
//! rooms that read what strangers write, without those that serve.

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
