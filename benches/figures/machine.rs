//! The machine of the measurement, and its other load.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use twotick::clock::Stopwatch;

/// The unit of processor times in `/proc`, on every architecture that Rust supports.
const TICKS: f64 = 100.0;

pub struct Machine {
    pub lines: Vec<(&'static str, String)>,
}

impl Machine {
    pub fn describe(folder: &Path) -> Self {
        let lines = vec![
            (
                "processor",
                format!("{} × {}", std::thread::available_parallelism().map_or(1, usize::from), processor()),
            ),
            ("memory", format!("{} GiB", memory_kib() / 1024 / 1024)),
            ("system", read("/proc/sys/kernel/osrelease")),
            ("disk", run("df", &["--output=source,fstype", folder.to_str().unwrap_or(".")])),
            ("load", load()),
            ("rustc", run("rustc", &["--version"])),
            (
                "twotick",
                format!(
                    "{} {}",
                    env!("CARGO_PKG_VERSION"),
                    run("git", &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"])
                ),
            ),
        ];
        Self { lines }
    }
}

/// Load averages over 1, 5 and 15 minutes.
pub fn load() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The resident memory of a process in MiB.
pub fn resident_mib(pid: u32) -> f64 {
    field(&read(&format!("/proc/{pid}/status")), "VmRSS:") as f64 / 1024.0
}

/// Processor usage since the start.
pub struct Usage {
    watch: Stopwatch,
    everybody: f64,
    ours: Vec<(u32, f64)>,
}

impl Usage {
    /// Separates this process and `pids` from the rest of the machine.
    pub fn start(pids: &[u32]) -> Self {
        let ours = pids.iter().copied().chain([std::process::id()]).map(|pid| (pid, busy_seconds(pid)));
        Self { watch: Stopwatch::start(), everybody: of_everybody(), ours: ours.collect() }
    }

    /// The average number of processors kept busy by others.
    pub fn others(&self) -> f64 {
        let ours: f64 = self.ours.iter().map(|&(pid, before)| busy_seconds(pid) - before).sum();
        let wall = self.watch.elapsed().max(Duration::from_millis(1)).as_secs_f64();
        ((of_everybody() - self.everybody - ours) / wall).max(0.0)
    }
}

/// Busy processor seconds of the whole machine, without idle and I/O wait.
fn of_everybody() -> f64 {
    let stat = read("/proc/stat");
    let ticks = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
    let busy = ticks.enumerate().filter(|(column, _)| !matches!(column, 3 | 4));
    busy.filter_map(|(_, ticks)| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// The processor time of a process, to 10 ms.
pub fn busy_seconds(pid: u32) -> f64 {
    let stat = read(&format!("/proc/{pid}/stat"));
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
        / TICKS
}

fn processor() -> String {
    let info = read("/proc/cpuinfo");
    let model = info.lines().find(|line| line.starts_with("model name"));
    model
        .and_then(|line| line.split_once(": "))
        .map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}

fn memory_kib() -> u64 {
    field(&read("/proc/meminfo"), "MemTotal:")
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim_end().to_owned()
}

/// The last line of a command's output; empty if there is no such command.
fn run(command: &str, args: &[&str]) -> String {
    let output = Command::new(command).args(args).output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output);
    text.lines().last().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}
