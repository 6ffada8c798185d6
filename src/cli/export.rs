//! `twotick export` and `twotick import`: the whole store as lines of JSON.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::input::Input;
use super::{Cli, Exit, MASTER_KEY, load_config_for, print};
use crate::app::{self, KeyLoss};
use crate::store::sled::Way;

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The file to write; without it the lines go to stdout
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// What `twotick export` wrote, also packed with zstd
    file: PathBuf,
    /// Go on although keys that sealed something are gone; what they sealed stays unreadable
    #[arg(long)]
    accept_lost_keys: bool,
}

pub(super) fn export(cli: &Cli, args: &ExportArgs) -> Exit {
    let loaded = match load_config_for(cli, &[MASTER_KEY]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let bar = bar();
    let mut progress = |way: Way| show(&bar, way);
    let done = match &args.file {
        Some(path) => whole(path, |out| {
            app::export(&loaded.config, out, &mut progress).map_err(|error| error.to_string())
        }),
        None => {
            let mut out = BufWriter::new(io::stdout());
            app::export(&loaded.config, &mut out, &mut progress).map_err(|error| error.to_string())
        }
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

pub(super) fn import(cli: &Cli, args: &ImportArgs) -> Exit {
    let loaded = match load_config_for(cli, &[MASTER_KEY]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let file = match Input::open(&args.file, "import", Input::is_export) {
        Ok(file) => file,
        Err(exit) => return exit,
    };
    let key_loss = if args.accept_lost_keys { KeyLoss::Accepted } else { KeyLoss::Refused };
    let bar = bar();
    let done = app::import(&loaded.config, &file.as_export(&|| file.unpacked()), key_loss, &mut |way| {
        show(&bar, way)
    });
    bar.finish_and_clear();
    match done {
        Ok(done) => print(&format!(
            "imported; verifications: {}, inbound messages: {}, audit entries: {}; \
             were pending and are now expired: {}, canceled: {}; nothing is sent\n",
            done.verifications, done.inbound, done.audit, done.expired, done.canceled
        )),
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}

/// The file is there only when all of it is durable, and only for its owner.
pub(super) fn whole<T>(
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

/// Of the time that the store covers, or of the lines. Hidden where stderr is no terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {elapsed}");
    ProgressBar::new(1_000).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, way: Way) {
    bar.set_position(u64::from(way.thousandths));
    bar.set_message(format!("{} verifications", way.verifications));
}
