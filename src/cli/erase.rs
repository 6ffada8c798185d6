//! `twotick erase NUMBER`: forgets everything of the person who has this number.

use super::{Cli, Exit, MASTER_KEY, load_config_for, number, print};
use crate::app::{self, Unreadable};
use crate::phone::Phone;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// With + and country code, such as +4915228817386, or as it is written in console.home_country
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
    let meant = number::meant(&args.number, || Ok(loaded.config.console.home_country));
    // WhatsApp's number for a person belongs to them although the tables of numbers may refuse it.
    let with_plus = args.number.starts_with('+').then_some(args.number.as_str());
    let phone = match meant.map(|phone| phone.or_else(|| with_plus.and_then(Phone::reported))) {
        Ok(Some(phone)) => phone,
        Ok(None) => {
            eprintln!("{}", number::NOT_CLEAR);
            return Exit::Usage;
        }
        Err(exit) => return exit,
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
