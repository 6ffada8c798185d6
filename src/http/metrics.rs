//! The names and meanings of the metrics of the HTTP side. Base units; labels never name a person.

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

/// Tells the recorder what each is. Without a recorder it does nothing.
pub fn describe() {
    describe_counter!(REQUESTS, "HTTP requests by route, method and status");
    describe_histogram!(REQUEST_DURATION, Unit::Seconds, "From the head of a request to that of its answer");
    describe_histogram!(
        WAIT_DURATION,
        Unit::Seconds,
        "The same of requests with `wait`, which are held until something changes"
    );
    describe_counter!(
        WEBHOOKS,
        "Webhooks by channel and result: stored, unreadable, signature_refused, not_stored, not_read"
    );
    describe_gauge!(WEBHOOK_LAST_RECEIVED, Unit::Seconds, "When the last rightly signed webhook was stored");
    describe_gauge!(
        WEBHOOKS_REFUSED_IN_A_ROW,
        "Webhooks of a channel whose signature was refused since the last one that was right"
    );
    describe_counter!(WEBHOOK_ITEMS_UNKNOWN, "Parts of webhooks that this version does not know, by kind");
    describe_counter!(
        WEBHOOK_ITEMS_FOREIGN,
        "Updates for a phone number or account that no channel has, or whose channel's secret did not sign"
    );
    describe_counter!(CONSENTS, "Opt-ins and opt-outs that providers told of, by channel and state");
    describe_counter!(REPORTS, "Delivery reports by channel, status and standing");
    describe_counter!(CHECKS, "Codes that were checked, by result");
    describe_counter!(VERIFICATIONS_CREATED, "Verifications that were created, by profile");
}
