//! Simulated power losses at any moment of a run: one traced run yields any number of possible disk states. A real
//! server is started on each of them.
//!
//! In contrast, `power.rs` cuts the power of a real file system, where the kernel decides what is lost.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::checker::{Answers, Moment, Seen, violations};
use crate::image::{Disk, Loss};
use crate::load::Load;
use crate::privilege::{alone, can_run};
use crate::proof::{self, figure, seed};
use crate::shim::shim;
use crate::trace::{self, Call, What};
use crate::world::{Chance, Home, Providers, Times};

const IMAGES: usize = 24;
const IMAGES_WITHOUT_SYNC: usize = 6;
/// Images per trace, so that the long form covers many runs.
const IMAGES_A_TRACE: usize = 24;
/// Images checked concurrently: a start mostly waits for the disk.
const LANES: usize = 2;
const TIMES: Times = Times { deliver_within: "1s", code_ttl: "300s" };
const UNDER_LOAD: Duration = Duration::from_millis(1_500);
/// Answered creates by the end of a run.
const CREATES: usize = 40;

/// A run of the server with its complete trace.
struct Run {
    folder: tempfile::TempDir,
    /// The data when the traced server was started.
    before: Disk,
    calls: Vec<Call>,
    answers: Answers,
    requests: Vec<Seen>,
}

impl Run {
    /// Starts from an empty folder, or with the log of a killed server.
    async fn record(seed: u64, anew: bool, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let providers = Providers::start().await;
        let home = Home::new(folder.path(), folder.path(), &providers, &TIMES);
        let numbers = Arc::new(AtomicU64::new(0));
        let load = Load::of(4, &home, &providers, seed, &numbers);
        if !anew {
            let mut server = home.start().await;
            load.until_created(CREATES / 2).await;
            server.kill();
        }
        let before = Disk::of(folder.path(), |path| !is_beside(path, folder.path()));
        let file = folder.path().join("trace");
        let strace = trace::strace(&file);
        let strace: Vec<_> = strace.iter().map(String::as_str).collect();
        let mut server = home.spawn(&strace, environment);
        home.ready(&mut server).await;
        tokio::time::sleep(UNDER_LOAD).await;
        load.until_created(CREATES).await;
        server.kill();
        let answers = load.stop().await;
        let trace = trace::whole(&file).await;
        let calls = trace::parse(&trace, folder.path());
        let calls: Vec<_> =
            calls.into_iter().filter(|call| !is_beside(call.what.path(), folder.path())).collect();
        assert!(calls.len() > 50, "the trace shows {} calls only", calls.len());
        Self { before, calls, answers, requests: providers.requests(), folder }
    }

    /// Selects critical moments: within a sync, right after a response, and random ones.
    fn moment(&self, chance: &mut Chance) -> Moment {
        let syncs: Vec<_> = self.calls.iter().filter(|call| matches!(call.what, What::Sync { .. })).collect();
        let any = &self.calls[chance.below(self.calls.len() as u64) as usize];
        let traced = self.calls.first().map_or(Moment::default(), |call| call.began);
        let created: Vec<_> = self.answers.created.iter().filter(|created| created.at >= traced).collect();
        match chance.below(3) {
            0 if !syncs.is_empty() => {
                let sync = syncs[chance.below(syncs.len() as u64) as usize];
                Moment(sync.ended.unwrap_or(sync.began).0 - 1)
            }
            1 if !created.is_empty() => created[chance.below(created.len() as u64) as usize].at,
            _ => any.ended.unwrap_or(any.began),
        }
    }
}

/// Whether a file belongs to the test and not to the data or the key.
fn is_beside(path: &Path, folder: &Path) -> bool {
    ["config.toml", "server.log", "trace", "shim.c", "shim.so"].iter().any(|name| path == folder.join(name))
}

/// A possible disk state.
struct Image {
    moment: Moment,
    loss: Loss,
    at_stake: usize,
    promises: usize,
    wrong: Vec<String>,
}

/// Starts a server on the image and returns everything that is wrong.
async fn image(run: &Run, moment: Moment, loss: Loss, providers: &Providers, seed: u64) -> Image {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = run.before.clone();
    disk.replay(&run.calls, moment);
    disk.write(loss, &mut Chance(seed), run.folder.path(), folder.path());
    let answers = run.answers.until(moment);
    let image =
        Image { moment, loss, at_stake: disk.at_stake(), promises: answers.promises(), wrong: Vec::new() };

    let wrong = is_whole(run, moment, &answers, folder.path(), providers).await;
    if !wrong.is_empty() {
        // The server has changed the image, so it is written again for inspection, together with the trace.
        let kept = tempfile::tempdir().unwrap().keep();
        disk.write(loss, &mut Chance(seed), run.folder.path(), &kept);
        std::fs::copy(run.folder.path().join("trace"), kept.join("trace")).unwrap();
        println!("{loss:?} at {moment:?} is kept in {}", kept.display());
    }
    Image { wrong, ..image }
}

