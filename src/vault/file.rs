//! The file that keys are kept in, beside the store and never in it. The store's log and every backup of it hold on to
//! what was removed; this file is written anew as a whole, and what it held before is overwritten.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, Zeroizing};

use super::random;
use super::ring::{Key, Node, Secret};
use crate::verification::values::Timestamp;

/// What the file begins with; then a nonce, and all keys sealed as one, which is their checksum as well.
const MAGIC: &[u8; 16] = b"twotick keys 2\n\0";
const NONCE_BYTES: usize = 24;
/// A day's key with a thousand numbers forgotten in it takes 3 MB; a mistaken file must not fill the memory.
const LARGEST: u64 = 1024 * 1024 * 1024;

/// Why the keys cannot be used. What they sealed cannot be read without them, so nothing starts.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("the keys in {path} cannot be read: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "the keys in {path} are damaged, or were sealed with another master key. Put back the newest copy. \
         Without any, move the file away and run `twotick serve --accept-lost-keys`: the numbers and texts that \
         they sealed stay unreadable"
    )]
    Damaged { path: PathBuf },
}

/// What the file holds.
#[derive(Clone, Default)]
pub struct Kept {
    pub keys: Vec<Arc<Key>>,
    /// Keys of slots that were over by then have been destroyed on purpose.
    pub forgotten: Timestamp,
    /// An operator has accepted that keys of slots that were over by then are missing.
    pub accepted: Timestamp,
}

pub struct KeyFile {
    path: PathBuf,
    seal: XChaCha20Poly1305,
}

impl KeyFile {
    pub fn new(path: PathBuf, key: Secret) -> Self {
        Self { path, seal: XChaCha20Poly1305::new((&*key).into()) }
    }

    /// No keys where there is no file.
    pub fn read(&self) -> Result<Kept, KeysError> {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
        match read {
            Ok(_) => self.decode(&bytes).ok_or_else(|| KeysError::Damaged { path: self.path.clone() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
            Err(source) => Err(KeysError::Unreadable { path: self.path.clone(), source }),
        }
    }

    /// Durable when it returns, whole or not at all; what the file held before is overwritten.
    pub fn write(&self, kept: &Kept) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if !folder.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            File::open(folder.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        }
        let old = match OpenOptions::new().write(true).open(&self.path) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let beside = self.path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&self.encode(kept)?)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        File::open(folder)?.sync_all()?;
        // The new keys stand; that the old bytes stay until their blocks are used again is the lesser evil.
        if let Some(error) = old.and_then(|old| overwrite(old).err()) {
            tracing::warn!(%error, "the keys of before could not be overwritten");
        }
        Ok(())
    }

    fn encode(&self, Kept { keys, forgotten, accepted }: &Kept) -> io::Result<Vec<u8>> {
        let nodes: usize = keys.iter().map(|key| key.nodes.len()).sum();
        // Large enough from the start, so that growing leaves no copy behind.
        let mut clear =
            Zeroizing::new(Vec::with_capacity(HEAD_BYTES + keys.len() * KEY_BYTES + nodes * NODE_BYTES));
        clear.extend_from_slice(&forgotten.as_millis().to_be_bytes());
        clear.extend_from_slice(&accepted.as_millis().to_be_bytes());
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
        let payload = Payload { msg: &clear, aad: MAGIC };
        let sealed =
            self.seal.encrypt(&XNonce::from(nonce), payload).map_err(|_| io::ErrorKind::FileTooLarge)?;
        Ok([&MAGIC[..], &nonce, &sealed].concat())
    }

    fn decode(&self, bytes: &[u8]) -> Option<Kept> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: MAGIC };
        let clear = Zeroizing::new(self.seal.decrypt(&XNonce::from(*nonce), payload).ok()?);
        let mut rest = &clear[..];
        let (forgotten, accepted) = (read_time(&mut rest)?, read_time(&mut rest)?);
        let keys = read_count(&mut rest)?;
        let keys = (0..keys).map(|_| read_key(&mut rest).map(Arc::new)).collect::<Option<Vec<_>>>()?;
        rest.is_empty().then_some(Kept { keys, forgotten, accepted })
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

/// Nobody finds the file by its name any more.
fn overwrite(mut old: File) -> io::Result<()> {
    let mut left = old.metadata()?.len();
    old.rewind()?;
    let mut noise = [0; 4096];
    noise.copy_from_slice(&[random::<64>(); 64].concat());
    while left > 0 {
        let some = usize::try_from(left).unwrap_or(usize::MAX).min(noise.len());
        old.write_all(&noise[..some])?;
        left -= some as u64;
    }
    noise.zeroize();
    old.sync_data()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn kept() -> Kept {
        let node = |first| Node { depth: 3, first, secret: Zeroizing::new([9; 32]) };
        let key =
            |id: u8| Key { id: [id; 8], since: Timestamp::from_millis(5), nodes: vec![node(0), node(4)] };
        let (forgotten, accepted) = (Timestamp::from_millis(3), Timestamp::from_millis(4));
        Kept { keys: vec![Arc::new(key(1)), Arc::new(key(2))], forgotten, accepted }
    }

    #[test]
    fn a_file_is_its_owners_alone_and_any_change_to_it_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/days");
        let file = KeyFile::new(path.clone(), Zeroizing::new([7; 32]));
        assert!(file.read().unwrap().keys.is_empty());
        file.write(&kept()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let Kept { keys, forgotten, accepted } = file.read().unwrap();
        assert_eq!((keys.len(), keys[1].id, keys[1].nodes[1].first), (2, [2; 8], 4));
        assert_eq!((forgotten.as_millis(), accepted.as_millis()), (3, 4));

        let whole = fs::read(&path).unwrap();
        assert!(!whole.windows(8).any(|bytes| bytes == [9; 8]), "no secret stands in it in clear");
        for index in 0..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(matches!(file.read(), Err(KeysError::Damaged { .. })), "byte {index}");
            fs::write(&path, &whole[..index]).unwrap();
            assert!(matches!(file.read(), Err(KeysError::Damaged { .. })), "cut to {index} bytes");
        }
        fs::write(&path, &whole).unwrap();
        let other = KeyFile::new(path, Zeroizing::new([8; 32]));
        assert!(matches!(other.read(), Err(KeysError::Damaged { .. })));
    }

    #[test]
    fn what_the_file_held_before_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("days");
        let file = KeyFile::new(path.clone(), Zeroizing::new([7; 32]));
        file.write(&kept()).unwrap();
        let before = fs::read(&path).unwrap();
        // A second name keeps the old file's blocks in sight.
        let seen = folder.path().join("seen");
        fs::hard_link(&path, &seen).unwrap();
        file.write(&Kept { keys: kept().keys[..1].to_vec(), ..kept() }).unwrap();
        let left = fs::read(&seen).unwrap();
        assert_eq!(left.len(), before.len());
        assert!(before.windows(8).all(|old| !left.windows(8).any(|new| new == old)));
        assert_eq!(file.read().unwrap().keys.len(), 1);
    }
}
