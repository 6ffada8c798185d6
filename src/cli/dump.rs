//! `twotick export` and `backup`, `import` and `restore`: the whole store as lines, plain or compressed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::input::Input;
use super::{Cli, Exit, MASTER_KEY, load_config_for, print, verify};
use crate::app::{self, KeyLoss};
use crate::store::dump::DumpProgress;

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The file to write; without it the lines go to stdout
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// The file to write
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// What `twotick backup` or `twotick export` wrote
    file: PathBuf,
    /// Go on although keys that sealed something are gone; what they sealed stays unreadable
    #[arg(long)]
    accept_lost_keys: bool,
}

/// Both commands that read a dump do the same.
pub(super) struct Words {
    command: &'static str,
    done: &'static str,
}

pub(super) const IMPORT: Words = Words { command: "import", done: "imported" };
pub(super) const RESTORE: Words = Words { command: "restore", done: "restored" };

/// Fast, and half the size: sealed data do not get smaller.
const LEVEL: i32 = 3;

pub(super) fn export(cli: &Cli, args: &ExportArgs) -> Exit {
    let loaded = match load_config_for(cli, &[MASTER_KEY]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let bar = bar();
    let dump = |out: &mut (dyn Write + Send)| {
        app::dump(&loaded.config, out, &mut |at| show(&bar, at)).map_err(|error| error.to_string())
    };
    let done = match &args.file {
        Some(path) => whole(path, dump),
        None => dump(&mut BufWriter::new(io::stdout())),
    };
    bar.finish_and_clear();
    match done {
        Ok(done) => {
            // Beside the lines, which may be on stdout.
            eprintln!(
                "exported; verifications: {}, inbound messages: {}, audit entries: {}",
                done.verifications, done.inbound, done.audit
            );
            Exit::Done
        }
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}

pub(super) fn backup(cli: &Cli, args: &BackupArgs) -> Exit {
    let loaded = match load_config_for(cli, &[MASTER_KEY]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let bar = bar();
    let done = whole(&args.file, |out| {
        let mut packed = zstd::Encoder::new(out, LEVEL).map_err(|error| error.to_string())?;
        packed.include_checksum(true).map_err(|error| error.to_string())?;
        app::dump(&loaded.config, &mut packed, &mut |at| show(&bar, at))
            .map_err(|error| error.to_string())?;
        packed.finish().map(drop).map_err(|error| error.to_string())
    });
    // What stands in the file is read again, not what was written to it.
    let checked = done.and_then(|()| {
        let file = Input::read(&args.file).map_err(|error| error.to_string())?;
        verify::file(&file).map_err(|error| error.to_string())
    });
    bar.finish_and_clear();
    match checked {
        Ok(text) => print(&format!("backed up and verified; {text}\n")),
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}

pub(super) fn import(cli: &Cli, args: &ImportArgs, words: &Words) -> Exit {
    let loaded = match load_config_for(cli, &[MASTER_KEY]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let file = match Input::open(&args.file, words.command) {
        Ok(file) => file,
        Err(exit) => return exit,
    };
    let key_loss = if args.accept_lost_keys { KeyLoss::Accepted } else { KeyLoss::Refused };
    let bar = bar();
    let open = || file.unpacked();
    let done = app::import(&loaded.config, &file.as_dump(&open), key_loss, &mut |at| show(&bar, at));
    bar.finish_and_clear();
    match done {
        Ok(done) => print(&format!(
            "{}; verifications: {}, inbound messages: {}, audit entries: {}; \
             were pending and are now expired: {}, canceled: {}; nothing is sent\n",
            words.done, done.verifications, done.inbound, done.audit, done.expired, done.canceled
        )),
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}

/// The file is there only when all of it is durable, and only for its owner.
fn whole<T>(
    path: &Path,
    work: impl FnOnce(&mut (dyn Write + Send)) -> Result<T, String>,
) -> Result<T, String> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let unwritable = |error: io::Error| format!("{} cannot be written: {error}", path.display());
    // What is renamed to its name would take a device's or a folder's place.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(format!("{} is there and no regular file; name a new one", path.display()));
    }
    let mut options = File::options();
    let file =
        options.write(true).create(true).truncate(true).mode(0o600).open(&beside).map_err(unwritable)?;
    let mut out = BufWriter::new(&file);
    let done = work(&mut out).and_then(|done| out.flush().map(|()| done).map_err(unwritable));
    drop(out);
    let kept = done.and_then(|done| {
        file.sync_all().map_err(unwritable)?;
        fs::rename(&beside, path).map(|()| done).map_err(unwritable)
    });
    if kept.is_err() {
        let _ = fs::remove_file(&beside);
    }
    kept
}

/// Hidden where stderr is no terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {elapsed}");
    ProgressBar::new(1_000).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, at: DumpProgress) {
    bar.set_position(u64::from(at.thousandths));
    bar.set_message(format!("{} verifications", at.verifications));
}