async fn is_whole(
    run: &Run,
    moment: Moment,
    answers: &Answers,
    folder: &Path,
    providers: &Providers,
) -> Vec<String> {
    let home = Home::new(folder, folder, providers, &TIMES);
    let before = providers.requests().len();
    let mut server = home.spawn(&[], &[]);
    if let Err(why) = home.try_ready(&mut server).await {
        return vec![format!("it does not open: {why}")];
    }
    let shown = home.everything().await;
    let mut requests: Vec<_> = run.requests.iter().filter(|seen| seen.at <= moment).cloned().collect();
    let new = providers.requests().split_off(before);
    // Requests of this server must appear in its timelines too.
    let shown = if new.is_empty() { shown } else { home.everything().await };
    requests.extend(new);
    violations(answers, &requests, &shown)
}

async fn images(seed: u64, wanted: usize, environment: &[(&str, &str)]) -> Vec<Image> {
    let mut chance = Chance(seed);
    let mut images = Vec::new();
    let mut losses = Loss::ALL.into_iter().cycle();
    while images.len() < wanted {
        let anew = images.len() / IMAGES_A_TRACE % 3 == 2;
        let run = Arc::new(Run::record(chance.below(u64::MAX), anew, environment).await);
        let several = IMAGES_A_TRACE.min(wanted - images.len());
        let plan: Vec<_> = losses
            .by_ref()
            .take(several)
            .map(|loss| (run.moment(&mut chance), loss, chance.below(u64::MAX)))
            .collect();
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let run = Arc::clone(&run);
                let plan: Vec<_> = plan.iter().skip(lane).step_by(LANES).copied().collect();
                tokio::spawn(async move {
                    let providers = Providers::start().await;
                    let mut images = Vec::new();
                    for (moment, loss, seed) in plan {
                        images.push(image(&run, moment, loss, &providers, seed).await);
                    }
                    images
                })
            })
            .collect();
        for lane in lanes {
            images.extend(lane.await.unwrap());
        }
    }
    images
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_loss_of_power_leaves_it_opens_with_everything_that_was_answered() {
    let _alone = alone().await;
    if !can_run("disks after a loss of power", &["strace"]) {
        return;
    }
    let seed = seed();
    let images = images(seed, proof::count(IMAGES), &[]).await;
    let broken: Vec<_> = images.iter().filter(|image| !image.wrong.is_empty()).collect();
    for image in broken.iter().take(5) {
        let wrong = &image.wrong[..image.wrong.len().min(5)];
        println!("{:?} at {:?}, {} writes at stake: {wrong:#?}", image.loss, image.moment, image.at_stake);
    }
    assert!(broken.is_empty(), "{} of {} images are broken", broken.len(), images.len());
    let unsynced = images.iter().filter(|image| image.at_stake > 0).count();
    assert!(unsynced * 3 > images.len(), "at {unsynced} moments only something was at stake");
    let of = |loss: Loss| format!("{:?}:{}", loss, images.iter().filter(|image| image.loss == loss).count());
    let promises: usize = images.iter().map(|image| image.promises).sum();
    assert!(promises > images.len(), "there was not enough load to tell anything");
    figure(
        "power_cut_images",
        &[
            ("seed", seed.to_string()),
            ("images", images.len().to_string()),
            ("with_writes_at_stake", unsynced.to_string()),
            ("kinds", Loss::ALL.map(of).join(",")),
            ("opened", "100%".to_owned()),
            ("answers_compared", promises.to_string()),
            ("lost", 0.to_string()),
            ("invented", 0.to_string()),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_syncs_such_disks_have_lost_what_was_answered() {
    let _alone = alone().await;
    if !can_run("disks after a loss of power without syncs", &["strace", "gcc"]) {
        return;
    }
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let library = shim(folder.path());
    let environment = [("LD_PRELOAD", library.to_str().unwrap()), ("SHIM_NO_SYNC", "1")];
    let wanted = proof::count(0).div_ceil(4).max(IMAGES_WITHOUT_SYNC);
    let images = images(seed, wanted, &environment).await;
    let broken: Vec<_> = images.iter().filter(|image| !image.wrong.is_empty()).collect();
    let closed = broken.iter().filter(|image| image.wrong[0].starts_with("it does not open")).count();
    figure(
        "power_cut_images_without_sync",
        &[
            ("seed", seed.to_string()),
            ("images", images.len().to_string()),
            ("broken", broken.len().to_string()),
            ("of_them_unopenable", closed.to_string()),
        ],
    );
    assert!(!broken.is_empty(), "without fdatasync nothing was lost: the test does not see what it is for");
}
