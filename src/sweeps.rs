//! Scheduled jobs. No deadline depends on them: they catch missed deadlines, apply retention, ask Meta about templates
//! and update gauges.
//!
//! The scheduler (tokio-cron-scheduler 0.15) starts a job while its last run is still active, swallows panics and does
//! not wait for jobs when it stops. So every job is guarded against overlap, caught, and tracked.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::task::TaskTracker;

use crate::changing::Changing;
use crate::channel::{Channel, Template, TemplatesUnknown};
use crate::clock::{Clock, Stopwatch};
use crate::retention::Retention;
use crate::store::{self, Alert, Health, Order, Store, StoreError};
use crate::vault::Vault;
use crate::verification::values::{ChannelName, Timestamp};

/// Second, minute, hour, day of month, month, day of week; UTC.
const EVERY_SECOND: &str = "* * * * * *";
const EVERY_15_SECONDS: &str = "0/15 * * * * *";
const EVERY_MINUTE: &str = "30 * * * * *";
/// Off the full hour, when load is highest.
const EVERY_HOUR: &str = "10 7 * * * *";

/// How often keys are created and destroyed. A timer instead of a cron expression: the scheduler follows the system
/// clock, and if that is set back, it does nothing until the old time is reached again.
const KEYS_EVERY: Duration = Duration::from_secs(15);
/// Duration of one retention run. The store serves it when idle; the rest waits for the next minute.
const RETENTION_RUN: Duration = Duration::from_secs(50);

/// Dependencies of the jobs. Jobs depend only on the current state, so a skipped or repeated run does no harm.
pub struct Sweeps {
    pub store: Arc<dyn Store>,
    pub channels: Arc<Changing<BTreeMap<ChannelName, Arc<Channel>>>>,
    pub clock: Clock,
    /// Owner of the keys that retention destroys.
    pub vault: Arc<Vault>,
    pub keep: Keep,
    /// Templates that profiles need.
    pub templates: Vec<NeededTemplate>,
    pub metrics: PrometheusHandle,
    complaints: Mutex<BTreeSet<(ChannelName, String, String)>>,
    /// Until then retention destroys only the keys of codes, in case the clock is wrong.
    retention_waits_until: Timestamp,
    stopping: AtomicBool,
}

/// Retention periods, and the size of the data that raises an alarm.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    pub retention: Retention,
    /// Size of the data, in bytes, that raises an alarm.
    pub alarm_bytes: u64,
}

/// A template in one language on one channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeededTemplate {
    pub channel: ChannelName,
    pub name: String,
    /// Meta's language code, such as `en_US`.
    pub language: String,
}

impl Sweeps {
    pub fn new(
        store: Arc<dyn Store>,
        vault: Arc<Vault>,
        channels: Arc<Changing<BTreeMap<ChannelName, Arc<Channel>>>>,
        clock: Clock,
        keep: Keep,
        templates: Vec<NeededTemplate>,
        metrics: PrometheusHandle,
    ) -> Self {
        let retention_waits_until = retention_wait(&vault, clock.now());
        let (complaints, stopping) = (Mutex::default(), AtomicBool::new(false));
        Self {
            store,
            vault,
            channels,
            clock,
            keep,
            templates,
            metrics,
            complaints,
            retention_waits_until,
            stopping,
        }
    }

    /// Safety net of the agenda: carries out missed deadlines and returns their number.
    pub async fn missed_dues(&self) -> Result<usize, StoreError> {
        let missed = self.store.sweep_missed().await?;
        if missed > 0 {
            tracing::error!(missed, "the timer missed deadlines; the sweep has carried them out");
            metrics::counter!("twotick_missed_dues_total").increment(missed as u64);
        }
        Ok(missed)
    }

    /// Creates keys that will be needed soon, and destroys those past retention; returns the number destroyed. Keys of
    /// codes are never delayed: codes live for minutes, so they have ended by any plausible clock.
    pub async fn keys(&self) -> io::Result<usize> {
        let (vault, now, keep) = (Arc::clone(&self.vault), self.clock.now(), self.keep.retention.personal);
        let is_paused = now < self.retention_waits_until;
        let work = move || -> io::Result<usize> {
            if let Err(error) = vault.prepare(now) {
                tracing::error!("{error}");
            }
            if let Err(error) = vault.note_use(now) {
                tracing::warn!(%error, "cannot record that the keys are in use");
            }
            let codes = vault.forget_codes(now)?;
            if is_paused {
                return Ok(codes);
            }
            let days = vault.forget_days(now - keep)?;
            if days > 0 {
                tracing::info!(days, "destroyed day keys past retention");
                metrics::counter!("twotick_day_keys_destroyed_total").increment(days as u64);
            }
            Ok(days + codes)
        };
        let gone = tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??;
        metrics::gauge!("twotick_day_keys").set(self.vault.days().0 as f64);
        Ok(gone)
    }

