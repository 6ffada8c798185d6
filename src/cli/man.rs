//! `twotick man`: manual pages generated from the command line definition.

use std::io;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use super::{Cli, Exit, print};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write one page per command into this folder instead of the main page to stdout
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Exit {
    let written = match &args.dir {
        Some(folder) => clap_mangen::generate_to(Cli::command(), folder).map(|()| Exit::Done),
        None => page(),
    };
    written.unwrap_or_else(|error| {
        eprintln!("cannot write the manual: {error}");
        Exit::Failed
    })
}

fn page() -> io::Result<Exit> {
    let mut page = Vec::new();
    Man::new(Cli::command()).render(&mut page)?;
    Ok(print(&String::from_utf8_lossy(&page)))
}
