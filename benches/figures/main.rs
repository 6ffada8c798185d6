//! Measures the figures that twotick promises on this machine: `cargo bench --bench figures`, or only some parts, `--
//! webhooks polls`. `-- scale=0.01` shrinks the largest folders, for a quick check.
//!
//! Everything but the providers is real: the release binary `twotick serve` in its own process, its data folder on the
//! disk of the target folder, HTTP over loopback. Rates are given as a ratio to a *ceiling* (the same web server with
//! only signature check and parsing), and latencies as multiples of *D* (the time of one `fdatasync`). Both are
//! measured in the same run, because they transfer better to other machines than absolute numbers.
//!
//! Tables, JSON and pictures are written to `figures` in the target folder.

mod ceiling;
mod curves;
mod day;
mod days;
mod disk;
mod fill;
mod line;
mod live;
mod load;
mod longpolls;
mod machine;
mod orders;
mod polls;
mod providers;
mod report;
mod retention;
mod server;
mod single;
mod stock;
mod stored;
mod webhooks;
mod whole;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use machine::Machine;
use report::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Created by Cargo below the target folder, so on disk and not in memory.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Cargo adds `--bench`.
    let wanted: Vec<&str> = args.iter().map(String::as_str).filter(|arg| *arg != "--bench").collect();
    let outcome = match wanted[..] {
        [ceiling::ARGUMENT] => ceiling::serve(),
        [fill::ARGUMENT, ref rest @ ..] => fill::serve(rest),
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

/// In the order of execution.
const PARTS: [(&str, Part); 10] = [
    ("single", single::measure),
    ("webhooks", webhooks::measure),
    ("day", day::measure),
    ("whole", whole::measure),
    ("polls", polls::measure),
    ("longpolls", longpolls::measure),
    ("live", live::measure),
    ("stored", stored::measure),
    ("days", days::measure),
    ("retention", retention::measure),
];

fn measure(args: &[&str]) -> Outcome<()> {
    let (settings, wanted): (Vec<&str>, Vec<&str>) = args.iter().partition(|arg| arg.contains('='));
    let scale = match settings[..] {
        [] => 1.0,
        [setting] => setting.strip_prefix("scale=").ok_or("the only setting is scale=")?.parse()?,
        _ => return Err("the only setting is scale=".into()),
    };
    if let Some(unknown) = wanted.iter().find(|wanted| PARTS.iter().all(|(name, _)| name != *wanted)) {
        let names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no part {unknown}, only {}", names.join(", ")).into());
    }
    let folder = tempfile::Builder::new().prefix("figures").tempdir_in(SCRATCH)?;
    let results = Path::new(SCRATCH).parent().unwrap_or(Path::new(SCRATCH)).join("figures");
    let mut report = Report::new(Machine::describe(folder.path()), results, scale);
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.contains(&name) {
            println!("— {name}");
            // The other parts still run.
            if let Err(error) = part(folder.path(), &mut report) {
                report.not_run(&format!("the rest of {name}"), &error.to_string());
            }
        }
    }
    report.finish()
}
