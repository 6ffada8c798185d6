//! Who waits for the next version of a verification.

use std::collections::HashMap;

use tokio::sync::watch;

use crate::verification::values::VerificationId;

/// So many entries are not worth a look at which of them are still in use.
const FEW: usize = 1_024;

/// One entry for each verification that is watched. Those that nobody watches any more go with their next version, and at
/// the latest when there are twice as many as after the last look: so they stay bounded by those in use.
#[derive(Default)]
pub struct Watchers {
    senders: HashMap<VerificationId, watch::Sender<u32>>,
    in_use: usize,
}

impl Watchers {
    pub fn subscribe(&mut self, id: VerificationId, version: u32) -> watch::Receiver<u32> {
        if self.senders.len() >= FEW.max(2 * self.in_use) {
            self.senders.retain(|_, sender| sender.receiver_count() > 0);
            self.in_use = self.senders.len();
        }
        self.senders.entry(id).or_insert_with(|| watch::channel(version).0).subscribe()
    }

    pub fn tell(&mut self, id: VerificationId, version: u32) {
        if let Some(sender) = self.senders.get(&id) {
            sender.send_replace(version);
            if sender.receiver_count() == 0 {
                self.senders.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::values::{Bucket, Timestamp};

    fn id(n: u64) -> VerificationId {
        VerificationId::new(Timestamp::from_millis(1_795_000_000_000), Bucket::new(1), n)
    }

    #[test]
    fn entries_that_nobody_uses_do_not_add_up() {
        let mut watchers = Watchers::default();
        let kept: Vec<_> = (0..2_000).map(|n| watchers.subscribe(id(n), 1)).collect();
        for n in 2_000..50_000 {
            drop(watchers.subscribe(id(n), 1));
            assert!(watchers.senders.len() <= 4_000 + FEW, "{}", watchers.senders.len());
        }
        watchers.tell(id(7), 5);
        assert_eq!(*kept[7].borrow(), 5);
        drop(kept);
        watchers.tell(id(7), 6);
        assert!(!watchers.senders.contains_key(&id(7)));
    }
}
