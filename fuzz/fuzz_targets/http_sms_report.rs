//! Anything as a carrier's report: at most one report comes of it, bounded and clean, or a word why not.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use twotick::channel::{Channel, Readable};
use twotick_fuzz::{check_delivery, delivered, sms};

static SMS: LazyLock<Arc<Channel>> = LazyLock::new(sms);

fuzz_target!(|body: &[u8]| {
    let delivery = delivered(&SMS, "x-signature-256", body);
    check_delivery(&delivery, body);
    let told = delivery.reports.len() + delivery.unknown.values().sum::<usize>();
    let expected = usize::from(delivery.readable == Readable::Yes);
    assert_eq!(told, expected, "{delivery:?}");
    assert!(delivery.inbound.is_empty() && delivery.alerts.is_empty() && delivery.foreign.is_empty());
});
