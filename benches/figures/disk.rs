//! D: what it takes to make 4 KiB durable.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use twotick::clock::Stopwatch;

const APPEND: [u8; 4096] = [0x5a; 4096];
const APPENDS: usize = 1_000;

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
    std::fs::remove_file(path)?;
    took.sort_unstable();
    Ok(took[APPENDS / 2])
}
