//! `twotick tail`: what happens to all verifications of the app, as it happens.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::client::{Answer, Api, Server, Unreachable, with_api};
use super::logging::Stream;
use super::send::id_of;
use super::timeline::{Look, events_of, line};
use super::{Cli, Exit, print};

/// Between two looks at the list.
const EVERY: Duration = Duration::from_millis(500);
/// The newest verifications that are followed: the most that one page of the API holds.
const FOLLOWED: usize = 100;

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
    let mut seen = Seen::default();
    let first = newest(api).await?;
    if !first.status.is_success() {
        return Ok(first.refuse());
    }
    seen.remember(&first.json());
    eprintln!("following the {FOLLOWED} newest verifications; ctrl-c ends it");
    loop {
        tokio::time::sleep(EVERY).await;
        let list = newest(api).await?;
        if !list.status.is_success() {
            return Ok(list.refuse());
        }
        let list = list.json();
        for (verification, known) in seen.changed(&list) {
            let exit = show(api, server, &verification, known).await?;
            if exit != Exit::Done {
                return Ok(exit);
            }
        }
        seen.remember(&list);
    }
}

async fn newest(api: &Api) -> Result<Answer, Unreachable> {
    api.get(&format!("/verifications?limit={FOLLOWED}")).await
}

/// Prints the events after the first `known`.
async fn show(api: &Api, server: &Server, verification: &Value, known: u64) -> Result<Exit, Unreachable> {
    let id = id_of(verification);
    let answer = api.get(&format!("/verifications/{id}/timeline")).await?;
    if !answer.status.is_success() {
        return Ok(answer.refuse());
    }
    let timeline = answer.json();
    let events = events_of(&timeline);
    let start = events.first().and_then(super::timeline::instant);
    let look = Look::of(Stream::Stdout);
    let mut text = String::new();
    for event in events.iter().filter(|event| event["seq"].as_u64().unwrap_or_default() > known) {
        if server.json {
            let mut event = event.clone();
            // The API says it once for a whole timeline; here lines of many timelines are mixed.
            event["verification_id"] = Value::from(id.as_str());
            text.push_str(&event.to_string());
        } else {
            text.push_str(&format!("{id} {}", line(event, start, look)));
        }
        text.push('\n');
    }
    Ok(print(&text))
}

/// The version of each verification whose events were shown.
#[derive(Default)]
struct Seen(HashMap<String, u64>);

impl Seen {
    /// Exactly those of `list`, so that it does not grow.
    fn remember(&mut self, list: &Value) {
        self.0 = items(list).iter().map(|item| (id_of(item), version(item))).collect();
    }

    /// Oldest first, with the version that was known.
    fn changed(&self, list: &Value) -> Vec<(Value, u64)> {
        let known = |item: &Value| self.0.get(&id_of(item)).copied().unwrap_or_default();
        let changed = items(list).iter().rev().filter(|item| version(item) > known(item));
        changed.map(|item| (item.clone(), known(item))).collect()
    }
}

fn items(list: &Value) -> &[Value] {
    list["data"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn version(verification: &Value) -> u64 {
    verification["version"].as_u64().unwrap_or_default()
}
