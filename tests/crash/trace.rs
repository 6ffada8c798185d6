//! The writes and syncs of a server, in order and with their content, from strace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::checker::Moment;

/// With `-D` the server stays our child; `--seccomp-bpf` leaves other system calls alone.
pub fn strace(output: &Path) -> Vec<String> {
    let calls = "trace=openat,creat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,fallocate,rename,renameat,\
        renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,fsync,fdatasync,syncfs,copy_file_range";
    let words = [
        "strace",
        "-D",
        "-f",
        "--seccomp-bpf",
        "-y",
        "-xx",
        "-s",
        "16777216",
        "-ttt",
        "-T",
        "-e",
        calls,
        "-o",
    ];
    words.iter().map(|word| (*word).to_owned()).chain([output.to_str().unwrap().to_owned()]).collect()
}

/// The complete trace, after strace has ended along with the traced process.
pub async fn whole(path: &Path) -> String {
    let mut before = String::new();
    loop {
        let now = std::fs::read_to_string(path).unwrap_or_default();
        if now.contains("+++ killed") && now == before {
            return now;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A system call. It took effect somewhere between the two moments.
#[derive(Clone, Debug)]
pub struct Call {
    pub began: Moment,
    /// `None` if it had not returned when the process ended.
    pub ended: Option<Moment>,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    Create {
        path: PathBuf,
        emptied: bool,
    },
    /// Without an offset, at the end of the file.
    Write {
        path: PathBuf,
        at: Option<u64>,
        bytes: Vec<u8>,
    },
    Resize {
        path: PathBuf,
        length: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Link {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink {
        path: PathBuf,
    },
    MakeFolder {
        path: PathBuf,
    },
    /// Syncs a file or a folder.
    Sync {
        path: PathBuf,
    },
}

impl What {
    /// The changed or synced path; for a renaming the new one.
    pub fn path(&self) -> &Path {
        match self {
            Self::Create { path, .. }
            | Self::Write { path, .. }
            | Self::Resize { path, .. }
            | Self::Unlink { path }
            | Self::MakeFolder { path }
            | Self::Sync { path } => path,
            Self::Rename { to, .. } | Self::Link { to, .. } => to,
        }
    }
}

/// All calls under `folder` that succeeded or never returned, in the order of their end. Panics on a call that cannot
/// be replayed.
pub fn parse(trace: &str, folder: &Path) -> Vec<Call> {
    let mut unfinished = BTreeMap::<&str, (Moment, String)>::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        // Short thread ids are padded.
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((at, rest)) = rest.trim_start().split_once(' ') else { continue };
        let Some(at) = micros(at) else { continue };
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, (at, begun.trim_end().to_owned()));
            continue;
        }
        let (began, text) = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => match unfinished.remove(thread) {
                Some((began, text)) => (began, text + end),
                None => continue,
            },
            None => (at, rest.to_owned()),
        };
        let Some((call, result)) = text.rsplit_once(") = ") else { continue };
        let took = result.rsplit_once('<').and_then(|(_, took)| micros(took.trim_end_matches('>')));
        let succeeded = !result.starts_with('-') && !result.starts_with('?');
        if let (true, Some(what)) = (succeeded, what(call, result, folder)) {
            calls.push(Call { began, ended: Some(Moment(began.0 + took.unwrap_or_default().0)), what });
        }
    }
    for (began, text) in unfinished.into_values() {
        // It may have taken effect, wholly or in part.
        let whole = text.trim_end_matches(',');
        if let Some(what) = what(whole, "", folder) {
            calls.push(Call { began, ended: None, what });
        }
    }
    calls.sort_by_key(|call| (call.ended.is_none(), call.ended, call.began));
    calls
}

/// Parses `1795393500.769119`, or a duration of the same form.
fn micros(seconds: &str) -> Option<Moment> {
    let (whole, part) = seconds.split_once('.')?;
    let whole: i64 = whole.parse().ok()?;
    Some(Moment(whole * 1_000_000 + part.parse::<i64>().ok()?))
}

fn what(call: &str, result: &str, folder: &Path) -> Option<What> {
    let (name, args) = call.split_once('(')?;
    let args = arguments(args);
    let ours = |path: PathBuf| path.starts_with(folder).then_some(path);
    let named = |n: usize| args.get(n).and_then(|arg| string(arg)).map(|bytes| path(&bytes)).and_then(ours);
    // `5<\x2f\x74…>`: the descriptor's path.
    let opened = |text: &str| {
        let (hex, after) = text.split_once('<')?.1.split_once('>')?;
        // The name belongs to another file by now.
        if after.starts_with("(deleted)") { None } else { ours(path(&unhex(hex))) }
    };
    let of_descriptor = |n: usize| args.get(n).and_then(|arg| opened(arg));
    let number = |n: usize| args.get(n).and_then(|arg| arg.parse::<u64>().ok());
    match name {
        "openat" | "creat" => {
            let flags = args.get(2).copied().unwrap_or_default();
            let path = opened(result).or_else(|| named(1))?;
            flags.contains("O_CREAT").then(|| What::Create { path, emptied: flags.contains("O_TRUNC") })
        }
        "write" => Some(What::Write { path: of_descriptor(0)?, at: None, bytes: string(args.get(1)?)? }),
        "pwrite64" => {
            Some(What::Write { path: of_descriptor(0)?, at: Some(number(3)?), bytes: string(args.get(1)?)? })
        }
        "ftruncate" => Some(What::Resize { path: of_descriptor(0)?, length: number(1)? }),
        "rename" => Some(What::Rename { from: named(0)?, to: named(1)? }),
        "renameat" | "renameat2" => Some(What::Rename { from: named(1)?, to: named(3)? }),
        "link" => Some(What::Link { from: named(0)?, to: named(1)? }),
        "linkat" => Some(What::Link { from: named(1)?, to: named(3)? }),
        "unlink" => Some(What::Unlink { path: named(0)? }),
        "unlinkat" => Some(What::Unlink { path: named(1)? }),
        "mkdir" => Some(What::MakeFolder { path: named(0)? }),
        "mkdirat" => Some(What::MakeFolder { path: named(1)? }),
        "fsync" | "fdatasync" | "syncfs" => Some(What::Sync { path: of_descriptor(0)? }),
        other => match of_descriptor(0) {
            Some(path) => panic!("{other} of {} is not known to the model", path.display()),
            None => None,
        },
    }
}

/// Strings are in hexadecimal, so every comma separates arguments.
fn arguments(text: &str) -> Vec<&str> {
    text.split(", ").collect()
}

fn string(argument: &str) -> Option<Vec<u8>> {
    let hex = argument.strip_prefix('"')?;
    assert!(!hex.ends_with("..."), "strace cut a string short");
    Some(unhex(hex.strip_suffix('"')?))
}

fn unhex(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).map(|pair| u8::from_str_radix(&pair[..2], 16).unwrap()).collect()
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

#[test]
fn a_trace_is_read_as_it_was_written() {
    let hex = |text: &str| text.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let (db, lock) = (hex("/d/data/db"), hex("/d/data/lock"));
    let trace = format!(
        "7    100.000001 openat(AT_FDCWD<{d}>, \"{db}\", O_RDWR|O_CREAT|O_CLOEXEC, 0666) = 13<{db}> <0.000010>\n\
         8 100.000020 pwrite64(13<{db}>, \"{abc}\", 3, 8 <unfinished ...>\n\
         7 100.000030 fdatasync(13<{db}>) = 0 <0.000100>\n\
         8 100.000035 <... pwrite64 resumed>) = 3 <0.000015>\n\
         7 100.000200 fdatasync(13<{db}>) = -1 EIO (Input/output error) <0.000100>\n\
         7 100.000300 write(4<{elsewhere}>, \"{abc}\", 3) = 3 <0.000001>\n\
         7 100.000400 pwrite64(14<{lock}>, \"{abc}\", 3, 0 <unfinished ...>\n\
         9 100.000500 +++ killed by SIGKILL +++\n",
        d = hex("/d"),
        abc = hex("abc"),
        elsewhere = hex("/dev/null"),
    );
    let calls = parse(&trace, Path::new("/d/data"));
    assert_eq!(calls.len(), 4, "{calls:#?}");
    assert!(matches!(&calls[0].what, What::Create { path, emptied: false } if path.ends_with("db")));
    let What::Write { at: Some(8), bytes, .. } = &calls[1].what else { panic!("{calls:#?}") };
    assert_eq!(bytes, b"abc");
    assert_eq!((calls[1].began, calls[1].ended), (Moment(100_000_020), Some(Moment(100_000_035))));
    assert!(
        matches!(&calls[2].what, What::Sync { .. }),
        "it ended after the write, and began before its end"
    );
    assert!(calls[3].ended.is_none());
}
