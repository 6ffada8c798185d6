//! `twotick verify`: whether a store, a backup or an export is whole.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use super::input::Input;
use super::{Cli, Exit, MASTER_KEY, load_config_for, print};
use crate::app::{self, OfflineError};
use crate::config::Config;
use crate::store::dump::Unreadable;
use crate::store::sled::OpenError;
use crate::vault::KeysError;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A backup or an export; without it the store, whose server must be stopped
    file: Option<PathBuf>,
}

/// What was looked at and is not as it was written, or could not be looked at.
enum Unverified {
    NotWhole(String),
    NotLookedAt(String),
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    let found = match &args.file {
        Some(path) => match Input::open(path, "verify") {
            Ok(input) => file(&input).map_err(|error| Unverified::NotWhole(error.to_string())),
            Err(exit) => return exit,
        },
        None => match load_config_for(cli, &[MASTER_KEY]) {
            Ok(loaded) => of_store(&loaded.config),
            Err(exit) => return exit,
        },
    };
    match found {
        Ok(text) => print(&format!("whole; {text}\n")),
        Err(Unverified::NotWhole(reason)) => match print(&format!("not whole: {reason}\n")) {
            Exit::Done => Exit::Failed,
            other => other,
        },
        Err(Unverified::NotLookedAt(reason)) => {
            eprintln!("{reason}");
            Exit::Failed
        }
    }
}

/// Checks a dump, and says what is in it.
pub(super) fn file(input: &Input) -> Result<String, Unreadable> {
    let checked = input.as_dump(&|| input.unpacked()).check(&mut |_| {})?;
    let counts = checked.ending.counts;
    Ok(format!(
        "{} of {}; lines: {}, verifications: {}, inbound messages: {}, audit entries: {}",
        input.noun(),
        checked.heading.at,
        checked.lines(),
        counts.verifications,
        counts.inbound,
        counts.audit
    ))
}

fn of_store(config: &Config) -> Result<String, Unverified> {
    let style = ProgressStyle::with_template("{spinner}  {msg}  {elapsed}");
    let bar =
        ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let found = app::verify(config, &mut |done| bar.set_message(format!("{done} verifications")));
    bar.finish_and_clear();
    let in_words = |found: crate::store::sled::Verified| {
        format!(
            "rows: {}, verifications: {}, audit entries: {}",
            found.rows, found.verifications, found.audit
        )
    };
    found.map(in_words).map_err(|error| match error {
        OfflineError::Keys(KeysError::Damaged { .. })
        | OfflineError::Store(
            OpenError::Damaged { .. }
            | OpenError::Input { .. }
            | OpenError::Unindexed { .. }
            | OpenError::HalfImported { .. },
        ) => Unverified::NotWhole(error.to_string()),
        OfflineError::Keys(_)
        | OfflineError::Store(_)
        | OfflineError::Folder(_)
        | OfflineError::Key(_)
        | OfflineError::Erase(_)
        | OfflineError::Work(_)
        | OfflineError::Ask(_)
        | OfflineError::Dump(_)
        | OfflineError::NotWhole(_)
        | OfflineError::Threads(_)
        | OfflineError::LostKeys { .. } => Unverified::NotLookedAt(error.to_string()),
    })
}
