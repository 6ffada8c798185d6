//! Numbers on the command line, as people write them. The API takes E.164 alone.

use super::Exit;
use crate::phone::digits::may_hold_a_number;
use crate::phone::{HomeCountry, Phone};

pub(super) const NOT_CLEAR: &str = "the number is not clear: write it with + and its country code, such as +4915228817386, or set console.home_country";

/// The number that is meant, `None` where that would be a guess. `home` is asked where the number does not say its
/// country.
pub(super) fn meant(
    text: &str,
    home: impl FnOnce() -> Result<Option<HomeCountry>, Exit>,
) -> Result<Option<Phone>, Exit> {
    match Phone::meant(text, None) {
        Some(phone) => Ok(Some(phone)),
        // What holds too few digits needs no configuration.
        None if !may_hold_a_number(text) => Ok(None),
        None => Ok(Phone::meant(text, home()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_write_it_and_never_guessed() {
        let germany = || Ok(HomeCountry::parse("DE"));
        let read = |text| meant(text, germany).unwrap().map(|phone| phone.as_e164().to_owned());
        for text in [
            "+4915228817386",
            "0049 (0)1522 8817386",
            "01522 8817386",
            "Tel: +49 1522 8817386",
            "+٤٩ ١٥٢٢ ٨٨١٧٣٨٦",
        ] {
            assert_eq!(read(text).as_deref(), Some("+4915228817386"), "{text}");
        }
        for text in ["", "order-17", "ver_1", "+1"] {
            assert_eq!(read(text), None, "{text}");
        }
        for text in ["01522 8817386", "(202) 555-0100", "4915228817386"] {
            assert!(meant(text, || Ok(None)).unwrap().is_none(), "{text} would be a guess");
        }
        assert!(meant("+4915228817386", || Err(Exit::Usage)).is_ok(), "no configuration is needed");
    }
}
