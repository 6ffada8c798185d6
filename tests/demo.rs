//! `twotick demo --once`, as someone who has just cloned it runs it.

mod support;

use std::time::Duration;

use support::{stderr, stdout, twotick};
use twotick::clock::Stopwatch;

#[test]
fn the_demo_plays_every_scenario_to_its_end() {
    let place = tempfile::tempdir().unwrap();
    let start = Stopwatch::start();
    let output = twotick().args(["demo", "--once"]).env("TMPDIR", place.path()).output().unwrap();
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}\n{}", stderr(&output));
    assert!(shown.contains("12 of 12 scenarios ended as they should."), "{shown}");
    assert_eq!(shown.matches("\n+120255501").count(), 24, "a timeline and a verdict for each: {shown}");
    // About 7 s by itself; other tests run beside it.
    assert!(start.elapsed() < Duration::from_secs(40), "it took {:?}", start.elapsed());
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
    assert!(left.is_empty(), "the demo cleans up after itself: {left:?}");
    // Six digits in a row would be a code; the numbers of people have eleven.
    let codes = shown.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| digits.len() == 6);
    let codes: Vec<_> = codes.filter(|digits| !digits.starts_with("1310")).collect();
    assert!(codes.is_empty(), "no code stands in a timeline: {codes:?}");
}
