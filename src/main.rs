use std::process::ExitCode;

use clap::Parser;
use twotick::cli::{self, Cli};

/// Under sled's load the system's allocator keeps several times the memory that is in use. Without huge pages (feature
/// `no_thp`), because of 2 MiB each most would lie idle: 92 MB instead of 37.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(&Cli::parse()).into()
}
