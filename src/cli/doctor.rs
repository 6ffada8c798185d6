//! `twotick doctor`: checks everything that the server depends on.

use std::fmt::Write as _;
use std::io;

use serde_json::json;

use super::{Cli, ConfigPlace, Exit, print};
use crate::app::{Finding, Health, examine};
use crate::config::{Loaded, Needs, Problem};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Exits with 0 only if no check failed. An invalid configuration is a finding too, and then the only one.
pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    let place = match ConfigPlace::of(cli) {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    let findings = match place.read(Needs::Only(&[])) {
        Ok(loaded) => match check(&loaded) {
            Ok(findings) => findings,
            Err(error) => {
                eprintln!("cannot start threads: {error}");
                return Exit::Failed;
            }
        },
        Err(problems) => problems.iter().map(|problem| of_config(Health::Wrong, problem)).collect(),
    };
    let printed = print(&if args.json { as_json(&findings) } else { as_lines(&findings) });
    let is_well = findings.iter().all(|finding| finding.health != Health::Wrong);
    if is_well { printed } else { Exit::Failed }
}

fn check(loaded: &Loaded) -> io::Result<Vec<Finding>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let file =
        loaded.file.as_ref().map_or("the built-in default".to_owned(), |path| path.display().to_string());
    let mut findings = vec![Finding { what: "config".to_owned(), health: Health::Good, text: file }];
    // The server does not start without these secrets.
    findings.extend(loaded.unresolved.iter().map(|problem| of_config(Health::Wrong, problem)));
    findings.extend(loaded.warnings.iter().map(|warning| of_config(Health::Doubtful, warning)));
    findings.extend(runtime.block_on(examine(loaded)));
    Ok(findings)
}

fn of_config(health: Health, problem: &Problem) -> Finding {
    Finding { what: "config".to_owned(), health, text: problem.to_string() }
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
