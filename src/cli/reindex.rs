//! `twotick reindex`: rebuilds the search indexes.

use indicatif::{ProgressBar, ProgressStyle};

use super::{Cli, Exit, MASTER_KEY, load_config_for, print};
use crate::app;
use crate::store::sled::Progress;

/// Length of the progress bar: thousandths of the time span that the store covers.
const WHOLE: u64 = 1_000;

pub(super) fn run(cli: &Cli) -> Exit {
    let loaded = match load_config_for(cli, &[MASTER_KEY]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    // Hidden unless stderr is a terminal.
    let bar = ProgressBar::new(WHOLE).with_style(style());
    let done = app::reindex(&loaded.config, &mut |progress| show(&bar, progress));
    bar.finish_and_clear();
    match done {
        Ok(done) => print(&format!(
            "reindexed; verifications: {}, inbound messages: {}\n",
            done.verifications, done.inbound
        )),
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}

const TEMPLATE: &str = "{bar:40} {percent:>3} %  {msg}  {elapsed}";

fn style() -> ProgressStyle {
    // A test checks that the template is well formed.
    ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn show(bar: &ProgressBar, progress: Progress) {
    match progress {
        Progress::Clearing { rows } => bar.set_message(format!("{rows} old rows removed")),
        Progress::Verifications { done, thousandths } => {
            bar.set_position(u64::from(thousandths));
            bar.set_message(format!("{done} verifications"));
        }
        Progress::Inbound { done } => bar.set_message(format!("{done} inbound messages")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_bar_is_well_formed() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
        let bar = ProgressBar::hidden().with_style(style());
        bar.set_length(WHOLE);
        show(&bar, Progress::Verifications { done: 12, thousandths: 250 });
        assert_eq!((bar.position(), bar.message()), (250, "12 verifications".to_owned()));
    }
}
