//! Anything as a row of the store: what is read is written and read the same, what was changed afterwards or stands in
//! another place is refused, and whatever events a row holds can be folded.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use twotick::store::sled::fuzzing::{Content, events, sealed};
use twotick::verification::{State, due};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    content: u8,
    key: [u8; 4],
    changed: u16,
    bit: u8,
    row: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let key = &input.key[..];
    let content = Content::ALL[usize::from(input.content) % Content::ALL.len()];
    // As it came, and with a checksum that lets it in.
    let _ = content.again(key, input.row);
    let Some(row) = sealed(key, input.row) else { return };
    if let Ok(events) = events(key, &row) {
        let _ = due(&State::fold(&events));
    }
    let Ok(mut written) = content.again(key, &row) else { return };
    let again = content.again(key, &written).expect("what was written can be read");
    assert_eq!(again, written, "it is not written the same twice");

    let at = usize::from(input.changed) % written.len();
    assert!(content.again(key, &written[..at]).is_err(), "cut to {at} bytes");
    written[at] ^= 1 << (input.bit % 8);
    assert!(content.again(key, &written).is_err(), "byte {at} was changed");
    written[at] ^= 1 << (input.bit % 8);
    let mut elsewhere = input.key;
    elsewhere[usize::from(input.bit) % 4] ^= 1;
    assert!(content.again(&elsewhere, &written).is_err(), "it stands in another place");
});
