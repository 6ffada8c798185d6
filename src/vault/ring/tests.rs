//! The rules of a ring, for each store of keys. A second ring on the same store is a second process.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use super::super::file::KeyFiles;
use super::super::keys::{KeysInMemory, Stored};
use super::*;
use crate::verification::values::NumberIndex;

const DAY: Duration = Duration::from_secs(86_400);
const NOON: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn leaf(n: u8) -> Leaf {
    Leaf::of(NumberIndex([n; 16]))
}

/// Opens the same rings again, as a new process does.
trait World {
    fn new() -> Self;
    fn store(&self) -> Arc<dyn KeyStore>;

    fn process(&self) -> Ring {
        ring(self.store())
    }
}

fn ring(store: Arc<dyn KeyStore>) -> Ring {
    Ring::open(RingName::Days, DAY, store, Zeroizing::new([7; 32])).unwrap()
}

struct InFiles(tempfile::TempDir);

impl World for InFiles {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> Arc<dyn KeyStore> {
        Arc::new(KeyFiles::in_folder(&self.0.path().join("keys")))
    }
}

struct InMemory(Arc<KeysInMemory>);

impl World for InMemory {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn store(&self) -> Arc<dyn KeyStore> {
        Arc::new(Heard { store: Arc::clone(&self.0), known: [0, 0].map(std::sync::atomic::AtomicU64::new) })
    }
}

/// One process's view of a shared store: it knows a version only after it has loaded or stored it.
struct Heard {
    store: Arc<KeysInMemory>,
    known: [std::sync::atomic::AtomicU64; 2],
}

impl Heard {
    fn known(&self, ring: RingName) -> &std::sync::atomic::AtomicU64 {
        &self.known[ring as usize]
    }
}

impl KeyStore for Heard {
    fn load(&self, ring: RingName) -> Result<Stored, KeysError> {
        let stored = self.store.load(ring)?;
        self.known(ring).store(stored.version, Ordering::Relaxed);
        Ok(stored)
    }

    fn replace(&self, ring: RingName, seen: Version, sealed: &[u8]) -> io::Result<Replaced> {
        self.store.replace(ring, seen, sealed)
    }

    fn known_version(&self, ring: RingName) -> Version {
        self.known(ring).load(Ordering::Relaxed)
    }

    fn place(&self, ring: RingName) -> String {
        self.store.place(ring)
    }

    fn note_use(&self, now: Timestamp) -> io::Result<()> {
        self.store.note_use(now)
    }

    fn last_use(&self) -> Option<Timestamp> {
        self.store.last_use()
    }
}

/// Fails to store as long as it is told to.
struct Failing {
    store: Arc<dyn KeyStore>,
    fails: AtomicBool,
}

impl KeyStore for Failing {
    fn load(&self, ring: RingName) -> Result<Stored, KeysError> {
        self.store.load(ring)
    }

    fn replace(&self, ring: RingName, seen: Version, sealed: &[u8]) -> io::Result<Replaced> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.store.replace(ring, seen, sealed)
    }

    fn known_version(&self, ring: RingName) -> Version {
        self.store.known_version(ring)
    }

    fn place(&self, ring: RingName) -> String {
        self.store.place(ring)
    }

    fn note_use(&self, now: Timestamp) -> io::Result<()> {
        self.store.note_use(now)
    }

    fn last_use(&self) -> Option<Timestamp> {
        self.store.last_use()
    }
}

