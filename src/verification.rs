//! The core: the state machine of a verification. It is pure: no clock, no randomness, no I/O, no names of providers.
//! [`decide()`] turns a [`State`] and a [`Command`] into [`Event`]s, [`evolve()`] folds those into the next state,
//! [`due()`] returns the next deadline, and [`effect()`] the action that an event requires outside.
//!
//! ```text
//! status of a verification
//!   pending ─► approved    the right code was checked
//!           ─► expired     its time is over
//!           ─► canceled    by the app, or the person did not ask for a code
//!           ─► exhausted   too many wrong codes
//!
//! state of a message, upwards only
//!   queued ─► sending ─► accepted ─► sent ─► delivered ─► read
//!     │ ▲        │ │        └─────────┴──► failed ─► delivered (a report of delivery outlives a failure)
//!     │ └─retry──┘ ├─► failed     refused for good
//!     │            └─► in_doubt   the answer was lost; any report settles it
//!     └─► dropped                 no longer needed, never sent
//! ```

pub mod command;
mod compact;
pub mod decide;
pub mod due;
pub mod event;
mod fact;
pub mod locale;
pub mod policy;
pub mod state;
pub mod values;

pub use command::{Command, Comparison, Jitter, OperatorAct, Readiness, Rejection, Request};
pub use decide::decide;
pub use due::{Why, due};
pub use event::{Effect, Event, Fact, OperatorAction, effect};
pub use policy::{Policy, PolicyHash};
pub use state::{State, Verification, evolve};
