//! `twotick send NUMBER`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::client::{Answer, Api, Server, Unreachable, WAIT_SECONDS, with_api};
use super::{Cli, Exit, load_config, number};
use crate::clock::Stopwatch;

/// How long to wait for a change after the last step's message was sent or after a deadline. Providers normally report
/// within seconds.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The number, with + and country code, such as +4915228817386, or in the notation of console.home_country
    number: String,
    /// Profile in the configuration [default: the only one]
    #[arg(long)]
    profile: Option<String>,
    /// Language of the message, such as de
    #[arg(long)]
    locale: Option<String>,
    /// Wait until the code is delivered. Exit code 0 only if it is; 1 if it is not, or if nothing changes for a minute
    /// after the last deadline
    #[arg(long)]
    wait: bool,
    /// Wait at most this many seconds
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = clap::value_parser!(u32).range(1..=3600))]
    timeout: Option<u32>,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    let to = match number::meant(&args.number, || Ok(load_config(cli)?.config.console.home_country)) {
        Ok(Some(to)) => to.as_e164().to_owned(),
        // The API explains what is wrong with the number.
        Ok(None) => {
            eprintln!("{}", number::NOT_CLEAR);
            args.number.clone()
        }
        Err(exit) => return exit,
    };
    with_api(cli, &args.server, async |api| send(api, args, &to).await)
}

async fn send(api: &Api, args: &Args, to: &str) -> Result<Exit, Unreachable> {
    let mut request = json!({ "to": to });
    for (key, value) in [("profile", &args.profile), ("locale", &args.locale)] {
        if let Some(value) = value {
            request[key] = json!(value);
        }
    }
    let mut answer = api.post("/verifications", &request).await?;
    if !args.wait || !answer.status.is_success() {
        return Ok(answer.print(&args.server, summary));
    }
    answer = settled(api, answer, args.timeout.map(|seconds| Duration::from_secs(seconds.into()))).await?;
    let printed = answer.print(&args.server, summary);
    Ok(if Delivery::of(&answer.json()) == Delivery::Delivered { printed } else { Exit::Failed })
}

/// Result of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    Delivered,
    UnderWay,
    /// Failed, or ended before delivery.
    NotDelivered,
}

impl Delivery {
    fn of(verification: &Value) -> Self {
        let state = verification["delivery"]["state"].as_str().unwrap_or_default();
        match (state, verification["status"].as_str().unwrap_or_default()) {
            // The right code proves delivery, whatever the provider reports.
            ("delivered" | "read", _) | (_, "approved") => Self::Delivered,
            ("undelivered", _) => Self::NotDelivered,
            (_, "pending") => Self::UnderWay,
            _ => Self::NotDelivered,
        }
    }
}

/// Follows the verification until it is delivered, has failed, or no change is to be expected. Prints progress to
/// stderr.
async fn settled(api: &Api, answer: Answer, longest: Option<Duration>) -> Result<Answer, Unreachable> {
    let path = format!("/verifications/{}", id_of(&answer.json()));
    let whole = Stopwatch::start();
    let mut shown = String::new();
    let mut silent = BTreeSet::new();
    let mut latest = api.get(&path).await?;
    let mut changed = Stopwatch::start();
    loop {
        if !latest.status.is_success() {
            return Ok(latest);
        }
        let verification = latest.json();
        let line = delivery(&verification);
        if line != shown {
            eprintln!("{line}");
            shown = line;
        }
        for channel in unheard(&verification, Last::HasTime) {
            if silent.insert(channel.clone()) {
                eprintln!("{}", no_webhook(&channel));
            }
        }
        let (Some(etag), Delivery::UnderWay) = (latest.etag.clone(), Delivery::of(&verification)) else {
            return Ok(latest);
        };
        let left = (until_next_step(&verification) + PATIENCE).saturating_sub(changed.elapsed());
        let left = longest.map_or(left, |longest| left.min(longest.saturating_sub(whole.elapsed())));
        if left.is_zero() {
            for channel in unheard(&verification, Last::IsOver) {
                if silent.insert(channel.clone()) {
                    eprintln!("{}", no_webhook(&channel));
                }
            }
            eprintln!("stopped waiting after {} s: not delivered yet", whole.elapsed().as_secs());
            return Ok(latest);
        }
        let seconds = u32::try_from(left.as_secs()).unwrap_or(WAIT_SECONDS).clamp(1, WAIT_SECONDS);
        let next = api.get_changed(&path, &etag, seconds).await?;
        if next.status != StatusCode::NOT_MODIFIED {
            latest = next;
            changed = Stopwatch::start();
        }
    }
}

