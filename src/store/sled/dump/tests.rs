//! Dumps of a running store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::super::damage::limits;
use super::super::moved::{checked, heading, read_in};
use super::super::rebuilt::{Life, key_id, rows};
use super::super::{Settings, open, verify};
use super::*;
use crate::clock::Clock;
use crate::store::contract::{World, policy};
use crate::store::dump::{Checked, DumpFile};
use crate::store::{
    Alert, Audit, AuditAction, Filter, Idempotency, Inbound, Intent, Order, Retention, Store,
};
use crate::verification::values::{AppName, Timestamp, UserName};
use crate::verification::{Command, Event, Fact, Request};

const FEW: Limits = Limits { items: 8, items_at_last: 4, changes: 100_000 };

/// Puts a store whose kind is known into the world in place of the one that it has.
async fn reopened(life: &mut Life) -> SledStore {
    life.world.store.close().await.unwrap();
    let path = life.world.folder.path().join("data");
    let settings = Settings { path, rates: Default::default(), key_id: key_id(), limits: limits() };
    let (store, errands) = open(settings, Clock::Manual(Arc::clone(&life.world.time))).unwrap();
    life.world.store = Arc::new(store.clone());
    life.world.errands = errands;
    store
}

/// The lines of a dump in a file.
struct Dumped {
    file: PathBuf,
    checked: Checked,
}

impl Dumped {
    fn new(folder: &Path, bytes: &[u8]) -> Self {
        let file = folder.join("running.ndjson");
        std::fs::write(&file, bytes).unwrap();
        Self { checked: checked(&file).unwrap(), file }
    }

    fn gone(&self) -> usize {
        let mut gone = 0;
        let file = DumpFile { name: &self.file, open: &|| std::fs::File::open(&self.file) };
        file.check(&mut |line| gone += usize::from(matches!(line, Line::Gone(_)))).unwrap();
        gone
    }
}

/// Everything that can be read of a store.
#[derive(Debug, PartialEq)]
struct Everything {
    verifications: Vec<(VerificationId, Vec<Event>)>,
    inbound: Vec<Inbound>,
    alerts: Vec<Alert>,
    audit: Vec<crate::store::AuditRecord>,
}

