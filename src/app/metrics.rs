//! The process's metrics recorder and the descriptions of its metrics. The HTTP layer describes its own.

use std::sync::{Mutex, PoisonError};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Buckets in seconds: from a fast disk to a provider's longest time-out.
const DURATIONS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// Buckets in seconds: most deliveries take a few, and a deadline is rarely over a minute.
const DELIVERY: [f64; 13] = [0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// Buckets in seconds: a fallback is late by a few milliseconds normally.
const LATENESS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The recorder, installed by the first call. Fails if something else has installed one.
pub fn recorder() -> Result<PrometheusHandle, BuildError> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*recorder {
        return Ok(handle.clone());
    }
    Ok(recorder.insert(install()?).clone())
}

fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("twotick_deadline_lateness_seconds".to_owned()), &LATENESS)?
        .set_buckets_for_metric(Matcher::Full("twotick_delivery_seconds".to_owned()), &DELIVERY)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATIONS)?
        .install_recorder()?;
    describe();
    metrics::gauge!("twotick_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

fn describe() {
    describe_gauge!("twotick_build_info", "Always 1, labelled with the running version");
    describe_connections();
    describe_verifications();
    describe_channels();
    describe_store();
    describe_upkeep();
}

fn describe_connections() {
    describe_counter!(
        "twotick_http_garbage_total",
        "Connections closed because the client did not speak HTTP"
    );
}

fn describe_verifications() {
    describe_gauge!(
        "twotick_verifications_live",
        "Verifications that are not settled: something to send, a deadline, or a message without a final state"
    );
    describe_counter!("twotick_verifications_removed_total", "Verifications removed by retention");
    describe_counter!("twotick_fallbacks_total", "Fallbacks to the next step, by reason");
    describe_counter!("twotick_verifications_ended_total", "Verifications that ended, by status");
    describe_counter!(
        "twotick_messages_total",
        "Messages by channel, country and outcome: delivered, failed, in_doubt. A message delivered after it failed counts as both"
    );
    describe_counter!(
        "twotick_message_errors_total",
        "Refusals and failures of messages, by channel and class of error"
    );
    describe_histogram!(
        "twotick_delivery_seconds",
        Unit::Seconds,
        "Time from queueing a message to its delivery, by channel and country"
    );
    describe_counter!(
        "twotick_log_lines_dropped_total",
        "Log lines of state changes dropped because the log reader was too slow"
    );
    describe_histogram!(
        "twotick_deadline_lateness_seconds",
        Unit::Seconds,
        "Time from a deadline until its consequence was durable"
    );
    describe_counter!(
        "twotick_missed_dues_total",
        "Deadlines missed by the timer and found by the sweep. Any value but 0 is a bug"
    );
}

fn describe_channels() {
    describe_counter!("twotick_sends_total", "Send attempts, by channel, outcome and error class");
    describe_histogram!(
        "twotick_send_duration_seconds",
        Unit::Seconds,
        "Duration of requests to providers, by channel"
    );
    describe_gauge!("twotick_messages_waiting", "Messages waiting for their channel's rate limit or breaker");
    describe_gauge!(
        "twotick_breaker_open",
        "1 while a channel's breaker is open because the provider refused the sender"
    );
    describe_gauge!(
        "twotick_clock_ahead_seconds",
        Unit::Seconds,
        "How far the system clock is ahead of a provider's, by channel"
    );
    describe_gauge!("twotick_templates_not_approved", "Templates in use that are not approved at Meta");
    describe_counter!(
        "twotick_template_checks_failed_total",
        "Failed requests for a template's state at Meta"
    );
}

fn describe_store() {
    describe_gauge!("twotick_store_state", "1 for the store's current state: ready, full, stuck or closed");
    describe_histogram!(
        "twotick_store_turn_duration_seconds",
        Unit::Seconds,
        "Duration of a turn of the store, until it is durable and answered"
    );
    describe_gauge!("twotick_store_bytes", Unit::Bytes, "Disk space used by the data folder");
    describe_gauge!("twotick_store_over_alarm", "1 while the data folder is larger than `store.alarm_gib`");
    describe_gauge!("twotick_disk_free_bytes", Unit::Bytes, "Free space on the data folder's disk");
    describe_histogram!(
        "twotick_store_reopen_duration_seconds",
        Unit::Seconds,
        "Duration of a reopening of sled in the background, which bounds the length of its log"
    );
    describe_gauge!(
        "twotick_clock_set_off_seconds",
        Unit::Seconds,
        "How far the system clock is ahead of twotick's monotonic clock, because it was set"
    );
}

fn describe_upkeep() {
    describe_gauge!(
        "twotick_retention_behind_seconds",
        Unit::Seconds,
        "How far retention is behind, by kind of data; 0 if it keeps up"
    );
    describe_gauge!("twotick_parked_reports", "Delivery reports that match no message yet");
    describe_counter!(
        "twotick_parked_reports_dropped_total",
        "Unmatched delivery reports dropped in favour of newer ones"
    );
    describe_counter!("twotick_alerts_dropped_total", "Alerts dropped in favour of newer ones");
    describe_counter!(
        "twotick_inbound_dropped_total",
        "Inbound messages dropped because a person wrote too many that day"
    );
    describe_gauge!("twotick_day_keys", "Day keys that exist; each encrypts the personal data of one day");
    describe_counter!("twotick_day_keys_destroyed_total", "Day keys destroyed by retention");
    describe_counter!(
        "twotick_sweeps_skipped_total",
        "Runs of a sweep skipped because the previous one was still running"
    );
    describe_counter!(
        "twotick_panics_total",
        "Panics that ended one piece of work, by part. Any value but 0 is a bug"
    );
}
