//! `twotick erase NUMBER`: forgets everything of a number.

use super::{Cli, Exit, MASTER_KEY, load_config_for, print};
use crate::app::{self, Unreadable};
use crate::phone::Phone;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// E.164, such as +4915228817386
    number: String,
    /// Destroy what of the keys is of this number, so that nobody can read it any more in any file or backup; without
    /// it that comes with the retention of its days
    #[arg(long)]
    now: bool,
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    let loaded = match load_config_for(cli, &[MASTER_KEY]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let phone = match Phone::parse(&args.number) {
        Ok(phone) => phone,
        Err(error) => {
            eprintln!("{error}");
            return Exit::Usage;
        }
    };
    let unreadable = if args.now { Unreadable::Now } else { Unreadable::InTime };
    match app::erase_number(&loaded.config, &phone, unreadable) {
        Ok(erased) => print(&match unreadable {
            Unreadable::Now => {
                format!("erased; records: {}, days of keys: {}\n", erased.records, erased.days)
            }
            Unreadable::InTime => {
                format!(
                    "erased; records: {}; unreadable once the keys of their days are gone\n",
                    erased.records
                )
            }
        }),
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}
