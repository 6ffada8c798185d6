//! Whether retention keeps up with 100 messages per second: on a virtual clock with one minute of each hour of a day,
//! and in real time, without delaying creates.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use twotick::clock::{Clock, ManualClock, Stopwatch};
use twotick::store::{Retention, Store};
use twotick::verification::values::Timestamp;

use crate::Outcome;
use crate::fill::Filler;
use crate::report::{Goal, Report};

const A_SECOND: usize = 100;
const A_MINUTE: usize = 60 * A_SECOND;
const HOURS: usize = 24;
const MINUTE: Duration = Duration::from_secs(60);
/// The retention.
const KEPT: Duration = Duration::from_secs(3 * 60);
/// The number of creates in each of the two runs.
const CREATES: usize = 1_500;

pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let data = folder.join("retention").join("data");
    fs::create_dir_all(&data)?;
    let a_minute = report.share_of(A_MINUTE);
    let time = ManualClock::starting_at(Timestamp::from_millis(1_795_000_000_000));
    runtime.block_on(async {
        let filler = Filler::open(&data, Clock::Manual(Arc::clone(&time)))?;
        let mut number = 0;
        let (mut longest, mut removed) = (Duration::ZERO, 0);
        for _ in 0..HOURS {
            filler.finish_all(number..number + a_minute).await?;
            number += a_minute;
            time.advance(MINUTE);
            let began = Stopwatch::start();
            removed += forget(&filler, time.now()).await?;
            longest = longest.max(began.elapsed());
        }
        let kept = number - removed;
        let name =
            format!("a day at {A_SECOND} a second, a minute of each hour with {a_minute} verifications");
        report.figure(
            &format!("{name}, longest run of the retention for a minute"),
            longest.as_secs_f64(),
            "s",
            Goal::AtMost(30.0),
        );
        report.figure(
            &format!("{name}, minutes of verifications that are kept at the end, of 3"),
            kept as f64 / a_minute as f64,
            "",
            Goal::AtMost(3.0),
        );

        let alone = creates(&filler, number).await?;
        number += CREATES;
        let old = 4 * a_minute;
        filler.finish_all(number..number + old).await?;
        number += old;
        time.advance(Duration::from_secs(24 * 60 * 60));
        let (sweeping, now) = (Arc::clone(&filler), time.now());
        let sweeps = tokio::spawn(async move {
            let began = Stopwatch::start();
            let removed = forget(&sweeping, now).await.map_err(|error| error.to_string())?;
            Ok::<_, String>((removed, began.elapsed()))
        });
        let beside = creates(&filler, number).await?;
        let (removed, took) = sweeps.await??;
        let a_minute = removed as f64 / took.as_secs_f64() * 60.0;
        let name = format!("retention beside {A_SECOND} creates a second");
        report.figure(
            &format!("{name}, verifications removed a minute"),
            a_minute,
            "",
            Goal::AtLeast(6_000.0),
        );
        report.note(&format!("{name}, a create alone, p99"), millis(alone), "ms");
        report.figure(
            &format!("{name}, p99 of a create to p99 without retention"),
            beside.as_secs_f64() / alone.as_secs_f64(),
            "",
            Goal::AtMost(5.0),
        );
        filler.store.close().await?;
        Outcome::Ok(())
    })?;
    fs::remove_dir_all(data)?;
    Ok(())
}

/// Runs visits until nothing is left to remove. Returns the number of removed verifications.
async fn forget(filler: &Filler, now: Timestamp) -> Outcome<usize> {
    let oldest = Timestamp::from_millis(now.as_millis() - i64::try_from(KEPT.as_millis())?);
    let before = Retention { verifications: oldest, inbound: oldest, audit: oldest };
    let mut removed = 0;
    loop {
        let swept = filler.store.sweep_old(before).await?;
        removed += swept.removed;
        if !swept.more {
            return Ok(removed);
        }
    }
}

/// Creates at [`A_SECOND`]. Returns the 99th percentile of the latency.
async fn creates(filler: &Arc<Filler>, first: usize) -> Outcome<Duration> {
    let mut beat = tokio::time::interval(Duration::from_secs(1) / A_SECOND as u32);
    let mut waiting = Vec::with_capacity(CREATES);
    for number in first..first + CREATES {
        beat.tick().await;
        let filler = Arc::clone(filler);
        waiting.push(tokio::spawn(async move {
            let began = Stopwatch::start();
            let created = filler.create(number).await.map_err(|error| error.to_string());
            created.map(|()| began.elapsed())
        }));
    }
    let mut took = Vec::with_capacity(CREATES);
    for one in waiting {
        took.push(one.await??);
    }
    took.sort_unstable();
    Ok(took[took.len() * 99 / 100])
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
