//! A store that is written out and read in again is the same store, with nothing under way in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::damage::limits;
use super::dump::import_in_steps;
use super::keys::Row;
use super::rebuilt::{Life, key_id, rows};
use super::{Chain, OpenError, Settings, dump, open, verify, verify_audit};
use crate::clock::{Clock, ManualClock};
use crate::store::dump::{Checked, DumpFile, DumpProgress, Heading, Imported, Line, VERSION, events};
use crate::store::{AuditAction, Filter, Order, Retention, Status, Store};
use crate::verification::due::due;
use crate::verification::values::{Timestamp, UserName, VerificationId};
use crate::verification::{Event, Fact, State};

/// A store after a while, closed, and its dump.
struct Moved {
    life: Life,
    file: PathBuf,
    checked: Checked,
}

pub fn heading(at: Timestamp) -> Heading {
    Heading { version: VERSION, name: "a".to_owned(), key_id: key_id(), at }
}

pub fn checked(file: &Path) -> Result<Checked, crate::store::dump::Unreadable> {
    DumpFile { name: file, open: &|| std::fs::File::open(file) }.check(&mut |_| {})
}

async fn moved(seed: u64, steps: usize) -> Moved {
    let mut life = Life::new(seed);
    for _ in 0..steps {
        life.goes_on().await;
    }
    life.world.store.close().await.unwrap();
    let file = life.world.folder.path().join("export.ndjson");
    let mut out = std::fs::File::create(&file).unwrap();
    let path = life.world.folder.path().join("data");
    dump(&path, heading(life.world.time.now()), &mut out).unwrap();
    let checked = checked(&file).unwrap();
    Moved { life, file, checked }
}

pub fn read_in(into: &Path, file: &Path, now: Timestamp) -> Result<Imported, OpenError> {
    read_as(key_id(), &into.join("data"), file, now, &mut |_| {})
}

fn read_as(
    key_id: [u8; 4],
    data: &Path,
    file: &Path,
    now: Timestamp,
    progress: &mut dyn FnMut(DumpProgress),
) -> Result<Imported, OpenError> {
    let checked = checked(file).unwrap();
    let file = DumpFile { name: file, open: &|| std::fs::File::open(file) };
    import_in_steps(10, data, key_id, (&file, &checked), now, progress)
}

#[tokio::test]
async fn a_store_read_in_is_the_one_written_out_with_nothing_under_way() {
    let Moved { life, file, checked } = moved(11, 500).await;
    let into = tempfile::tempdir().unwrap();
    // Of half an hour later, so that every code has expired.
    let now = life.world.time.now() + Duration::from_secs(1_800);
    let imported = read_in(into.path(), &file, now).unwrap();
    let counts = checked.ending.counts;
    assert_eq!((imported.verifications, imported.audit), (counts.verifications, counts.audit));
    assert_eq!(imported.inbound, counts.inbound);
    assert!(imported.expired > 3 && imported.canceled == 0, "{imported:?}");
    assert_eq!(read_in(into.path(), &file, now).unwrap(), imported, "again, and nothing changes");

    let time = ManualClock::starting_at(now);
    let settings = |path: &Path| Settings {
        path: path.join("data"),
        rates: Default::default(),
        key_id: key_id(),
        limits: limits(),
    };
    let (store, mut errands) = open(settings(into.path()), Clock::Manual(time.clone())).unwrap();
    let (before, _) =
        open(settings(life.world.folder.path()), Clock::Manual(life.world.time.clone())).unwrap();
    before.rest().await.unwrap();
    let mut ended = 0;
    for &id in &life.ids {
        let (was, is) = (before.timeline(id).await.unwrap(), store.timeline(id).await.unwrap());
        // The server on the old folder notes what was interrupted when it is opened, as the import did.
        let known: Vec<_> = was.iter().filter(|event| event.at <= life.world.time.now()).collect();
        assert!(is.len() >= was.len().min(known.len()), "{id}");
        let sends = |events: &[Event]| {
            events.iter().filter(|event| matches!(event.fact, Fact::SendStarted { .. })).count()
        };
        assert_eq!(sends(&was), sends(&is), "{id}: nothing is sent again");
        if !is.is_empty() {
            assert!(due(&State::fold(&is)).is_none(), "{id} wants nothing more");
            ended +=
                usize::from(is.last().is_some_and(|event| event.fact == Fact::Expired && event.at == now));
        }
    }
    assert_eq!(ended as u64, imported.expired);
    time.advance(Duration::from_secs(3_600));
    let pending = Filter { status: Some(Status::Pending), ..Filter::default() };
    assert!(store.list(pending, 5, None).await.unwrap().items.is_empty());
    assert!(errands.try_recv().is_err(), "sent 0");
    let all = store.list(Filter::default(), 1_000, None).await.unwrap().items.len();
    assert_eq!(all as u64, imported.verifications);
    store.close().await.unwrap();
    assert!(matches!(verify_audit(&into.path().join("data"), key_id()), Ok(Chain::Whole { .. })));
}

