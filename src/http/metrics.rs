//! Names and descriptions of the HTTP metrics. Base units; labels never name a person.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub const REQUESTS: &str = "twotick_http_requests_total";
pub const REQUEST_DURATION: &str = "twotick_http_request_duration_seconds";
pub const WAIT_DURATION: &str = "twotick_http_wait_duration_seconds";
pub const WEBHOOKS: &str = "twotick_webhooks_received_total";
pub const WEBHOOK_LAST_RECEIVED: &str = "twotick_webhook_last_received_timestamp_seconds";
pub const WEBHOOKS_REFUSED_IN_A_ROW: &str = "twotick_webhooks_refused_in_a_row";
pub const WEBHOOK_ITEMS_UNKNOWN: &str = "twotick_webhook_items_unknown_total";
pub const WEBHOOK_ITEMS_FOREIGN: &str = "twotick_webhook_items_foreign_total";
pub const CONSENTS: &str = "twotick_consents_heard_total";
pub const REPORTS: &str = "twotick_reports_total";
pub const CHECKS: &str = "twotick_checks_total";
pub const VERIFICATIONS_CREATED: &str = "twotick_verifications_created_total";

/// Registers the descriptions. Does nothing without a recorder.
pub fn describe() {
    describe_counter!(REQUESTS, "HTTP requests by route, method and status");
    describe_histogram!(
        REQUEST_DURATION,
        Unit::Seconds,
        "Time from the head of a request to the head of its answer"
    );
    describe_histogram!(
        WAIT_DURATION,
        Unit::Seconds,
        "As above, for requests with `wait`, which are held until something changes"
    );
    describe_counter!(
        WEBHOOKS,
        "Webhooks by channel and result: stored, unreadable, signature_refused, not_stored, not_read"
    );
    describe_gauge!(WEBHOOK_LAST_RECEIVED, Unit::Seconds, "Time of the last valid webhook");
    describe_gauge!(
        WEBHOOKS_REFUSED_IN_A_ROW,
        "Webhooks of a channel with a refused signature since the last valid one"
    );
    describe_counter!(WEBHOOK_ITEMS_UNKNOWN, "Unknown parts of webhooks, by kind");
    describe_counter!(
        WEBHOOK_ITEMS_FOREIGN,
        "Webhook items for a phone number or account that no channel has, or not signed by its channel's secret"
    );
    describe_counter!(CONSENTS, "Opt-ins and opt-outs reported by providers, by channel and state");
    describe_counter!(REPORTS, "Delivery reports by channel, status and standing");
    describe_counter!(CHECKS, "Code checks, by result");
    describe_counter!(VERIFICATIONS_CREATED, "Verifications created, by profile");
}
