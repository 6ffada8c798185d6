//! Password hashing and verification with argon2id, off the server threads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use super::sign_in_limit::Origin;

/// The minimum length of a new password.
pub const MIN_CHARS: usize = 12;
/// Longer passwords, in bytes, are refused without hashing.
pub const MAX_BYTES: usize = 1_024;
/// From OWASP, "Password Storage Cheat Sheet", November 2025: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Concurrent computations; each needs 19 MiB.
const CONCURRENT: usize = 2;
/// The maximum number of waiting checks; each waits a few seconds at most.
const WAITING: usize = 256;
/// The maximum per address.
const MAX_WAITING_PER_ADDRESS: usize = 64;
/// The maximum per known device. Known devices have priority and are never displaced.
const MAX_WAITING_PER_DEVICE: usize = 4;

/// Hashes a new password to a PHC string, for `password_hash` in `[[console.users]]`.
pub fn hash(password: &SecretString) -> Result<String, HashError> {
    let clear = password.expose_secret();
    if clear.chars().count() < MIN_CHARS {
        return Err(HashError::TooShort);
    }
    if clear.len() > MAX_BYTES {
        return Err(HashError::TooLong);
    }
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashError::Failed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon2.hash_password(clear.as_bytes()).map_err(|_| HashError::Failed)?;
    Ok(hash.to_string())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    #[error("the password must have at least {MIN_CHARS} characters")]
    TooShort,
    #[error("the password must have at most {MAX_BYTES} bytes")]
    TooLong,
    #[error("the password could not be hashed")]
    Failed,
}

/// Verifies passwords, a few at a time. Waiting checks queue by origin, and the queues take turns, so that one address
/// cannot block the others.
#[derive(Default)]
pub struct Checker {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    running: usize,
    /// In turn order. No queue is empty.
    devices: VecDeque<OriginQueue>,
    addresses: VecDeque<OriginQueue>,
}

struct OriginQueue {
    origin: Origin,
    waiting: VecDeque<oneshot::Sender<HashPermit>>,
}

/// A permit to compute one hash; dropping it admits the next check.
struct HashPermit {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordCheck {
    Right,
    Wrong,
    /// Too many checks are waiting; the password was not checked.
    Busy,
}

impl Checker {
    /// Verifies a password against a PHC string.
    pub async fn check(&self, hash: &SecretString, password: SecretString, origin: Origin) -> PasswordCheck {
        if password.expose_secret().len() > MAX_BYTES {
            return PasswordCheck::Wrong;
        }
        let Some(permit) = self.permit(origin).await else { return PasswordCheck::Busy };
        let hash = hash.clone();
        let is_right = tokio::task::spawn_blocking(move || {
            // The permit lasts until the computation ends, even if the client has gone.
            let _place = permit;
            PasswordHash::new(hash.expose_secret()).is_ok_and(|hash| {
                Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok()
            })
        });
        match is_right.await {
            Ok(true) => PasswordCheck::Right,
            Ok(false) | Err(_) => PasswordCheck::Wrong,
        }
    }

    /// `None` if too many checks are waiting.
    async fn permit(&self, origin: Origin) -> Option<HashPermit> {
        let waiting = {
            let mut queue = lock(&self.queue);
            if queue.running < CONCURRENT {
                queue.running += 1;
                return Some(HashPermit { queue: Arc::clone(&self.queue) });
            }
            let (sender, receiver) = oneshot::channel();
            if !queue.enqueue(origin, sender) {
                return None;
            }
            receiver
        };
        waiting.await.ok()
    }
}

impl Queue {
    /// Returns whether there was room.
    fn enqueue(&mut self, origin: Origin, sender: oneshot::Sender<HashPermit>) -> bool {
        let (queues, most) = match origin {
            Origin::Device(_) => (&mut self.devices, MAX_WAITING_PER_DEVICE),
            Origin::Address(_) => (&mut self.addresses, MAX_WAITING_PER_ADDRESS),
        };
        queues.iter_mut().for_each(|queue| queue.waiting.retain(|sender| !sender.is_closed()));
        queues.retain(|queue| !queue.waiting.is_empty());
        let of_origin =
            queues.iter().find(|queue| queue.origin == origin).map_or(0, |queue| queue.waiting.len());
        if of_origin >= most {
            return false;
        }
        if matches!(origin, Origin::Address(_))
            && queues.iter().map(|queue| queue.waiting.len()).sum::<usize>() >= WAITING
        {
            // The longest queue gives up a place, unless the newcomer's is as long.
            let longest = queues.iter_mut().max_by_key(|queue| queue.waiting.len());
            let Some(longest) = longest.filter(|queue| queue.waiting.len() > of_origin + 1) else {
                return false;
            };
            longest.waiting.pop_back();
        }
        match queues.iter_mut().find(|queue| queue.origin == origin) {
            Some(queue) => queue.waiting.push_back(sender),
            None => queues.push_back(OriginQueue { origin, waiting: VecDeque::from([sender]) }),
        }
        true
    }