macro_rules! for_each_store {
    ($($case:ident)*) => {
        mod in_files {
            $(#[test] fn $case() { super::$case::<super::InFiles>() })*
        }
        mod in_memory {
            $(#[test] fn $case() { super::$case::<super::InMemory>() })*
        }
    };
}

for_each_store! {
    a_slot_has_one_key_however_many_threads_need_it
    keys_end_with_their_slot_and_survive_a_restart_until_then
    the_next_slot_is_prepared_only_where_this_one_is_used
    a_key_is_used_only_once_it_is_durable
    the_process_that_comes_second_uses_the_key_of_the_first
    a_leaf_that_another_process_gave_up_does_not_come_back
    a_key_that_another_process_destroyed_does_not_come_back
    two_processes_forget_two_numbers_and_both_stay_forgotten
    an_accepted_loss_is_kept_beside_the_change_of_another_process
    many_processes_agree_on_one_key
    another_master_key_opens_nothing
}

fn a_slot_has_one_key_however_many_threads_need_it<W: World>() {
    let world = W::new();
    let ring = world.process();
    let ids: BTreeSet<KeyId> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8)
            .map(|n| {
                let ring = &ring;
                scope.spawn(move || ring.to_seal(NOON, leaf(n)).unwrap().0)
            })
            .collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!((ids.len(), ring.len()), (1, 1));
}

fn keys_end_with_their_slot_and_survive_a_restart_until_then<W: World>() {
    let world = W::new();
    let ring = world.process();
    let (old, secret) = ring.to_seal(NOON, leaf(5)).unwrap();
    let (young, _) = ring.to_seal(NOON + DAY, leaf(5)).unwrap();
    assert_ne!(old, young);
    assert_eq!(world.process().to_open(old, leaf(5)), Some(secret.clone()));

    assert_eq!(ring.forget_leaves(&[leaf(5)], &BTreeSet::from([old])).unwrap(), 1);
    assert_eq!(ring.forget_leaves(&[leaf(5)], &BTreeSet::from([old])).unwrap(), 0, "it is gone");
    let again = world.process();
    assert_eq!(again.to_open(old, leaf(5)), None);
    assert!(again.to_open(old, leaf(6)).is_some() && again.to_open(young, leaf(5)).is_some());
    let (other, other_secret) = again.to_seal(NOON, leaf(5)).unwrap();
    assert!(other != old && other_secret != secret, "a number that comes back gets another key");
    assert_eq!(again.to_seal(NOON, leaf(6)).unwrap().0, other, "which serves all from then on");

    let midnight = Timestamp::from_millis(NOON.as_millis() / 86_400_000 * 86_400_000) + DAY;
    let just_before = Timestamp::from_millis(midnight.as_millis() - 1);
    assert_eq!(again.forget_slots(just_before).unwrap(), 0);
    assert_eq!(again.forget_slots(midnight).unwrap(), 2);
    assert_eq!(world.process().to_open(old, leaf(6)), None);
    assert_eq!(world.process().whereabouts(old, NOON), Whereabouts::Destroyed);
    assert!(world.process().to_open(young, leaf(5)).is_some());
}

fn the_next_slot_is_prepared_only_where_this_one_is_used<W: World>() {
    let world = W::new();
    let ring = world.process();
    let evening = Timestamp::from_millis(NOON.as_millis() / 86_400_000 * 86_400_000 + 86_390_000);
    ring.prepare(evening, Duration::from_secs(60)).unwrap();
    assert_eq!(ring.len(), 0);
    ring.to_seal(evening, leaf(1)).unwrap();
    ring.prepare(evening, Duration::from_secs(5)).unwrap();
    assert_eq!(ring.len(), 1, "not yet");
    for _ in 0..2 {
        ring.prepare(evening, Duration::from_secs(60)).unwrap();
        assert_eq!(ring.len(), 2);
    }
}

fn a_key_is_used_only_once_it_is_durable<W: World>() {
    let world = W::new();
    let store = Arc::new(Failing { store: world.store(), fails: AtomicBool::new(true) });
    let ring = ring(Arc::clone(&store) as Arc<dyn KeyStore>);
    assert!(ring.to_seal(NOON, leaf(1)).is_err());
    assert_eq!((ring.len(), world.process().len()), (0, 0));
    store.fails.store(false, Ordering::Relaxed);
    let (id, secret) = ring.to_seal(NOON, leaf(1)).unwrap();
    assert_eq!(world.process().to_open(id, leaf(1)), Some(secret.clone()), "it is durable");
    store.fails.store(true, Ordering::Relaxed);
    assert_eq!(ring.to_seal(NOON, leaf(2)).unwrap().0, id, "its key is there");
    assert!(ring.forget_slots(NOON + 2 * DAY).is_err());
    assert!(ring.forget_leaves(&[leaf(1)], &BTreeSet::from([id])).is_err());
    assert_eq!(ring.to_open(id, leaf(1)), Some(secret), "what was not stored did not happen");
}

fn the_process_that_comes_second_uses_the_key_of_the_first<W: World>() {
    let world = W::new();
    let (first, second) = (world.process(), world.process());
    let (key, secret) = first.to_seal(NOON, leaf(1)).unwrap();
    assert_eq!(second.to_seal(NOON, leaf(1)).unwrap(), (key, secret));
    assert_eq!((first.len(), second.len(), world.process().len()), (1, 1, 1));
}

fn a_leaf_that_another_process_gave_up_does_not_come_back<W: World>() {
    let world = W::new();
    let erasing = world.process();
    let (key, secret) = erasing.to_seal(NOON, leaf(1)).unwrap();
    let late = world.process();
    erasing.forget_leaves(&[leaf(1)], &BTreeSet::from([key])).unwrap();
    // The other process still has the leaf in memory; its next change must not store it.
    late.to_seal(NOON + DAY, leaf(2)).unwrap();
    for ring in [&late, &world.process()] {
        assert_eq!(ring.to_open(key, leaf(1)), None);
        assert!(ring.to_open(key, leaf(2)).is_some());
        assert_eq!(ring.len(), 2);
    }
    let (other, other_secret) = late.to_seal(NOON, leaf(1)).unwrap();
    assert!(other != key && other_secret != secret);
}

fn a_key_that_another_process_destroyed_does_not_come_back<W: World>() {
    let world = W::new();
    let sweeping = world.process();
    let (old, _) = sweeping.to_seal(NOON, leaf(1)).unwrap();
    let late = world.process();
    assert_eq!(sweeping.forget_slots(NOON + 2 * DAY).unwrap(), 1);
    assert_eq!(late.forget_slots(NOON + 2 * DAY).unwrap(), 0, "it is gone already");
    late.to_seal(NOON + 3 * DAY, leaf(1)).unwrap();
    for ring in [&late, &world.process()] {
        assert_eq!((ring.to_open(old, leaf(1)), ring.len()), (None, 1));
        assert_eq!(ring.whereabouts(old, NOON), Whereabouts::Destroyed);
    }
}

fn two_processes_forget_two_numbers_and_both_stay_forgotten<W: World>() {
    let world = W::new();
    let one = world.process();
    let (key, _) = one.to_seal(NOON, leaf(1)).unwrap();
    let other = world.process();
    for (ring, number) in [(&one, 1), (&other, 2)] {
        assert_eq!(ring.forget_leaves(&[leaf(number)], &BTreeSet::from([key])).unwrap(), 1);
    }
    let left = world.process();
    assert_eq!((left.to_open(key, leaf(1)), left.to_open(key, leaf(2))), (None, None));
    assert!(left.to_open(key, leaf(3)).is_some());
}

fn an_accepted_loss_is_kept_beside_the_change_of_another_process<W: World>() {
    let world = W::new();
    let (one, other) = (world.process(), world.process());
    one.to_seal(NOON + DAY, leaf(1)).unwrap();
    other.accept_loss(NOON).unwrap();
    assert_eq!(world.process().len(), 1);
    assert_eq!(world.process().whereabouts([9; 8], NOON), Whereabouts::LossAccepted);
    assert_eq!(world.process().whereabouts([9; 8], NOON + DAY), Whereabouts::Lost, "the next loss is news");
}

fn many_processes_agree_on_one_key<W: World>() {
    let world = W::new();
    // One after another: a file has no second writer at the same instant, a shared store is raced below.
    let processes: Vec<_> = (0..8).map(|_| world.process()).collect();
    let ids: BTreeSet<_> = processes.iter().map(|ring| ring.to_seal(NOON, leaf(1)).unwrap().0).collect();
    assert_eq!((ids.len(), world.process().len()), (1, 1));
}

fn another_master_key_opens_nothing<W: World>() {
    let world = W::new();
    world.process().to_seal(NOON, leaf(1)).unwrap();
    let other = Ring::open(RingName::Days, DAY, world.store(), Zeroizing::new([8; 32]));
    assert!(matches!(other, Err(KeysError::Damaged { .. })));
}

#[test]
fn processes_that_race_for_a_shared_store_use_the_winners_key() {
    let world = InMemory::new();
    let processes: Vec<_> = (0..8).map(|_| world.process()).collect();
    let sealed: BTreeSet<(KeyId, [u8; 32])> = std::thread::scope(|scope| {
        let racing: Vec<_> = processes
            .iter()
            .map(|ring| {
                scope.spawn(|| ring.to_seal(NOON, leaf(1)).map(|(id, secret)| (id, *secret)).unwrap())
            })
            .collect();
        racing.into_iter().map(|raced| raced.join().unwrap()).collect()
    });
    assert_eq!((sealed.len(), world.process().len()), (1, 1));
}

#[test]
fn a_process_reloads_the_ring_when_it_hears_of_a_newer_version() {
    // Two rings on one `KeysInMemory` hear of each version at once.
    let store: Arc<dyn KeyStore> = Arc::new(KeysInMemory::default());
    let (one, other) = (ring(Arc::clone(&store)), ring(Arc::clone(&store)));
    let (key, secret) = one.to_seal(NOON, leaf(1)).unwrap();
    assert_eq!(other.to_open(key, leaf(1)), Some(secret));
    assert_eq!(other.whereabouts(key, NOON), Whereabouts::There);
    other.forget_leaves(&[leaf(1)], &BTreeSet::from([key])).unwrap();
    assert_eq!(one.to_open(key, leaf(1)), None);
    assert_ne!(one.to_seal(NOON, leaf(1)).unwrap().0, key, "nothing is sealed under a leaf that is gone");
}

#[test]
fn a_lost_key_differs_from_a_destroyed_one() {
    let folder = tempfile::tempdir().unwrap();
    let open = || ring(Arc::new(KeyFiles::in_folder(folder.path())));
    let (path, copy) = (folder.path().join("days"), folder.path().join("copy"));
    let copy_file = |from: &Path, to: &Path| std::fs::copy(from, to).unwrap();
    let first = open();
    let (old, _) = first.to_seal(NOON, leaf(5)).unwrap();
    copy_file(&path, &copy);
    let (young, _) = first.to_seal(NOON + DAY, leaf(5)).unwrap();
    assert_eq!(first.whereabouts(young, NOON + DAY), Whereabouts::There);
    first.forget_slots(NOON + DAY).unwrap();
    assert_eq!(open().whereabouts(old, NOON), Whereabouts::Destroyed);

    // A copy of the day before, and no file at all, lack the younger key.
    copy_file(&copy, &path);
    assert_eq!(open().whereabouts(old, NOON), Whereabouts::There);
    assert_eq!(open().whereabouts(young, NOON + DAY), Whereabouts::Lost);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(open().whereabouts(young, NOON + DAY), Whereabouts::Lost);
    // A process that runs meanwhile has all keys in memory, and its next change stores them again.
    first.to_seal(NOON + 2 * DAY, leaf(5)).unwrap();
    assert_eq!(open().whereabouts(young, NOON + DAY), Whereabouts::There);
    std::fs::remove_file(&path).unwrap();
    open().accept_loss(NOON + DAY).unwrap();
    assert_eq!(open().whereabouts(young, NOON + DAY), Whereabouts::LossAccepted);
    assert_eq!(open().whereabouts(young, NOON + 2 * DAY), Whereabouts::Lost, "the next loss is news");
}
