//! The journals that are compared. Each is written by a different observer, independent of the others.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;

/// Microseconds since 1970 by the system clock, so that journals and traces of one machine can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub i64);

impl Moment {
    #[expect(
        clippy::disallowed_methods,
        reason = "a journal says when it was written, whatever the server believes"
    )]
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Self(i64::try_from(since_epoch.as_micros()).unwrap())
    }

    /// `2026-11-22T17:00:00.250Z`, as the API writes it.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_microsecond()))
    }

    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0 + millis * 1_000)
    }

    /// Negative if `earlier` is later.
    pub fn millis_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0) / 1_000
    }
}

/// Requests to the server and their answers.
#[derive(Clone, Default)]
pub struct Answers {
    /// Every create with the client's own reference, once, however often it was retried.
    pub asked: Vec<Asked>,
    pub created: Vec<Created>,
    /// By verification, in the order of the checks.
    pub tries: BTreeMap<String, Vec<Try>>,
    /// Reports that were answered with 200.
    pub acked: Vec<Acked>,
    pub acts: Vec<Act>,
    pub reads: Vec<Read>,
}

#[derive(Clone)]
pub struct Asked {
    pub client_ref: String,
    pub at: Moment,
}

#[derive(Clone)]
pub struct Created {
    pub id: String,
    pub client_ref: String,
    pub to: String,
    pub version: u64,
    pub at: Moment,
}

#[derive(Clone)]
pub struct Try {
    pub typed: Typed,
    pub asked_at: Moment,
    pub answer: Option<CheckAnswer>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    Right,
    Wrong,
}

#[derive(Clone)]
pub struct CheckAnswer {
    pub result: String,
    pub checks_left: u64,
    pub at: Moment,
}

#[derive(Clone)]
pub struct Acked {
    pub reference: String,
    pub status: String,
    /// Whether the report had our id; without it, it may wait forever for a send whose answer was lost.
    pub named_ours: bool,
    pub at: Moment,
}

/// Another command of the client on a verification.
#[derive(Clone)]
pub struct Act {
    pub id: String,
    pub wish: Wish,
    pub asked_at: Moment,
    /// Version and time of a 200. `None`: no answer, or a refusal.
    pub done: Option<(u64, Moment)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    Resend,
    Cancel,
}

/// A timeline as shown to a reader.
#[derive(Clone)]
pub struct Read {
    pub id: String,
    pub events: Vec<Value>,
    pub at: Moment,
}

/// A request as a provider saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub channel: String,
    pub reference: String,
    pub provider_ref: String,
    pub to: String,
    pub code: String,
    pub at: Moment,
}

/// A verification as the API shows it, with its timeline.
#[derive(Clone)]
pub struct Shown {
    pub verification: Value,
    pub events: Vec<Value>,
    pub at: Moment,
}

impl Answers {
    /// The part that had been asked and answered by `moment`.
    pub fn until(&self, moment: Moment) -> Self {
        let tries = self.tries.iter().map(|(id, tries)| {
            let asked = tries.iter().filter(|one| one.asked_at <= moment).cloned();
            let cut = |one: Try| Try { answer: one.answer.filter(|answer| answer.at <= moment), ..one };
            (id.clone(), asked.map(cut).collect())
        });
        let acts = self.acts.iter().filter(|act| act.asked_at <= moment).cloned();
        let acts = acts.map(|act| Act { done: act.done.filter(|(_, at)| *at <= moment), ..act });
        Self {
            asked: self.asked.iter().filter(|asked| asked.at <= moment).cloned().collect(),
            created: self.created.iter().filter(|created| created.at <= moment).cloned().collect(),
            tries: tries.collect(),
            acked: self.acked.iter().filter(|acked| acked.at <= moment).cloned().collect(),
            acts: acts.collect(),
            reads: self.reads.iter().filter(|read| read.at <= moment).cloned().collect(),
        }
    }

    /// Number of answers that promised something: creates, checks, reports and acts.
    pub fn promises(&self) -> usize {
        let checks = self.tries.values().flatten().filter(|one| one.answer.is_some()).count();
        let acts = self.acts.iter().filter(|act| act.done.is_some()).count();
        self.created.len() + checks + self.acked.len() + acts
    }
}
