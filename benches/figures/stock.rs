//! Messages whose statuses were not told yet, and webhooks that tell them: every status is new for its message, and no
//! message hears again soon.

use std::path::Path;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use twotick::verification::values::MessageId;

use crate::Outcome;
use crate::fill::{Filled, Plan};
use crate::orders::{self, Status};

/// A message's next status comes at least 7/8 of all messages after its last.
const BLOCKS: usize = 8;

pub struct Stock {
    messages: Vec<MessageId>,
    /// Of the status that is told now, messages that heard it.
    told: usize,
    status: usize,
    rng: StdRng,
    /// Statuses that were told so far.
    pub all_told: usize,
}

impl Stock {
    /// In the data folder of a server that is started in `folder` afterwards.
    pub fn make(folder: &Path, messages: usize) -> Outcome<Self> {
        Ok(Self::of(Filled::make(folder, Plan { finished: 0, live: messages })?.close()?))
    }

    pub fn of(mut messages: Vec<MessageId>) -> Self {
        let mut rng = StdRng::seed_from_u64(2);
        messages.shuffle(&mut rng);
        Self { messages, told: 0, status: 0, rng, all_told: 0 }
    }

    /// So many webhooks with one status each.
    pub fn webhooks(&mut self, count: usize) -> Outcome<Vec<Vec<u8>>> {
        self.batches(count, 1)
    }

    /// So many webhooks with `size` statuses each.
    pub fn batches(&mut self, count: usize, size: usize) -> Outcome<Vec<Vec<u8>>> {
        (0..count)
            .map(|_| {
                let statuses: Outcome<Vec<_>> = (0..size).map(|_| self.next()).collect();
                Ok(orders::webhook("meta0", &statuses?))
            })
            .collect()
    }

    /// Takes some messages away for good.
    pub fn part(&mut self, count: usize) -> Vec<MessageId> {
        self.messages.split_off(self.messages.len() - count)
    }

    /// Statuses that can still be told.
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
