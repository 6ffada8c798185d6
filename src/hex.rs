//! Hexadecimal digits.

/// Two lower-case digits a byte.
pub fn encode(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect()
}

/// The bytes that an even number of digits stands for, in either case. `None` for any other text.
pub fn decode(digits: &[u8]) -> Option<Vec<u8>> {
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| if let [high, low] = pair { Some(nibble(*high)? << 4 | nibble(*low)?) } else { None })
        .collect()
}

/// The bytes that exactly `2 * N` digits stand for, in either case. `None` for any other text.
pub fn decode_exactly<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_in_lower_case_and_read_in_either() {
        assert_eq!(encode(&[0x00, 0x9f, 0xff]), "009fff");
        assert_eq!(encode(&[]), "");
        assert_eq!(decode(b"009FfF"), Some(vec![0x00, 0x9f, 0xff]));
        assert_eq!(decode(b""), Some(Vec::new()));
        assert_eq!(decode_exactly(b"009FfF"), Some([0x00, 0x9f, 0xff]));
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encode(&all).as_bytes()), Some(all));
    }

    #[test]
    fn other_texts_are_refused() {
        for digits in ["0", "0x", "0g", "00 ", "+1", "-1", "é"] {
            assert_eq!(decode(digits.as_bytes()), None, "{digits}");
            assert_eq!(decode_exactly::<1>(digits.as_bytes()), None, "{digits}");
        }
        assert_eq!(decode_exactly::<2>(b"009fff"), None);
        assert_eq!(decode_exactly::<4>(b"009fff"), None);
    }
}
