//! The recorder of the process, and what its metrics mean. What the HTTP side counts is described there.

use std::sync::{Mutex, PoisonError};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds: from a quick disk to a provider's longest time-out.
const DURATIONS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// Seconds to a delivery: most take a few, and a deadline is rarely longer than a minute.
const DELIVERY: [f64; 13] = [0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// Seconds that a fallback may be late: it is meant to be a few milliseconds.
const LATENESS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 10.0];

/// One recorder a process: whoever asks first makes it, and who asks meanwhile waits. Fails where somebody else has
/// installed one.
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
    describe_gauge!("twotick_build_info", "1, with the version that runs");
    describe_connections();
    describe_verifications();
    describe_channels();
    describe_store();
    describe_upkeep();
}

fn describe_connections() {
    describe_counter!(
        "twotick_http_garbage_total",
        "Connections that were closed because no proper HTTP came over them"
    );
}

fn describe_verifications() {
    describe_gauge!("twotick_verifications_live", "Verifications that still want something");
    describe_counter!("twotick_verifications_removed_total", "Verifications forgotten by the retention");
    describe_counter!("twotick_fallbacks_total", "Next steps that were started, by reason");
    describe_counter!("twotick_verifications_ended_total", "Verifications that ended, by status");
    describe_counter!(
        "twotick_messages_total",
        "Messages by channel, country and outcome: delivered, failed, in_doubt. A message that is delivered after it failed counts as both"
    );
    describe_counter!(
        "twotick_message_errors_total",
        "Refusals and failures of messages, by channel and class of error"
    );
    describe_histogram!(
        "twotick_delivery_seconds",
        Unit::Seconds,
        "From the queueing of a message to its delivery, by channel and country"
    );
    describe_counter!(
        "twotick_log_lines_dropped_total",
        "Log lines of changes of state that were dropped because the log was not read fast enough"
    );
    describe_histogram!(
        "twotick_deadline_lateness_seconds",
        Unit::Seconds,
        "From a deadline until what it led to was durable"
    );
    describe_counter!(
        "twotick_missed_dues_total",
        "Deadlines that the agenda missed and the sweep found. Anything but 0 is a bug"
    );
}

fn describe_channels() {
    describe_counter!(
        "twotick_sends_total",
        "Attempts to send, by channel, outcome and the class of a refusal"
    );
    describe_histogram!(
        "twotick_send_duration_seconds",
        Unit::Seconds,
        "From a request to a provider to the end of its answer, by channel"
    );
    describe_gauge!("twotick_messages_waiting", "Messages that wait for their channel's rate or breaker");
    describe_gauge!(
        "twotick_breaker_open",
        "1 while a channel sends nothing because its sender was refused a short while ago"
    );
    describe_gauge!(
        "twotick_clock_ahead_seconds",
        Unit::Seconds,
        "How far the machine's clock is ahead of a provider's, by channel"
    );
    describe_gauge!("twotick_templates_not_approved", "Templates in use that Meta does not call approved");
    describe_counter!(
        "twotick_template_checks_failed_total",
        "Times that Meta did not say whether a template is approved"
    );
}

fn describe_store() {
    describe_gauge!(
        "twotick_store_state",
        "1 for the state that the store is in: ready, full, stuck or closed"
    );
    describe_histogram!(
        "twotick_store_turn_duration_seconds",
        Unit::Seconds,
        "From the beginning of a turn until it was durable and answered"
    );
    describe_gauge!("twotick_store_bytes", Unit::Bytes, "What the data folder takes of the disk");
    describe_gauge!("twotick_store_over_alarm", "1 while the data folder is larger than `store.alarm_gib`");
    describe_gauge!("twotick_disk_free_bytes", Unit::Bytes, "What the disk of the data folder has left");
    describe_histogram!(
        "twotick_store_reopen_duration_seconds",
        Unit::Seconds,
        "How long the store was being opened anew beside the turns, so that its log stays short"
    );
    describe_gauge!(
        "twotick_clock_set_off_seconds",
        Unit::Seconds,
        "How far the machine's clock is ahead of twotick's own, since somebody set it"
    );
}

fn describe_upkeep() {
    describe_gauge!(
        "twotick_retention_behind_seconds",
        Unit::Seconds,
        "For how long the oldest data of a kind should have been removed. 0: the retention keeps up"
    );
    describe_gauge!("twotick_parked_reports", "Delivery reports kept because they match no message yet");
    describe_counter!(
        "twotick_parked_reports_dropped_total",
        "Delivery reports that matched no message and made room for newer ones"
    );
    describe_counter!("twotick_alerts_dropped_total", "Old alerts that made room for newer ones");
    describe_counter!(
        "twotick_inbound_dropped_total",
        "Messages that were not kept because one person had written too many that day"
    );
    describe_gauge!("twotick_day_keys", "Keys of days under which personal data can still be opened");
    describe_counter!("twotick_day_keys_destroyed_total", "Keys of days destroyed by the retention");
    describe_counter!(
        "twotick_sweeps_skipped_total",
        "Runs of a sweep left out because the one before still ran"
    );
    describe_counter!(
        "twotick_panics_total",
        "Panics that ended one piece of work, by part. Anything but 0 is a bug"
    );
}
