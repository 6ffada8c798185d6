//! The figures that twotick promises, measured on the machine at hand: `cargo bench --bench figures`, or only a part
//! of them with `-- single`, `-- deadlines` or `-- webhooks`.
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
    // Cargo adds `--bench`.
    let wanted: Vec<&str> = args.iter().map(String::as_str).filter(|arg| *arg != "--bench").collect();
    let outcome = match wanted[..] {
        [ceiling::ARGUMENT] => ceiling::serve(),
        _ => measure(&wanted),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the figures could not be measured: {error}");
            ExitCode::FAILURE
        }
    }
}

type Part = fn(&Path, &mut Report) -> Outcome<()>;

const PARTS: [(&str, Part); 3] =
    [("single", single::measure), ("deadlines", deadlines::measure), ("webhooks", webhooks::measure)];

fn measure(wanted: &[&str]) -> Outcome<()> {
    if let Some(unknown) = wanted.iter().find(|wanted| PARTS.iter().all(|(name, _)| name != *wanted)) {
        return Err(format!("there is no part {unknown}, only single, deadlines and webhooks").into());
    }
    let folder = tempfile::Builder::new().prefix("figures").tempdir_in(SCRATCH)?;
    let mut report = Report::new(Machine::describe(folder.path()));
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.contains(&name) {
            part(folder.path(), &mut report)?;
        }
    }
    report.finish(Path::new(SCRATCH))
}
