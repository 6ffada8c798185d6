//! `twotick status ID`.

use std::fmt::Write as _;

use serde_json::Value;

use super::client::{Server, with_api};
use super::send::summary;
use super::{Cli, Exit};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Verification id, ver_…
    id: String,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    with_api(cli, &args.server, async |api| {
        let answer = api.get(&format!("/verifications/{}", args.id)).await?;
        Ok(answer.print(&args.server, in_words))
    })
}

fn in_words(verification: &Value) -> String {
    let mut text = summary(verification);
    for message in verification["messages"].as_array().into_iter().flatten() {
        let word = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
        let late = if message["late"] == true { ", late" } else { "" };
        let error = match &message["error"] {
            Value::Object(error) => {
                let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                format!("  {} {}", part("code"), part("title"))
            }
            _ => String::new(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}  {:9} {}{late}{error}", word("id"), word("channel"), word("state"));
    }
    text
}