#[tokio::test]
async fn what_is_pending_and_young_is_canceled_because_the_other_server_may_have_gone_on() {
    let Moved { life, file, .. } = moved(12, 120).await;
    let into = tempfile::tempdir().unwrap();
    let imported = read_in(into.path(), &file, life.world.time.now()).unwrap();
    assert!(imported.canceled > 0, "{imported:?}");
    let again = tempfile::tempdir().unwrap();
    assert_eq!(read_in(again.path(), &file, life.world.time.now()).unwrap(), imported);
    assert_eq!(rows(again.path()), rows(into.path()), "the same file makes the same store");
}

#[tokio::test]
async fn an_import_that_stopped_anywhere_goes_on_and_its_store_is_not_used_before() {
    let Moved { life, file, .. } = moved(13, 400).await;
    let now = life.world.time.now() + Duration::from_secs(1_800);
    let whole = tempfile::tempdir().unwrap();
    let expected = read_in(whole.path(), &file, now).unwrap();
    let into = tempfile::tempdir().unwrap();
    let path = into.path().join("data");
    let mut stops = 0;
    loop {
        let mut calls = 0;
        let mut dies = |_| {
            assert!(calls < 1, "the process dies here");
            calls += 1;
        };
        if let Ok(done) = read_as(key_id(), &path, &file, now, &mut dies) {
            assert_eq!(done, expected);
            break;
        }
        stops += 1;
        let settings =
            Settings { path: path.clone(), rates: Default::default(), key_id: key_id(), limits: limits() };
        let refused = open(settings, Clock::Manual(life.world.time.clone())).map(|_| ());
        assert!(matches!(refused, Err(OpenError::HalfImported { .. })), "after {stops} stops: {refused:?}");
    }
    assert!(stops >= 4, "only {stops} stops");
    assert_eq!(rows(into.path()), rows(whole.path()));
}

#[tokio::test]
async fn a_file_that_is_not_whole_of_another_key_or_for_a_store_in_use_changes_nothing() {
    let Moved { life, file, .. } = moved(14, 60).await;
    let now = life.world.time.now();
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let number_of = |word: &str| lines.iter().position(|line| line.contains(word)).unwrap() + 1;
    let changed = |change: &dyn Fn(&mut Vec<&str>)| {
        let mut changed = lines.clone();
        change(&mut changed);
        changed.join("\n") + "\n"
    };
    let (half, last) = (lines.len() / 2, lines.len());
    let shop = number_of("\"shop\"");
    let broken = [
        ("its end is cut off", changed(&|lines| lines.truncate(last - 1)), last),
        ("its last line is cut", text[..text.len() - 9].to_owned(), last),
        ("a line is cut", changed(&|lines| lines[half] = &lines[half][..40]), half + 1),
        (
            "a line is gone",
            changed(&|lines| lines.retain(|line| *line != text.lines().nth(half).unwrap())),
            half + 1,
        ),
        ("a line stands there twice", changed(&|lines| lines.insert(half, lines[half])), half + 2),
        ("two lines are swapped", changed(&|lines| lines.swap(half, half + 1)), half + 1),
        ("its head is gone", changed(&|lines| lines.rotate_left(1)), 1),
        ("a letter is another", text.replacen("\"shop\"", "\"shup\"", 1), shop),
        ("something follows", text.clone() + lines[1] + "\n", last + 1),
        ("it is empty", String::new(), 1),
        ("it is something else", "{\"hello\":1}\n".to_owned(), 1),
    ];
    let into = tempfile::tempdir().unwrap();
    for (what, text, number) in broken {
        let wrong = into.path().join("wrong.ndjson");
        std::fs::write(&wrong, text).unwrap();
        let refused = checked(&wrong).expect_err(what).to_string();
        let place = format!("{}, line {number}: ", wrong.display());
        assert!(refused.starts_with(&place), "{what}: {refused}");
    }
    let other = read_as([1; 4], &into.path().join("data"), &file, now, &mut |_| {}).unwrap_err();
    assert!(other.to_string().contains("another master key"), "{other}");
    let refused = read_in(life.world.folder.path(), &file, now).unwrap_err();
    assert!(refused.to_string().contains("in use already"), "{refused}");
}

