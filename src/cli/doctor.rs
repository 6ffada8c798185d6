//! `twotick doctor`: whether everything that a server needs is there and answers.

use std::fmt::Write as _;

use serde_json::json;

use super::{Cli, Exit, load_config, print};
use crate::app::{Finding, Health, examine};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Done only when nothing is wrong. A configuration that is wrong ends as everywhere else, with its problems.
pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    let loaded = match load_config(cli) {
        Ok(loaded) => loaded,
        // Also that is something wrong, and the exit code of this command says only that.
        Err(_) => return Exit::Failed,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no threads can be started: {error}");
            return Exit::Failed;
        }
    };
    let warnings = loaded.warnings.iter().map(|warning| Finding {
        what: "config".to_owned(),
        health: Health::Doubtful,
        text: warning.to_string(),
    });
    let file =
        loaded.file.as_ref().map_or("the built-in default".to_owned(), |path| path.display().to_string());
    let read = Finding { what: "config".to_owned(), health: Health::Good, text: file };
    let mut findings = vec![read];
    findings.extend(warnings);
    findings.extend(runtime.block_on(examine(&loaded.config)));
    let printed = print(&if args.json { as_json(&findings) } else { as_lines(&findings) });
    let is_well = findings.iter().all(|finding| finding.health != Health::Wrong);
    if is_well { printed } else { Exit::Failed }
}

fn as_lines(findings: &[Finding]) -> String {
    let mut out = String::new();
    for Finding { what, health, text } in findings {
        let mark = match health {
            Health::Good => "ok   ",
            Health::Doubtful => "look ",
            Health::Wrong => "wrong",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{mark}  {what}: {text}");
    }
    out
}

fn as_json(findings: &[Finding]) -> String {
    let is_well = findings.iter().all(|finding| finding.health != Health::Wrong);
    format!("{:#}\n", json!({ "well": is_well, "findings": findings }))
}
