//! `twotick check ID CODE`.

use serde_json::{Value, json};

use super::client::{Api, Server, Unreachable, with_api};
use super::{Cli, Exit};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Verification id, ver_…
    id: String,
    /// The code that the person typed
    code: String,
    #[command(flatten)]
    server: Server,
}

/// Exits with 0 only if the code was accepted.
pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    with_api(cli, &args.server, async |api| check(api, args).await)
}

async fn check(api: &Api, args: &Args) -> Result<Exit, Unreachable> {
    let path = format!("/verifications/{}/check", args.id);
    let answer = api.post(&path, &json!({ "code": args.code })).await?;
    let approved = matches!(answer.json()["result"].as_str(), Some("approved" | "already_approved"));
    let printed = answer.print(&args.server, in_words);
    Ok(if approved { printed } else { Exit::Failed })
}

fn in_words(answer: &Value) -> String {
    let result = answer["result"].as_str().unwrap_or("?").replace('_', " ");
    match &answer["checks_left"] {
        Value::Number(left) if answer["result"] == "wrong_code" => format!("{result}, {left} tries left\n"),
        _ => format!("{result}\n"),
    }
}
