//! How long and how varied a proof runs, from the environment, and the line that its figures are read from.
//!
//! `TWOTICK_PROOF_SEED` (default [`FIXED_SEED`]), `TWOTICK_PROOF_SECONDS` for what runs by time and
//! `TWOTICK_PROOF_COUNT` for what is counted make a long form of the short one that runs with every check.
//! `TWOTICK_PROOF_BINARY` names another build of the server, as a release.
#![allow(dead_code, reason = "each test uses its part")]

use std::str::FromStr;

/// What a run without a seed of its own uses, so that two of them do the same.
const FIXED_SEED: u64 = 20_261_123;

/// From which all chance of a test is drawn. It is printed, so that a failure can be looked at again.
pub fn seed() -> u64 {
    let seed = given("TWOTICK_PROOF_SEED").unwrap_or(FIXED_SEED);
    println!("TWOTICK_PROOF_SEED={seed}");
    seed
}

/// Seconds that a long form runs. `None`: the short form.
pub fn long_seconds() -> Option<u64> {
    given("TWOTICK_PROOF_SECONDS")
}

/// How many (kills, images, races), in the short form `short`.
pub fn count(short: usize) -> usize {
    given("TWOTICK_PROOF_COUNT").unwrap_or(short)
}

/// The server to be tried. A release has no points and keeps its log as long as it likes.
pub fn binary() -> String {
    given("TWOTICK_PROOF_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_twotick").to_owned())
}

/// One line `FIGURE name key=value …`. A value with a space in it is quoted.
pub fn figure(name: &str, pairs: &[(&str, String)]) {
    let pair = |(key, value): &(&str, String)| {
        if value.contains(' ') { format!(" {key}={value:?}") } else { format!(" {key}={value}") }
    };
    let pairs: String = pairs.iter().map(pair).collect();
    println!("FIGURE {name}{pairs}");
}

/// A value that is no number stops the test, rather than to prove something else than was asked for.
#[expect(clippy::disallowed_methods, reason = "the only place where a test is told how long it runs")]
fn given<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
