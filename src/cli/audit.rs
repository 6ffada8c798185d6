//! `twotick audit verify`: checks the hash chain of the audit log.

use clap::Subcommand;

use super::{Cli, Exit, MASTER_KEY, load_config_for, print};
use crate::app;
use crate::hex;
use crate::store::sled::Chain;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check every link of the audit log. Exit code 1 if a link is broken; the first broken one is printed. The server
    /// must be stopped
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
        Ok(Chain::Broken { seq, reason }) => match print(&format!("broken at record {seq}: {reason}\n")) {
            Exit::Done => Exit::Failed,
            other => other,
        },
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}

/// Includes the last hash: only a copy of it kept elsewhere reveals that the whole log was replaced.
fn whole(records: u64, last: &[u8; 32]) -> String {
    let hash = hex::encode(last);
    match records {
        0 => "intact: the audit log is empty\n".to_owned(),
        1 => format!("intact: 1 record, last hash {hash}\n"),
        _ => format!("intact: {records} records, last hash {hash}\n"),
    }
}
