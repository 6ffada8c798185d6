//! Phone numbers on the command line, as people write them. The API accepts only E.164.

use super::Exit;
use crate::phone::digits::may_hold_a_number;
use crate::phone::{HomeCountry, Phone};

pub(super) const NOT_CLEAR: &str =
    "ambiguous number: write it with + and country code, such as +4915228817386, or set console.home_country";

/// Parses the number; `None` if it is ambiguous. Calls `home` only if the number has no country code.
pub(super) fn meant(
    text: &str,
    home: impl FnOnce() -> Result<Option<HomeCountry>, Exit>,
) -> Result<Option<Phone>, Exit> {
    match Phone::meant(text, None) {
        Some(phone) => Ok(Some(phone)),
        // Too few digits for a number: no need to load the configuration.
        None if !may_hold_a_number(text) => Ok(None),
        None => Ok(Phone::meant(text, home()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_parsed_leniently_and_never_guessed() {
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
