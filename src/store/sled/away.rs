//! What goes on while sled is opened anew, and what is found where the process ends in the middle of that. Here sled
//! stays away for as long as a test likes.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Waker};
use std::thread;

use super::damage::Sled;
use super::{OpenError, Settings, open};
use crate::clock::{Clock, ManualClock};
use crate::store::contract::{World, message_of};
use crate::store::{Answer, Errand, Match, Order, Store};
use crate::vault::Vault;
use crate::verification::event::Fact;
use crate::verification::values::{
    ChannelName, Outcome, ProviderRef, Report, ReportStatus, Timestamp, VerificationId,
};
use crate::verification::{Command, Comparison};

/// While the data folder has a file of this name sled is not opened anew ...
const STAY: &str = "stay";
/// ... and one of this name says that it was closed.
const AWAY: &str = "away";

/// Called between sled's closing and its opening.
pub fn stay_while_told(data: &Path) {
    while data.join(STAY).exists() {
        fs::write(data.join(AWAY), "").unwrap();
        thread::yield_now();
    }
}

/// A verification whose first message was accepted.
async fn accepted(world: &mut World<Sled>, phone: &str, provider_ref: &str) -> (VerificationId, Errand) {
    let id = world.created(phone).await;
    let errand = world.errand().await;
    let provider_ref = ProviderRef::parse(provider_ref).unwrap();
    world.outcome(&errand, Outcome::Accepted { provider_ref: Some(provider_ref) }).await;
    (id, errand)
}

/// Creates others until sled is away.
async fn fill_log(world: &World<Sled>, data: &Path) {
    fs::write(data.join(STAY), "").unwrap();
    for n in 200.. {
        let phone = format!("+1202555{n:04}");
        let mut created = pin!(world.created(&phone));
        while is_waiting(created.as_mut()) {
            if data.join(AWAY).exists() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn is_waiting<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.path().is_file() && ![STAY, AWAY].iter().any(|name| entry.file_name() == *name) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn reports_checks_and_deadlines_do_not_wait_for_sled_and_outlive_the_process() {
    let mut world = World::<Sled>::new();
    let (first, sent) = accepted(&mut world, "+12025550100", "wamid.1").await;
    let (second, _) = accepted(&mut world, "+12025550101", "wamid.2").await;
    let (data, killed) = (world.folder.path().join("data"), tempfile::tempdir().unwrap());
    fill_log(&world, &data).await;

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
    let (facts, facts_of_second) = (world.facts(first).await, world.facts(second).await);
    assert!(facts.contains(&Fact::CheckFailed));

    let mut created = pin!(world.created("+12025550102"));
    let mut listed = pin!(world.store.list(Default::default(), 10, None));
    assert!(
        is_waiting(created.as_mut()) && is_waiting(listed.as_mut()),
        "what only sled knows is waited for"
    );
    copy(&data, &killed.path().join("whole"));
    fs::remove_file(data.join(STAY)).unwrap();
    created.await;
    assert_eq!(listed.await.unwrap().items.len(), 10);
    assert_eq!(world.facts(first).await, facts);
    world.store.close().await.unwrap();
    for log in ["wal.0", "wal.1"] {
        assert_eq!(fs::metadata(data.join(log)).unwrap().len(), 0, "sled has everything");
    }

    // Any damage to the log is noticed, or it is to what sled has anyway.
    let whole = killed.path().join("whole");
    let (mut refused, mut opened) = (0, 0);
    for (log, at) in ["wal.0", "wal.1"].into_iter().flat_map(|log| (0..12).map(move |at| (log, at))) {
        let intact = fs::read(whole.join(log)).unwrap();
        let at = at * intact.len() / 12;
        let mut flipped = intact.clone();
        flipped.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 4);
        for (what, damaged) in [("flipped", &flipped[..]), ("cut", &intact[..at])] {
            let data = killed.path().join(format!("{what} {log} {at}"));
            copy(&whole, &data);
            fs::write(data.join(log), damaged).unwrap();
            match kept_in(&data, [first, second]).await {
                Ok(kept) => {
                    assert_eq!(kept, [&facts[..], &facts_of_second], "{what} {log} at {at}");
                    opened += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("batches that were durable"), "{error}");
                    assert_eq!(fs::read(data.join(log)).unwrap(), damaged, "it is left untouched");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 0 && opened > 0, "{refused} were refused, {opened} opened");
    assert_eq!(kept_in(&whole, [first, second]).await.unwrap(), [facts, facts_of_second]);
}

/// What the next process finds of them.
async fn kept_in(data: &Path, ids: [VerificationId; 2]) -> Result<Vec<Vec<Fact>>, OpenError> {
    let key_id = Vault::new(&[7; 32]).key_id();
    let settings = Settings { path: data.to_owned(), rates: Default::default(), key_id };
    // Nothing is due that was not due before.
    let clock = ManualClock::starting_at(Timestamp::from_millis(1_795_000_000_000));
    let (store, _errands) = open(settings, Clock::Manual(clock))?;
    // The start notes which attempts were interrupted. Before this read is answered it has.
    store.find(ChannelName::new("whatsapp"), "nobody".to_owned()).await.unwrap();
    let mut kept: Vec<Vec<Fact>> = Vec::new();
    for id in ids {
        kept.push(store.timeline(id).await.unwrap().into_iter().map(|event| event.fact).collect());
    }
    store.close().await.unwrap();
    let interrupted = kept[1].pop();
    assert!(matches!(interrupted, Some(Fact::SendInDoubt { .. })), "its SMS was under way: {interrupted:?}");
    Ok(kept)
}
