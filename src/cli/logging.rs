//! Log lines to stderr: for people on a terminal, as JSON for machines.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::Environment;

/// What `TWOTICK_LOG` stands for when it is not set: everything of ours from `level` on, libraries from `warn` on.
/// But for sled: the store tells each of its errors itself, once, and as the last line where it ends the server.
fn default_filter(level: &str) -> String {
    format!("warn,sled=off,twotick={level}")
}

/// Starts logging from `level` on, or as `TWOTICK_LOG` says (`debug`, `info,twotick::courier=trace`).
pub(super) fn start(environment: &Environment, level: &str) {
    let wanted = environment.get("TWOTICK_LOG").map(str::to_owned);
    let (filter, wrong) = match wanted.as_deref().map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(default_filter(level)), Some(error)),
        None => (EnvFilter::new(default_filter(level)), None),
    };
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(without_numbers(filter)).with_writer(io::stderr);
    let started = if terminal {
        lines.with_ansi(colour(environment, Stream::Stderr)).with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
    if let Err(error) = started {
        eprintln!("logging was started already: {error}");
    }
    if let Some(error) = wrong {
        tracing::warn!("TWOTICK_LOG is not a filter such as `info` or `warn,twotick=debug`: {error}");
    }
}

/// The parser of phone numbers writes the numbers it parses, and no level that somebody asks for may show those.
fn without_numbers(filter: EnvFilter) -> EnvFilter {
    filter.add_directive("rlibphonenumber=off".parse().expect("a directive")) // a constant, parsed by a test too
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Whether to write in colour: only to a terminal, and never against `NO_COLOR` (no-color.org).
pub(super) fn colour(environment: &Environment, stream: Stream) -> bool {
    let terminal = match stream {
        Stream::Stdout => io::stdout().is_terminal(),
        Stream::Stderr => io::stderr().is_terminal(),
    };
    terminal && environment.get("NO_COLOR").is_none() && environment.get("TERM") != Some("dumb")
}

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled};
    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::without_numbers;

    #[test]
    fn no_level_shows_the_numbers_that_are_parsed() {
        for wanted in ["trace", "rlibphonenumber=trace"] {
            let filter = without_numbers(EnvFilter::new(wanted));
            let lines = tracing_subscriber::registry().with(filter);
            tracing::subscriber::with_default(lines, || {
                assert!(!enabled!(target: "rlibphonenumber::phonenumberutil", Level::ERROR), "{wanted}");
                assert_eq!(enabled!(target: "hyper", Level::TRACE), wanted == "trace");
            });
        }
    }
}
