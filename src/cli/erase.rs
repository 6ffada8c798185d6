//! `twotick erase NUMBER`: erases everything about the person with this number.

use super::{Cli, Exit, MASTER_KEY, load_config_for, number, print};
use crate::app::{self, Erased, Unreadable};
use crate::phone::Phone;
use crate::verification::values::Alias;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The number, with + and country code, such as +4915228817386, or in the notation of console.home_country; or the
    /// person's business-scoped user id at WhatsApp
    number: String,
    /// Also destroy the encryption keys of this number, so that its data is unreadable in every file and backup at
    /// once. Otherwise it is once the keys of its days are destroyed (retention.personal)
    #[arg(long)]
    now: bool,
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    let loaded = match load_config_for(cli, &[MASTER_KEY]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let user = Alias::written(&args.number).filter(|alias| matches!(alias, Alias::User(_)));
    let meant = match number::meant(&args.number, || Ok(loaded.config.console.home_country)) {
        Ok(meant) => meant,
        Err(exit) => return exit,
    };
    // WhatsApp's number of a person may not be a valid number by the metadata; it still identifies them.
    let mut phones: Vec<_> = meant.into_iter().collect();
    phones.extend(Phone::as_written(&args.number).filter(|phone| !phones.contains(phone)));
    let people: Vec<_> =
        phones.iter().filter_map(|phone| Alias::number(phone.as_e164())).chain(user).collect();
    if people.is_empty() {
        eprintln!("{}", number::NOT_CLEAR);
        return Exit::Usage;
    }
    let unreadable = if args.now { Unreadable::Now } else { Unreadable::InTime };
    let mut erased = Erased::default();
    let outcome = people.iter().try_for_each(|person| {
        let of_person = app::erase_person(&loaded.config, person, unreadable)?;
        erased.records += of_person.records;
        erased.days += of_person.days;
        Ok::<_, app::OfflineError>(())
    });
    match outcome {
        Ok(()) => print(&match unreadable {
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
