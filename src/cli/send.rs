//! `twotick send NUMBER`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::client::{Answer, Api, Server, Unreachable, with_api};
use super::{Cli, Exit, load_config, number};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// With + and country code, such as +4915228817386, or as it is written in console.home_country
    number: String,
    /// The profile of the configuration [default: the only one]
    #[arg(long)]
    profile: Option<String>,
    /// The language of the message, such as de
    #[arg(long)]
    locale: Option<String>,
    /// Wait until it is delivered, or everything failed
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    let to = match number::meant(&args.number, || Ok(load_config(cli)?.config.console.home_country)) {
        Ok(Some(to)) => to.as_e164().to_owned(),
        // The API says what is wrong with it.
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
    if args.wait && answer.status.is_success() {
        answer = settled(api, answer).await?;
    }
    Ok(answer.print(&args.server, summary))
}

/// Follows the verification until its delivery is settled; how it goes is told on stderr.
async fn settled(api: &Api, answer: Answer) -> Result<Answer, Unreachable> {
    let path = format!("/verifications/{}", id_of(&answer.json()));
    let mut told = String::new();
    let mut latest = api.get(&path).await?;
    loop {
        let verification = latest.json();
        let line = delivery(&verification);
        if line != told {
            eprintln!("{line}");
            told = line;
        }
        let state = verification["delivery"]["state"].as_str().unwrap_or_default();
        let ended = verification["status"] != "pending";
        let Some(etag) = latest.etag.clone() else { return Ok(latest) };
        if ended || matches!(state, "delivered" | "read" | "undelivered") {
            return Ok(latest);
        }
        let changed = api.get_changed(&path, &etag).await?;
        if changed.status.is_success() {
            latest = changed;
        } else if changed.status != reqwest::StatusCode::NOT_MODIFIED {
            return Ok(changed);
        }
    }
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
