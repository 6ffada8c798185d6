//! Logging to stderr: text on a terminal, JSON otherwise.

use std::fmt;
use std::io::{self, IsTerminal};

use tokio::runtime::Handle;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::channel::throttle::Throttle;
use crate::clock::Clock;
use crate::config::Environment;

/// The filter if `TWOTICK_LOG` is not set: `level` for our code, `warn` for libraries. Sled is silent: the store logs
/// each of its errors once, and as the last line if the error ends the server.
fn default_filter(level: &str) -> String {
    format!("warn,sled=off,twotick={level}")
}

/// Starts logging at `level`, or as `TWOTICK_LOG` says (`debug`, `info,twotick::courier=trace`).
pub(super) fn start(environment: &Environment, level: &str) {
    let wanted = environment.get("TWOTICK_LOG").map(str::to_owned);
    let (filter, wrong) = match wanted.as_deref().map(filter) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(default_filter(level)), Some(error)),
        None => (EnvFilter::new(default_filter(level)), None),
    };
    let terminal = io::stderr().is_terminal();
    let registry = tracing_subscriber::registry().with(without_numbers(filter));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let started = if terminal {
        let lines = lines.with_ansi(colour(environment, Stream::Stderr)).with_target(false);
        registry.with(lines.with_filter(Garbage::default())).try_init()
    } else {
        let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
        registry.with(lines.with_filter(Garbage::default())).try_init()
    };
    if let Err(error) = started {
        eprintln!("logging has already been started: {error}");
    }
    if let Some(error) = wrong {
        tracing::warn!("TWOTICK_LOG is not a filter such as `info` or `warn,twotick=debug`: {error}");
    }
}

/// Rejects a bare word that is not a level. `EnvFilter` would take it for a module name, and log nothing.
fn filter(wanted: &str) -> Result<EnvFilter, String> {
    let directives: Vec<&str> = wanted.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let is_bare = |part: &&&str| !part.contains(['=', '[', ':']);
    if let Some(word) = directives.iter().filter(is_bare).find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(format!("`{word}` is not a level; allowed: off, error, warn, info, debug, trace"));
    }
    EnvFilter::try_new(directives.join(",")).map_err(|error| error.to_string())
}

/// Silences the phone number parser, which logs the numbers that it parses.
fn without_numbers(filter: EnvFilter) -> EnvFilter {
    filter.add_directive("rlibphonenumber=off".parse().expect("a directive")) // a constant, parsed by a test too
}

/// Throttles the error that the web server logs for each connection that does not speak HTTP; a client can open
/// thousands. One line per minute and reason reports their number.
#[derive(Default)]
struct Garbage(Throttle<String>);

/// Prefixes of the web server's messages about client input.
const OF_CLIENTS: [&str; 3] = ["stream error", "MAX_BUFFER_SIZE", "write zero"];

impl Garbage {
    /// `None` for any other message.
    fn reason(event: &Event<'_>) -> Option<String> {
        // Longer than any of the web server's messages.
        const LONGEST: usize = 100;
        if !event.metadata().target().starts_with("actix_http") {
            return None;
        }
        let mut message = LineText::default();
        event.record(&mut message);
        let is_of_clients = OF_CLIENTS.iter().any(|begin| message.0.starts_with(begin));
        is_of_clients.then(|| message.0.chars().take(LONGEST).collect())
    }
}

impl<S: Subscriber> Filter<S> for Garbage {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let Some(reason) = Self::reason(event) else { return true };
        metrics::counter!("twotick_http_garbage_total").increment(1);
        let due = self.0.due(reason.clone(), 1, Clock::System.now());
        // Runs as a task: this line is still being written.
        if let (Some(times), Ok(runtime)) = (due, Handle::try_current()) {
            runtime.spawn(async move {
                tracing::warn!(times, reason, "closed connections that did not speak HTTP");
            });
        }
        false
    }
}

/// The message of a log event.
#[derive(Default)]
struct LineText(String);

impl Visit for LineText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Whether to use colour: only on a terminal, and never if `NO_COLOR` is set (no-color.org).
pub(super) fn colour(environment: &Environment, stream: Stream) -> bool {
    let terminal = match stream {
        Stream::Stdout => io::stdout().is_terminal(),
        Stream::Stderr => io::stderr().is_terminal(),
    };
    terminal && environment.get("NO_COLOR").is_none() && environment.get("TERM") != Some("dumb")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::{Level, enabled};
    use tracing_subscriber::layer::{Layer, SubscriberExt};
    use tracing_subscriber::{EnvFilter, fmt};

    use super::{Garbage, without_numbers};

    #[test]
    fn an_unknown_level_is_refused() {
        for good in ["info", "DEBUG ", "warn, twotick=debug", "info,twotick::courier=trace", "off"] {
            assert!(super::filter(good).is_ok(), "{good}");
        }
        for wrong in ["INF", "nonsense", "info,verbose", "twotick=loud"] {
            assert!(super::filter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_level_logs_parsed_numbers() {
        for wanted in ["trace", "rlibphonenumber=trace"] {
            let filter = without_numbers(EnvFilter::new(wanted));
            let lines = tracing_subscriber::registry().with(filter);
            tracing::subscriber::with_default(lines, || {
                assert!(!enabled!(target: "rlibphonenumber::phonenumberutil", Level::ERROR), "{wanted}");
                assert_eq!(enabled!(target: "hyper", Level::TRACE), wanted == "trace");
            });
        }
    }

    /// The log output while `act` runs.
    fn written(act: impl AsyncFnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(Garbage::default()));
        tracing::subscriber::with_default(subscriber, || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                act().await;
                tokio::task::yield_now().await;
            });
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn errors_by_clients_are_one_line_per_reason_and_others_are_logged() {
        let text = written(async || {
            for _ in 0..1_000 {
                tracing::error!(target: "actix_http::h1::dispatcher", "stream error: {}", "request parse error: Invalid Header");
                tracing::error!(target: "actix_http::h1::decoder", "MAX_BUFFER_SIZE unprocessed data reached, closing");
            }
            tracing::error!(target: "actix_http::h1::dispatcher", "Internal server error: unexpected eof");
            tracing::error!("stream error: of our own");
        });
        assert_eq!(text.lines().count(), 4, "{text}");
        for line in ["request parse error", "MAX_BUFFER_SIZE"] {
            let line = text.lines().find(|shown| shown.contains(line)).unwrap();
            assert!(
                line.contains("WARN") && line.contains("did not speak HTTP") && line.contains("times=1 "),
                "{line}"
            );
        }
        assert!(text.contains("unexpected eof") && text.contains("of our own"), "{text}");
    }
}
