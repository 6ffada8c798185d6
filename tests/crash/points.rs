//! SIGKILL at every named point of the source: around commit, sync, publish, answer, send, reply and webhook, while
//! opening and while closing.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::kills::{Campaign, Tally};
use crate::privilege::alone;
use crate::proof::{self, seed};
use crate::world::Chance;

/// The maximum number of passes before the process ends at the point, so that the preceding state differs.
const MEETINGS: u64 = 12;
const REACHED_WITHIN: Duration = Duration::from_secs(20);
const SIGKILL: i32 = 9;

/// Every `failpoint::reach("…")` of the source, so that none is missed.
fn points() -> Vec<String> {
    let mut points = Vec::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut points);
    points.sort();
    points
}

fn collect(folder: &Path, points: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, points);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.split("failpoint::reach(\"").skip(1).filter_map(|rest| rest.split('"').next());
            points.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn points_have_names_of_their_own_and_stand_around_everything_that_must_hold() {
    let points = points();
    let mut names = points.clone();
    names.dedup();
    assert_eq!(names, points, "a point is named once");
    for place in [
        "open.", "commit.", "sync.", "publish.", "answer.", "send.", "outcome.", "request.", "webhook.",
        "close.", "shorten.",
    ] {
        assert!(points.iter().any(|point| point.starts_with(place)), "no point around {place} in {points:?}");
    }
}

/// In a release, the compiled file contains neither the variable nor a name.
#[test]
fn a_release_has_no_points() {
    let folder = tempfile::tempdir().unwrap();
    let object = |assertions: &str| {
        let object = folder.path().join("failpoint.o");
        let probe = folder.path().join("probe.rs");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/failpoint.rs");
        // rustix only ends the process, so a stub is enough to compile the variant with points.
        let rustix = "extern crate self as rustix; pub mod process { pub enum Signal { KILL } \
            pub fn getpid() -> u32 { 0 } pub fn kill_process(_: u32, _: Signal) -> Result<(), ()> { Ok(()) } }";
        let text = format!(
            "{rustix} #[path = {source:?}] mod failpoint; pub fn meet() -> bool {{ failpoint::reach(\"probe.point\"); failpoint::log_is_short() }}"
        );
        fs::write(&probe, text).unwrap();
        let out = Command::new(env!("CARGO").replace("cargo", "rustc"))
            .args([
                "--edition=2024",
                "--crate-type=lib",
                "--emit=obj",
                "-Copt-level=2",
                "-Awarnings",
                "-Aunknown_lints",
            ])
            .arg(format!("-Cdebug-assertions={assertions}"))
            .arg("-o")
            .args([&object, &probe])
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let bytes = fs::read(object).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        (holds("TWOTICK_FAILPOINT") || holds("TWOTICK_SHORT_LOG"), holds("probe.point"))
    };
    assert_eq!(object("on"), (true, true), "this test would see them");
    assert_eq!(object("off"), (false, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_point_it_loses_nothing_and_sends_nothing_twice() {
    let _alone = alone().await;
    let seed = seed();
    let mut chance = Chance(seed);
    let points = points();
    let mut tally = Tally::default();
    for _ in 0..proof::count(points.len()).div_ceil(points.len()) {
        let mut campaign = Campaign::begin(chance.below(u64::MAX)).await;
        for point in &points {
            tokio::time::sleep(Duration::from_millis(100 + chance.below(200))).await;
            campaign.kill();
            die_at(&mut campaign, point, &mut chance).await;
            campaign.start_again().await;
        }
        tally.add(campaign.end().await);
    }
    println!("{} points: {}", points.len(), points.join(" "));
    tally.publish("points", seed);
}

async fn die_at(campaign: &mut Campaign, point: &str, chance: &mut Chance) {
    let comes_once = ["open.", "close.", "shorten.", "wal."].iter().any(|place| point.starts_with(place));
    let meetings = if comes_once { 1 } else { 1 + chance.below(MEETINGS) };
    campaign.start(&[("TWOTICK_FAILPOINT", &format!("{point}:{meetings}"))]);
    if point.starts_with("close.") {
        campaign.ready().await;
        campaign.server.signal("-TERM");
    }
    let ended = campaign.server.ended_within(REACHED_WITHIN).await;
    let status =
        ended.unwrap_or_else(|| panic!("{point} was not met {meetings} times in {REACHED_WITHIN:?}"));
    assert_eq!(status.signal(), Some(SIGKILL), "{point}: {status}: {}", campaign.server.log());
    campaign.was_killed();
}
