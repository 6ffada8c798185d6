//! Parsing of phone numbers as people write them, for the console and the command line. The API accepts E.164 only.

use std::str::FromStr;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};

use super::digits::{digit, is_invisible, is_separator};
use super::{MAX_LENGTH, Phone};

/// Likely countries, tried for a number without a country code.
const LIKELY: [Region; 12] = {
    use Region::{AT, BE, CH, DE, ES, FR, GB, IE, IT, NL, PL, US};
    [DE, AT, CH, US, GB, FR, NL, IT, ES, BE, PL, IE]
};
/// International prefixes that people write instead of `+` or `00`: North America, Australia, Russia and neighbours,
/// Japan.
const FROM_ABROAD: [&str; 4] = ["011", "0011", "810", "010"];
/// Fewer digits are not a whole number, more are two.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=20;
/// Longer texts contain more than a number.
const MOST_CHARS: usize = 300;
/// Most digits of an extension.
const MOST_OF_AN_EXTENSION: usize = 7;

/// Words that may precede or follow a number.
const LABELS: [&str; 75] = [
    "tel",
    "tél",
    "n",
    "telefon",
    "telephone",
    "telefono",
    "teléfono",
    "téléphone",
    "telefone",
    "telefonnummer",
    "telnr",
    "phone",
    "ph",
    "fon",
    "fone",
    "mobile",
    "mobil",
    "mobiltelefon",
    "mobilnummer",
    "mob",
    "móvil",
    "movil",
    "cell",
    "cellphone",
    "cellulare",
    "cel",
    "celular",
    "portable",
    "handy",
    "handynummer",
    "rufnummer",
    "nummer",
    "number",
    "numero",
    "número",
    "numéro",
    "no",
    "nr",
    "num",
    "fax",
    "sms",
    "smsto",
    "callto",
    "facetime",
    "sip",
    "sips",
    "skype",
    "viber",
    "signal",
    "whatsapp",
    "wa",
    "call",
    "contact",
    "kontakt",
    "privat",
    "private",
    "home",
    "work",
    "office",
    "büro",
    "t",
    "m",
    "p",
    "my",
    "is",
    "тел",
    "телефон",
    "моб",
    "мобильный",
    "τηλ",
    "电话",
    "手机",
    "電話",
    "携帯",
    "전화",
];
const EXTENSIONS: [&str; 20] = [
    "ext",
    "extn",
    "extension",
    "x",
    "xtn",
    "app",
    "apparat",
    "durchwahl",
    "dw",
    "nst",
    "nebenstelle",
    "anexo",
    "int",
    "interno",
    "ramal",
    "poste",
    "доб",
    "isub",
    "anschluss",
    "toestel",
];

/// Country in whose notation a number without a country code is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HomeCountry(Region);

impl HomeCountry {
    /// Parses an ISO 3166 code, such as `DE`, of a country that has its own numbers.
    pub fn parse(code: &str) -> Option<Self> {
        let region = Region::from_str(code).ok().filter(|region| *region.as_region_str() == *code);
        region.filter(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(*region).is_some()).map(Self)
    }

    pub fn as_str(&self) -> String {
        self.0.as_region_str().to_string()
    }

    /// All codes that [`HomeCountry::parse`] accepts.
    pub fn all() -> Vec<String> {
        let mut codes: Vec<_> = PHONE_NUMBER_UTIL
            .get_supported_regions()
            .map(|region| region.as_region_str().to_string())
            .collect();
        codes.retain(|code| Self::parse(code).is_some());
        codes.sort();
        codes
    }
}

/// Why a text was read as this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// It has a country code.
    CountryCode,
    /// It is a valid number of the home country.
    Home,
    /// It would be a number of a likely country, or with a `+` before it.
    Guess,
}

impl Phone {
    /// Possible numbers for a text, the likeliest first. Empty if it is not a number.
    pub fn readings(text: &str, home: Option<HomeCountry>) -> Vec<Self> {
        let mut readings: Vec<_> = read(text, home).into_iter().map(|(_, phone)| phone).collect();
        readings.extend(Self::as_written(text).filter(|phone| !readings.contains(phone)));
        readings
    }