    /// Removes data past retention; returns the number of verifications removed.
    pub async fn retention(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        if now < self.retention_waits_until {
            return Ok(0);
        }
        let Retention { personal, timelines, audit } = self.keep.retention;
        let before =
            store::Retention { verifications: now - timelines, inbound: now - personal, audit: now - audit };
        let (mut removed, took) = (0, Stopwatch::start());
        while !self.stopping.load(Ordering::Relaxed) {
            let swept = self.store.sweep_old(before).await?;
            removed += swept.removed;
            metrics::counter!("twotick_verifications_removed_total").increment(swept.removed as u64);
            if !swept.more || took.elapsed() >= RETENTION_RUN {
                break;
            }
        }
        if removed > 0 {
            tracing::info!(removed, "removed verifications past retention");
        }
        Ok(removed)
    }

    /// Asks Meta whether all templates in use exist and are approved. Alerts once per change of state. Returns the
    /// number that are not approved; `None` if Meta did not answer.
    pub async fn templates(&self) -> Option<usize> {
        let mut found = BTreeSet::new();
        let names: BTreeSet<_> =
            self.templates.iter().map(|needed| (&needed.channel, &needed.name)).collect();
        let channels = self.channels.now();
        for (channel, name) in names {
            let Some(channel) = channels.get(channel) else { continue };
            let Some(there) = channel.templates(name).await else { continue };
            found.extend(self.complaints_about(channel.name(), name, there)?);
        }
        let wanting = found.len();
        metrics::gauge!("twotick_templates_not_approved").set(wanting as f64);
        let new: Vec<_> = {
            let mut known = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
            let new = found.difference(&known).cloned().collect();
            *known = found;
            new
        };
        for (channel, subject, status) in new {
            self.alert(channel, subject, &status).await;
        }
        Some(wanting)
    }

    /// Updates gauges that change without events.
    pub async fn gauges(&self) {
        let health = self.store.health();
        for (state, name) in [
            (Health::Ready, "ready"),
            (Health::Full, "full"),
            (Health::Stuck, "stuck"),
            (Health::Closed, "closed"),
        ] {
            let value = if state == health { 1.0 } else { 0.0 };
            metrics::gauge!("twotick_store_state", "state" => name).set(value);
        }
        let size = self.store.size();
        metrics::gauge!("twotick_store_bytes").set(size as f64);
        metrics::gauge!("twotick_store_over_alarm").set(f64::from(u8::from(size > self.keep.alarm_bytes)));
        self.metrics.run_upkeep();
    }

    /// Logs an error if the data exceeds `alarm_gib`.
    pub fn size(&self) {
        let size = self.store.size();
        if size > self.keep.alarm_bytes {
            tracing::error!(
                bytes = size,
                alarm_bytes = self.keep.alarm_bytes,
                "the data exceeds `store.alarm_gib`: shorten the retention, or import an export into an \
                 empty folder"
            );
        }
    }

    fn complaints_about(
        &self,
        channel: &ChannelName,
        name: &str,
        there: Result<Vec<Template>, TemplatesUnknown>,
    ) -> Option<Vec<(ChannelName, String, String)>> {
        let there = match there {
            Ok(there) => there,
            Err(error) => {
                tracing::warn!(%channel, template = name, %error, "cannot ask Meta whether the template is approved");
                metrics::counter!("twotick_template_checks_failed_total").increment(1);
                return None;
            }
        };
        let needed = self.templates.iter().filter(|needed| needed.channel == *channel && needed.name == name);
        let complaints = needed.filter_map(|needed| {
            let found = there.iter().find(|template| template.language == needed.language);
            let status = found.map_or(MISSING, |template| template.status.as_str());
            let subject = format!("{name}/{}", needed.language);
            (status != APPROVED).then(|| (channel.clone(), subject, status.to_owned()))
        });
        Some(complaints.collect())
    }

    async fn alert(&self, channel: ChannelName, subject: String, status: &str) {
        let (code, title) = if status == MISSING {
            ("template_missing", format!("the template {subject} does not exist at Meta"))
        } else {
            ("template_not_approved", format!("the template {subject} is {status} at Meta, not {APPROVED}"))
        };
        tracing::warn!(%channel, code, "{title}: messages with it will be refused");
        let at = self.clock.now();
        let alert = Alert {
            at,
            channel,
            code: code.to_owned(),
            title,
            subject: Some(subject),
            evidence: None,
            fingerprint: None,
        };
        if let Err(error) = self.store.execute(vec![Order::Alert(alert)]).await {
            tracing::warn!(%error, "cannot store the alert");
        }
    }
}

const APPROVED: &str = "APPROVED";
/// Our own status, not Meta's.
const MISSING: &str = "MISSING";

/// When retention may start. It cannot be undone, and a machine may boot with a clock that is years ahead. So if the
/// server seems to have been off for over a week, retention waits a day, to give an operator time to notice. A server
/// that was up but idle was not off.
fn retention_wait(vault: &Vault, now: Timestamp) -> Timestamp {
    const LONG: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
    match vault.last_use() {
        Some(last) if last + LONG < now => {
            tracing::warn!(
                last_used = %last, %now,
                "by the clock this server was off for over a week; retention waits 24 h, in case the clock is wrong"
            );
            now + A_DAY
        }
        Some(_) | None => Timestamp::from_millis(0),
    }
}