    /// The next check: known devices first, then round-robin.
    fn next(&mut self) -> Option<oneshot::Sender<HashPermit>> {
        for queues in [&mut self.devices, &mut self.addresses] {
            while let Some(mut queue) = queues.pop_front() {
                let next = queue.waiting.pop_front();
                if !queue.waiting.is_empty() {
                    queues.push_back(queue);
                }
                if let Some(next) = next.filter(|next| !next.is_closed()) {
                    return Some(next);
                }
            }
        }
        None
    }
}

impl Drop for HashPermit {
    fn drop(&mut self) {
        let next = {
            let mut queue = lock(&self.queue);
            let next = queue.next();
            if next.is_none() {
                queue.running = queue.running.saturating_sub(1);
            }
            next
        };
        if let Some(next) = next {
            // If the receiver is gone, dropping the permit admits the next check.
            let _ = next.send(HashPermit { queue: Arc::clone(&self.queue) });
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::device::Device;
    use crate::console::sign_in_limit::Network;

    fn at(last: u8) -> Origin {
        Origin::Address(Network::of(std::net::Ipv4Addr::new(192, 0, 2, last).into()))
    }

    #[tokio::test]
    async fn a_hash_verifies_only_its_password() {
        let password = SecretString::from("correct horse battery");
        let made = hash(&password).unwrap();
        assert!(made.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{made}");
        assert_ne!(made, hash(&password).unwrap(), "each has a salt of its own");
        let (checker, made) = (Checker::default(), SecretString::from(made));
        assert_eq!(checker.check(&made, password, at(1)).await, PasswordCheck::Right);
        for wrong in ["correct horse batterz", "", &"x".repeat(MAX_BYTES + 1)] {
            assert_eq!(
                checker.check(&made, SecretString::from(wrong), at(1)).await,
                PasswordCheck::Wrong,
                "{wrong}"
            );
        }
    }

    #[test]
    fn short_and_long_passwords_are_refused() {
        assert_eq!(hash(&SecretString::from("elevenchars")), Err(HashError::TooShort));
        assert_eq!(hash(&SecretString::from("ä".repeat(11))), Err(HashError::TooShort));
        assert_eq!(hash(&SecretString::from("x".repeat(MAX_BYTES + 1))), Err(HashError::TooLong));
    }

    /// Takes all permits, and `waiting` places in each address's queue.
    async fn crowded(
        checker: &Checker,
        waiting: &[(u8, usize)],
    ) -> (Vec<HashPermit>, Vec<oneshot::Receiver<HashPermit>>) {
        let mut places = Vec::new();
        for _ in 0..CONCURRENT {
            places.push(checker.permit(at(0)).await.unwrap());
        }
        let mut receivers = Vec::new();
        for &(address, count) in waiting {
            for _ in 0..count {
                let (sender, receiver) = oneshot::channel();
                assert!(lock(&checker.queue).enqueue(at(address), sender), "{address}");
                receivers.push(receiver);
            }
        }
        (places, receivers)
    }

    #[tokio::test]
    async fn excess_checks_are_refused() {
        let checker = Checker::default();
        let _all = crowded(&checker, &[(1, MAX_WAITING_PER_ADDRESS)]).await;
        let hash = SecretString::from("$argon2id$");
        let password = || SecretString::from("whatever it is");
        assert_eq!(checker.check(&hash, password(), at(1)).await, PasswordCheck::Busy);
    }

    #[tokio::test]
    async fn queues_take_turns_after_known_devices() {
        let checker = Checker::default();
        let (mut places, mut crowd) = crowded(&checker, &[(1, 24), (2, 1), (3, 2)]).await;
        let (sender, mut device) = oneshot::channel();
        assert!(lock(&checker.queue).enqueue(Origin::Device(Device::new()), sender));
        places.pop();
        let permit = device.try_recv().expect("the device is let in at once");
        drop(permit);
        // One per address, before the first address's second.
        let mut let_in = vec![crowd[0].try_recv().expect("the first address")];
        let_in.pop();
        let_in.push(crowd[24].try_recv().expect("the second address, although 24 came before"));
        let_in.pop();
        let_in.push(crowd[25].try_recv().expect("the third address"));
        let_in.pop();
        assert!(crowd[1].try_recv().is_ok() && crowd[26].try_recv().is_ok());
    }

    #[tokio::test]
    async fn the_longest_queue_makes_room_and_abandoned_checks_take_none() {
        let checker = Checker::default();
        let full: Vec<_> = (1..=4).map(|address| (address, MAX_WAITING_PER_ADDRESS)).collect();
        assert_eq!(full.iter().map(|(_, count)| count).sum::<usize>(), WAITING);
        let (places, mut crowd) = crowded(&checker, &full).await;
        let (sender, mut newcomer) = oneshot::channel();
        assert!(lock(&checker.queue).enqueue(at(9), sender));
        assert_eq!(
            lock(&checker.queue).addresses.iter().map(|queue| queue.waiting.len()).sum::<usize>(),
            WAITING
        );
        crowd.clear();
        drop(places);
        let permit = newcomer.try_recv().expect("all others have gone");
        drop(permit);
        assert_eq!(lock(&checker.queue).running, 0);
    }
}
