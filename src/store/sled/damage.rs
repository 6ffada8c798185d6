//! The contract on sled, and what must be found on opening: another format, another key, another process, and every
//! kind of damage, each named and none made good in silence.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::keys::{self, Row};
use super::record;
use super::table::disk::open_sled_once_it_is_free;
use super::{Limits, OpenError, Settings, SledStore, open};
use crate::clock::{Clock, ManualClock};
use crate::store::contract::{Backend, LIMITS, World, contract};
use crate::store::{Errand, Retention, Store, StoreError};
use crate::vault::Vault;
use crate::verification::values::{ChannelName, Outcome, ProviderRef, Timestamp, VerificationId};
use crate::verification::{Command, Comparison};

pub struct Sled;

impl Backend for Sled {
    fn open(
        folder: &Path,
        rates: BTreeMap<ChannelName, u32>,
        clock: Clock,
    ) -> (Arc<dyn Store>, UnboundedReceiver<Errand>) {
        let key_id = Vault::new(&[7; 32]).key_id();
        let settings = Settings { path: folder.join("data"), rates, key_id, limits: limits() };
        let (store, errands) = open(settings, clock).unwrap();
        (Arc::new(store), errands)
    }
}

contract!(Sled);

pub fn limits() -> Limits {
    Limits { engine: LIMITS, ..Limits::short_log() }
}

fn try_open(folder: &Path, key: u8) -> Result<(SledStore, UnboundedReceiver<Errand>), OpenError> {
    let key_id = Vault::new(&[key; 32]).key_id();
    let settings = Settings { path: folder.join("data"), rates: BTreeMap::new(), key_id, limits: limits() };
    open(settings, Clock::Manual(ManualClock::starting_at(Timestamp::from_millis(1_795_000_100_000))))
}

fn refused(folder: &Path) -> String {
    match try_open(folder, 7) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

/// A store that was closed, with one verification that is live and accepted and one that has ended.
async fn closed() -> (World<Sled>, VerificationId, VerificationId) {
    let mut world = World::<Sled>::new();
    let ended = world.created("+12025550101").await;
    world.errand().await;
    for command in [Command::Check(Comparison::Differ), Command::Cancel] {
        world.execute(crate::store::Order::Command { id: ended, app: None, command }).await;
    }
    let live = world.created("+12025550100").await;
    let errand = world.errand().await;
    let provider_ref = ProviderRef::parse("wamid.1").unwrap();
    world.outcome(&errand, Outcome::Accepted { provider_ref: Some(provider_ref) }).await;
    world.store.close().await.unwrap();
    (world, live, ended)
}

/// Changes the rows of a closed store behind its back.
pub fn tamper(folder: &Path, change: impl FnOnce(&::sled::Db)) {
    let (_, db) = open_sled_once_it_is_free(&folder.join("data")).unwrap();
    change(&db);
    db.flush().unwrap();
}

fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn flip(db: &::sled::Db, key: &[u8]) {
    let mut value = db.get(key).unwrap().unwrap().to_vec();
    let last = value.len() - 1;
    value[last] ^= 1;
    db.insert(key, value).unwrap();
}

#[tokio::test]
async fn another_master_key_and_another_format_are_refused() {
    let (world, ..) = closed().await;
    let folder = world.folder.path();
    assert!(matches!(try_open(folder, 8), Err(OpenError::OtherKey { .. })));
    tamper(folder, |db| {
        let row = record::encode(&keys::FORMAT, &9_u32).unwrap();
        db.insert(keys::FORMAT, row).unwrap();
    });
    assert!(matches!(try_open(folder, 7), Err(OpenError::Format { found: 9, .. })));
    tamper(folder, |db| {
        db.remove(keys::FORMAT).unwrap();
    });
    assert!(refused(folder).contains(&hex(&keys::FORMAT)), "{}", refused(folder));
}

#[tokio::test]
async fn a_second_one_is_refused_and_harms_nothing() {
    let world = World::<Sled>::new();
    // As another process would find it that is just being opened.
    let planted = world.folder.path().join("data/snap.00000000000000ff.generating");
    fs::write(&planted, b"half").unwrap();
    let error = try_open(world.folder.path(), 7).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("another process"), "{error}");
    assert!(planted.exists(), "what belongs to the one that runs is left alone");
    fs::remove_file(planted).unwrap();
    let id = world.created("+12025550100").await;
    assert!(world.store.read(id).await.unwrap().is_some());
}

