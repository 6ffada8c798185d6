//! Any text as a phone number: its canonical form is stable, and masking hides the middle.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twotick::phone::Phone;

fuzz_target!(|text: &str| {
    if let Ok(phone) = Phone::parse(text) {
        assert_eq!(phone.as_e164(), text, "what is taken is taken as it stands");
        check(&phone);
        let readings = Phone::readings(text, None);
        assert!(readings.contains(&phone) || text.len() < 8, "{text} is not among its own readings");
    }
    let readings = Phone::readings(text, None);
    assert!(readings.len() <= 13, "each country is tried once");
    readings.iter().for_each(check);
});

fn check(phone: &Phone) {
    let number = phone.as_e164();
    assert!(number.len() <= 16 && number.starts_with('+'));
    assert!(number[1..].bytes().all(|byte| byte.is_ascii_digit()));
    // Numbers as WhatsApp reports them need not be in the tables, such as +52 1 ….
    let again = Phone::parse(number).ok().or_else(|| Phone::reported(number));
    assert_eq!(again.as_ref(), Some(phone), "it is not its own canonical form");
    assert!(number.ends_with(phone.last_four()) && phone.last_four().len() == 4);
    assert!(phone.country().is_none_or(|country| country.len() == 2), "{:?}", phone.country());

    let masked = phone.masked();
    let shown = masked.chars().filter(char::is_ascii_digit).count();
    assert!(shown + 3 < number.len(), "{masked} shows too much of {number}");
    assert!(!masked.contains(&number[1..]));
    assert!(!format!("{phone:?}").chars().any(|letter| letter.is_ascii_digit()));
}
