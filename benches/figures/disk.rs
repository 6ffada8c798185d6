//! D, the time to make 4 KiB durable, and the disk usage of folders.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Advice, fadvise};
use twotick::clock::Stopwatch;

const APPEND: [u8; 4096] = [0x5a; 4096];
const APPENDS: usize = 1_000;
/// The unit of `st_blocks`, independent of the file system (stat(2)).
const BLOCK: u64 = 512;

/// The median of `fdatasync` after appending 4 KiB, on the disk of `folder`.
pub fn probe(folder: &Path) -> io::Result<Duration> {
    let path = folder.join("probe");
    let mut file = File::create(&path)?;
    let mut took = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        file.write_all(&APPEND)?;
        let watch = Stopwatch::start();
        file.sync_data()?;
        took.push(watch.elapsed());
    }
    fs::remove_file(path)?;
    took.sort_unstable();
    Ok(took[APPENDS / 2])
}

/// The disk usage of a folder with all its contents.
pub fn taken(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { taken(&entry.path())? } else { meta.blocks() * BLOCK };
    }
    Ok(bytes)
}

/// Evicts the files of a folder from the page cache, so that they are read from disk. Returns what was done.
pub fn forget(folder: &Path) -> io::Result<&'static str> {
    rustix::fs::sync();
    if fs::write("/proc/sys/vm/drop_caches", "3").is_ok() {
        return Ok("caches dropped");
    }
    forget_files(folder)?;
    Ok("its files forgotten by the page cache")
}

fn forget_files(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            forget_files(&path)?;
        } else {
            fadvise(File::open(path)?, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
