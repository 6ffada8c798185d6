//! A code as a person typed or pasted it.

use secrecy::SecretString;
use zeroize::Zeroize;

use crate::digits;
use crate::verification::Request;
use crate::verification::command::CodeSource;

const CUSTOM_CODE_CHARS: std::ops::RangeInclusive<usize> = 4..=10;

/// The code that was meant, as it is compared; `Err` says what a code of this verification looks like, where it cannot
/// be one. Nothing here depends on the right code.
pub fn code(request: &Request, length: u8, typed: &str) -> Result<SecretString, String> {
    match &request.code {
        CodeSource::Derived { .. } => of_digits(typed, usize::from(length))
            .ok_or_else(|| format!("must have {length} digits; blanks, hyphens and dots do not count")),
        CodeSource::Custom { .. } => {
            let typed = typed.trim_matches(digits::is_blank);
            is_custom_code(typed).then(|| SecretString::from(typed)).ok_or_else(|| CUSTOM_CODE.to_owned())
        }
    }
}

pub const CUSTOM_CODE: &str = "must be 4 to 10 of `0-9A-Za-z`";

/// What an app may bring as its own code.
pub fn is_custom_code(code: &str) -> bool {
    CUSTOM_CODE_CHARS.contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn of_digits(typed: &str, length: usize) -> Option<SecretString> {
    // Large enough from the start, so that growing leaves no copy behind.
    let mut code = String::with_capacity(length);
    for letter in typed.chars().filter(|letter| !digits::is_separator(*letter)) {
        match digits::decimal(letter) {
            Some(digit) if code.len() < length => code.push(digit),
            Some(_) | None => {
                code.zeroize();
                return None;
            }
        }
    }
    (code.len() == length).then(|| SecretString::from(code))
}
