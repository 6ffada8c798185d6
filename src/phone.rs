//! Phone numbers: E.164 with `+`, canonical, possible. `Debug` shows no digits.

use std::fmt;

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumberFormat};

use crate::verification::values::{Alias, InvalidValue};

pub mod digits;
mod reading;

pub use reading::HomeCountry;

/// A number in canonical form: `+` and at most 15 digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone {
    e164: String,
    country: Option<String>,
}

/// `+` and 15 digits, the maximum of E.164.
const MAX_LENGTH: usize = 16;

impl Phone {
    /// Accepts strict E.164 only. Without `+`, Meta would read a number in the country of the business number and reach
    /// a stranger (Meta, "Send messages", phone number formats, November 2025).
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        const FORM: InvalidValue = InvalidValue(
            "a number must be in E.164: `+`, country code, number, digits only, such as +4915228817386",
        );
        let digits = text.strip_prefix('+').ok_or(FORM)?;
        if text.len() > MAX_LENGTH || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FORM);
        }
        const IMPOSSIBLE: InvalidValue =
            InvalidValue("no such number can exist: its country code or its length is wrong");
        let number = PHONE_NUMBER_UTIL.parse(text, None).map_err(|_| IMPOSSIBLE)?;
        if PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) != Ok(NumberLengthType::IsPossible) {
            return Err(IMPOSSIBLE);
        }
        let e164 = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164);
        if e164 != text {
            return Err(InvalidValue(
                "the number is not in its canonical form: leave out the national prefix after the country code",
            ));
        }
        // `001` is the region of non-geographic numbers, such as satellite phones.
        let region =
            PHONE_NUMBER_UTIL.get_region_for_number(&number).map(|region| region.as_region_str().to_string());
        let country = region.filter(|region| region.len() == 2);
        Ok(Self { e164: text.to_owned(), country })
    }

    /// Accepts a number as providers write it and lists are searched by: an optional `+`, then 7 to 15 digits. The
    /// metadata rejects some numbers that WhatsApp uses, such as +52 1 … in Mexico.
    pub fn reported(text: &str) -> Option<Self> {
        match Alias::number(text)? {
            Alias::Number(e164) => {
                Some(Self::parse(&e164).unwrap_or_else(|_| Self::beside_the_tables(&e164)))
            }
            Alias::User(_) => None,
        }
    }

    /// A number that the metadata rejects; at most its country code is known.
    fn beside_the_tables(e164: &str) -> Self {
        let number = PHONE_NUMBER_UTIL.parse(e164, None).ok();
        let region =
            number.and_then(|number| PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code));
        let country = region.map(|region| region.as_region_str().to_string());
        Self { e164: e164.to_owned(), country: country.filter(|region| region.len() == 2) }
    }

    /// In full: for the provider, the owning app and the vault, never for logs.
    pub fn as_e164(&self) -> &str {
        &self.e164
    }

    /// Masked for display: `+49 151 ••••• 5386`. Shows the country code and the last four digits, by which the console
    /// searches; of a long number also the first three national digits, so that at least three stay hidden.
    pub fn masked(&self) -> String {
        let code = PHONE_NUMBER_UTIL.parse(&self.e164, None).map(|number| number.country_code.to_string());
        let code = code.unwrap_or_default();
        let national = self.e164.get(1 + code.len()..).unwrap_or_default();
        let end = national.get(national.len().saturating_sub(4)..).unwrap_or_default();
        match national.get(..3) {
            Some(start) if national.len() >= 10 => format!("+{code} {start} ••••• {end}"),
            Some(_) if national.len() >= 7 => format!("+{code} ••••• {end}"),
            Some(_) | None => format!("+{code} •••••"),
        }
    }

    /// For searches by staff who only know the end of a number.
    pub fn last_four(&self) -> &str {
        // All characters are ASCII, and every possible number is longer.
        &self.e164[self.e164.len().saturating_sub(4)..]
    }

    /// ISO 3166 code of the country, if known.
    pub fn country(&self) -> Option<&str> {
        self.country.as_deref()
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({})", self.country().unwrap_or("??"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_numbers_are_accepted_with_their_country() {
        for (number, country) in [
            ("+12025550100", Some("US")),
            ("+4915228817386", Some("DE")),
            ("+447700900123", None),
            ("+88211222612", None),
        ] {
            let phone = Phone::parse(number).unwrap();
            assert_eq!((phone.as_e164(), phone.country()), (number, country));
        }
    }

    #[test]
    fn other_input_is_rejected_and_never_quoted() {
        let long = format!("+{}", "4".repeat(10_000));
        for wrong in [
            "",
            "+",
            "4915228817386",
            "004915228817386",
            "+49 1522 8817386",
            "+49(0)15228817386",
            "+4901522881738",
            "+49",
            "+1",
            "+1202555",
            "+120255501000000",
            "+9991234567890",
            "+٤٩١٥٢٢٨٨١٧٣٨٦",
            "+12025550100;ext=5",
            "+1202555010a",
            " +12025550100",
            "+12025550100\n",
            "tel:+12025550100",
            "++12025550100",
            "+0015228817386",
            &long,
        ] {
            let refused = Phone::parse(wrong).expect_err(wrong);
            assert!(!refused.to_string().contains("12025550"), "{refused}");
        }
    }

    #[test]
    fn a_providers_number_is_accepted_whatever_the_metadata_says() {
        for (text, e164, country) in [
            ("5215512340123", "+5215512340123", Some("MX")),
            ("+551187654321", "+551187654321", Some("BR")),
            ("22507123456", "+22507123456", Some("CI")),
            ("4915228817386", "+4915228817386", Some("DE")),
            ("9991234567", "+9991234567", None),
            ("1234567", "+1234567", Some("US")),
        ] {
            let phone = Phone::reported(text).unwrap();
            assert_eq!((phone.as_e164(), phone.country()), (e164, country));
            assert!(!phone.masked().contains(&e164[2..]), "{}", phone.masked());
        }
        for wrong in [
            "",
            "+",
            "123456",
            "1234567890123456",
            "US.13491208655302741918",
            "49 1522 8817386",
            "٤٩١٥٢٢٨٨١٧",
        ] {
            assert_eq!(Phone::reported(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_masked_number_shows_only_its_ends() {
        for (number, masked) in [
            ("+4915112345386", "+49 151 ••••• 5386"),
            ("+12025550100", "+1 202 ••••• 0100"),
            ("+447700900123", "+44 770 ••••• 0123"),
            ("+35315550123", "+353 ••••• 0123"),
            ("+29022158", "+290 •••••"),
        ] {
            assert_eq!(Phone::parse(number).unwrap().masked(), masked, "{number}");
        }
    }

    #[test]
    fn debug_shows_no_digit_of_it() {
        let shown = format!("{:?}", Phone::parse("+12025550100").unwrap());
        assert!(!shown.chars().any(|letter| letter.is_ascii_digit()), "{shown}");
    }
}
