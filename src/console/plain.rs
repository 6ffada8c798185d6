//! Neutralizes untrusted text for display. Templates escape markup; this prevents visual deception.

/// Makes invisible characters visible: control characters (including terminal escapes), bidirectional overrides and
/// zero-width characters. Line breaks and emoji joiners are kept.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => out.push(letter),
            '\t' => out.push(' '),
            '\r' => {}
            // Control pictures start at U+2400.
            '\u{0}'..='\u{1f}' => out.extend(char::from_u32(0x2400 + u32::from(letter))),
            '\u{7f}'..='\u{9f}' => out.push('\u{fffd}'),
            '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{3164}'
            | '\u{ffa0}'
            | '\u{fffe}'
            | '\u{ffff}'
            | '\u{e0000}'..='\u{e007f}' => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_made_visible() {
        for (text, shown) in [
            ("Grüße, 你好, مرحبا\nsecond line", "Grüße, 你好, مرحبا\nsecond line"),
            ("👩\u{200d}👧 ❤\u{fe0f}", "👩\u{200d}👧 ❤\u{fe0f}"),
            ("\u{1b}[31mred\u{7}", "\u{241b}[31mred\u{2407}"),
            ("abc\u{202e}fed\u{2066}x", "abc\u{fffd}fed\u{fffd}x"),
            ("zero\u{200b}width\u{feff}", "zero\u{fffd}width\u{fffd}"),
            ("a\r\n\tb", "a\n b"),
            ("<script>", "<script>"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }
}
