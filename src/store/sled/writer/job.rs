//! What others ask of the store's thread.

#[cfg(test)]
use crossbeam_channel::Receiver;
use tokio::sync::oneshot;

use super::super::reader::Reader;
use crate::clock::Stopwatch;
use crate::store::{Answer, Order, Retention, StoreError, Swept};
use crate::verification::values::VerificationId;

pub enum Job {
    Orders {
        orders: Vec<Order>,
        reply: ReplyTo<Vec<Answer>>,
    },
    Read(Read),
    /// These are overdue; how many of them the agenda had lost.
    Attend {
        overdue: Vec<VerificationId>,
        reply: ReplyTo<usize>,
    },
    SweepOld {
        before: Retention,
        reply: ReplyTo<Swept>,
    },
    Rest(ReplyTo<()>),
    Close(ReplyTo<()>),
    /// A manual clock was moved.
    Wake,
    #[cfg(test)]
    LoseTimers(ReplyTo<()>),
    #[cfg(test)]
    StayAway(Receiver<()>),
}

pub type ReplyTo<T> = oneshot::Sender<Result<T, StoreError>>;
/// Reads and answers. It gets `None` while a disk that was full is opened again.
pub type Read = Box<dyn FnOnce(Option<&Reader<'_>>) + Send>;

/// What needs sled and came while it was being opened again.
#[derive(Default)]
pub struct Held {
    pub calls: Vec<Call>,
    pub reads: Vec<Read>,
}

pub struct Sweep {
    pub before: Retention,
    pub reply: ReplyTo<Swept>,
    pub waited: Stopwatch,
}

pub struct Call {
    pub orders: std::vec::IntoIter<Order>,
    pub answers: Vec<Answer>,
    pub failed: Option<StoreError>,
    pub reply: ReplyTo<Vec<Answer>>,
}

impl Call {
    /// The client may have gone.
    pub fn answer(self) {
        let _ = self.reply.send(match self.failed {
            Some(error) => Err(error),
            None => Ok(self.answers),
        });
    }
}

/// What was taken from the queue for one turn, beside the calls.
#[derive(Default)]
pub struct Taken {
    pub reads: Vec<Read>,
    pub attend: Vec<(Vec<VerificationId>, ReplyTo<usize>)>,
    pub sweeps: Vec<(Retention, ReplyTo<Swept>)>,
    pub closings: Vec<ReplyTo<()>>,
}
