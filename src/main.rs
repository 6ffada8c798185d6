use std::process::ExitCode;

use clap::Parser;
use twotick::cli::{self, Cli};

/// Under sled's load the system's allocator keeps several times the memory that is in use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(&Cli::parse()).into()
}
