//! The figures that twotick promises, measured on the machine at hand: `cargo bench --bench figures`.
//!
//! Everything is real but the providers: the release binary `twotick serve` as a process of its own, its data folder
//! on the disk that also holds the target folder, HTTP over loopback. Rates are told as a ratio to a *ceiling* (the
//! same web server with the signature check and the parse alone) and waits as multiples of *D* (what one `fdatasync`
//! takes), both measured in the same run, because they say more on another machine than bare numbers do.

mod ceiling;
mod deadlines;
mod disk;
mod load;
mod machine;
mod orders;
mod providers;
mod report;
mod server;
mod single;
mod webhooks;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use machine::Machine;
use report::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Cargo makes this folder below the target folder, so on a disk and not in memory.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.iter().find(|arg| !arg.starts_with("--bench")).map(String::as_str) {
        None => measure().map(|()| ExitCode::SUCCESS),
        Some(ceiling::ARGUMENT) => ceiling::serve().map(|()| ExitCode::SUCCESS),
        Some(_) => Err("usage: cargo bench --bench figures".into()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("the figures could not be measured: {error}");
        ExitCode::FAILURE
    })
}

fn measure() -> Outcome<()> {
    let folder = tempfile::Builder::new().prefix("figures").tempdir_in(SCRATCH)?;
    let mut report = Report::new(Machine::describe(folder.path()));
    single::measure(folder.path(), &mut report)?;
    deadlines::measure(folder.path(), &mut report)?;
    webhooks::measure(folder.path(), &mut report)?;
    report.finish(Path::new(SCRATCH))
}
