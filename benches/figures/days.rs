//! Ten days of steady load on a virtual clock with a retention of three days: whether the folder stops growing.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use twotick::clock::{Clock, ManualClock};
use twotick::store::{Retention, Store};
use twotick::verification::values::Timestamp;

use crate::fill::Filler;
use crate::report::{Goal, Report};
use crate::{Outcome, disk};

const DAYS: usize = 10;
/// The retention.
const KEPT_DAYS: u32 = 3;
/// From the fourth day on as much is removed as is added. sled reuses a segment once half of it is free, so the size
/// stabilizes some days later.
const FULL_AFTER: usize = 8;
const A_DAY: usize = 24_000;
const HOURS: usize = 24;
const HOUR: Duration = Duration::from_secs(3_600);

pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let data = folder.join("days").join("data");
    fs::create_dir_all(&data)?;
    let an_hour = report.share_of(A_DAY).div_ceil(HOURS);
    let sizes = runtime.block_on(live_through(&data, an_hour))?;
    let kept = (an_hour * HOURS * KEPT_DAYS as usize) as f64;
    let last = sizes[DAYS - 1];
    for (day, bytes) in sizes.iter().enumerate() {
        report.note(&format!("on disk after day {}", day + 1), bytes / 1e6, "MB");
    }
    let name = format!("ten days of {} verifications each, three kept", an_hour * HOURS);
    report.figure(
        &format!("{name}, bytes on disk for one that is kept"),
        last / kept,
        "B",
        Goal::AtMost(4_096.0),
    );
    let growth = last / sizes[FULL_AFTER - 1];
    let name = format!("{name}, size after day {DAYS} to after day {FULL_AFTER}");
    report.figure(&name, growth, "", Goal::AtMost(1.1));
    fs::remove_dir_all(data)?;
    Ok(())
}

/// The bytes on disk after each day.
async fn live_through(data: &Path, an_hour: usize) -> Outcome<Vec<f64>> {
    let time = ManualClock::starting_at(Timestamp::from_millis(1_795_000_000_000));
    let filler = Filler::open(data, Clock::Manual(Arc::clone(&time)))?;
    let (mut sizes, mut number) = (Vec::new(), 0);
    for _ in 0..DAYS {
        for _ in 0..HOURS {
            filler.finish_all(number..number + an_hour).await?;
            number += an_hour;
            time.advance(HOUR);
            forget(&filler, time.now()).await?;
        }
        sizes.push(disk::taken(data)? as f64);
    }
    filler.store.close().await?;
    Ok(sizes)
}

async fn forget(filler: &Filler, now: Timestamp) -> Outcome<()> {
    let kept = HOUR * HOURS as u32 * KEPT_DAYS;
    let kept_millis = i64::try_from(kept.as_millis())?;
    let oldest = Timestamp::from_millis(now.as_millis() - kept_millis);
    let before = Retention { verifications: oldest, inbound: oldest, audit: oldest };
    while filler.store.sweep_old(before).await?.more {}
    Ok(())
}
