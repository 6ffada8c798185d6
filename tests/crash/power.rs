//! Power loss: the server is stopped, the device copied, and another server started on the copy. Unlike after a kill,
//! data not written by the kernel is lost.
//!
//! Not modelled: a volatile cache of the disk. Copying takes a moment.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::checker::violations;
use crate::load::Load;
use crate::privilege::{Mount, alone, can_run, output};
use crate::proof::{self, figure, seed};
use crate::shim::shim;
use crate::world::{Chance, Home, Providers, Times};

const CUTS: usize = 3;
/// Without syncs most cuts lose data; this many in a row without a loss are practically impossible.
const CUTS_WITHOUT_SYNC: u64 = 30;
const TOOLS: [&str; 4] = ["losetup", "mkfs.ext4", "mount", "cp"];

/// Cuts the power once and returns everything that is wrong afterwards.
async fn cut(folder: &Path, seed: u64, environment: &[(&str, &str)]) -> (usize, Vec<String>) {
    let (image, copy) = (folder.join("disk"), folder.join("disk.after"));
    output("truncate", ["-s", "64M", image.to_str().unwrap()]);
    output("mkfs.ext4", ["-q", "-F", image.to_str().unwrap()]);
    let providers = Providers::start().await;
    let times = Times { deliver_within: "1s", code_ttl: "30s" };

    let disk = Mount::image(&image, &folder.join("before"));
    output("sync", [""; 0]);
    let home = Home::new(folder, &disk.at, &providers, &times);
    let mut server = home.spawn(&[], environment);
    home.ready(&mut server).await;
    let load = Load::start(&home, &providers, seed, &Arc::new(AtomicU64::new(0)));
    tokio::time::sleep(Duration::from_millis(400 + Chance(seed).below(1_200))).await;
    load.until_created(20).await;
    server.signal("-STOP");
    // Responses that have left the server arrive.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (answers, requests) = (load.answers(), providers.requests());
    output("cp", ["--sparse=always", image.to_str().unwrap(), copy.to_str().unwrap()]);
    server.kill();
    let _ = load.stop().await;
    drop(disk);

    let disk = Mount::image(&copy, &folder.join("after"));
    let home = Home::new(folder, &disk.at, &providers, &times);
    let mut server = home.spawn(&[], &[]);
    if let Err(why) = home.try_ready(&mut server).await {
        return (answers.created.len(), vec![why]);
    }
    // Requests of the new server must appear in its timelines too.
    let mut requests = requests;
    let before = requests.len();
    let shown = home.everything().await;
    requests.extend(providers.requests().split_off(before));
    let shown = if requests.len() > before { home.everything().await } else { shown };
    (answers.created.len(), violations(&answers, &requests, &shown))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_power_loses_nothing_that_was_answered() {
    let _alone = alone().await;
    if !can_run("simulated loss of power", &TOOLS) {
        return;
    }
    let seed = seed();
    let mut created = 0;
    let cuts = proof::count(CUTS);
    for n in 0..cuts {
        let folder = tempfile::tempdir().unwrap();
        let (some, wrong) = cut(folder.path(), seed.wrapping_add(n as u64), &[]).await;
        created += some;
        assert!(
            wrong.is_empty(),
            "cut {n}: {} violations: {:#?}",
            wrong.len(),
            &wrong[..wrong.len().min(20)]
        );
    }
    figure(
        "power_cuts_of_a_real_disk",
        &[
            ("seed", seed.to_string()),
            ("cuts", cuts.to_string()),
            ("opened", "100%".to_owned()),
            ("creates", created.to_string()),
            ("lost", 0.to_string()),
            ("invented", 0.to_string()),
        ],
    );
    assert!(created > 50, "there was not enough load to tell anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_syncs_a_loss_of_power_is_noticed_by_this_test() {
    let _alone = alone().await;
    if !can_run("simulated loss of power without syncs", &[&TOOLS[..], &["gcc"]].concat()) {
        return;
    }
    let seed = seed();
    for n in 0..CUTS_WITHOUT_SYNC {
        let folder = tempfile::tempdir().unwrap();
        let library = shim(folder.path());
        let environment = [("LD_PRELOAD", library.to_str().unwrap()), ("SHIM_NO_SYNC", "1")];
        let (created, wrong) = cut(folder.path(), seed.wrapping_add(n), &environment).await;
        if let Some(first) = wrong.first() {
            println!(
                "without fdatasync cut {n} of {created} creates has {} violations: {first}",
                wrong.len()
            );
            return;
        }
    }
    panic!("{CUTS_WITHOUT_SYNC} cuts without fdatasync lost nothing: the test does not see what it is for");
}