/// The running jobs.
pub struct Running {
    scheduler: JobScheduler,
    jobs: TaskTracker,
    keys: JoinHandle<()>,
    sweeps: Arc<Sweeps>,
}

/// Starts all jobs. Needs a multi-threaded runtime, or the scheduler hangs.
pub async fn start(sweeps: Arc<Sweeps>) -> Result<Running, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    let jobs = TaskTracker::new();
    let clock =
        |name, schedule| Timetable { name, schedule, jobs: jobs.clone(), sweeps: Arc::clone(&sweeps) };
    scheduler
        .add(
            clock("missed_dues", EVERY_SECOND)
                .job(|sweeps| async move { log(sweeps.missed_dues().await) })?,
        )
        .await?;
    scheduler
        .add(clock("retention", EVERY_MINUTE).job(|sweeps| async move { log(sweeps.retention().await) })?)
        .await?;
    scheduler
        .add(clock("templates and size", EVERY_HOUR).job(|sweeps| async move {
            sweeps.size();
            sweeps.templates().await;
        })?)
        .await?;
    scheduler
        .add(clock("gauges", EVERY_15_SECONDS).job(|sweeps| async move { sweeps.gauges().await })?)
        .await?;
    scheduler.start().await?;
    let keys = tokio::spawn(keep_keys(Arc::clone(&sweeps)));
    Ok(Running { scheduler, jobs, keys, sweeps })
}

/// Runs at once, then periodically.
async fn keep_keys(sweeps: Arc<Sweeps>) {
    let mut beat = tokio::time::interval(KEYS_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let busy = Arc::new(AtomicBool::new(false));
    loop {
        beat.tick().await;
        let work = || async {
            if let Err(error) = sweeps.keys().await {
                tracing::error!(%error, "cannot destroy keys past retention");
            }
        };
        once("keys", Arc::clone(&busy), work).await;
    }
}

impl Running {
    /// Stops scheduling and waits for running jobs, at most `patience`.
    pub async fn stop(mut self, patience: Duration) {
        // A disk operation that has begun still completes.
        self.keys.abort();
        self.sweeps.stopping.store(true, Ordering::Relaxed);
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::warn!(%error, "the scheduler did not stop");
        }
        self.jobs.close();
        if tokio::time::timeout(patience, self.jobs.wait()).await.is_err() {
            tracing::warn!("a sweep did not end in time");
        }
    }
}

struct Timetable {
    name: &'static str,
    schedule: &'static str,
    jobs: TaskTracker,
    sweeps: Arc<Sweeps>,
}

impl Timetable {
    fn job<F, W>(self, work: F) -> Result<Job, JobSchedulerError>
    where
        F: Fn(Arc<Sweeps>) -> W + Send + Sync + Copy + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let Self { name, schedule, jobs, sweeps } = self;
        let busy = Arc::new(AtomicBool::new(false));
        Job::new_async(schedule, move |_, _| {
            let (busy, sweeps) = (Arc::clone(&busy), Arc::clone(&sweeps));
            let run = jobs.track_future(once(name, busy, move || work(sweeps)));
            Box::pin(run)
        })
    }
}

/// Runs the job unless it is still running; a panic is counted and ends only this run.
async fn once<W: Future<Output = ()>>(name: &'static str, busy: Arc<AtomicBool>, work: impl FnOnce() -> W) {
    if busy.swap(true, Ordering::AcqRel) {
        metrics::counter!("twotick_sweeps_skipped_total", "sweep" => name).increment(1);
        return;
    }
    if AssertUnwindSafe(async { work().await }).catch_unwind().await.is_err() {
        tracing::error!(sweep = name, "the sweep panicked; it runs again as scheduled");
        metrics::counter!("twotick_panics_total", "part" => "sweeps").increment(1);
    }
    busy.store(false, Ordering::Release);
}

fn log<T>(result: Result<T, StoreError>) {
    match result {
        Ok(_) | Err(StoreError::Closed | StoreError::Busy) => {}
        Err(error @ (StoreError::Full | StoreError::TooLarge | StoreError::Damaged { .. })) => {
            tracing::warn!(%error, "the sweep failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_running_job_is_not_started_again_and_a_panicked_one_is() {
        let (busy, runs, end) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0), Notify::new());
        let slow = || async {
            runs.fetch_add(1, Ordering::Relaxed);
            end.notified().await;
        };
        let first = once("test", Arc::clone(&busy), slow);
        let second = async {
            once("test", Arc::clone(&busy), slow).await;
            end.notify_one();
        };
        tokio::join!(first, second);
        assert_eq!(runs.load(Ordering::Relaxed), 1);

        once("test", Arc::clone(&busy), || async { panic!("a test's panic") }).await;
        let quick = || async {
            runs.fetch_add(1, Ordering::Relaxed);
        };
        once("test", Arc::clone(&busy), quick).await;
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    }
}
