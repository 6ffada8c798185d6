//! Anything as a webhook of Meta's: what is read of it is bounded and clean, and the quick way of reading it (one pass
//! over a delivery of nothing but messages) finds what the careful way finds.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use twotick::channel::Channel;
use twotick::channel::meta::Meta;
use twotick::channel::signature::sign;
use twotick_fuzz::{SECRETS, check_delivery, delivered, meta, told, whatsapp};

const SIGNATURE: &str = "x-hub-signature-256";

static META: LazyLock<Meta> = LazyLock::new(meta);
static CHANNEL: LazyLock<Arc<Channel>> = LazyLock::new(whatsapp);

fuzz_target!(|body: &[u8]| {
    let read = || delivered(&CHANNEL, SIGNATURE, body);
    let delivery = read();
    check_delivery(&delivery, body);
    assert_eq!(told(&delivery), told(&read()), "it reads differently the second time");
    // Bytes that are no UTF-8 are skipped by the quick way where it does not look, and stop the careful one.
    if str::from_utf8(body).is_ok()
        && let Some([quick, careful]) = META.parse_both_ways(sign(&SECRETS[0].into(), body).as_bytes(), body)
    {
        assert_eq!(told(&quick), told(&careful), "the two ways of reading disagree");
    }
});
