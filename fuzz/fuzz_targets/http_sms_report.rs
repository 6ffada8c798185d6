//! Any bytes as a carrier's report in each format: the result is bounded and clean, or says why it is unreadable. The
//! first byte selects the format.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use twotick::channel::http_sms::{FieldPath, Format};
use twotick::channel::{Channel, Readable};
use twotick_fuzz::{check_delivery, delivered, sms};

/// The default, a form, and nested lists.
static SMS: LazyLock<[Arc<Channel>; 3]> = LazyLock::new(|| {
    [
        sms(|_| {}),
        sms(|reading| reading.format = Format::Form),
        sms(|reading| {
            reading.fields.id = Some(FieldPath::at("/results/0/id"));
            reading.fields.status = FieldPath::at("/results/0/status/name");
            reading.fields.error_code = Some(FieldPath::at("/results/0/error/code"));
        }),
    ]
});

fuzz_target!(|data: &[u8]| {
    let Some((format, body)) = data.split_first() else { return };
    let delivery = delivered(&SMS[usize::from(*format) % SMS.len()], "x-signature-256", body);
    check_delivery(&delivery, body);
    let told = delivery.reports.len() + delivery.unknown.values().sum::<usize>();
    assert_eq!(told > 0, delivery.readable == Readable::Yes, "{delivery:?}");
    assert!(delivery.inbound.is_empty() && delivery.alerts.is_empty() && delivery.ignored.is_empty());
});
