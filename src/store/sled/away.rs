//! While sled is opened again, here for as long as a test likes, whatever needs only memory and the log goes on; and it
//! outlives the end of the process in the middle of that.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use crossbeam_channel::bounded;

use super::damage::{Sled, limits};
use super::{Settings, SledStore, open};
use crate::clock::{Clock, ManualClock};
use crate::store::contract::{World, message_of};
use crate::store::{Answer, Errand, Match, Order, Store};
use crate::vault::Vault;
use crate::verification::event::Fact;
use crate::verification::values::{
    ChannelName, Outcome, ProviderRef, Report, ReportStatus, Timestamp, VerificationId,
};
use crate::verification::{Command, Comparison};

/// A verification whose first message was accepted.
async fn accepted(world: &mut World<Sled>, phone: &str, provider_ref: &str) -> (VerificationId, Errand) {
    let id = world.created(phone).await;
    let errand = world.errand().await;
    let provider_ref = ProviderRef::parse(provider_ref).unwrap();
    world.outcome(&errand, Outcome::Accepted { provider_ref: Some(provider_ref) }).await;
    (id, errand)
}

fn is_waiting<T>(future: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn settings(data: &Path) -> Settings {
    let key_id = Vault::new(&[7; 32]).key_id();
    Settings { path: data.to_owned(), rates: Default::default(), key_id, limits: limits() }
}

/// A world whose store the test knows by its own type.
fn world() -> (World<Sled>, SledStore) {
    let mut world = World::<Sled>::new();
    let mut closed = world.store.close();
    while is_waiting(closed.as_mut()) {
        std::thread::yield_now();
    }
    let (store, errands) =
        open(settings(&world.folder.path().join("data")), Clock::Manual(Arc::clone(&world.time))).unwrap();
    (world.store, world.errands) = (Arc::new(store.clone()), errands);
    (world, store)
}

#[tokio::test]
async fn creates_reports_checks_and_deadlines_do_not_wait_for_sled_and_outlive_the_process() {
    let (mut world, store) = world();
    let (first, sent) = accepted(&mut world, "+12025550100", "wamid.1").await;
    let (second, _) = accepted(&mut world, "+12025550101", "wamid.2").await;
    let (data, killed) = (world.folder.path().join("data"), tempfile::tempdir().unwrap());
    // While nothing is asked for, the store finds out which keys and names sled has.
    while !store.look(|reader| Ok(reader.memory.has_seen_all())).await.unwrap() {
        tokio::task::yield_now().await;
    }
    let (go_on, held) = bounded(0);
    store.stay_away(held);
    // The job has been taken when this is answered.
    world.execute(Order::Command { id: first, app: None, command: Command::Check(Comparison::Differ) }).await;

    let mut listed = pin!(world.store.list(Default::default(), 10, None));
    assert!(is_waiting(listed.as_mut()), "settled rows are waited for");
    let report = Report {
        status: ReportStatus::Delivered,
        reported_at: None,
        provider_ref: Some(ProviderRef::parse("wamid.1").unwrap()),
        reference: Some(message_of(&sent)),
        aliases: Vec::new(),
    };
    let answer = world.execute(Order::Report { channel: ChannelName::new("whatsapp"), report }).await;
    assert!(matches!(answer, Answer::Reported(Match::Applied)), "{answer:?}");
    let check = Command::Check(Comparison::Differ);
    let answer = world.execute(Order::Command { id: first, app: None, command: check }).await;
    assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    while world.errands.try_recv().is_ok() {}
    world.time.advance(std::time::Duration::from_secs(30));
    let errand = loop {
        let errand = world.errands.recv().await.unwrap();
        if errand.snapshot.verification.id() == second {
            break errand;
        }
    };
    assert_eq!(errand.message.index(), 1, "its deadline passed, so it falls back");
    let third = world.created("+12025550102").await;
    assert!(is_waiting(listed.as_mut()), "sled is still away");
    copy(&data, &killed.path().join("data"));
    go_on.send(()).unwrap();
    assert_eq!(listed.await.unwrap().items.len(), 3);
    let mut facts = Vec::new();
    for id in [first, second, third] {
        facts.push(world.facts(id).await);
    }
    assert!(facts[0].contains(&Fact::CheckFailed));

    // Nothing is due that was not due before.
    let clock = ManualClock::starting_at(Timestamp::from_millis(1_795_000_000_000));
    let (killed, _errands) = open(settings(&killed.path().join("data")), Clock::Manual(clock)).unwrap();
    // The start records which attempts were interrupted. Before this read is answered it has.
    killed.find(ChannelName::new("whatsapp"), "nobody".to_owned()).await.unwrap();
    for (id, facts) in [first, second, third].into_iter().zip(facts) {
        let mut kept: Vec<Fact> =
            killed.timeline(id).await.unwrap().into_iter().map(|event| event.fact).collect();
        if id != first {
            let interrupted = kept.pop();
            assert!(
                matches!(interrupted, Some(Fact::SendInDoubt { .. })),
                "it was under way: {interrupted:?}"
            );
        }
        assert_eq!(kept, facts);
    }
    killed.close().await.unwrap();
}