impl Everything {
    async fn of(store: &dyn Store) -> Self {
        let listed = store.list(Filter::default(), 10_000, None).await.unwrap();
        assert!(listed.next.is_none());
        let mut verifications = Vec::new();
        for snapshot in listed.items {
            let id = snapshot.verification.id();
            verifications.push((id, store.timeline(id).await.unwrap()));
        }
        let (mut inbound, mut before) = (Vec::new(), None);
        loop {
            let page = store.inbound(None, None, 400, before).await.unwrap();
            inbound.extend(page.items);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        let alerts = store.alerts(10_000, None).await.unwrap().items;
        let audit = store.audit(10_000, None).await.unwrap().items;
        Self { verifications, inbound, alerts, audit }
    }

    /// Of a store into which this one was imported at `now`.
    fn without_what_an_import_adds(mut self, now: Timestamp) -> Self {
        self.verifications.iter_mut().for_each(|(_, events)| events.retain(|event| event.at != now));
        self
    }
}

fn open_imported(folder: &Path, time: &Arc<crate::clock::ManualClock>) -> SledStore {
    let settings =
        Settings { path: folder.join("data"), rates: Default::default(), key_id: key_id(), limits: limits() };
    open(settings, Clock::Manual(Arc::clone(time))).unwrap().0
}

fn audit(world_now: Timestamp, detail: String) -> Audit {
    let (by, action) = (UserName::parse("anna").unwrap(), AuditAction::SignedIn);
    Audit { at: world_now, by, action, verification: None, reason: None, detail: Some(detail) }
}

#[tokio::test]
async fn a_dump_of_a_store_that_goes_on_is_of_the_moment_at_which_it_ends() {
    let mut life = Life::new(17);
    for _ in 0..600 {
        life.goes_on().await;
    }
    let store = reopened(&mut life).await;
    let start = life.world.time.now();
    for n in 0..40 {
        life.world.execute(Order::Audit(audit(start, format!("before {n}")))).await;
    }
    let dumping = store.begin_dump(FEW).await.unwrap();
    let mut writer = Writer::default();
    let (mut bytes, mut visits) = (writer.begin(heading(start)), 0);
    loop {
        let visited = dumping.visit().await.unwrap().unwrap();
        let is_last = visited.end.is_some();
        assert!(visited.found.len() <= FEW.items + FEW.items_at_last + 2, "a visit is bounded");
        visited.write(&mut writer, &mut bytes).unwrap();
        visits += 1;
        if is_last {
            break;
        }
        // Old ones change, new ones come, some go: behind the dump and before it.
        if visits < 60 {
            for _ in 0..3 {
                life.goes_on_open().await;
            }
            let now = life.world.time.now();
            life.world.execute(Order::Audit(audit(now, format!("during {visits}")))).await;
            life.world.execute(Order::Alert(alert(now, visits))).await;
            let request = life.world.request(&format!("+1202555{:04}", 3_000 + visits), &policy());
            let key = Idempotency { key: [visits as u8; 16], fingerprint: [0; 16], at: now, answer: None };
            let (request, policy) = (Arc::new(request), Arc::new(policy()));
            life.world.execute(Order::Create { request, policy, idempotency: Some(key) }).await;
        }
        if [30, 45, 55].contains(&visits) {
            let old = life.world.time.now().as_millis() - 200_000;
            let old = Timestamp::from_millis(old);
            let before = Retention { verifications: old, inbound: old, audit: old };
            life.world.store.sweep_old(before).await.unwrap();
        }
        if visits == 60 {
            // What is due would go on without being asked.
            life.world.store.rest().await.unwrap();
        }
    }
    assert!(visits > 60, "only {visits} visits");
    let expected = Everything::of(&store).await;
    let late = life.world.request("+12025550299", &policy());
    let (late_id, request, policy) = (late.id, Arc::new(late), Arc::new(policy()));
    life.world.execute(Order::Create { request, policy, idempotency: None }).await;

    let into = tempfile::tempdir().unwrap();
    let dumped = Dumped::new(into.path(), &bytes);
    assert!(dumped.gone() > 10, "only {} items were removed", dumped.gone());
    let now = life.world.time.now() + Duration::from_secs(7_200);
    let imported = read_in(into.path(), &dumped.file, now).unwrap();
    let counts = dumped.checked.ending.counts;
    assert_eq!(
        (imported.verifications, imported.inbound, imported.audit),
        (counts.verifications, counts.inbound, counts.audit)
    );
    verify(&into.path().join("data"), key_id(), &mut |_| {}).unwrap();
    let stopping = tempfile::tempdir().unwrap();
    let mut stops = 0;
    loop {
        let mut calls = 0;
        let mut dies = |_| {
            assert!(calls < 6, "the process dies here");
            calls += 1;
        };
        let file = DumpFile { name: &dumped.file, open: &|| std::fs::File::open(&dumped.file) };
        let data = stopping.path().join("data");
        if let Ok(done) = import_in_steps(10, &data, key_id(), (&file, &dumped.checked), now, &mut dies) {
            assert_eq!(done, imported);
            break;
        }
        stops += 1;
    }
    assert!(stops > 3, "only {stops} stops");
    assert_eq!(rows(stopping.path()), rows(into.path()), "stopped or not, it is the same store");
    every_change_is_noticed(&bytes);
    life.world.time.advance(Duration::from_secs(7_200));
    let again = open_imported(into.path(), &life.world.time);
    again.rest().await.unwrap();
    let found = Everything::of(&again).await.without_what_an_import_adds(now);
    assert_eq!(found, expected);
    assert!(again.timeline(late_id).await.unwrap().is_empty(), "what came later is not in it");
    for visit in 1..60 {
        let known = again.idempotency([visit; 16]).await.unwrap();
        assert_eq!(known, store.idempotency([visit; 16]).await.unwrap(), "key {visit}");
    }
    again.close().await.unwrap();
}

fn every_change_is_noticed(bytes: &[u8]) {
    let is_whole = |bytes: &[u8]| {
        let file = DumpFile { name: Path::new("changed"), open: &|| Ok(bytes) };
        file.check(&mut |_| {}).is_ok()
    };
    assert!(is_whole(bytes));
    for index in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut changed = bytes.to_vec();
        changed[index] ^= 4;
        assert!(!is_whole(&changed), "byte {index}");
        assert!(!is_whole(&bytes[..index]), "cut at {index}");
    }
}