#[tokio::test]
async fn what_a_killed_opening_left_behind_is_removed() {
    let (mut world, live, _) = closed().await;
    let planted = world.folder.path().join("data/snap.ffffffffffffffff.generating");
    fs::write(&planted, b"half").unwrap();
    world.open_again();
    assert!(!planted.exists());
    assert!(world.store.read(live).await.unwrap().is_some());
}

impl World<Sled> {
    fn reopen_after(&mut self, change: impl FnOnce(&::sled::Db)) {
        tamper(self.folder.path(), change);
        self.open_again();
    }

    pub fn open_again(&mut self) {
        let clock = Clock::Manual(Arc::clone(&self.time));
        (self.store, self.errands) = Sled::open(self.folder.path(), BTreeMap::new(), clock);
    }
}

#[tokio::test]
async fn a_live_verification_has_no_rows_and_a_settled_one_has_all() {
    let (world, live, ended) = closed().await;
    let folder = world.folder.path();
    let rows_of = |db: &::sled::Db, id: VerificationId| {
        let ends_with_id = |key: &::sled::IVec| key.windows(16).any(|part| part == id.to_bytes());
        db.iter().keys().map(Result::unwrap).filter(ends_with_id).count()
    };
    tamper(folder, |db| {
        // The only attempt of the one that ended never got an outcome, so it is still due.
        assert_eq!((rows_of(db, live), rows_of(db, ended)), (0, 0));
    });
    let (store, _errands) = try_open(folder, 7).unwrap();
    store.timeline(live).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    tamper(folder, |db| {
        assert_eq!(rows_of(db, ended), 3, "its events, its facets, its number");
        assert!(db.contains_key(keys::events(ended, 1)).unwrap());
        assert_eq!(rows_of(db, live), 0);
    });
}

#[tokio::test]
async fn a_live_mark_without_events_is_damage() {
    let (world, live, _) = closed().await;
    let orphan = VerificationId::new(Timestamp::from_millis(1_795_000_000_000), live.bucket(), 5);
    tamper(world.folder.path(), |db| {
        db.insert(keys::live(orphan), &[]).unwrap();
    });
    let error = refused(world.folder.path());
    assert!(error.contains(&hex(&keys::live(orphan))), "{error}");
    assert!(error.contains("left untouched"), "{error}");
}

#[tokio::test]
async fn a_changed_record_stops_the_opening_with_its_key() {
    for row in [Row::Policy, Row::Meta] {
        let (world, ..) = closed().await;
        let folder = world.folder.path();
        let mut damaged = Vec::new();
        tamper(folder, |db| {
            damaged = db.scan_prefix([row as u8]).next_back().unwrap().unwrap().0.to_vec();
            flip(db, &damaged);
        });
        let error = refused(folder);
        assert!(error.contains(&hex(&damaged)), "{row:?}: {error}");
        let again = refused(folder);
        assert_eq!(again, error, "and it stays so: nothing is created over it");
    }
}

#[tokio::test]
async fn missing_events_are_damage() {
    let (world, live, _) = closed().await;
    tamper(world.folder.path(), |db| {
        // As if a checkpoint had saved it without its first event.
        db.insert(keys::live(live), &[]).unwrap();
        let row = record::encode_compact(&keys::events(live, 2), &[]).unwrap();
        db.insert(keys::events(live, 2), row).unwrap();
    });
    let error = refused(world.folder.path());
    assert!(error.contains("events before it are missing"), "{error}");
}

/// Whatever a damaged file of the log becomes, nothing that was durable is silently gone.
#[tokio::test]
async fn a_damaged_log_is_refused_or_loses_nothing() {
    let mut outcomes = BTreeMap::<&str, u32>::new();
    for (cut, log) in (0..12_usize).flat_map(|cut| ["wal.0", "wal.1"].map(move |log| (cut, log))) {
        let (world, live, _) = closed().await;
        let path = world.folder.path().join("data").join(log);
        let Ok(whole) = fs::read(&path) else { continue };
        let Some(used) = whole.iter().rposition(|&byte| byte != 0) else { continue };
        let place = used * cut / 12;
        let mut flipped = whole.clone();
        flipped[place] ^= 0x40;
        for damaged in [flipped, whole[..place].to_vec()] {
            fs::write(&path, &damaged).unwrap();
            match try_open(world.folder.path(), 7) {
                Err(error) => {
                    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
                    assert_eq!(fs::read(&path).unwrap(), damaged, "it is left untouched");
                    *outcomes.entry("refused").or_default() += 1;
                }
                Ok((store, _errands)) => {
                    assert!(!store.timeline(live).await.unwrap().is_empty(), "{log} at {place}");
                    *outcomes.entry("unharmed").or_default() += 1;
                    store.close().await.unwrap();
                    break;
                }
            }
        }
    }
    assert!(outcomes.get("refused").is_some_and(|refused| *refused > 5), "{outcomes:?}");
}

