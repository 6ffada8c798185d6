//! What the figures were measured on, and who else was busy on it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use twotick::clock::Stopwatch;

/// Ticks a second in which Linux tells processor time, on every architecture that Rust has.
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

/// Average numbers of runnable tasks over 1, 5 and 15 minutes.
pub fn load() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Of a process, in MiB.
pub fn resident_mib(pid: u32) -> f64 {
    field(&read(&format!("/proc/{pid}/status")), "VmRSS:") as f64 / 1024.0
}

/// Who used the processors since it was started.
pub struct Usage {
    watch: Stopwatch,
    everybody: f64,
    ours: Vec<(u32, f64)>,
}

impl Usage {
    /// Of this process and `pids`, against the rest of the machine.
    pub fn start(pids: &[u32]) -> Self {
        let ours = pids.iter().copied().chain([std::process::id()]).map(|pid| (pid, busy_seconds(pid)));
        Self { watch: Stopwatch::start(), everybody: of_everybody(), ours: ours.collect() }
    }

    /// How many processors others kept busy on average.
    pub fn others(&self) -> f64 {
        let ours: f64 = self.ours.iter().map(|&(pid, before)| busy_seconds(pid) - before).sum();
        let wall = self.watch.elapsed().max(Duration::from_millis(1)).as_secs_f64();
        ((of_everybody() - self.everybody - ours) / wall).max(0.0)
    }
}

/// Seconds, all processors together, without idling and waiting for the disk.
fn of_everybody() -> f64 {
    let stat = read("/proc/stat");
    let ticks = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
    let busy = ticks.enumerate().filter(|(column, _)| !matches!(column, 3 | 4));
    busy.filter_map(|(_, ticks)| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// What a process has used of the processors, to 10 ms.
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

/// The last line of what a command prints; nothing where there is no such command.
fn run(command: &str, args: &[&str]) -> String {
    let output = Command::new(command).args(args).output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output);
    text.lines().last().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}
