//! A full disk: nothing is accepted that cannot be stored, reads continue, and free space is enough to recover.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde_json::json;
use twotick::clock::Stopwatch;

use crate::checker::violations;
use crate::load::Load;
use crate::privilege::{Mount, alone, can_run};
use crate::proof::{self, figure, seed};
use crate::shim::shim;
use crate::world::{Home, Providers, Server, Times};

/// The server checks for space every 250 ms; the rest is for a machine under load.
const HEALS_WITHIN: Duration = Duration::from_secs(2);
/// The remaining bytes: twice what the server keeps free.
const SLOW_FROM: u64 = 16 * 1024 * 1024;
/// In the short forms.
const TIMES_FULL: usize = 3;
const TIMES_NO_ROOM: usize = 5;
const TIMES: Times = Times { deliver_within: "20s", code_ttl: "60s" };

/// Fills the disk, finally at the speed of a real disk: memory takes 8 MiB within one turn, and then sled itself runs
/// out of space, which the test below covers.
fn ballast(path: &Path) {
    let mut file = File::create(path).unwrap();
    let block = vec![1; 64 * 1024];
    while file.write_all(&block).is_ok() {
        let room = rustix::fs::statvfs(path).unwrap();
        if room.f_bavail * room.f_frsize < SLOW_FROM {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// All writes are refused for now, all reads succeed.
async fn is_full(home: &Home, id: &str) {
    let bodies = [
        ("/v1/verifications".to_owned(), json!({ "to": "+4915229999999" })),
        (format!("/v1/verifications/{id}/check"), json!({ "code": "000000" })),
        (format!("/v1/verifications/{id}/cancel"), json!({})),
    ];
    for (path, body) in bodies {
        let (status, answer) = home.post(&path, &body, None).await.unwrap();
        assert_eq!((status, answer["code"].as_str()), (503, Some("store_full")), "{path}: {answer}");
    }
    let webhook = home.statuses(&[("wamid.1", "sent", None)]).await.unwrap();
    assert_eq!(webhook.status(), 503, "so that Meta comes again");
    assert!(webhook.headers().contains_key("retry-after"));
    let ready = home.client.get(home.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.headers().contains_key("retry-after"));
    home.get("/healthz").await;
    home.get(&format!("/v1/verifications/{id}")).await;
    home.get(&format!("/v1/verifications/{id}/timeline")).await;
    home.get("/v1/verifications").await;
}

async fn until_full(home: &Home) {
    let waiting = Stopwatch::start();
    while home.client.get(home.url("/readyz")).send().await.unwrap().status() == 200 {
        assert!(
            waiting.elapsed() < Duration::from_secs(10),
            "the server did not notice that the disk is full"
        );
        // The server notices on its next write.
        let _ = home.statuses(&[("wamid.1", "sent", None)]).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_healed(home: &Home, server: &mut Server) -> Duration {
    let waiting = Stopwatch::start();
    home.ready(server).await;
    let took = waiting.elapsed();
    assert!(took < HEALS_WITHIN, "it took {took:?} to heal");
    took
}

async fn created(home: &Home, to: &str) -> String {
    let (status, answer) = home.post("/v1/verifications", &json!({ "to": to }), None).await.unwrap();
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_keeps_reading_and_heals_by_itself() {
    let _alone = alone().await;
    if !can_run("a full disk", &["mount"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = Mount::memory(&folder.path().join("disk"), 48);
    let providers = Providers::start().await;
    let home = Home::new(folder.path(), &disk.at, &providers, &TIMES);
    let mut server = home.start().await;
    let load = Load::start(&home, &providers, seed(), &Arc::new(AtomicU64::new(0)));
    let first = created(&home, "+4915228888888").await;
    let weight = disk.at.join("ballast");
    let mut healed = Vec::new();
    for round in 0..proof::count(TIMES_FULL) {
        // The disk fills up while turns run.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let filling = weight.clone();
        tokio::task::spawn_blocking(move || ballast(&filling)).await.unwrap();
        until_full(&home).await;
        is_full(&home, &first).await;
        match round {
            0 => disk.resize(96),
            _ => fs::remove_file(&weight).unwrap(),
        }
        healed.push(until_healed(&home, &mut server).await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let answers = load.stop().await;
    let wrong = violations(&answers, &providers.requests(), &home.everything().await);
    assert!(wrong.is_empty(), "{} violations: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    server.kill();
    let _server = home.start().await;
    let wrong = violations(&answers, &providers.requests(), &home.everything().await);
    assert!(wrong.is_empty(), "after a restart: {:#?}", &wrong[..wrong.len().min(20)]);
    assert!(answers.created.len() > 20, "there was not enough load to tell anything");
    let slowest = healed.iter().max().unwrap();
    figure(
        "disk_full",
        &[
            ("times", healed.len().to_string()),
            ("seconds_to_heal_max", format!("{:.2}", slowest.as_secs_f64())),
            ("answered", answers.promises().to_string()),
            ("lost", 0.to_string()),
            ("reads_alive", "100%".to_owned()),
        ],
    );
}

/// The case that the guard prevents: sled itself runs out of space and accepts no writes until it is reopened.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_finds_no_room_is_not_answered_and_the_store_is_opened_anew() {
    let _alone = alone().await;
    if !can_run("a write that finds no room", &["gcc"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let library = shim(folder.path());
    let full = folder.path().join("full");
    let providers = Providers::start().await;
    let home = Home::new(folder.path(), folder.path(), &providers, &TIMES);
    let environment = [("LD_PRELOAD", library.to_str().unwrap()), ("SHIM_FULL", full.to_str().unwrap())];
    let mut server = home.spawn(&[], &environment);
    home.ready(&mut server).await;
    let load = Load::start(&home, &providers, seed(), &Arc::new(AtomicU64::new(0)));
    let times = proof::count(TIMES_NO_ROOM);
    for n in 0..times {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fs::write(&full, "").unwrap();
        until_full(&home).await;
        fs::remove_file(&full).unwrap();
        println!("opened anew in {:?}", until_healed(&home, &mut server).await);
        created(&home, &format!("+491522777{n:04}")).await;
    }
    let met = server.log().matches("the disk is full: nothing is written").count();
    assert!(met >= times, "sled found no room {met} times only");
    let answers = load.stop().await;
    let wrong = violations(&answers, &providers.requests(), &home.everything().await);
    assert!(wrong.is_empty(), "{} violations: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    server.kill();
    let _server = home.start().await;
    let wrong = violations(&answers, &providers.requests(), &home.everything().await);
    assert!(wrong.is_empty(), "after a restart: {:#?}", &wrong[..wrong.len().min(20)]);
}
