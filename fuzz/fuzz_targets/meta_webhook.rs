//! Any bytes as a webhook from Meta: the result is bounded and clean, and both parsers agree (the single pass for plain
//! deliveries, and the one that parses piece by piece).
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
    // Invalid UTF-8 in ignored parts is accepted by the single pass only.
    if str::from_utf8(body).is_ok()
        && let Some([quick, careful]) = META.parse_both_ways(sign(&SECRETS[0].into(), body).as_bytes(), body)
    {
        assert_eq!(told(&quick), told(&careful), "the two ways of reading disagree");
    }
});