    /// A number with its country code, digit by digit: WhatsApp uses some that the metadata rejects or writes
    /// differently, such as +52 1 … in Mexico.
    pub fn as_written(text: &str) -> Option<Self> {
        let written = Written::of(text).filter(|written| written.says_country)?;
        Self::reported(&format!("+{}", written.digits))
    }

    /// The number if it is unambiguous: it has a country code or is a number of the home country.
    pub fn meant(text: &str, home: Option<HomeCountry>) -> Option<Self> {
        let (ground, phone) = read(text, home).into_iter().next()?;
        (ground != Ground::Guess).then_some(phone)
    }
}

fn read(text: &str, home: Option<HomeCountry>) -> Vec<(Ground, Phone)> {
    let Some(written) = Written::of(text) else { return Vec::new() };
    let mut found = Found::default();
    let digits = &*written.digits;
    if written.says_country {
        found.international(&written, Ground::CountryCode);
        return found.sorted();
    }
    if let Some(rest) = digits.strip_prefix("00") {
        found.international(&written.with(rest), Ground::CountryCode);
    }
    if let Some(HomeCountry(region)) = home {
        found.national(digits, region, Ground::Home);
    }
    for prefix in FROM_ABROAD {
        if let Some(rest) = digits.strip_prefix(prefix) {
            let mut abroad = Found::default();
            abroad.international(&written.with(rest), Ground::CountryCode);
            found.phones.extend(abroad.phones.into_iter().filter(|phone| phone.is_valid));
        }
    }
    if !digits.starts_with("00") {
        LIKELY.into_iter().for_each(|region| found.likely(digits, region));
    }
    if !digits.starts_with('0') {
        found.international(&written, Ground::Guess);
    }
    found.sorted()
}

/// The digits of a number as written.
struct Written {
    /// ASCII digits only.
    digits: String,
    /// The digits without a zero in parentheses, which is only dialled within the country.
    without_zero: String,
    /// Whether it has `+` or is in a notation that always has the country code.
    says_country: bool,
}

impl Written {
    fn of(text: &str) -> Option<Self> {
        if text.chars().count() > MOST_CHARS {
            return None;
        }
        let folded = folded(text);
        let (number, is_link) = match of_link(&folded) {
            Some(number) => (number, true),
            None => (folded, false),
        };
        // Brazilians write `0xx` for the digits of the carrier.
        let number = number.replace("0xx", "0");
        let start = number.find(|letter: char| letter.is_ascii_digit() || letter == '+')?;
        let (label, number) = number.split_at(start);
        // Anything may precede a `+`, such as a name; otherwise only a label may.
        if !number.starts_with('+') && !words(label).all(|word| LABELS.contains(&word)) {
            return None;
        }
        let end = end_of_number(number);
        let (number, rest) = number.split_at(end);
        let context = country_of(rest)?;
        let (before, after) =
            number.rsplit_once('+').map_or((None, number), |(before, after)| (Some(before), after));
        // Only zeros and parentheses precede the country code.
        if before
            .is_some_and(|before| before.contains(|letter: char| letter.is_ascii_digit() && letter != '0'))
        {
            return None;
        }
        let context = if before.is_some() { String::new() } else { context };
        let says_country = before.is_some() || is_link || !context.is_empty() || rest.starts_with('@');
        let digits =
            |text: &str| context.chars().chain(text.chars()).filter(char::is_ascii_digit).collect::<String>();
        let written =
            Self { digits: digits(after), without_zero: digits(&without_trunk(after)), says_country };
        DIGITS.contains(&written.digits.len()).then_some(written)
    }

    /// The rest of a number, without a prefix.
    fn with(&self, digits: &str) -> Self {
        let cut = self.digits.len() - digits.len();
        let without_zero = self.without_zero.get(cut..).unwrap_or(digits);
        Self { digits: digits.to_owned(), without_zero: without_zero.to_owned(), says_country: true }
    }
}

/// Lower case; digits, signs and spaces of other scripts in ASCII; without invisible characters.
fn folded(text: &str) -> String {
    let fold = |letter: char| match letter {
        _ if digit(letter).is_some() => digit(letter).unwrap_or(letter),
        '\u{fe62}' | '\u{207a}' | '\u{208a}' | '\u{2795}' => '+',
        // Full-width forms of ASCII.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter),
        '\u{30fc}' | '\u{ff70}' => '-',
        letter if letter.is_whitespace() => ' ',
        letter => letter,
    };
    let seen = text.chars().filter(|letter| !is_invisible(*letter));
    seen.map(fold).flat_map(char::to_lowercase).collect::<String>().trim().to_owned()
}

