//! Anything as a carrier's report: at most one report comes of it, bounded and clean, or a word why not.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use twotick::channel::Readable;
use twotick::channel::http_sms::HttpSms;
use twotick_fuzz::{check_delivery, sms};

static SMS: LazyLock<HttpSms> = LazyLock::new(|| sms("/id"));

fuzz_target!(|body: &[u8]| {
    let delivery = SMS.parse(body);
    check_delivery(&delivery, body);
    let told = delivery.reports.len() + delivery.unknown.values().sum::<usize>();
    let expected = usize::from(delivery.readable == Readable::Yes);
    assert_eq!(told, expected, "{delivery:?}");
    assert!(delivery.inbound.is_empty() && delivery.alerts.is_empty() && delivery.foreign == 0);
});
