//! Messages with outstanding statuses, and webhooks that report them: every status is new for its message, and
//! consecutive statuses of a message are far apart.

use std::path::Path;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use twotick::verification::values::MessageId;

use crate::Outcome;
use crate::fill::{Filled, Plan};
use crate::orders::{self, Status};

/// At least 7/8 of all messages lie between two statuses of one message.
const BLOCKS: usize = 8;

pub struct Stock {
    messages: Vec<MessageId>,
    /// Messages that have received the current status.
    told: usize,
    status: usize,
    rng: StdRng,
    /// Statuses reported so far.
    pub all_told: usize,
}

impl Stock {
    /// Creates the messages in the data folder of a server that will be started in `folder`.
    pub fn make(folder: &Path, messages: usize) -> Outcome<Self> {
        Ok(Self::of(Filled::make(folder, Plan { finished: 0, live: messages })?.close()?))
    }

    pub fn of(mut messages: Vec<MessageId>) -> Self {
        let mut rng = StdRng::seed_from_u64(2);
        messages.shuffle(&mut rng);
        Self { messages, told: 0, status: 0, rng, all_told: 0 }
    }

    /// `count` webhooks with one status each.
    pub fn webhooks(&mut self, count: usize) -> Outcome<Vec<Vec<u8>>> {
        self.batches(count, 1)
    }

    /// `count` webhooks with `size` statuses each.
    pub fn batches(&mut self, count: usize, size: usize) -> Outcome<Vec<Vec<u8>>> {
        (0..count)
            .map(|_| {
                let statuses: Outcome<Vec<_>> = (0..size).map(|_| self.next()).collect();
                Ok(orders::webhook("meta0", &statuses?))
            })
            .collect()
    }

    /// Removes some messages.
    pub fn part(&mut self, count: usize) -> Vec<MessageId> {
        self.messages.split_off(self.messages.len() - count)
    }

    /// The number of outstanding statuses.
    pub fn left(&self) -> usize {
        self.messages.len() * (Status::ALL.len() - self.status) - self.told
    }

    fn next(&mut self) -> Outcome<(MessageId, Status)> {
        if self.told == self.messages.len() {
            (self.told, self.status) = (0, self.status + 1);
            let block = self.messages.len().div_ceil(BLOCKS).max(1);
            let rng = &mut self.rng;
            self.messages.chunks_mut(block).for_each(|block| block.shuffle(rng));
        }
        let status = *Status::ALL.get(self.status).ok_or("every message has heard everything")?;
        self.told += 1;
        self.all_told += 1;
        Ok((self.messages[self.told - 1], status))
    }
}
