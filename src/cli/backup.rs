//! `twotick backup`, `restore` and `verify`: a copy of the store, also of one that runs, and whether it is whole.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use super::export::whole;
use super::input::Input;
use super::{Cli, Exit, MASTER_KEY, load_config_for, print};
use crate::app::{self, KeyLoss, OfflineError};
use crate::config::Config;
use crate::store::sled::{OpenError, Verified, checked_export, verify_backup};
use crate::vault::KeysError;

#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// The file to write
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// What `twotick backup` wrote
    file: PathBuf,
    /// Go on although keys that sealed something are gone; what they sealed stays unreadable
    #[arg(long)]
    accept_lost_keys: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// A backup or an export; without it the store, whose server must be stopped
    file: Option<PathBuf>,
}

/// Quick, and half as large as the rows: what is sealed does not get smaller.
const LEVEL: i32 = 3;

pub(super) fn backup(cli: &Cli, args: &BackupArgs) -> Exit {
    let loaded = match load_config_for(cli, &[MASTER_KEY]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let bar = spinner();
    let done = whole(&args.file, |out| {
        let mut packed = zstd::Encoder::new(out, LEVEL).map_err(|error| error.to_string())?;
        packed.include_checksum(true).map_err(|error| error.to_string())?;
        let shown = |bytes| bar.set_message(format!("{} MB", bytes / 1_000_000));
        let bytes =
            app::backup(&loaded.config, &mut packed, &mut { shown }).map_err(|error| error.to_string())?;
        packed.finish().map_err(|error| error.to_string())?;
        Ok(bytes)
    });
    // Also what a server that stopped half-way left is found out here.
    let written = |_| Input::read(&args.file).and_then(|file| file.unpacked()).and_then(verify_backup);
    let done = done.and_then(|bytes| written(bytes).map_err(|error| error.to_string()));
    bar.finish_and_clear();
    match done {
        Ok(verified) => print(&format!("backed up and verified; {}\n", in_words(&verified))),
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}

pub(super) fn restore(cli: &Cli, args: &RestoreArgs) -> Exit {
    let loaded = match load_config_for(cli, &[MASTER_KEY]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let file = match Input::open(&args.file, "restore", Input::is_backup) {
        Ok(file) => file,
        Err(exit) => return exit,
    };
    let key_loss = if args.accept_lost_keys { KeyLoss::Accepted } else { KeyLoss::Refused };
    let bar = bar();
    let done = app::restore(&loaded.config, &|| file.unpacked(), key_loss, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    match done {
        Ok(done) => print(&format!(
            "restored; verifications: {}, inbound messages: {}, audit entries: {}; \
             were pending and are now expired: {}, canceled: {}; nothing is sent\n",
            done.verifications, done.inbound, done.audit, done.expired, done.canceled
        )),
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}

/// What was looked at and is not as it was written, or could not be looked at.
enum Unverified {
    NotWhole(String),
    NotLookedAt(String),
}

pub(super) fn verify(cli: &Cli, args: &VerifyArgs) -> Exit {
    let found = match &args.file {
        Some(file) => {
            match Input::open(file, "verify", |input| Input::is_backup(input) || Input::is_export(input)) {
                Ok(input) => of_file(&input),
                Err(exit) => return exit,
            }
        }
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

fn of_store(config: &Config) -> Result<String, Unverified> {
    let bar = spinner();
    let found = app::verify(config, &mut |done| bar.set_message(format!("{done} verifications")));
    bar.finish_and_clear();
    found.map(|verified| in_words(&verified)).map_err(|error| match error {
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
        | OfflineError::Threads(_)
        | OfflineError::LostKeys { .. } => Unverified::NotLookedAt(error.to_string()),
    })
}

fn of_file(file: &Input) -> Result<String, Unverified> {
    let found = if file.is_backup() {
        let read = file.unpacked().and_then(verify_backup);
        read.map(|verified| in_words(&verified))
            .map_err(|error| format!("{}: {error}", file.name().display()))
    } else {
        checked_export(&file.as_export(&|| file.unpacked()))
            .map(|lines| format!("an export; lines: {lines}"))
            .map_err(|error| error.to_string())
    };
    found.map_err(Unverified::NotWhole)
}

fn in_words(verified: &Verified) -> String {
    let of = verified.at.map_or_else(String::new, |at| format!("a backup of {at}; "));
    let known = if verified.at.is_some() {
        String::new()
    } else {
        format!(", verifications: {}", verified.verifications)
    };
    format!("{of}rows: {}{known}, audit entries: {}", verified.rows, verified.audit)
}

/// Hidden where stderr is no terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {pos} of {len} rows  {elapsed}");
    ProgressBar::new(1).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner}  {msg}  {elapsed}");
    let bar = ProgressBar::new_spinner();
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