#[tokio::test]
async fn a_changed_record_of_an_ended_verification_is_named_when_it_is_read() {
    let (mut world, live, ended) = closed().await;
    // First its open attempt is settled, so that it is no longer live.
    world.open_again();
    world.store.timeline(ended).await.unwrap();
    world.store.close().await.unwrap();
    let key = keys::events(ended, 1);
    world.reopen_after(|db| flip(db, &key));
    let named = |error: StoreError| match error {
        StoreError::Damaged { key: found, reason } => {
            assert_eq!(found, hex(&key));
            assert!(reason.contains("checksum"), "{reason}");
        }
        other => panic!("{other}"),
    };
    named(world.store.timeline(ended).await.err().unwrap());
    named(world.store.read(ended).await.err().unwrap());
    named(world.store.list(crate::store::Filter::default(), 5, None).await.err().unwrap());
    let check = Command::Check(Comparison::Match);
    let order = crate::store::Order::Command { id: ended, app: None, command: check };
    named(world.store.execute(vec![order]).await.err().unwrap());
    let all = Timestamp::MAX;
    named(
        world
            .store
            .sweep_old(Retention { verifications: all, inbound: all, audit: all })
            .await
            .err()
            .unwrap(),
    );
    assert!(world.store.read(live).await.unwrap().is_some(), "everything else goes on");
}

#[tokio::test]
async fn a_changed_or_cut_name_of_a_message_is_damage_and_not_unknown() {
    let whatsapp = ChannelName::new("whatsapp");
    let key = keys::provider_ref(&whatsapp, "wamid.1");
    for keep in [0, 3, 16] {
        let (mut world, live, _) = closed().await;
        world.open_again();
        let approve = Command::Check(Comparison::Match);
        world.execute(crate::store::Order::Command { id: live, app: None, command: approve }).await;
        world.store.close().await.unwrap();
        world.reopen_after(|db| {
            let value = db.get(&key).unwrap().unwrap();
            db.insert(&key, &value[..keep]).unwrap();
        });
        let found = world.store.find(whatsapp.clone(), "wamid.1".to_owned()).await;
        assert!(matches!(found, Err(StoreError::Damaged { .. })), "{found:?}");
    }
}

#[tokio::test]
async fn a_database_that_is_gone_or_empty_is_not_taken_for_new() {
    let (world, ..) = closed().await;
    let data = world.folder.path().join("data");
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("snap.") || path.ends_with("db") {
            fs::remove_file(path).unwrap();
        }
    }
    let error = refused(world.folder.path());
    assert!(error.contains("left untouched"), "{error}");
}

/// sled takes what it cannot read at the end of its log for a write that a crash cut short. Whatever a damaged file
/// becomes, it must be refused or hold every verification, never something in between.
#[tokio::test]
async fn a_damaged_file_is_refused_or_loses_nothing_that_was_live() {
    let mut outcomes = BTreeMap::<&str, u32>::new();
    for cut in 0..24_usize {
        let (world, live, ended) = closed().await;
        let path = world.folder.path().join("data/db");
        let mut bytes = fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|&byte| byte != 0).unwrap();
        let place = used * cut / 24;
        bytes[place] ^= 0x40;
        fs::write(&path, bytes).unwrap();
        match try_open(world.folder.path(), 7) {
            Err(error) => {
                assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
                *outcomes.entry("refused on opening").or_default() += 1;
            }
            Ok((store, _errands)) => {
                let mut whole = true;
                for id in [live, ended] {
                    match store.timeline(id).await {
                        Ok(events) => assert!(!events.is_empty(), "byte {place}: {id} is silently gone"),
                        Err(StoreError::Damaged { .. }) => whole = false,
                        Err(other) => panic!("{other}"),
                    }
                }
                let outcome = if whole { "unharmed" } else { "named when read" };
                *outcomes.entry(outcome).or_default() += 1;
                store.close().await.unwrap();
            }
        }
    }
    println!("one bit of sled's file changed at 24 places: {outcomes:?}");
}
