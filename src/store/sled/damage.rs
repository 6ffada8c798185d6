//! The contract on sled, and what must be found on opening: another format, another key, another process, and every
//! kind of damage, each named and none made good in silence.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::journal::Entry;
use super::keys::{self, Row};
use super::open::open_sled_once_it_is_free;
use super::record;
use super::{OpenError, Settings, SledStore, open};
use crate::clock::{Clock, ManualClock};
use crate::store::contract::{Backend, World, contract};
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
        let (store, errands) = open(Settings { path: folder.join("data"), rates, key_id }, clock).unwrap();
        (Arc::new(store), errands)
    }
}

contract!(Sled);

fn try_open(folder: &Path, key: u8) -> Result<(SledStore, UnboundedReceiver<Errand>), OpenError> {
    let key_id = Vault::new(&[key; 32]).key_id();
    let settings = Settings { path: folder.join("data"), rates: BTreeMap::new(), key_id };
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
        let row = record::encode(&keys::FORMAT, &3_u32).unwrap();
        db.insert(keys::FORMAT, row).unwrap();
    });
    assert!(matches!(try_open(folder, 7), Err(OpenError::Format { found: 3, .. })));
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

/// What has not ended is in the journal alone, what wants nothing more in a row of its own.
#[tokio::test]
async fn what_ends_is_gathered_and_its_part_of_the_journal_goes() {
    let (world, live, ended) = closed().await;
    let folder = world.folder.path();
    let journal = |db: &::sled::Db| db.scan_prefix([Row::Journal as u8]).count();
    let mut before = 0;
    tamper(folder, |db| {
        before = journal(db);
        // The only attempt of the one that ended never got an outcome, so it still wants something.
        for id in [live, ended] {
            assert!(!db.contains_key(keys::events(id, 1)).unwrap());
        }
    });
    let (store, _errands) = try_open(folder, 7).unwrap();
    store.timeline(live).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    tamper(folder, |db| {
        assert!(db.contains_key(keys::events(ended, 1)).unwrap(), "the doubt settled it");
        assert!(!db.contains_key(keys::events(live, 1)).unwrap());
        assert!(journal(db) < before + 1, "a turn more, and all that were only of the one that ended less");
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
    for row in [Row::Journal, Row::Policy, Row::Meta] {
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
        assert_eq!(again, error, "and it stays so: nothing is made anew");
    }
}

#[tokio::test]
async fn missing_events_are_damage() {
    let (world, live, _) = closed().await;
    let mut removed = Vec::new();
    tamper(world.folder.path(), |db| {
        for row in db.scan_prefix([Row::Journal as u8]) {
            let (key, value) = row.unwrap();
            let entries = super::journal::read(&key, &value).unwrap();
            let begins =
                |entry: &Entry<'_>| matches!(entry, Entry::Added { id, first: 1, .. } if *id == live);
            if entries.iter().any(begins) {
                removed = key.to_vec();
            }
        }
        db.remove(&removed).unwrap();
    });
    let error = refused(world.folder.path());
    assert!(error.contains("events before it are missing"), "{error}");
}

/// As versions before the journal left a store: every commit a row in JSON, what is live marked.
#[tokio::test]
async fn a_store_of_the_format_before_is_read_and_goes_on() {
    let (mut world, live, _) = closed().await;
    let rows: Vec<(Vec<u8>, Vec<u8>)> = {
        let commit = |events: &[crate::verification::Event]| {
            let facts: Vec<_> = events.iter().map(|event| &event.fact).collect();
            serde_json::json!({ "at": events[0].at, "facts": facts })
        };
        world.open_again();
        let events = world.store.timeline(live).await.unwrap();
        world.store.close().await.unwrap();
        let mut first = 1;
        let rows = events.chunk_by(|one, next| one.at == next.at).map(|some| {
            let key = keys::events(live, first);
            first += some.len() as u32;
            let row = record::encode(&key, &commit(some)).unwrap();
            (key, row)
        });
        rows.collect()
    };
    let before = {
        world.open_again();
        let snapshot = world.store.read(live).await.unwrap().unwrap();
        world.store.close().await.unwrap();
        snapshot
    };
    world.reopen_after(|db| {
        for row in db.scan_prefix([Row::Journal as u8]) {
            db.remove(row.unwrap().0).unwrap();
        }
        for (key, row) in &rows {
            db.insert(key.clone(), row.clone()).unwrap();
        }
        db.insert(keys::live(live), &[]).unwrap();
        let row = record::encode(&keys::FORMAT, &1_u32).unwrap();
        db.insert(keys::FORMAT, row).unwrap();
    });
    let after = world.store.read(live).await.unwrap().unwrap();
    assert_eq!(after.verification, before.verification);
    world.execute(crate::store::Order::Command { id: live, app: None, command: Command::Cancel }).await;
    let version = before.verification.version + 1;
    world.store.close().await.unwrap();
    world.open_again();
    let events = world.store.timeline(live).await.unwrap();
    assert!(events.len() as u32 >= version, "{events:?}");
    let ended = world.store.read(live).await.unwrap().unwrap();
    assert!(!ended.verification.is_pending());
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
        let (mut world, ..) = closed().await;
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
