//! Length and variety of a proof, from the environment, and the line format of its figures.
//!
//! `TWOTICK_PROOF_SEED` (default [`FIXED_SEED`]), `TWOTICK_PROOF_SECONDS` for tests by time and `TWOTICK_PROOF_COUNT`
//! for tests by count turn the short form, which runs with every check, into a long one. `TWOTICK_PROOF_BINARY` names
//! another build of the server, such as a release.
#![allow(dead_code, reason = "each test uses its part")]

use std::str::FromStr;

/// Default seed, so that two runs do the same.
const FIXED_SEED: u64 = 20_261_123;

/// Source of all randomness of a test. It is printed, to reproduce a failure.
pub fn seed() -> u64 {
    let seed = given("TWOTICK_PROOF_SEED").unwrap_or(FIXED_SEED);
    println!("TWOTICK_PROOF_SEED={seed}");
    seed
}

/// Duration of a long form in seconds. `None`: the short form.
pub fn long_seconds() -> Option<u64> {
    given("TWOTICK_PROOF_SECONDS")
}

/// Number of repetitions (kills, images, races); `short` in the short form.
pub fn count(short: usize) -> usize {
    given("TWOTICK_PROOF_COUNT").unwrap_or(short)
}

/// The server under test. A release build has no failpoints and does not shorten its log early.
pub fn binary() -> String {
    given("TWOTICK_PROOF_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_twotick").to_owned())
}

/// Prints one line `FIGURE name key=value …`. A value with a space is quoted.
pub fn figure(name: &str, pairs: &[(&str, String)]) {
    let pair = |(key, value): &(&str, String)| {
        if value.contains(' ') { format!(" {key}={value:?}") } else { format!(" {key}={value}") }
    };
    let pairs: String = pairs.iter().map(pair).collect();
    println!("FIGURE {name}{pairs}");
}

/// A malformed value stops the test, so that it does not prove something else than asked.
#[expect(clippy::disallowed_methods, reason = "the only place where a test is told how long it runs")]
fn given<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
