//! `twotick tail`: what happens to all verifications of the app, as it happens.

use std::io::{self, Write};
use std::time::Duration;

use reqwest::StatusCode;

use super::client::{Api, Server, Unreachable, with_api};
use super::follow::{Failed, Follower, News};
use super::logging::Stream;
use super::send::id_of;
use super::timeline::{Look, line};
use super::{Cli, Exit};
use crate::clock::Stopwatch;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// A server that restarts is back within seconds, one that opens a large store within minutes.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// Between two tries to reach a server that is away.
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
    eprintln!("following all verifications of the app; ctrl-c ends it");
    let look = Look::of(Stream::Stdout);
    let mut away: Option<Stopwatch> = None;
    loop {
        tokio::time::sleep(if away.is_some() { RETRY } else { EVERY }).await;
        match follower.look(api).await {
            Ok(news) => {
                if away.take().is_some() {
                    eprintln!("the server answers again");
                }
                match write(&lines(&news, server, look)) {
                    Ok(()) => {}
                    // Whoever read it has gone, as in `… | head`.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
                    Err(error) => {
                        eprintln!("cannot write to stdout: {error}");
                        return Ok(Exit::Failed);
                    }
                }
                if follower.lost() > 0 {
                    eprintln!("too many verifications: the oldest are no longer followed");
                }
            }
            Err(failed) => {
                let since = match &away {
                    Some(since) => since.elapsed(),
                    None => {
                        eprintln!("{}; trying again for {} s", told(&failed), PATIENCE.as_secs());
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

/// Whether a refusal passes by itself: a server that stops, has too much to do, or stands behind a proxy that waits
/// for it.
fn passes(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn told(failed: &Failed) -> String {
    match failed {
        Failed::Unreachable(error) => error.to_string(),
        Failed::Refused(answer) => format!("the server answers {}", answer.status),
    }
}

fn lines(news: &[News], server: &Server, look: Look) -> String {
    let mut text = String::new();
    for News { verification, events, start } in news {
        let id = id_of(verification);
        for event in events {
            if server.json {
                let mut event = event.clone();
                // The API says it once for a whole timeline; here lines of many timelines are mixed.
                event["verification_id"] = id.as_str().into();
                text.push_str(&event.to_string());
            } else {
                text.push_str(&format!("{id} {}", line(event, *start, look)));
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
