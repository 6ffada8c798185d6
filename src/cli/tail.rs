//! `twotick tail`: prints the events of all verifications of the app as they happen.

use std::io::{self, Write};
use std::time::Duration;

use reqwest::StatusCode;

use super::client::{Api, Server, Unreachable, with_api};
use super::follow::{Failed, Follower, News};
use super::logging::Stream;
use super::send::id_of;
use super::timeline::{Style, line};
use super::{Cli, Exit};
use crate::clock::Stopwatch;

/// Interval between polls.
const EVERY: Duration = Duration::from_millis(500);
/// A restarting server is back within seconds, one that opens a large store within minutes.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// Interval between attempts to reach a server that does not answer.
const RETRY: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    with_api(cli, &args.server, async |api| {
        tokio::select! {
            ended = follow(api, &args.server) => ended,
            _ = tokio::signal::ctrl_c() => Ok(Exit::Done),
        }
    })
}

async fn follow(api: &Api, server: &Server) -> Result<Exit, Unreachable> {
    let mut follower = match Follower::start(api).await {
        Ok(follower) => follower,
        Err(Failed::Unreachable(error)) => return Err(error),
        Err(Failed::Refused(answer)) => return Ok(answer.refuse()),
    };
    eprintln!("following all verifications of the app; press Ctrl-C to stop");
    let style = Style::of(Stream::Stdout);
    let mut away: Option<Stopwatch> = None;
    loop {
        tokio::time::sleep(if away.is_some() { RETRY } else { EVERY }).await;
        match follower.poll(api).await {
            Ok(news) => {
                if away.take().is_some() {
                    eprintln!("the server is back");
                }
                match write(&lines(&news, server, style)) {
                    Ok(()) => {}
                    // The reader has closed the pipe, as in `… | head`.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
                    Err(error) => {
                        eprintln!("cannot write to stdout: {error}");
                        return Ok(Exit::Failed);
                    }
                }
                if follower.lost() > 0 {
                    eprintln!("too many verifications: no longer following the oldest");
                }
            }
            Err(failed) => {
                let since = match &away {
                    Some(since) => since.elapsed(),
                    None => {
                        eprintln!("{}; retrying for {} s", in_words(&failed), PATIENCE.as_secs());
                        away = Some(Stopwatch::start());
                        Duration::ZERO
                    }
                };
                match failed {
                    Failed::Unreachable(error) if since > PATIENCE => return Err(error),
                    Failed::Refused(answer) if since > PATIENCE || !passes(answer.status) => {
                        return Ok(answer.refuse());
                    }
                    Failed::Unreachable(_) | Failed::Refused(_) => {}
                }
            }
        }
    }
}

/// Whether the refusal is temporary: the server is stopping or overloaded, or a proxy does not reach it.
fn passes(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn in_words(failed: &Failed) -> String {
    match failed {
        Failed::Unreachable(error) => error.to_string(),
        Failed::Refused(answer) => format!("the server answered {}", answer.status),
    }
}

fn lines(news: &[News], server: &Server, style: Style) -> String {
    let mut text = String::new();
    for News { verification, events, start } in news {
        let id = id_of(verification);
        for event in events {
            if server.json {
                let mut event = event.clone();
                // The API names the verification once per timeline; these lines come from many timelines.
                event["verification_id"] = id.as_str().into();
                text.push_str(&event.to_string());
            } else {
                text.push_str(&format!("{id} {}", line(event, *start, style)));
            }
            text.push('\n');
        }
    }
    text
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