/// The number in a link to a chat: `https://wa.me/49…`, `https://api.whatsapp.com/send?phone=49…`.
fn of_link(text: &str) -> Option<String> {
    if let Some((before, rest)) = text.split_once("wa.me/")
        && matches!(before, "" | "http://" | "https://" | "www." | "http://www." | "https://www.")
    {
        return rest.split(['?', '#', '/', '&']).next().map(decoded);
    }
    let is_chat = text.contains("whatsapp.com/") || text.starts_with("whatsapp://");
    let (_, query) = text.split_once(['?', '#']).filter(|_| is_chat)?;
    let value = query.split(['&', '?']).find_map(|pair| pair.strip_prefix("phone="))?;
    value.split('#').next().map(decoded)
}

/// Decodes percent-encoded ASCII.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(u8::is_ascii);
        match byte {
            Some(byte) => {
                out.push(char::from(byte));
                out.push_str(part.get(2..).unwrap_or_default());
            }
            None => out.push_str(part),
        }
    }
    out
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty())
}

/// Where a number ends: at a word, a URL parameter, an address or a pause.
fn end_of_number(text: &str) -> usize {
    let mut digits = 0;
    for (at, letter) in text.char_indices() {
        let ends = match letter {
            '0'..='9' => {
                digits += 1;
                false
            }
            '+' => false,
            // Pauses and telephone keys; before a whole number they are only unusual separators.
            ',' | '#' | '*' => digits >= *DIGITS.start(),
            ';' | '@' | '=' | '&' | '%' => true,
            letter => !is_separator(letter),
        };
        if ends {
            return at;
        }
    }
    text.len()
}

/// The country code in `;phone-context=+49` after a number, else empty. `None` unless an extension, a label or an
/// address follows.
fn country_of(rest: &str) -> Option<String> {
    if let Some(host) = rest.strip_prefix('@') {
        return (!host.contains(' ')).then(String::new);
    }
    if let Some((_, context)) = rest.split_once("phone-context=") {
        let context = context.split(';').next().unwrap_or_default();
        let code: String = context.chars().filter(char::is_ascii_digit).collect();
        return Some(if context.starts_with('+') { code } else { String::new() });
    }
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    if digits == 0 {
        // Names, thanks, remarks: not part of the number.
        return Some(String::new());
    }
    let mut words = words(rest);
    let is_known = words.all(|word| LABELS.contains(&word) || EXTENSIONS.contains(&word));
    (is_known && digits <= MOST_OF_AN_EXTENSION).then(String::new)
}

/// Mexico abolished its national prefixes in 2019; address books still contain them.
fn without_old_trunk(digits: &str, region: Region) -> &str {
    let old = ["044", "045", "01"].into_iter().filter(|_| region == Region::MX);
    old.filter_map(|prefix| digits.strip_prefix(prefix)).find(|rest| rest.len() == 10).unwrap_or(digits)
}

/// Without a zero that stands alone in parentheses.
fn without_trunk(text: &str) -> String {
    let compact: String = text.chars().filter(|letter| *letter != ' ').collect();
    compact.replace("(0)", "").replace("[0]", "")
}

/// Numbers found so far, without duplicates.
#[derive(Default)]
struct Found {
    phones: Vec<FoundPhone>,
}

struct FoundPhone {
    ground: Ground,
    is_valid: bool,
    phone: Phone,
}

impl Found {
    /// Country code and number. Removes a trunk prefix after the country code if the country has one.
    fn international(&mut self, written: &Written, ground: Ground) {
        for digits in [&written.without_zero, &written.digits] {
            // No country code begins with a zero, but people write `+0049`.
            let digits = digits.trim_start_matches('0');
            let old =
                digits.strip_prefix("52").map(|national| (national, without_old_trunk(national, Region::MX)));
            let mended =
                old.filter(|(national, mended)| national != mended).map(|(_, mended)| format!("52{mended}"));
            let digits = mended.as_deref().unwrap_or(digits);
            if let Ok(number) = PHONE_NUMBER_UTIL.parse(format!("+{digits}"), None) {
                self.add_all(&number, ground);
            }
        }
    }

