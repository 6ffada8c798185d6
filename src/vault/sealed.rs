//! The sealed form of a key ring: all keys in one piece under a key of its own, which is their checksum as well.

use std::io;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::keys::{RingName, Version};
use super::random;
use super::tree::{Key, Node, Secret};
use crate::verification::values::Timestamp;

const NONCE_BYTES: usize = 24;

/// The content of a ring.
#[derive(Clone, Default)]
pub struct Keys {
    pub keys: Vec<Arc<Key>>,
    /// Keys of slots that ended until then have been destroyed on purpose.
    pub destroyed_until: Timestamp,
    /// An operator has accepted that keys of slots that ended until then are missing.
    pub loss_accepted_until: Timestamp,
}

/// Seals and opens one ring. The ring's name and version are bound to the bytes.
pub struct Sealer {
    ring: RingName,
    cipher: XChaCha20Poly1305,
}

impl Sealer {
    pub fn new(ring: RingName, key: Secret) -> Self {
        Self { ring, cipher: XChaCha20Poly1305::new((&*key).into()) }
    }

    pub fn seal(
        &self,
        Keys { keys, destroyed_until, loss_accepted_until }: &Keys,
        version: Version,
    ) -> io::Result<Vec<u8>> {
        let nodes: usize = keys.iter().map(|key| key.nodes.len()).sum();
        // Large enough from the start, so that growing leaves no copy behind.
        let mut clear =
            Zeroizing::new(Vec::with_capacity(HEAD_BYTES + keys.len() * KEY_BYTES + nodes * NODE_BYTES));
        clear.extend_from_slice(&destroyed_until.as_millis().to_be_bytes());
        clear.extend_from_slice(&loss_accepted_until.as_millis().to_be_bytes());
        clear.extend_from_slice(&count(keys.len())?);
        for key in keys {
            clear.extend_from_slice(&key.id);
            clear.extend_from_slice(&key.since.as_millis().to_be_bytes());
            clear.extend_from_slice(&count(key.nodes.len())?);
            for node in &key.nodes {
                clear.push(node.depth);
                clear.extend_from_slice(&node.first.to_be_bytes());
                clear.extend_from_slice(&*node.secret);
            }
        }
        let nonce = random::<NONCE_BYTES>();
        let payload = Payload { msg: &clear, aad: &self.bound_to(version) };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        Ok([&nonce[..], &sealed.map_err(|_| io::ErrorKind::FileTooLarge)?].concat())
    }

    /// `None`: damaged, or sealed for another ring or version or by another key.
    pub fn open(&self, bytes: &[u8], version: Version) -> Option<Keys> {
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: &self.bound_to(version) };
        let clear = Zeroizing::new(self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?);
        let mut rest = &clear[..];
        let (destroyed_until, loss_accepted_until) = (read_time(&mut rest)?, read_time(&mut rest)?);
        let keys = read_count(&mut rest)?;
        let keys = (0..keys).map(|_| read_key(&mut rest).map(Arc::new)).collect::<Option<Vec<_>>>()?;
        rest.is_empty().then_some(Keys { keys, destroyed_until, loss_accepted_until })
    }

    fn bound_to(&self, version: Version) -> Vec<u8> {
        [self.ring.as_str().as_bytes(), &version.to_be_bytes()].concat()
    }
}

const HEAD_BYTES: usize = 8 + 8 + 4;
const KEY_BYTES: usize = 8 + 8 + 4;
const NODE_BYTES: usize = 1 + 8 + 32;

fn count(count: usize) -> io::Result<[u8; 4]> {
    u32::try_from(count).map(u32::to_be_bytes).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

fn read_key(rest: &mut &[u8]) -> Option<Key> {
    let (id, since) = (*take(rest)?, read_time(rest)?);
    let nodes = read_count(rest)?;
    let nodes = (0..nodes).map(|_| read_node(rest)).collect::<Option<Vec<_>>>()?;
    Some(Key { id, since, nodes })
}

fn read_node(rest: &mut &[u8]) -> Option<Node> {
    let [depth] = *take(rest)?;
    let first = u64::from_be_bytes(*take(rest)?);
    Some(Node { depth, first, secret: Zeroizing::new(*take(rest)?) })
}

fn read_time(rest: &mut &[u8]) -> Option<Timestamp> {
    take(rest).copied().map(i64::from_be_bytes).map(Timestamp::from_millis)
}

fn read_count(rest: &mut &[u8]) -> Option<u32> {
    take(rest).copied().map(u32::from_be_bytes)
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_opens_only_whole_with_its_key_name_and_version() {
        let node = |first| Node { depth: 3, first, secret: Zeroizing::new([9; 32]) };
        let since = Timestamp::from_millis(5);
        let key = |id: u8| Arc::new(Key { id: [id; 8], since, nodes: vec![node(0), node(4)] });
        let (destroyed_until, loss_accepted_until) = (Timestamp::from_millis(3), Timestamp::from_millis(4));
        let keys = Keys { keys: vec![key(1), key(2)], destroyed_until, loss_accepted_until };
        let sealer = |ring, key| Sealer::new(ring, Zeroizing::new([key; 32]));
        let days = sealer(RingName::Days, 7);
        let whole = days.seal(&keys, 5).unwrap();
        let Keys { keys, destroyed_until, loss_accepted_until } = days.open(&whole, 5).unwrap();
        assert_eq!((keys.len(), keys[1].id, keys[1].nodes[1].first), (2, [2; 8], 4));
        assert_eq!((destroyed_until.as_millis(), loss_accepted_until.as_millis()), (3, 4));

        assert!(!whole.windows(8).any(|bytes| bytes == [9; 8]), "no secret is readable");
        for index in 0..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 1;
            assert!(days.open(&changed, 5).is_none(), "byte {index}");
            assert!(days.open(&whole[..index], 5).is_none(), "cut to {index} bytes");
        }
        assert!(days.open(&whole, 4).is_none() && days.open(&whole, 6).is_none());
        assert!(sealer(RingName::Days, 8).open(&whole, 5).is_none());
        assert!(sealer(RingName::Codes, 7).open(&whole, 5).is_none());
    }
}
