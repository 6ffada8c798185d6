//! Any bytes as a row of the store or a record of the log: what can be read is rewritten identically, a
//! changed or moved row is refused, and the events of a row fold to the same state one by one or from their bytes.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use twotick::store::sled::fuzzing::{Content, events, folded, log_record_again};
use twotick::verification::{State, due};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    kind: u8,
    key: [u8; 4],
    changed: u16,
    bit: u8,
    content: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let key = &input.key[..];
    let kind = Content::ALL[usize::from(input.kind) % Content::ALL.len()];
    // As received, and with a valid checksum.
    let _ = kind.again(key, input.content);
    if let Some(record) = log_record_again(input.content) {
        assert_eq!(
            log_record_again(&record).as_ref(),
            Some(&record),
            "a record is not written the same twice"
        );
    }
    let Some(row) = kind.row(key, input.content) else { return };
    if let Ok(events) = events(key, &row) {
        let state = State::fold(&events);
        let _ = due(&state);
        if matches!(kind, Content::Events) {
            let count = u32::try_from(events.len()).expect("a row is small");
            assert_eq!(folded(input.content), Some((state, count, true)));
        }
    }
    let Ok(mut written) = kind.again(key, &row) else { return };
    let again = kind.again(key, &written).expect("what was written can be read");
    assert_eq!(again, written, "it is not written the same twice");

    let at = usize::from(input.changed) % written.len();
    assert!(kind.again(key, &written[..at]).is_err(), "cut to {at} bytes");
    written[at] ^= 1 << (input.bit % 8);
    assert!(kind.again(key, &written).is_err(), "byte {at} was changed");
    written[at] ^= 1 << (input.bit % 8);
    let mut elsewhere = input.key;
    elsewhere[usize::from(input.bit) % 4] ^= 1;
    assert!(kind.again(&elsewhere, &written).is_err(), "it stands in another place");
});