    fn national(&mut self, digits: &str, region: Region, ground: Ground) {
        let digits = without_old_trunk(digits, region);
        if let Ok(number) = PHONE_NUMBER_UTIL.parse(digits, Some(region)) {
            self.add_all(&number, ground);
        }
    }

    /// A guess, accepted only if the number is valid.
    fn likely(&mut self, digits: &str, region: Region) {
        let number = PHONE_NUMBER_UTIL.parse(digits, Some(region)).ok();
        if let Some(number) = number.filter(|number| PHONE_NUMBER_UTIL.is_valid_number(number)) {
            self.add_all(&number, Ground::Guess);
        }
    }

    /// Adds the number, and its other spellings in WhatsApp or in the past.
    fn add_all(&mut self, number: &PhoneNumber, ground: Ground) {
        let e164 = PHONE_NUMBER_UTIL.format(number, PhoneNumberFormat::E164).into_owned();
        let national = rlibphonenumber::get_national_significant_number_owned(number);
        let others = other_spellings(number.country_code, &national);
        self.add(e164, ground);
        for other in others {
            self.add(format!("+{}{other}", number.country_code), ground);
        }
    }

    fn add(&mut self, e164: String, ground: Ground) {
        let Ok(phone) = Phone::parse(&e164) else { return };
        if self.phones.iter().any(|found| found.phone == phone) {
            return;
        }
        let number = PHONE_NUMBER_UTIL.parse(&e164, None);
        let is_valid = number.is_ok_and(|number| PHONE_NUMBER_UTIL.is_valid_number(&number));
        self.phones.push(FoundPhone { ground, is_valid, phone });
    }

    /// Valid numbers first, then merely possible ones.
    fn sorted(mut self) -> Vec<(Ground, Phone)> {
        self.phones.sort_by_key(|found| !found.is_valid);
        self.phones.into_iter().map(|found| (found.ground, found.phone)).collect()
    }
}

/// Other national spellings of a number: with and without the mobile digit of some countries, and from before a
/// renumbering.
fn other_spellings(country_code: i32, national: &str) -> Vec<String> {
    let (len, at) = (national.len(), |at: usize| national.as_bytes().get(at).copied().unwrap_or_default());
    let mut others = Vec::new();
    match country_code {
        // Mexico dropped the 1 before mobile numbers in 2019.
        52 if len == 11 && at(0) == b'1' => others.push(national[1..].to_owned()),
        // Argentina: 9 from abroad, 15 after the area code within the country.
        54 if len == 11 && at(0) == b'9' => others.push(national[1..].to_owned()),
        54 if len == 10 => others.push(format!("9{national}")),
        54 if len == 12 || len == 13 => {
            let national = national.strip_prefix('9').unwrap_or(national);
            for area in 2..=4 {
                if let (Some(code), Some(rest)) = (national.get(..area), national.get(area..))
                    && let Some(rest) = rest.strip_prefix("15")
                {
                    others.push(format!("9{code}{rest}"));
                }
            }
        }
        // Brazil added a ninth digit to mobile numbers.
        55 if len == 11 && at(2) == b'9' => others.push(format!("{}{}", &national[..2], &national[3..])),
        55 if len == 10 && (b'6'..=b'9').contains(&at(2)) => {
            others.push(format!("{}9{}", &national[..2], &national[2..]));
        }
        // Benin added 01 to all numbers in 2024.
        229 if len == 8 => others.push(format!("01{national}")),
        // Ivory Coast prefixed the operator to all numbers in 2021; it follows from the second digit.
        225 if len == 8 => {
            let operator = match at(1) {
                b'0'..=b'3' => "01",
                b'4'..=b'6' => "05",
                _ => "07",
            };
            others.push(format!("{operator}{national}"));
        }
        _ => {}
    }
    // Too long numbers are rejected by length; too short ones are not numbers.
    others.retain(|other| other.len() < MAX_LENGTH);
    others
}

#[cfg(test)]
mod tests;
