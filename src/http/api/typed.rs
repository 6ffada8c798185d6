//! Codes as people type or paste them.

use secrecy::SecretString;
use zeroize::Zeroize;

use crate::digits;
use crate::verification::Request;
use crate::verification::command::CodeSource;

const CUSTOM_CODE_CHARS: std::ops::RangeInclusive<usize> = 4..=10;

/// Normalizes an input for the comparison. `Err` describes a code of this verification, if the input cannot be one.
/// Does not depend on the right code.
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

/// Whether an app may supply this code.
pub fn is_custom_code(code: &str) -> bool {
    CUSTOM_CODE_CHARS.contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn of_digits(typed: &str, length: usize) -> Option<SecretString> {
    // Allocated large enough, so that growing leaves no copy of the code in freed memory.
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
