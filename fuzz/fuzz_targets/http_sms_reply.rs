//! Any bytes as a carrier's response to a send. The first byte selects the pointer to the carrier's id.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use twotick::channel::exchange::Answer;
use twotick::channel::http_sms::HttpSms;
use twotick_fuzz::{Reply, carrier, check_outcome, submission};

/// Typical pointers; a channel is created once for each.
const POINTERS: [&str; 4] = ["/id", "/messages/0/id", "", "/a~1b"];

thread_local! {
    static CARRIERS: RefCell<Vec<HttpSms>> = RefCell::new(POINTERS.map(carrier).into());
}

fuzz_target!(|data: &[u8]| {
    let Some((pointer, data)) = data.split_first() else { return };
    let Some(Reply { status, received }) = Reply::read(data) else { return };
    let has_body = received.body.is_some();
    CARRIERS.with_borrow(|carriers| {
        let carrier = &carriers[usize::from(*pointer) % carriers.len()];
        check_outcome(&carrier.outcome_of(Answer::Received(received), &submission()), status, has_body);
    });
});
