//! SIGKILL at random under load, while opening too.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use twotick::clock::Stopwatch;

use crate::checker::{Answers, violations};
use crate::load::Load;
use crate::privilege::alone;
use crate::proof::seed;
use crate::world::{Chance, Home, Providers, Times};

const KILLS_UNDER_LOAD: u32 = 20;
const KILLS_WHILE_OPENING: u32 = KILLS_UNDER_LOAD / 2;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_sent_twice_however_often_it_is_killed() {
    let _alone = alone().await;
    let seed = seed();
    let mut chance = Chance(seed);
    let folder = tempfile::tempdir().unwrap();
    let providers = Providers::start().await;
    let times = Times { deliver_within: "1s", code_ttl: "30s" };
    let home = Home::new(folder.path(), folder.path(), &providers, &times);

    let mut server = home.start().await;
    let load = Load::start(&home, &providers, seed, &Arc::new(AtomicU64::new(0)));
    let mut slowest_start = Duration::ZERO;
    for kill in 0..KILLS_UNDER_LOAD {
        tokio::time::sleep(Duration::from_millis(50 + chance.below(700))).await;
        server.kill();
        // After every second kill another one follows while the store is being opened.
        if kill % 2 == 1 {
            let mut opening = home.spawn(&[], &[]);
            tokio::time::sleep(Duration::from_millis(chance.below(60))).await;
            opening.kill();
        }
        let starting = Stopwatch::start();
        server = home.start().await;
        slowest_start = slowest_start.max(starting.elapsed());
    }
    let answers = load.stop().await;
    // A last word about every message: whatever was parked is matched by it.
    for seen in providers.requests() {
        let told = match &*seen.channel {
            "sms" => home.sms_report(&seen.reference, "sent").await,
            _ => home.statuses(&[(&seen.provider_ref, "sent", Some(&seen.reference))]).await,
        };
        assert_eq!(told.unwrap().status(), 200);
    }
    let shown = home.everything().await;
    let requests = providers.requests();
    let wrong = violations(&answers, &requests, &shown);
    assert!(wrong.is_empty(), "{} violations: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);

    let Answers { created, acked, tries, .. } = &answers;
    let answered: usize = tries.values().flatten().filter(|one| one.answer.is_some()).count();
    let cut: usize = tries.values().flatten().filter(|one| one.answer.is_none()).count();
    let in_doubt = shown.values().flat_map(|shown| &shown.events);
    let in_doubt = in_doubt.filter(|event| event["type"] == "send_in_doubt").count();
    println!(
        "{KILLS_UNDER_LOAD} kills under load, {KILLS_WHILE_OPENING} while opening: {} creates, {answered} checks and \
         {} reports answered, {cut} checks cut off, {} requests at the providers, {in_doubt} in doubt; \
         nothing lost, nothing sent twice, no try regained; slowest start {slowest_start:?}",
        created.len(),
        acked.len(),
        requests.len(),
    );
    assert!(
        created.len() > 50 && acked.len() > 50 && answered > 50,
        "there was not enough load to tell anything"
    );
}
