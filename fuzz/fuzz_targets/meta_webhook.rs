//! Anything as a webhook of Meta's: what is read of it is bounded and clean, and the quick way of reading it (one pass
//! over a delivery of nothing but messages) finds what the careful way finds.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use twotick::channel::meta::Meta;
use twotick_fuzz::{check_delivery, told, whatsapp};

static META: LazyLock<Meta> = LazyLock::new(whatsapp);

fuzz_target!(|body: &[u8]| {
    let delivery = META.parse(body);
    check_delivery(&delivery, body);
    assert_eq!(told(&delivery), told(&META.parse(body)), "it reads differently the second time");
    // Bytes that are no UTF-8 are skipped by the quick way where it does not look, and stop the careful one.
    if str::from_utf8(body).is_ok()
        && let Some([quick, careful]) = META.parse_both_ways(body)
    {
        assert_eq!(told(&quick), told(&careful), "the two ways of reading disagree");
    }
});
