//! Numbers on the command line, as people write them. The API takes E.164 alone.

use super::Exit;
use crate::phone::{HomeCountry, Phone};

/// The number that is meant. `home` is asked where the number does not say its country.
pub(super) fn meant(text: &str, home: impl FnOnce() -> Result<Option<HomeCountry>, Exit>) -> Result<Phone, Exit> {
    if let Some(phone) = Phone::meant(text, None) {
        return Ok(phone);
    }
    // Nothing that cannot be a number needs a configuration.
    let home = if text.chars().any(|letter| crate::phone::digits::digit(letter).is_some()) { home()? } else { None };
    Phone::meant(text, home).ok_or_else(|| {
        eprintln!(
            "the number is not clear: write it with + and its country code, such as +4915228817386, or set \
             console.home_country"
        );
        Exit::Usage
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_write_it_and_never_guessed() {
        let germany = || Ok(HomeCountry::parse("DE"));
        let read = |text| meant(text, germany).ok().map(|phone| phone.as_e164().to_owned());
        for text in ["+4915228817386", "0049 (0)1522 8817386", "01522 8817386", "Tel: +49 1522 8817386", "+٤٩ ١٥٢٢ ٨٨١٧٣٨٦"] {
            assert_eq!(read(text).as_deref(), Some("+4915228817386"), "{text}");
        }
        for text in ["", "order-17", "ver_1", "+1"] {
            assert_eq!(read(text), None, "{text}");
        }
        for text in ["01522 8817386", "(202) 555-0100", "4915228817386"] {
            assert!(meant(text, || Ok(None)).is_err(), "{text} would be a guess");
        }
        assert!(meant("+4915228817386", || Err(Exit::Usage)).is_ok(), "no configuration is needed");
    }
}
