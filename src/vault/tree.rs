//! A key from which one number can be forgotten before the whole key is. A key is the root of a tree (after Goldreich,
//! Goldwasser and Micali, "How to construct random functions", 1986): each node is a secret, its four children are
//! hashes of it, and the leaf at which a number's blind index ends seals the data of that number. To forget a number,
//! the nodes on the way to its leaf are destroyed and the children beside that way are kept instead. All other leaves
//! stay as they were, so nothing has to be sealed again.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::random;
use crate::verification::values::{NumberIndex, Timestamp};

/// The name of a key: 64 random bits, so that no two keys ever share a name.
pub type KeyId = [u8; 8];
pub type Secret = Zeroizing<[u8; 32]>;

/// Steps from the root to a leaf; each takes two bits of the blind index. With 48 bits, two of ten million numbers of
/// one slot share a leaf with a probability of one in six, and a forgotten number takes another one with it once in 28
/// million.
const LEVELS: u8 = 24;
const BITS: u32 = 48;

/// The place in the tree where data of one number are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf(u64);

impl Leaf {
    pub const BYTES: usize = 6;
    /// For data that belong to no known number.
    pub const NO_NUMBER: Self = Self(0);

    pub fn of(number: NumberIndex) -> Self {
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(&number.0[..Self::BYTES]);
        Self::from_bytes(bytes)
    }

    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes.iter().fold(0, |path, &byte| path << 8 | u64::from(byte)))
    }

    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(&self.0.to_be_bytes()[8 - Self::BYTES..]);
        bytes
    }
}

/// A part of a tree. A whole tree is one node, its root; each leaf given up leaves more nodes behind.
#[derive(Clone)]
pub struct Node {
    /// Steps from the root, 0 to [`LEVELS`].
    pub depth: u8,
    /// The first leaf below it.
    pub first: u64,
    pub secret: Secret,
}

#[derive(Clone)]
pub struct Key {
    pub id: KeyId,
    /// The beginning of its slot.
    pub since: Timestamp,
    /// Sorted by their first leaves; no leaf is below two of them.
    pub nodes: Vec<Node>,
}

impl Key {
    pub fn new(since: Timestamp) -> Self {
        let root = Node { depth: 0, first: 0, secret: Zeroizing::new(random()) };
        Self { id: random(), since, nodes: vec![root] }
    }

    pub fn covers(&self, leaf: Leaf) -> bool {
        self.covering(leaf).is_some()
    }

    fn covering(&self, leaf: Leaf) -> Option<usize> {
        let after = self.nodes.partition_point(|node| node.first <= leaf.0);
        let index = after.checked_sub(1)?;
        self.nodes[index].covers(leaf).then_some(index)
    }

    /// The secret of a leaf; `None` where it was given up.
    pub fn leaf(&self, leaf: Leaf) -> Option<Secret> {
        let mut node = self.nodes[self.covering(leaf)?].clone();
        while node.depth < LEVELS {
            node = node.child(node.step_to(leaf));
        }
        Some(node.secret)
    }

    /// Destroys a leaf. False: it was destroyed before.
    pub fn give_up(&mut self, leaf: Leaf) -> bool {
        let Some(index) = self.covering(leaf) else { return false };
        let mut node = self.nodes.remove(index);
        let mut beside = Vec::new();
        while node.depth < LEVELS {
            let step = node.step_to(leaf);
            beside.extend((0..4).filter(|&other| other != step).map(|other| node.child(other)));
            node = node.child(step);
        }
        beside.sort_by_key(|node| node.first);
        self.nodes.splice(index..index, beside);
        true
    }
}

impl Node {
    fn covers(&self, leaf: Leaf) -> bool {
        (leaf.0 ^ self.first).checked_shr(self.bits_below()) == Some(0)
    }

    fn child(&self, step: u64) -> Self {
        let depth = self.depth + 1;
        let mut hash = Sha256::new();
        // The length never differs, and fits into one block of SHA-256.
        hash.update(*self.secret);
        hash.update([depth, step.to_le_bytes()[0]]);
        hash.update(b"twotick node 1");
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&hash.finalize());
        let mut child = Self { depth, first: self.first, secret };
        child.first |= step << child.bits_below();
        child
    }

    /// The child on the way to a leaf below.
    fn step_to(&self, leaf: Leaf) -> u64 {
        leaf.0 >> (self.bits_below() - 2) & 3
    }

    fn bits_below(&self) -> u32 {
        BITS - 2 * u32::from(self.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn leaf(n: u64) -> Leaf {
        Leaf(n & ((1 << BITS) - 1))
    }

    #[test]
    fn a_number_that_is_given_up_takes_no_other_with_it() {
        let mut key = Key::new(NOON);
        let spread = |n: u64| leaf(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16);
        // Neighbours, both ends, and numbers all over.
        let mut all: Vec<Leaf> = (0..6).map(leaf).chain((1..=200).map(spread)).collect();
        all.push(leaf(u64::MAX));
        let before: Vec<_> = all.iter().map(|&leaf| key.leaf(leaf).unwrap()).collect();
        let given_up = [0, 3, 5, 17, 100, all.len() - 1];
        for (n, &index) in given_up.iter().enumerate() {
            assert!(key.give_up(all[index]));
            assert!(!key.give_up(all[index]), "once");
            for (other, &leaf) in all.iter().enumerate() {
                let expected = (!given_up[..=n].contains(&other)).then_some(&before[other]);
                assert_eq!(key.leaf(leaf).as_ref(), expected, "{other} after {index}");
            }
        }
        assert!(key.nodes.is_sorted_by_key(|node| node.first));
        assert!(key.nodes.len() <= given_up.len() * 72);
        let mut secrets: Vec<_> = before.iter().map(|secret| **secret).collect();
        secrets.sort_unstable();
        secrets.dedup();
        assert_eq!(secrets.len(), all.len(), "leaves differ");
    }
}
