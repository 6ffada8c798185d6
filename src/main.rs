use std::process::ExitCode;

use clap::Parser;
use twotick::cli::{self, Cli};

fn main() -> ExitCode {
    cli::run(&Cli::parse()).into()
}