fn alert(at: Timestamp, n: usize) -> Alert {
    Alert {
        at,
        channel: ChannelName::new("whatsapp"),
        code: format!("code_{n}"),
        title: "A title".to_owned(),
        subject: None,
        evidence: None,
        fingerprint: None,
    }
}

/// What one client does in turn, each step after the answer to the one before.
enum Step {
    Create(Request),
    Inbound(String),
    Audit(String),
    Cancel(VerificationId),
}

const CLIENTS: usize = 4;
const ROUNDS: usize = 400;

fn steps(world: &World<crate::store::sled::Sled>, client: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    for round in 0..ROUNDS {
        let request = world.request(&format!("+1202555{:04}", 1_000 + client * 1_000 + round), &policy());
        let id = request.id;
        steps.push(Step::Create(request));
        steps.push(Step::Inbound(format!("in.{client}.{round}")));
        steps.push(Step::Audit(format!("{client}.{round}")));
        steps.push(Step::Cancel(id));
    }
    steps
}

fn order(step: &Step, at: Timestamp, world_seal: &crate::verification::values::Sealed) -> Order {
    match step {
        Step::Create(request) => {
            let (request, policy) = (Arc::new(request.clone()), Arc::new(policy()));
            Order::Create { request, policy, idempotency: None }
        }
        Step::Inbound(name) => Order::Inbound(Arc::new(Inbound {
            provider_ref: name.clone(),
            channel: ChannelName::new("whatsapp"),
            received_at: at,
            at,
            kind: "text".to_owned(),
            arrival: 0,
            number: None,
            tail: None,
            user: None,
            in_reply_to: None,
            intent: Intent::Reply,
            content: world_seal.clone(),
            verification: None,
            app: None,
        })),
        Step::Audit(detail) => Order::Audit(audit(at, detail.clone())),
        Step::Cancel(id) => {
            Order::Command { id: *id, app: Some(AppName::new("shop")), command: Command::Cancel }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_dump_under_load_is_one_consistent_cut() {
    let mut life = Life::new(19);
    for _ in 0..200 {
        life.goes_on().await;
    }
    let store = reopened(&mut life).await;
    let now = life.world.time.now();
    let sealed = life.world.vault.seal(b"place", b"hello");
    let stop = Arc::new(AtomicBool::new(false));
    let all: Vec<Arc<Vec<Step>>> = (0..CLIENTS).map(|client| Arc::new(steps(&life.world, client))).collect();
    let begun: Vec<_> = (0..CLIENTS).map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let answered: Vec<_> = (0..CLIENTS).map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let (store, stop, sealed, steps) =
            (store.clone(), Arc::clone(&stop), sealed.clone(), Arc::clone(&all[client]));
        let (begun, answered) = (Arc::clone(&begun[client]), Arc::clone(&answered[client]));
        clients.push(tokio::spawn(async move {
            for step in steps.iter() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                begun.fetch_add(1, Ordering::SeqCst);
                store.execute(vec![order(step, now, &sealed)]).await.unwrap();
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    let count = |counters: &[Arc<AtomicUsize>]| -> Vec<usize> {
        counters.iter().map(|counter| counter.load(Ordering::SeqCst)).collect()
    };
    while count(&answered).iter().min() < Some(&40) {
        tokio::task::yield_now().await;
    }
    let limits = Limits { items: 32, items_at_last: 16, changes: 100_000 };
    let dumping = store.begin_dump(limits).await.unwrap();
    let mut writer = Writer::default();
    let mut bytes = writer.begin(heading(now));
    let (at_least, at_most) = loop {
        let before = count(&answered);
        let visited = dumping.visit().await.unwrap().unwrap();
        let after = count(&begun);
        let is_last = visited.end.is_some();
        visited.write(&mut writer, &mut bytes).unwrap();
        if is_last {
            break (before, after);
        }
    };
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    assert!(at_most.iter().all(|&steps| steps < ROUNDS * 4), "the load went on until the end: {at_most:?}");

    let into = tempfile::tempdir().unwrap();
    let dumped = Dumped::new(into.path(), &bytes);
    let later = now + Duration::from_secs(7_200);
    read_in(into.path(), &dumped.file, later).unwrap();
    life.world.time.advance(Duration::from_secs(7_200));
    let again = open_imported(into.path(), &life.world.time);
    again.rest().await.unwrap();
    let there = Everything::of(&again).await;
    let is_there = |step: &Step| match step {
        Step::Create(request) => there.verifications.iter().any(|(id, _)| *id == request.id),
        Step::Inbound(name) => there.inbound.iter().any(|message| message.provider_ref == *name),
        Step::Audit(detail) => there.audit.iter().any(|record| record.entry.detail.as_ref() == Some(detail)),
        Step::Cancel(id) => there.verifications.iter().any(|(known, events)| {
            known == id && events.iter().any(|event| event.fact == Fact::Canceled && event.at == now)
        }),
    };
    for client in 0..CLIENTS {
        let found: Vec<_> = all[client].iter().map(is_there).collect();
        let whole = found.iter().take_while(|&&found| found).count();
        assert!(
            found[whole..].iter().all(|&found| !found),
            "client {client}: a step without the one before it"
        );
        assert!((at_least[client]..=at_most[client]).contains(&whole), "{at_least:?} {whole} {at_most:?}");
    }
    again.close().await.unwrap();
}

#[tokio::test]
async fn a_dump_is_given_up_for_too_many_changes_or_another_dump_and_ends_when_it_is_dropped() {
    let mut life = Life::new(20);
    let store = reopened(&mut life).await;
    let mut ids = Vec::new();
    for n in 0..20 {
        life.world.time.advance(Duration::from_millis(5));
        ids.push(life.world.created(&format!("+1202555{:04}", 1_000 + n)).await);
    }
    let is_under_way = || store.look(|reader| Ok(reader.memory.dumps.borrow().is_under_way()));
    let limits = Limits { items: 10, items_at_last: 4, changes: 10 };
    let dumping = store.begin_dump(limits).await.unwrap();
    for _ in 0..2 {
        assert!(dumping.visit().await.unwrap().unwrap().end.is_none());
    }
    for &id in &ids[..12] {
        assert!(is_under_way().await.unwrap() || id > ids[9]);
        life.world.execute(Order::Command { id, app: None, command: Command::Cancel }).await;
    }
    assert_eq!(dumping.visit().await.unwrap().err(), Some(GivenUp::TooManyChanges));
    assert!(!is_under_way().await.unwrap());

    let first = store.begin_dump(limits).await.unwrap();
    let second = store.begin_dump(limits).await.unwrap();
    assert_eq!(first.visit().await.unwrap().err(), Some(GivenUp::Replaced));
    drop(first);
    assert!(second.visit().await.unwrap().is_ok(), "the end of the first is not the end of the second");
    assert!(is_under_way().await.unwrap());
    drop(second);
    assert!(!is_under_way().await.unwrap());
}
