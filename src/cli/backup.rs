//! `twotick backup`, `restore` and `verify`: a copy of the store, also of one that runs, and whether it is whole.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::export::whole;
use super::{Cli, Exit, load_config, print};
use crate::app::{self, OfflineError};
use crate::store::sled::{Verified, checked_export, verify_backup};

#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// The file to write
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// What `twotick backup` wrote
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// A backup or an export; without it the store, whose server must be stopped
    file: Option<PathBuf>,
}

/// Quick, and half as large as the rows: what is sealed does not get smaller.
const LEVEL: i32 = 3;
/// What every zstd file begins with (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

pub(super) fn backup(cli: &Cli, args: &BackupArgs) -> Exit {
    let loaded = match load_config(cli) {
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
    let done = done.and_then(|_| open(&args.file).and_then(verify_backup).map_err(|error| error.to_string()));
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
    let loaded = match load_config(cli) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let bar = bar();
    let done = app::restore(&loaded.config, || open(&args.file), &mut |done, all| {
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

pub(super) fn verify(cli: &Cli, args: &VerifyArgs) -> Exit {
    let found = match &args.file {
        Some(file) => of_file(file),
        None => match load_config(cli) {
            Ok(loaded) => of_store(&loaded.config).map_err(|error| error.to_string()),
            Err(exit) => return exit,
        },
    };
    match found {
        Ok(text) => print(&format!("whole; {text}\n")),
        Err(error) => match print(&format!("not whole: {error}\n")) {
            Exit::Done => Exit::Failed,
            other => other,
        },
    }
}

fn of_store(config: &crate::config::Config) -> Result<String, OfflineError> {
    let bar = spinner();
    let found = app::verify(config, &mut |done| bar.set_message(format!("{done} verifications")));
    bar.finish_and_clear();
    found.map(|verified| in_words(&verified))
}

fn of_file(file: &Path) -> Result<String, String> {
    let mut first = [0; 4];
    let unreadable = |error: io::Error| format!("{}: {error}", file.display());
    File::open(file).and_then(|mut file| file.read_exact(&mut first)).map_err(unreadable)?;
    if first == ZSTD {
        open(file).and_then(verify_backup).map(|verified| in_words(&verified)).map_err(unreadable)
    } else {
        checked_export(file)
            .map(|lines| format!("an export; lines: {lines}"))
            .map_err(|error| error.to_string())
    }
}

fn open(file: &Path) -> io::Result<impl Read + use<>> {
    Ok(BufReader::new(zstd::Decoder::new(File::open(file)?)?))
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