/// Time from the last message to the next step; zero if there is no next step.
fn until_next_step(verification: &Value) -> Duration {
    let at = |value: &Value| value.as_str()?.parse::<jiff::Timestamp>().ok();
    let queued = messages(verification).iter().filter_map(|message| at(&message["queued_at"])).max();
    let next = at(&verification["delivery"]["fallback_at"]);
    let between = queued.zip(next).map(|(queued, next)| next.duration_since(queued));
    between.and_then(|between| Duration::try_from(between).ok()).unwrap_or_default()
}

/// Whether the last message's time has passed too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    HasTime,
    IsOver,
}

/// Channels that accepted a message whose time has passed, and sent no webhook.
fn unheard(verification: &Value, last: Last) -> BTreeSet<String> {
    let messages = messages(verification);
    let over = match last {
        Last::HasTime => messages.len().saturating_sub(1),
        Last::IsOver => messages.len(),
    };
    let unheard = messages[..over].iter().filter(|message| message["state"] == "accepted");
    unheard.filter_map(|message| message["channel"].as_str().map(str::to_owned)).collect()
}

fn messages(verification: &Value) -> &[Value] {
    verification["messages"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn no_webhook(channel: &str) -> String {
    format!(
        "{channel} accepted the message, but no webhook came within its deadline. Check:\n  \
         - the secret: app_secrets (Meta: App settings, Basic) or report_secret of [channels.{channel}] must be the \
         provider's\n  \
         - the URL: the provider must call server.public_url + /webhooks/{channel}, reachable from outside\n  \
         - the subscription: at Meta the webhook field `messages` must be subscribed\n  \
         `twotick doctor` on the server's machine shows its alarms, such as wrong signatures"
    )
}

pub(super) fn id_of(verification: &Value) -> String {
    verification["id"].as_str().unwrap_or_default().to_owned()
}

/// `ver_…  +12025550100  pending, sent by whatsapp, valid until …`
pub(super) fn summary(verification: &Value) -> String {
    let word = |key: &str| verification[key].as_str().unwrap_or("?").to_owned();
    let mut line = format!("{}  {}  {}, {}", word("id"), word("to"), word("status"), delivery(verification));
    if verification["status"] == "pending" {
        // Writing to a String cannot fail.
        let _ = write!(line, ", valid until {}", word("expires_at"));
    }
    line + "\n"
}

/// `sent by whatsapp`
pub(super) fn delivery(verification: &Value) -> String {
    let delivery = &verification["delivery"];
    let state = delivery["state"].as_str().unwrap_or("?").replace('_', " ");
    let by = delivery["delivered_by"].as_str().or(delivery["channel"].as_str());
    match by {
        Some(channel) if state != "undelivered" => format!("{state} by {channel}"),
        Some(_) | None => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_delivered_and_approved_count_as_delivered() {
        let states =
            ["queued", "sending", "accepted", "sent", "in_doubt", "delivered", "read", "undelivered"];
        for status in ["pending", "approved", "expired", "canceled", "exhausted"] {
            for state in states {
                let verification = json!({ "status": status, "delivery": { "state": state } });
                let expected = match (state, status) {
                    ("delivered" | "read", _) | (_, "approved") => Delivery::Delivered,
                    ("queued" | "sending" | "accepted" | "sent" | "in_doubt", "pending") => {
                        Delivery::UnderWay
                    }
                    _ => Delivery::NotDelivered,
                };
                assert_eq!(Delivery::of(&verification), expected, "{status} {state}");
            }
        }
    }

    #[test]
    fn a_channel_is_silent_once_its_time_is_over() {
        let message = |channel: &str, state: &str| json!({ "channel": channel, "state": state });
        let verification = |messages: &[Value]| json!({ "messages": messages });
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let one = verification(&[message("whatsapp", "accepted")]);
        assert_eq!(unheard(&one, Last::HasTime), names(&[]));
        assert_eq!(unheard(&one, Last::IsOver), names(&["whatsapp"]));
        let two = verification(&[message("whatsapp", "accepted"), message("sms", "accepted")]);
        assert_eq!(unheard(&two, Last::HasTime), names(&["whatsapp"]));
        assert_eq!(unheard(&two, Last::IsOver), names(&["sms", "whatsapp"]));
        // `sent` comes from a webhook, so webhooks arrive.
        let heard = verification(&[message("whatsapp", "sent"), message("sms", "failed")]);
        assert_eq!(unheard(&heard, Last::IsOver), names(&[]));
        assert_eq!(unheard(&json!({}), Last::HasTime), names(&[]));
    }

    #[test]
    fn the_wait_reaches_past_the_next_step() {
        let verification = json!({
            "messages": [{ "queued_at": "2026-11-30T10:00:00.000Z" }],
            "delivery": { "fallback_at": "2026-11-30T10:00:30.000Z" },
        });
        assert_eq!(until_next_step(&verification), Duration::from_secs(30));
        assert_eq!(until_next_step(&json!({ "delivery": { "fallback_at": null } })), Duration::ZERO);
    }
}
