//! `twotick audit verify`: whether the log of what the staff did is as it was written.

use clap::Subcommand;

use super::{Cli, Exit, MASTER_KEY, load_config_for, print};
use crate::app;
use crate::hex;
use crate::store::sled::Chain;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check every link of the audit log; exit code 1 names the first that is broken. The server must be stopped
    Verify,
}

pub(super) fn run(cli: &Cli, command: &Command) -> Exit {
    match command {
        Command::Verify => verify(cli),
    }
}

fn verify(cli: &Cli) -> Exit {
    let loaded = match load_config_for(cli, &[MASTER_KEY]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    match app::verify_audit(&loaded.config) {
        Ok(Chain::Whole { records, last }) => print(&whole(records, &last)),
        Ok(Chain::Broken { seq, reason }) => match print(&format!("broken at number {seq}: {reason}\n")) {
            Exit::Done => Exit::Failed,
            other => other,
        },
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}

/// With the last hash, because only who noted it elsewhere sees that the whole log was replaced.
fn whole(records: u64, last: &[u8; 32]) -> String {
    let hash = hex::encode(last);
    match records {
        0 => "whole: the audit log is empty\n".to_owned(),
        1 => format!("whole: 1 record, last hash {hash}\n"),
        _ => format!("whole: {records} records, last hash {hash}\n"),
    }
}