#[test]
fn no_event_is_lost_on_the_way_through_a_line() {
    let happened = vec![
        Event { at: Timestamp::from_millis(1), fact: Fact::CheckFailed },
        Event { at: Timestamp::from_millis(1), fact: Fact::ChecksExhausted },
        Event { at: Timestamp::from_millis(2), fact: Fact::Erased },
    ];
    let id = VerificationId::first_at(Timestamp::from_millis(1));
    let Line::Verification { commits, .. } = Line::verification(id, happened.clone()) else { panic!() };
    assert_eq!(commits.iter().map(|commit| commit.facts.len()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(events(commits), happened);
}

#[tokio::test]
async fn a_number_is_forgotten_with_all_that_is_of_it_and_stays_so_through_a_reindex() {
    let mut life = Life::new(15);
    for _ in 0..250 {
        life.goes_on().await;
    }
    let id = life.ids[life.ids.len() - 1];
    let number = life.world.store.read(id).await.unwrap().unwrap().verification.request.number;
    let of_number = || Filter { number: Some(number), ..Filter::default() };
    let found = life.world.store.list(of_number(), 100, None).await.unwrap().items;
    assert!(!found.is_empty());
    let mut forgotten = 0;
    loop {
        match life.world.execute(Order::Forget(number)).await {
            crate::store::Answer::Forgotten(0) => break,
            crate::store::Answer::Forgotten(some) => forgotten += some,
            other => panic!("{other:?}"),
        }
    }
    assert!(forgotten >= found.len(), "{forgotten}");
    for round in ["at once", "after a reindex"] {
        assert!(life.world.store.list(of_number(), 100, None).await.unwrap().items.is_empty(), "{round}");
        assert!(life.world.store.inbound(None, Some(number), 10, None).await.unwrap().items.is_empty());
        for snapshot in &found {
            let id = snapshot.verification.id();
            let now = life.world.store.read(id).await.unwrap().unwrap();
            assert!(now.verification.erased && !now.verification.is_pending(), "{round}: {id}");
        }
        life.world.store.close().await.unwrap();
        let (kept, _) = rows(life.world.folder.path());
        super::reindex(&life.world.folder.path().join("data"), key_id(), &mut |_| {}).unwrap();
        assert_eq!(rows(life.world.folder.path()).0, kept, "{round}");
        life.world.open_again();
    }
}

#[tokio::test]
async fn the_audit_log_is_cut_at_its_old_end_and_still_verifies() {
    let mut life = Life::new(16);
    let entry = |at| crate::store::Audit {
        at,
        by: UserName::parse("anna").unwrap(),
        action: AuditAction::SignedIn,
        verification: None,
        reason: None,
        detail: None,
    };
    let start = life.world.time.now();
    for n in 0..200 {
        life.world.execute(Order::Audit(entry(start + Duration::from_secs(n)))).await;
    }
    let nothing = Timestamp::default();
    let sweep = |seconds| Retention {
        verifications: nothing,
        inbound: nothing,
        audit: start + Duration::from_secs(seconds),
    };
    for _ in 0..5 {
        life.world.store.sweep_old(sweep(150)).await.unwrap();
    }
    life.world.store.close().await.unwrap();
    let path = life.world.folder.path().join("data");
    let whole = verify_audit(&path, key_id()).unwrap();
    assert!(matches!(whole, Chain::Whole { records: 200, .. }), "{whole:?}");
    life.world.open_again();
    let left = life.world.store.audit(500, None).await.unwrap().items;
    assert_eq!((left.len(), left.last().unwrap().seq), (50, 151));
    life.world.execute(Order::Audit(entry(start))).await;
    life.world.store.close().await.unwrap();
    super::damage::tamper(life.world.folder.path(), |db| drop(db.remove(super::keys::audit(151)).unwrap()));
    let broken = verify_audit(&path, key_id()).unwrap();
    assert!(matches!(broken, Chain::Broken { seq: 151, .. }), "{broken:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_store_is_named() {
    let Moved { life, .. } = moved(18, 300).await;
    let folder = life.world.folder.path();
    let path = folder.join("data");
    let verified = verify(&path, key_id(), &mut |_| {}).unwrap();
    assert!(verified.verifications > 20 && verified.rows > 100, "{verified:?}");
    type Change = Box<dyn Fn(&::sled::Db)>;
    let first = |kind: Row| {
        move |db: &::sled::Db| db.scan_prefix([kind as u8]).next().map(|row| row.unwrap().0).unwrap()
    };
    let changes: [(&str, Change); 4] = [
        ("gone", Box::new(move |db| drop(db.remove(first(Row::Number)(db)).unwrap()))),
        (
            "too many",
            Box::new(|db| drop(db.insert(super::keys::facets(VerificationId::LAST), b"x").unwrap())),
        ),
        ("changed", Box::new(move |db| super::damage::flip(db, &first(Row::Events)(db)))),
        ("changed facets", Box::new(move |db| super::damage::flip(db, &first(Row::Facets)(db)))),
    ];
    for (what, change) in changes {
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir(copy.path().join("data")).unwrap();
        for file in ["db", "conf", "lock"] {
            std::fs::copy(path.join(file), copy.path().join("data").join(file)).unwrap();
        }
        super::damage::tamper(copy.path(), change);
        let found = verify(&copy.path().join("data"), key_id(), &mut |_| {});
        assert!(found.is_err(), "{what}: {found:?}");
    }
}
